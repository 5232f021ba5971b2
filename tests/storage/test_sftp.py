"""The generic path: sftp through sshfs, on asyncssh's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from storage.contract import ThreadRaces
from storage.places import BucketPlace, open_at
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket


class TestSFTP(TokenStoreContract, ThreadRaces, Forks, OwnFilesystem):
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
