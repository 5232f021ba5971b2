"""Everything that can happen next: calls to store and Betfair, the adversary's acts, and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from betfair_session.login import effects as do, lock as locks

from .plans import Rules
from .processes import Local, Pool
from .world import JUNK, MISSING, World, Write

Move: TypeAlias = tuple[str, World]
Change: TypeAlias = Callable[[World], object]
Fault: TypeAlias = tuple[str, str]
"""What the adversary pays for, and what the process is told."""

FINE = ("", "")
_READS = (("reads", "forbidden"), ("reads", "busy"))
_WRITES = (("writes", "forbidden"), ("writes", "busy"), ("disguise", "conflict"))
_FITTING = (("lost", "lost"), ("echo", "conflict"), ("delay", "lost"), ("lies", "busy"))
_UNCLEAR = ("unclear", "unclear")
_UNSENT = ("unclear", "unsent")


class Moves:
    """All that can happen in a world under given rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.pool, self._kinds = rules, Pool(), rules.kinds.split()
        self.doing = ""  # what is being tried, for a violation's trace

    def all(self, world: World) -> Iterator[Move]:
        """Yield every next world, with what happened; after a Violation, `doing` holds that."""
        kinds = self._kinds if world.faults else []
        for place, proc in enumerate(world.procs):
            if proc and proc not in world.procs[:place]:
                faults = self._faults(world, self.pool.locals[proc]) if kinds else ()
                for fault in (FINE, *(fault for fault in faults if fault[0] in kinds)):
                    yield self.answer(world, place, fault)
                if "crash" in kinds:
                    yield self._do(world, f"{self._name(proc)} CRASH", partial(self._put, place, 0))
        for write in world.floats:
            yield self._do(world, f"the delayed write {write} lands", partial(_late, write), 0)
        if world.times:
            yield from self._time(world)
        for harm, change in self._harms(world, kinds):
            yield self._do(world, harm, partial(_suffer, change))

    def _name(self, proc: int) -> str:
        local = self.pool.locals[proc]
        return f"{local.login.nonce} {local.phase}: {local.effect}"

    def _do(self, world: World, doing: str, change: Change, cost: int = 1) -> Move:
        """Return the world after something was done, in the one form that equal worlds have."""
        self.doing, new = doing, world.copy()
        new.faults -= cost
        change(new)
        new.seal()
        return doing, new

    # --- what a process asks for ------------------------------------------------------------------

    def answer(self, world: World, place: int, fault: Fault = FINE) -> Move:
        """Answer a call; if that ends it, another process begins in its place."""
        number, pool = world.procs[place], self.pool

        def change(new: World) -> None:
            local = pool.locals[number]
            off = self._time_told(new, local) if fault == FINE else None
            told = self._carry_out(new, local, fault)
            nonce = f"n{new.fresh('n')}" if local.looking else ""
            after = pool.step(number, "tell", told, off, nonce)
            new.told(local, pool.locals[after])
            self._put(place, after, new)

        return self._do(world, " ".join((self._name(number), *fault)), change, fault != FINE)

    def _put(self, place: int, number: int, world: World) -> None:
        """Put a process's next state in its place; if it is over, begin another."""
        procs, facts = world.procs, self.pool.locals[number]
        if facts.over and world.spare:
            world.spare -= 1
            number = self.pool.newcomer(self.rules, world.spare)
        elif facts.over:
            number = 0
        world.procs = (*procs[:place], *procs[place + 1 :], number)

    def _faults(self, world: World, local: Local) -> tuple[Fault, ...]:
        """Return what may go wrong with a call."""
        match local.effect:
            case do.ReadToken() | do.ReadLock():
                return _READS
            case do.WriteLock() | do.WriteToken():
                return _WRITES + _FITTING * world.fits(self._sent(world, local))
            case do.Ask():
                return (_UNCLEAR,)
            case do.LogIn():
                return _UNSENT, _UNCLEAR, *(("refuse", each) for each in self.rules.refusals)
        return ()

    def _carry_out(self, world: World, local: Local, fault: Fault) -> object:
        """Do what a process asks for, or not; return what it is told."""
        kind, told = fault
        if fault in {*_READS, *_WRITES, _UNSENT}:
            return told
        match local.effect:
            case do.ReadToken() | do.ReadLock():
                return self._read(world, local)
            case do.WriteLock() | do.WriteToken():
                write = self._sent(world, local)
                if kind in {"delay", "lies"}:
                    world.floats = (*world.floats, write)
                    return told
                if not world.fits(write):
                    return "conflict"
                written = world.lands(write, local.login.new_fingerprint)
                return told or written
        return _ask_betfair(world, local, told)

    def _read(self, world: World, local: Local) -> do.TokenRead | do.LockRead:
        if isinstance(local.effect, do.ReadToken):
            token = f"t{world.token}" if world.token > 0 else None
            version = f"v{world.version}" if world.version >= 0 else None
            return do.TokenRead(token, version, f"f{token[1:]}" if token else "")
        if world.lock < 0:
            return do.LockRead()
        age = world.lock_age + (self._time_told(world, local) or 0.0)
        return do.LockRead(self.pool.locks[world.lock], f"k{world.lock_version}", age)

    def _time_told(self, world: World, local: Local) -> float | None:
        """Return how far off the server's time in an answer is, if there is one."""
        if isinstance(local.effect, do.ReadToken) and world.token != MISSING:
            return 0.0 if self.rules.dates else None
        if isinstance(local.effect, do.ReadLock) and world.lock >= 0:
            return 0.0 if self.rules.dates or not local.known else local.off
        return None

    def _sent(self, world: World, local: Local) -> Write:
        """Return what a process wants to write."""
        effect = local.effect
        version = int(effect.version[1:]) if effect.version else -1
        if isinstance(effect, do.WriteLock):
            lock = effect.lock
            # After a token that could not be stored no process waits: a blank is written first.
            counts = lock.state == locks.FAILED and lock.login_class != "store"
            force = lock.not_before - local.off if counts else 0.0
            return "lock", self.pool.lock_id(lock), version, force
        if effect.token:
            what = "rewrite" if local.phase == "_adopt" else "token"
            return what, int(effect.token[1:]), version, 0.0
        # With etags a blank is like no other; its number is its version.
        return "blank", world.fresh_token() if self.rules.etags else 0, version, 0.0

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

    # --- the adversary ----------------------------------------------------------------------------

    def _harms(self, world: World, kinds: list[str]) -> Iterator[tuple[str, Change]]:
        if "death" in kinds:
            for token in range(world.live.bit_length()):
                if world.live >> token & 1:
                    yield f"t{token} dies", partial(_die, token)
        if "delete" in kinds and world.token != MISSING:
            yield "the token is deleted", _delete_token
        if "delete" in kinds and world.lock >= 0:
            yield "the lock is deleted", _delete_lock
        if "foreign" in kinds:
            for what in ("live", "dead", "junk"):
                yield f"a foreign writer stores a {what} token", partial(_write, what)


