"""A fleet of real processes: all at once, killed, frozen, forked, with wrong clocks."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from servers.process import poll

from fleet.job import Stop
from fleet.observed import ObservedStore, Points
from fleet.processes import Worker, run_crowd
from fleet.scene import GENEROUS, KEY, LOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fleet.scene import Scene

STORES = ["local", "moto"]
DECIDED = Stop("login", "before", "STOP")
IN_HAND = Stop("login", "after", "STOP")
RELEASING = "swap {}.login"


@contextmanager
def watched(scene: Scene, pause: float) -> Iterator[None]:
    """Read token and lock all the time, with so many seconds between; none may ever be torn."""
    over, torn = threading.Event(), []

    def watch() -> None:
        while not over.wait(pause):
            token, lock = scene.place.get(KEY), scene.place.get(LOCK)
            if len(token or b"") not in {0, 44}:
                torn.append(token)
            try:
                assert lock is None or json.loads(lock)["v"] == 1
            except ValueError:
                torn.append(lock)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert torn == []


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize(("kind", "count"), [("local", 16), ("moto", 16)])
def test_a_stampede_makes_one_login(
    scene_on: Callable[[str], Scene], kind: str, count: int
) -> None:
    """No token first, and then a dead one: one login, one token for all, few calls, no litter."""
    scene = scene_on(kind)
    for generation in (1, 2):
        with watched(scene, 0.003 if kind == "local" else 0.5):
            outcomes = run_crowd([scene.job(lease=GENEROUS, warm=True)] * count)
        assert [outcome.text for outcome in outcomes] == [""] * count
        assert {outcome.token for outcome in outcomes} == {scene.stored()}
        assert max(outcome.store_calls for outcome in outcomes) <= 15
        assert scene.logins() == generation
        scene.assert_quiet()
        scene.sandbox.expire_all()


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("kind", STORES)
def test_a_killed_holder_costs_at_most_one_login(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """Killed with the lock in hand, with a token in hand, and before it gave the lock back."""
    main = scene_on(kind)
    stops = [("login", "before", 1), ("login", "after", 2), (RELEASING, "before", 1)]
    scenes = [main.aside(number) for number in range(len(stops))]
    for scene, (at, stage, _) in zip(scenes, stops, strict=True):
        scene.store_dead_token()
        stop = Stop(at.format(scene.key), stage, "KILL")  # type: ignore[arg-type] # a literal
        with Worker(scene.job(warm=True, stop=stop)) as victim:
            victim.wait_until_killed()
        assert scene.lock()["state"] == "held"
    # Only one has short waits, to which a living holder looks late; the other adopts.
    jobs = [job for scene in scenes for job in (scene.heir(), scene.job(warm=True))]
    outcomes = run_crowd(jobs)
    assert [outcome.text for outcome in outcomes] == [""] * 6
    for scene, (_, _, sessions), one, other in zip(
        scenes, stops, outcomes[::2], outcomes[1::2], strict=True
    ):
        assert one.token == other.token == scene.stored() == scene.live()[-1]
        assert len(scene.live()) == sessions  # what the dead one had in hand is lost
        assert scene.objects() == [scene.key, scene.key + ".login"]
    assert main.logins() == 4


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("kind", STORES)
def test_a_frozen_holder_replaces_nothing_when_it_thaws(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """Frozen before its last look at the time it makes no login; later its login loses."""
    main = scene_on(kind)
    took_lock = Stop("create {}.login", "after", "STOP")
    scenes = [main.aside(number) for number in range(3)]
    with ExitStack() as stack:
        victims = []
        for scene, stop in zip(scenes, (took_lock, DECIDED, IN_HAND), strict=True):
            scene.store_dead_token()
            here = stop._replace(at=str(stop.at).format(scene.key))
            job = scene.job(warm=True, timeout=600, stop=here)
            victims.append(stack.enter_context(Worker(job)))
            victims[-1].wait_until_frozen()
        heirs = run_crowd([scene.heir() for scene in scenes])
        stored = [scene.stored() for scene in scenes]
        assert [heir.token for heir in heirs] == stored
        for victim in victims:
            victim.thaw()
        thawed = [victim.outcome() for victim in victims]
    assert [outcome.text for outcome in thawed] == [""] * 3
    assert [outcome.token for outcome in thawed] == stored
    assert [scene.stored() for scene in scenes] == stored
    assert [scene.live() for scene in scenes] == [[token] for token in stored]
    assert [outcome.points.count("login") for outcome in thawed] == [0, 1, 1]
    assert [scene.lock()["state"] for scene in scenes] == ["done"] * 3
    assert main.logins() == 5


@pytest.mark.parametrize("clock", ["mono", "wall"])
def test_one_clock_that_stands_still_misleads_nobody(
    scene_on: Callable[[str], Scene], clock: str
) -> None:
    """The larger of the two elapsed times tells a frozen process that it is late."""
    scene = scene_on("local")
    stop = Stop(f"create {LOCK}", "after", "STOP")
    with Worker(scene.job(timeout=600, stop=stop, clock_stands=clock)) as victim:
        victim.wait_until_frozen()
        (heir,) = run_crowd([scene.heir()])
        # It still needs a login, so that nothing but its own clock can hold it.
        scene.place.delete(KEY)
        victim.thaw()
        thawed = victim.outcome()
    assert heir.token != thawed.token == scene.stored()
    # It found its lock lost before it logged in.
    assert thawed.points.index(RELEASING.format(KEY)) < thawed.points.index("login")
    assert scene.logins() == 2


def test_a_zombies_token_fills_the_gap_that_a_deletion_left(
    scene_on: Callable[[str], Scene],
) -> None:
    """The new token is deleted while a frozen process holds its own: there is no third login."""
    scene = scene_on("local")
    with Worker(scene.job(timeout=600, stop=IN_HAND)) as zombie:
        zombie.wait_until_frozen()
        (heir,) = run_crowd([scene.heir()])
        scene.place.delete(KEY)
        zombie.thaw()
        thawed = zombie.outcome()
    assert thawed.token == scene.stored() != heir.token
    with scene.session() as newcomer:
        assert newcomer.token() == thawed.token
    assert scene.logins() == 2
    assert sorted(scene.live()) == sorted([heir.token, thawed.token])


def test_a_zombie_cannot_write_the_lock_after_its_successor(
    scene_on: Callable[[str], Scene],
) -> None:
    """What it has to say about its login is out of date."""
    scene = scene_on("local")
    stop = Stop(RELEASING.format(KEY), "before", "STOP")
    with Worker(scene.job(timeout=600, stop=stop)) as zombie:
        zombie.wait_until_frozen()
        scene.sandbox.expire_all()
        (heir,) = run_crowd([scene.heir()])
        written = scene.lock()
        assert (heir.token, written["state"]) == (scene.stored(), "done")
        zombie.thaw()
        assert zombie.outcome().error == ""
    assert scene.lock() == written
    assert scene.stored() == heir.token
    assert scene.logins() == 2


@pytest.mark.parametrize("kind", STORES)
def test_a_wrong_clock_takes_no_living_holders_lock(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """The holder's clock is an hour behind, the others' an hour ahead or right."""
    scene = scene_on(kind)
    scene.sandbox.hold("certlogin")
    others = [scene.job(waits=0.1, timeout=20, clock_offset=hours * 3600) for hours in (1, 0, -1)]
    with Worker(scene.job(clock_offset=-3600)) as holder:
        scene.sandbox.wait_for("certlogin")
        outcomes = run_crowd(others)
        scene.sandbox.release("certlogin")
        token = holder.outcome().token
    assert [outcome.error for outcome in outcomes] == ["LoginTimeout"] * 3
    assert token == scene.stored()
    assert scene.logins() == 1


@pytest.mark.parametrize("kind", STORES)
def test_forked_children_share_one_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Children of a process that has used its session draw nonces of their own."""
    scene = scene_on(kind)
    with Worker(scene.job(lease=GENEROUS, forks=4)) as worker:
        worker.listen(1)
        scene.sandbox.expire_all()
        worker.tell("go")
        first, *forked = worker.listen()
    assert [outcome.text for outcome in forked] == [""] * 4
    assert {outcome.token for outcome in forked} == {scene.stored()} != {first.token}
    assert len({outcome.nonce for outcome in forked}) == 4
    assert scene.logins() == 2
    scene.assert_quiet()


