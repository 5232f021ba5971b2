"""Servers that speak S3's protocol in part."""

from __future__ import annotations

import hashlib
import logging
import ssl
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from servers.process import HOST
from within import within

from betfair_session import ConfigurationError, StoreError
from betfair_session.storage import obstore_config, open_store, s3
from betfair_session.storage.contract import ABSENT, VersionConflict
from storage.places import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

    from betfair_session.storage.contract import TokenStore

LOCK = "token.login"
DRIVERS = ["", "obstore+"]


class _Odd(BaseHTTPRequestHandler):
    """One request to a server that keeps objects by its own manner."""

    protocol_version = "HTTP/1.1"
    server: OddServer

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        """Give an object."""
        content = self.server.objects.get(self.path)
        if content is None:
            self._answer(404, "NoSuchKey")
        else:
            self._answer(200, content=content)

    def do_PUT(self) -> None:
        """Keep an object, or do not."""
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        body = self._chunks() if chunked else self.rfile.read(int(self.headers["Content-Length"]))
        names = {name.lower() for name in self.headers}
        self.server.written.append(names)
        plain = self.server.manner != "no checksums"
        kept = self.server.manner == "object lock"
        if chunked and not plain:
            self._answer(411, "MissingContentLength")
        elif any("checksum" in each for each in names) and not plain:
            self._answer(400, "InvalidArgument")
        elif kept and not {"content-md5", "x-amz-checksum-sha256"} & names:
            self._answer(400, "InvalidRequest")
        elif names & {"if-match", "if-none-match"} and self.server.refusal:
            self._answer(*self.server.refusal)
        else:
            self.server.objects[self.path] = body
            self._answer(200, content=b"", version=body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(
        self, status: int, code: str = "", content: bytes | None = None, version: bytes = b""
    ) -> None:
        if content is None:
            content = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.md5(version or content).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.end_headers()
        self.wfile.write(content)


class OddServer(ThreadingHTTPServer):
    """A server that takes no conditions, no checksums, or a checksum's frame for content."""

    daemon_threads = True

    def __init__(self, manner: str, tls: ssl.SSLContext | None) -> None:
        """Listen on a free port of this machine."""
        super().__init__((HOST, 0), _Odd)
        self.manner = manner
        status, _, code = manner.partition(" ")
        self.refusal = (int(status), code) if status.isdecimal() else None
        self.objects: dict[str, bytes] = {}
        self.written: list[set[str]] = []
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.endpoint = f"http{'s' if tls else ''}://{HOST}:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients close their connections as they like."""


@contextmanager
def serving(manner: str, tls: ssl.SSLContext | None = None) -> Iterator[OddServer]:
    """Run a server of that manner."""
    with OddServer(manner, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def options_for(server: OddServer, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any option
    """Return what reaches the server."""
    client = {"region_name": "us-east-1"}
    return {
        "endpoint_url": server.endpoint,
        "key": "k",
        "secret": "s",
        "client_kwargs": client,
    } | more


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """TLS for a server, and the file of the authority that vouches for it."""
    authority, file = trustme.CA(), str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(file)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    return context, file


@pytest.mark.parametrize("manner", ["no checksums", "frames kept"])
def test_no_checksum_is_sent_to_servers_that_are_not_amazons(
    tls: tuple[ssl.SSLContext, str], manner: str
) -> None:
    """By https botocore frames what it writes with one, which servers refuse or keep."""
    with serving(manner, tls[0]) as server:
        options = options_for(server)
        options["client_kwargs"]["verify"] = tls[1]
        with open_store("s3://bucket", options) as store:
            for key in (LOCK, "token"):
                version = store.put(key, b"first", ABSENT, deadline=within(TIMEOUT))
                store.put(key, b"second", version, deadline=within(TIMEOUT))
        assert set(server.objects.values()) == {b"second"}
        assert not any(
            "checksum" in name or "trailer" in name for name in set().union(*server.written)
        )


@pytest.mark.parametrize("driver", DRIVERS)
def test_object_lock_elsewhere_has_what_it_demands(driver: str) -> None:
    """Content-MD5, which every server knows; through obstore only what its own setting adds."""
    with serving("object lock") as server:
        options = options_for(server)
        if driver:
            options["config"] = {"checksum_algorithm": "sha256"}
        with open_store(f"{driver}s3://bucket", options) as store:
            version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
            store.put("token", b"second", version, deadline=within(TIMEOUT))
        assert set(server.objects.values()) == {b"second"}


def test_what_is_kept_otherwise_than_written_is_told_before_a_login(
    tls: tuple[ssl.SSLContext, str],
) -> None:
    """A caller's own settings count; the lock, which comes before a login, is read back."""
    with serving("frames kept", tls[0]) as server:
        options = options_for(
            server, config_kwargs={"request_checksum_calculation": "when_supported"}
        )
        options["client_kwargs"]["verify"] = tls[1]
        with open_store("s3://bucket", options) as store:
            for _ in range(2):
                server.objects.clear()
                with pytest.raises(ConfigurationError):
                    store.put(LOCK, b"lock", ABSENT, deadline=within(TIMEOUT))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    "manner",
    [
        "ignoring",
        "501 NotImplemented",
        "400 InvalidArgument",
        "400 NotImplemented",
        "412 PreconditionFailed",
    ],
)
def test_a_server_without_conditions_is_used_by_looking_first(
    manner: str, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Ignored or refused, conditions are relied on no more, and one warning says so."""
    with (
        serving(manner) as server,
        open_store(f"{driver}s3://bucket", options_for(server)) as store,
    ):
        with caplog.at_level(logging.WARNING, "betfair_session.storage"):
            version = store.put(LOCK, b"first", ABSENT, deadline=within(TIMEOUT))
            assert (store.atomic, store.probe) == (False, False)
            for call in ("create", "swap"):
                with pytest.raises(VersionConflict):
                    _stale(store, call)
            store.put(LOCK, b"second", version, deadline=within(TIMEOUT))
            store.put("token", b"token", ABSENT, deadline=within(TIMEOUT))
        assert len(caplog.records) == 1
        assert server.objects == {"/bucket/token.login": b"second", "/bucket/token": b"token"}


def _stale(store: TokenStore, call: str) -> None:
    if call == "create":
        store.put(LOCK, b"x", ABSENT, deadline=within(TIMEOUT))
    else:
        store.put(LOCK, b"x", '"another"', deadline=within(TIMEOUT))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_lock_that_another_took_is_no_fault_of_the_server(driver: str) -> None:
    """Nor one that says 412 while the condition does not hold, or refuses every write."""
    with (
        serving("412 PreconditionFailed") as server,
        open_store(f"{driver}s3://bucket", options_for(server)) as store,
    ):
        server.objects["/bucket/token.login"] = b"another's"
        with pytest.raises(VersionConflict):
            store.put(LOCK, b"mine", ABSENT, deadline=within(TIMEOUT))
        assert (store.atomic, store.probe) == (True, True)
    with serving("no checksums") as server:
        options = options_for(server)
        if not driver:
            options["config_kwargs"] = {"request_checksum_calculation": "when_supported"}
        else:
            options["config"] = {"checksum_algorithm": "sha256"}
        with open_store(f"{driver}s3://bucket", options) as store:
            with pytest.raises(StoreError) as caught:
                store.put(LOCK, b"mine", ABSENT, deadline=within(TIMEOUT))
            assert (caught.value.reason, caught.value.landed) == ("other", False)
            assert store.atomic


@pytest.mark.parametrize("driver", ["", "obstore+"])
@pytest.mark.parametrize("amazons", [True, False])
def test_a_checksum_is_sent_to_amazon_alone(
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
    *,
    amazons: bool,
) -> None:
    """A bucket with Object Lock and a default retention demands one; other servers refuse it."""
    for module in (s3, obstore_config):
        monkeypatch.setattr(module, "is_amazon", lambda _: amazons)
    bucket = bucket_on("moto")
    proxy = proxy_to(bucket.server)
    with open_store(driver + bucket.url(), bucket.server.options(proxy.endpoint)) as store:
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    [sent] = proxy.requests
    assert any(name.startswith("x-amz-checksum-") for name in sent.headers) is amazons
