"""Fixtures of the stores' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.cloudlike import Cloud

from betfair_session.storage.contract import TokenStore
from storage.places import Place, open_at


@pytest.fixture
def store(place: Place) -> Iterator[TokenStore]:
    """The store under test, at a prefix of its place."""
    with open_at(place, "prefix") as store:
        yield store


@pytest.fixture
def s3() -> Iterator[Cloud]:
    """S3's protocol on this machine."""
    with Cloud("s3") as cloud:
        yield cloud
