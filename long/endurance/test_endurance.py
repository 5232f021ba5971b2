"""Nothing grows with the number of calls; benchmarks/endurance.py makes many more of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from storage.places import BucketPlace, LocalPlace

from endurance.watch import Told, watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket
    from storage.places import Place

    from betfair_session.sandbox import Sandbox


@pytest.mark.parametrize("kind", ["local", "seaweed", "obstore+seaweed"])
def test_nothing_grows_with_the_number_of_calls(
    sandbox: Sandbox, tmp_path: Path, bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """No thread, socket, descriptor, event loop or temporary file; and no complaint at the end."""
    sandbox.configure(logins_per_minute=1e9)
    driver, plus, server = kind.rpartition("+")
    place: Place = LocalPlace(tmp_path)
    if server != "local":
        place = BucketPlace(bucket_on(server), driver + plus)
    told = watch(sandbox, place, 200)
    assert told.complaints == ""
    assert told.growth == {}
    assert told.after["temporary files"] == 0
    # What one call makes for all: the loop of the tasks, and that of a driver.
    assert told.after["loops"] <= 1
    assert sandbox.counts()["certlogin"] >= 10


def test_growth_is_noticed() -> None:
    """One descriptor for each ten calls, or one thread more, is growth; the same again is none."""
    calm = {"threads": ["MainThread"], "descriptors": 5, "sockets": 1, "loops": 0}
    calm["temporary files"] = 0
    assert Told([calm] * 9, calm, "").growth == {}
    leaking = [{**calm, "descriptors": 5 + tenth} for tenth in range(9)]
    assert Told(leaking, calm, "").growth == {"descriptors": (6, 13)}
    busy = {**calm, "threads": ["MainThread", "Thread-"]}
    assert set(Told([*[calm] * 8, busy], calm, "").growth) == {"threads"}
