"""What drivers say and keep of a token, on the servers that tests/hidden does not ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hidden import test_drivers as shared
from hidden.conftest import Said, planted, said  # noqa: F401 - fixtures
from hidden.planted import Planted
from servers.objects import Bucket


@pytest.mark.parametrize(
    "kind", ["seaweed", "sftp", "obstore+seaweed", "obstore+azure", "obstore+gcs-xml"]
)
def test_no_driver_logs_a_token(
    planted: Planted,  # noqa: F811
    said: Said,  # noqa: F811
    bucket_on: Callable[[str], Bucket],
    kind: str,
) -> None:
    """A login, a resumption, a rejection, a logout: each reads or writes the token."""
    shared.live_a_life(planted, said, bucket_on(kind))
