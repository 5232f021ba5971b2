"""The whole chaos run: sandboxes, a store, processes, conductors, and the reckoning."""

from __future__ import annotations

import os
import random
import re
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fleet.scene import GENEROUS, Scene
from real_places import place_for

from betfair_session import BetfairSessionError
from betfair_session.sandbox import Sandbox
from chaos.conductor import Conductor
from chaos.ledger import Ledger, Outcome
from chaos.troop import Troop, any_blow

_PATIENCE = 60.0  # seconds for a call that nothing disturbs
_FINAL_LOGINS = 1


class Plan(NamedTuple):
    """What is run."""

    store: str  # one of real_places.STORES
    generations: int  # in all
    processes: int  # at any time
    keys: int  # tokens, each with an account and a sandbox of its own
    timeout: float = 20.0  # seconds that each call is given

    @property
    def quick(self) -> bool:
        """Whether a store is opened in next to no time."""
        return self.store == "local" or self.store.startswith("obstore")

    @property
    def lease(self) -> dict[str, float]:
        """The arguments of LeaseSettings: scaled down, so that leases often outlive their time."""
        # fsspec's drivers are slow to open where 64 processes share two cores.
        ttl, login, store = (7.0, 3.5, 1.75) if self.quick else (12.0, 5.0, 3.5)
        deadlines = {"login_deadline": login, "store_deadline": store}
        return {"ttl": ttl, **deadlines, "logins_per_minute": 100}

    def anew(self, number: int) -> bool:
        """Return whether a process begins each call anew and shares verifications: a fourth do."""
        return self.quick and number // self.keys % 4 == 3


class Stage:
    """Everything that a run needs, and its end."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = place_for(plan.store, directory, stack)
        self._plan = plan
        self._scenes: list[Scene] = []
        for number in range(plan.keys):
            sandbox = stack.enter_context(Sandbox())
            # Betfair would ban an account that logs in so often.
            sandbox.configure(logins_per_minute=1e9, login_seconds=0.1)
            scene = replace(Scene.at(sandbox, place), key=f"{number:03}/session.token")
            self._scenes.append(scene)
        self.ledgers = [Ledger(plan.lease["ttl"]) for _ in self._scenes]
        self._accounts = list(zip(self._scenes, self.ledgers, strict=True))
        scheme = place.url().split("://")[0]
        self.troop = stack.enter_context(Troop(scheme, self.ledgers, plan.timeout))
        self._bells = [str(directory / f"bell-{team}") for team in range(plan.keys)]
        self._conductors: list[Conductor] = []
        for team, (account, bell) in enumerate(zip(self._accounts, self._bells, strict=True)):
            self._conductors.append(Conductor(team, *account, self.troop, bell))
            stack.callback(os.close, self._conductors[-1].bell)

    def run(self) -> None:
        plan = self._plan
        for number in range(plan.processes):
            team = number % plan.keys
            job = self._scenes[team].job(lease=plan.lease, timeout=plan.timeout)
            task = {"job": job._asdict(), "bell": self._bells[team], "anew": plan.anew(number)}
            self.troop.enlist(team, task)
        for conductor in self._conductors:
            conductor.goal = plan.generations // plan.keys
            conductor.start()
        self._strike_while_alive()
        self.troop.dismiss([partial(each.ring, 4, b"q") for each in self._conductors])

    def _strike_while_alive(self) -> None:
        last = time.monotonic()
        while any(each.is_alive() for each in self._conductors):
            time.sleep(random.uniform(0, 2))
            self.troop.strike_any(any_blow(self._plan.lease["ttl"]))
            self.troop.watch()
            if time.monotonic() - last > 30:
                last = time.monotonic()
                done = [each.generations for each in self._conductors]
                print(f"{sum(done)} generations, {self.troop.blows}, {sorted(done)}", flush=True)

    def finish(self) -> list[str]:
        """Make two logins with each token, undisturbed; return what is left behind."""
        return [left for account in self._accounts for left in _finish(*account)]

    def figures(self, leftovers: list[str]) -> dict[str, object]:
        """Return the figures; the lists hold what must not happen."""
        ledgers, accounts = self.ledgers, self._accounts
        outcomes = [outcome for ledger in ledgers for outcome in ledger.outcomes]
        judged = [ledger.judge() for ledger in ledgers]
        returned = [ledger.wrong(set(scene.live())) for scene, ledger in accounts]
        wrong = [line for lines, _ in returned for line in lines]
        # Files cannot be compared and replaced in one step: a token that was being written then
        # replaces what something outside the fleet has just done.
        revived = sum(ledger.undone()[0] for ledger in ledgers)
        revived += sum(count for _, count in returned)
        if self._plan.store != "local":  # an object store compares by itself
            wrong += ["a token that had been brought back"] * revived
        hangs = self.troop.hangs + sum(each.stuck for each in self._conductors)
        return {
            "generations": sum(each.generations for each in self._conductors),
            "calls": len(outcomes),
            "logins": sum(scene.logins() - _FINAL_LOGINS for scene in self._scenes),
            "kill": self.troop.blows["kill"],
            "freeze": self.troop.blows["freeze"],
            "logins allowed besides one for each generation": sum(
                (extra for _, extra in judged), Counter()
            ),
            "errors of calls": Counter(_kind_of(each) for each in outcomes if each.error),
            "sessions never stored, each by a lease that ended badly": sum(
                len(_lost(*account)) for account in accounts
            ),
            "brought back": revived,
            "seconds of the slowest healing": max(ledger.slowest() for ledger in ledgers),
            "excess logins": [line for excess, _ in judged for line in excess],
            "wrong or dead tokens": wrong,
            "hangs": ["a call or round that never ended"] * hangs,
            "left behind": leftovers,
            "other problems": [line for account in accounts for line in _problems(*account)],
        }


def _kind_of(failed: Outcome) -> str:
    """Return what an error says, without names, places and times."""
    text = re.sub(r"'[^']*'|/\S+|\S+ process \d+|\d[\d:.\- ]*|UTC", "..", failed.text)
    return f"{failed.error}: {text[:110]}"


def _problems(scene: Scene, ledger: Ledger) -> list[str]:
    """Return what else was wrong, and where Betfair and the processes disagree."""
    found = [*ledger.problems, *ledger.crashes, *ledger.undone()[1]]
    seen = scene.logins() - _FINAL_LOGINS
    if not len(ledger.sent) - ledger.unsent() <= seen <= len(ledger.sent):
        found.append(f"Betfair saw {seen} logins, not {len(ledger.sent)}")
    return found + [defect for entry in scene.sandbox.journal() for defect in entry.defects]


def _lost(scene: Scene, ledger: Ledger) -> set[str]:
    """Return the sessions that live and were never stored."""
    return set(scene.live()) - ledger.published


def _finish(scene: Scene, ledger: Ledger) -> list[str]:
    """Let an undisturbed process heal what there is, log in once, and look around."""
    try:
        # Not to fail on a busy machine, nor by the logins that others have made.
        with scene.session(lease={**GENEROUS, "logins_per_minute": 100}) as session:
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
