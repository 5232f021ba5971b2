"""Time that goes on while a machine sleeps or a function is frozen: one of the clocks does."""

from __future__ import annotations

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