def test_a_refusal_is_shared(scene_on: Callable[[str], Scene]) -> None:
    """One call; all who waited, and all who come later, fail fast with the same."""
    scene = scene_on("local")
    scene.sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    for count in (8, 2):
        outcomes = run_crowd([scene.job(lease=GENEROUS)] * count)
        assert {(outcome.error, outcome.status) for outcome in outcomes} == {
            ("LoginRefused", "INVALID_USERNAME_OR_PASSWORD")
        }
        assert all(outcome.not_before for outcome in outcomes)
    assert scene.sandbox.counts() == {"certlogin": 1}
    assert scene.lock()["refusals"] == 1
    assert scene.stored() == ""


def test_threads_that_wait_poll_the_store_as_one(scene_on: Callable[[str], Scene]) -> None:
    """Sixteen threads of a process make no more calls of the store than one would."""
    scene = scene_on("local")
    scene.sandbox.hold("certlogin")
    points = Points(None, lambda _: None)
    with (
        scene.session() as holder,
        scene.session() as waiter,
        ThreadPoolExecutor(17) as pool,
    ):
        waiter._store = ObservedStore(waiter._store, points)
        calls = [pool.submit(holder.token)]
        scene.sandbox.wait_for("certlogin")
        calls += [pool.submit(waiter.token) for _ in range(16)]
        assert any(len(points.passed) > 4 for _ in poll(30))  # they are waiting
        scene.sandbox.release("certlogin")
        tokens = {call.result() for call in calls}
    assert tokens == {scene.stored()}
    assert len(points.passed) <= 20
    assert scene.logins() == 1
