"""Google Cloud Storage through gcsfs, on fake-gcs-server."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from email import message_from_bytes
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from gcsfs.core import GCSFileSystem
from google.oauth2.credentials import Credentials
from servers.process import free_ports
from servers.script import Answer
from within import within

from betfair_session import StoreUnavailable, StoreWriteError
from betfair_session.storage import gcs, open_store
from betfair_session.storage.contract import ABSENT, ANY
from betfair_session.storage.loop import background_loop, run
from storage import dialects
from storage.calls import CALLS, failure
from storage.places import BucketPlace
from storage.suites import FsspecObjectStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

    from betfair_session.storage.contract import TokenStore


class TestGCS(FsspecObjectStoreContract):
    """fake-gcs-server. It ignores the condition of a deletion; TestCloudlike does not."""

    dialect: ClassVar[dialects.Dialect] = dialects.GCS

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh bucket."""
        return BucketPlace(bucket_on("gcs"))

    @pytest.fixture
    def filesystem(self, place: BucketPlace) -> GCSFileSystem:
        """The plain class: the other asks Google's control plane for the type of each bucket."""
        return GCSFileSystem(**place.options)


@pytest.fixture
def bucket(bucket_on: Callable[[str], Bucket]) -> Bucket:
    """A fresh bucket."""
    return bucket_on("gcs")


@pytest.fixture
def proxy(bucket: Bucket, proxy_to: Callable[[ObjectServer], Proxy]) -> Proxy:
    """What stands before the bucket's server."""
    return proxy_to(bucket.server)


@pytest.fixture
def proxied(bucket: Bucket, proxy: Proxy) -> Iterator[TokenStore]:
    """The bucket, through it."""
    with open_store(bucket.url(), bucket.server.options(proxy.endpoint)) as store:
        yield store


def test_credentials_are_renewed_in_time_and_sent(bucket: Bucket, proxy: Proxy) -> None:
    """As Google's own, of which each lives an hour: the next is fetched when one has expired."""
    answer = json.dumps({"access_token": "second", "expires_in": 3600}).encode()
    headers = {"Content-Type": "application/json"}
    proxy.fail(lambda seen: seen.path == "/token", Answer(200, answer, headers), times=2)
    renewed_by: list[int] = []

    class Watched(Credentials):
        def refresh(self, request: object) -> None:
            renewed_by.append(threading.get_ident())
            refresh: Any = super().refresh  # it has no types
            refresh(request)

    make: Any = Watched
    credentials = make(
        "first", "refresh", token_uri=f"{proxy.endpoint}/token", client_id="c", client_secret="s"
    )
    options = {**bucket.server.options(proxy.endpoint), "token": credentials}
    with open_store(bucket.url(), options) as store:
        version = store.put("token", b"content", ABSENT, deadline=within(30))
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        credentials.token, credentials.expiry = "first", later.replace(tzinfo=None)
        found = store.get("token", deadline=within(30))
        assert found is not None
        assert (found.content, found.version) == (b"content", version)
        # Of a moment ago: the next request has to fetch another first.
        credentials.expiry = (later - timedelta(hours=2)).replace(tzinfo=None)
        store.put("token", b"next", version, deadline=within(30))
    sent = [(seen.method, seen.headers.get("authorization")) for seen in proxy.requests]
    assert [each for each in sent if each[1]][-2:] == [
        ("GET", "Bearer first"),
        ("POST", "Bearer second"),
    ]

    async def thread() -> int:
        return threading.get_ident()

    loop_thread = run(background_loop(), thread, deadline=within(30))
    assert renewed_by
    assert loop_thread not in renewed_by, "it blocks every other call of the process"


