"""The switch that shortens waits in tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from betfair_session.process.clocks import SYSTEM_CLOCK, call_clock, pause, shorten_waits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """What is really waited, which here takes no time."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    yield waits
    shorten_waits(1)


def test_waits_are_whole_unless_a_test_shortens_them(slept: list[float]) -> None:
    """Then each is a part of itself, and counts in full by the call's own clock."""
    assert call_clock() is SYSTEM_CLOCK
    pause(2.0)
    shorten_waits(0.25)
    clock, began = call_clock(), SYSTEM_CLOCK.mono()
    clock.sleep(8.0)
    pause(4.0)
    assert slept == [2.0, 2.0, 1.0]
    assert clock.mono() - began >= 6
    assert clock.wall() > SYSTEM_CLOCK.wall() + 5
    assert clock.steady() > SYSTEM_CLOCK.steady() + 5
    assert call_clock().mono() - began < 6  # the next call's begins anew
