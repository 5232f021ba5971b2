"""The shipped policy through a small world's interleavings, with its guards and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from betfair_session.login.call import Call
from betfair_session.login.policy import SharedLogin

from .plans import CONTROLS, LATE_LANDING, PAIRS, SUSPENDED
from .processes import Violation
from .search import explore

if TYPE_CHECKING:
    from betfair_session.login.policy import Steps

    from .plans import Rules

WORLDS = 3_000  # of each plan; python3 dev.py long explore walks on


@pytest.mark.parametrize("plan", [*PAIRS, LATE_LANDING], ids=lambda plan: plan.name)
def test_no_invariant_fails_whatever_the_adversary_does(plan: Rules) -> None:
    """No reachable world breaks an invariant, and left alone everybody ends in time."""
    count = explore(plan, WORLDS)
    assert count.complete or count.worlds >= WORLDS
    assert count.finished


def broken(rules: Rules, invariant: str) -> None:
    """Show that the explorer finds the violation of an invariant."""
    with pytest.raises(Violation) as caught:
        explore(rules, 100_000)
    assert caught.value.invariant == invariant
    assert caught.value.trace


@pytest.mark.parametrize("name", CONTROLS)
def test_without_one_of_the_stores_promises_an_invariant_fails(name: str) -> None:
    """Taken away, each of them makes the explorer find the violation."""
    broken(*CONTROLS[name])


def test_without_the_blank_a_write_that_lands_after_its_refusal_costs_logins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that was logged out lands between another's login and its publication."""

    def nothing(_: SharedLogin) -> Steps[bool]:
        yield from ()
        return True

    monkeypatch.setattr(SharedLogin, "_show_writable", nothing)
    broken(LATE_LANDING, "I1")


def test_without_the_second_clock_a_suspended_process_logs_in_under_anothers_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its monotonic clock stood still meanwhile."""
    monkeypatch.setattr(Call, "_elapsed", lambda call, since: call.clock.now()[0] - since[0])
    broken(SUSPENDED, "lease")
