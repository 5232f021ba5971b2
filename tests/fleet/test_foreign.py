"""What others do to the objects, and what a lock that is not ours makes a call do."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from storage.places import BucketPlace, LocalPlace
from within import within

from betfair_session import BetfairSessionError, LoginRefused, LoginTimeout
from fleet.fixtures import HASTY
from fleet.job import Stop
from fleet.processes import Worker
from fleet.scene import KEY, LOCK, TAKEOVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.scene import Scene

FUTURE = time.time() + 10 * 365 * 86400
HELD: dict[str, Any] = json.loads(
    '{"v": 1, "state": "held", "nonce": "0000", "owner": "somebody", "ttl": 30.0, "since": 0.0,'
    ' "logins": [], "published": "", "refusals": 0, "status": "", "login_class": "",'
    ' "not_before": 0.0}'
)
JUNK = {
    "empty": b"",
    "bytes": b"\xff\xfe\x00",
    "deep": b"[" * 4000,
    "huge": b"x" * 100_000,
    "another version": json.dumps({**HELD, "v": 2}).encode(),
}
FROM_THE_FUTURE = {
    "refused": {**HELD, "state": "failed", "status": "SUSPENDED", "not_before": FUTURE},
    "logins": {**HELD, "state": "done", "logins": [FUTURE] * 4},
}


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize("kind", ["local", "moto", "gcs", "azure", "obstore+moto"])
def test_a_foreign_token_that_appears_during_a_login_is_adopted(
    scene_on: Callable[[str], Scene], kind: str, *, dead: bool
) -> None:
    """The write loses on every store, and the own session is ended."""
    scene = scene_on(kind)
    if dead:
        scene.store_dead_token()
    scene.sandbox.hold("certlogin")
    with scene.session() as session, ThreadPoolExecutor() as pool:
        call = pool.submit(session.token)
        scene.sandbox.wait_for("certlogin")
        foreign = scene.sandbox.issue()
        scene.place.put(KEY, foreign.encode())
        scene.sandbox.release("certlogin")
        assert call.result() == foreign
    scene.assert_quiet()
    assert scene.stored() == foreign
    assert scene.logins() == 1


@pytest.mark.parametrize("kind", ["moto", "obstore+moto"])
def test_a_delete_marker_is_a_missing_token(scene_on: Callable[[str], Scene], kind: str) -> None:
    """A bucket that keeps versions answers for a deleted token; it is made anew."""
    scene = scene_on(kind)
    assert isinstance(scene.place, BucketPlace)
    server: Any = scene.place.bucket.server
    server.version_bucket(scene.place.bucket.name)
    with scene.session() as session, scene.session() as other:
        token = session.token()
        assert token == other.token() == scene.stored()
        scene.place.delete(KEY)
        assert scene.stored() == ""
        assert session.token() == other.token() == scene.stored() != token
    assert scene.logins() == 2


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    ("kind", "name"), [*(("local", name) for name in JUNK), ("moto", "empty"), ("moto", "huge")]
)
def test_junk_in_place_of_the_lock_counts_as_held_for_half_a_minute(
    scene_on: Callable[[str], Scene], kind: str, name: str
) -> None:
    """It crashes nobody and costs one time to live; a valid token is used all the same."""
    scene = scene_on(kind)
    scene.place.put(LOCK, JUNK[name])
    with scene.session() as session:
        with pytest.raises(LoginTimeout):
            session.token(timeout=29)
        assert (scene.logins(), scene.place.get(LOCK)) == (0, JUNK[name])
        foreign = scene.sandbox.issue()
        scene.place.put(KEY, foreign.encode())
        assert session.token() == foreign
        scene.sandbox.expire(foreign)
        assert session.token(timeout=TAKEOVER) == scene.stored() != foreign
    assert scene.logins() == 1
    scene.assert_quiet()


@pytest.mark.usefixtures("short_waits")
def test_the_time_to_live_that_a_lock_names_counts(scene_on: Callable[[str], Scene]) -> None:
    """Whatever the others' settings are, and though its file is from the future."""
    scene = scene_on("local")
    scene.place.put(LOCK, json.dumps({**HELD, "ttl": 60.0, "since": FUTURE}).encode())
    scene.age_lock(-3600)
    with scene.session(lease=HASTY) as session:
        with pytest.raises(LoginTimeout):
            session.token(timeout=55)
        assert session.token(timeout=70) == scene.stored()
    assert scene.logins() == 1


@pytest.mark.parametrize("name", FROM_THE_FUTURE)
def test_a_lock_from_the_future_stops_nobody(scene_on: Callable[[str], Scene], name: str) -> None:
    """A ban or logins in ten years' time are junk."""
    scene = scene_on("local")
    scene.place.put(LOCK, json.dumps(FROM_THE_FUTURE[name]).encode())
    scene.age_lock(1201)
    with scene.session() as session:
        assert session.token() == scene.stored()
    assert scene.logins() == 1


def test_a_lock_that_cannot_be_read_or_written_makes_nobody_log_in(
    scene_on: Callable[[str], Scene],
) -> None:
    """Something else stands in its place; a valid token is used all the same."""
    scene = scene_on("local")
    assert isinstance(scene.place, LocalPlace)
    (scene.place.directory / LOCK).mkdir()
    with scene.session() as session:
        for dead in (False, True):
            if dead:
                scene.store_dead_token()
            with pytest.raises(BetfairSessionError):
                session.token(timeout=2)
        assert scene.logins() == 0
        foreign = scene.sandbox.issue()
        scene.place.put(KEY, foreign.encode())
        assert session.token() == foreign


def test_a_ban_holds_whatever_happens_to_the_token(scene_on: Callable[[str], Scene]) -> None:
    """No call until it ends, token deleted or replaced; a valid one is adopted; then it is over."""
    scene = scene_on("local")
    old = scene.store_dead_token()
    scene.sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    for content in (old, "", "junk", old):
        if content:
            scene.place.put(KEY, content.encode())
        else:
            scene.place.delete(KEY)
        with scene.session() as session, pytest.raises(LoginRefused) as caught:
            session.token()
        assert caught.value.status == "TEMPORARY_BAN_TOO_MANY_REQUESTS"
        assert scene.logins() == 1
    assert 1100 < scene.lock()["not_before"] - time.time() < 1300
    foreign = scene.sandbox.issue()
    scene.place.put(KEY, foreign.encode())
    with scene.session() as session:
        assert session.token() == foreign
        scene.sandbox.expire(foreign)
        lock = scene.lock()
        scene.place.put(LOCK, json.dumps({**lock, "up": lock["up"] - 1201}).encode())
        assert session.token() == scene.stored()
    assert scene.logins() == 2


@pytest.mark.parametrize("kind", ["local", "moto", "obstore+moto"])
def test_callers_that_live_shorter_than_the_lease_take_over(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """None sees the lock for a whole time to live, but the store's clock tells its age."""
    scene = scene_on(kind)
    lease = {"ttl": 6.0, "login_deadline": 3.0, "store_deadline": 1.5}
    with Worker(scene.job(lease=lease, warm=True, stop=Stop("login", "before", "KILL"))) as victim:
        victim.wait_until_killed()
    served = ""
    for _ in range(10):  # how many come in vain depends on the machine's speed
        with scene.session() as caller:
            caller._store.get("nothing", deadline=within(30))  # it opens its driver
            try:
                served = caller.token(timeout=3)
                break
            except LoginTimeout:
                continue
    assert served == scene.stored() != ""
    assert scene.logins() == 1
