"""What a server, a network or the environment can do to the library's requests: next to nothing."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hidden.listeners import Listener, saying, strange_tls, tunnel
from servers.process import free_ports

from betfair_session import (
    ConfigurationError,
    Exchange,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    SessionManager,
)
from betfair_session.betfair.connections import IDLE_SECONDS
from betfair_session.login import lock as locks
from betfair_session.process import clocks

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from betfair_session import Session
    from betfair_session.sandbox import Sandbox

KEY = "session.token"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an HTTP answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def alive(token: str, *headers: str) -> bytes:
    """Return keepAlive's answer for a live session."""
    return answer(b'{"token":"%s","status":"SUCCESS","error":""}' % token.encode(), *headers)


class Server:
    """Another HTTPS server, which says whatever a test wants.

    Attributes:
        bundle: the path of its authority's certificate.
    """

    def __init__(self, directory: Path) -> None:
        """Have its certificate made."""
        self._tls, authority = strange_tls()
        bundle = directory / "authority.pem"
        bundle.write_bytes(authority)
        self.bundle = str(bundle)

    def serving(self, serve: Callable[[Listener, socket.socket], None]) -> Listener:
        """Serve each connection by a function."""
        return Listener(serve, self._tls)

    def client(self, listener: Listener, **settings: Any) -> IdentityClient:  # noqa: ANN401
        """Return a client of that server."""
        url = f"https://localhost:{listener.port}/api/"
        given = {"identity_url": url, "identity_cert_url": url, "verify": self.bundle, **settings}
        return IdentityClient("app-key", **given)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Return it."""
    directory = tmp_path / "server"
    directory.mkdir()
    return Server(directory)


@pytest.fixture
def session(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """Return a handle for a live token in a file."""
    session = SessionManager(client, sandbox.username, sandbox.password).session(tmp_path, KEY)
    session.token()
    return session


def one_by_one(*answers: bytes) -> Callable[[Listener, socket.socket], None]:
    """Serve each request of a connection with the next answer, as long as there are some."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        for each in answers:
            listener.read_request(connection)
            connection.sendall(each)
        listener.read_head(connection)  # until the other side closes it

    return serve


def test_no_cookie_is_kept(server: Server) -> None:
    """It would be sent with another session's calls."""
    cookie = "Set-Cookie: ssoid=first; Path=/"
    serve = one_by_one(alive("first", cookie), alive("second", cookie), alive("third"))
    with server.serving(serve) as listener, server.client(listener) as client:
        for token in ("first", "second", "third"):
            assert client.keep_alive(token).reveal() == token  # type: ignore[union-attr]
        assert listener.connections == 1
        assert b"cookie" not in listener.heard.lower()


def endless(head: bytes, over: threading.Event) -> Callable[[Listener, socket.socket], None]:
    """Serve a body without end; tell when nobody reads it any more."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        with contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(b"x" * 65_536)
        over.set()

    return serve


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_an_answer_without_end_is_left_soon(server: Server, status: str, *, own: bool) -> None:
    """A redirect's too, which requests would read whole to prepare for following it."""
    over = threading.Event()
    head = f"HTTP/1.1 {status}\r\nLocation: https://localhost:1/\r\n\r\n".encode()
    session = None if own else requests.Session()
    with (
        server.serving(endless(head, over)) as listener,
        server.client(listener, session=session) as client,
    ):
        with pytest.raises(IdentityUnavailable) as caught:
            client.login("u", "p")
        assert caught.value.status_code == int(status[:3])
        assert over.wait(60)


def test_a_call_of_the_api_reads_no_longer_than_it_lasts(server: Server, session: Session) -> None:
    """What comes later is nobody's any more."""
    over = threading.Event()
    with server.serving(endless(b"HTTP/1.1 200 OK\r\n\r\n", over)) as listener:
        url = f"https://localhost:{listener.port}/"
        with Exchange(session, api_url=url, verify=server.bundle, timeout=0.5) as exchange:
            with pytest.raises(ExchangeError) as caught:
                exchange.call("cancelOrders", {})
            assert (caught.value.status_code, caught.value.landed) == (None, True)
            assert over.wait(60)


