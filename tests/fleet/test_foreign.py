"""What others do to the objects: foreign writers, junk, versioned buckets."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from storage.places import BucketPlace, LocalPlace
from within import within

from betfair_session import BetfairSessionError, LoginTimeout
from fleet.scene import KEY, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox

EVERYWHERE = ["local", "seaweed", "moto", "gcs", "azure", "obstore+seaweed"]

FUTURE = time.time() + 10 * 365 * 86400
HELD: dict[str, Any] = {
    "v": 1,
    "state": "held",
    "nonce": "0" * 16,
    "owner": "somebody",
    "ttl": 30.0,
    "since": 0.0,
    "logins": [],
    "published": "",
    "refusals": 0,
    "status": "",
    "login_class": "",
    "not_before": 0.0,
}
JUNK = {
    "empty": b"",
    "no JSON": b"{",
    "bytes": b"\xff\xfe\x00",
    "a list": b"[]",
    "deep": b"[" * 4000,
    "huge": b"x" * 100_000,
    "another version": json.dumps({**HELD, "v": 2}).encode(),
    "an unknown state": json.dumps({**HELD, "state": "maybe"}).encode(),
    "no number": json.dumps({**HELD, "ttl": "NaN"}).encode(),
    "infinite": json.dumps({**HELD, "ttl": float("inf")}).encode(),
    "held for ever": json.dumps({**HELD, "ttl": 1e12}).encode(),
    "held since the future": json.dumps({**HELD, "since": FUTURE}).encode(),
}
FROM_THE_FUTURE = {
    "refused": {**HELD, "state": "failed", "status": "SUSPENDED", "not_before": FUTURE},
    "logins": {**HELD, "state": "done", "logins": [FUTURE] * 4},
}


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_a_foreign_token_that_appears_during_a_login_is_adopted(
    scene_on: Callable[[str], Scene], kind: str, *, dead: bool
) -> None:
    """Scenario 30: the write loses on every backend, and the own session is ended."""
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


@pytest.mark.parametrize("kind", ["seaweed", "moto"])
@pytest.mark.parametrize("driver", ["", "obstore+"])
def test_a_delete_marker_is_a_missing_token(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket], kind: str, driver: str
) -> None:
    """Scenario 26: a bucket that keeps versions answers for a deleted token; it is made anew."""
    bucket = bucket_on(kind)
    server: Any = bucket.server  # both of them can
    server.version_bucket(bucket.name)
    scene = Scene.at(sandbox, BucketPlace(bucket, driver))
    with scene.session() as session, scene.session() as other:
        for generation in range(1, 4):
            token = session.token()
            assert token == other.token() == scene.stored()
            assert scene.logins() == generation
            scene.place.delete(KEY)
            assert scene.stored() == ""
    with scene.session() as third:
        assert third.token() == scene.stored() != token


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("local", name) for name in JUNK), ("seaweed", "empty"), ("seaweed", "huge")],
)
def test_junk_in_place_of_the_lock_counts_as_held(
    scene_on: Callable[[str], Scene], kind: str, name: str
) -> None:
    """Scenario 35: no crash and no login while it is young; a valid token is used all the same."""
    scene = scene_on(kind)
    scene.place.put(KEY + ".login", JUNK[name])
    with scene.session() as session:
        session._store.get("nothing", deadline=within(30))  # it opens its driver
        with pytest.raises(LoginTimeout):
            session.token(timeout=1)
        assert scene.logins() == 0
        assert scene.place.get(KEY + ".login") == JUNK[name]
        foreign = scene.sandbox.issue()
        scene.place.put(KEY, foreign.encode())
        assert session.token() == foreign


@pytest.mark.parametrize("name", JUNK)
def test_junk_in_place_of_the_lock_costs_one_time_to_live(
    scene_on: Callable[[str], Scene], name: str
) -> None:
    """Scenario 35: once it is old it is taken over like any other lock."""
    scene = scene_on("local")
    scene.place.put(KEY + ".login", JUNK[name])
    scene.age_lock(121 if name == "held for ever" else 31)
    with scene.session() as session:
        assert session.token() == scene.stored()
    assert scene.logins() == 1
    scene.assert_quiet()


@pytest.mark.parametrize("name", FROM_THE_FUTURE)
def test_a_lock_from_the_future_stops_nobody(scene_on: Callable[[str], Scene], name: str) -> None:
    """Scenario 35: a ban or logins in ten years' time are junk, too."""
    scene = scene_on("local")
    scene.place.put(KEY + ".login", json.dumps(FROM_THE_FUTURE[name]).encode())
    scene.age_lock(1201)
    with scene.session() as session:
        assert session.token() == scene.stored()
    assert scene.logins() == 1


def test_a_lock_written_in_the_future_is_taken_after_one_time_to_live(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 35: its age by the store is negative; the own clock sees that nothing happens."""
    scene = scene_on("local")
    scene.place.put(KEY + ".login", json.dumps({**HELD, "ttl": 1.0, "since": FUTURE}).encode())
    scene.age_lock(-3600)
    with scene.session() as session:
        assert session.token(timeout=10) == scene.stored()
    assert scene.logins() == 1


def test_a_lock_that_cannot_be_read_or_written_makes_nobody_log_in(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 35: something else stands in its place; a valid token is used all the same."""
    scene = scene_on("local")
    assert isinstance(scene.place, LocalPlace)
    (scene.place.directory / (KEY + ".login")).mkdir()
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
