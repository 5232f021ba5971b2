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
    Certificate,
    ConfigurationError,
    Exchange,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    SessionManager,
)
from betfair_session.betfair.http import IDLE_SECONDS
from betfair_session.integrations.betfairlightweight import APIClient
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
APP_KEY = "app-key"


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
        """Serve each connection so."""
        return Listener(serve, self._tls)

    def client(self, listener: Listener, **settings: Any) -> IdentityClient:  # noqa: ANN401
        """Return a client of that server."""
        url = f"https://localhost:{listener.port}/api/"
        return IdentityClient(
            APP_KEY, identity_url=url, identity_cert_url=url, verify=self.bundle, **settings
        )


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Return it."""
    directory = tmp_path / "server"
    directory.mkdir()
    return Server(directory)


@pytest.fixture
def session(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """Return a handle for a token in a file."""
    return SessionManager(client, sandbox.username, sandbox.password).session(tmp_path, KEY)


def one_by_one(*answers: bytes) -> Callable[[Listener, socket.socket], None]:
    """Serve each request of a connection with the next answer, as long as there are some."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        for each in answers:
            listener.read_request(connection)
            connection.sendall(each)
        listener.read_head(connection)  # until the other side closes it

    return serve


# --- cookies, redirects, .netrc -------------------------------------------------------------------


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
        with pytest.raises(IdentityUnavailable):
            client.login("u", "p")
        assert over.wait(60)


def test_a_call_of_the_api_reads_no_longer_than_it_lasts(server: Server, session: Session) -> None:
    """What comes later is nobody's any more."""
    over = threading.Event()
    session.token()
    with server.serving(endless(b"HTTP/1.1 200 OK\r\n\r\n", over)) as listener:
        url = f"https://localhost:{listener.port}/"
        with Exchange(session, api_url=url, verify=server.bundle, timeout=0.5) as exchange:
            with pytest.raises(ExchangeError, match="had no answer"):
                exchange.call("cancelOrders", {})
            assert over.wait(60)


