"""Fixtures: a store at a prefix of a place, and sixteen processes that race."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from storage.places import open_at

from stores.racers import Racers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.places import Place

    from betfair_session.storage.contract import TokenStore


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