def _ask_betfair(world: World, local: Local, told: str) -> object:
    match local.effect:
        case do.Ask(token):
            alive = (
                do.LiveToken(token, f"f{token[1:]}") if world.live >> int(token[1:]) & 1 else None
            )
            return told or alive
        case do.LogIn():
            world.logged_in(local.login)
            if told:  # another has to be allowed for
                world.credit += 1
                return told
            number = world.fresh_token()
            world.live |= 1 << number
            return do.LiveToken(f"t{number}", f"f{number}")
        case do.LogOut(token):
            world.logs_out(token)
            world.credit += local.phase == "_give_up"
    return None


def _late(write: Write, world: World) -> None:
    """Let a delayed write land, if its condition holds by now."""
    floats = list(world.floats)
    floats.remove(write)
    world.floats = tuple(floats)
    if world.fits(write):
        world.lands(write, None)


def _suffer(change: Change, world: World) -> None:
    """Do something, and allow for the login that it may cost."""
    lived = world.now().lives
    change(world)
    if lived and not world.now().lives:
        world.generation()
    else:
        world.credit += 1


def _die(token: int, world: World) -> None:
    world.live &= ~(1 << token)


def _delete_token(world: World) -> None:
    world.token, world.version, world.age = MISSING, -1, 0.0


def _delete_lock(world: World) -> None:
    world.lock, world.lock_version = -1, -1


def _write(what: str, world: World) -> None:
    """Store a live token, a dead one, or junk, as something outside the fleet does."""
    content = JUNK if what == "junk" else world.fresh_token()
    world.store_token(content)
    if what == "live":
        world.live |= 1 << content
        world.landed |= 1 << content