def test_a_bots_token_goes_nowhere_else(
    server: Server,
    sandbox: Sandbox,
    session: Session,
    tmp_path: Path,
    netrc: bytes,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Along no redirect, and nothing of .netrc with it; it trusts what the client trusts."""
    both = tmp_path / "both.pem"
    with open(sandbox.ca_bundle) as ours, open(server.bundle) as theirs:
        both.write_text(ours.read() + theirs.read())
    session.client.verify = str(both)
    with Listener(saying(answer(b"{}"))) as elsewhere:
        place = f"Location: http://127.0.0.1:{elsewhere.port}/"
        redirect = answer(b"", place, status="302 Found")
        with server.serving(saying(redirect)) as listener:
            trading = APIClient(session, lightweight=True)
            trading.login()
            trading.api_uri = f"https://localhost:{listener.port}/"
            with pytest.raises(Exception, match="302"):
                trading.betting.list_event_types()
            assert str(trading.session_token).encode() in listener.heard
            assert netrc not in listener.heard
            # A web page, to which no secret goes, may lie elsewhere.
            page = trading.session.get(f"https://localhost:{listener.port}/", timeout=30)
            assert page.json() == {}
            assert elsewhere.connections == 1
            # Nor with a session of somebody else's, such as flumine's.
            with requests.Session() as theirs:
                theirs.verify = str(both)
                with pytest.raises(Exception, match="302"):
                    trading.betting.list_event_types(session=theirs)
                trading.navigation_uri = trading.api_uri
                with pytest.raises(Exception, match="302"):
                    trading.navigation.list_navigation(session=theirs)
                monkeypatch.setattr(type(trading.historic), "url", trading.api_uri)
                with pytest.raises(Exception, match="302"):
                    trading.historic.get_my_data(session=theirs)
                trading.historic.download_file("of/2026.bz2", str(tmp_path), session=theirs)
                assert (tmp_path / "2026.bz2").read_bytes() == b""
            assert listener.connections == 6
            assert netrc not in listener.heard
        # Nor without https.
        trading.api_uri = f"http://127.0.0.1:{elsewhere.port}/"
        with pytest.raises(Exception, match="by https only"):
            trading.betting.list_event_types()
        assert elsewhere.connections == 1


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["103 Early Hints", "102 Processing", "204 No Content"])
def test_no_answer_is_taken_for_the_next_calls(server: Server, status: str) -> None:
    """Python's http takes what comes before an answer for the answer itself."""
    early = f"HTTP/1.1 {status}\r\n\r\n".encode()

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        if listener.connections > 1:
            connection.sendall(alive("second"))
            return
        connection.sendall(early)
        # The real one comes when the connection is in use again, if it ever is.
        listener.read_request(connection)
        connection.sendall(alive("first"))

    with server.serving(serve) as listener, server.client(listener) as client:
        with pytest.raises(IdentityUnavailable, match=f"HTTP {status[:3]}"):
            client.keep_alive("first")
        assert client.keep_alive("second").reveal() == "second"  # type: ignore[union-attr]


def test_another_calls_answer_is_no_result(server: Server, session: Session) -> None:
    """JSON-RPC numbers its calls."""
    session.token()
    wrong = answer(b'{"jsonrpc": "2.0", "result": ["another"], "id": 0}')
    with server.serving(one_by_one(wrong)) as listener:
        url = f"https://localhost:{listener.port}/"
        with Exchange(session, api_url=url, verify=server.bundle) as exchange:
            with pytest.raises(ExchangeError, match="had no clear answer") as caught:
                exchange.call("cancelOrders", {})
            assert caught.value.landed
            exchange.close()


@pytest.mark.parametrize("clock", [0, 1], ids=["monotonic", "wall"])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_connection_that_idled_for_long_is_not_used_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, clock: int, *, proxied: bool
) -> None:
    """The network may have forgotten it, and what is sent on it is never answered."""
    serve = one_by_one(alive("a"), alive("a"))
    with Listener(tunnel) as proxy, server.serving(serve) as listener:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"} if proxied else {}
        with server.client(listener, proxies=proxies) as client:
            client.keep_alive("a")
            client.keep_alive("a")
            assert listener.connections == 1
            later = [time.monotonic(), time.time()]
            later[clock] += IDLE_SECONDS + 60
            monkeypatch.setattr(clocks, "now", lambda: tuple(later))
            client.keep_alive("a")
            client.keep_alive("a")
            assert listener.connections == 2
            assert proxy.connections == 2 * proxied


def test_a_login_has_a_connection_of_its_own(server: Server) -> None:
    """One that was used before may be closed by the server just then, and it is sent once only."""
    token = b'{"token":"t","status":"SUCCESS","error":""}'
    serve = one_by_one(answer(token), answer(token))
    with server.serving(serve) as listener, server.client(listener) as client:
        client.keep_alive("t")
        client.login("u", "p")
        client.keep_alive("t")
        assert listener.connections == 2


# --- what was never sent --------------------------------------------------------------------------


