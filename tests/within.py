"""Deadlines, as the calls of a store take them."""

from __future__ import annotations

import time


def within(seconds: float) -> float:
    """Return the moment by `time.monotonic` that many seconds from now."""
    return time.monotonic() + seconds
