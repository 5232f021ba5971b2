"""The world around the processes, and what must hold in it.

A *generation* of the token begins when the stored, valid token dies, is deleted or is overwritten
by something useless, or, at the start, when there is no valid token. In it may be made

- one login, and one more for each of these:
- a held lock that was taken over when its time to live had truly passed (by the store's clock,
  since it landed), or that a person removed or cleared;
- a process that, when the generation began, was on its way to a login on grounds that no longer
  held (its lock was removed or another's, or the token changed after its last look: the freeze
  between the check and the send, which nothing can mend);
- a foreign write or a deletion, since whoever has just logged in may find it in the way;
- a login that ended in a refusal or without an answer, and a new token that died before it
  was stored or could not be stored: nothing came of these, and another has to be tried.

`World.credit` counts down these; below zero is I1. So is a login by the lock's holder while a valid
token lies there that was stored before the lock was taken: the very lock under which it looked at
the token again, since an earlier, late attempt of its own may land when that lock was removed, in a
freeze between the check and the send. The other checks:

- I2: a write of a token lands on a valid one; a verified token that is written anew lands on
  another than itself, valid or not.
- I3: a token is logged out that is stored, or was stored while it lived, or may still land.
- I4: left alone, every process ends within the bound of `finish`; a newcomer then is served.
- lease: a login is decided on by a process whose lock is another's, or has outlived its time to
  live, although one of its two clocks noticed (a freeze *after* this decision nothing can mend).
- refusal: the lock is taken while a refusal in it truly still counts, by more than the margin.
- adopted: a call ends with a token that this library logged out, or that neither Betfair called
  alive nor a fresh lock vouches for; a refusal or the brake is raised, or a login begun, although
  the token last read may be valid.
- vouched: a lock says that a token older than FRESH was published just now.
- leak: a live session is given up silently that is neither stored, nor logged out, nor uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import BAN, FRESH, MARGIN

from .processes import bits, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.login.lock import Lock

    from .plans import Rules
    from .processes import Local, Pool

    Write: TypeAlias = tuple[str, int, int, float]
    """A write that may still land: "token", "rewrite" (of a token that was verified) or "lock",
    content, version (-1 to create), force."""

MISSING, JUNK = 0, -1
MOST_CREDIT = 9


@dataclass(slots=True)
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
        credit: the logins that may still be made in this generation (see above).
        faults, times, spare: what is left of the adversary's means.
    """

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
    faults: int
    times: int
    spare: int

    def copy(self) -> World:
        """Return a world that can be changed."""
        return World(*_values(self))

    def key(self) -> tuple[Any, ...]:
        """Return the whole world as a value."""
        return _values(self)


_values: Callable[[World], tuple[Any, ...]] = attrgetter(*(field.name for field in fields(World)))