def test_a_login_that_was_never_sent_keeps_nobody_else_waiting(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A machine that cannot reach Betfair does not shut out those that can."""
    sick = IdentityClient(
        sandbox.app_key,
        certificate=sandbox.certificate,
        identity_url=f"https://localhost:{free_ports(1)[0]}/api/",
        identity_cert_url=f"https://localhost:{free_ports(1)[0]}/api/",
        verify=sandbox.ca_bundle,
    )
    with sick, pytest.raises(IdentityUnavailable, match="ConnectionRefusedError") as caught:
        SessionManager(sick, sandbox.username, sandbox.password).get_session(tmp_path, KEY)
    assert not caught.value.sent
    lock = locks.decode((tmp_path / f"{KEY}.login").read_bytes())
    assert (lock.state, lock.logins) == (locks.DONE, ())
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
        assert "the proxy: " not in str(caught.value)


def test_a_callers_session_may_have_sent_before(server: Server) -> None:
    """Its adapters may repeat, and the last attempt's end says nothing of the first."""
    port = free_ports(1)[0]
    with requests.Session() as session:
        client = IdentityClient(
            APP_KEY,
            identity_url=f"https://localhost:{port}/api/",
            verify=server.bundle,
            session=session,
        )
        with pytest.raises(IdentityUnavailable, match="ConnectionRefusedError") as caught:
            client.login("u", "p")
    assert caught.value.sent


def test_a_certificate_is_shown_to_a_server_of_the_usual_authorities(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production, where `verify` names no bundle: some versions of requests did not."""
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", sandbox.ca_bundle)
    client = IdentityClient(
        sandbox.app_key,
        certificate=Certificate.from_files(*sandbox.certificate),
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
    )
    with client:
        token = client.certlogin(sandbox.username, sandbox.password)
        assert client.keep_alive(token) == token


def test_a_login_without_an_answer_still_does(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It may have made a session."""
    sandbox.fault("certlogin", "reset")
    manager = SessionManager(client, sandbox.username, sandbox.password)
    with pytest.raises(IdentityUnavailable) as caught:
        manager.get_session(tmp_path, KEY)
    assert caught.value.sent
    assert locks.decode((tmp_path / f"{KEY}.login").read_bytes()).state == locks.FAILED


def test_a_thread_that_cannot_be_started_sends_nothing(
    client: IdentityClient,
    sandbox: Sandbox,
    no_threads: Callable[[], AbstractContextManager[None]],
) -> None:
    """As with a limit on processes, or while Python shuts down."""
    with (
        no_threads(),
        pytest.raises(IdentityUnavailable, match="no thread can be started") as caught,
    ):
        client.certlogin(sandbox.username, sandbox.password)
    assert not caught.value.sent


def test_a_two_step_code_that_comes_too_late_is_not_used(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """By then others of the fleet may be logging in."""
    never = threading.Event()

    def slow() -> str:
        never.wait(0.2)
        return "123456"

    with pytest.raises(ConfigurationError, match="the two-step code came too late"):
        client.login(sandbox.username, sandbox.password, code=slow, timeout=0.1)
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
    no_proxy: pytest.MonkeyPatch, sandbox: Sandbox, client: IdentityClient, tmp_path: Path
) -> None:
    """It is named, whether it was given or comes from the environment."""
    (tmp_path / KEY).write_text(sandbox.issue(sandbox.username))
    manager = SessionManager(client, sandbox.username, sandbox.password)
    no_proxy.setenv("HTTPS_PROXY", "nonsense://localhost:1")
    with pytest.raises(ConfigurationError, match="the proxy in `proxies` or the environment"):
        manager.get_session(tmp_path, KEY)
    no_proxy.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(IdentityUnavailable, match="the proxy: ConnectionRefusedError") as caught:
        client.keep_alive("token")
    assert not caught.value.sent
    assert sandbox.counts() == {}


def test_a_callers_session_keeps_its_own_proxies(
    no_proxy: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """The environment's do not take their place."""
    no_proxy.setenv("HTTPS_PROXY", "http://localhost:1")
    refusal = answer(b"", status="405 Not here")
    with Listener(saying(refusal)) as theirs, requests.Session() as session:
        session.trust_env = False
        session.proxies["https"] = f"http://127.0.0.1:{theirs.port}"
        client = IdentityClient(
            APP_KEY, identity_url=sandbox.identity_url, verify=sandbox.ca_bundle, session=session
        )
        with pytest.raises(IdentityUnavailable, match="405"):
            client.keep_alive("token")
        assert b"CONNECT localhost" in theirs.heard


@pytest.mark.parametrize("proxies", ["http://p", {"https": 5}, {None: "x"}, 5, [("https",)]])
def test_proxies_of_a_wrong_type_are_refused(proxies: Any) -> None:  # noqa: ANN401 - what is tested
    """They are not shown, since they may hold a password."""
    with pytest.raises(ConfigurationError, match="proxies must be a mapping, such as"):
        IdentityClient(APP_KEY, proxies=proxies)


def test_a_session_of_a_wrong_type_is_refused() -> None:
    """It has to be one of requests'."""
    wrong: Any = "session"
    with pytest.raises(ConfigurationError, match=r"session must be a requests\.Session"):
        IdentityClient(APP_KEY, session=wrong)
