"""Every request to Betfair, broken in every way that the sandbox knows."""

from __future__ import annotations

import pytest

from faults.betfair import kinds, run
from faults.breaking import ONCE


@pytest.mark.timeout(900)
def test_no_broken_answer_breaks_a_promise() -> None:
    """One request fails in any way: a live token or a typed error, no needless login, all heals."""
    found = run([kind for kind in kinds() if kind.times == ONCE])
    assert found.problems == []
    assert found.requests["conflict"] == ["keepAlive", "login", "logout", "keepAlive"]
    assert len(found.cases) > 40 * 12
    assert {"token", "IdentityUnavailable", "Blocked", "StoreWriteError"} <= set(found.ends)
