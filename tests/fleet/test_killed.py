"""A process that logs in for all is killed: somebody else takes over."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from fleet.job import Stop
from fleet.ordeal import Ordeal, Ordeals
from fleet.processes import Worker, run_crowd
from fleet.scene import SHORT, TAKEOVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.job import Stage
    from fleet.scene import Scene

BEFORE_LOGIN = Stop("login", "before", "KILL")


def problems_of(ordeal: Ordeal) -> list[str]:
    """Return what is wrong after a holder was killed and others came."""
    scene, extra = ordeal.scene, int(ordeal.in_between)
    checks = {
        "somebody was not served": not any(each.error for each in ordeal.successors),
        "not the same token": {each.token for each in ordeal.successors} == {scene.stored()},
        "a dead token": scene.stored() in scene.live(),
        f"{ordeal.logins} logins": ordeal.logins == 1 + extra,
        "a leaked session": len(scene.live()) == 1 + extra,
        f"left behind: {scene.objects()}": scene.objects() == [scene.key, scene.key + ".login"],
    }
    problems = [what for what, fine in checks.items() if not fine]
    errors = [each.text for each in ordeal.successors if each.error]
    return [f"{ordeal}: {what}" for what in problems] + errors


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize(
    ("kind", "stages"), [("local", ["before", "after"]), ("obstore+seaweed", ["after"])]
)
def test_a_holder_killed_at_any_point_costs_at_most_one_login(
    scene_on: Callable[[str], Scene], kind: str, stages: list[Stage]
) -> None:
    """Scenario 3: at every store call and the login; all are served within ttl and one login."""
    with Ordeals(scene_on(kind), "KILL", stages=stages) as ordeals:
        for ordeal in ordeals:
            ordeal.victim.wait_until_killed()
        ordeals.succeed(2)
        assert [problem for ordeal in ordeals for problem in problems_of(ordeal)] == []
        assert ordeals.logins() == sum(ordeal.logins for ordeal in ordeals)
        assert len(ordeals.all) >= 12 * len(stages)


@pytest.mark.usefixtures("one_crowd")
def test_a_holder_killed_inside_a_local_write_leaves_nothing_torn_or_lost(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenarios 3 and 32: before every single file operation, at most one extra login."""
    scene = scene_on("local")
    with Ordeals(scene, "KILL", stages=["before"], inside=True) as ordeals:
        for ordeal in ordeals:
            ordeal.victim.wait_until_killed()
            lock = ordeal.scene.place.get(ordeal.scene.key + ".login")
            assert lock is None or ordeal.scene.lock()["v"] == 1
            assert len(ordeal.scene.stored()) in {0, 44}
        ordeals.succeed(1)
        problems = [problem for ordeal in ordeals for problem in problems_inside(ordeal)]
        assert problems == []
        assert len(ordeals.all) >= 30


def problems_inside(ordeal: Ordeal) -> list[str]:
    """Return what is wrong after a kill between two file operations."""
    scene, (outcome,) = ordeal.scene, ordeal.successors
    left = set(scene.objects()) - {scene.key, scene.key + ".login"}
    checks = {
        f"not served: {outcome.text}": outcome.token == scene.stored() != "",
        "a dead token": scene.stored() in scene.live(),
        f"{ordeal.logins} logins": ordeal.logins <= 2,
        # Who finds a live token writes nothing; whoever writes next cleans up.
        f"left behind: {left}": not left or "login" not in outcome.points,
    }
    return [f"{ordeal}: {what}" for what, fine in checks.items() if not fine]


def test_a_holder_killed_around_the_login_leaks_one_session(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenarios 3 and 4: the request is out, or answered, or the token in hand: the next wins."""
    main = scene_on("seaweed")
    sent, answered, in_hand = scenes = [main.aside(number) for number in range(3)]
    for scene, stage in ((sent, "before"), (answered, "after")):
        main.sandbox.hold("certlogin", stage)
        with Worker(scene.job(lease=SHORT, warm=True)) as victim:
            main.sandbox.wait_for("certlogin")
            victim.kill()
        main.sandbox.release("certlogin")
    stop = Stop("login", "after", "KILL")
    with Worker(in_hand.job(lease=SHORT, stop=stop, warm=True)) as victim:
        victim.wait_until_killed()
    before = main.logins()
    jobs = [scene.job(lease=SHORT, timeout=TAKEOVER, warm=True) for scene in scenes]
    outcomes = run_crowd([*jobs, *jobs])
    assert [outcome.token for outcome in outcomes] == [scene.stored() for scene in scenes] * 2
    assert main.logins() == before + 3
    assert [len(scene.live()) for scene in scenes] == [2, 2, 2]
    assert [scene.live()[-1] for scene in scenes] == [scene.stored() for scene in scenes]


def test_a_crash_before_the_lock_is_released_costs_nothing(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 18: newcomers adopt the published token although the lock says "held"."""
    scene = scene_on("seaweed")
    stop = Stop(f"swap {scene.key}.login", "before", "KILL")
    with Worker(scene.job(lease=SHORT, stop=stop, warm=True)) as victim:
        victim.wait_until_killed()
    assert scene.lock()["state"] == "held"
    outcomes = run_crowd([scene.job(warm=True)] * 4)
    assert {outcome.token for outcome in outcomes} == {scene.stored()}
    assert scene.sandbox.counts() == {"certlogin": 1, "keepAlive": 4}
    assert scene.lock()["state"] == "held"


def test_the_holders_time_to_live_counts(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 19: two deployments with unequal settings agree on the dead holder's own."""
    short = {"ttl": 4.0, "login_deadline": 2.0, "store_deadline": 1.0}
    long = {**short, "ttl": 60.0}
    main = scene_on("local")
    patient, hasty = main.aside(0), main.aside(1)
    with contextlib.ExitStack() as stack:
        for scene, lease in ((patient, long), (hasty, short)):
            victim = stack.enter_context(Worker(scene.job(lease=lease, stop=BEFORE_LOGIN)))
            victim.wait_until_killed()
    early, late = run_crowd(
        [
            patient.job(lease=short, timeout=7.0),
            hasty.job(lease=long, timeout=30.0),
        ]
    )
    assert early.error == "LoginTimeout"
    assert late.token == hasty.stored()
    assert main.logins() == 1


SHORT_LIVED = ["local", "seaweed", "obstore+seaweed", "gcs", "azure"]


def test_callers_that_live_shorter_than_the_lease_take_over(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 28: nobody sees the lock for a whole ttl, but the store's clock tells its age."""
    scenes = [scene_on(kind).aside(number) for number, kind in enumerate(SHORT_LIVED)]
    with ThreadPoolExecutor(len(scenes)) as pool:
        served = list(pool.map(_first_token_of_a_short_lived_caller, scenes))
    assert served == [scene.stored() for scene in scenes]
    assert scenes[0].logins() == len(scenes)


def _first_token_of_a_short_lived_caller(scene: Scene) -> str:
    """Kill a holder before its login, then come as one who has little time, again and again."""
    lease = {"ttl": 6.0, "login_deadline": 3.5, "store_deadline": 1.2}
    with Worker(scene.job(lease=lease, warm=True, stop=BEFORE_LOGIN)) as victim:
        victim.wait_until_killed()
    # How many come in vain depends on the machine's speed; none may wait even half of a ttl.
    for _ in range(10):
        (outcome,) = run_crowd([scene.job(lease=lease, timeout=lease["ttl"] / 2, warm=True)])
        if not outcome.error:
            return outcome.token
        assert outcome.error == "LoginTimeout"
    message = "nobody took over"
    raise AssertionError(message)
