"""The shipped machine through a small world's interleavings, with its guards and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .plans import CONTROLS, PAIRS
from .search import explore
from .violation import Violation

if TYPE_CHECKING:
    from .rules import Rules

WORLDS = 10_000  # of each plan; benchmarks/explore.py walks on


@pytest.mark.parametrize("plan", PAIRS, ids=lambda plan: plan.name)
def test_no_invariant_fails_whatever_the_adversary_does(plan: Rules) -> None:
    """No reachable world breaks an invariant, and left alone everybody ends in time."""
    count = explore(plan, WORLDS)
    assert count.complete or count.worlds >= WORLDS
    assert count.finished


@pytest.mark.parametrize("broken", CONTROLS)
def test_without_one_of_its_guards_the_invariant_fails(broken: str) -> None:
    """Taken away, each guard of the protocol makes the explorer find the violation."""
    rules, invariant = CONTROLS[broken]
    with pytest.raises(Violation) as caught:
        explore(rules, 100_000)
    assert caught.value.invariant == invariant
    assert caught.value.trace
