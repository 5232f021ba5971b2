"""The world around the model's processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeAlias

from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import BAN, FRESH, MARGIN

from .plans import Rules
from .processes import LANES, Local, Pool
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
    faults: int  # how many faults the adversary has left
    times: int
    spare: int

    def copy(self) -> World:
        return World(*_values(self))

    def key(self) -> tuple[Any, ...]:
        return _values(self)[2:]

    def used(self) -> int:
        """Return the names that are written anywhere or may still be compared with, as bits."""
        pool, found = self.pool, 0
        for proc in self.procs:
            found |= pool.locals[proc].names
        token = ("token", self.token, self.version, 0.0)
        lock = ("lock", self.lock, self.lock_version, 0.0)
        for what, content, version, _ in (token, lock, *self.floats):
            if what == "lock":
                found |= pool.lock_names[content] if content >= 0 else 0
            elif content > 0:
                found |= 1 << LANES["t"] + content
            if version >= 0:
                found |= 1 << LANES["k" if what == "lock" else "v"] + version
        return found

    def fresh(self, kinds: str) -> int:
        """Return the first number for a name that is not in use; `kinds` as in LANES."""
        used = 1
        for kind in kinds:
            used |= self.used() >> LANES[kind] & 0xFFFF
        return (~used & (used + 1)).bit_length() - 1

    def fresh_token(self) -> int:
        return self.fresh("tv" if self.rules.etags else "t")

    def fits(self, write: Write) -> bool:
        """Return whether a write's condition holds."""
        what, _, version, _ = write
        return version == (self.lock_version if what == "lock" else self.version)

    def _may_fit(self, write: Write) -> bool:
        what, _, version, _ = write
        return version < 0 or (what != "lock" and self.rules.etags) or self.fits(write)

    def seal(self) -> None:
        """Bring a changed world into the one form that equal worlds have."""
        if self.floats:
            self.floats = tuple(sorted(w for w in self.floats if self._may_fit(w)))
        self.procs = tuple(sorted(self.procs))
        used = self.used()
        self.live &= used & 0xFFFF
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
        self.version = max(content, 0) if self.rules.etags else self.fresh("v")
        self.token, self.age = JUNK if blank else content, 0.0

    def lands(self, write: Write, own: str | None) -> do.Written:
        """Let a write land, of a process that published `own` if it is at work."""
        what, content, _, force = write
        if what != "lock":
            self.token_lands(again=what == "rewrite", same=self.token == content)
            self.landed |= self.live & 1 << content
            self.store_token(content, blank=what == "blank")
            return do.Written(f"v{self.version}")
        lock = self.pool.locks[content]
        self.lock_lands(lock, self.force)
        if own is not None:
            self.vouches(lock, own, f"f{self.token}")
        self.lock_version = self.fresh("k")
        self.lock, self.lock_age, self.force = content, 0.0, force
        return do.Written(f"k{self.lock_version}")

    def logs_out(self, token: str) -> None:
        """Look at a logout that is made now.

        Where a store's refusals may be lies, a token may land that was logged out: it is dead then,
        as the others find out, and costs one login.
        """
        name = 1 << int(token[1:])
        stored = 1 << self.token if self.token > 0 else 0
        late = [1 << content for what, content, _, _ in self.floats if what != "lock"]
        if "lies" not in self.rules.kinds and (name in {stored, *late} or self.landed & name):
            fail("I3", "a token was logged out that is stored, was, or may be yet")
        self.live &= ~name
        self.out |= name

    def told(self, before: Local, after: Local) -> None:
        new = 1 << int(before.login.new[1:]) if before.login.new else 0
        self.gives_up(before, after, safe=bool(new & (self.landed | self.out | ~self.live)))
        if isinstance(after.effect, do.Done) and self.out >> int(after.effect.token[1:]) & 1:
            fail("adopted", "a call ended with a token that was logged out")
        if isinstance(after.effect, do.LogIn):
            self.decides(after.login, removed="delete" in self.rules.kinds)


_values: Callable[[World], tuple[Any, ...]] = attrgetter(*(field.name for field in fields(World)))


def first(rules: Rules, pool: Pool) -> World:
    token = {"missing": MISSING, "junk": JUNK}.get(rules.token, 1)
    lock, age = rules.lock or (locks.JUNK, 0.0)
    live = rules.token == "live"
    world = World(
        rules,
        pool,
        token=token,
        version=-1 if token == MISSING else max(token, 0),
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
