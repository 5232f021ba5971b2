"""A store in memory with a virtual clock, conditions that hold, and faults at random."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from betfair_session.exceptions import StoreUnavailable, StoreWriteError
from betfair_session.storage.contract import ABSENT, ANY, StoredObject, TokenStore, VersionConflict

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from betfair_session.storage.contract import Expect

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
    """A conditional write on its way, and when it is to land if it is late.

    `again` when it writes a verified token anew, `lie` when the writer was told that it failed.
    """

    key: str
    content: bytes
    version: str | None
    due: float = 0.0
    again: bool = False
    lie: bool = False


class MemoryStore(TokenStore):
    """Linearizable; `now` is the true time, which the scheduler sets before each call.

    Attributes:
        faults: how often a call goes wrong, from 0 to 1.
        landing: told of each write just before it lands.
        late: writes that may still land.
        again: whether the present call is to write a verified token anew.
        gap: how many seconds have to lie between two writes of one object.
        liar: whether a write that it says to have failed may land all the same.
        wrong: how wrong its clock is.
    """

    label = "memory"
    atomic = True

    def __init__(self, rng: random.Random, landing: Callable[[Write, Kept | None], None]) -> None:
        """Begin empty, as one of several kinds of stores."""
        self.objects: dict[str, Kept] = {}
        self.now = 0.0
        self.faults = 0.0
        self.late: list[Write] = []
        self.again = False
        self._rng = rng
        self._landing = landing
        self._versions = 0
        self._hides_date = rng.random() < 0.3
        self._whole_seconds = rng.random() < 0.5
        self._etags = rng.random() < 0.5
        self.gap = rng.choice((0.0, 0.0, 1.0))
        self.liar = rng.random() < 0.2
        self.wrong = 0.0
        self.on_this_machine = rng.random() < 0.3
        if self.on_this_machine:
            self._hides_date, self._etags = True, True

    def get(self, key: str, *, deadline: float) -> StoredObject | None:  # noqa: ARG002 - nothing here waits
        """See TokenStore."""
        if self.faults and self._rng.random() < self.faults:
            self._fail("read", landed=False)
        kept = self.objects.get(key)
        if kept is None:
            return None
        modified, now = kept.at + kept.wrong, self.now + self.wrong
        if self._whole_seconds:
            modified, now = float(int(modified)), float(int(now))
        return StoredObject(kept.content, kept.version, modified, None if self._hides_date else now)

    def server_now(self, *, deadline: float) -> float | None:  # noqa: ARG002 - likewise
        """See TokenStore."""
        if self._hides_date and self.faults and self._rng.random() < self.faults:
            self._fail("clock", landed=False)
        return float(int(self.now + self.wrong)) if self._hides_date else None

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:  # noqa: ARG002 - likewise
        """See TokenStore."""
        if expect is ABSENT:
            return self._attempt(Write(key, content, None))
        assert isinstance(expect, str)
        return self._attempt(Write(key, content, expect, again=self.again))

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """See TokenStore."""
        raise NotImplementedError

    def place(self, key: str, content: bytes) -> None:
        """Write as one who takes no part."""
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
        """Tell whether a late write's condition may come true: to create, or with tags, always."""
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
