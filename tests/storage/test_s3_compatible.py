"""Amazon's own servers, and others that speak S3's protocol in part."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem
from servers.cloudlike import Cloud
from servers.cloudlike_wire import ABSENT, Order, Says
from servers.listeners import Listener, Stranger, tunnel
from servers.process import HOST
from servers.script import Answer

from betfair_session import ConfigurationError, StoreError
from betfair_session.storage import open_store
from betfair_session.storage.cloud import CloudStore, Target
from betfair_session.storage.contract import TokenStore, VersionConflict
from betfair_session.tokens import is_blank
from storage.contract import assert_conflict, create, delete, get, put, read

LOCK = "token.login"
UNMET = Says(412, "PreconditionFailed")
BUSY = Says(503, "SlowDown")

drivers = pytest.mark.parametrize("driver", ["", "obstore+"])


def conditional(order: Order) -> bool:
    return order.verb == "PUT" and order.expect is not None


def replacing(order: Order) -> bool:
    return conditional(order) and order.expect != ABSENT


def checksums(cloud: Cloud) -> list[str]:
    sent = [name for each in cloud.requests for name in each.headers]
    return [name for name in sent if "checksum" in name or "trailer" in name]


@pytest.fixture
def amazon(driver: str, tmp_path: Path) -> Iterator[tuple[Cloud, TokenStore]]:
    """A stub that a proxy puts in Amazon's place, and a store that reaches it so."""
    authority = tmp_path / "ca.pem"
    name = "s3.eu-west-1.amazonaws.com"

    def lead(listener: Listener, client: socket.socket) -> None:
        tunnel(listener, client, stub.port)

    # The cloud ends first, and with it what goes through the proxy.
    with Listener(lead) as proxy, Cloud("s3", tls=Stranger(authority, name=name).tls) as stub:
        address = f"http://{HOST}:{proxy.port}"
        client: dict[str, Any] = {"region_name": "eu-west-1"}
        more: dict[str, Any] = {
            "client_options": {"proxy_url": address, "allow_invalid_certificates": True}
        }
        if not driver:
            client["verify"] = str(authority)
            path = {"addressing_style": "path"}
            more = {"config_kwargs": {"proxies": {"https": address}, "s3": path}}
        options = {"key": "k", "secret": "s", "client_kwargs": client, **more}
        with open_store(driver + stub.new_bucket().url(), options) as store:
            yield stub, store
        assert proxy.heard.startswith(f"CONNECT {name}:443 ".encode())


@drivers
def test_amazon_keeps_conditions_and_is_sent_a_checksum(
    amazon: tuple[Cloud, TokenStore], driver: str
) -> None:
    """It is not tested first; Object Lock's default retention demands a checksum."""
    cloud, store = amazon
    create(store, key=LOCK)
    assert (len(cloud.requests), bool(checksums(cloud))) == (1, True)
    assert (store.atomic, store.probe) == (True, False)
    version = create(store)
    newer = put(store, b"second", version)
    cloud.requests.clear()
    assert_conflict(lambda: put(store, b"late", version))
    assert len(cloud.requests) == 1
    assert_conflict(lambda: delete(store, version))
    delete(store, newer)
    if driver:
        assert is_blank(read(store).content)
    else:
        assert get(store) is None
        asked = [each.expect for each in cloud.orders if each.verb == "DELETE"]
        assert asked == [each.strip('"') for each in (version, newer)]


_OF_S3 = """
    s3.amazonaws.com s3.eu-west-1.amazonaws.com s3-us-west-2.amazonaws.com
    s3-fips.us-gov-west-1.amazonaws.com
    s3.dualstack.us-east-1.amazonaws.com s3-accelerate.dualstack.amazonaws.com
    s3.cn-north-1.amazonaws.com.cn
    s3.eusc-de-east-1.amazonaws.eu s3express-use1-az5.us-east-1.amazonaws.com s3.us-east-1.api.aws
    a-1.s3-accesspoint.us-east-1.amazonaws.com bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com
    x.s3-outposts.us-east-1.amazonaws.com accesspoint.s3-global.amazonaws.com
"""
_BESIDE = """
    ec2-3-1-2-3.eu-west-1.compute.amazonaws.com ec2-3-1-2-3.compute-1.amazonaws.com
    s3-minio-1.eu-west-1.elb.amazonaws.com a.execute-api.eu-west-1.amazonaws.com
    s3.eu-west-1.compute.amazonaws.com s3.amazonaws.com.example.com minio.example.com amazonaws.com
"""


