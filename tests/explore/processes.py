"""Processes of the model: the shipped policy itself, with all times relative to now.

A process state is the way to it: what the policy was told, and when time passed. To step it, a
fresh generator repeats that way; one live generator is kept with each state, so that most
steps repeat nothing. Two ways lead to the same state when the generator stands at the same places
and the call's attributes are equal, but for a few that it reads no more, which long/model checks.
The same local steps recur in millions of worlds, so each is computed once, and every state and lock
has a small number.

The policy adds, subtracts and compares times, so a call can be moved in time: here all clocks stand
still. Waits are over at once, since a process that has woken up and not yet made its call is one
that still sleeps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import GeneratorType
from typing import Any, TypeAlias, cast

from login.script import ERRORS, HandClock, go_on

from betfair_session.exceptions import BetfairSessionError
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.call import CONFLICTS, TAKES
from betfair_session.login.errors import Errors
from betfair_session.login.lock import Lock, Memory
from betfair_session.login.policy import SharedLogin

from .plans import Rules
from .truth import Position, Seen, look_at_step, phase, position, snapshot

Step: TypeAlias = tuple[Any, ...]
Key: TypeAlias = tuple[object, ...]


LANES = {"t": 0, "f": 0, "v": 16, "k": 32, "n": 48}
"""Where the bits of names begin: of tokens and their fingerprints, versions, the lock's, nonces."""

_LOOKING = frozenset({"run", "_adopt", "_is_vouched_for", "_look_at_lock", "_take"})
_NEVER_READ = "settings clock errors memory atomic looked young crowd trouble failure ended"

# --- one process ---------------------------------------------------------------------------------


class ModelClock(HandClock):
    """Clocks that stand still; the server's says 0, and is off by `off`."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off, self.name, self.jitters = off, "", 0.5

    def server(self) -> float:
        return self.off

    def nonce(self) -> str:
        assert self.name
        return self.name


class Replica:
    def __init__(
        self, settings: LeaseSettings, *, deadline: float, share: bool, skew: float
    ) -> None:
        """Begin a call in a process whose wall clock is wrong by `skew` seconds."""
        self.clock = ModelClock(skew)
        self.known = False  # whether its idea of the server's time comes from the store
        errors, memory = Errors("", ""), Memory()
        more: dict[str, Any] = {"deadline": deadline, "atomic": True, "share": share}
        self.login = SharedLogin(settings, self.clock, errors, memory, **more)
        self._steps = cast("GeneratorType[Any, Any, Any]", self.login.run())
        self.effect: object = next(self._steps)  # at its end a Done, or an error's name

    @property
    def where(self) -> Position:
        return position(self._steps)

    def tell(self, answer: object, off: float | None, nonce: str) -> None:
        """Tell it what happened, and perhaps the server's time; let it come to its next call."""
        login, told = self.login, ERRORS[answer]() if isinstance(answer, str) else answer
        if off is not None:
            self.clock.off, self.known = off, True
        self.clock.name = nonce
        effect = go_on(self._steps, told)
        while isinstance(effect, do.Wait):
            assert effect.seconds >= 0
            effect = go_on(self._steps, None)
        look_at_step(login, told, effect)
        ended = isinstance(effect, BetfairSessionError)
        self.effect = type(effect).__name__ if ended else effect

    def later(self, seconds: float, still: bool) -> None:  # noqa: FBT001 - one part of a step
        """Let time pass; with `still`, the process's monotonic clock does not notice."""
        login, memory, felt = self.login, self.login.memory, 0.0 if still else seconds
        login.deadline -= felt
        login.lock = later_lock(login.lock, seconds)
        login.mine = later_lock(login.mine, seconds)
        login.lock_since -= felt
        memory.owed = later_lock(memory.owed, seconds) if memory.owed else None
        if isinstance(self.effect, do.WriteLock):
            self.effect = self.effect._replace(lock=later_lock(self.effect.lock, seconds))
        if self.known:
            self.clock.off -= seconds - felt
        for it, name in ((login, "started"), (login, "asked"), (memory, "since")):
            if times := getattr(it, name):
                setattr(it, name, (times[0] - felt, times[1] - seconds))


@dataclass(eq=False)
class Way:
    """How a process came to its state; `live` is a policy in it."""

    start: Callable[[], Replica]
    steps: tuple[Step, ...] = ()
    live: Replica | None = None

    def go(self, *step: Any) -> Way:  # noqa: ANN401 - those of "tell" or "later" of a Replica
        replica, self.live = self.live, None
        for each in (step,) if replica else (*self.steps, step):
            replica = replica or self.start()
            getattr(replica, each[0])(*each[1:])
        return Way(self.start, (*self.steps, step), replica)


@dataclass(eq=False)
class Local(Seen):
    """A process, as the world sees it; `login` leaves out what no process acts on."""

    key: Key  # everything that matters
    off: float  # its idea of the server's time, less the truth
    known: bool  # whether that comes from the store
    way: Way = field(repr=False)

    def __post_init__(self) -> None:
        self.over = isinstance(self.effect, do.Done | str)
        # It has not yet tried to take the lock.
        self.looking = self.phase in _LOOKING - {"_take"}
        self.names = names(self.key)