def first(rules: Rules, pool: Pool) -> World:
    """Make the world as an exploration begins."""
    token = {"missing": MISSING, "junk": JUNK}.get(rules.token, 1)
    lock, age = rules.lock or (locks.JUNK, 0.0)
    live = rules.token == "live"
    world = World(
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
    seal(rules, pool, world)
    return world


def fresh_nonce(rules: Rules, pool: Pool, world: World) -> str:
    """Return the first name for an attempt that is not in use."""
    if rules.broken == "nonce":
        return "n1"
    return f"n{_first_unused(used_nonces(pool, world))}"


def used_nonces(pool: Pool, world: World) -> int:
    """Return the names of attempts that are written anywhere, as bits."""
    used = 1
    for proc in world.procs:
        used |= pool.locals[proc].nonces
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
        facts = pool.locals[proc]
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
        used |= pool.locals[proc].tokens
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


# --- the checks ----------------------------------------------------------------------------------


def holds(pool: Pool, world: World, nonce: str) -> bool:
    """Tell whether an attempt truly has the lock."""
    if world.lock < 0:
        return False
    lock = pool.locks[world.lock]
    return lock.state == locks.HELD and lock.nonce == nonce


def generation(pool: Pool, world: World) -> None:
    """Begin a generation: the stored token was valid, and is so no more."""
    world.credit = 1
    for proc in world.procs:
        if pool.locals[proc].phase in {"confirm", "blank", "login"}:
            state = pool.locals[proc]
            base = int(state.login.base[1:]) if state.login.base else -1
            moved = pool.locals[proc].phase == "login" and base != world.version
            world.credit += moved or not holds(pool, world, state.login.nonce)


def logged_in(rules: Rules, pool: Pool, world: World, local: Local) -> None:
    """Count a login that is made now."""
    world.credit -= 1
    if world.credit < 0:
        fail("I1", "a login too many in this generation")
    held = holds(pool, world, local.login.nonce)
    held = held and world.lock_age < rules.settings.ttl
    known = local.login.lock_version == f"k{world.lock_version}"
    if held and known and valid(world) and world.age > world.lock_age:
        fail("I1", "a login although a valid token was there before the lock was taken")


def valid(world: World) -> bool:
    """Tell whether a token that lives is stored."""
    return world.token > 0 and bool(world.live >> world.token & 1)


def token_lands(world: World, content: int, *, again: bool) -> None:
    """Look at a token's write that lands now; `again` when it was there and verified."""
    if again:
        if world.token != content:
            fail("I2", "what was there was replaced by an older token")
    elif valid(world):
        fail("I2", "a valid token was replaced")
    if world.live >> content & 1:
        world.landed |= 1 << content


def lock_lands(world: World, pool: Pool, lock: Lock, old_force: float) -> None:
    """Look at a lock's write that lands now, over the present one."""
    if world.lock < 0 or lock.state != locks.HELD:
        return
    old = pool.locks[world.lock]
    if old.state == locks.HELD and old.nonce != lock.nonce and world.lock_age >= old.ttl:
        world.credit += 1
    if old.state == locks.FAILED and old_force > MARGIN:
        fail("refusal", f"taken {old_force:.0f} s before the refusal's end")


def vouches(world: World, lock: Lock, new_fingerprint: str) -> None:
    """Look at what a lock that lands now says about the stored token."""
    if lock.state != locks.DONE or not lock.published or lock.published == new_fingerprint:
        return
    if world.token == int(lock.published[1:]) and world.age > FRESH + MARGIN:
        fail("vouched", "an old token was called freshly published")


def logs_out(world: World, token: str, *, lies: bool) -> None:
    """Look at a logout that is made now.

    Where a store's refusals may be lies, a token may land that was logged out: it is dead then, as
    the others find out, and costs one login.
    """
    name = bits(token)
    if lies:
        world.live &= ~name
        world.out |= name
        return
    if world.token > 0 and name == 1 << world.token:
        fail("I3", "the stored token was logged out")
    if world.landed & name:
        fail("I3", "a token that others may use was logged out")
    if any(what != "lock" and name == 1 << content for what, content, _, _ in world.floats):
        fail("I3", "a token that may still be stored was logged out")
    world.live &= ~name
    world.out |= name


def told(rules: Rules, pool: Pool, world: World, before: Local, after: Local) -> None:
    """Look at a process's step."""
    if before.login.new is not None and before.phase != "release" and after.phase == "release":
        _gives_up(world, before, after)
    if isinstance(after.effect, do.Done) and world.out & bits(after.effect.token):
        fail("adopted", "a call ended with a token that was logged out")
    if isinstance(after.effect, do.LogIn) and not rules.broken:  # a control is to show I1 itself
        _decides(rules, pool, world, after.login.nonce)


def _decides(rules: Rules, pool: Pool, world: World, nonce: str) -> None:
    """Look at the decision to log in."""
    mine = holds(pool, world, nonce)
    if not mine and "delete" not in rules.kinds:
        fail("lease", "a login is begun under a lock that is another's")
    if mine and world.lock_age >= rules.settings.ttl:
        fail("lease", "a login is begun under a lock that others may have taken over")


def _gives_up(world: World, before: Local, after: Local) -> None:
    name = bits(before.login.new)
    safe = world.landed | world.out | ~world.live
    uncertain = after.ended == "uncertain"
    world.credit += uncertain
    if not (name & safe or uncertain or before.login.maybe):
        fail("leak", "a live session was forgotten")
