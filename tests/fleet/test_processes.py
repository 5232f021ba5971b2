"""A fleet of real processes: all at once, killed, frozen, forked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fleet.job import Stop
from fleet.processes import Crowd
from fleet.scene import GENEROUS, Scene

# One worker runs them, and the others go on: two crowds at once would starve each other.
pytestmark = [pytest.mark.usefixtures("one_crowd"), pytest.mark.xdist_group("crowd")]

STORES = ["local", "moto"]
TOOK_LOCK = Stop("create {}.login", "after", "STOP")
DECIDED = Stop("login", "before", "STOP")
IN_HAND = Stop("login", "after", "STOP")
RELEASING = Stop("swap {}.login", "before", "KILL")


@pytest.mark.parametrize(("kind", "count"), [(kind, 16) for kind in STORES])
def test_a_stampede_makes_one_login(
    scene_on: Callable[[str], Scene], kind: str, count: int
) -> None:
    """No token first, and then a dead one: one login, one token for all, few calls, no litter."""
    scene = scene_on(kind)
    with Crowd([scene.job(lease=GENEROUS, warm=True, calls=2)] * count) as crowd:
        for generation in (1, 2):
            crowd.go()
            outcomes = crowd.outcomes()
            assert [outcome.text for outcome in outcomes] == [""] * count
            assert {outcome.token for outcome in outcomes} == {scene.stored()}
            assert max(outcome.store_calls for outcome in outcomes) <= 15
            assert scene.logins() == generation
            scene.assert_quiet()
            scene.sandbox.expire_all()


@contextmanager
def fallen(main: Scene, stops: list[Stop]) -> Iterator[tuple[Crowd, list[Scene]]]:
    """Have one process killed or frozen at each stop, at scenes of their own with dead tokens.

    Each scene's heir comes next in the crowd, then the process that adopts: the heirs have short
    waits, to which a living holder looks late.
    """
    scenes = [main.aside(number) for number in range(len(stops))]
    victims = []
    for scene, stop in zip(scenes, stops, strict=True):
        scene.store_dead_token()
        here = stop._replace(at=str(stop.at).format(scene.key))
        victims.append(scene.job(warm=True, timeout=600, stop=here))
    heirs = [scene.heir() for scene in scenes]
    with Crowd([*victims, *heirs, *(scene.job(warm=True) for scene in scenes)]) as crowd:
        crowd.go(0, 1, 2)
        crowd.wait_until({"KILL": "killed", "STOP": "frozen"}[stops[0].signal], 0, 1, 2)
        yield crowd, scenes


@pytest.mark.parametrize("kind", STORES)
def test_a_killed_holder_costs_at_most_one_login(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """Killed with the lock in hand, with a token in hand, and before it gave the lock back."""
    main = scene_on(kind)
    killed = [DECIDED._replace(signal="KILL"), IN_HAND._replace(signal="KILL"), RELEASING]
    with fallen(main, killed) as (crowd, scenes):
        assert [scene.lock()["state"] for scene in scenes] == ["held"] * 3
        crowd.go(3, 4, 5, 6, 7, 8)
        heirs, others = crowd.outcomes(3, 4, 5), crowd.outcomes(6, 7, 8)
    stored = [scene.stored() for scene in scenes]
    assert [outcome.text for outcome in heirs + others] == [""] * 6
    assert [outcome.token for outcome in heirs + others] == stored * 2
    assert [scene.live()[-1] for scene in scenes] == stored
    assert [len(scene.live()) for scene in scenes] == [1, 2, 1]  # what one had in hand is lost
    for scene in scenes:
        assert scene.objects() == [scene.key, scene.key + ".login"]
    assert main.logins() == 4


@pytest.mark.parametrize("kind", STORES)
def test_a_frozen_holder_replaces_nothing_when_it_thaws(
    scene_on: Callable[[str], Scene], kind: str
) -> None:
    """Frozen before its last look at the time it makes no login; later its login loses."""
    main = scene_on(kind)
    with fallen(main, [TOOK_LOCK, DECIDED, IN_HAND]) as (crowd, scenes):
        crowd.go(3, 4, 5)
        heirs = crowd.outcomes(3, 4, 5)
        stored = [scene.stored() for scene in scenes]
        crowd.thaw(0, 1, 2)
        thawed = crowd.outcomes(0, 1, 2)
    assert [outcome.text for outcome in heirs + thawed] == [""] * 6
    assert [outcome.token for outcome in heirs + thawed] == stored * 2
    assert [scene.stored() for scene in scenes] == stored
    assert [scene.live() for scene in scenes] == [[token] for token in stored]
    assert [outcome.points.count("login") for outcome in thawed] == [0, 1, 1]
    assert [scene.lock()["state"] for scene in scenes] == ["done"] * 3
    assert main.logins() == 5


@pytest.mark.parametrize("kind", STORES)
def test_forked_children_share_one_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Children of a process that has used its session draw nonces of their own."""
    scene = scene_on(kind)
    with Crowd([scene.job(lease=GENEROUS, forks=4)]) as crowd:
        crowd.go()
        (first,) = crowd.outcomes()
        scene.sandbox.expire_all()
        crowd.go()
        crowd.wait(lambda: crowd.members[0].seen == "ended")
        forked = crowd.members[0].outcomes
    assert [outcome.text for outcome in forked] == [""] * 4
    assert {outcome.token for outcome in forked} == {scene.stored()} != {first.token}
    assert len({outcome.nonce for outcome in forked}) == 4
    assert scene.logins() == 2
    scene.assert_quiet()
