"""The calls to the store, carried out well or with a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from betfair_session.login import effects as do, lock as locks

from . import checks
from .local import View
from .pool import UNKNOWN, Pool
from .world import (
    JUNK,
    MISSING,
    fresh_nonce,
    fresh_token,
    newcomer,
    next_lock_version,
    seal,
    token_version,
    used_nonces,
    used_versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .local import Local
    from .pool import Key
    from .rules import Rules
    from .world import World, Write

    Move: TypeAlias = tuple[str, World]

LOST: Key = ("failed", True, True)
CONFLICT: Key = ("conflict",)
REFUSED: Key = ("failed", False, True)
"""A server's 500, after which the write may land nevertheless."""
FAILURES: tuple[tuple[str, Key], ...] = (
    ("refused for good", ("failed", False, False)),
    ("refused for now", ("failed", False, True)),
)


class StoreCalls:
    """What can come of a process's call to the store.

    Attributes:
        rules: the exploration's.
        pool: the process states seen so far.
        doing: what is being tried, for a violation's trace.
    """

    def __init__(self, rules: Rules) -> None:
        """Begin an exploration."""
        self.rules = rules
        self.pool = Pool(View(rules.brake))
        self.doing = ""
        self.calls: dict[type, Callable[[World, int], Iterator[Move]]] = {
            do.ReadToken: self._read_token,
            do.ReadLock: self._read_lock,
            do.WriteLock: self._write_lock,
            do.WriteToken: self._write_token,
        }

    # --- helpers ----------------------------------------------------------------------------------

    def name(self, world: World, place: int, how: str) -> None:
        """Note what is being tried."""
        local = self.pool.at(world.procs[place])
        self.doing = f"{local.nonce} {local.phase}: {local.effect} {how}"

    def tell(self, world: World, place: int, told: Key, off: float | str = UNKNOWN) -> None:
        """Give a process its answer; if that ends it, another begins in its place."""
        pool, number = self.pool, world.procs[place]
        nonce = fresh_nonce(self.rules, pool, world) if pool.facts[number].looking else ""
        after = pool.tell(number, told, off, nonce)
        checks.told(self.rules, pool, world, pool.at(number), pool.at(after))
        self.put(world, place, after)

    def put(self, world: World, place: int, number: int) -> None:
        """Put a process's next state in its place; if it is over, begin another."""
        procs, facts = world.procs, self.pool.facts[number]
        world.procs = (*procs[:place], *procs[place + 1 :])
        if facts.looking and not facts.nonces & used_nonces(self.pool, world) & ~1:
            number = self.pool.forget(number)
        elif facts.over and world.spare:
            world.spare -= 1
            number = newcomer(self.rules, self.pool, world.spare)
        elif facts.over:
            number = 0
        world.procs = (*world.procs, number)

    def sealed(self, world: World) -> Move:
        """Return a changed world in its one form, with what was done."""
        seal(self.rules, self.pool, world)
        return self.doing, world

    def answer(self, world: World, place: int, told: Key, how: str = "", cost: int = 0) -> Move:
        """Answer a call that changes nothing in the world."""
        self.name(world, place, how)
        new = world.copy()
        new.faults -= cost
        self.tell(new, place, told)
        return self.sealed(new)

    # --- reading ----------------------------------------------------------------------------------

    def _read_token(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.at(world.procs[place])
        token = f"t{world.token}" if world.token > 0 else None
        version = f"v{world.version}" if world.version >= 0 else None
        if self.rules.broken == "re-read" and local.phase == "confirm":
            token, version = local.token, local.version
        dated = self.rules.dates and world.token != MISSING
        yield from self._read(world, place, ("token", token, version), 0.0 if dated else UNKNOWN)

    def _read_lock(self, world: World, place: int) -> Iterator[Move]:
        if world.lock < 0:
            yield from self._read(world, place, ("lock", None, None, None), UNKNOWN)
            return
        local, rules = self.pool.at(world.procs[place]), self.rules
        off = self._off(local)
        age = world.lock_age + (1000.0 if rules.broken == "server age" else off)
        version = f"k{world.lock_version}"
        yield from self._read(world, place, ("lock", world.lock, version, age), off)
        if self._blurred(world, local):
            told: Key = ("lock", world.lock, version, age - 1.0)
            yield next(self._read(world, place, told, -1.0, "by a blurred clock", 1))

    def _off(self, local: Local) -> float:
        """Return how far a process's idea of the server's time is off after a dated answer."""
        return 0.0 if self.rules.dates or not local.known else local.off

    def _blurred(self, world: World, local: Local) -> bool:
        """Tell whether the store's clock, asked for once now, may tell whole seconds."""
        blur = world.faults > 0 and "blur" in self.rules.kinds
        return blur and not self.rules.dates and not local.known

    def _read(  # noqa: PLR0917 - one helper for four kinds of reads
        self, world: World, place: int, told: Key, off: float | str, how: str = "", cost: int = 0
    ) -> Iterator[Move]:
        self.name(world, place, how)
        new = world.copy()
        new.faults -= cost
        self.tell(new, place, told, off)
        yield self.sealed(new)
        if world.faults and "reads" in self.rules.kinds:
            for text, failed in FAILURES:
                yield self.answer(world, place, failed, text, 1)

    # --- writing ----------------------------------------------------------------------------------

    def _write_lock(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.at(world.procs[place])
        assert isinstance(local.effect, do.WriteLock)
        version = -1 if local.effect.version is None else int(local.effect.version[1:])
        lock = local.effect.lock
        # After a token that could not be stored nobody has to wait: a blank is written first.
        counts = lock.state == locks.FAILED and lock.login_class != "store"
        force = lock.not_before - local.off if counts else 0.0
        write = ("lock", self.pool.lock_id(lock), version, force)
        yield from self._write(world, place, write)

    def _write_token(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.at(world.procs[place])
        effect, what = local.effect, "rewrite" if local.phase == "rotate" else "token"
        assert isinstance(effect, do.WriteToken)
        version = -1 if effect.version is None else int(effect.version[1:])
        if effect.token is None:
            # With etags a blank is like no other; its number is its version.
            content = fresh_token(self.rules, self.pool, world) if self.rules.etags else 0
            what = "blank"
        else:
            content = int(effect.token[1:])
        yield from self._write(world, place, (what, content, version, 0.0))

    def _write(self, world: World, place: int, write: Write) -> Iterator[Move]:
        self.name(world, place, "")
        new = world.copy()
        version = self._land(new, write, self._own(world, place))
        self.tell(new, place, ("written", version) if version else CONFLICT)
        yield self.sealed(new)
        if not world.faults:
            return
        kinds = self.rules.kinds
        if version and "lost" in kinds:
            yield self._landed_silently(world, place, write, LOST, "and its answer is lost")
        if version and "echo" in kinds:
            yield self._landed_silently(world, place, write, CONFLICT, "said to conflict")
        if "disguise" in kinds:
            yield self.answer(world, place, CONFLICT, "not done: ask again", 1)
        if version and "delay" in kinds:
            yield self._delayed(world, place, write)
        if version and "lies" in kinds:
            yield self._delayed(world, place, write, REFUSED)
        if "writes" in kinds:
            for text, failed in FAILURES:
                yield self.answer(world, place, failed, text, 1)

    def _own(self, world: World, place: int) -> str:
        return self.pool.at(world.procs[place]).new_fingerprint

    def _landed_silently(self, world: World, place: int, write: Write, told: Key, how: str) -> Move:
        self.name(world, place, how)
        new = world.copy()
        new.faults -= 1
        self._land(new, write, self._own(world, place))
        self.tell(new, place, told)
        return self.sealed(new)

    def _delayed(self, world: World, place: int, write: Write, told: Key = LOST) -> Move:
        self.name(world, place, "delayed" if told is LOST else "refused, and delayed")
        new = world.copy()
        new.faults -= 1
        new.floats = (*new.floats, write)
        self.tell(new, place, told)
        return self.sealed(new)

    def late_landing(self, world: World, write: Write) -> Move:
        """Let a delayed write land, if its condition holds by now."""
        self.doing = f"the delayed write {write} lands"
        new = world.copy()
        floats = list(new.floats)
        floats.remove(write)
        new.floats = tuple(floats)
        self._land(new, write, None)
        return self.sealed(new)

    def _land(self, world: World, write: Write, own: str | None) -> str:
        """Make a conditional write; return the new version, or "" when the condition fails."""
        what, content, version, force = write
        holds = self.rules.broken == f"{what} condition"
        if what != "lock":
            if not (holds or version == world.version):
                return ""
            checks.token_lands(world, content, again=what == "rewrite")
            self.store_token(world, content, blank=what == "blank")
            return f"v{world.version}"
        if not (holds or version == world.lock_version):
            return ""
        lock = self.pool.locks[content]
        checks.lock_lands(world, self.pool, lock, world.force)
        if own is not None:
            checks.vouches(world, lock, own)
        self.store_lock(world, content, force)
        return f"k{world.lock_version}"

    def store_token(self, world: World, content: int, *, blank: bool = False) -> None:
        """Put something else where the token is."""
        used = used_versions(self.pool, world, lock=False) | 1
        world.version = token_version(self.rules, content, used)
        world.token, world.age = JUNK if blank else content, 0.0

    def store_lock(self, world: World, content: int, force: float) -> None:
        """Put something else where the lock is."""
        world.lock_version = next_lock_version(self.pool, world)
        world.lock, world.lock_age, world.force = content, 0.0, force
