"""Google Cloud Storage through gcsfs, on fake-gcs-server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from gcsfs.core import GCSFileSystem

from storage import dialects
from storage.places import BucketPlace
from storage.suites import FsspecObjectStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket


class TestGCS(FsspecObjectStoreContract):
    """fake-gcs-server."""

    dialect: ClassVar[dialects.Dialect] = dialects.GCS

    @pytest.fixture
    def place(self, bucket_on: Callable[[str], Bucket]) -> BucketPlace:
        """A fresh bucket."""
        return BucketPlace(bucket_on("gcs"))

    @pytest.fixture
    def filesystem(self, place: BucketPlace) -> GCSFileSystem:
        """The plain class: the other asks Google's control plane for the type of each bucket."""
        return GCSFileSystem(**place.options)