@pytest.mark.parametrize("status", ["103 Early Hints", "102 Processing", "204 No Content"])
@pytest.mark.parametrize("own", [True, False])
def test_no_answer_is_taken_for_the_next_calls(server: Server, status: str, *, own: bool) -> None:
    """Python's http takes what comes before an answer for the answer itself."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        if listener.connections > 1:
            connection.sendall(alive("second"))
            return
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        # The real one comes when the connection is in use again, if it ever is.
        listener.read_request(connection)
        connection.sendall(alive("first"))

    session = None if own else requests.Session()
    with server.serving(serve) as listener, server.client(listener, session=session) as client:
        with pytest.raises(IdentityUnavailable) as caught:
            client.keep_alive("first")
        assert caught.value.status_code == int(status[:3])
        assert client.keep_alive("second").reveal() == "second"  # type: ignore[union-attr]


@pytest.mark.parametrize("clock", [0, 1], ids=["monotonic", "wall"])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_connection_that_idled_for_long_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, clock: int, *, proxied: bool
) -> None:
    """The network may have forgotten it, and what is sent on it is never answered."""
    serve = one_by_one(*[alive("a")] * 4)  # one connection could serve them all
    with Listener(tunnel) as proxy, server.serving(serve) as listener:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"} if proxied else {}
        with server.client(listener, proxies=proxies) as client:
            now = [time.monotonic(), time.time()]
            monkeypatch.setattr(clocks, "now", lambda: tuple(now))
            client.keep_alive("a")
            now[clock] += IDLE_SECONDS - 1
            client.keep_alive("a")
            assert listener.connections == 1
            now[clock] += IDLE_SECONDS + 1
            client.keep_alive("a")
            client.keep_alive("a")
            assert listener.connections == 2
            assert proxy.connections == 2 * proxied


def test_a_login_has_a_connection_of_its_own(server: Server) -> None:
    """One that was used before may be closed by the server just then, and it is sent once only."""
    token = alive("t")
    serve = one_by_one(token, token)
    with server.serving(serve) as listener, server.client(listener) as client:
        client.keep_alive("t")
        client.login("u", "p")
        client.keep_alive("t")
        assert listener.connections == 2


# --- what was never sent --------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [False, True])
def test_only_a_login_that_may_have_arrived_keeps_others_waiting(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, *, sent: bool
) -> None:
    """A machine that cannot reach Betfair does not shut out those that can."""
    closed = f"https://localhost:{free_ports(1)[0]}/api/"
    sick = IdentityClient(
        sandbox.app_key,
        certificate=sandbox.certificate,
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url if sent else closed,
        verify=sandbox.ca_bundle,
    )
    sandbox.fault("certlogin", "reset")
    with sick, pytest.raises(IdentityUnavailable) as caught:
        SessionManager(sick, sandbox.username, sandbox.password).get_session(tmp_path, KEY)
    assert caught.value.sent == sent
    lock = locks.decode((tmp_path / f"{KEY}.login").read_bytes())
    assert lock.state == (locks.FAILED if sent else locks.DONE)
    assert len(lock.logins) == sent
    if not sent:
        sandbox.clear_faults()
        SessionManager(client, sandbox.username, sandbox.password).get_session(tmp_path, KEY)
        assert sandbox.counts() == {"certlogin": 1}


def dying(listener: Listener, connection: socket.socket) -> None:
    """Be Betfair that takes a login and hangs up."""
    listener.read_request(connection)
    listener.heard += b"all of it"


@pytest.mark.parametrize("theirs", [False, True])
def test_a_login_that_dies_behind_a_proxy_may_have_arrived(server: Server, *, theirs: bool) -> None:
    """urllib3 calls that a fault of the proxy's."""
    session = requests.Session() if theirs else None
    with Listener(tunnel) as proxy, server.serving(dying) as listener:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        client = server.client(listener, proxies=proxies, session=session)
        with client, pytest.raises(IdentityUnavailable) as caught:
            client.login("u", "p")
        assert b"all of it" in listener.heard
        assert caught.value.sent
        assert "proxy" not in str(caught.value)


def test_a_callers_session_may_have_sent_before(server: Server) -> None:
    """Its adapters may repeat, and the last attempt's end says nothing of the first."""
    url = f"https://localhost:{free_ports(1)[0]}/api/"
    for session in (None, requests.Session()):
        client = IdentityClient("key", identity_url=url, verify=server.bundle, session=session)
        with pytest.raises(IdentityUnavailable) as caught:
            client.login("u", "p")
        assert caught.value.sent == (session is not None)


def test_a_certificate_is_shown_to_a_server_of_the_usual_authorities(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production, where `verify` names no bundle: some versions of requests did not."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", sandbox.ca_bundle)
    client = IdentityClient(
        sandbox.app_key,
        certificate=sandbox.certificate,
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
    )
    with client:
        token = client.certlogin(sandbox.username, sandbox.password)
        assert client.keep_alive(token) == token


