"""Which URL is opened by what."""

from __future__ import annotations

import pytest

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage import open_store
from betfair_session.storage.obstore import ObstoreStore
from betfair_session.storage.s3 import S3Store


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "abfs://container/prefix"])
def test_obstore_is_used_when_it_is_asked_for(url: str) -> None:
    """By the prefix or by the option; the same options serve both."""
    options = {"account_name": "name"} if url.startswith("abfs") else {}
    assert isinstance(open_store("obstore+" + url, options), ObstoreStore)
    assert isinstance(open_store(url, {"obstore": True, **options}), ObstoreStore)


def test_without_being_asked_for_it_is_not_used() -> None:
    """Installed or not; and False is no."""
    assert isinstance(open_store("s3://bucket"), S3Store)
    assert isinstance(open_store("s3://bucket", {"obstore": False}), S3Store)


def test_obstore_cannot_open_everything() -> None:
    """It serves the three clouds."""
    with pytest.raises(ConfigurationError, match="obstore serves"):
        open_store("sftp://host/path", {"obstore": True})


def test_the_callers_options_are_left_as_they_are() -> None:
    """They may be used again."""
    options = {"obstore": True}
    open_store("s3://bucket", options)
    assert options == {"obstore": True}
