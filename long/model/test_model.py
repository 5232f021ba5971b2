"""The model's own sanity: what it leaves out when it compares two states."""

from __future__ import annotations

from typing import Any

import pytest
from explore.plans import PLANS, Rules
from explore.processes import Pool, Way, seen
from explore.search import explore


class Doubles(Pool):
    """A pool that keeps a second way to each state, and how each state was gone on from.

    Attributes:
        others: second ways, by the state's number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.others: dict[int, Way] = {}

    def local_id(self, way: Way) -> int:
        known = self._local_ids.get(seen(way).key)
        if known is not None and known not in self.others:
            self.others[known] = Way(way.start, way.steps)
        return super().local_id(way)


@pytest.mark.parametrize("plan", PLANS[::4], ids=lambda plan: plan.name)
def test_two_ways_to_one_state_go_on_alike(plan: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any next step, the policy asks for the same on both ways."""
    pool, compared = Doubles(), 0
    monkeypatch.setattr("explore.moves.Pool", lambda: pool)
    explore(plan, 3_000)
    steps: dict[Any, int] = pool._steps
    for key, after in steps.items():
        if key[0] in pool.others:  # a process's number, where the step is a process's
            other = pool.others[key[0]].go(*key[1:])
            assert seen(other).key == pool.locals[after].key, key
            compared += 1
    assert compared > 100
