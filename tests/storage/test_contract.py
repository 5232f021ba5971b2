"""The contract on every kind of store that is vouched for."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, cast

import pytest
from gcsfs.core import GCSFileSystem
from servers.objects import Bucket
from servers.process import poll
from servers.s3 import MotoServer

from betfair_session.storage.contract import TokenStore
from storage.contract import (
    Contract,
    Credentials,
    Forks,
    ObjectStore,
    OwnFilesystem,
    assert_conflict,
    create,
    delete,
    get,
    put,
    read,
)
from storage.places import LocalPlace, MemoryPlace, Place
from storage.surroundings import in_a_child


class OnOurServers(ObjectStore):
    server: ClassVar[str]

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> Bucket:
        return bucket_on(self.server)


class Whole:
    """For stores where this library itself makes sure that no reader sees a part."""

    def test_a_reader_sees_no_part(self, store: TokenStore) -> None:
        """While contents of unequal length replace each other, and while one is created."""
        whole = b"b" * 4000
        contents = {b"a" * 17, whole, b"c" * 400}
        done = Event()
        seen: set[bytes | None] = set()

        def look() -> None:
            while not done.is_set():
                for key in ("token", "new"):
                    found = get(store, key)
                    seen.add(bytes(found.content) if found else None)

        with ThreadPoolExecutor() as pool:
            reading = pool.submit(look)
            try:
                for turn, _ in enumerate(poll(60, 0)):
                    for content in sorted(contents):
                        put(store, content)
                    create(store, whole, "new")
                    delete(store, key="new")
                    if turn >= 40 and whole in seen:
                        break
            finally:
                done.set()
            reading.result()
        assert whole in seen
        assert seen <= {None, *contents}


class TestLocal(Contract, Whole, Forks, OwnFilesystem):
    @pytest.fixture
    def place(self, tmp_path: Path) -> LocalPlace:
        directory = tmp_path / "place"
        directory.mkdir(mode=0o700)
        return LocalPlace(directory)


class TestMemory(Contract, Forks, OwnFilesystem):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace(f"t{secrets.token_hex(8)}")


class TestS3(OnOurServers, Forks, OwnFilesystem):
    server, driver = "moto", "s3fs"

    def test_a_deleted_object_in_a_versioned_bucket_is_missing(
        self, place: Bucket, store: TokenStore
    ) -> None:
        """A delete marker reads as nothing, conflicts with the old version, and can be filled."""
        client, kept = cast("MotoServer", place.server).client, {"Status": "Enabled"}
        client.put_bucket_versioning(Bucket=place.name, VersioningConfiguration=kept)
        stale = create(store)
        delete(store)
        assert get(store) is None
        assert_conflict(lambda: put(store, b"2", stale))
        version = create(store, b"third")
        assert_conflict(lambda: create(store, b"fourth"))
        put(store, b"fifth", version)
        assert place.get("prefix/token") == b"fifth"


class TestGCS(OnOurServers, Forks, OwnFilesystem):
    server, driver = "gcs", "gcsfs"
    deletes_on_a_condition: ClassVar[bool] = False  # it ignores that; the stub does not

    def _given(self, place: Place) -> tuple[Any, str]:
        # The plain class: the other asks Google's control plane for the type of each bucket.
        return GCSFileSystem(**place.options), place.url("prefix").removeprefix("gs://")


class TestAzure(OnOurServers, Forks, OwnFilesystem, Credentials):
    server, driver = "azure", "adlfs"


class TestObstore(OnOurServers):
    """S3 through obstore, on moto."""

    server, driver = "obstore+moto", "obstore"

    def test_a_forked_child_is_told(self, store: TokenStore) -> None:
        """Obstore would hang in the child of a process that used it; an error says so instead."""
        create(store)
        assert str(in_a_child(lambda: read(store))).startswith("ConfigurationError")
        assert read(store).content == b"first"
