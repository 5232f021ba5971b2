"""A store and a clock that a test sets by hand, and that note what is asked of them."""

from __future__ import annotations

from betfair_session.process.clocks import Clock
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)

_VERBS: dict[object, str] = {ABSENT: "create", ANY: "replace"}


class Shelf(TokenStore):
    """Objects in memory, in numbered versions.

    Attributes:
        objects: content and version by name.
        calls: the calls so far: their names, the objects' names and the time-outs.
        errors: what the next calls raise, by their names; None for nothing.
        modified: when every object was written, by the store's clock.
        now: the store's clock in its answers; None if the driver hides it.
        clock: the store's clock when it is asked for it.
    """

    label = "the shelf"
    atomic = True

    def __init__(self) -> None:
        """Begin empty."""
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.calls: list[tuple[str, str, float]] = []
        self.errors: dict[str, list[Exception | None]] = {}
        self.modified: float | None = 5000.0
        self.now: float | None = 5010.0
        self.clock: float | None = None
        self._versions = 0

    def _note(self, call: str, key: str, deadline: float) -> None:
        self.calls.append((call, key, deadline))
        planned = self.errors.get(call) or [None]
        error = planned.pop(0)
        if error is not None:
            raise error

    def _put(self, key: str, content: bytes) -> str:
        self._versions += 1
        assert isinstance(content, bytes)
        self.objects[key] = (content, f"V{self._versions}")
        return f"V{self._versions}"

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """See TokenStore."""
        self._note("read", key, deadline)
        if key not in self.objects:
            return None
        return StoredObject(*self.objects[key], modified=self.modified, now=self.now)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """See TokenStore."""
        self._note(_VERBS.get(expect, "replace_if_version"), key, deadline)
        if expect is not ANY and self._version(key) != expect:
            raise VersionConflict(key)
        return self._put(key, content)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """See TokenStore."""
        self._note("delete", key, deadline)
        if expect is not ANY and self._version(key) != expect:
            raise VersionConflict(key)
        self.objects.pop(key, None)

    def _version(self, key: str) -> Expect:
        return self.objects[key][1] if key in self.objects else ABSENT

    def server_now(self, *, deadline: float) -> float | None:
        """See TokenStore."""
        self._note("server_now", "", deadline)
        return self.clock

    def close(self) -> None:
        """See TokenStore."""


class HandClock(Clock):
    """Time that passes only by waiting, and randomness that is known."""

    def __init__(self) -> None:
        """Begin at 100 s, at the time 9000."""
        self.at = 100.0
        self.slept: list[float] = []
        self.jitters = 1.0
        self._nonces = 0

    def mono(self) -> float:
        """See Clock."""
        return self.at

    def now(self) -> tuple[float, float]:
        """See Clock."""
        return self.at + 300, self.at + 8900

    def boot(self) -> str:
        """See Clock."""
        return "this boot"

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        self.slept.append(seconds)
        self.at += seconds

    def jitter(self) -> float:
        """See Clock."""
        return self.jitters

    def nonce(self) -> str:
        """See Clock."""
        self._nonces += 1
        return f"nonce {self._nonces}"
