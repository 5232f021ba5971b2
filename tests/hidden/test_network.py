"""Nobody on the way gets a secret: redirects, other hosts, proxies, .netrc."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import requests
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    IdentityClient,
    IdentityUnavailable,
)
from hidden.listeners import Listener, saying, strange_tls, tunnel
from hidden.planted import APP_KEY, PASSWORD, USERNAME

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from hidden.conftest import Said
    from hidden.planted import Planted

KEY = "session.token"
CALLS = ("certlogin", "login", "keepAlive", "logout")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def call(client: IdentityClient, name: str, token: str) -> object:
    """Make one of the four calls."""
    if name == "certlogin":
        return client.certlogin(USERNAME, PASSWORD)
    if name == "login":
        return client.login(USERNAME, PASSWORD)
    if name == "keepAlive":
        return client.keep_alive(token)
    client.logout(token)
    return None


def failure(work: Callable[[], object]) -> BetfairSessionError:
    """Return the error that a call ends with."""
    with pytest.raises(BetfairSessionError) as caught:
        work()
    return caught.value


@pytest.fixture
def stranger() -> tuple[ssl.SSLContext, bytes]:
    """TLS for another server on this machine, and the authority that vouches for it."""
    return strange_tls()


def at_once(listener: Listener, connection: socket.socket) -> None:
    """Answer whatever comes first, be it TLS or not."""
    listener.heard += connection.recv(4096)
    connection.sendall(OK)


def test_no_redirect_takes_a_secret_along(
    planted: Planted, said: Said, stranger: tuple[ssl.SSLContext, bytes], tmp_path: Path
) -> None:
    """Neither to another server that is trusted, nor to one without TLS."""
    tls, authority = stranger
    trusted = tmp_path / "both.pem"
    with open(planted.sandbox.ca_bundle, "rb") as bundle:
        trusted.write_bytes(bundle.read() + authority)
    token = planted.sandbox.issue(USERNAME)
    client = planted.client(verify=trusted)
    with client, Listener(saying(OK), tls) as secure, Listener(saying(OK)) as plain:
        assert requests.get(f"https://localhost:{secure.port}/", verify=str(trusted), timeout=9).ok
        secure.connections = 0
        for name in CALLS:
            for place in (f"https://localhost:{secure.port}/", f"http://127.0.0.1:{plain.port}/"):
                for status in (301, 302, 303, 307, 308):
                    planted.sandbox.fault(name, "redirect", location=place, status=status)
                    error = failure(lambda name=name: call(client, name, token))  # type: ignore[misc]
                    assert isinstance(error, IdentityUnavailable)
                    assert planted.found_in(everything_in(error)) == []
        assert (secure.connections, plain.connections) == (0, 0)
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("kind", ["plain", "untrusted"])
def test_a_server_that_is_not_betfair_hears_nothing(
    planted: Planted, said: Said, stranger: tuple[ssl.SSLContext, bytes], kind: str
) -> None:
    """It speaks no TLS, or nobody vouches for it; both come before the first byte of ours."""
    tls = stranger[0] if kind == "untrusted" else None
    token = planted.sandbox.issue(USERNAME)
    with Listener(at_once, tls) as server:
        base = f"https://localhost:{server.port}/api/"
        client = planted.client(identity_url=base, identity_cert_url=base, timeout=5)
        errors = [failure(lambda name=name: call(client, name, token)) for name in CALLS]  # type: ignore[misc]
    assert server.connections >= len(CALLS)
    assert planted.found_in(server.heard) == []
    assert planted.found_in("\n".join(map(everything_in, errors))) == []
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("form", [str, html.escape, json.dumps, quote, str.upper, str.title])
def test_a_page_that_repeats_the_password_is_not_quoted(
    stranger: tuple[ssl.SSLContext, bytes], tmp_path: Path, form: Callable[[str], str]
) -> None:
    """An error quotes a block page, but no word of what was sent, however the page writes it."""
    tls, authority = stranger
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(authority)
    password = 'plantedcorrect "plantedhorse" & plantedbattery\'s'
    page = f"<p>The request {form(password)} was blocked.".encode()
    answer = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page)
    with Listener(saying(answer), tls) as server:
        base = f"https://localhost:{server.port}/api/"
        with IdentityClient(APP_KEY, identity_url=base, verify=bundle) as client:
            error = failure(lambda: client.login(USERNAME, password))
    assert "was blocked." in str(error)
    assert "planted" not in str(error).lower()


def test_a_proxy_sees_no_secret(
    planted: Planted, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the request for the tunnel nor in what passes through it."""
    with Listener(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with planted.client() as client, planted.manager(client) as manager:
            token = manager.get_session(tmp_path, KEY)
            assert manager.get_session(tmp_path, KEY) == token
            manager.logout(tmp_path, KEY)
    assert proxy.heard.count(b"CONNECT localhost:") >= 2
    assert planted.found_in(proxy.heard) == []
    assert planted.found_in(said.text()) == []


PROXIES = {
    "refuses": b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "fails": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!",
    "answers itself": b'HTTP/1.1 200 OK\r\n\r\n{"loginStatus":"SUCCESS","sessionToken":"x"}',
    "is none": b"SSH-2.0-OpenSSH\r\n",
    "hangs up": b"",
}


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_of_no_use_learns_and_shows_nothing(
    planted: Planted, said: Said, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nor is the proxy's own password shown."""
    token = planted.sandbox.issue(USERNAME)
    with Listener(saying(PROXIES[kind])) as proxy:
        url = f"http://proxyuser:proxypass-Hy8@127.0.0.1:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with planted.client(timeout=5) as client:
            errors = [failure(lambda name=name: call(client, name, token)) for name in CALLS]  # type: ignore[misc]
    shown = "\n".join(map(everything_in, errors)) + said.text()
    secret = base64.b64encode(b"proxyuser:proxypass-Hy8").decode()
    assert proxy.heard.count(b"CONNECT localhost:") >= len(CALLS)
    assert planted.found_in(proxy.heard) == []
    assert planted.found_in(shown) == []
    status = {"refuses": " 407 ", "fails": " 502 "}.get(kind, "")
    assert all(status in str(error) for error in errors)
    assert "proxypass-Hy8" not in "\n".join(map(str, errors)) + said.text()
    assert secret not in shown


@pytest.mark.parametrize("theirs", [False, True], ids=["our session", "the caller's session"])
def test_netrc_and_the_environment_cannot_change_what_is_sent(
    planted: Planted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    theirs: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Requests would send what .netrc says, instead of our headers and to whatever host."""
    netrc = tmp_path / "netrc"
    entry = "login thief password thiefpass-Gd2\n"
    netrc.write_text(f"machine localhost {entry}machine 127.0.0.1 {entry}default {entry}", "ascii")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    crt, key = planted.sandbox.make_certificate("planted")
    session = requests.Session()
    session.headers.update({"X-Authentication": "thief", "X-Application": "thief"})
    client = planted.client(certificate=(crt, key), session=session if theirs else None)
    assert session.trust_env
    token = client.certlogin(USERNAME, PASSWORD)
    assert client.keep_alive(token) == token
    client.login(USERNAME, PASSWORD)
    client.logout(token)
    entries = planted.sandbox.journal()
    assert [entry.endpoint for entry in entries] == ["certlogin", "keepAlive", "login", "logout"]
    assert [entry.defects for entry in entries] == [[], [], [], []]
    assert token.reveal() not in [live.token for live in planted.sandbox.sessions()]
    session.close()
