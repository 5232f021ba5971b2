"""The generic path: sftp through sshfs, on asyncssh's server."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest
from servers.sftp import SFTPServer
from within import within

from betfair_session.exceptions import StoreUnavailable
from betfair_session.storage.contract import ABSENT
from storage.contract import Deletions, ThreadRaces
from storage.places import TIMEOUT, BucketPlace, open_at
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket


class TestSFTP(TokenStoreContract, Deletions, ThreadRaces, Forks, OwnFilesystem):
    """A directory behind sftp."""

    unfit: ClassVar[frozenset[str]] = frozenset({"v#1"})

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh directory."""
        return BucketPlace(bucket_on("sftp"))

    def test_it_does_not_say_that_it_is_atomic(self, place: BucketPlace) -> None:
        """Nobody vouches for a store on the generic path."""
        with open_at(place) as store:
            assert not store.atomic

    def test_it_survives_its_server(self) -> None:
        """Sshfs itself never connects again, and fsspec hands the dead one to whoever asks."""
        with SFTPServer() as server, closing(open_at(BucketPlace(server.new_bucket()))) as store:
            version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
            server.process.stop()
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    store.get("token", deadline=within(TIMEOUT))
            server.process, _port = server._start(server.port)
            server.process.wait_until(server._ready)
            store.put("token", b"second", version, deadline=within(TIMEOUT))
            found = store.get("token", deadline=within(TIMEOUT))
            assert found is not None
            assert bytes(found.content) == b"second"
