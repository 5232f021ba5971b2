"""A store, an account and clocks that a test sets by hand, and that note what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from betfair_session.events import Event, Reporter
from betfair_session.login import lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.lock import Memory
from betfair_session.login.runner import Runner
from betfair_session.process.clocks import Clock
from betfair_session.process.trust import Trust
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)

KEY, LOCK = "token", "token.login"
OLD, NEW = "o" * 44, "n" * 44
START = 9000.0
"""The time when a call begins, seconds."""
_VERBS: dict[object, str] = {ABSENT: "create", ANY: "replace"}


class Shelf(TokenStore):
    """Objects in memory, in numbered versions."""

    label = "the shelf"
    atomic = True

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}  # content and version
        self.calls: list[tuple[str, str, float]] = []  # their names, the objects', the deadlines
        self.errors: dict[str, list[Exception | None]] = {}  # of the next calls of a name
        self.modified: float | None = 5000.0  # when each object was written, by its clock
        self.now: float | None = 5010.0  # its clock in its answers; None if the driver hides it
        self.clock: float | None = None  # its clock when it is asked for it
        self.done: Callable[[str], object] = lambda _: None  # is told of each write
        self._versions = 0

    def _note(self, call: str, key: str, deadline: float) -> None:
        self.calls.append((call, key, deadline))
        error = (self.errors.get(call) or [None]).pop(0)
        if error is not None:
            raise error

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        self._note("read", key, deadline)
        if key not in self.objects:
            return None
        content, version = self.objects[key]
        return StoredObject(SecretBytes(content), version, modified=self.modified, now=self.now)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        self._note(_VERBS.get(expect, "swap"), key, deadline)
        there = self.objects[key][1] if key in self.objects else ABSENT
        if expect not in {ANY, there}:
            raise VersionConflict(key, reason="conflict")
        self._versions += 1
        assert isinstance(content, bytes)
        self.objects[key] = (content, f"V{self._versions}")
        self.done(key)
        return f"V{self._versions}"

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        raise NotImplementedError

    def server_now(self, *, deadline: float) -> float | None:
        self._note("ask", "", deadline)
        return self.clock

    def close(self) -> None:
        """See TokenStore."""


class HandClock(Clock):
    """Time that passes only by waiting, and randomness that is known."""

    def __init__(self) -> None:
        self.at = 0.0  # seconds since the start, by the monotonic clock
        self.slow_wall = 0.0  # how far the wall clock is behind
        self.slept: list[float] = []
        self.jitters = 1.0  # the most
        self._nonces = 0

    def mono(self) -> float:
        return self.at

    def now(self) -> tuple[float, float]:
        return self.at + 300, START + self.at - self.slow_wall

    def boot(self) -> str:
        return "this boot"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def jitter(self) -> float:
        return self.jitters

    def nonce(self) -> str:
        self._nonces += 1
        return f"nonce {self._nonces}"


class Betfair:
    """An account whose logins make NEW, then others."""

    lease, timeout, interactive = LeaseSettings(), 10.0, False

    def __init__(self, *live: str) -> None:
        self.client, self.live = self, [Secret(token) for token in live]
        self.asked: list[str] = []
        self.timeouts: list[float] = []  # of the keepAlives

    def keep_alive(self, token: Secret, *, timeout: float) -> Secret | None:
        self.asked.append("keepAlive")
        self.timeouts.append(timeout)
        return token if token in self.live else None

    def log_in(self, seconds: float) -> Secret:
        assert seconds > 0
        self.live.append(Secret(f"{len(self.asked)}" * 44 if "certlogin" in self.asked else NEW))
        self.asked.append("certlogin")
        return self.live[-1]

    def logout(self, token: Secret, *, timeout: float) -> None:
        assert timeout > 0
        self.asked.append("logout")
        self.live.remove(token)


class Stage:
    """A runner on a shelf, perhaps with a token and a lock on it, and with 50 s of time."""

    def __init__(
        self,
        token: str = "",
        lock: locks.Lock | bytes | None = None,
        *live: str,
        seconds: float = 50.0,
        share: bool = False,
        atomic: bool = True,
        seen: tuple[StoredObject | None] | None = None,
    ) -> None:
        self.shelf, self.clock, self.betfair = Shelf(), HandClock(), Betfair(*live)
        self.shelf.atomic = atomic
        if token:
            self.shelf.objects[KEY] = (token.encode(), "T0")
        if lock is not None:
            content = lock if isinstance(lock, bytes) else locks.encode(lock)
            self.shelf.objects[LOCK] = (content, "L0")
        self.events: list[Event] = []
        self._reporter = Reporter("", "", self.events.append)
        self.runner = Runner(
            cast("Any", self.betfair),
            self.shelf,
            KEY,
            trust=Trust(900.0 if share else 0.0, None, shared=share),
            reporter=self._reporter,
            memory=Memory(),
            deadline=self.clock.at + seconds,
            seen=seen,
            clock=self.clock,
        )

    def find(self) -> str:
        try:
            return self.runner.find().reveal()
        finally:
            self._reporter.hand_over()

    @property
    def calls(self) -> str:
        """What was asked of the store, such as "read token, create lock"."""
        names = {KEY: "token", LOCK: "lock"}
        return ", ".join(f"{call} {names.get(key, 'time')}" for call, key, _ in self.shelf.calls)

    def lock(self) -> locks.Lock:
        return locks.decode(self.shelf.objects[LOCK][0])

    def told(self) -> list[tuple[str, Any, str]]:
        return [(event.kind, event.seconds, event.detail) for event in self.events]
