"""Deadlines, as the calls of a store take them."""

from __future__ import annotations

import time


def within(seconds: float) -> float:
    """Return the time of `time.monotonic` that many seconds from now."""
    return time.monotonic() + seconds
