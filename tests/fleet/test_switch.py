"""The switch that shortens waits in tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from betfair_session.process.clocks import Clock, pause, shorten_waits

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
    clock, began = Clock(), time.monotonic()
    clock.sleep(2.0)
    assert clock.mono() - began < 6
    shorten_waits(0.25)
    clock.sleep(8.0)
    pause(4.0)
    assert slept == [2.0, 2.0, 1.0]
    assert clock.mono() - began >= 6
    assert [mine > other + 5 for mine, other in zip(clock.now(), Clock().now(), strict=True)] == [
        True,
        True,
    ]
    assert Clock().mono() - began < 6  # the next call's begins anew
