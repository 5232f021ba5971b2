"""Fixtures of the stores' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.cloudlike import Cloud

from betfair_session.storage.contract import TokenStore
from storage.places import Place, open_at


@pytest.fixture
def store(place: Place) -> Iterator[TokenStore]:
    with open_at(place, "prefix") as store:
        yield store


@pytest.fixture
def s3() -> Iterator[Cloud]:
    with Cloud("s3") as cloud:
        yield cloud
