"""What the storage drivers say and keep of a token, at the lowest level of every logger."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from secrets_shown import everything_in
from servers.script import Answer

from betfair_session import BetfairSessionError, LeaseSettings, StoreError
from hidden.planted import USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.cloudlike import Cloud
    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy
    from storage.places import BucketPlace

    from hidden.conftest import Said
    from hidden.planted import Planted

KEY = "session.token"
# Each with a logger that is heard when the driver is at work. obstore has none, and gcsfs speaks
# only once in a process.
KINDS = {
    "moto": "botocore",
    "seaweed": "s3fs",
    "gcs": "betfair_session",
    "azure": "azure",
    "sftp": "asyncssh",
    "obstore+moto": "betfair_session",
    "obstore+azure": "betfair_session",
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_driver_logs_a_token(
    planted: Planted, said: Said, bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """A login, a resumption, a rejection, a logout: each reads or writes the token."""
    bucket = bucket_on(kind.removeprefix("obstore+"))
    url = ("obstore+" if kind.startswith("obstore+") else "") + bucket.url()
    with planted.client() as client, planted.manager(client) as manager:
        token = manager.get_session(url, KEY, bucket.options)
        assert bucket.get(KEY) == token.encode()
        assert manager.get_session(url, KEY, bucket.options) == token
        lock = bucket.get(f"{KEY}.login")
        assert lock is None or planted.found_in(lock) == []
        planted.sandbox.expire_all()
        manager.get_session(url, KEY, bucket.options)
        manager.logout(url, KEY, bucket.options)
    assert f"\n{KINDS[kind]}" in f"\n{said.text()}"
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("kind", ["moto", "gcs", "azure", "obstore+moto"])
def test_no_failure_of_a_server_shows_a_token(  # noqa: PLR0917 - fixtures
    planted: Planted,
    said: Said,
    bucket_on: Callable[[str], Bucket],
    server_of: Callable[[str], ObjectServer],
    proxy_to: Callable[[ObjectServer], Proxy],
    kind: str,
) -> None:
    """A lost, a refused and an unreadable answer to each request, in turn."""
    driver, _, name = kind.rpartition("+")
    server, bucket = server_of(name), bucket_on(name)
    proxy = proxy_to(server)
    url = f"{driver}+{bucket.url()}" if driver else bucket.url()
    options = server.options(proxy.endpoint)
    errors = []
    with planted.client() as client, planted.manager(client) as manager:
        for fault in ("lost", "reset", "truncate", Answer(500, b"no"), Answer(403, b"<html>")):
            for match in ("*", "PUT", "POST", "GET"):
                proxy.fail(match, fault, times=4)
                for _ in range(2):
                    try:
                        manager.get_session(url, KEY, options, timeout=8)
                    except BetfairSessionError as error:
                        errors.append(error)
                    planted.sandbox.expire_all()
                planted.secrets()
                proxy.clear()
                with suppress(BetfairSessionError):
                    manager.logout(url, KEY, options)
                bucket.delete(f"{KEY}.login")  # or the brake would be all that errors tell of
    assert len({str(error) for error in errors}) > 2
    assert planted.found_in("\n".join(map(everything_in, errors))) == []
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("verb", ["GET", "PUT"])
def test_no_time_out_of_a_store_shows_a_token(
    planted: Planted, cloud: Cloud, cloud_place: BucketPlace, verb: str
) -> None:
    """In no frame, a driver's neither: asyncio keeps those of what it cancels, from 3.12 on.

    A write without an answer, and a read that stalls in the middle of the token.
    """
    if verb == "GET":
        cloud_place.put(KEY, planted.sandbox.issue(USERNAME).encode())
    answer = "stall" if verb == "GET" else "silence"
    fault = cloud.fail(lambda each: (each.verb, each.name) == (verb, KEY), answer=answer)
    lease = LeaseSettings(ttl=10, login_deadline=3, store_deadline=1)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:
        planted.secrets()  # takes note of the token that lives now
        with pytest.raises(StoreError) as caught:
            manager.get_session(cloud_place.url(), KEY, cloud_place.options, timeout=8)
    assert fault.met
    assert any(name.startswith("token") for name in planted.secrets())
    assert planted.found_in(everything_in(caught.value)) == []
