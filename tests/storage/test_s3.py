"""S3 through s3fs, on SeaweedFS and on moto."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, ClassVar

import pytest
from hidden.listeners import Listener, saying
from s3fs import S3FileSystem
from servers.s3 import S3Server
from servers.script import Answer
from within import within

from betfair_session import StoreUnavailable
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, VersionConflict
from betfair_session.storage.s3 import S3Store
from storage import dialects
from storage.calls import failure
from storage.contract import Deletions
from storage.permissions import Credentials
from storage.places import TIMEOUT, BucketPlace
from storage.suites import FsspecObjectStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

    from betfair_session.storage.contract import TokenStore
    from storage.wire_contract import Line


class _S3(FsspecObjectStoreContract, Deletions):
    """What is S3's alone."""

    dialect: ClassVar[dialects.Dialect] = dialects.S3
    kind: ClassVar[str]

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh bucket."""
        return BucketPlace(bucket_on(self.kind))

    def test_a_deleted_object_in_a_versioned_bucket_is_missing(
        self, place: BucketPlace, store: TokenStore
    ) -> None:
        """A delete marker reads as nothing, conflicts with the old version, and can be filled."""
        assert isinstance(place.bucket.server, S3Server)
        place.bucket.server.version_bucket(place.bucket.name)
        stale = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.delete("token", deadline=within(TIMEOUT))
        assert store.get("token", deadline=within(TIMEOUT)) is None
        with pytest.raises(VersionConflict):
            store.put("token", b"second", stale, deadline=within(TIMEOUT))
        version = store.put("token", b"third", ABSENT, deadline=within(TIMEOUT))
        with pytest.raises(VersionConflict):
            store.put("token", b"fourth", ABSENT, deadline=within(TIMEOUT))
        store.put("token", b"fifth", version, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"fifth"

    def test_an_object_gone_is_a_conflict_for_its_version(self, line: Line) -> None:
        """S3 answers 404 to a conditional overwrite of an object that is gone."""
        answer = dialects.s3(404, "NoSuchKey")
        line.proxy.fail("PUT", answer)
        error = failure("replace_if_version", line.store, line.version)
        assert isinstance(error, VersionConflict)

    def test_without_the_right_to_list_the_error_names_it(self, line: Line) -> None:
        """A missing object looks forbidden to who may not list; the error says what to grant."""
        line.proxy.fail("GET", dialects.s3(403, "AccessDenied"))
        error = failure("read", line.store, line.version)
        assert error.reason == "forbidden"
        assert "s3:ListBucket" in str(error)

    def test_an_endpoint_of_its_own_is_probed(self, store: TokenStore) -> None:
        """Whether a server that only speaks S3's protocol keeps conditions has to be tried."""
        store.get("token", deadline=within(TIMEOUT))
        assert store.probe

    @pytest.mark.parametrize(("whose", "landed"), [("ours", False), ("the caller's", True)])
    def test_a_callers_filesystem_may_have_tried_before(
        self, line: Line, whose: str, *, landed: bool
    ) -> None:
        """Its last attempt was refused; of an earlier one nobody knows."""
        line.proxy.clear()
        line.proxy.fail("PUT", dialects.s3(500, "InternalError"), times=9)
        store = line.store
        if whose != "ours":
            options = line.server.options(line.proxy.endpoint)
            filesystem = S3FileSystem(**options, skip_instance_cache=True)
            store = open_store((filesystem, f"{line.place.bucket.name}/prefix"))
        error = failure("create", store, "")
        assert (error.reason, error.landed) == ("server", landed)
        assert (len(line.proxy.requests) > 1) is landed

    def test_a_callers_settings_of_the_client_count(self, line: Line) -> None:
        """All but its time-outs and retries, with what s3fs adds to each request."""
        options = {
            **line.server.options(line.proxy.endpoint),
            "config_kwargs": {"user_agent_extra": "team/betting", "retries": {"max_attempts": 9}},
            "requester_pays": True,
        }
        line.proxy.clear()
        line.proxy.fail("GET", Answer(500))
        with open_store(line.place.url("prefix"), options) as store:
            assert failure("read", store, "").reason == "server"
        (sent,) = line.proxy.requests
        assert "team/betting" in sent.headers["user-agent"]
        assert sent.headers["x-amz-request-payer"] == "requester"


class TestS3OnMoto(_S3):
    """moto's server, by https as almost every server is reached; SeaweedFS is by http."""

    kind: ClassVar[str] = "moto-tls"


class TestS3OnSeaweed(_S3, Credentials):
    """SeaweedFS."""

    kind: ClassVar[str] = "seaweed"


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No AWS credentials anywhere; return the place of the configuration that there is none of."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


