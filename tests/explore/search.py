"""Walk through the worlds that can be reached, each once."""

from __future__ import annotations

import marshal
from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from sys import intern

from betfair_session.login import lock as locks
from betfair_session.login.lock import MARGIN

from .moves import Moves
from .plans import Rules
from .truth import Violation, fail
from .world import World, first

ROUND = 2.0  # seconds; a wait is 1.5 s at most
PATIENCE = 60.0  # seconds, besides the time to live of the lock that is there


@dataclass
class Count:
    """What a search saw."""

    worlds: int = 0  # how many different ones, by 64 bits of a digest each
    moves: int = 0  # how many steps between them
    finished: int = 0  # how many were left alone to see whether all processes end
    complete: bool = False  # whether all worlds were seen
    locals: int = 0  # how many different process states


def digest(world: World) -> int:
    # The format's second version: later ones depend on other references to the same objects.
    content = marshal.dumps(world.key(), 2)
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def explore(rules: Rules, most: int, *, every: int = 64) -> Count:
    """Walk in breadth, which meets a Violation by its shortest way, through `most` worlds.

    One in `every` is left alone to see whether all processes end.
    """
    moves, count = Moves(rules), Count()
    world = first(rules, moves.pool)
    here = digest(world)
    back: dict[int, tuple[int, str]] = {here: (0, "")}
    queue = deque([(here, world)])
    try:
        while queue and len(back) < most:
            here, world = queue.popleft()
            if here % every == 0:
                count.finished += 1
                finish(moves, world)
            moves.doing = ""
            for doing, after in moves.all(world):
                count.moves += 1
                mark = digest(after)
                if mark not in back:
                    back[mark] = (here, intern(doing))
                    queue.append((mark, after))
    except Violation as violation:
        violation.trace = [*_way(back, here), moves.doing]
        raise
    count.worlds, count.complete, count.locals = len(back), not queue, len(moves.pool.locals)
    return count


def _way(back: dict[int, tuple[int, str]], here: int) -> list[str]:
    way: list[str] = []
    while back[here][0]:
        here, doing = back[here]
        way.insert(0, doing)
    return way


def finish(moves: Moves, world: World) -> None:
    """Check that all processes end in time, and then a newcomer as well.

    The adversary has no more means, so one dead holder at most is in the way: the bound is what its
    lock has to live, the margin, and PATIENCE for a login and for second looks, two seconds a call.
    """
    quiet = world.copy()
    quiet.faults = quiet.times = quiet.spare = 0
    _run(moves, quiet)
    quiet.procs = (moves.pool.newcomer(moves.rules, 0),)
    quiet.seal()
    _run(moves, quiet)


def _run(moves: Moves, world: World) -> None:
    lock = moves.pool.locks[world.lock] if world.lock >= 0 else None
    patience = PATIENCE + (lock.ttl + MARGIN if lock and lock.state == locks.HELD else 0.0)
    waited = 0.0
    while any(world.procs):
        for proc in world.procs:
            if proc in world.procs and proc:
                world = moves.answer(world, world.procs.index(proc))[1]
        waited += ROUND
        if waited > patience:
            waiting = [moves.pool.locals[proc] for proc in world.procs if proc]
            what = f"still {waiting[0].phase} after {waited} s: {waiting[0].effect}"
            fail("I4", what)
        world = moves.after(world, ROUND)[1]
