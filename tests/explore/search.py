"""Walk through the worlds that can be reached, each once."""

from __future__ import annotations

import marshal
from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from sys import intern
from typing import TYPE_CHECKING

from .finish import finish
from .moves import Moves
from .violation import Violation

if TYPE_CHECKING:
    from .rules import Rules
    from .world import World


@dataclass
class Count:
    """What a search saw.

    Attributes:
        worlds: how many different ones, by 64 bits of a digest each.
        moves: how many steps between them.
        finished: how many were left alone to see whether everybody ends.
        complete: whether there were no more.
        locals: how many different process states were met.
    """

    worlds: int = 0
    moves: int = 0
    finished: int = 0
    complete: bool = False
    locals: int = 0


def digest(world: World) -> int:
    """Return 64 bits that stand for a world."""
    # The format's second version: later ones depend on who else holds the same objects.
    content = marshal.dumps(world.key(), 2)
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")


def explore(rules: Rules, most: int, *, every: int = 64) -> Count:
    """Walk in breadth, which meets a violation by its shortest way.

    Args:
        rules: the exploration.
        most: how many different worlds at most.
        every: of how many worlds one is left alone to see whether everybody ends.

    Returns:
        What was seen.

    Raises:
        Violation: an invariant does not hold.
    """
    moves, count = Moves(rules), Count()
    world = moves.first()
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
