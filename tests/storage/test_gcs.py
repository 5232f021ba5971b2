"""Google Cloud Storage through gcsfs, on fake-gcs-server."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from gcsfs.core import GCSFileSystem
from google.oauth2.credentials import Credentials
from servers.process import free_ports
from servers.script import Answer

from betfair_session import StoreUnavailable
from betfair_session.storage import gcs, open_store
from storage import dialects
from storage.places import BucketPlace
from storage.suites import FsspecObjectStoreContract

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy


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


def test_credentials_are_renewed_in_time_and_sent(
    bucket_on: Callable[[str], Bucket], proxy_to: Callable[[ObjectServer], Proxy]
) -> None:
    """As Google's own, of which each lives an hour: the next is fetched when one has expired."""
    bucket = bucket_on("gcs")
    proxy = proxy_to(bucket.server)
    answer = json.dumps({"access_token": "second", "expires_in": 3600}).encode()
    headers = {"Content-Type": "application/json"}
    proxy.fail(lambda seen: seen.path == "/token", Answer(200, answer, headers), times=2)
    make: Any = Credentials  # it has no types
    credentials = make(
        "first", "refresh", token_uri=f"{proxy.endpoint}/token", client_id="c", client_secret="s"
    )
    options = {**bucket.server.options(proxy.endpoint), "token": credentials}
    with open_store(bucket.url(), options) as store:
        version = store.create("token", b"content", timeout=30)
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        credentials.token, credentials.expiry = "first", later.replace(tzinfo=None)
        found = store.read("token", timeout=30)
        assert found is not None
        assert (found.content, found.version) == (b"content", version)
        # Of a moment ago: the next request has to fetch another first.
        credentials.expiry = (later - timedelta(hours=2)).replace(tzinfo=None)
        store.replace_if_version("token", b"next", version, timeout=30)
    sent = [(seen.method, seen.headers.get("authorization")) for seen in proxy.requests]
    assert [each for each in sent if each[1]][-2:] == [
        ("GET", "Bearer first"),
        ("POST", "Bearer second"),
    ]


@pytest.mark.parametrize(("status", "reason"), [(404, "no-bucket"), (403, "missing")])
def test_a_bucket_that_may_not_be_looked_at_is_taken_for_there(
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    status: int,
    reason: str,
) -> None:
    """The role that suffices for objects does not let anybody look at the bucket."""
    bucket = bucket_on("gcs")
    proxy = proxy_to(bucket.server)
    proxy.fail(lambda seen: seen.path.endswith(f"/b/{bucket.name}"), dialects.gcs(status, "x"))
    with open_store(bucket.url(), bucket.server.options(proxy.endpoint)) as store:
        if reason == "missing":
            assert store.read("token", timeout=30) is None
        else:
            with pytest.raises(StoreUnavailable) as caught:
                store.read("token", timeout=30)
            assert caught.value.reason == reason


def test_credentials_may_come_later(
    bucket_on: Callable[[str], Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gcsfs would go on without any; where Google's own servers are asked, nobody may."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    for name, value in {
        "CLOUDSDK_CONFIG": str(tmp_path),
        "HOME": str(tmp_path),
        "GCE_METADATA_HOST": f"127.0.0.1:{free_ports(1)[0]}",
        "NO_GCE_CHECK": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = bucket_on("gcs")
    options = bucket.server.options(bucket.server.endpoint)
    del options["token"]
    with open_store(bucket.url(), options) as store:
        with monkeypatch.context() as patch:
            patch.setattr(gcs, "_is_emulator", lambda _: False)
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="NoCredentials: neither") as caught:
                    store.read("token", timeout=60)
                assert (caught.value.reason, caught.value.landed) == ("forbidden", False)
        assert store.read("token", timeout=60) is None
