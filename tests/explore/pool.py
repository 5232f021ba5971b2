"""Every process state and every lock seen so far under a small number, and steps remembered.

The same local steps recur in millions of worlds, so each is computed once, by the shipped machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from betfair_session.lease import lock as locks, messages as m

from .facts import Facts, facts

if TYPE_CHECKING:
    from betfair_session.lease.lock import Lock

    from .local import Local, View

    Key: TypeAlias = tuple[object, ...]

LADDER = (15.0, 60.0, 300.0, 900.0)
REFUSALS = {
    "temporary": (15.0, 15.0, 15.0, 15.0),
    "credentials": LADDER,
    "ban": (1200.0, 1200.0, 1200.0, 1200.0),
}
UNKNOWN = "?"  # said of the server's clock: this answer told nothing about it


class Pool:
    """Numbers for process states and locks; 0 is the process that is no more."""

    def __init__(self, view: View) -> None:
        """Begin with none."""
        self.view = view
        self.locals: list[Local | None] = [None]
        self.facts: list[Facts] = [Facts(type(None), "", True, False, 0, 0, 0, 0)]  # noqa: FBT003
        self.locks: list[Lock] = []
        self._local_ids: dict[Local, int] = {}
        self._lock_ids: dict[Lock, int] = {}
        self._steps: dict[Key, int] = {}

    def local_id(self, local: Local) -> int:
        """Return the number of a process state."""
        known = self._local_ids.get(local)
        if known is None:
            known = self._local_ids[local] = len(self.locals)
            self.locals.append(local)
            self.facts.append(facts(local))
        return known

    def lock_id(self, lock: Lock) -> int:
        """Return the number of a lock's content."""
        known = self._lock_ids.get(lock)
        if known is None:
            known = self._lock_ids[lock] = len(self.locks)
            self.locks.append(lock)
        return known

    def at(self, number: int) -> Local:
        """Return a process that is there."""
        local = self.locals[number]
        assert local is not None
        return local

    def tell(self, number: int, told: Key, off: float | str = UNKNOWN, nonce: str = "") -> int:
        """Return the process that has been told something, and perhaps the server's time."""
        key = (number, told, off, nonce)
        known = self._steps.get(key)
        if known is None:
            local = self.at(number)
            if isinstance(off, float):
                local = replace(local, off=off, known=True)
            known = self.local_id(self.view.advance(local, self._event(told), nonce))
            self._steps[key] = known
        return known

    def later(self, number: int, seconds: float, *, still: bool) -> int:
        """Return the process after some time."""
        key = (number, "later", seconds, still)
        known = self._steps.get(key)
        if known is None:
            known = self.local_id(self.view.later(self.at(number), seconds, still=still))
            self._steps[key] = known
        return known

    def wall_step(self, number: int, seconds: float) -> int:
        """Return the process after its wall clock was set."""
        return self.local_id(self.view.wall_step(self.at(number), seconds))

    def forget(self, number: int) -> int:
        """Return the process without the name of its attempt."""
        return self.local_id(self.view.forget(self.at(number)))

    def later_lock(self, number: int, seconds: float) -> int:
        """Return the lock's content, told from a later now."""
        key = ("lock", number, seconds)
        known = self._steps.get(key)
        if known is None:
            known = self.lock_id(self.view.later_lock(self.locks[number], seconds))
            self._steps[key] = known
        return known

    def cleared(self, number: int) -> int:
        """Return the lock's content after a person unlocked it."""
        content = locks.cleared(locks.encode(self.locks[number]))
        return self.lock_id(self.view.lock(locks.decode(content)))

    def _event(self, told: Key) -> m.Event:
        kind, *rest = told
        return _EVENTS[str(kind)](self, *rest)  # type: ignore[operator,no-any-return]


def _token(_: Pool, token: str | None, version: str | None) -> m.Event:
    return m.TokenRead(token, version, f"f{token[1:]}" if token else "")


def _lock(pool: Pool, lock: int | None, version: str | None, age: float | None) -> m.Event:
    return m.LockRead(pool.locks[lock] if lock is not None else None, version, age)


def _refused(_: Pool, kind: str) -> m.Event:
    return m.Refused("refused", "CODE", kind, REFUSALS[kind])


_EVENTS: dict[str, object] = {
    "token": _token,
    "lock": _lock,
    "written": lambda _, version: m.Written(version),
    "conflict": lambda _: m.Conflict("conflict"),
    "failed": lambda _, landed, passing: m.StoreFailed("failed", landed, passing),
    "alive": lambda _, token: m.Alive(token, f"f{token[1:]}"),
    "dead": lambda _: m.Dead(),
    "in": lambda _, token: m.LoggedIn(token, f"f{token[1:]}"),
    "refused": _refused,
    "unclear": lambda _, sent: m.Unclear("unclear", sent),
    "out": lambda _: m.LoggedOut(),
}
