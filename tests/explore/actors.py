"""What a history is made of: a store with faults, and processes on the real policy and runner."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, cast

from login.script import go_on

from betfair_session.exceptions import (
    BetfairSessionError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.login import effects as do
from betfair_session.login.account import Account, LeaseSettings
from betfair_session.login.lock import Memory
from betfair_session.login.runner import Runner
from betfair_session.process.clocks import Clock
from betfair_session.process.log import Reporter
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

from .truth import Seen, phase, position, snapshot

KEY = "token"


@dataclass
class Kept:
    """An object, its version, and when by the true time it was written."""

    content: bytes
    version: str
    at: float
    wrong: float = 0.0  # how wrong the store's clock was then


@dataclass
class Write:
    """A conditional write on its way."""

    key: str
    content: bytes
    version: str | None
    due: float = 0.0  # when it is to land if it is late
    again: bool = False  # whether it rewrites a verified token
    lie: bool = False  # whether its writer got an error


class MemoryStore(TokenStore):
    """Linearizable; the scheduler sets the true time before each call."""

    label = "memory"
    atomic = True

    def __init__(self, rng: random.Random, landing: Callable[[Write, Kept | None], None]) -> None:
        """Begin empty, as one of several kinds; `landing` is called before a write lands."""
        self.objects: dict[str, Kept] = {}
        self.now = 0.0  # the true time
        self.wrong = 0.0  # how wrong its own clock is
        self.faults = 0.0  # the chance that a call goes wrong, from 0 to 1
        self.late: list[Write] = []  # those that may still land
        self.again = False  # whether the present call rewrites a verified token
        self._versions = 0
        self._rng, self._landing = rng, landing
        self._hides_date = rng.random() < 0.3
        self._whole_seconds = rng.random() < 0.5
        self._etags = rng.random() < 0.5
        self.gap = rng.choice((0.0, 0.0, 1.0))  # seconds between two writes of one object
        self.liar = rng.random() < 0.2  # a write that it says to have failed may land
        self.on_this_machine = rng.random() < 0.3
        if self.on_this_machine:
            self._hides_date, self._etags = True, True

    def get(self, key: str, *, deadline: float) -> StoredObject | None:  # noqa: ARG002 - nothing here waits
        if self.faults and self._rng.random() < self.faults:
            self._fail("read", landed=False)
        kept = self.objects.get(key)
        if kept is None:
            return None
        modified, now = kept.at + kept.wrong, self.now + self.wrong
        if self._whole_seconds:
            modified, now = float(int(modified)), float(int(now))
        told = None if self._hides_date else now
        return StoredObject(SecretBytes(kept.content), kept.version, modified, told)

    def server_now(self, *, deadline: float) -> float | None:  # noqa: ARG002 - likewise
        if self._hides_date and self.faults and self._rng.random() < self.faults:
            self._fail("clock", landed=False)
        return float(int(self.now + self.wrong)) if self._hides_date else None

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:  # noqa: ARG002 - likewise
        if expect is ABSENT:
            return self._attempt(Write(key, content, None))
        assert isinstance(expect, str)
        return self._attempt(Write(key, content, expect, again=self.again))

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        raise NotImplementedError

    def place(self, key: str, content: bytes) -> None:
        """Write as something outside the fleet."""
        self._versions += 1
        digest = hashlib.sha256(content).hexdigest()[:16]
        version = digest if self._etags else str(self._versions)
        self.objects[key] = Kept(content, version, self.now, self.wrong)

    def land_late(self) -> None:
        """Let the late writes land that are due."""
        for write in [write for write in self.late if write.due <= self.now]:
            self.late.remove(write)
            if self._holds(write):
                self._land(write)

    def can_land(self, write: Write) -> bool:
        """Return whether a late write's condition may come true: always to create, or with tags."""
        return write.version is None or self._etags or self._holds(write)

    def _attempt(self, write: Write) -> str:
        kept = self.objects.get(write.key)
        if self.gap and kept and self.now - kept.at < self.gap:
            self._fail("write", landed=False, reason="throttled")
        if not self.faults or self._rng.random() >= self.faults:
            if not self._holds(write):
                raise self._conflict()
            return self._land(write)
        chance = self._rng.random()
        if chance < 0.2:
            if self.liar:
                self._land_later(write, lie=True)
            self._fail("write", landed=False, reason="server")
        if chance < 0.35:
            message = "refused"
            raise StoreWriteError(message, store="memory", key=write.key, reason="forbidden")
        if chance < 0.5:
            raise self._conflict()
        if chance < 0.75:
            if self._holds(write):
                self._land(write)
        else:
            self._land_later(write)
        self._fail("write", landed=True)
        raise AssertionError

    def _land_later(self, write: Write, *, lie: bool = False) -> None:
        write.due, write.lie = self.now + self._rng.choice((1.0, 10.0, 40.0)), lie
        self.late.append(write)

    def _holds(self, write: Write) -> bool:
        kept = self.objects.get(write.key)
        return (kept.version if kept else None) == write.version

    def _land(self, write: Write) -> str:
        self._landing(write, self.objects.get(write.key))
        self.place(write.key, write.content)
        return self.objects[write.key].version

    def _conflict(self) -> VersionConflict:
        return VersionConflict("conflict", store="memory", key=KEY, reason="conflict")

    def _fail(self, what: str, *, landed: bool, reason: str = "timeout") -> None:
        raise StoreUnavailable(what, store="memory", key=KEY, reason=reason, landed=landed)


