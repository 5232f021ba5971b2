"""The processes of the chaos run, as seen from the one that directs it."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fleet.processes import Program
from servers.process import poll

from chaos.ledger import Ledger

_PROGRAM = Path(__file__).with_name("worker.py")
_SLACK = 30.0  # seconds past its own time after which a call counts as hanging


@dataclass
class Member:
    """One process."""

    team: int  # the number of its token
    task: dict[str, Any]
    called: float | None = None  # when it began the call that it is in
    frozen: float | None = None  # since when it is
    excused: float = 0.0  # seconds of that call in which it was frozen


class Ambush(NamedTuple):
    """A blow for the next process of a team that reports an event."""

    event: str  # the event
    delay: float  # seconds from then to the blow
    seconds: float  # how long a freeze lasts; 0 for a kill


def any_blow(ttl: float) -> float:
    """Return 0 to kill, or seconds to freeze: past a lease's time to live, or for a moment."""
    return random.choice([0.0, ttl + random.uniform(1.5, 5), random.uniform(0.05, ttl / 4)])


class Troop(Program):
    """All processes, and the blows that they get."""

    def __init__(self, scheme: str, ledgers: list[Ledger], timeout: float) -> None:
        """Start the parent of all processes, with the driver of a URL's scheme imported.

        `ledgers` record each token; a call gets `timeout` seconds.
        """
        self._ledgers = ledgers
        self._timeout = timeout
        self._members: dict[int, Member] = {}
        self._teams: list[int] = []  # of every process that there ever was
        self.ambushes: dict[int, Ambush] = {}  # one for each team, which its next process meets
        self.logins = [threading.Event() for _ in ledgers]  # set when a team's process logs in
        self._timers: set[threading.Timer] = set()
        self._busy = threading.RLock()
        self._over = False
        self.blows = {"kill": 0, "freeze": 0}
        self.hangs = 0
        super().__init__(scheme, program=_PROGRAM)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        """End all, after everything that they reported was read."""
        self.kill()
        self._reader.join()
        super().close()

    def enlist(self, team: int, task: dict[str, Any]) -> None:
        with self._busy:
            number = len(self._teams)
            self._teams.append(team)
            self._members[number] = Member(team, task)
            self.tell(["start", number, task])

    def strike_any(self, seconds: float) -> None:
        with self._busy:
            up = [number for number, each in self._members.items() if each.frozen is None]
            if up:
                self._strike(random.choice(up), seconds)

    def _strike(self, number: int, seconds: float) -> None:
        """Freeze a process for some seconds, or for 0 kill it and start another in its place."""
        blow = "freeze" if seconds else "kill"
        with self._busy:
            member = self._members.get(number)
            if member is None or member.frozen is not None or self._over:
                return
            self.blows[blow] += 1
            self.tell([blow, number, None])
            if blow == "kill":
                del self._members[number]
                self.enlist(member.team, member.task)
                return
            member.frozen = time.monotonic()
        self._later(seconds, lambda: self._thaw(number))

    def _thaw(self, number: int) -> None:
        with self._busy:
            member = self._members.get(number)
            if member is not None and member.frozen is not None:
                self.tell(["thaw", number, None])
                member.excused += time.monotonic() - member.frozen
                member.frozen = None

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, what)
        timer.daemon = True
        self._timers = {each for each in self._timers if each.is_alive()} | {timer}
        timer.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            number, event = line["n"], line["e"]
            team = self._teams[number]
            self._ledgers[team].hear(line)
            with self._busy:
                self._note(number, event)
                ambush = self.ambushes.get(team)
                if ambush and ambush.event == event:
                    del self.ambushes[team]
                    self._spring(number, ambush)
            if event == "login":
                self.logins[team].set()

    def _note(self, number: int, event: str) -> None:
        member = self._members.get(number)
        if member is None:
            return
        if event == "call":
            member.called, member.excused = time.monotonic(), 0.0
        elif event == "end":
            member.called = None
        elif event in ("left", "crash"):
            del self._members[number]
            self.tell(["bury", number, None])
            if not self._over:
                self.enlist(member.team, member.task)

    def _spring(self, number: int, ambush: Ambush) -> None:
        if ambush.delay:
            self._later(ambush.delay, lambda: self._strike(number, ambush.seconds))
        else:
            self._strike(number, ambush.seconds)

    def watch(self) -> None:
        """Count and kill each process whose call should have ended long ago; show where it is."""
        with self._busy:
            now = time.monotonic()
            for number, each in list(self._members.items()):
                if each.called is None or each.frozen is not None:
                    continue
                if now - each.called - each.excused > self._timeout + _SLACK:
                    self.hangs += 1
                    each.called = None
                    self.tell(["show", number, None])
                    self._later(2, lambda number=number: self._strike(number, 0))  # type: ignore[misc] # it is called without

    def dismiss(self, rings: Iterable[Callable[[], None]]) -> None:
        """Thaw all; ring until each has ended its call and left."""
        with self._busy:
            self._over = True
            for number in list(self._members):
                self._thaw(number)
        for _ in poll(self._timeout + 2 * _SLACK, 0.1):
            for ring in rings:
                ring()
            with self._busy:
                if not self._members:
                    return
        self.hangs += len(self._members)
