"""The world around the model's processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeAlias

from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import BAN, FRESH, MARGIN, Lock

from .plans import Rules
from .processes import Local, Pool, bits
from .truth import Now, Truth, fail

Write: TypeAlias = tuple[str, int, int, float]
"""A write that may still land: "token", "rewrite" (of a token that was verified) or "lock",
content, version (-1 to create), force."""


MISSING, JUNK = 0, -1
MOST_CREDIT = 9


@dataclass(slots=True)
class World(Truth):
    """Everything at one moment."""

    rules: Rules  # the exploration's; the same in all worlds
    pool: Pool  # its process states and locks; likewise
    token: int  # the stored token's number, MISSING or JUNK
    version: int  # its version's number; -1 when missing
    age: float  # how long it has been stored, cut off past FRESH
    lock: int  # its number in the pool; -1 when missing
    lock_version: int
    lock_age: float
    force: float  # seconds for which the refusal in the lock truly still counts
    procs: tuple[int, ...]  # the processes, by their numbers in the pool, sorted
    floats: tuple[Write, ...]  # writes that may still land
    live: int  # the sessions that live, as bits
    landed: int  # the tokens that have ever been stored, likewise
    out: int  # the tokens that were logged out, likewise
    credit: int
    faults: int  # what is left of the adversary's means
    times: int
    spare: int

    def copy(self) -> World:
        return World(*_values(self))

    def key(self) -> tuple[Any, ...]:
        return _values(self)[2:]

    def fresh_nonce(self) -> str:
        """Return the first name for an attempt that is not in use."""
        if self.rules.broken == "nonce":
            return "n1"
        return f"n{_first_unused(self.used_nonces())}"

    def used_nonces(self) -> int:
        """Return the names of attempts that are written anywhere, as bits."""
        used = 1
        for proc in self.procs:
            used |= self.pool.locals[proc].nonces
        for lock in self._locks_about():
            used |= 1 << int(lock.nonce[1:]) if lock.nonce else 0
        return used

    def fresh_token(self) -> int:
        """Return the first number for a token that is not in use."""
        used = self.used_versions(lock=False) if self.rules.etags else 0
        return _first_unused(self._tokens() | used | 1)

    def used_versions(self, *, lock: bool) -> int:
        """Return the versions that somebody may still compare with, as bits."""
        used = 0
        for proc in self.procs:
            facts = self.pool.locals[proc]
            used |= facts.lock_versions if lock else facts.versions
        current = self.lock_version if lock else self.version
        if current >= 0:
            used |= 1 << current
        for what, _, version, _ in self.floats:
            if (what == "lock") == lock and version >= 0:
                used |= 1 << version
        return used

    def _locks_about(self) -> list[Lock]:
        about = [self.pool.locks[content] for what, content, _, _ in self.floats if what == "lock"]
        return [*about, self.pool.locks[self.lock]] if self.lock >= 0 else about

    def _tokens(self) -> int:
        used = 0
        for proc in self.procs:
            used |= self.pool.locals[proc].tokens
        if self.token > 0:
            used |= 1 << self.token
        for what, content, _, _ in self.floats:
            if what != "lock":
                used |= 1 << content
        for lock in self._locks_about():
            if lock.published:
                used |= 1 << int(lock.published[1:])
        return used

    def _can_land(self, write: Write) -> bool:
        what, _, version, _ = write
        if version < 0 or self.rules.broken == f"{what} condition":
            return True
        if what != "lock":
            return self.rules.etags or version == self.version
        return version == self.lock_version

    def seal(self) -> None:
        """Bring a changed world into the one form that equal worlds have."""
        if self.floats:
            self.floats = tuple(sorted(w for w in self.floats if self._can_land(w)))
        self.procs = tuple(sorted(self.procs))
        used = self._tokens()
        self.live &= used
        self.landed &= self.live
        self.out &= used
        self.credit = min(self.credit, MOST_CREDIT)
        self.age = min(self.age, FRESH + 2 * MARGIN)
        if self.lock < 0:
            self.lock_age = self.force = 0.0
            return
        lock = self.pool.locks[self.lock]
        most = {locks.HELD: lock.ttl + 2 * MARGIN, locks.DONE: FRESH + 2 * MARGIN}
        self.lock_age = min(self.lock_age, most.get(lock.state, BAN))
        self.force = max(self.force, 0.0) if lock.state == locks.FAILED else 0.0

    def now(self) -> Now:
        lock = self.pool.locks[self.lock] if self.lock >= 0 else None
        version = f"v{self.version}" if self.version >= 0 else None
        lives = self.token > 0 and bool(self.live >> self.token & 1)
        return Now(version, lives, self.age, lock, f"k{self.lock_version}", self.lock_age)

    def running(self) -> Iterator[Local]:
        return (self.pool.locals[proc] for proc in self.procs)

    def store_token(self, content: int, *, blank: bool = False) -> None:
        used = self.used_versions(lock=False) | 1
        self.version = token_version(self.rules, content, used)
        self.token, self.age = JUNK if blank else content, 0.0

    def store_lock(self, content: int, force: float) -> None:
        self.lock_version = _first_unused(self.used_versions(lock=True))
        self.lock, self.lock_age, self.force = content, 0.0, force

    def logs_out(self, token: str) -> None:
        """Look at a logout that is made now.

        Where a store's refusals may be lies, a token may land that was logged out: it is dead then,
        as the others find out, and costs one login.
        """
        name = bits(token)
        stored = 1 << self.token if self.token > 0 else 0
        late = [1 << content for what, content, _, _ in self.floats if what != "lock"]
        if "lies" not in self.rules.kinds and (name in {stored, *late} or self.landed & name):
            fail("I3", "a token was logged out that is stored, was, or may be yet")
        self.live &= ~name
        self.out |= name

    def told(self, before: Local, after: Local) -> None:
        safe = bits(before.login.new) & (self.landed | self.out | ~self.live)
        self.gives_up(before, after, safe=bool(safe))
        if isinstance(after.effect, do.Done) and self.out & bits(after.effect.token):
            fail("adopted", "a call ended with a token that was logged out")
        if isinstance(after.effect, do.LogIn) and not self.rules.broken:  # that is to show I1
            self.decides(after.login, removed="delete" in self.rules.kinds)


_values: Callable[[World], tuple[Any, ...]] = attrgetter(*(field.name for field in fields(World)))


def _first_unused(used: int) -> int:
    return (~used & (used + 1)).bit_length() - 1


def token_version(rules: Rules, token: int, used: int) -> int:
    return max(token, 0) if rules.etags else _first_unused(used)


def first(rules: Rules, pool: Pool) -> World:
    token = {"missing": MISSING, "junk": JUNK}.get(rules.token, 1)
    lock, age = rules.lock or (locks.JUNK, 0.0)
    live = rules.token == "live"
    world = World(
        rules,
        pool,
        token=token,
        version=-1 if token == MISSING else token_version(rules, token, 0),
        age=FRESH + MARGIN,
        lock=pool.lock_id(lock) if rules.lock else -1,
        lock_version=0 if rules.lock else -1,
        lock_age=age,
        force=lock.not_before if lock.state == locks.FAILED else 0.0,
        procs=tuple(pool.newcomer(rules, number) for number in range(rules.processes)),
        floats=(),
        live=2 * live,
        landed=2 * live,
        out=0,
        credit=1 - live,
        faults=rules.faults,
        times=rules.times,
        spare=rules.spare,
    )
    world.seal()
    return world
