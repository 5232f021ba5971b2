"""What happened to one token, and what of it was not allowed.

A *round* begins when the run takes the token away (its session is ended, the object deleted or
overwritten) and lasts until the next act; each brings one new token generation. The logins that
I1 (see tests/explore/truth.py) allows in a round are

- one for the act, unless it stored a live token itself;
- one for each further dead token stored, or deletion made, in the middle of it;
- one for each login under a lease that truly outlived its time to live: its holder was killed, or
  more than that time passed before it had published; and for each login that ended without an
  answer or could not be stored.

The last kind is used once, in the round of that login or a later one. All else is an excess.
Times are the machine's monotonic clock, which all of its processes share.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

_LATEST = 3  # outside acts, the last ones, that may explain what is seen now


@dataclass(eq=False)
class Lease:
    """One process's hold on the lock, as the process reported it."""

    worker: int  # its number
    began: float  # before it sent the write that took the lock
    taken: bool = False  # whether that write was answered with success
    login: float | None = None  # before it sent the login
    answered: bool | None = None  # whether that brought a session; None while it is open
    over: float | None = None  # when it had published, given the lock back, or its call had ended
    killed: bool = False  # before that
    failed: bool = False  # whether the call ended with an error

    def reason(self, ttl: float) -> str:
        """Return why another login may follow this lease's, or ""."""
        if self.killed:
            return "the holder was killed before it had told of its publication"
        if self.over is None or self.over - self.began > ttl:
            return "the lease outlived its time to live"
        if self.answered is False:
            return "the login ended without an answer"
        return "the new token could not be stored" if self.failed else ""


@dataclass(eq=False)
class Round:
    """One generation."""

    act: str  # what was done to the token
    at: float  # when
    needed: int  # how many logins that makes necessary, at most
    healed: float = 0.0  # when the next live token was stored
    logins: list[Lease] = field(default_factory=list)  # under which one was sent


@dataclass(frozen=True)
class Outcome:
    """One call's end: when it began and ended, its token, or the class and text of its error."""

    began: float
    ended: float
    token: str = field(repr=False)
    error: str
    text: str


