"""What the storage drivers log and keep of a token, at the lowest level of every logger."""

from __future__ import annotations

import pytest
from servers.cloudlike import Cloud
from servers.objects import Bucket
from within import within

from betfair_session import LeaseSettings
from hidden.conftest import Fails, Said
from hidden.planted import USERNAME, Planted

KEY = "session.token"
# Each with a logger that is heard when the driver is at work. obstore has none, and gcsfs speaks
# only once in a process.
LANES = {
    "s3": "botocore",
    "gcs": "betfair_session",
    "azure": "azure",
    "obstore+s3": "betfair_session",
}


def live_a_life(planted: Planted, said: Said, place: Bucket) -> None:
    """Log in, resume, have a token rejected and log out, and look for the token in the logs."""
    at = (place.url(), KEY, place.options)
    with planted.client() as client, planted.manager(client) as manager:
        token = manager.get_session(*at)
        assert place.get(KEY) == token.encode()
        assert manager.get_session(*at) == token
        assert planted.found_in(place.get(f"{KEY}.login") or b"") == []
        planted.sandbox.expire_all()
        manager.get_session(*at)
        manager.logout(*at)
    assert planted.found_in(said()) == []


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("cloud_lane", LANES)
def test_no_driver_shows_a_token(
    planted: Planted, said: Said, cloud_place: Bucket, cloud_lane: str
) -> None:
    live_a_life(planted, said, cloud_place)
    assert f"\n{LANES[cloud_lane]}" in f"\n{said()}"


@pytest.mark.parametrize("cloud_lane", LANES)
@pytest.mark.parametrize("verb", ["GET", "PUT"])
def test_no_time_out_of_a_store_shows_a_token(
    planted: Planted, fails: Fails, cloud: Cloud, cloud_place: Bucket, verb: str
) -> None:
    """In no frame, not even a driver's: from 3.12 on, asyncio keeps those of what it cancels."""
    if verb == "GET":
        cloud_place.put(KEY, planted.sandbox.issue(USERNAME).encode())
    answer = "stall" if verb == "GET" else "silence"
    fault = cloud.fail(lambda each: (each.verb, each.name) == (verb, KEY), answer=answer)
    lease = LeaseSettings(ttl=10, login_deadline=3, store_deadline=0.5)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:
        session = manager.session(cloud_place.url(), KEY, cloud_place.options)
        session.store.get("nothing", deadline=within(60))  # opening a driver takes time, too
        fails(lambda: session.token(timeout=5))
    assert fault.met
    assert any(name.startswith("token") for name in planted.secrets())
