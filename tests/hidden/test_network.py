"""Nobody on the way gets a secret: redirects, other hosts, proxies, .netrc."""

from __future__ import annotations

import base64
import html
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
import trustme
from secrets_shown import everything_in
from servers.listeners import Listener, Stranger, saying

from betfair_session import IdentityClient, IdentityUnavailable
from hidden.conftest import Said
from hidden.planted import PASSWORD, USERNAME, Planted

pytestmark = pytest.mark.usefixtures("short_waits")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CALLS: list[Callable[[IdentityClient, str], object]] = [
    lambda client, _: client.certlogin(USERNAME, PASSWORD),
    lambda client, _: client.login(USERNAME, PASSWORD),
    IdentityClient.keep_alive,
    IdentityClient.logout,
]
ENDPOINTS = ("certlogin", "login", "keepAlive", "logout")


def failure(work: Callable[[], object]) -> IdentityUnavailable:
    """Return the error that a call ends with."""
    with pytest.raises(IdentityUnavailable) as caught:
        work()
    return caught.value


def failures(client: IdentityClient, token: str) -> list[IdentityUnavailable]:
    """Return the errors that all calls end with."""
    return [failure(lambda call=call: call(client, token)) for call in CALLS]  # type: ignore[misc]


def at_once(listener: Listener, connection: socket.socket) -> None:
    """Answer whatever comes first, be it TLS or not."""
    listener.heard += connection.recv(4096)
    connection.sendall(OK)


@pytest.fixture(autouse=True)
def _proxies_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_no_redirect_takes_a_secret_along(planted: Planted, said: Said, stranger: Stranger) -> None:
    """Neither to another server that is trusted, nor to one without TLS."""
    token, bundle = planted.sandbox.issue(USERNAME), stranger.bundle
    client = planted.client(verify=bundle)
    with client, stranger.serving(saying(OK)) as secure, Listener(saying(OK)) as plain:
        places = (f"https://localhost:{secure.port}/", f"http://127.0.0.1:{plain.port}/")
        assert requests.get(places[0], verify=bundle, timeout=9).ok
        for place in places:
            for status in (301, 302, 303, 307, 308):
                for name in ENDPOINTS:
                    planted.sandbox.fault(name, "redirect", location=place, status=status)
                for error in failures(client, token):
                    assert error.status_code == status
                    assert planted.found_in(everything_in(error)) == []
        assert (secure.connections, plain.connections) == (1, 0)
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("kind", ["plain", "untrusted", "known by its subject"])
def test_a_server_that_is_not_betfair_hears_nothing(
    planted: Planted, said: Said, stranger: Stranger, tmp_path: Path, kind: str
) -> None:
    """It speaks no TLS, nobody vouches for it, or it has the name where none counts (RFC 6125)."""
    token, verify, tls = planted.sandbox.issue(USERNAME), planted.sandbox.ca_bundle, stranger.tls
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
        reason = "untrusted" if kind == "untrusted" else ""
        assert {(error.reason, error.sent) for error in errors} == {(reason, False)}
    assert planted.found_in("\n".join(map(everything_in, errors)) + said.text()) == []


@pytest.mark.parametrize("form", [str, html.escape, json.dumps, quote, str.upper, str.title])
def test_a_page_that_repeats_the_password_is_not_quoted(
    stranger: Stranger, form: Callable[[str], str]
) -> None:
    """An error quotes a block page, but no word of what was sent, however the page writes it."""
    password = 'plantedcorrect "plantedhorse" & plantedbattery\'s'
    page = f"<p>The request {form(password)} was blocked.".encode()
    answer = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    with stranger.serving(saying(answer)) as server, stranger.client(server) as client:
        error = failure(lambda: client.login(USERNAME, password))
    assert "was blocked." in str(error)
    assert "planted" not in str(error).lower()


PROXIES = {  # what each says, and the reason that is told
    "refuses": (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "-407"),
    "forbids": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "-403"),
    "fails": (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!", ""),
    "answers itself": (
        b'HTTP/1.1 200 OK\r\n\r\n{"loginStatus":"SUCCESS","sessionToken":"x"}',
        None,
    ),
    "is none": (b"SSH-2.0-OpenSSH\r\n", None),
    "hangs up": (b"", None),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_of_no_use_learns_and_shows_nothing(
    planted: Planted, said: Said, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nor is the proxy's own password shown. Its status is told, and is not Betfair's."""
    token, (answer, reason) = planted.sandbox.issue(USERNAME), PROXIES[kind]
    with Listener(saying(answer)) as proxy:
        url = f"http://proxyuser:proxypass-Hy8@127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", url)
        with planted.client(timeout=5) as client:
            errors = failures(client, token)
    assert proxy.heard.count(b"CONNECT localhost:") >= len(CALLS)
    assert planted.found_in(proxy.heard) == []
    for error in errors:
        assert error.status_code is None
        if reason is not None:
            assert (error.reason, error.sent) == (f"proxy{reason}", False)
    shown = "\n".join(map(everything_in, errors)) + said.text()
    assert planted.found_in(shown) == []
    assert "proxypass-Hy8" not in "\n".join(map(str, errors)) + said.text()
    assert base64.b64encode(b"proxyuser:proxypass-Hy8").decode() not in shown
