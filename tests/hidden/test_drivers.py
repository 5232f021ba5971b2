"""What the storage drivers say and keep of a token, at the lowest level of every logger."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from secrets_shown import everything_in
from servers.script import Answer
from within import within

from betfair_session import BetfairSessionError, LeaseSettings, StoreError
from hidden.planted import USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.cloudlike import Cloud
    from servers.objects import Bucket
    from storage.places import BucketPlace

    from hidden.conftest import Said
    from hidden.planted import Planted

KEY = "session.token"
# Each with a logger that is heard when the driver is at work. obstore has none, and gcsfs speaks
# only once in a process, so that ours is heard.
KINDS = {"moto": "botocore", "azure": "azure"}


@pytest.mark.parametrize("kind", ["moto", "gcs", "azure", "obstore+moto"])
def test_no_driver_logs_a_token(
    planted: Planted, said: Said, bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """A login, a resumption, a rejection, a logout: each reads or writes the token."""
    driver, plus, server = kind.rpartition("+")
    bucket = bucket_on(server)
    url = driver + plus + bucket.url()
    with planted.client() as client, planted.manager(client) as manager:
        token = manager.get_session(url, KEY, bucket.options)
        assert bucket.get(KEY) == token.encode()
        assert manager.get_session(url, KEY, bucket.options) == token
        lock = bucket.get(f"{KEY}.login")
        assert lock is None or planted.found_in(lock) == []
        planted.sandbox.expire_all()
        manager.get_session(url, KEY, bucket.options)
        manager.logout(url, KEY, bucket.options)
    assert f"\n{KINDS.get(kind, 'betfair_session')}" in f"\n{said.text()}"
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("cloud_lane", ["s3", "gcs", "azure", "obstore+s3"])
def test_no_failure_of_a_server_shows_a_token(
    planted: Planted, said: Said, cloud: Cloud, cloud_place: BucketPlace
) -> None:
    """A lost, a refused and an unreadable answer to each kind of request, in turn."""
    faults: list[tuple[str, dict[str, Any]]] = [
        (f"PUT {KEY}", {"answer": "drop"}),
        (f"PUT {KEY}", {"answer": Answer(500, b"no")}),
        ("GET", {"answer": "reset"}),
        ("GET", {"answer": Answer(403, b"<html>")}),
    ]
    errors: list[BetfairSessionError] = []
    lease = LeaseSettings(ttl=3, login_deadline=1, store_deadline=0.5)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:
        for match, fault in faults:
            cloud.fail(match, **fault)
            with pytest.raises(BetfairSessionError) as caught:
                manager.get_session(cloud_place.url(), KEY, cloud_place.options, timeout=2.5)
            errors.append(caught.value)
            planted.secrets()  # takes note of the token that lives now
            planted.sandbox.expire_all()
            cloud.heal()
            with suppress(BetfairSessionError):
                manager.logout(cloud_place.url(), KEY, cloud_place.options)
            cloud_place.delete(f"{KEY}.login")  # or the brake would be all that errors tell of
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
        planted.secrets()
        session = manager.session(cloud_place.url(), KEY, cloud_place.options)
        session.store.get("nothing", deadline=within(60))  # to open a driver takes time as well
        with pytest.raises(StoreError) as caught:
            session.token(timeout=5)
    assert fault.met
    assert any(name.startswith("token") for name in planted.secrets())
    assert planted.found_in(everything_in(caught.value)) == []
