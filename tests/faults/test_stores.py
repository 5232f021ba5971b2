"""Every request to a store, broken in every way; the other stores are benchmarks/faults.py's."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from storage.places import BucketPlace

from faults.breaking import AFTER, ONCE, ways
from faults.matrix import Matrix
from faults.paths import PATHS

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox

# A call whose lease is abandoned, or whose token is dead in another way, makes no other requests.
HERE = ["first login", "dead token after a login", "conflict", "shared, old"]

# After one broken request the next attempt succeeds; these are the failures that last.
LASTING = ["reset", "answer lost", "held, lands afterwards"]


@pytest.mark.timeout(900)
def test_no_broken_request_breaks_a_promise(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket]
) -> None:
    """Any request of a call fails in any way: a live token or a typed error, and all heals."""
    paths = [path for path in PATHS if path.name in HERE]
    all_ways = ways("obstore+seaweed")
    chosen = [way for way in all_ways if way.times == ONCE]
    chosen += [way for way in all_ways if way.name in [f"{each}{AFTER}" for each in LASTING]]
    place = BucketPlace(bucket_on("seaweed"), "obstore+")
    with closing(Matrix(sandbox, place)) as matrix:
        found = matrix.run(chosen, paths)
    assert found.problems == []
    assert len(found.requests) == len(HERE)
    assert len(chosen) >= 18 + len(LASTING)
    assert len(found.cases) == len(chosen) * sum(map(len, found.requests.values()))
    assert {"token", "PublishUncertain", "StoreUnavailable"} <= set(found.ends)
