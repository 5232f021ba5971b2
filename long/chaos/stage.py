"""The whole chaos run: sandboxes, a store, processes, conductors, and the reckoning."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.scene import Scene

from betfair_session import BetfairSessionError
from betfair_session.sandbox import Sandbox
from chaos.conductor import Conductor
from chaos.figures import Figures, kind_of
from chaos.ledger import Ledger
from chaos.plan import Plan, place_for
from chaos.troop import Troop

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.places import Place


_PATIENCE = 60.0  # seconds for a call that nothing disturbs
_FINAL_LOGINS = 1


class Stage:
    """Everything that a run needs, and its end."""

    def __init__(self, plan: Plan, place: Place, directory: Path, stack: ExitStack) -> None:
        """Set all up; nothing moves yet."""
        self._plan = plan
        self._scenes = [
            self._scene(stack.enter_context(Sandbox()), place, number)
            for number in range(plan.keys)
        ]
        self.ledgers = [Ledger(plan.lease["ttl"]) for _ in self._scenes]
        scheme = place.url().split("://")[0]
        self.troop = stack.enter_context(Troop(scheme, self.ledgers, plan.timeout))
        self._conductors: list[Conductor] = []
        for team, scene in enumerate(self._scenes):
            bell = directory / f"bell-{team}"
            os.mkfifo(bell)
            conductor = Conductor(
                team,
                scene,
                self.ledgers[team],
                self.troop,
                bell=str(bell),
                goal=plan.generations // plan.keys,
                odds=plan.odds,
            )
            stack.callback(conductor.close)
            self._conductors.append(conductor)
        self._bells = [str(directory / f"bell-{team}") for team in range(plan.keys)]

    @staticmethod
    def _scene(sandbox: Sandbox, place: Place, number: int) -> Scene:
        # Betfair would ban an account that logs in so often.
        sandbox.configure(logins_per_minute=1e9, login_seconds=0.1)
        return Scene(
            sandbox, place, sandbox.username, sandbox.password, f"{number:03}/session.token"
        )

    def run(self, report: Callable[[str], None]) -> None:
        """Let it happen; `report` is told of the progress."""
        plan = self._plan
        for number in range(plan.processes):
            team = number % plan.keys
            job = self._scenes[team].job(lease=self._plan.lease, timeout=plan.timeout)
            task = {
                "job": job._asdict(),
                "bell": self._bells[team],
                "pause": plan.pause,
                "anew": plan.anew(number),
            }
            self.troop.enlist(team, task)
        for conductor in self._conductors:
            conductor.start()
        self._strike_while_alive(report)
        self.troop.dismiss(self._ring_out)

    def _ring_out(self) -> None:
        for conductor in self._conductors:
            conductor.ring(4, b"q")

    def _strike_while_alive(self, report: Callable[[str], None]) -> None:
        last = time.monotonic()
        while any(each.is_alive() for each in self._conductors):
            time.sleep(random.uniform(0, 2 * self._plan.strikes))
            long = self._plan.lease["ttl"] + random.uniform(1.5, 5)
            moment = random.uniform(0.05, self._plan.lease["ttl"] / 4)
            blow, seconds = random.choice([("kill", 0.0), ("freeze", long), ("freeze", moment)])
            self.troop.strike_any(blow, seconds)  # type: ignore[arg-type] # it is one of the two
            self.troop.watch()
            if time.monotonic() - last > 30:
                last = time.monotonic()
                done = [each.generations for each in self._conductors]
                report(f"{sum(done)} generations, {self.troop.blows}, {sorted(done)}")

    def finish(self) -> list[str]:
        """Make two logins with each token, undisturbed; return what is left behind."""
        return [
            left
            for scene, ledger in zip(self._scenes, self.ledgers, strict=True)
            for left in _finish(scene, ledger, self._plan.lease)
        ]

    def figures(self, seconds: float, leftovers: list[str]) -> Figures:
        """Reckon."""
        ledgers, local = self.ledgers, self._plan.store == "local"
        accounts = list(zip(self._scenes, ledgers, strict=True))
        outcomes = [outcome for ledger in ledgers for outcome in ledger.outcomes]
        judged = [ledger.judge() for ledger in ledgers]
        returned = [ledger.wrong(set(scene.live())) for scene, ledger in accounts]
        revived = sum(ledger.undone()[0] for ledger in ledgers)
        revived += sum(count for _, count in returned)
        # In a directory only: an object store compares by itself.
        back = [] if local else ["a token that had been brought back"] * revived
        return Figures(
            generations=sum(each.generations for each in self._conductors),
            calls=len(outcomes),
            logins=sum(scene.logins() - _FINAL_LOGINS for scene in self._scenes),
            blows=self.troop.blows,
            seconds=seconds,
            extra=sum((extra for _, extra in judged), Counter()),
            errors=Counter(kind_of(each) for each in outcomes if each.error),
            lost=sum(len(_lost(*account)) for account in accounts),
            revived=revived if local else 0,
            slowest=max(ledger.slowest() for ledger in ledgers),
            excess=[line for excess, _ in judged for line in excess],
            wrong=[line for wrong, _ in returned for line in wrong] + back,
            hangs=self.troop.hangs + sum(each.stuck for each in self._conductors),
            leftovers=leftovers,
            problems=[line for account in accounts for line in _problems(*account)],
        )


def _problems(scene: Scene, ledger: Ledger) -> list[str]:
    """Return what else was seen, and what Betfair says otherwise than the processes."""
    found = [*ledger.problems, *ledger.crashes, *ledger.undone()[1]]
    seen = scene.logins() - _FINAL_LOGINS
    if not ledger.logins() - ledger.unsent() <= seen <= ledger.logins():
        found.append(f"Betfair saw {seen} logins, not {ledger.logins()}")
    return found + [defect for entry in scene.sandbox.journal() for defect in entry.defects]


def _lost(scene: Scene, ledger: Ledger) -> set[str]:
    """Return the sessions that live and were never stored."""
    return set(scene.live()) - ledger.published


def _finish(scene: Scene, ledger: Ledger, lease: dict[str, float]) -> list[str]:
    """Let an undisturbed process heal what there is, log in once, and look around."""
    try:
        with scene.session(lease=lease) as session:
            token = session.token(timeout=_PATIENCE)
            found = [] if token == scene.stored() else ["not the stored token"]
            before = scene.logins()
            scene.sandbox.expire(token)
            ledger.lose(token, time.monotonic())
            token = session.token(timeout=_PATIENCE)
            ledger.published.add(token)
            found += [] if token == scene.stored() else ["not the stored token"]
            found += [] if scene.logins() == before + _FINAL_LOGINS else ["no login, or too many"]
    except BetfairSessionError as error:
        return [f"{scene.key}: not healed: {error}"]
    objects = set(scene.objects()) - {scene.key, scene.key + ".login"}
    found += [f"an object {name}" for name in sorted(objects)]
    if scene.lock()["state"] != "done":
        found.append("the lock is held")
    sessions = _lost(scene, ledger)
    if len(sessions) > ledger.lost():
        found.append(f"{len(sessions)} sessions, of which {ledger.lost()} are explained")
    return [f"{scene.key}: {what}" for what in found]


def run(
    plan: Plan, report: Callable[[str], None] = lambda _: None, place: Place | None = None
) -> Figures:
    """Make a run; `report` is told of its progress, and it is on a server of its own by default."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = place or place_for(plan.store, directory, stack)
        stage = Stage(plan, there, directory, stack)
        began = time.monotonic()
        stage.run(report)
        seconds = time.monotonic() - began
        return stage.figures(seconds, stage.finish())
