"""Where requests go to, and which way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from betfair_session.storage import open_store
from storage.places import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket


@pytest.mark.parametrize(
    ("kind", "driver", "variable"),
    [
        ("moto", "", "AWS_ENDPOINT_URL_S3"),
        ("moto", "obstore+", "AWS_ENDPOINT_URL"),
        ("gcs", "", "STORAGE_EMULATOR_HOST"),
        ("gcs-xml", "obstore+", "GOOGLE_BASE_URL"),
        ("gcs-xml", "obstore+", "STORAGE_EMULATOR_HOST"),
        ("azure", "", "AZURE_STORAGE_CONNECTION_STRING"),
        ("azure", "obstore+", "AZURE_STORAGE_CONNECTION_STRING"),
        ("azure", "obstore+", "AZURE_STORAGE_ENDPOINT"),
    ],
)
def test_a_slash_at_the_end_of_an_endpoint_means_nothing(
    bucket_on: Callable[[str], Bucket],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    driver: str,
    variable: str,
) -> None:
    """As Azure's portal writes it, in options and in the environment."""
    bucket = bucket_on(kind)
    options = bucket.options
    name = "connection_string" if kind == "azure" else "endpoint_url"
    given = options.pop(name).rstrip(";") + "/"
    with open_store(driver + bucket.url(), {**options, name: given}) as store:
        store.create("token", b"first", timeout=TIMEOUT)
    if variable == "AZURE_STORAGE_ENDPOINT":
        parts = dict(part.split("=", 1) for part in given.split(";"))
        options = {"account_name": parts["AccountName"], "account_key": parts["AccountKey"]}
        given = parts["BlobEndpoint"]
    monkeypatch.setenv(variable, given)
    with open_store(driver + bucket.url(), options) as store:
        found = store.read("token", timeout=TIMEOUT)
    assert found is not None
    assert found.content == b"first"
