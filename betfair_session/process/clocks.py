"""Time by two clocks, since either alone can be wrong.

The steady clock never steps. But it stands still while the whole machine is frozen, as serverless
functions are, and may stand still in suspend. The wall clock is right afterwards, but may step. How
long something has been trusted is therefore counted by the clock that advanced more.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from contextvars import ContextVar
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

Times: TypeAlias = tuple[float, float]
"""One moment by the steady clock and by the wall clock, seconds."""


def _steady_clock() -> Callable[[], float]:
    """Return a clock that never steps and, where there is one, that also counts a suspend.

    On Linux this is CLOCK_BOOTTIME, on macOS CLOCK_MONOTONIC: clock_gettime(2) and (3).
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
    """Return the moment so many seconds after another (before it, if negative)."""
    return moment[0] + seconds, moment[1] + seconds


def passed(since: Times, moment: Times | None = None) -> float:
    """Return the seconds from `since` to `moment` (or now), by the clock that advanced more."""
    steady_now, wall_now = moment or (steady(), wall())
    return max(steady_now - since[0], wall_now - since[1])


def reached(moment: Times) -> bool:
    """Return whether a moment has come by at least one clock."""
    return steady() >= moment[0] or wall() >= moment[1]


LEFT: ContextVar[Callable[[], float]] = ContextVar("left", default=lambda: math.inf)
"""Returns the seconds that the caller still waits."""


@contextlib.contextmanager
def bounded(left: Callable[[], float]) -> Iterator[None]:
    """Within this, begin nothing for a caller who has given up: `left()` seconds are above 0.

    That holds for logins, and for requests by an OwnAdapter, also in the threads that they start.
    """
    before = LEFT.set(left)
    try:
        yield
    finally:
        LEFT.reset(before)


def left() -> float:
    """Return the seconds that the caller still waits, at most; infinite outside of `bounded`."""
    return LEFT.get()()


class End:
    """The moment when a request ends, by `time.monotonic`, and whether it may have been sent."""

    begun = False

    def __init__(self, moment: float) -> None:
        """Keep the moment."""
        self.moment = moment

    def left(self) -> float:
        """Return the seconds until then: call it right before sending, and send if any are left.

        So while `begun` is False after the moment, nothing was sent and nothing will be.
        """
        self.begun = True  # before the time is read
        return self.moment - time.monotonic()


class Clock:
    """Time, randomness and names for one call, in one place, so that a test can replace them.

    Attributes:
        knows: whether the store's own time is known.
    """

    knows = False
    _offset: float | None = None  # seconds from the steady clock to the store's time

    mono = staticmethod(time.monotonic)  # by which deadlines are set
    now = staticmethod(now)
    left = staticmethod(left)

    def server(self) -> float:
        """Return the store's time, seconds since the epoch; the machine's until it is known."""
        steady_now, wall_now = self.now()
        return wall_now if self._offset is None else steady_now + self._offset

    def learn(self, server: float, *, from_store: bool = True) -> None:
        """Set the time that `server` returns: the store's, or that of this machine's locks."""
        self._offset, self.knows = server - self.now()[0], from_store

    def boot(self) -> str:
        """Return an id of the machine's boot, from which `now` counts; "" if unknown."""
        return _boot()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        pause(seconds)

    def jitter(self) -> float:
        """Return a random number from 0 to 1; forked processes get different ones."""
        return int.from_bytes(os.urandom(4), "big") / 2**32

    def nonce(self) -> str:
        """Return a random name; forked processes get different ones."""
        return os.urandom(8).hex()

    def process(self) -> str:
        """Return this process's name for people: host and process number."""
        host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "?")
        return f"{ascii(host)[1:-1]} process {os.getpid()}"


def pause(seconds: float) -> None:
    """Wait before a retry."""
    time.sleep(seconds)


@functools.cache
def _boot() -> str:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return ""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            found = file.read().strip()
        # A container may have its own steady clock, in a time namespace, from Linux 5.6 on.
        with contextlib.suppress(FileNotFoundError):
            found += f" {os.readlink('/proc/self/ns/time')}"
    except (OSError, UnicodeDecodeError):
        return ""
    return found
