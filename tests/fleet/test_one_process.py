"""What the threads of one process share, and the switch that shortens its waits in tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.process import poll

from betfair_session.process.clocks import Clock, passed, pause, shorten_waits
from fleet.observed import ObservedStore, Points
from fleet.scene import Scene


def test_threads_that_wait_poll_the_store_as_one(scene_on: Callable[[str], Scene]) -> None:
    """Sixteen threads of a process make no more calls of the store than one would."""
    scene = scene_on("local")
    scene.sandbox.hold("certlogin")
    points = Points(None, lambda _: None)
    with scene.session() as holder, scene.session() as waiter, ThreadPoolExecutor(17) as pool:
        waiter._store = ObservedStore(waiter._store, points)
        calls = [pool.submit(holder.token)]
        scene.sandbox.wait_for("certlogin")
        calls += [pool.submit(waiter.token) for _ in range(16)]
        assert any(len(points.passed) > 4 for _ in poll(30))  # they are waiting
        scene.sandbox.release("certlogin")
        tokens = {call.result() for call in calls}
    assert tokens == {scene.stored()}
    assert len(points.passed) <= 20
    assert scene.logins() == 1


def test_a_shortened_wait_counts_in_full_by_the_clock_of_its_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless a test shortens them, waits are whole; the next call's clock begins anew."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    clock, began, then = Clock(), time.monotonic(), Clock().now()
    clock.sleep(2.0)
    assert clock.mono() - began < 6
    try:
        shorten_waits(0.25)
        clock.sleep(8.0)
        pause(4.0)
    finally:
        shorten_waits(1)
    assert slept == [2.0, 2.0, 1.0]
    assert min(clock.mono() - began, *(a - b for a, b in zip(clock.now(), then, strict=True))) >= 6
    assert max(Clock().mono() - began, passed(then)) < 6
