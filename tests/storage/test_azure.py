"""Azure Blob Storage through adlfs, on Azurite."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from storage import dialects
from storage.contract import Deletions
from storage.permissions import Credentials
from storage.places import BucketPlace
from storage.suites import FsspecObjectStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket


class TestAzure(FsspecObjectStoreContract, Credentials, Deletions):
    """Azurite."""

    dialect: ClassVar[dialects.Dialect] = dialects.AZURE

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh container."""
        return BucketPlace(bucket_on("azure"))