class VirtualClock(Clock):
    """One process's clocks: right, off by a constant, or standing still in a freeze."""

    def __init__(self, rng: random.Random, skew: float | None = None) -> None:
        self.at = self.behind = 0.0
        self.skew = rng.choice((0.0, 0.0, -60.0, 60.0, -3600.0, 3600.0)) if skew is None else skew
        self._on_one_machine = skew is not None
        self._rng = rng

    def mono(self) -> float:
        return self.at - self.behind

    def now(self) -> tuple[float, float]:
        return self.at if self._on_one_machine else self.mono(), self.at + self.skew

    def boot(self) -> str:
        return "boot"

    def sleep(self, seconds: float) -> None:
        """See Clock; the scheduler lets the time pass."""

    def jitter(self) -> float:
        return self._rng.random()

    def nonce(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"


class Caller:
    """A process that wants a token."""

    def __init__(  # noqa: PLR0917 - a process is all of these
        self,
        number: int,
        store: MemoryStore,
        settings: LeaseSettings,
        clock: VirtualClock,
        memory: Memory,
        deadline: float,
        *,
        share: bool,
    ) -> None:
        """Begin with the policy's first call; `memory` is what its process remembers."""
        self.number, self.clock, self.memory = number, clock, memory
        nobody: Any = None
        self.runner = Runner(
            Account(nobody, Secret("u"), Secret("p"), 60.0, settings),
            store,
            KEY,
            trust=Trust(900.0 if share else 0.0, 1200.0, shared=share),
            reporter=Reporter("", "", None),
            memory=memory,
            deadline=deadline,
            clock=clock,
        )
        self.login = self.runner.login
        self._steps = cast("GeneratorType[Any, Any, Any]", self.login.run())
        self.told: object = None  # the last that it was told
        self.effect: Any = next(self._steps)  # what it asks for; at its end a Done, or an error
        self.seen = self._look()

    def tell(self, answer: object) -> None:
        self.told, self.effect = answer, go_on(self._steps, answer)
        self.seen = self._look()

    @property
    def over(self) -> bool:
        return isinstance(self.effect, do.Done | BetfairSessionError)

    def _look(self) -> Seen:
        return Seen(phase(position(self._steps)), self.effect, snapshot(self.login))
