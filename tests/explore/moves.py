"""Everything that can happen next: calls to store and Betfair, the adversary's doings, and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from betfair_session.login import effects as do, lock as locks

from .plans import Rules
from .processes import Local, Pool
from .world import JUNK, MISSING, World, Write

Move: TypeAlias = tuple[str, World]
Doing: TypeAlias = tuple[str, Callable[[World], object]]


class Option(NamedTuple):
    """One way in which a call may go."""

    kind: str  # the fault that the adversary pays for, or ""
    change: Callable[[World], object]  # what it does; returns what the process is told
    how: str = ""  # for people
    off: float | None = None  # how far the server's time is off that is told, if any


def told(answer: object, *changes: Callable[[World], object]) -> Callable[[World], object]:
    def change(world: World) -> object:
        for each in changes:
            each(world)
        return answer

    return change


def fails(kind: str) -> Iterator[Option]:
    """A call of the store is refused, for good or for now."""
    yield Option(kind, told("forbidden"), "refused for good")
    yield Option(kind, told("busy"), "refused for now")


class Moves:
    """All that can happen in a world under given rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.pool = rules, Pool()
        self.doing = ""  # what is being tried, for a violation's trace
        self._calls: dict[type, Callable[[World, Any], Iterator[Option]]] = {
            do.ReadToken: self._read_token,
            do.ReadLock: self._read_lock,
            do.WriteLock: self._write_lock,
            do.WriteToken: self._write_token,
            do.Ask: self._validate,
            do.LogIn: self._login,
            do.LogOut: self._logout,
        }
        doings = {"death": _deaths, "delete": _delete, "foreign": _foreign}
        self._doings = [doing for kind, doing in doings.items() if kind in rules.kinds]

    def all(self, world: World) -> Iterator[Move]:
        """Yield every next world, with what happened; in a Violation `doing` says that."""
        faults = self.rules.kinds if world.faults else ()
        for place in range(len(world.procs)):
            yield from self._calls_of(world, place, faults)
        for write in world.floats:
            yield self._do(world, f"the delayed write {write} lands", partial(self._late, write), 0)
        if world.times:
            yield from self._time(world)
        if faults:
            for doing in self._doings:
                for how, change in doing(world):
                    yield self._do(world, how, change)

    def _calls_of(self, world: World, place: int, faults: tuple[str, ...]) -> Iterator[Move]:
        proc = world.procs[place]
        if proc == 0 or proc in world.procs[:place]:
            return
        for option in self._options(world, proc):
            if not option.kind or option.kind in faults:
                yield self._answer(world, place, option)
        if "crash" in faults:
            yield self._do(world, f"{self._name(proc)} CRASH", partial(self._put, place, 0))

    def plainly(self, world: World, place: int) -> World:
        """Return the world after one process's call was carried out without a fault."""
        return self._answer(world, place, next(self._options(world, world.procs[place])))[1]

    # --- what is done with a world ----------------------------------------------------------------

    def _options(self, world: World, proc: int) -> Iterator[Option]:
        local = self.pool.locals[proc]
        return self._calls[type(local.effect)](world, local)

    def _name(self, proc: int) -> str:
        local = self.pool.locals[proc]
        return f"{local.login.nonce} {local.phase}: {local.effect}"

    def _do(
        self, world: World, doing: str, change: Callable[[World], object], cost: int = 1
    ) -> Move:
        """Return the world after something was done, in the one form that equal worlds have."""
        self.doing, new = doing, world.copy()
        new.faults -= cost
        change(new)
        new.seal()
        return doing, new

    def _answer(self, world: World, place: int, option: Option) -> Move:
        """Answer a call; if that ends it, another process begins in its place."""

        def change(new: World) -> None:
            pool, number = self.pool, world.procs[place]
            answer = option.change(new)
            nonce = f"n{new.fresh('n')}" if pool.locals[number].looking else ""
            after = pool.step(number, "tell", answer, option.off, nonce)
            new.told(pool.locals[number], pool.locals[after])
            self._put(place, after, new)

        doing = f"{self._name(world.procs[place])} {option.kind} {option.how}"
        return self._do(world, doing, change, bool(option.kind))

    def _put(self, place: int, number: int, world: World) -> None:
        """Put a process's next state in its place; if it is over, begin another."""
        procs, facts = world.procs, self.pool.locals[number]
        world.procs = (*procs[:place], *procs[place + 1 :])
        if facts.over and world.spare:
            world.spare -= 1
            number = self.pool.newcomer(self.rules, world.spare)
        elif facts.over:
            number = 0
        world.procs = (*world.procs, number)

    # --- the store --------------------------------------------------------------------------------

    def _read_token(self, world: World, _: Local) -> Iterator[Option]:
        token = f"t{world.token}" if world.token > 0 else None
        version = f"v{world.version}" if world.version >= 0 else None
        read = do.TokenRead(token, version, f"f{token[1:]}" if token else "")
        dated = self.rules.dates and world.token != MISSING
        yield Option("", told(read), off=0.0 if dated else None)
        yield from fails("reads")

    def _read_lock(self, world: World, local: Local) -> Iterator[Option]:
        read, off = do.LockRead(), None
        if world.lock >= 0:
            off = 0.0 if self.rules.dates or not local.known else local.off
            lock = self.pool.locks[world.lock]
            read = do.LockRead(lock, f"k{world.lock_version}", world.lock_age + off)
        yield Option("", told(read), off=off)
        yield from fails("reads")

    def _write_lock(self, world: World, local: Local) -> Iterator[Option]:
        lock, version = local.effect.lock, local.effect.version
        # After a token that could not be stored nobody has to wait: a blank is written first.
        counts = lock.state == locks.FAILED and lock.login_class != "store"
        force = lock.not_before - local.off if counts else 0.0
        number = int(version[1:]) if version else -1
        return self._write(world, local, ("lock", self.pool.lock_id(lock), number, force))

    def _write_token(self, world: World, local: Local) -> Iterator[Option]:
        token, version = local.effect
        what = "blank" if token is None else "rewrite" if local.phase == "rotate" else "token"
        # With etags a blank is like no other; its number is its version.
        blank = world.fresh_token() if self.rules.etags else 0
        content = int(token[1:]) if token else blank
        return self._write(world, local, (what, content, int(version[1:]) if version else -1, 0.0))

    def _write(self, world: World, local: Local, write: Write) -> Iterator[Option]:
        def land(new: World) -> object:
            return self._land(new, write, local.login.new_fingerprint)

        def later(new: World) -> None:
            new.floats = (*new.floats, write)

        if self._fits(world, write):
            yield Option("", land)
            yield Option("lost", told("lost", land))
            yield Option("echo", told("conflict", land))
            yield Option("delay", told("lost", later))
            yield Option("lies", told("busy", later))
        else:
            yield Option("", told("conflict"))
        yield Option("disguise", told("conflict"))
        yield from fails("writes")

    def _fits(self, world: World, write: Write) -> bool:
        what, _, version, _ = write
        there = world.lock_version if what == "lock" else world.version
        return version == there

    def _late(self, write: Write, world: World) -> None:
        """Let a delayed write land, if its condition holds by now."""
        floats = list(world.floats)
        floats.remove(write)
        world.floats = tuple(floats)
        if self._fits(world, write):
            self._land(world, write, None)

    def _land(self, world: World, write: Write, own: str | None) -> do.Written:
        """Let a write land, of a process that published `own` if it is at work."""
        what, content, _, force = write
        if what != "lock":
            world.token_lands(again=what == "rewrite", same=world.token == content)
            world.landed |= world.live & 1 << content
            world.store_token(content, blank=what == "blank")
            return do.Written(f"v{world.version}")
        lock = self.pool.locks[content]
        world.lock_lands(lock, world.force)
        if own is not None:
            world.vouches(lock, own, f"f{world.token}")
        world.store_lock(content, force)
        return do.Written(f"k{world.lock_version}")

    # --- Betfair ----------------------------------------------------------------------------------

    def _validate(self, world: World, local: Local) -> Iterator[Option]:
        token = local.effect.token
        alive = world.live >> int(token[1:]) & 1
        yield Option("", told(do.LiveToken(token, f"f{token[1:]}") if alive else None))
        yield Option("unclear", told("unclear"))

    def _login(self, _: World, local: Local) -> Iterator[Option]:
        def succeed(new: World) -> object:
            new.logged_in(local.login)
            token = new.fresh_token()
            new.live |= 1 << token
            return do.LiveToken(f"t{token}", f"f{token}")

        def fail(new: World) -> None:  # another has to be allowed for
            new.logged_in(local.login)
            new.credit += 1

        yield Option("", succeed)
        yield Option("unclear", told("unsent"), "never sent")
        yield Option("unclear", told("unclear", fail))
        for kind in self.rules.refusals:
            yield Option("refuse", told(kind, fail), kind)

    def _logout(self, _: World, local: Local) -> Iterator[Option]:
        def change(new: World) -> None:
            new.logs_out(local.effect.token)
            new.credit += local.phase == "undo"

        yield Option("", change)

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
        pool = self.pool

        def floats(what: str, content: int, version: int, force: float) -> Write:
            content = pool.later_lock(content, seconds) if what == "lock" else content
            return what, content, version, force - seconds

        def change(new: World) -> None:
            new.times -= cost
            new.procs = tuple(
                pool.step(proc, "later", seconds, place == still) if proc else 0
                for place, proc in enumerate(new.procs)
            )
            if new.lock >= 0:
                new.lock = pool.later_lock(new.lock, seconds)
            new.lock_age += seconds
            new.force -= seconds
            new.age += seconds
            new.floats = tuple(floats(*write) for write in new.floats)

        unnoticed = f", unnoticed by {still}" if still >= 0 else ""
        return self._do(world, f"{seconds} s pass{unnoticed}", change, 0)