@pytest.mark.parametrize("host", [*_OF_S3.split(), *_BESIDE.split()])
def test_only_amazons_own_s3_is_trusted_untried(host: str) -> None:
    """A server of somebody's own may have one of Amazon's names, too."""
    with open_store("obstore+s3://b", {"endpoint_url": f"https://{host}"}) as store:
        assert store.probe is (host in _BESIDE.split())


@pytest.mark.parametrize("way", ["s3fs", "obstore", "profile", "given"])
def test_a_server_that_keeps_conditions_is_tried_out_once(
    s3: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """By a second write of the first lock, for each condition; also if a profile names it."""
    bucket = s3.new_bucket("obstore+" if way == "obstore" else "")
    given: tuple[Any, Any] = (bucket.url(), bucket.options)
    if way in ("profile", "given"):
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        (tmp_path / "config").write_text(
            f"[profile mine]\nendpoint_url = {s3.endpoint}\nregion = us-east-1\n"
            "aws_access_key_id = k\naws_secret_access_key = s\n"
        )
        filesystem = S3FileSystem(profile="mine", skip_instance_cache=True)
        own = ((filesystem, bucket.name), None)
        given = own if way == "given" else (bucket.url(), {"profile": "mine"})
    with open_store(*given) as store:
        version = create(store, key=LOCK)
        create(store, key=f"other-{LOCK}")
        assert (store.atomic, store.probe) == (True, True)
        version = put(store, b"second", version, LOCK)
        assert (store.atomic, store.probe) == (True, False)
        put(store, b"third", version, LOCK)
        tried, once = ["PUT", "PUT", "GET"], ["PUT"]
        assert [each.verb for each in s3.orders] == tried + once + tried + once
        s3.fail(conditional, answer=Says(501, "NotImplemented"))
        with pytest.raises(StoreError):  # what was proven is not doubted
            put(store, b"fourth", version, LOCK)
        assert store.atomic
    # Many refuse one; a filesystem of the caller's own is left as it is.
    assert way == "given" or checksums(s3) == []


@pytest.mark.parametrize("own", [False, True])
def test_over_tls_no_frame_is_kept_for_content(tmp_path: Path, *, own: bool) -> None:
    """Over TLS botocore frames what it writes; a caller's own settings count, and are noticed."""
    file = tmp_path / "ca.pem"
    with Cloud("s3", tls=Stranger(file).tls) as cloud:
        bucket = cloud.new_bucket()
        options = bucket.options
        options["client_kwargs"]["verify"] = str(file)
        if own:
            options["config_kwargs"] = {"request_checksum_calculation": "when_supported"}
        with open_store(bucket.url(), options) as store:
            if own:
                with pytest.raises(ConfigurationError):
                    create(store, key=LOCK)
                return
            for key in (LOCK, "token"):
                version = create(store, key=key)
                put(store, b"second", version, key)
                assert bucket.get(key) == b"second"
        assert checksums(cloud) == []


@drivers
def test_object_lock_elsewhere_has_what_it_demands(s3: Cloud, driver: str) -> None:
    """Content-MD5, which every server knows; through obstore only what its own setting adds."""
    bucket = s3.new_bucket()
    extra = {"config": {"checksum_algorithm": "sha256"}} if driver else {}
    with open_store(driver + bucket.url(), {**bucket.options, **extra}) as store:
        create(store)
    (sent,) = s3.requests
    assert {"content-md5", "x-amz-checksum-sha256"} & set(sent.headers)


@drivers
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        None,
        Says(501, "NotImplemented"),
        Says(400, "InvalidArgument"),
        Says(400, "NotImplemented"),
        UNMET,
    ],
    ids=str,
)
def test_a_server_without_conditions_is_used_by_looking_first(
    s3: Cloud, answer: Says | None, driver: str, caplog: pytest.LogCaptureFixture, *, half: bool
) -> None:
    """If it ignores or refuses conditions, they are not relied on, and one warning says so.

    Half: it keeps If-None-Match, and does so with If-Match alone.
    """
    bucket = s3.new_bucket()
    refused = replacing if half else conditional
    s3.ignores = refused
    if answer:
        s3.fail(refused, answer=answer)
    with (
        open_store(driver + bucket.url(), bucket.options) as store,
        caplog.at_level(logging.WARNING, "betfair_session.storage"),
    ):
        version = create(store, key=LOCK)
        assert (store.atomic, store.probe) == (half, half)
        assert_conflict(lambda: create(store, b"x", LOCK))
        if not half:
            assert_conflict(lambda: put(store, b"x", '"another"', LOCK))
        put(store, b"second", version, LOCK)
        assert (store.atomic, store.probe) == (False, False)
        assert_conflict(lambda: put(store, b"x", '"another"', LOCK))
        create(store, b"token")
        assert (bucket.get(LOCK), bucket.get("token")) == (b"second", b"token")
    assert len(caplog.records) == 1


