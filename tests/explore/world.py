"""The world around the processes: store, Betfair, late writes, and what the checks remember."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from betfair_session.login import lock as locks
from betfair_session.login.lock import BAN, FRESH, MARGIN

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock

    from .pool import Pool
    from .rules import Rules

    Write: TypeAlias = tuple[str, int, int, float]
    """A write that may still land: "token", "rewrite" (of a token that was verified) or "lock",
    content, version (-1 to create), force."""

MISSING, JUNK = 0, -1
MOST_CREDIT = 9


class World:
    """Everything at one moment.

    Attributes:
        token: the stored token's number, MISSING or JUNK.
        version: its version's number; -1 when missing.
        age: how long it has been stored, cut off past FRESH.
        lock, lock_version, lock_age: likewise; the lock by its number in the pool, -1 when missing.
        force: seconds for which the refusal in the lock truly still counts.
        procs: the processes, by their numbers in the pool, sorted.
        floats: writes that may still land.
        live: the sessions that live, as bits.
        landed: the tokens that have ever been stored, as bits.
        out: the tokens that were logged out, as bits.
        credit: the logins that may still be made in this generation (see checks.py).
        window: how long ago the logins of the last minute were.
        zombies: logins in `window` that the brake could not see.
        faults, times, spare: what is left of the adversary's means.
    """

    __slots__ = (
        "age", "credit", "faults", "floats", "force", "landed", "live", "lock", "lock_age",
        "lock_version", "out", "procs", "spare", "times", "token", "version", "window", "zombies",
    )  # fmt: skip

    token: int
    version: int
    age: float
    lock: int
    lock_version: int
    lock_age: float
    force: float
    procs: tuple[int, ...]
    floats: tuple[Write, ...]
    live: int
    landed: int
    out: int
    credit: int
    window: tuple[float, ...]
    zombies: int
    faults: int
    times: int
    spare: int

    def copy(self) -> World:
        """Return a world that can be changed."""
        new = World.__new__(World)
        new.token, new.version, new.age = self.token, self.version, self.age
        new.lock, new.lock_version, new.lock_age = self.lock, self.lock_version, self.lock_age
        new.force, new.procs, new.floats = self.force, self.procs, self.floats
        new.live, new.landed, new.out = self.live, self.landed, self.out
        new.credit, new.window, new.zombies = self.credit, self.window, self.zombies
        new.faults, new.times, new.spare = self.faults, self.times, self.spare
        return new

    def key(self) -> tuple[float | tuple[int, ...] | tuple[float, ...] | tuple[Write, ...], ...]:
        """Return the whole world as a value."""
        return (
            self.token, self.version, self.age, self.lock, self.lock_version, self.lock_age,
            self.force, self.procs, self.floats, self.live, self.landed, self.out, self.credit,
            self.window, self.zombies, self.faults, self.times, self.spare,
        )  # fmt: skip


def first(rules: Rules, pool: Pool) -> World:
    """Make the world as an exploration begins."""
    world = World()
    world.token = {"missing": MISSING, "junk": JUNK}.get(rules.token, 1)
    world.version = -1 if world.token == MISSING else token_version(rules, world.token, 0)
    world.age = FRESH + MARGIN
    world.lock, world.lock_version, world.lock_age, world.force = -1, -1, 0.0, 0.0
    if rules.lock is not None:
        world.lock, world.lock_version = pool.lock_id(rules.lock[0]), 0
        world.lock_age = rules.lock[1]
        lock = rules.lock[0]
        world.force = lock.not_before if lock.state == locks.FAILED else 0.0
    world.floats = ()
    world.live = 2 if rules.token == "live" else 0
    world.landed, world.out, world.window, world.zombies = world.live, 0, (), 0
    world.credit = 0 if rules.token == "live" else 1
    world.faults, world.times, world.spare = rules.faults, rules.times, rules.spare
    world.procs = ()
    for number in range(rules.processes):
        world.procs += (newcomer(rules, pool, number),)
    seal(rules, pool, world)
    return world


def newcomer(rules: Rules, pool: Pool, number: int) -> int:
    """Begin a process."""
    skew = rules.skews[number % len(rules.skews)]
    deadline = rules.deadlines[number % len(rules.deadlines)]
    return pool.newcomer(rules, deadline, skew)


def fresh_nonce(rules: Rules, pool: Pool, world: World) -> str:
    """Return the first name for an attempt that is not in use."""
    if rules.broken == "nonce":
        return "n1"
    return f"n{_first_unused(used_nonces(pool, world))}"


def used_nonces(pool: Pool, world: World) -> int:
    """Return the names of attempts that are written anywhere, as bits."""
    used = 1
    for proc in world.procs:
        used |= pool.facts[proc].nonces
    for lock in _locks_about(pool, world):
        used |= 1 << int(lock.nonce[1:]) if lock.nonce else 0
    return used


def fresh_token(rules: Rules, pool: Pool, world: World) -> int:
    """Return the first number for a token that is not in use."""
    used = used_versions(pool, world, lock=False) if rules.etags else 0
    return _first_unused(_tokens(pool, world) | used | 1)


def token_version(rules: Rules, token: int, used: int) -> int:
    """Return the version that the store gives to a token."""
    return max(token, 0) if rules.etags else _first_unused(used)


def used_versions(pool: Pool, world: World, *, lock: bool) -> int:
    """Return the versions that somebody may still compare with, as bits."""
    used = 0
    for proc in world.procs:
        facts = pool.facts[proc]
        used |= facts.lock_versions if lock else facts.versions
    current = world.lock_version if lock else world.version
    if current >= 0:
        used |= 1 << current
    for what, _, version, _ in world.floats:
        if (what == "lock") == lock and version >= 0:
            used |= 1 << version
    return used


def next_lock_version(pool: Pool, world: World) -> int:
    """Return the version that the store gives to a lock."""
    return _first_unused(used_versions(pool, world, lock=True))


def _first_unused(used: int) -> int:
    return (~used & (used + 1)).bit_length() - 1


def _locks_about(pool: Pool, world: World) -> list[Lock]:
    about = [pool.locks[content] for what, content, _, _ in world.floats if what == "lock"]
    return [*about, pool.locks[world.lock]] if world.lock >= 0 else about


def _tokens(pool: Pool, world: World) -> int:
    used = 0
    for proc in world.procs:
        used |= pool.facts[proc].tokens
    if world.token > 0:
        used |= 1 << world.token
    for what, content, _, _ in world.floats:
        if what != "lock":
            used |= 1 << content
    for lock in _locks_about(pool, world):
        if lock.published:
            used |= 1 << int(lock.published[1:])
    return used


def _can_land(rules: Rules, world: World, write: Write) -> bool:
    what, _, version, _ = write
    if version < 0 or rules.broken == f"{what} condition":
        return True
    if what != "lock":
        return rules.etags or version == world.version
    return version == world.lock_version


def seal(rules: Rules, pool: Pool, world: World) -> None:
    """Bring a changed world into the one form that equal worlds have."""
    if world.floats:
        world.floats = tuple(sorted(w for w in world.floats if _can_land(rules, world, w)))
    world.procs = tuple(sorted(world.procs))
    used = _tokens(pool, world)
    world.live &= used
    world.landed &= world.live
    world.out &= used
    world.credit = min(world.credit, MOST_CREDIT)
    world.age = min(world.age, FRESH + 2 * MARGIN)
    if world.lock < 0:
        world.lock_age = world.force = 0.0
        return
    lock = pool.locks[world.lock]
    most = {locks.HELD: lock.ttl + 2 * MARGIN, locks.DONE: FRESH + 2 * MARGIN}
    world.lock_age = min(world.lock_age, most.get(lock.state, BAN))
    world.force = max(world.force, 0.0) if lock.state == locks.FAILED else 0.0
