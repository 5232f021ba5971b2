"""Deadlines a while ahead, and waits that take less time than they count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from betfair_session.process import clocks
from betfair_session.process.clocks import Clock, Times


def within(seconds: float) -> float:
    """Return the deadline for a call that may take so long."""
    return time.monotonic() + seconds


@contextmanager
def waits_of(part: float) -> Iterator[None]:
    """Shorten every wait of this process; each still counts in full by its call's own clock.

    Work is not shortened, so that a living holder looks late: do not use this in a test of many
    processes.
    """

    def ahead(clock: Clock) -> float:
        seconds: float = vars(clock).get("ahead", 0.0)
        return seconds

    def pause(seconds: float) -> None:
        time.sleep(seconds * part)

    def sleep(clock: Clock, seconds: float) -> None:
        pause(seconds)
        vars(clock)["ahead"] = ahead(clock) + seconds * (1 - part)

    def mono(clock: Clock) -> float:
        return time.monotonic() + ahead(clock)

    def now(clock: Clock) -> Times:
        return clocks.later(clocks.now(), ahead(clock))

    with ExitStack() as stack:
        stack.enter_context(patch.object(clocks, "pause", pause))
        for each in (sleep, mono, now):
            stack.enter_context(patch.object(Clock, each.__name__, each))
        yield
