"""Fixtures of the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.places import open_at
from storage.racers import Racers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from betfair_session.storage.contract import TokenStore
    from storage.places import Place


@pytest.fixture
def store(place: Place) -> Iterator[TokenStore]:
    """The store under test, at a prefix of its place."""
    with open_at(place, "prefix") as store:
        yield store


@pytest.fixture(scope="session")
def racers() -> Iterator[Racers]:
    """Sixteen processes that write at the same moment."""
    with Racers(16) as racers:
        yield racers
