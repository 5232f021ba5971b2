"""Clocks: the system's, and time that goes on while a machine sleeps or a function is frozen."""

from __future__ import annotations

import functools
import os
import time


def now() -> tuple[float, float]:
    """Return the times of the monotonic clock and of the wall clock, seconds."""
    return time.monotonic(), time.time()


def passed(since: tuple[float, float]) -> float:
    """Return the seconds since then, by the clock that counted more of them.

    Args:
        since: what `now` returned.

    Returns:
        The seconds; too many when the wall clock was set ahead meanwhile.
    """
    return max(clock - then for clock, then in zip(now(), since, strict=True))


class Clock:
    """The system's time and randomness, in one place, so that a test can bring its own."""

    def mono(self) -> float:
        """Return the monotonic time, seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the machine's time, seconds since the epoch."""
        return time.time()

    def up(self) -> float:
        """Return how long the machine has been running, asleep or not, seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        """Return the name of this run of the machine; "" where the system has none."""
        return _boot()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def jitter(self) -> float:
        """Return a random number from 0 to 1, another one in every forked process."""
        return int.from_bytes(os.urandom(4), "big") / 2**32

    def nonce(self) -> str:
        """Return a random name, another one in every forked process."""
        return os.urandom(8).hex()


SYSTEM_CLOCK = Clock()


@functools.cache
def _boot() -> str:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return ""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
