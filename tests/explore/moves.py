"""Everything that can happen next: calls to store and Betfair, the adversary's doings, and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from betfair_session.login import effects as do, lock as locks

from .processes import UNKNOWN, Pool
from .world import JUNK, MISSING, first

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .plans import Rules
    from .processes import Key
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


class Moves:
    """All that can happen in a world under given rules.

    Attributes:
        rules: the exploration's.
        pool: the process states seen so far.
        doing: what is being tried, for a violation's trace.
    """

    def __init__(self, rules: Rules) -> None:
        """Begin an exploration."""
        self.rules = rules
        self.pool = Pool()
        self.doing = ""
        self.calls: dict[type, Callable[[World, int], Iterator[Move]]] = {
            do.ReadToken: self._read_token,
            do.ReadLock: self._read_lock,
            do.WriteLock: self._write_lock,
            do.WriteToken: self._write_token,
            do.Ask: self._validate,
            do.LogIn: self._login,
            do.LogOut: self._logout,
        }
        doings: dict[str, Callable[[World], Iterator[Move]]] = {
            "death": self._deaths,
            "delete": self._delete,
            "foreign": self._foreign,
        }
        self._doings = [doing for kind, doing in doings.items() if kind in rules.kinds]

    def first(self) -> World:
        """Return the world as it begins."""
        return first(self.rules, self.pool)

    def all(self, world: World) -> Iterator[Move]:
        """Yield every next world, with what happened.

        Raises:
            Violation: one of these happenings breaks an invariant; `doing` says which.
        """
        before, faulty = -1, world.faults > 0
        for place, proc in enumerate(world.procs):
            if proc not in (0, before):
                yield from self.calls[self.pool.locals[proc].kind](world, place)
                if faulty and "crash" in self.rules.kinds:
                    yield self._crash(world, place)
            before = proc
        for write in world.floats:
            yield self.late_landing(world, write)
        if world.times:
            yield from self._time(world)
        if faulty:
            for doing in self._doings:
                yield from doing(world)

    def plainly(self, world: World, place: int) -> World:
        """Return the world after one process's call was carried out without a fault."""
        return next(self.calls[self.pool.locals[world.procs[place]].kind](world, place))[1]

    # --- helpers ----------------------------------------------------------------------------------

    def name(self, world: World, place: int, how: str) -> None:
        """Note what is being tried."""
        local = self.pool.locals[world.procs[place]]
        self.doing = f"{local.login.nonce} {local.phase}: {local.effect} {how}"

    def tell(self, world: World, place: int, told: Key, off: float | str = UNKNOWN) -> None:
        """Give a process its answer; if that ends it, another begins in its place."""
        pool, number = self.pool, world.procs[place]
        nonce = world.fresh_nonce() if pool.locals[number].looking else ""
        after = pool.tell(number, told, off, nonce)
        world.told(pool.locals[number], pool.locals[after])
        self.put(world, place, after)

    def put(self, world: World, place: int, number: int) -> None:
        """Put a process's next state in its place; if it is over, begin another."""
        procs, facts = world.procs, self.pool.locals[number]
        world.procs = (*procs[:place], *procs[place + 1 :])
        if facts.looking and not facts.nonces & world.used_nonces() & ~1:
            number = self.pool.step((number, "forget"))
        elif facts.over and world.spare:
            world.spare -= 1
            number = self.pool.newcomer(self.rules, world.spare)
        elif facts.over:
            number = 0
        world.procs = (*world.procs, number)

    def sealed(self, world: World) -> Move:
        """Return a changed world in its one form, with what was done."""
        world.seal()
        return self.doing, world

    def answer(  # noqa: PLR0917 - one helper for all kinds of answers
        self,
        world: World,
        place: int,
        told: Key,
        how: str = "",
        cost: int = 0,
        change: Callable[[World], object] = lambda _: None,
        off: float | str = UNKNOWN,
    ) -> Move:
        """Answer a call, with what it changes in the world; `off` is said of the store's clock."""
        self.name(world, place, how)
        new = world.copy()
        new.faults -= cost
        change(new)
        self.tell(new, place, told, off)
        return self.sealed(new)

    # --- reading ----------------------------------------------------------------------------------

    def _read_token(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.locals[world.procs[place]]
        token = f"t{world.token}" if world.token > 0 else None
        version = f"v{world.version}" if world.version >= 0 else None
        if self.rules.broken == "re-read" and local.phase == "confirm":
            token, version = local.login.token, local.login.version
        dated = self.rules.dates and world.token != MISSING
        yield from self._read(world, place, ("token", token, version), 0.0 if dated else UNKNOWN)

    def _read_lock(self, world: World, place: int) -> Iterator[Move]:
        if world.lock < 0:
            yield from self._read(world, place, ("lock", None, None, None), UNKNOWN)
            return
        local, rules = self.pool.locals[world.procs[place]], self.rules
        off = 0.0 if rules.dates or not local.known else local.off
        age = world.lock_age + (1000.0 if rules.broken == "server age" else off)
        yield from self._read(
            world, place, ("lock", world.lock, f"k{world.lock_version}", age), off
        )

    def _read(self, world: World, place: int, told: Key, off: float | str) -> Iterator[Move]:
        yield self.answer(world, place, told, off=off)
        if world.faults and "reads" in self.rules.kinds:
            for text, failed in FAILURES:
                yield self.answer(world, place, failed, text, 1)

    # --- writing ----------------------------------------------------------------------------------

    def _write_lock(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.locals[world.procs[place]]
        assert isinstance(local.effect, do.WriteLock)
        version = -1 if local.effect.version is None else int(local.effect.version[1:])
        lock = local.effect.lock
        # After a token that could not be stored nobody has to wait: a blank is written first.
        counts = lock.state == locks.FAILED and lock.login_class != "store"
        force = lock.not_before - local.off if counts else 0.0
        write = ("lock", self.pool.lock_id(lock), version, force)
        yield from self._write(world, place, write)

    def _write_token(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.locals[world.procs[place]]
        effect, what = local.effect, "rewrite" if local.phase == "rotate" else "token"
        assert isinstance(effect, do.WriteToken)
        version = -1 if effect.version is None else int(effect.version[1:])
        if effect.token is None:
            # With etags a blank is like no other; its number is its version.
            content = world.fresh_token() if self.rules.etags else 0
            what = "blank"
        else:
            content = int(effect.token[1:])
        yield from self._write(world, place, (what, content, version, 0.0))

    def _write(self, world: World, place: int, write: Write) -> Iterator[Move]:
        own = self.pool.locals[world.procs[place]].login.new_fingerprint

        def land(new: World) -> str:
            return self._land(new, write, own)

        def float_on(new: World) -> None:
            new.floats = (*new.floats, write)

        self.name(world, place, "")
        new = world.copy()
        version = land(new)
        self.tell(new, place, ("written", version) if version else CONFLICT)
        yield self.sealed(new)
        if not world.faults:
            return
        faults: list[tuple[str, Key, str, Callable[[World], object]]] = [
            ("lost", LOST, "and its answer is lost", land),
            ("echo", CONFLICT, "said to conflict", land),
            ("disguise", CONFLICT, "not done: ask again", lambda _: None),
            ("delay", LOST, "delayed", float_on),
            ("lies", REFUSED, "refused, and delayed", float_on),
        ]
        for kind, told, how, change in faults:
            if kind in self.rules.kinds and (version or kind == "disguise"):
                yield self.answer(world, place, told, how, 1, change)
        if "writes" in self.rules.kinds:
            for text, failed in FAILURES:
                yield self.answer(world, place, failed, text, 1)

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
            world.token_lands(again=what == "rewrite", same=world.token == content)
            world.landed |= world.live & 1 << content
            world.store_token(content, blank=what == "blank")
            return f"v{world.version}"
        if not (holds or version == world.lock_version):
            return ""
        lock = self.pool.locks[content]
        world.lock_lands(lock, world.force)
        if own is not None:
            world.vouches(lock, own, f"f{world.token}")
        world.store_lock(content, force)
        return f"k{world.lock_version}"

    # --- Betfair ----------------------------------------------------------------------------------

    def _validate(self, world: World, place: int) -> Iterator[Move]:
        effect = self.pool.locals[world.procs[place]].effect
        assert isinstance(effect, do.Ask)
        alive = world.live >> int(effect.token[1:]) & 1
        yield self.answer(world, place, ("alive", effect.token) if alive else ("dead",))
        if world.faults and "unclear" in self.rules.kinds:
            yield self.answer(world, place, ("unclear", True), "unclear", 1)

    def _login(self, world: World, place: int) -> Iterator[Move]:
        local = self.pool.locals[world.procs[place]]

        def fruitless(new: World) -> None:  # another has to be allowed for
            new.logged_in(local.login)
            new.credit += 1

        self.name(world, place, "succeeds")
        new = world.copy()
        new.logged_in(local.login)
        token = new.fresh_token()
        new.live |= 1 << token
        self.tell(new, place, ("in", f"t{token}"))
        yield self.sealed(new)
        if not world.faults:
            return
        if "unclear" in self.rules.kinds:
            yield self.answer(world, place, ("unclear", False), "never sent", 1)
            yield self.answer(world, place, ("unclear", True), "unclear", 1, fruitless)
        if "refuse" in self.rules.kinds:
            for kind in self.rules.refusals:
                yield self.answer(world, place, ("refused", kind), f"refused: {kind}", 1, fruitless)

    def _logout(self, world: World, place: int) -> Iterator[Move]:
        self.name(world, place, "")
        effect = self.pool.locals[world.procs[place]].effect
        assert isinstance(effect, do.LogOut)
        new = world.copy()
        new.logs_out(effect.token)
        new.credit += self.pool.locals[new.procs[place]].phase == "undo"
        self.tell(new, place, ("out",))
        yield self.sealed(new)

    # --- the adversary ----------------------------------------------------------------------------

    def _paid(self, world: World, doing: str) -> World:
        self.doing = doing
        new = world.copy()
        new.faults -= 1
        return new

    def _crash(self, world: World, place: int) -> Move:
        self.name(world, place, "CRASH")
        new = world.copy()
        new.faults -= 1
        self.put(new, place, 0)
        return self.sealed(new)

    def _deaths(self, world: World) -> Iterator[Move]:
        live, token = world.live, 0
        while live >> token:
            if live >> token & 1:
                new = self._paid(world, f"t{token} dies")
                new.live &= ~(1 << token)
                if token == new.token:
                    new.generation()
                else:
                    new.credit += 1
                yield self.sealed(new)
            token += 1

    def _delete(self, world: World) -> Iterator[Move]:
        if world.token != MISSING:
            new = self._paid(world, "the token is deleted")
            ends = new.now().lives
            new.token, new.version, new.age = MISSING, -1, 0.0
            if ends:
                new.generation()
            else:
                new.credit += 1
            yield self.sealed(new)
        if world.lock >= 0:
            new = self._paid(world, "the lock is deleted")
            new.credit += 1
            new.lock, new.lock_version = -1, -1
            yield self.sealed(new)

    def _foreign(self, world: World) -> Iterator[Move]:
        """Let somebody who takes no part store a live token, a dead one, or junk."""
        for what in ("live", "dead", "junk"):
            new = self._paid(world, f"a foreign writer stores a {what} token")
            content = JUNK if what == "junk" else new.fresh_token()
            began = new.now().lives and what != "live"
            new.store_token(content)
            if began:
                new.generation()
            new.credit += 1
            if what == "live":
                new.live |= 1 << content
                new.landed |= 1 << content
            yield self.sealed(new)

    # --- time -------------------------------------------------------------------------------------

    def _time(self, world: World) -> Iterator[Move]:
        for seconds in self.rules.jumps:
            yield self.after(world, seconds, cost=1)
            if self.rules.still:
                for place, proc in enumerate(world.procs):
                    if proc:
                        yield self.after(world, seconds, cost=1, still=place)

    def after(self, world: World, seconds: float, *, cost: int = 0, still: int = -1) -> Move:
        """Let time pass; the process in the place `still` does not notice by its own clock."""
        self.doing = f"{seconds} s pass" + (f", unnoticed by {still}" if still >= 0 else "")
        new, pool = world.copy(), self.pool
        new.times -= cost
        new.procs = tuple(
            pool.step((proc, "later", seconds, place == still)) if proc else 0
            for place, proc in enumerate(new.procs)
        )
        if new.lock >= 0:
            new.lock = pool.later_lock(new.lock, seconds)
        new.lock_age += seconds
        new.force -= seconds
        new.age += seconds
        new.floats = tuple(
            (
                what,
                pool.later_lock(content, seconds) if what == "lock" else content,
                version,
                force - seconds,
            )
            for what, content, version, force in new.floats
        )
        return self.sealed(new)