@pytest.mark.parametrize("driver", ["", "obstore+"])
@pytest.mark.parametrize("kind", ["the store", "the token's server"])
def test_a_renewed_key_file_is_read(
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    tmp_path: Path,
    kind: str,
    driver: str,
) -> None:
    """A service account's key is replaced in its file, and the old one deleted."""
    bucket = bucket_on("gcs-xml" if driver else "gcs")
    proxy = proxy_to(bucket.server)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = tmp_path / "key.json"

    def renew(number: int) -> None:
        kept = {"type": "service_account", "client_email": "a@b.test", "private_key": pem}
        path = {"token_uri": f"{proxy.endpoint}/token/{number}", "private_key_id": str(number)}
        extra = {"gcs_base_url": proxy.endpoint} if driver else {}
        file.write_text(json.dumps({**kept, **path, **extra}))

    def give(number: int, seconds: int) -> None:
        answer = {"access_token": f"bearer{number}", "expires_in": seconds, "token_type": "Bearer"}
        headers = {"Content-Type": "application/json"}
        match = f"POST /token/{number}"
        proxy.fail(match, Answer(200, json.dumps(answer).encode(), headers), times=99)

    renew(1)
    give(1, 3600 if kind == "the store" else 1)
    give(2, 3600)
    options = {**bucket.server.options(proxy.endpoint), "token": str(file)}
    with open_store(driver + bucket.url(), options) as store:
        store.put("token", b"content", ABSENT, deadline=within(30))
        proxy.clear()
        refused = Answer(400, b'{"error": "invalid_grant"}', {"Content-Type": "application/json"})
        proxy.fail("POST /token/1", refused, times=99)
        give(2, 3600)
        proxy.fail(
            lambda seen: seen.headers.get("authorization") == "Bearer bearer1",
            dialects.gcs(401, "authError"),
            times=99,
        )
        renew(2)
        found = store.get("token", deadline=within(30))
        assert found is not None
        assert found.content == b"content"


def test_requests_are_as_googles_reference_has_them(bucket: Bucket, proxy: Proxy) -> None:
    """Fake-gcs-server takes more than Google does, such as a slash in an object's name."""
    with open_store(bucket.url("a b"), bucket.server.options(proxy.endpoint)) as store:
        assert store.get("token", deadline=within(30)) is None
        version = store.put("token", b"first", ABSENT, deadline=within(30))
        version = store.put("token", b"second", version, deadline=within(30))
        store.put("token", b"third", ANY, deadline=within(30))
        store.delete("token", deadline=within(30))
    sent = [(each.method, *each.target.partition("?")[::2]) for each in proxy.requests]
    name, uploads = "a%20b%2Ftoken", f"/upload/storage/v1/b/{bucket.name}/o"
    assert [each[:2] for each in sent] == [
        ("GET", f"/download/storage/v1/b/{bucket.name}/o/{name}"),
        ("GET", f"/storage/v1/b/{bucket.name}"),
        *[("POST", uploads)] * 3,
        ("DELETE", f"/storage/v1/b/{bucket.name}/o/{name}"),
    ]
    queries = [dict(parse_qsl(each[2])) for each in sent]
    upload = {"uploadType": "multipart"}
    assert [{k: v for k, v in each.items() if k != "ifGenerationMatch"} for each in queries] == [
        *({"alt": "media"}, {"fields": "name"}, upload, upload, upload, {}),
    ]
    assert [each.get("ifGenerationMatch") for each in queries[2:5]] == ["0", mock.ANY, None]
    for each in proxy.requests[2:5]:
        kind = each.headers["content-type"]
        message: Any = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + each.body)
        assert message.get_content_type() == "multipart/related"
        about, content = message.get_payload()
        assert about.get_content_type() == "application/json"
        assert json.loads(about.get_payload()) == {"name": "a b/token"}
        assert content.get_content_type() == "application/octet-stream"


@pytest.fixture
def no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the server for Google's own."""
    monkeypatch.setattr(gcs, "_is_emulator", lambda _: False)


_NO_OBJECT = "No such object: bucket/prefix/token"
_NO_BUCKET = "The specified bucket does not exist."


