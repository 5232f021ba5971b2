"""Where requests go to, and which way."""

from __future__ import annotations

import base64
import os
import threading
import types
from typing import TYPE_CHECKING, Any

import fsspec
import google.oauth2.credentials
import pytest
from hidden.listeners import Listener, saying
from within import within

from betfair_session import ConfigurationError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT
from betfair_session.storage.obstore import ObstoreStore
from storage.calls import failure
from storage.places import TIMEOUT

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

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
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    if variable == "AZURE_STORAGE_ENDPOINT":
        parts = dict(part.split("=", 1) for part in given.split(";"))
        options = {"account_name": parts["AccountName"], "account_key": parts["AccountKey"]}
        given = parts["BlobEndpoint"]
    monkeypatch.setenv(variable, given)
    with open_store(driver + bucket.url(), options) as store:
        found = store.get("token", deadline=within(TIMEOUT))
    assert found is not None
    assert found.content == b"first"


CLOUDS: dict[str, tuple[str, dict[str, Any]]] = {
    "s3": ("s3://bucket", {"key": "k", "secret": "s", "client_kwargs": {"region_name": "r"}}),
    "gs": ("gs://bucket", {"token": "anon"}),
    "az": ("abfs://bucket", {"account_name": "acc", "account_key": "ZGV2ZWxvcG1lbnQ="}),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Name no proxy, and no host that needs none."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("status", [403, 407, 409, 502])
@pytest.mark.parametrize("driver", ["", "obstore+"])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_proxys_refusal_is_not_the_stores(
    environment: pytest.MonkeyPatch, cloud: str, driver: str, status: int
) -> None:
    """Each driver asks the environment's proxy; when it makes no connection, nothing was sent."""
    url, options = CLOUDS[cloud]
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno".encode()
    with Listener(saying(answer)) as proxy, open_store(driver + url, options) as store:
        environment.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
        for call in ("read", "create"):
            error = failure(call, store, "")
            assert (error.reason, error.landed) == ("unreachable", False)
            if status == 407 or not driver:
                assert f" {status} " in str(error)
            assert "user" not in str(error)
    assert proxy.heard.startswith(b"CONNECT ")
    assert base64.b64encode(b"user:pass") in proxy.heard


@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_netrc_has_no_say(
    bucket_on: Callable[[str], Bucket], environment: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """Aiohttp would read it with the proxy, and refuse to send two authorizations."""
    bucket = bucket_on(kind)
    options = bucket.options
    if kind == "gcs":
        credentials: Any = google.oauth2.credentials.Credentials  # it has no types
        options["token"] = credentials("bearer")
    (tmp_path / "netrc").write_text("default login thief password thief\n")
    environment.setenv("NETRC", str(tmp_path / "netrc"))
    with open_store(bucket.url(), options) as store:
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    environment.undo()
    assert bucket.get("token") == b"first"


def test_a_session_of_the_callers_own_settings_finds_its_own_way(
    bucket_on: Callable[[str], Bucket], environment: pytest.MonkeyPatch
) -> None:
    """`session_kwargs` go before the environment's proxy."""
    bucket = bucket_on("gcs")
    with Listener(saying(b"")) as proxy:
        environment.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        options = {**bucket.options, "session_kwargs": {"trust_env": False}}
        with open_store(bucket.url(), options) as store:
            assert store.get("token", deadline=within(TIMEOUT)) is None
        with open_store(bucket.url(), bucket.options) as store:
            assert failure("read", store, "").reason == "unreachable"
    assert proxy.connections > 0


@pytest.mark.parametrize("cloud", ["gs", "az"])
def test_credentials_that_are_nowhere_are_told_of_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cloud: str
) -> None:
    """Where there is no metadata server, packets to it may be swallowed; the network is fine."""
    for name in [name for name in os.environ if name.startswith(("GOOGLE_", "AZURE_", "GCE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr("betfair_session.storage.cloud._SEARCH_SECONDS", 0.5, raising=False)
    done = threading.Event()

    def swallow(_listener: Listener, _connection: socket.socket) -> None:
        done.wait(60)

    options: dict[str, Any] = {} if cloud == "gs" else {"account_name": "acc", "anon": False}
    with (
        Listener(swallow) as metadata,
        open_store(CLOUDS[cloud][0], options) as store,
    ):
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{metadata.port}")
        address = f"http://127.0.0.1:{metadata.port}"
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", address)
        for call in ("read", "create"):
            error = failure(call, store, "", timeout=1)
            assert (error.reason, error.landed) == ("forbidden", False)
        done.set()


@pytest.mark.parametrize("patched", ["gevent", "eventlet"])
@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("whose", ["ours", "the caller's"])
def test_patched_threads_are_named_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, patched: str, cloud: str, whose: str
) -> None:
    """An event loop would hold the one real thread; obstore needs none."""
    url, options = CLOUDS[cloud]
    given = fsspec.core.url_to_fs(url, **options, skip_instance_cache=True)
    with monkeypatch.context() as patch:
        # Stands for what their monkey-patching puts there.
        green = types.FunctionType(threading.Thread.run.__code__, {"__name__": f"{patched}.thread"})
        patch.setattr(threading, "get_ident", green)
        with pytest.raises(ConfigurationError, match=rf"{patched}.*obstore\+"):
            open_store(*((given,) if whose != "ours" else (url, options)))
        assert isinstance(open_store(f"obstore+{url}", options), ObstoreStore)
