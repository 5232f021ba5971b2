"""Everything that can happen next: calls to store and Betfair, the adversary's doings, and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.login import effects as do

from . import checks
from .store_calls import StoreCalls
from .world import JUNK, MISSING, first, fresh_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .rules import Rules
    from .store_calls import Move
    from .world import World

WALL_STEPS = (-3600.0, 3600.0)


class Moves(StoreCalls):
    """All that can happen in a world under given rules."""

    def __init__(self, rules: Rules) -> None:
        """Begin an exploration."""
        super().__init__(rules)
        self.calls[do.Ask] = self._validate
        self.calls[do.LogIn] = self._login
        self.calls[do.LogOut] = self._logout
        doings: dict[str, Callable[[World], Iterator[Move]]] = {
            "death": self._deaths,
            "delete": self._delete,
            "unlock": self._unlock,
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
                yield from self.calls[self.pool.facts[proc].kind](world, place)
                if faulty and "crash" in self.rules.kinds:
                    yield self._crash(world, place)
                if faulty and "wall" in self.rules.kinds:
                    yield from self._wall(world, place)
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
        return next(self.calls[self.pool.facts[world.procs[place]].kind](world, place))[1]

    # --- Betfair ----------------------------------------------------------------------------------

    def _validate(self, world: World, place: int) -> Iterator[Move]:
        effect = self.pool.at(world.procs[place]).effect
        assert isinstance(effect, do.Ask)
        alive = world.live >> int(effect.token[1:]) & 1
        yield self.answer(world, place, ("alive", effect.token) if alive else ("dead",))
        if world.faults and "unclear" in self.rules.kinds:
            yield self.answer(world, place, ("unclear", True), "unclear", 1)

    def _login(self, world: World, place: int) -> Iterator[Move]:
        self.name(world, place, "succeeds")
        new = world.copy()
        local = self.pool.at(new.procs[place])
        checks.logged_in(self.rules, self.pool, new, local)
        token = fresh_token(self.rules, self.pool, new)
        new.live |= 1 << token
        self.tell(new, place, ("in", f"t{token}"))
        yield self.sealed(new)
        if not world.faults:
            return
        if "unclear" in self.rules.kinds:
            yield self.answer(world, place, ("unclear", False), "never sent", 1)
            yield self._fruitless(world, place, ("unclear", True), "unclear")
        if "refuse" in self.rules.kinds:
            for kind in self.rules.refusals:
                yield self._fruitless(world, place, ("refused", kind), f"refused: {kind}")

    def _fruitless(self, world: World, place: int, told: tuple[object, ...], how: str) -> Move:
        """Make a login without a token; another has to be allowed for."""
        self.name(world, place, how)
        new = world.copy()
        new.faults -= 1
        checks.logged_in(self.rules, self.pool, new, self.pool.at(new.procs[place]))
        new.credit += 1
        self.tell(new, place, told)
        return self.sealed(new)

    def _logout(self, world: World, place: int) -> Iterator[Move]:
        self.name(world, place, "")
        effect = self.pool.at(world.procs[place]).effect
        assert isinstance(effect, do.LogOut)
        new = world.copy()
        checks.logs_out(new, effect.token, lies="lies" in self.rules.kinds)
        new.credit += self.pool.at(new.procs[place]).phase == "undo"
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

    def _wall(self, world: World, place: int) -> Iterator[Move]:
        for seconds in WALL_STEPS:
            self.name(world, place, f"its wall clock jumps {seconds}")
            new = world.copy()
            new.faults -= 1
            procs = list(new.procs)
            procs[place] = self.pool.wall_step(procs[place], seconds)
            new.procs = tuple(procs)
            yield self.sealed(new)

    def _deaths(self, world: World) -> Iterator[Move]:
        live, token = world.live, 0
        while live >> token:
            if live >> token & 1:
                new = self._paid(world, f"t{token} dies")
                new.live &= ~(1 << token)
                if token == new.token:
                    checks.generation(self.pool, new)
                else:
                    new.credit += 1
                yield self.sealed(new)
            token += 1

    def _delete(self, world: World) -> Iterator[Move]:
        if world.token != MISSING:
            new = self._paid(world, "the token is deleted")
            if self._overwritten(new):
                new.token, new.version, new.age = MISSING, -1, 0.0
                checks.generation(self.pool, new)
            else:
                new.credit += 1
            new.token, new.version, new.age = MISSING, -1, 0.0
            yield self.sealed(new)
        if world.lock >= 0:
            new = self._paid(world, "the lock is deleted")
            new.credit += 1
            checks.forget_logins(new)
            new.lock, new.lock_version = -1, -1
            yield self.sealed(new)

    def _unlock(self, world: World) -> Iterator[Move]:
        if world.lock >= 0:
            new = self._paid(world, "a person unlocks")
            new.credit += 1
            content = self.pool.cleared(new.lock)
            checks.vouches(new, self.pool.locks[content], "")
            self.store_lock(new, content, 0.0)
            yield self.sealed(new)

    def _foreign(self, world: World) -> Iterator[Move]:
        """Let somebody who takes no part store a live token, a dead one, or junk."""
        for what in ("live", "dead", "junk"):
            new = self._paid(world, f"a foreign writer stores a {what} token")
            content = JUNK if what == "junk" else fresh_token(self.rules, self.pool, new)
            began = self._overwritten(new) and what != "live"
            self.store_token(new, content)
            if began:
                checks.generation(self.pool, new)
            new.credit += 1
            if what == "live":
                new.live |= 1 << content
                new.landed |= 1 << content
            yield self.sealed(new)

    def _overwritten(self, world: World) -> bool:
        """Tell whether a valid token is stored now."""
        return world.token > 0 and bool(world.live >> world.token & 1)

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
            pool.later(proc, seconds, still=place == still) if proc else 0
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
        checks.later_window(new, seconds)
        return self.sealed(new)
