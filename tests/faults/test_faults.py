"""Broken requests through get_session: a live token or a typed error, and all heals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.lane import lanes_in, run
from faults.paths import BETFAIRS, CONFLICT
from faults.ways import at_betfair, at_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket

AT_BETFAIR = {
    *("lost {}", "truncated {}", "status:503 {'body': 'json'}", "blocked {}", "html200 {}"),
    *("internal_error {}", "rotate {}", "token {'value': 'two words'}"),
}
AT_STORE = {
    *("reset", "answer lost", "held, lands after the healing"),
    *("412 PreconditionFailed", "503 page"),
}


@pytest.mark.usefixtures("short_waits")
@pytest.mark.timeout(300)
def test_no_broken_answer_of_betfairs_breaks_a_promise(tmp_path: Path) -> None:
    """One request of each way; the whole matrix is long/faults."""
    ways = [way for way in at_betfair() if way.name in AT_BETFAIR]
    with lanes_in(tmp_path) as lanes:
        calls = run(lanes, BETFAIRS, ways)
    assert [f"{call}: {problem}" for call in calls for problem in call.problems] == []
    conflict = next(call for call in calls if call.path is CONFLICT)
    assert conflict.requests == ["keepAlive", "login", "logout", "keepAlive"]
    assert len(ways) == len(AT_BETFAIR)
    assert len(calls) > 12 * (len(ways) - 1)
    ends = {call.end for call in calls}
    assert {"token", "IdentityUnavailable", "Blocked", "StoreWriteError"} <= ends


@pytest.mark.usefixtures("short_waits")
@pytest.mark.timeout(300)
def test_no_broken_answer_of_a_store_breaks_a_promise(
    tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """Of S3, through obstore."""
    ways = [way for way in at_store("moto") if way.name in AT_STORE]
    with lanes_in(tmp_path, bucket_on("moto"), "obstore+") as lanes:
        calls = run(lanes, [CONFLICT], ways)
    assert [f"{call}: {problem}" for call in calls for problem in call.problems] == []
    assert len(ways) == len(AT_STORE)
    assert len(calls) > 8 * len(ways)
    assert "token" in {call.end for call in calls}