def names(*values: object) -> int:
    """Return the names, such as "t3", that are anywhere in some values, as bits."""
    found = 0
    for value in values:
        if isinstance(value, tuple):
            found |= names(*value)
        elif isinstance(value, str) and value[1:].isdigit():
            found |= 1 << LANES[value[0]] + int(value[1:])
    return found


def plain(lock: Lock) -> Lock:
    """Blank what no process acts on in the model, which makes too few logins for the brake."""
    failed = lock.state == locks.FAILED
    return lock._replace(
        owner="",
        since=lock.since if failed else 0.0,
        logins=(),
        refusals=min(lock.refusals, 4),  # more make no wait longer
        status="",
        login_class="store" if lock.login_class == "store" else "",
        not_before=lock.not_before if failed else 0.0,
    )


def later_lock(lock: Lock, seconds: float) -> Lock:
    """Return a lock with its times relative to a later now."""
    return plain(lock._replace(since=lock.since - seconds, not_before=lock.not_before - seconds))


def plain_effect(effect: object) -> Any:  # noqa: ANN401 - any of them
    """Blank what only people read."""
    if isinstance(effect, do.WriteLock):
        return effect._replace(lock=plain(effect.lock))
    if isinstance(effect, do.LogIn):
        assert effect.seconds > 0
        return do.LogIn(1.0)
    return effect._replace(since=(0.0, 0.0)) if isinstance(effect, do.Done) else effect


def seen(way: Way) -> Local:
    replica = way.live
    assert replica is not None
    login, where = snapshot(replica.login), replica.where
    now, effect = phase(where), plain_effect(replica.effect)
    ended = type(login.ended).__name__ if login.ended else ""
    login.memory, owed = copy.copy(login.memory), login.memory.owed
    login.mine = plain(login.mine)
    login.new = None if ended else login.new
    login.lock = plain(login.lock)
    if now not in _LOOKING:
        login.lock_since, login.lock_age, login.reread = 0.0, None, None
        login.tried, login.takes = (), 0
    if not (login.share and isinstance(effect, do.Ask)):
        login.asked = (0.0, 0.0)
    login.deadline = max(login.deadline, 0.0)
    login.polls = login.polls if login.polls < 2 else 2 + login.polls % 2
    login.takes = min(login.takes, max(TAKES, CONFLICTS) + 1)
    attributes = {**vars(login), **dict.fromkeys(_NEVER_READ.split())}
    about = (ended, plain(owed) if owed else None, login.memory.since if owed else None)
    off, known = replica.clock.off, replica.known
    key: Key = (where, effect, *attributes.values(), *about, off, known)
    return Local(now, effect, login, key if where else ("over", effect), off, known, way)


# --- all of them ---------------------------------------------------------------------------------


class Pool:
    """Numbers for process states and locks; 0 is a process that has ended."""

    def __init__(self) -> None:
        nobody = Replica(cast("Any", None), deadline=0.0, share=False, skew=0.0)
        nobody.effect = ""
        self.locals = [seen(Way(lambda: nobody, live=nobody))]
        self.locks: list[Lock] = []
        self.lock_names: list[int] = []
        self._local_ids: dict[Key, int] = {}
        self._lock_ids: dict[Lock, int] = {}
        self._steps: dict[Key, int] = {}

    def local_id(self, way: Way) -> int:
        """Return the number of a process state, by a way to it."""
        local = seen(way)
        known = self._local_ids.get(local.key)
        if known is None:
            known = self._local_ids[local.key] = len(self.locals)
            self.locals.append(local)
        elif self.locals[known].way.live is None:
            self.locals[known].way.live = way.live  # the same state, reached by either way
        return known

    def lock_id(self, lock: Lock) -> int:
        if lock not in self._lock_ids:
            self._lock_ids[lock] = len(self.locks)
            self.locks.append(lock)
            self.lock_names.append(names(lock))
        return self._lock_ids[lock]

    def newcomer(self, rules: Rules, number: int) -> int:
        """Return a process that begins, by its number in the rules."""
        skew = rules.skews[number % len(rules.skews)]
        deadline = rules.deadlines[number % len(rules.deadlines)]
        key = ("new", deadline, skew)
        if key not in self._steps:
            more = {"deadline": deadline, "share": rules.share, "skew": skew}
            start = partial(Replica, rules.settings, **cast("dict[str, Any]", more))
            self._steps[key] = self.local_id(Way(start, live=start()))
        return self._steps[key]

    def step(self, number: int, *step: Any) -> int:  # noqa: ANN401 - as in Way.go
        """Return a process after a step."""
        key = (number, *step)
        if key not in self._steps:
            self._steps[key] = self.local_id(self.locals[number].way.go(*step))
        return self._steps[key]

    def later_lock(self, number: int, seconds: float) -> int:
        """Return the lock's content, relative to a later now."""
        key = ("lock", number, seconds)
        if key not in self._steps:
            self._steps[key] = self.lock_id(later_lock(self.locks[number], seconds))
        return self._steps[key]
