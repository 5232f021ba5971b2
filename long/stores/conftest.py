"""Fixtures: a store at a prefix of a place, and sixteen processes that race."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from storage.places import Place, open_at

from betfair_session.storage.contract import TokenStore
from stores.racers import Racers


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
