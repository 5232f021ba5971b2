"""Nothing on the way gets a secret: other hosts, proxies."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from secrets_shown import everything_in
from servers.listeners import Listener, Stranger, saying

from betfair_session import IdentityClient
from hidden.conftest import Fails, Said
from hidden.planted import PASSWORD, USERNAME, Planted

pytestmark = pytest.mark.usefixtures("short_waits")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CALLS: list[Callable[[IdentityClient, str], object]] = [
    lambda client, _: client.certlogin(USERNAME, PASSWORD),
    lambda client, _: client.login(USERNAME, PASSWORD),
    IdentityClient.keep_alive,
    IdentityClient.logout,
]


Failures = Callable[[IdentityClient, str], list[Any]]


@pytest.fixture
def failures(fails: Fails) -> Failures:
    return lambda client, token: [fails(partial(call, client, token)) for call in CALLS]


def at_once(listener: Listener, connection: socket.socket) -> None:
    """Answer at the first bytes, be they TLS or not."""
    listener.heard += connection.recv(4096)
    connection.sendall(OK)


@pytest.mark.parametrize("kind", ["plain", "untrusted", "of no authority", "known by its subject"])
def test_a_server_that_is_not_betfair_hears_nothing(
    planted: Planted, failures: Failures, stranger: Stranger, tmp_path: Path, kind: str
) -> None:
    """It speaks no TLS, has no trusted certificate, or its name in a wrong place (RFC 6125).

    A directory of authorities may be given; one without the right file trusts nobody.
    """
    token, verify, tls = planted.sandbox.issue(USERNAME), planted.sandbox.ca_bundle, stranger.tls
    if kind == "of no authority":
        (tmp_path / "authorities").mkdir()
        (tmp_path / "authorities" / "5ed36f99.0").touch()
        verify = str(tmp_path / "authorities")
    if "subject" in kind:
        authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("a@example.com", common_name="localhost").configure_cert(tls)
        authority.cert_pem.write_to_path(verify := str(tmp_path / "authority.pem"))
    with Listener(at_once, None if kind == "plain" else tls) as server:
        base = f"https://localhost:{server.port}/api/"
        client = planted.client(identity_url=base, identity_cert_url=base, verify=verify, timeout=5)
        errors = failures(client, token)
    assert server.connections >= len(CALLS)
    assert planted.found_in(server.heard) == []
    if kind != "plain":
        reason = "" if "subject" in kind else "untrusted"
        assert {(error.reason, error.sent) for error in errors} == {(reason, False)}


PROXIES: list[tuple[bytes, str | None]] = [  # what each says, and the reason in the error
    (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "proxy-407"),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "proxy-403"),
    (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", "proxy"),
    (b'HTTP/1.1 200 OK\r\n\r\n{"loginStatus":"SUCCESS","sessionToken":"x"}', None),
    (b"SSH-2.0-OpenSSH\r\n", None),
    (b"", None),
]


@pytest.mark.parametrize(("answer", "reason"), PROXIES)
def test_a_proxy_of_no_use_learns_and_shows_nothing(
    planted: Planted,
    said: Said,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: bytes,
    reason: str | None,
) -> None:
    """Nor is the proxy's own password shown. The error has its status, not as Betfair's."""
    token = planted.sandbox.issue(USERNAME)
    with Listener(saying(answer)) as proxy:
        url = f"http://proxyuser:proxypass-Hy8@127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", url)
        with planted.client(timeout=5) as client:
            errors = failures(client, token)
    assert proxy.heard.count(b"CONNECT 127.0.0.1:") >= len(CALLS)
    assert planted.found_in(proxy.heard) == []
    for error in errors:
        assert error.status_code is None
        if reason:
            assert (error.reason, error.sent) == (reason, False)
    assert "proxypass-Hy8" not in "\n".join(map(str, errors)) + said()
    shown = "\n".join(map(everything_in, errors)) + said()
    assert base64.b64encode(b"proxyuser:proxypass-Hy8").decode() not in shown
