"""Whole fleets at once, on every server, and in bad circumstances."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from fleet import test_processes as shared
from fleet.observed import ObservedStore, Points
from fleet.processes import Crowd, run_crowd
from fleet.scene import GENEROUS, Scene

from betfair_session.storage.contract import StoredObject, TokenStore

pytestmark = pytest.mark.timeout(1800)

WRONG_CLOCKS = [-3600.0, -60.0, 0.0, 60.0, 3600.0]
FLEETS = [
    *((kind, 200) for kind in ("local", "seaweed", "moto", "gcs", "azure", "obstore+seaweed")),
    ("cloud-gcs", 16),  # one change of an object a second
]


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize(("kind", "count"), FLEETS)
def test_a_stampede_makes_one_login(
    scene_on: Callable[[str], Scene], kind: str, count: int
) -> None:
    """Exactly one certlogin for a missing and one for a dead token, and few store calls."""
    shared.test_a_stampede_makes_one_login(scene_on, kind, count)


@pytest.mark.parametrize("kind", ["seaweed", "gcs", "azure"])
def test_forked_children_share_one_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """With each of fsspec's drivers."""
    shared.test_forked_children_share_one_login(scene_on, kind)


@pytest.mark.parametrize("kind", ["local", "seaweed", "obstore+seaweed"])
def test_wrong_clocks_cost_no_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Machines a minute or an hour off share one login, and wait while it lasts.

    None takes the lock of a holder that lives.
    """
    scene = scene_on(kind)
    scene.store_dead_token()
    scene.sandbox.hold("certlogin")
    first = scene.job(lease=GENEROUS, warm=True)
    jobs = [first._replace(clock_offset=offset) for offset in WRONG_CLOCKS * 2]
    with Crowd(jobs) as crowd:
        crowd.go()
        scene.sandbox.wait_for("certlogin")
        short = [scene.job(waits=0.1, timeout=20, clock_offset=each) for each in WRONG_CLOCKS]
        assert {outcome.error for outcome in run_crowd(short)} == {"LoginTimeout"}
        scene.sandbox.release("certlogin")
        assert {outcome.token for outcome in crowd.outcomes()} == {scene.stored()}
    assert scene.logins() == 1
    scene.assert_quiet()


class LaggingStore(ObservedStore):
    """A store whose reads return overwritten content for 3 more seconds."""

    def __init__(self, store: TokenStore) -> None:
        super().__init__(store, Points(None, lambda _: None))
        self._shown: dict[str, StoredObject | None] = {}

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Return the content before a write until that write is as old as reads may be."""
        found = super().get(key, deadline=deadline)
        shown = self._shown.setdefault(key, found)
        if found is None or shown == found or found.modified is None or found.now is None:
            return found
        if found.now - found.modified < 3:
            if shown:
                shown.now = found.now
            return shown
        self._shown[key] = found
        return found


def test_stale_reads_cost_no_login(scene_on: Callable[[str], Scene]) -> None:
    """Eight machines whose reads are 3 seconds old share one login, for none and for a dead one."""
    scene = scene_on("seaweed")
    for generation in (1, 2):
        with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
            sessions = [stack.enter_context(scene.session(lease=GENEROUS)) for _ in range(8)]
            for session in sessions:
                session._store = LaggingStore(session._store)
            tokens = set(pool.map(lambda session: session.token(), sessions))
        assert tokens == {scene.stored()}
        assert scene.logins() == generation
        scene.assert_quiet()
        scene.sandbox.expire_all()
