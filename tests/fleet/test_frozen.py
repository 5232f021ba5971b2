"""A process that logs in for all is frozen for longer than its lease, and thaws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fleet.job import Stop
from fleet.ordeal import Ordeal, Ordeals
from fleet.processes import Worker, run_crowd
from fleet.scene import SHORT, TAKEOVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.job import Outcome, Stage
    from fleet.scene import Scene


def problems_of(ordeal: Ordeal, stored: str, thawed: Outcome) -> list[str]:
    """Return what is wrong after a process was frozen, others came, and it went on."""
    scene = ordeal.scene
    # Frozen past its lease, it may no longer log in; but what was sent, or decided, is one extra.
    extra = int(ordeal.in_between or ordeal.before_the_send)
    checks = {
        "somebody was not served": not any(each.error for each in ordeal.successors),
        "not the same token": {each.token for each in ordeal.successors} == {stored},
        "the stored token was replaced": scene.stored() == stored != "",
        f"it returned another token: {thawed.text}": thawed.token == stored,
        f"{ordeal.logins} logins": ordeal.logins == 1 + extra,
        "a session leaked, or the stored one was ended": scene.live() == [stored],
        f"left behind: {scene.objects()}": scene.objects() == [scene.key, scene.key + ".login"],
        "the lock was left held": scene.lock()["state"] == "done",
    }
    return [f"{ordeal}: {what}" for what, fine in checks.items() if not fine]


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize(
    ("kind", "stages"), [("local", ["before", "after"]), ("obstore+seaweed", ["after"])]
)
def test_a_process_frozen_at_any_point_replaces_nothing(
    scene_on: Callable[[str], Scene], kind: str, stages: list[Stage]
) -> None:
    """Scenarios 5, 6 and 7: no login after a thaw, unless it was decided; its session is ended."""
    with Ordeals(scene_on(kind), "STOP", stages=stages) as ordeals:
        for ordeal in ordeals:
            ordeal.victim.wait_until_frozen()
        ordeals.succeed(1)
        stored = [ordeal.scene.stored() for ordeal in ordeals]
        for ordeal in ordeals:
            ordeal.victim.thaw()
        thawed = [ordeal.victim.outcome() for ordeal in ordeals]
        story = zip(ordeals, stored, thawed, strict=True)
        assert [problem for each in story for problem in problems_of(*each)] == []
        assert ordeals.logins() == sum(ordeal.logins for ordeal in ordeals)
        assert len(ordeals.all) >= 12 * len(stages)


@pytest.mark.usefixtures("one_crowd")
def test_a_process_frozen_inside_a_local_write_replaces_nothing(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenarios 5, 6, 7 and 32: before any file operation; nobody waits for it for ever."""
    with Ordeals(scene_on("local"), "STOP", stages=["before"], inside=True) as ordeals:
        for ordeal in ordeals:
            ordeal.victim.wait_until_frozen()
        ordeals.succeed(1)
        stored = [ordeal.scene.stored() for ordeal in ordeals]
        errors = {str(each): each.successors[0].text for each in ordeals}
        assert errors == dict.fromkeys(errors, "")
        for ordeal in ordeals:
            ordeal.victim.thaw()
        for ordeal, token in zip(ordeals, stored, strict=True):
            outcome = ordeal.victim.outcome()
            assert (str(ordeal), outcome.text, outcome.token) == (str(ordeal), "", token)
            assert (str(ordeal), ordeal.scene.stored()) == (str(ordeal), token)
            assert (str(ordeal), ordeal.scene.live()) == (str(ordeal), [token])
            assert ordeal.logins <= 2, str(ordeal)
            left = [name for name in ordeal.scene.objects() if name.endswith(".attrs")]
            assert (str(ordeal), left) == (str(ordeal), [])


def test_a_process_frozen_while_betfair_answers_replaces_nothing(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 6: the login is out when it freezes; after its deadline it no longer counts."""
    scene = scene_on("local")
    scene.sandbox.hold("certlogin")
    with Worker(scene.job(lease=SHORT)) as victim:
        scene.sandbox.wait_for("certlogin")
        victim.freeze()
        scene.sandbox.release("certlogin")
        (outcome,) = run_crowd([scene.job(lease=SHORT, timeout=TAKEOVER)])
        assert outcome.token == scene.stored()
        victim.thaw()
        thawed = victim.outcome()
    assert thawed.token == outcome.token or thawed.error == "IdentityUnavailable"
    assert scene.stored() == outcome.token
    assert outcome.token in scene.live()
    assert scene.logins() == 2
    assert scene.lock()["state"] == "done"


@pytest.mark.parametrize("clock", ["mono", "wall"])
def test_one_clock_that_stands_still_misleads_nobody(
    scene_on: Callable[[str], Scene], clock: str
) -> None:
    """Scenario 15: the larger of the two elapsed times tells a frozen process that it is late."""
    scene = scene_on("local")
    stop = Stop(f"create {scene.key}.login", "after", "STOP")
    with Worker(scene.job(lease=SHORT, stop=stop, clock_stands=clock)) as victim:
        victim.wait_until_frozen()
        (outcome,) = run_crowd([scene.job(lease=SHORT, timeout=TAKEOVER)])
        # The next one needs a login as well, so that only its own clock can hold the frozen one.
        scene.place.delete(scene.key)
        victim.thaw()
        thawed = victim.outcome()
    assert outcome.error == ""
    assert thawed.token == scene.stored() == scene.live()[-1]
    assert thawed.points.count("login") == 1
    late, login = f"swap {scene.key}.login", "login"
    assert thawed.points.index(late) < thawed.points.index(login)
    assert scene.logins() == 2


def test_a_zombies_token_fills_the_gap_that_a_deletion_left(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 16: the new token is deleted while a frozen one holds its own: no third login."""
    scene = scene_on("seaweed")
    with Worker(scene.job(lease=SHORT, warm=True, stop=Stop("login", "after", "STOP"))) as zombie:
        zombie.wait_until_frozen()
        (heir,) = run_crowd([scene.job(lease=SHORT, timeout=TAKEOVER, warm=True)])
        assert heir.token == scene.stored()
        scene.place.delete(scene.key)
        zombie.thaw()
        thawed = zombie.outcome()
    assert thawed.token == scene.stored() != heir.token
    newcomers = run_crowd([scene.job(warm=True)] * 4)
    assert {newcomer.token for newcomer in newcomers} == {thawed.token}
    assert scene.logins() == 2
    assert sorted(scene.live()) == sorted([heir.token, thawed.token])


def test_a_zombie_cannot_write_the_lock_after_its_successor(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 17: what it has to say about the login is out of date, and rejected."""
    scene = scene_on("seaweed")
    stop = Stop(f"swap {scene.key}.login", "before", "STOP")
    with Worker(scene.job(lease=SHORT, warm=True, stop=stop)) as zombie:
        zombie.wait_until_frozen()
        scene.sandbox.expire_all()
        (heir,) = run_crowd([scene.job(lease=SHORT, timeout=TAKEOVER, warm=True)])
        assert heir.token == scene.stored()
        written = scene.lock()
        assert written["state"] == "done"
        zombie.thaw()
        zombie.outcome()
    assert scene.lock() == written
    assert scene.stored() == heir.token
    assert scene.logins() == 2
