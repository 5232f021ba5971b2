"""All three clouds through obstore."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar

import pytest
from hidden.listeners import Listener, saying
from secrets_shown import everything_in
from within import within

from betfair_session import StoreUnavailable
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT
from storage import dialects
from storage.contract import Deletions
from storage.permissions import Credentials
from storage.places import TIMEOUT, BucketPlace
from storage.suites import ObjectStoreContract
from storage.surroundings import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket

    from betfair_session.storage.contract import TokenStore


class _Obstore(ObjectStoreContract, Deletions):
    """What the three have in common."""

    kind: ClassVar[str]

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh bucket."""
        return BucketPlace(bucket_on(self.kind), "obstore+")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_a_forked_child_is_told(self, store: TokenStore) -> None:
        """Obstore would hang in the child of a process that used it; the error says what to do."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        answer = in_a_child(lambda: store.get("token", deadline=within(TIMEOUT)))
        assert str(answer).startswith("ConfigurationError")
        assert "fork" in str(answer)
        assert store.get("token", deadline=within(TIMEOUT)) is not None


class TestObstoreS3OnMoto(_Obstore):
    """S3, moto's server."""

    dialect: ClassVar[dialects.Dialect] = dialects.S3
    kind: ClassVar[str] = "moto"


class TestObstoreS3OnSeaweed(_Obstore, Credentials):
    """S3, SeaweedFS."""

    dialect: ClassVar[dialects.Dialect] = dialects.S3
    kind: ClassVar[str] = "seaweed"

    def test_an_endpoint_of_the_environment_counts_as_one_that_is_named(
        self, place: BucketPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has no TLS here, is not taken for Amazon, and is asked for its time."""
        options = dict(place.options)
        monkeypatch.setenv("AWS_ENDPOINT_URL", options.pop("endpoint_url"))
        store = open_store(place.url(), options)
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        assert store.probe
        assert place.get("token") == b"first"
        now = store.server_now(deadline=within(TIMEOUT))
        assert now is not None
        assert abs(now - time.time()) < 600


class TestObstoreGCS(_Obstore):
    """Google Cloud Storage, fake-gcs-server."""

    dialect: ClassVar[dialects.Dialect] = dialects.GCS_XML
    kind: ClassVar[str] = "gcs-xml"


class TestObstoreAzure(_Obstore, Credentials):
    """Azure Blob Storage, Azurite."""

    dialect: ClassVar[dialects.Dialect] = dialects.AZURE
    kind: ClassVar[str] = "azure"


def test_a_servers_clock_is_asked_for_without_netrc(netrc: bytes) -> None:
    """What that has for a host is not for the store's."""
    answer = b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\n\r\n"
    with Listener(saying(answer)) as listener:
        options = {"endpoint_url": f"http://127.0.0.1:{listener.port}", "key": "k", "secret": "s"}
        with open_store("obstore+s3://bucket", options) as store:
            assert store.server_now(deadline=within(TIMEOUT)) == 1795348800.0
    assert listener.heard.startswith(b"HEAD / HTTP/1.1\r\n")
    assert netrc not in listener.heard


def test_an_answer_that_breaks_off_leaves_no_token_behind() -> None:
    """Not in the locals of our frames either, which a tracker of errors may send."""
    token = "T" * 43 + "="
    head = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: "1"\r\n'
    head += "Last-Modified: Sun, 22 Nov 2026 11:00:00 GMT\r\n\r\n"
    with Listener(saying((head + token).encode())) as listener:
        options = {"endpoint_url": f"http://127.0.0.1:{listener.port}", "key": "k", "secret": "s"}
        with (
            open_store("obstore+s3://bucket", options) as store,
            pytest.raises(StoreUnavailable) as caught,
        ):
            store.get("token", deadline=within(TIMEOUT))
    assert token not in everything_in(caught.value)


def test_a_server_that_tells_no_time_is_no_error() -> None:
    """Nobody is there, or it is none that HTTP asks for."""
    with Listener(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as listener:
        options = {"endpoint_url": f"http://127.0.0.1:{listener.port}", "key": "k", "secret": "s"}
        store = open_store("obstore+s3://bucket", options)
        assert store.server_now(deadline=within(TIMEOUT)) is None
    assert store.server_now(deadline=within(TIMEOUT)) is None