def _said(message: str) -> Answer:
    body = {"error": {"code": 404, "message": message, "errors": [{"reason": "notFound"}]}}
    return Answer(404, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("call", "answer", "reason"),
    [
        ("read", Answer(404, _NO_OBJECT.encode()), None),
        ("read", Answer(404, _NO_BUCKET.encode()), "no-bucket"),
        ("read", _said(_NO_OBJECT), None),
        ("read", _said("Not Found"), "server"),
        ("delete", _said(_NO_OBJECT), None),
        ("delete", _said(_NO_BUCKET), "no-bucket"),
        ("delete", _said("Not Found"), "server"),
        ("create", _said(_NO_BUCKET), "no-bucket"),
        ("create", _said("Not Found"), "no-bucket"),
        *[
            ("read", Answer(404, text, {"Content-Type": "application/json"}), "server")
            for text in (b"[]", b"{}", b'{"error": "x"}', b'{"error": {}}', b"null", b"\xff", b"{")
        ],
        ("read", Answer(404, b"no object in that bucket"), "server"),
        ("read", Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), "other"),
        ("read", Answer(300, b"", {"X-Goog-Generation": "1"}), "other"),
    ],
)
@pytest.mark.usefixtures("no_emulator")
def test_googles_own_words_decide(
    proxy: Proxy, proxied: TokenStore, call: str, answer: Answer, reason: str | None
) -> None:
    """As its servers give them; nothing else is asked, and no other place."""
    proxy.fail("*", answer)
    if reason is None:
        assert CALLS[call](proxied, "1", 30) is None
    else:
        error = failure(call, proxied, "1")
        assert isinstance(error, (StoreUnavailable, StoreWriteError))
        assert (error.reason, error.landed) == (reason, False)
    assert len(proxy.requests) == 1


@pytest.mark.usefixtures("no_emulator")
def test_googles_own_words_are_repeated(proxy: Proxy, proxied: TokenStore) -> None:
    """Without the JSON around them."""
    body = {"error": {"code": 400, "message": "Billing is off.", "errors": []}}
    proxy.fail("POST", Answer(400, json.dumps(body).encode()))
    assert str(failure("create", proxied, "")).endswith("(400: Billing is off.)")


@pytest.mark.parametrize("body", [b"[]", b"{}", b'"x"', b"<html>", b""])
def test_an_upload_without_a_generation_is_no_success(
    proxy: Proxy, proxied: TokenStore, body: bytes
) -> None:
    """Something in between said so."""
    proxy.fail("POST", Answer(200, body))
    error = failure("create", proxied, "")
    assert (error.reason, getattr(error, "landed", None)) == ("server", True)


@pytest.mark.parametrize(("status", "reason"), [(404, "no-bucket"), (403, "missing")])
def test_a_bucket_that_may_not_be_looked_at_is_taken_for_there(
    bucket: Bucket, proxy: Proxy, proxied: TokenStore, status: int, reason: str
) -> None:
    """The role that suffices for objects does not let anybody look at the bucket."""
    proxy.fail(lambda seen: seen.path.endswith(f"/b/{bucket.name}"), dialects.gcs(status, "x"))
    if reason == "missing":
        assert proxied.get("token", deadline=within(30)) is None
    else:
        with pytest.raises(StoreUnavailable) as caught:
            proxied.get("token", deadline=within(30))
        assert caught.value.reason == reason


def test_credentials_may_come_later(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gcsfs would go on without any; where Google's own servers are asked, nobody may."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    for name, value in {
        "CLOUDSDK_CONFIG": str(tmp_path),
        "HOME": str(tmp_path),
        "GCE_METADATA_HOST": f"127.0.0.1:{free_ports(1)[0]}",
        "NO_GCE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    options = bucket.server.options(bucket.server.endpoint)
    del options["token"]
    with open_store(bucket.url(), options) as store:
        with monkeypatch.context() as patch:
            patch.setattr(gcs, "_is_emulator", lambda _: False)
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="NoCredentials: neither") as caught:
                    store.get("token", deadline=within(60))
                assert (caught.value.reason, caught.value.landed) == ("forbidden", False)
        assert store.get("token", deadline=within(60)) is None
