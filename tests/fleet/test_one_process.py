"""What the threads of one process share, and the switch that shortens its waits in tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from servers.process import poll

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