def test_a_thread_that_cannot_be_started_sends_nothing(
    client: IdentityClient,
    sandbox: Sandbox,
    no_threads: Callable[[], AbstractContextManager[None]],
) -> None:
    """As with a limit on processes, or while Python shuts down."""
    with no_threads(), pytest.raises(IdentityUnavailable) as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert not caught.value.sent
    assert sandbox.counts() == {}


# --- proxies --------------------------------------------------------------------------------------


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take all variables for proxies away."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


def test_a_proxy_that_cannot_work_is_no_silence_of_betfairs(
    no_proxy: pytest.MonkeyPatch, sandbox: Sandbox, client: IdentityClient
) -> None:
    """It is to blame, whether it was given or comes from the environment."""
    no_proxy.setenv("HTTPS_PROXY", "nonsense://localhost:1")
    with pytest.raises(ConfigurationError) as unusable:
        client.keep_alive("token")
    assert unusable.value.argument == "proxies"
    no_proxy.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(IdentityUnavailable) as caught:
        client.keep_alive("token")
    assert not caught.value.sent
    assert "proxy: ConnectionRefusedError" in str(caught.value)
    assert sandbox.counts() == {}


def test_whose_proxy_is_used(no_proxy: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """The argument's or the caller's own session's before the environment's; {} is none."""
    theirs = requests.Session()
    theirs.trust_env = False
    with Listener(tunnel) as proxy, theirs:
        url = {"https": f"http://127.0.0.1:{proxy.port}"}
        theirs.proxies.update(url)
        ways: list[tuple[str, dict[str, Any]]] = [
            (url["https"], {}),
            ("http://localhost:1", {"proxies": url}),
            ("http://localhost:1", {"session": theirs}),
            ("http://localhost:1", {"session": requests.Session(), "proxies": url}),
            (url["https"], {"proxies": {}}),
        ]
        for count, (usual, settings) in enumerate(ways, start=1):
            no_proxy.setenv("HTTPS_PROXY", usual)
            given: Any = {"identity_url": sandbox.identity_url, "verify": sandbox.ca_bundle}
            with IdentityClient("app-key", **given, **settings) as client:
                assert client.keep_alive("x") is None
            assert proxy.connections == min(count, 4)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_makes_no_connection_has_sent_nothing(
    no_proxy: pytest.MonkeyPatch, client: IdentityClient, status: int
) -> None:
    """Its status is told, and is not Betfair's; the doctor advises by the reason."""
    with Listener(saying(answer(b"", status=f"{status} No"))) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        no_proxy.setenv("HTTPS_PROXY", url)
        with pytest.raises(IdentityUnavailable) as caught:
            client.login("u", "p")
    assert (caught.value.sent, caught.value.status_code) == (False, None)
    assert str(status) in str(caught.value)
    assert caught.value.reason == ("proxy" if status == 502 else f"proxy-{status}")


def test_why_no_answer_came_is_told_by_a_word(server: Server) -> None:
    """That nobody vouches for a server, above all; a refused connection has none."""
    with server.serving(one_by_one()) as listener:
        for port, reason in ((listener.port, "untrusted"), (free_ports(1)[0], "")):
            url = f"https://localhost:{port}/"
            with IdentityClient("key", identity_url=url) as client:
                with pytest.raises(IdentityUnavailable) as caught:
                    client.keep_alive("token")
                assert (caught.value.reason, caught.value.sent) == (reason, False)


@pytest.mark.parametrize("fault", ["reset", "status:503"])
def test_the_pauses_between_attempts_grow(
    client: IdentityClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """None is begun that would outlast the call."""
    token = sandbox.issue()
    pauses: list[float] = []
    monkeypatch.setattr(clocks, "pause", pauses.append)
    for _ in range(20):
        sandbox.fault("keepAlive", fault, times=2)
        assert client.keep_alive(token)
    assert all(0.2 <= first <= 0.4 for first in pauses[::2])
    assert all(0.4 <= second <= 0.8 for second in pauses[1::2])
    assert len({*pauses}) > 20
    sandbox.clear_journal()
    sandbox.fault("keepAlive", fault)
    with pytest.raises(IdentityUnavailable):
        client.keep_alive(token, timeout=0.2)
    assert (len(pauses), sandbox.counts()) == (40, {"keepAlive": 1})