@drivers
@pytest.mark.parametrize(
    ("match", "answer", "key", "there"),
    [
        (conditional, UNMET, LOCK, True),
        (conditional, UNMET, "token", True),
        ("PUT", Says(400, "InvalidArgument"), LOCK, False),
        (conditional, Answer(501, b"<html>no</html>"), LOCK, False),
        (conditional, Answer(412, b"<html>no</html>"), LOCK, False),
    ],
    ids=[
        *("another's lock", "another's token", "every write is refused"),
        *("a gateway's 501", "a gateway's 412"),
    ],
)
def test_what_is_no_fault_of_the_servers_conditions(
    s3: Cloud,
    match: str | Callable[[Order], bool],
    answer: Says | Answer,
    key: str,
    driver: str,
    *,
    there: bool,
) -> None:
    """A 412 while the condition does not hold, a refusal of all writes, one that is not its own."""
    bucket = s3.new_bucket()
    if there:
        bucket.put(key, b"another's")
    s3.fail(match, answer=answer)
    with open_store(driver + bucket.url(), bucket.options) as store:
        with pytest.raises(StoreError) as caught:
            create(store, key=key)
        assert isinstance(caught.value, VersionConflict) is (answer is UNMET)
        landed = isinstance(answer, Answer)
        assert (caught.value.landed, store.atomic, store.probe) == (landed, True, True)


@drivers
@pytest.mark.parametrize("answer", [Says(501, "NotImplemented"), UNMET], ids=str)
def test_a_dead_token_may_be_the_first_that_is_replaced(
    s3: Cloud, driver: str, answer: Says
) -> None:
    """It is so without a lock from before; where If-Match is refused, the new one is kept."""
    bucket = s3.new_bucket()
    bucket.put("token", b"dead")
    s3.fail(replacing, answer=answer)
    with open_store(driver + bucket.url(), bucket.options) as store:
        dead = read(store).version
        create(store, key=LOCK)
        put(store, b"live", dead)
        assert (bucket.get("token"), store.atomic) == (b"live", False)


@drivers
@pytest.mark.parametrize("another", [b"another's", None], ids=["replaced", "removed"])
def test_a_server_that_keeps_conditions_keeps_anothers_token(
    s3: Cloud, driver: str, another: bytes | None
) -> None:
    """It was not tried out for If-Match yet; a conflict there is one."""
    bucket = s3.new_bucket()
    bucket.put("token", b"dead")
    with open_store(driver + bucket.url(), bucket.options) as store:
        dead = read(store).version
        create(store, key=LOCK)
        bucket.delete("token")
        if another:
            bucket.put("token", another)
        assert_conflict(lambda: put(store, b"mine", dead))
        assert (bucket.get("token"), store.atomic, store.probe) == (another, True, True)


@pytest.mark.parametrize("verb", ["PUT", "GET"])
def test_a_server_that_cannot_be_tried_out_keeps_the_lock(s3: Cloud, verb: str) -> None:
    """The write itself was done; the next lock is the next test."""
    bucket = s3.new_bucket()
    with open_store(bucket.url(), bucket.options) as store:
        fault = s3.fail(lambda order: order.verb == verb and len(s3.orders) > 1, answer=BUSY)
        version = create(store, key=LOCK)
        assert (len(fault.met), store.probe) == (1, True)
        s3.heal()
        put(store, b"second", version, LOCK)
        assert (store.atomic, store.probe) == (True, True)
        create(store, key=f"other-{LOCK}")
        assert (store.atomic, store.probe) == (True, False)


def test_another_write_during_the_test_is_no_fault_of_the_server(s3: Cloud) -> None:
    bucket = s3.new_bucket()
    with open_store(bucket.url(), bucket.options) as store:
        look = vars(CloudStore)["_look"]

        def late(target: Target) -> object:
            bucket.put(LOCK, b"another's")
            return look(store, target)

        vars(store)["_look"] = late
        create(store, key=LOCK)
        assert store.atomic
