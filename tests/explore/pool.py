"""Every process state and every lock seen so far under a small number, and steps remembered.

The same local steps recur in millions of worlds, so each is computed once, by the shipped policy.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from login import messages as m

from betfair_session.login import lock as locks

from .facts import Facts, facts
from .local import Replica, Way

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock

    from .local import Local, Step, View
    from .rules import Rules

    Key: TypeAlias = tuple[object, ...]

REFUSALS = ("temporary", "credentials", "ban")
UNKNOWN = "?"  # said of the server's clock: this answer told nothing about it


class Pool:
    """Numbers for process states and locks; 0 is the process that is no more."""

    def __init__(self, view: View) -> None:
        """Begin with none."""
        self.view = view
        self.locals: list[Local | None] = [None]
        self.facts: list[Facts] = [Facts(type(None), "", True, False, 0, 0, 0, 0)]  # noqa: FBT003
        self.locks: list[Lock] = []
        self._local_ids: dict[Key, int] = {}
        self._lock_ids: dict[Lock, int] = {}
        self._steps: dict[Key, int] = {}

    def local_id(self, way: Way) -> int:
        """Return the number of a process state, by a way to it."""
        local = self.view.seen(way)
        known = self._local_ids.get(local.key)
        if known is None:
            known = self._local_ids[local.key] = len(self.locals)
            self.locals.append(local)
            self.facts.append(facts(local))
        elif self.at(known).way.live is None:
            self.at(known).way.live = way.live  # the same state, however it was come to
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

    def newcomer(self, rules: Rules, deadline: float, skew: float) -> int:
        """Return a process that begins."""
        key = ("new", deadline, skew)
        known = self._steps.get(key)
        if known is None:
            start = partial(
                Replica, rules.settings, deadline=deadline, share=rules.share, skew=skew
            )
            known = self._steps[key] = self.local_id(Way(start, live=start()))
        return known

    def tell(self, number: int, told: Key, off: float | str = UNKNOWN, nonce: str = "") -> int:
        """Return the process that has been told something, and perhaps the server's time."""
        known = off if isinstance(off, float) else None
        return self._step((number, "tell", told, known, nonce))

    def later(self, number: int, seconds: float, *, still: bool) -> int:
        """Return the process after some time."""
        return self._step((number, "later", seconds, still))

    def wall_step(self, number: int, seconds: float) -> int:
        """Return the process after its wall clock was set."""
        return self._step((number, "wall", seconds))

    def forget(self, number: int) -> int:
        """Return the process without the name of its attempt."""
        return self._step((number, "forget"))

    def _step(self, key: Key) -> int:
        known = self._steps.get(key)
        if known is None:
            way = self.at(int(str(key[0]))).way.go(self.step_of(key))
            known = self._steps[key] = self.local_id(way)
        return known

    def step_of(self, key: Key) -> Step:
        """Return what a process does in a step: what it is told, or that time passes."""
        return partial(_take, self, key)

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


def _take(pool: Pool, key: Key, replica: Replica) -> None:
    _, what, *rest = key
    if what == "tell":
        told, off, nonce = rest
        replica.tell(_event(pool, told), off, nonce)  # type: ignore[arg-type]
    elif what == "later":
        seconds, still = rest
        replica.later(pool.view, seconds, still=bool(still))  # type: ignore[arg-type]
    elif what == "wall":
        replica.wall_step(*rest)  # type: ignore[arg-type]
    else:
        replica.forget()


def _event(pool: Pool, told: Key) -> object:
    kind, *rest = told
    return _EVENTS[str(kind)](pool, *rest)  # type: ignore[operator]


def _token(_: Pool, token: str | None, version: str | None) -> object:
    return m.TokenRead(token, version, f"f{token[1:]}" if token else "")


def _lock(pool: Pool, lock: int | None, version: str | None, age: float | None) -> object:
    return m.LockRead(pool.locks[lock] if lock is not None else None, version, age)


_EVENTS: dict[str, object] = {
    "token": _token,
    "lock": _lock,
    "written": lambda _, version: m.Written(version),
    "conflict": lambda _: m.Conflict(),
    "failed": lambda _, landed, passing: m.StoreFailed("failed", landed=landed, passing=passing),
    "alive": lambda _, token: m.Session(token, f"f{token[1:]}"),
    "dead": lambda _: m.DEAD,
    "in": lambda _, token: m.Session(token, f"f{token[1:]}"),
    "refused": lambda _, kind: m.Refused("refused", "CODE", kind),
    "unclear": lambda _, sent: m.Unclear("unclear", sent=sent),
    "out": lambda _: None,
}
