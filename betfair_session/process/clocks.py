"""Time by two clocks, since either alone can be wrong.

The steady clock never steps, but may stand still in a machine that is suspended, and does in one
that is frozen whole, as serverless functions are. The wall clock is right afterwards, but may step.
What decides whether something is still trusted is therefore counted by the one that went further.
"""

from __future__ import annotations

import functools
import os
import time
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

Times: TypeAlias = tuple[float, float]
"""One moment by the steady clock and by the wall clock, seconds."""


def _steady_clock() -> Callable[[], float]:
    """Return a clock that never steps, and goes on in a suspended machine if there is one.

    Linux counts that in CLOCK_BOOTTIME, macOS in CLOCK_MONOTONIC: clock_gettime(2) and (3).
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        try:
            clock = partial(time.clock_gettime, getattr(time, name))
            clock()
        except (AttributeError, OSError):  # not on this system
            continue
        return clock
    return time.monotonic


steady = _steady_clock()
wall = time.time


def now() -> Times:
    """Return this moment."""
    return steady(), wall()


def later(moment: Times, seconds: float) -> Times:
    """Return the moment so many seconds after another; before it if they are below 0."""
    return moment[0] + seconds, moment[1] + seconds


def passed(since: Times, moment: Times | None = None) -> float:
    """Return the seconds since then, up to a moment or now, by the clock that counted more."""
    steady_now, wall_now = moment or now()
    return max(steady_now - since[0], wall_now - since[1])


def reached(moment: Times) -> bool:
    """Tell whether either clock shows that a moment has come."""
    return steady() >= moment[0] or wall() >= moment[1]


def earlier(one: Times, other: Times) -> Times:
    """Return the moment that is reached as soon as one of two is."""
    return min(one[0], other[0]), min(one[1], other[1])


class Clock:
    """Time and randomness of one call, in one place, so that a test can bring its own.

    Where waits are shortened, it counts what they leave out as passed.

    Attributes:
        knows: whether the store has told its time.
    """

    knows = False
    _offset: float | None = None  # of the store's time from the steady clock's, seconds
    _left_out = 0.0  # of shortened waits, seconds

    def mono(self) -> float:
        """Return the monotonic time, by which deadlines are set; seconds."""
        return time.monotonic() + self._left_out

    def now(self) -> Times:
        """Return this moment."""
        return steady() + self._left_out, wall() + self._left_out

    def server(self) -> float:
        """Return the store's time, seconds since the epoch; the machine's until it is known."""
        steady_now, wall_now = self.now()
        return wall_now if self._offset is None else steady_now + self._offset

    def learn(self, server: float, *, from_store: bool = True) -> None:
        """Take in the time that a store tells, or that the locks of one machine go by."""
        self._offset, self.knows = server - self.now()[0], from_store

    def boot(self) -> str:
        """Name this run of the machine, which `now` counts from its start; "" if unknown."""
        return _boot()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        pause(seconds)
        self._left_out += seconds * (1 - _part)

    def jitter(self) -> float:
        """Return a random number from 0 to 1, another one in every forked process."""
        return int.from_bytes(os.urandom(4), "big") / 2**32

    def nonce(self) -> str:
        """Return a random name, another one in every forked process."""
        return os.urandom(8).hex()


_part = 1.0  # of each wait that is waited


def shorten_waits(part: float = 0.03) -> None:
    """Let every wait of this process take a part of its time; for tests, which undo it with 1.

    Each wait still counts in full by the call's own clock. Only waiting is shortened, not work: a
    living holder looks late, so a test of a crowd leaves this alone.
    """
    global _part  # noqa: PLW0603 - one switch for the process
    _part = part


def pause(seconds: float) -> None:
    """Wait before something is tried again."""
    time.sleep(seconds * _part)


@functools.cache
def _boot() -> str:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return ""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            # A container may have a steady clock of its own, in a namespace of time.
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/time')}"
    except (OSError, UnicodeDecodeError):
        return ""
