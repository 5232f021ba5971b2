"""A whole fleet at once: one login, everybody gets its token."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fleet.processes import Crowd, run_crowd
from fleet.scene import GENEROUS, KEY, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.job import Outcome

MOST_CALLS = 15

FLEETS = [
    ("local", 200),
    ("seaweed", 64),
    ("moto", 64),
    ("gcs", 64),
    ("cloud-gcs", 16),  # one change of an object a second
    ("azure", 64),
    ("obstore+seaweed", 64),
]


@dataclass
class Reader(threading.Thread):
    """Reads the token's and the lock's files all the time, and notes what is not whole."""

    scene: Scene
    torn: list[bytes] = field(default_factory=list)
    whole: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Read until stopped."""
        while not self._over.wait(0.001):
            token = self.scene.place.get(KEY)
            if token is not None:
                (self.whole.add if len(token) == 44 else self.torn.append)(token)
            lock = self.scene.place.get(KEY + ".login")
            if lock is not None:
                self._check(lock)

    def _check(self, lock: bytes) -> None:
        try:
            assert json.loads(lock)["v"] == 1
        except ValueError:
            self.torn.append(lock)

    def stop(self) -> None:
        """Stop."""
        self._over.set()
        self.join()


def assert_one_for_all(scene: Scene, outcomes: list[Outcome]) -> None:
    """One login; the same live token for all; few calls; nothing left but token and lock."""
    assert {outcome.error: outcome.text for outcome in outcomes} == {"": ""}
    assert {outcome.token for outcome in outcomes} == {scene.stored()}
    assert scene.logins() == 1
    scene.assert_quiet()


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize(("kind", "count"), FLEETS)
def test_a_stampede_makes_one_login(
    scene_on: Callable[[str], Scene], kind: str, count: int, *, dead: bool
) -> None:
    """Scenarios 1 and 2: exactly one certlogin, and at most 15 store calls for each process."""
    scene = scene_on(kind)
    dead_token = scene.store_dead_token() if dead else None
    outcomes = run_crowd([scene.job(lease=GENEROUS, warm=True)] * count)
    assert_one_for_all(scene, outcomes)
    assert scene.stored() != dead_token
    assert max(outcome.store_calls for outcome in outcomes) <= MOST_CALLS


def test_no_reader_ever_sees_a_torn_file(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 32: through three generations, token and lock are whole whenever they are read."""
    scene = scene_on("local")
    reader = Reader(scene)
    reader.start()
    for _ in range(3):
        run_crowd([scene.job(lease=GENEROUS)] * 16)
        scene.sandbox.expire_all()
    reader.stop()
    assert reader.torn == []
    assert len(reader.whole) == 3
    assert scene.logins() == 3


def test_a_fleet_waits_for_a_slow_login(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 2: nobody loses patience or logs in while a login takes its time."""
    scene = scene_on("seaweed")
    scene.sandbox.hold("certlogin")
    with Crowd([scene.job(lease=GENEROUS, warm=True)] * 12) as crowd:
        crowd.go()
        scene.sandbox.wait_for("certlogin")
        scene.sandbox.release("certlogin")
        assert_one_for_all(scene, crowd.first_outcomes())
