"""Leave a world alone, fairly: everybody's calls are answered and time goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.login import lock as locks
from betfair_session.login.lock import MARGIN

from .violation import fail
from .world import newcomer, seal

if TYPE_CHECKING:
    from .moves import Moves
    from .world import World

ROUND = 2.0  # seconds; a wait is 1.5 s at most
PATIENCE = 60.0  # seconds, besides the time to live of the lock that is there


def finish(moves: Moves, world: World) -> None:
    """See everybody end in time, and a newcomer after them end as well.

    The adversary has no more means, so one dead holder at most is in the way: the bound is what its
    lock has to live, the margin, and PATIENCE for a login and for second looks, two seconds a call.

    Raises:
        Violation: I4, or what else goes wrong on the way.
    """
    quiet = world.copy()
    quiet.faults = quiet.times = quiet.spare = 0
    _run(moves, quiet)
    quiet.procs = (newcomer(moves.rules, moves.pool, 0),)
    seal(moves.rules, moves.pool, quiet)
    _run(moves, quiet)


def _run(moves: Moves, world: World) -> None:
    lock = moves.pool.locks[world.lock] if world.lock >= 0 else None
    patience = PATIENCE + (lock.ttl + MARGIN if lock and lock.state == locks.HELD else 0.0)
    waited = 0.0
    while any(world.procs):
        for proc in world.procs:
            if proc in world.procs and proc:
                world = moves.plainly(world, world.procs.index(proc))
        waited += ROUND
        if waited > patience:
            waiting = [moves.pool.at(proc) for proc in world.procs if proc]
            what = f"still {waiting[0].phase} after {waited} s: {waiting[0].effect}"
            fail("I4", what)
        world = moves.after(world, ROUND)[1]