# --- the adversary --------------------------------------------------------------------------------


def _deaths(world: World) -> Iterator[Doing]:
    for token in range(world.live.bit_length()):
        if world.live >> token & 1:

            def die(new: World, token: int = token) -> None:
                new.live &= ~(1 << token)
                if token == new.token:
                    new.generation()
                else:
                    new.credit += 1

            yield f"t{token} dies", die


def _delete(world: World) -> Iterator[Doing]:
    def delete_token(new: World) -> None:
        valid = new.now().lives
        new.token, new.version, new.age = MISSING, -1, 0.0
        if valid:
            new.generation()
        else:
            new.credit += 1

    def delete_lock(new: World) -> None:
        new.credit += 1
        new.lock, new.lock_version = -1, -1

    if world.token != MISSING:
        yield "the token is deleted", delete_token
    if world.lock >= 0:
        yield "the lock is deleted", delete_lock


def _foreign(_: World) -> Iterator[Doing]:
    """Let somebody who takes no part store a live token, a dead one, or junk."""

    def store(what: str, new: World) -> None:
        content = JUNK if what == "junk" else new.fresh_token()
        ends = new.now().lives and what != "live"
        new.store_token(content)
        if ends:
            new.generation()
        new.credit += 1
        if what == "live":
            new.live |= 1 << content
            new.landed |= 1 << content

    for what in ("live", "dead", "junk"):
        yield f"a foreign writer stores a {what} token", partial(store, what)
