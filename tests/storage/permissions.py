"""Buckets that are missing, forbidden, or only readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from within import within

from betfair_session.exceptions import StoreUnavailable, StoreWriteError
from betfair_session.storage import open_store
from storage.calls import CALLS, WRITES, failure, secrets_in
from storage.places import TIMEOUT

if TYPE_CHECKING:
    from storage.places import BucketPlace


class Buckets:
    """For stores on servers that know buckets."""

    @pytest.mark.parametrize("call", ["read", "create", "replace"])
    def test_a_missing_bucket_is_told(self, place: BucketPlace, call: str) -> None:
        """A missing bucket is an error, not a missing object, and is not made."""
        url = place.url().replace(place.bucket.name, f"{place.bucket.name}none")
        with open_store(url, place.options) as store:
            error = failure(call, store, "1")
        assert isinstance(error, StoreUnavailable)
        assert (error.reason, error.landed) == ("no-bucket", False)
        assert f"{place.bucket.name}none" in str(error)


class Credentials:
    """For stores on servers that look at credentials (SeaweedFS and Azurite do)."""

    @pytest.mark.parametrize("call", CALLS)
    def test_a_wrong_key_is_told(self, place: BucketPlace, call: str) -> None:
        """Wrong credentials are "forbidden", and do not show in the error."""
        server = place.bucket.server
        options = server.wrong_options(server.endpoint)
        assert options
        with open_store(place.url("prefix"), options) as store:
            error = failure(call, store, '"1"')
        assert (error.reason, error.landed) == ("forbidden", False)
        wrong = [str(options[name]) for name in ("secret", "connection_string") if name in options]
        assert wrong
        assert secrets_in(error, wrong) == []
        assert place.keys() == []

    @pytest.mark.parametrize("call", WRITES)
    def test_a_store_that_may_only_be_read_is_told(self, place: BucketPlace, call: str) -> None:
        """Reading works; a write is refused as forbidden and changes nothing."""
        server = place.bucket.server
        options = server.reader_options(server.endpoint, place.bucket.name)
        assert options
        place.put("prefix/token", b"present")
        with open_store(place.url("prefix"), options) as store:
            found = store.get("token", deadline=within(TIMEOUT))
            assert found is not None
            assert found.content == b"present"
            error = failure(call, store, found.version)
        assert isinstance(error, StoreWriteError)
        assert (error.reason, error.landed) == ("forbidden", False)
        assert place.keys() == ["prefix/token"]
        assert place.get("prefix/token") == b"present"