class Ledger:
    """All that happened to one token; the first round is the empty store at the beginning."""

    def __init__(self, ttl: float) -> None:
        """Begin with an empty store; `ttl` is the leases' time to live, in seconds."""
        self.ttl = ttl
        self.rounds = [Round("nothing there", 0.0, 1)]
        self.outcomes: list[Outcome] = []
        self.published: set[str] = set()  # what processes stored
        self.gone: dict[str, tuple[float, float]] = {}  # from when to when each was taken away
        self._writes: dict[str, dict[int, tuple[float, float]]] = {}
        self._acts: list[tuple[float, float]] = []
        self._undone: list[tuple[str, list[tuple[float, float]], str]] = []
        self.crashes: list[str] = []
        self.problems: list[str] = []
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()

    def begin(self, act: str, at: float, needed: int) -> None:
        with self._lock:
            self.rounds.append(Round(act, at, needed))

    def also(self, act: str, needed: int) -> None:
        """Note that something else was done in the present round."""
        with self._lock:
            self.rounds[-1].act += f", then {act}"
            self.rounds[-1].needed += needed

    def acted(self, since: float) -> None:
        """Note that something outside the fleet wrote or removed the object, from then to now."""
        with self._lock:
            self._acts.append((since, time.monotonic()))

    def revived(self, token: str, problem: str) -> None:
        """Note a stored token that no act stored: a problem, unless a process was writing it."""
        with self._lock:
            # The process's report of it may not have been read yet.
            self._undone.append((token, self._acts[-_LATEST:], problem))

    def undone(self) -> tuple[int, list[str]]:
        """Return how many acts were undone by a write at the same time, and what else undid one."""
        others = [
            problem
            for token, acts, problem in self._undone
            if not any(self._was_written(token, *act) for act in acts)
        ]
        return len(self._undone) - len(others), others

    def hear(self, line: dict[str, object]) -> None:
        """Record what a process reported, or what was done to it."""
        number, event, when = int(str(line["n"])), str(line["e"]), float(str(line["t"]))
        with self._lock:
            if event == "end":
                self._end(number, when, line)
            elif event == "crash":
                self.crashes.append(str(line["text"]))
            elif event.endswith(("publish", "published")):
                self._write(number, event, str(line["token"]), when)
            elif event == "take":
                self._leases.setdefault(number, Lease(number, when))
            if number in self._leases and event not in ("take", "end"):
                self._follow(self._leases[number], event, when)

    def _write(self, number: int, event: str, token: str, when: float) -> None:
        writes = self._writes.setdefault(token, {})
        if event == "publish":
            writes[number] = (when, math.inf)
        elif event == "published":
            self.published.add(token)
            writes[number] = (writes[number][0], when)
        else:
            del writes[number]

    def lose(self, token: str, since: float) -> None:
        """Note that a token has been taken away, by an act that began at that time."""
        self.gone.setdefault(token, (since, time.monotonic()))

    def _follow(self, lease: Lease, event: str, time: float) -> None:
        if event == "login":
            lease.login = time
            round_of = next(each for each in reversed(self.rounds) if each.at <= time)
            round_of.logins.append(lease)
        elif event in ("session", "unclear"):
            lease.answered = event == "session"
        elif event == "unsent":  # it was frozen for so long that its time was over
            lease.login = None
            for each in self.rounds:
                each.logins[:] = [login for login in each.logins if login is not lease]
        elif event == "took":
            lease.taken = True
        elif event == "missed" and not lease.taken:  # else it tries the store's conditions out
            del self._leases[lease.worker]
        elif event in ("published", "released"):
            lease.over = lease.over or time
            if event == "released":
                del self._leases[lease.worker]
        elif event == "killed":
            lease.killed = lease.over is None
            del self._leases[lease.worker]

    def _end(self, number: int, time: float, line: dict[str, object]) -> None:
        words = [str(line[name]) for name in ("token", "error", "text")]
        outcome = Outcome(float(str(line["began"])), time, *words)
        self.outcomes.append(outcome)
        lease = self._leases.pop(number, None)
        if lease:
            lease.over = lease.over or time
            lease.failed = bool(outcome.error)

    def judge(self) -> tuple[list[str], Counter[str]]:
        """Return the excess logins, each with its round, and how many extra ones were allowed."""
        excess: list[str] = []
        extra: Counter[str] = Counter()
        open_leases: list[Lease] = []
        for number, each in enumerate(self.rounds):
            open_leases += [lease for lease in each.logins if lease.reason(self.ttl)]
            for _ in range(len(each.logins) - each.needed):
                if open_leases:
                    extra[open_leases.pop(0).reason(self.ttl)] += 1
                else:
                    times = [round((lease.login or 0) - each.at, 3) for lease in each.logins]
                    excess.append(f"round {number} ({each.act}): logins after {times} s")
        return excess, extra

    def slowest(self) -> float:
        return max((each.healed - each.at for each in self.rounds if each.healed), default=0.0)

    @property
    def sent(self) -> list[Lease]:
        """The lease of each login that a process reported."""
        return [lease for each in self.rounds for lease in each.logins]

    def lost(self) -> int:
        """Return how many sessions may live whose token no process received, or could store."""
        return sum(bool(each.reason(self.ttl)) or each.answered is None for each in self.sent)

    def unsent(self) -> int:
        """Return how many logins may not have been sent: after a kill, or without an answer."""
        killed = sum(each.killed and each.answered is None for each in self.sent)
        return killed + sum(each.answered is False for each in self.sent)

    def wrong(self, alive: set[str]) -> tuple[list[str], int]:
        """Say which calls returned a token that was gone, or a dead one, which is not in `alive`.

        Also count tokens that were brought back: a process was writing one when something outside
        the fleet replaced or removed the object. A store that compares does not allow that.
        """
        found, revived = [], 0
        for each in self.outcomes:
            if not each.token:
                continue
            since, gone = self.gone.get(each.token, (math.inf, math.inf))
            if gone < each.began and self._was_written(each.token, since, gone):
                revived += 1
            elif gone < each.began:
                found.append(f"a token that had been gone for {each.began - gone:.3f} s")
            elif gone == math.inf and each.token not in alive:
                found.append("a token that nobody ended, and that is dead")
        return found, revived

    def _was_written(self, token: str, since: float, gone: float) -> bool:
        """Return whether a write of the token was under way at that time."""
        writes = self._writes.get(token, {}).values()
        return any(began < gone and ended > since for began, ended in writes)