def test_credentials_may_come_later(
    bucket_on: Callable[[str], Bucket], nobody: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine's own do, when a program starts before them."""
    bucket = bucket_on("moto")
    options = bucket.server.options(bucket.server.endpoint)
    key, secret = options.pop("key"), options.pop("secret")
    with open_store(bucket.url(), options) as store:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="NoCredentials: neither the opt") as caught:
                store.get("token", deadline=within(30))
            assert (caught.value.reason, caught.value.landed) == ("forbidden", False)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        assert store.get("token", deadline=within(30)) is None
    assert not nobody.exists()


def test_without_credentials_on_purpose_there_are_none(
    bucket_on: Callable[[str], Bucket], nobody: Path
) -> None:
    """The server decides then."""
    bucket = bucket_on("seaweed")
    options = {**bucket.server.options(bucket.server.endpoint), "anon": True}
    del options["key"], options["secret"]
    with open_store(bucket.url(), options) as store, pytest.raises(StoreUnavailable) as caught:
        store.get("token", deadline=within(30))
    assert caught.value.reason == "forbidden"
    assert "NoCredentials" not in str(caught.value)
    assert not nobody.exists()


def test_nobody_is_asked_for_an_mfa_code(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would block every store of the process; what the profile lacks is told instead."""
    nobody.write_text(
        "[profile mine]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/u\nregion = us-east-1\n"
        "[profile base]\naws_access_key_id = k\naws_secret_access_key = s\n"
    )
    answer = io.StringIO("123456\n")
    monkeypatch.setattr("sys.stdin", answer)
    with open_store("s3://bucket", {"profile": "mine"}) as store:
        for call in ("read", "create"):
            error = failure(call, store, "")
            assert (error.reason, error.landed) == ("forbidden", False)
            assert "mfa_serial" in str(error)
    assert answer.tell() == 0


@pytest.mark.parametrize("whose", ["ours", "the caller's"])
def test_renewed_keys_are_read(
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    nobody: Path,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
) -> None:
    """Tools rewrite the file under a program that runs for weeks, which opens one driver anew."""
    bucket = bucket_on("moto")
    proxy = proxy_to(bucket.server)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nobody))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def renew(number: int) -> None:
        nobody.write_text(
            f"[default]\naws_access_key_id = KEY{number}\naws_secret_access_key = s\n"
        )

    renew(0)
    filesystem = S3FileSystem(skip_instance_cache=True)
    store = open_store(bucket.url() if whose == "ours" else (filesystem, bucket.name))
    with store:
        for number in range(4):
            assert store.get("token", deadline=within(TIMEOUT)) is None
            proxy.fail(
                lambda seen, key=f"KEY{number}/": key in seen.headers["authorization"],  # type: ignore[misc]
                dialects.s3(400, "ExpiredToken"),
                times=99,
            )
            renew(number + 1)
            if whose != "ours":
                assert failure("read", store, "").reason == "forbidden"
                return
        assert isinstance(store, S3Store)
        kept = store._ours
        assert store.get("token", deadline=within(TIMEOUT)) is None
    assert (kept.take(), len(proxy.requests)) == (None, 9)


@pytest.mark.parametrize("whose", ["ours", "the caller's"])
def test_an_endpoint_out_of_a_profile_is_probed(
    bucket_on: Callable[[str], Bucket], nobody: Path, whose: str
) -> None:
    """Only the client knows it, once there is one."""
    bucket = bucket_on("moto")
    options = bucket.server.options(bucket.server.endpoint)
    nobody.write_text(
        f"[profile mine]\nendpoint_url = {options['endpoint_url']}\nregion = us-east-1\n"
        f"aws_access_key_id = {options['key']}\naws_secret_access_key = {options['secret']}\n"
    )
    if whose == "ours":
        store = open_store(bucket.url(), {"profile": "mine"})
    else:
        filesystem = S3FileSystem(profile="mine", skip_instance_cache=True)
        store = open_store((filesystem, bucket.name))
    assert store.get("token", deadline=within(30)) is None
    assert store.probe
    store.probe = False  # as when it has been tried out
    assert store.get("token", deadline=within(30)) is None
    assert not store.probe


def test_amazon_is_not_probed_and_is_reached_through_the_proxy() -> None:
    """Amazon keeps conditions, and has no name here: nobody but the proxy is asked for it."""
    with Listener(saying(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        client = {"region_name": "eu-west-1"}
        options = {"key": "k", "secret": "s", "client_kwargs": client}
        options["config_kwargs"] = {"proxies": proxies, "s3": {"addressing_style": "path"}}
        with open_store("s3://bucket", options) as store:
            seen = (store.probe, failure("read", store, "").reason, store.probe)
    assert seen == (True, "unreachable", False)
    assert proxy.heard.startswith(b"CONNECT s3.eu-west-1.amazonaws.com:443 ")
