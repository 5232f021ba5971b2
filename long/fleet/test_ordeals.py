"""A process that logs in for all is killed, or frozen past its lease, at every single point."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from fleet.job import Job, Outcome, Signal, Stage, Stop
from fleet.processes import Crowd, Member, run_crowd
from fleet.scene import GENEROUS, Scene

pytestmark = pytest.mark.timeout(1800)

STORES = [
    *[(kind, ["before", "after"]) for kind in ("local", "moto", "gcs", "azure")],
    ("obstore+seaweed", ["after"]),
]


@dataclass
class Ordeal:
    """One process that ends or freezes at one point, at a scene of its own."""

    scene: Scene  # where
    at: int  # the number of the point
    stop: Stop  # the same, and how
    path: Sequence[str]  # the points of a process that nothing happens to
    victim: Member = field(default_factory=Member)  # the process
    successors: list[Outcome] = field(default_factory=list)  # how the later processes fared

    def __str__(self) -> str:
        return f"{self.stop.signal} {self.stop.stage} #{self.at} {self.path[self.at]}"

    @property
    def in_between(self) -> bool:
        """Whether it happened after the login was answered and before the token was stored."""
        points = enumerate(self.path)  # a rehearsal's, whose token has another name
        publication = next(n for n, name in points if re.fullmatch("(create|swap) .*token", name))
        return self._over(self.path.index("login")) and not self._over(publication)

    @property
    def before_the_send(self) -> bool:
        """Whether it happened when all was decided and the login not yet sent."""
        return (self.at, self.stop.stage) == (self.path.index("login"), "before")

    def _over(self, number: int) -> bool:
        return self.at > number or (self.at, self.stop.stage) == (number, "after")

    @property
    def logins(self) -> int:
        """How many logins were sent in all, as the processes report."""
        sent = self.victim.points.count("login")
        if self.stop.signal == "KILL" and self.before_the_send:
            sent -= 1
        return sent + sum(outcome.points.count("login") for outcome in self.successors)


@contextmanager
def ordeals_of(
    scene: Scene, signal: Signal, stages: Sequence[Stage], *, inside: bool = False
) -> Iterator[tuple[list[Ordeal], Crowd]]:
    """Rehearse undisturbed, and let one victim end or freeze at each stage of each point.

    Half of them find a dead token, half none; the rehearsals are one login for each kind. File
    operations are points, too, `inside`.
    """
    rehearsals = (scene.aside(0), scene.aside(1))
    rehearsals[0].store_dead_token()
    rehearsed = run_crowd([each.job(warm=True, inside=inside) for each in rehearsals])
    ordeals: list[Ordeal] = []
    jobs: list[Job] = []
    for dead, path in ((True, rehearsed[0].points), (False, rehearsed[1].points)):
        for at, stage in itertools.product(range(len(path)), stages):
            aside, stop = scene.aside(len(ordeals) + 2), Stop(at, stage, signal)
            if dead:
                aside.store_dead_token()
            # By its clocks it is frozen for a minute; its call has more time.
            jobs.append(aside.job(stop=stop, warm=True, inside=inside, timeout=600))
            ordeals.append(Ordeal(aside, at, stop, path))
    with Crowd(jobs) as crowd:
        for ordeal, member in zip(ordeals, crowd.members, strict=True):
            ordeal.victim = member
        crowd.go()
        crowd.wait_until({"KILL": "killed", "STOP": "frozen"}[signal])
        yield ordeals, crowd


def succeed(ordeals: list[Ordeal], successors: int) -> None:
    """Let one process take over at each scene, and then the others come."""
    # One alone: to a process whose waits are short, a living holder at work looks late.
    for job in ("heir", "job")[:successors]:
        jobs = [getattr(ordeal.scene, job)(warm=True, lease=GENEROUS) for ordeal in ordeals]
        for ordeal, outcome in zip(ordeals, run_crowd(jobs), strict=True):
            ordeal.successors.append(outcome)


def after_a_kill(ordeal: Ordeal) -> list[str]:
    """Return what is wrong after a holder was killed and others came."""
    scene, extra = ordeal.scene, int(ordeal.in_between)
    errors = [each.text for each in ordeal.successors if each.error]
    checks = {
        f"somebody was not served: {errors}": not errors,
        "not the same token": {each.token for each in ordeal.successors} == {scene.stored()},
        "a dead token": scene.stored() in scene.live(),
        f"{ordeal.logins} logins": ordeal.logins == 1 + extra,
        "a leaked session": len(scene.live()) == 1 + extra,
        f"left behind: {scene.objects()}": scene.objects() == [scene.key, scene.key + ".login"],
    }
    return [f"{ordeal}: {what}" for what, fine in checks.items() if not fine]


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize(("kind", "stages"), STORES)
def test_a_holder_killed_at_any_point_costs_at_most_one_login(
    scene_on: Callable[[str], Scene], kind: str, stages: list[Stage]
) -> None:
    """At every store call and the login; all are served within ttl and one login."""
    main = scene_on(kind)
    with ordeals_of(main, "KILL", stages) as (ordeals, _):
        succeed(ordeals, 2)
        assert [problem for ordeal in ordeals for problem in after_a_kill(ordeal)] == []
        assert main.logins() == 2 + sum(ordeal.logins for ordeal in ordeals)
        assert len(ordeals) >= 12 * len(stages)


@pytest.mark.usefixtures("one_crowd")
def test_a_holder_killed_inside_a_local_write_leaves_nothing_torn_or_lost(
    scene_on: Callable[[str], Scene],
) -> None:
    """Before every single file operation, at most one extra login."""
    main = scene_on("local")
    with ordeals_of(main, "KILL", ["before"], inside=True) as (ordeals, _):
        for ordeal in ordeals:
            lock = ordeal.scene.place.get(ordeal.scene.key + ".login")
            assert lock is None or ordeal.scene.lock()["v"] == 1
            assert len(ordeal.scene.stored()) in {0, 44}
        succeed(ordeals, 1)
        problems = [problem for ordeal in ordeals for problem in after_a_kill_inside(ordeal)]
        assert problems == []
        assert len(ordeals) >= 30


def after_a_kill_inside(ordeal: Ordeal) -> list[str]:
    """Return what is wrong after a kill between two file operations."""
    scene, (outcome,) = ordeal.scene, ordeal.successors
    left = set(scene.objects()) - {scene.key, scene.key + ".login"}
    checks = {
        f"not served: {outcome.text}": outcome.token == scene.stored() != "",
        "a dead token": scene.stored() in scene.live(),
        f"{ordeal.logins} logins": ordeal.logins <= 2,
        # A process that finds a live token writes nothing; the next that writes cleans up.
        f"left behind: {left}": not left or "login" not in outcome.points,
    }
    return [f"{ordeal}: {what}" for what, fine in checks.items() if not fine]


def after_a_thaw(ordeal: Ordeal, stored: str, thawed: Outcome) -> list[str]:
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
@pytest.mark.parametrize(("kind", "stages"), STORES)
def test_a_process_frozen_at_any_point_replaces_nothing(
    scene_on: Callable[[str], Scene], kind: str, stages: list[Stage]
) -> None:
    """No login after a thaw, unless it was decided; its session is ended."""
    main = scene_on(kind)
    with ordeals_of(main, "STOP", stages) as (ordeals, crowd):
        succeed(ordeals, 1)
        stored = [ordeal.scene.stored() for ordeal in ordeals]
        crowd.thaw()
        thawed = crowd.outcomes()
        story = zip(ordeals, stored, thawed, strict=True)
        assert [problem for each in story for problem in after_a_thaw(*each)] == []
        assert main.logins() == 2 + sum(ordeal.logins for ordeal in ordeals)
        assert len(ordeals) >= 12 * len(stages)


@pytest.mark.usefixtures("one_crowd")
def test_a_process_frozen_inside_a_local_write_replaces_nothing(
    scene_on: Callable[[str], Scene],
) -> None:
    """Before any file operation; no process waits for it for ever."""
    main = scene_on("local")
    with ordeals_of(main, "STOP", ["before"], inside=True) as (ordeals, crowd):
        succeed(ordeals, 1)
        stored = [ordeal.scene.stored() for ordeal in ordeals]
        errors = {str(each): each.successors[0].text for each in ordeals}
        assert errors == dict.fromkeys(errors, "")
        crowd.thaw()
        for ordeal, token, outcome in zip(ordeals, stored, crowd.outcomes(), strict=True):
            left = [name for name in ordeal.scene.objects() if name.endswith(".attrs")]
            found = ordeal.scene.stored(), ordeal.scene.live(), left
            assert (outcome.text, outcome.token, *found) == ("", token, token, [token], []), ordeal
            assert ordeal.logins <= 2, ordeal


def test_a_process_frozen_while_betfair_answers_replaces_nothing(
    scene_on: Callable[[str], Scene],
) -> None:
    """The login is out when it freezes; after its deadline it no longer counts."""
    scene = scene_on("local")
    scene.sandbox.hold("certlogin")
    with Crowd([scene.job()]) as victim:
        victim.go()
        scene.sandbox.wait_for("certlogin")
        victim.freeze(0)
        scene.sandbox.release("certlogin")
        (outcome,) = run_crowd([scene.heir()])
        assert outcome.token == scene.stored()
        victim.thaw()
        (thawed,) = victim.outcomes()
    assert thawed.token == outcome.token or thawed.error == "IdentityUnavailable"
    assert scene.stored() == outcome.token
    assert outcome.token in scene.live()
    assert scene.logins() == 2
    assert scene.lock()["state"] == "done"
