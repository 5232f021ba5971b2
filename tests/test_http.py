"""What a server, a network or the environment cannot do to the library's requests."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import selectors
import shutil
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import trustme
from front import Front, identity, let_finish
from hand_clocks import HandClocks
from servers.listeners import Listener, Stranger, answer, saying, tunnel
from servers.process import free_ports
from storage.surroundings import in_a_child
from urllib3.exceptions import ConnectTimeoutError
from within import within

from betfair_session import (
    ConfigurationError,
    Exchange,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    Session,
)
from betfair_session.betfair.by_requests import ByRequests, OwnAdapter, OwnSession, failure_of
from betfair_session.betfair.http import (
    CONNECT_SECONDS,
    HANDSHAKE_SECONDS,
    IDLE_SECONDS,
    LINGER,
    NETWORK,
    Direct,
    connecting,
    proxy_in_environment,
)
from betfair_session.betfair.pools import _own
from betfair_session.betfair.transport import date_at
from betfair_session.process import clocks
from betfair_session.sandbox import Sandbox


def alive(token: str, *headers: str) -> bytes:
    return answer(b'{"token":"%s","status":"SUCCESS","error":""}' % token.encode(), *headers)


def ask(client: IdentityClient, token: str) -> bool:
    """Ask whether a session lives, and return whether the answer is the one to this question."""
    found = client.keep_alive(token)
    return found is not None and found.reveal() == token


@pytest.mark.parametrize("proxied", [False, True])
def test_a_connection_serves_until_it_idled_for_long(
    stranger: Stranger, hands: HandClocks, *, proxied: bool
) -> None:
    """The network may have forgotten it. No cookie is sent, and each login has its own."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        for _ in range(3):
            listener.read_request(connection)
            connection.sendall(alive("a", "Set-Cookie: ssoid=first; Path=/"))
        listener.read_head(connection)  # until the other side closes it

    with Listener(tunnel) as proxy, stranger.serving(serve) as listener:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"} if proxied else {}
        with stranger.client(listener, proxies=proxies) as client:
            for steady, wall, connections in (
                *((0, 0, 1), (IDLE_SECONDS, 0, 1), (IDLE_SECONDS + 1, 0, 2)),
                *((0, IDLE_SECONDS, 2), (0, IDLE_SECONDS + 1, 3)),
            ):
                hands.steady += steady
                hands.wall += wall
                assert ask(client, "a")
                assert listener.connections == connections
            # The server may close one just when it is used, and a login is sent only once.
            client.login("u", "p")
            assert ask(client, "a")
            assert listener.connections == 4
            assert proxy.connections == 4 * proxied
    assert b"cookie" not in listener.heard.lower()


def endless(
    head: bytes, over: threading.Event, piece: int = 65_536
) -> Callable[[Listener, socket.socket], None]:
    """Serve a body without end, small pieces slowly; tell when it is no longer read.

    In empty pieces it never comes.
    """

    def serve(listener: Listener, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            listener.read_request(connection)
            connection.sendall(head)
            while piece and not over.wait(1 / piece):
                connection.sendall(b"x" * piece)
            connection.recv(1)
        over.set()

    return serve


WHOLE = alive("t")
OK, BODY = b"HTTP/1.1 200 OK\r\n", WHOLE.partition(b"\r\n\r\n")[2]
CHUNKS = (
    OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + BODY[:9] + b"\r\n%x\r\n" % (len(BODY) - 9)
)
PACKED = gzip.compress(BODY)
ANSWERS = {
    "whole": (WHOLE, True),
    "compressed, though not asked to": (answer(PACKED, "Content-Encoding: gzip"), True),
    "compressed and cut off": (answer(PACKED[:-9], "Content-Encoding: gzip"), False),
    "compressed by nothing": (answer(BODY, "Content-Encoding: gzip"), False),
    "in chunks": (CHUNKS + BODY[9:] + b"\r\n0\r\n\r\n", True),
    "until the connection ends": (OK + b"\r\n" + BODY, True),
    "after another that goes before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, True),
    "cut off": (WHOLE.replace(b"Length: ", b"Length: 1"), False),
    "cut off in a chunk": (CHUNKS + BODY[9:-1], False),
    "cut off between chunks": (CHUNKS + BODY[9:] + b"\r\n", False),
    "cut off in its head": (OK + b"Content-Le", False),
    "empty": (b"", False),
    "no HTTP": (b"220 smtp.example.com ESMTP\r\n", False),
    "of a status that is none": (WHOLE.replace(b"200 OK", b"\xff\xfe"), False),
    "with a head too long": (WHOLE.replace(b"\r\n", b"\r\nX: %b\r\n" % (b"y" * 70_000), 1), False),
    "in a chunk whose size is none": (CHUNKS.replace(b"\r\n9\r\n", b"\r\nzz\r\n"), False),
    "with odd headers": (alive("t", "Set-Cookie: \0=", ": no name", " folded"), True),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_a_whole_answer_is_one(stranger: Stranger, name: str) -> None:
    """Half of one may be valid JSON, too; and its login may have been made."""
    answer, whole = ANSWERS[name]
    with stranger.serving(saying(answer)) as listener, stranger.client(listener) as client:
        if whole:
            assert client.login("u", "p").reveal() == "t"
        else:
            with pytest.raises(IdentityUnavailable) as caught:
                client.login("u", "p")
            assert caught.value.sent
        assert (listener.connections, listener.heard.count(b"POST /api/login ")) == (1, 1)


@pytest.fixture
def bundle(stranger: Stranger, tmp_path: Path) -> Path:
    """The stranger's authorities, in a file that a test may change."""
    return Path(shutil.copy(stranger.bundle, tmp_path / "authorities.pem"))


@pytest.fixture(params=["own", "theirs"])
def session(request: pytest.FixtureRequest) -> requests.Session | None:
    """A caller's session, or None: then the library uses its own."""
    return None if request.param == "own" else requests.Session()


@pytest.mark.parametrize(
    ("status", "piece", "told"),
    [
        *(("200 OK", 65_536, 200), ("302 Found", 65_536, 302)),
        *(("200 OK", 40, None), ("200 OK", 0, None), ("", 40, None)),
    ],
    ids=["long", "redirect", "slow", "silent", "slow head"],
)
def test_an_answer_without_end_is_left_soon(
    stranger: Stranger, session: requests.Session | None, status: str, piece: int, told: int | None
) -> None:
    """A redirect's too, which requests would read whole to prepare for following it.

    An answer in drops, or none, is left when the call is over, also by the thread that reads it.
    """
    over = threading.Event()
    head = f"HTTP/1.1 {status}\r\nLocation: https://localhost:1/\r\n\r\n" if status else ""
    with (
        stranger.serving(endless(head.encode(), over, piece)) as listener,
        stranger.client(listener, session=session) as client,
    ):
        login = partial(client.login, "u", "p")
        error = error_once_sent(listener, login, seconds=10.0 if told else 0.5)
        assert isinstance(error, IdentityUnavailable)
        assert (error.status_code, error.sent) == (told, True)
        # In 41 seconds so much comes in drops that it is too long, or a head is no head.
        assert not status or over.wait(30)


def error_once_sent(
    listener: Listener, call: Callable[..., object], seconds: float = 0.5
) -> Exception:
    """Return the error of a call whose time ends when it has reached the server."""
    while not listener.heard:  # on a busy machine the time may be over before
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the test looks at it
            call(timeout=seconds)
        seconds *= 2
    return caught.value


def test_an_answer_that_is_cut_off_by_the_deadline_is_none(
    stranger: Stranger, session: requests.Session | None
) -> None:
    """What came until then may be valid JSON, as in `test_only_a_whole_answer_is_one`."""
    ours = Direct(stranger.bundle, None)
    sender = ByRequests(stranger.bundle, None, None, session) if session else ours
    with stranger.serving(endless(OK + b"\r\n", threading.Event(), 40)) as listener:

        def send(timeout: float) -> None:
            sender.send(
                f"https://localhost:{listener.port}/", {}, None, clocks.End(within(timeout))
            )

        assert sender.judge(error_once_sent(listener, send)).sent
    sender.close()


def test_a_call_of_the_api_reads_no_longer_than_it_lasts(stranger: Stranger, front: Front) -> None:
    over, session = threading.Event(), front.session()
    session.token()
    with stranger.serving(endless(b"HTTP/1.1 200 OK\r\n\r\n", over)) as listener:
        url = f"https://localhost:{listener.port}/"
        with Exchange(session, api_url=url, verify=stranger.bundle) as exchange:
            error = error_once_sent(listener, partial(exchange.call, "cancelOrders", {}))
        assert isinstance(error, ExchangeError)
        assert (error.status_code, error.landed) == (None, True)
        assert over.wait(60)


INTERIM = pytest.mark.parametrize(
    "status", ["103 Early Hints", "204 No Content", "304 Not Modified"]
)


def twice(status: str, first: bytes, second: bytes) -> Callable[[Listener, socket.socket], None]:
    """Serve a status, and later an answer on the same connection; another one gets the second."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        if listener.connections > 1:
            connection.sendall(second)
            return
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
        # The real one comes when the connection is in use again, if it ever is.
        listener.read_request(connection)
        connection.sendall(first)

    return serve


@INTERIM
def test_no_answer_is_taken_for_the_next_calls(
    stranger: Stranger, session: requests.Session | None, status: str
) -> None:
    """Python's http takes an interim answer, such as 103, for the answer itself."""
    serve = twice(status, alive("first"), alive("second"))
    with stranger.serving(serve) as listener, stranger.client(listener, session=session) as client:
        with pytest.raises(IdentityUnavailable) as caught:
            client.keep_alive("first")
        assert caught.value.status_code == int(status[:3])
        assert ask(client, "second")


@INTERIM
def test_no_answer_of_the_api_is_taken_for_the_next_calls(
    stranger: Stranger, betting_session: Session, status: str
) -> None:
    """By REST, an answer does not tell which call it is for."""
    serve = twice(status, answer(b'["first"]'), answer(b'["second"]'))
    with stranger.serving(serve) as listener:
        url = f"https://localhost:{listener.port}/"
        with Exchange(betting_session, api_url=url, verify=stranger.bundle) as exchange:
            with pytest.raises(ExchangeError) as caught:
                exchange.call("listEventTypes", rest=True)
            assert caught.value.status_code == int(status[:3])
            assert exchange.call("listEventTypes", rest=True) == ["second"]


# From Python 3.14 on a second answer is read, and dropped, with the first: so much at once.
READ_ALONE = ["answered twice"] if io.DEFAULT_BUFFER_SIZE <= 8192 else []


@pytest.mark.parametrize("state", ["closed", "unknown", *READ_ALONE])
def test_a_connection_that_does_not_just_wait_is_not_used_again(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """So no request is lost, or answered by what was meant for another call."""
    answered, pauses = threading.Event(), list[float]()

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        body = alive("first" if listener.connections == 1 else "second").partition(b"\r\n\r\n")[2]
        head = len(answer(b" " * 8000)) - 8000
        # What is read of a socket at once ends where the next answer begins.
        more = alive("first") if state == "answered twice" else b""
        connection.sendall(answer(body.ljust(8192 - head)) + more)
        if state == "closed":
            connection.close()
        answered.set()
        listener.read_head(connection)

    full = Mock(side_effect=OSError(errno.EMFILE, "Too many open files"))
    monkeypatch.setattr(clocks, "pause", pauses.append)
    with stranger.serving(serve) as listener, stranger.client(listener) as client:
        assert ask(client, "first")
        assert answered.wait(60)
        if state == "unknown":
            monkeypatch.setattr(selectors, "DefaultSelector", full)
        assert ask(client, "second")
    assert (listener.connections, listener.heard.count(b"POST "), pauses) == (2, 2, [])


def test_a_connection_in_use_is_closed_after_it(stranger: Stranger) -> None:
    asked, closed = threading.Event(), threading.Event()

    def serve(listener: Listener, connection: socket.socket) -> None:
        for _ in range(2):
            listener.read_request(connection)
            asked.set()
            assert closed.wait(60)
            connection.sendall(WHOLE)

    with stranger.serving(serve) as listener, stranger.client(listener, timeout=60) as client:
        thread = threading.Thread(target=ask, args=(client, "t"))
        thread.start()
        assert asked.wait(60)
        client.close()
        closed.set()
        thread.join(60)
        assert ask(client, "t")
        assert listener.connections == 2


@pytest.mark.usefixtures("netrc")
def test_a_session_of_our_kind_trusts_only_what_it_was_told_of(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No .netrc, no authorities of a variable, no parent's connection; a call's proxies first."""
    url = sandbox.identity_url
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with OwnSession() as session, pytest.raises(requests.exceptions.SSLError):
        session.get(url, timeout=30)
    with OwnSession(verify=sandbox.ca_bundle) as session:
        assert session.get(url, timeout=30).status_code == 404
        assert in_a_child(lambda: session.get(url, timeout=30).status_code) == 404
        assert session.get(url, timeout=30).status_code == 404
    assert not any(entry.defects for entry in sandbox.journal())
    parents, childs, again = [entry.connection for entry in sandbox.journal()]
    assert parents == again != childs
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:1")
    with Listener(tunnel) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        for given, named, used in ((None, proxies, 1), (proxies, {}, 2), ({}, {}, 2)):
            with OwnSession(verify=sandbox.ca_bundle, proxies=given) as session:
                assert session.get(url, timeout=30, proxies=named).status_code == 404
            assert proxy.connections == used


def test_what_was_not_sent_is_dropped_through_a_proxy_too() -> None:
    """tests/test_exchange.py shows what for."""
    adapter = OwnAdapter()
    for manager in (adapter.poolmanager, adapter.proxy_manager_for("http://127.0.0.1:1")):
        assert LINGER in manager.connection_pool_kw["socket_options"]


def test_a_certificate_is_shown_to_a_server_of_the_usual_authorities(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in production, where `verify` names no bundle: some versions of requests did not."""
    monkeypatch.setattr("certifi.where", lambda: sandbox.ca_bundle)
    with identity(sandbox, verify=True) as client:
        token = client.certlogin(sandbox.username, sandbox.password)
        assert ask(client, token.reveal())


def test_a_certificate_is_shown_to_a_server_that_asks_late(
    stranger: Stranger, sandbox: Sandbox
) -> None:
    """Some ask for it only when they have read the request."""
    stranger.tls.post_handshake_auth, stranger.tls.verify_mode = True, ssl.CERT_OPTIONAL

    def serve(listener: Listener, connection: Any) -> None:  # noqa: ANN401 - one with TLS
        listener.read_request(connection)
        connection.verify_client_post_handshake()
        connection.sendall(answer(b'{"sessionToken":"t","loginStatus":"SUCCESS"}'))

    with (
        stranger.serving(serve) as listener,
        stranger.client(listener, certificate=sandbox.certificate) as client,
    ):
        assert client.certlogin("u", "p").reveal() == "t"


@pytest.mark.usefixtures("short_waits")
def test_authorities_may_change_in_their_file(
    stranger: Stranger, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot runs for longer than they are valid. The caller does not wait for a hanging mount."""
    readers: list[threading.Thread] = []
    make = ssl.create_default_context

    def watched(**given: Any) -> ssl.SSLContext:  # noqa: ANN401 - the system's own
        readers.append(threading.current_thread())
        return make(**given)

    right, wrong = bundle.read_bytes(), trustme.CA().cert_pem.bytes()
    with (
        stranger.serving(saying(WHOLE)) as listener,
        stranger.client(listener, verify=bundle) as client,
    ):
        monkeypatch.setattr(ssl, "create_default_context", watched)
        for authority, trusted in ((right, True), (wrong, False), (right, True)):
            bundle.write_bytes(authority)
            assert client.check("t").state == ("alive" if trusted else "unknown")
        assert listener.heard.count(b"POST ") == 2
    assert readers
    assert threading.current_thread() not in readers


@pytest.mark.parametrize("proxies", [{}, {"https": "http://127.0.0.1:1"}])
def test_a_bundle_that_is_damaged_later_is_named(
    stranger: Stranger, proxies: dict[str, str], bundle: Path
) -> None:
    """Betfair is not to blame then, nor the network or a proxy."""
    whole = bundle.read_bytes()
    with stranger.serving(saying(WHOLE)) as listener:
        for damaged in (whole[:-100], b"", None):
            bundle.write_bytes(whole)
            with stranger.client(listener, proxies=proxies, verify=bundle) as client:
                bundle.unlink()
                if damaged is not None:
                    bundle.write_bytes(damaged)
                error = client.check("t").error
            assert error
            assert (error.reason, error.sent) == ("bundle", False)
            assert str(bundle) in str(error)


@pytest.mark.parametrize("proxied", [False, True])
def test_a_bundle_is_not_to_blame_for_the_file_of_tls_keys(
    stranger: Stranger,
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    proxied: bool,
) -> None:
    """Nor is the network."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys.log"))
    with stranger.serving(saying(WHOLE)) as listener, Listener(tunnel) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"} if proxied else {}
        error = stranger.client(listener, verify=bundle, proxies=proxies).check("t").error
    assert error
    assert (error.reason, error.sent) == ("", False)
    assert str(bundle) not in str(error)
    assert NETWORK not in str(error)


def test_a_bundle_that_is_loaded_is_not_to_blame(stranger: Stranger, bundle: Path) -> None:
    """A program that dropped its rights may not read it again, and needs not."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(stranger.serving(saying(WHOLE)))
        client = stranger.client(listener, verify=bundle)
        assert client.check("t").state == "alive"
        bundle.unlink()
        assert client.check("t").state == "alive"
    with client:
        error = client.check("t").error
        assert error
        assert error.reason == ""


def test_with_no_descriptor_left_no_login_was_sent(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the bundle to blame, which cannot be read then."""
    crowded = Mock(side_effect=OSError(errno.EMFILE, "too many open files"))
    monkeypatch.setattr(ssl, "create_default_context", crowded)
    with identity(sandbox) as client, pytest.raises(IdentityUnavailable) as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert (caught.value.sent, caught.value.reason) == (False, "")
    assert sandbox.counts() == {}


def test_an_answer_without_a_token_leaves_the_one_that_was_sent(stranger: Stranger) -> None:
    silent = answer(b'{"status":"SUCCESS"}')
    with stranger.serving(saying(silent)) as listener, stranger.client(listener) as client:
        assert ask(client, "t")


@pytest.mark.usefixtures("netrc")
def test_requests_are_what_betfair_documents(
    stranger: Stranger,
    sandbox: Sandbox,
    session: requests.Session | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the letter and in ASCII. A caller's session changes nothing, and stays open."""
    times, connect = list[float | None](), socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - the system's own
        times.append(self.gettimeout())
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/not/there.pem")
    if session:
        session.headers["X-Application"] = "thief"
        monkeypatch.setattr(session, "close", lambda: pytest.fail("it was closed"))
    told = b'{"loginStatus":"SUCCESS","sessionToken":"t","status":"SUCCESS","token":"t"}'
    with stranger.serving(saying(answer(told))) as listener:
        url = f"https://localhost:{listener.port}/b\u00e9t%20/a;b=1/"
        given = {"session": session, "certificate": sandbox.certificate, "identity_url": url}
        with stranger.client(listener, **given) as client:
            client.certlogin("u", "p&")
            client.login("u", "p&", code="1", timeout=3)
            client.keep_alive("t")
            client.logout("t")
    asks = {"X-Application: app-key", "Accept: application/json", "Accept-Encoding: identity"}
    form = asks | {"Content-Type: application/x-www-form-urlencoded"}
    usual, path = ("Host:", "User-Agent:", "Connection:", "Content-Length:"), "b%C3%A9t%20/a;b=1/"
    heard = [each.split("\r\n") for each in listener.heard.decode().split("POST /")[1:]]
    sent = [
        (first, {each for each in more if not each.startswith(usual)}) for first, *more in heard
    ]
    assert sent == [
        ("api/certlogin HTTP/1.1", {*form, "", "username=u&password=p%26"}),
        (f"{path}login HTTP/1.1", {*form, "", "username=u&password=p%261"}),
        (f"{path}keepAlive HTTP/1.1", {*asks, "", "X-Authentication: t"}),
        (f"{path}logout HTTP/1.1", {*asks, "", "X-Authentication: t"}),
    ]
    short = [each or 60 for each in times if each != 3.05]  # of the login that has three seconds
    assert len(short) < len(times)
    assert 0 < min(short) <= max(short) <= 3


# --- what was sent, and what never was ------------------------------------------------------------


def test_a_login_without_an_answer_may_have_arrived(
    stranger: Stranger, session: requests.Session | None, bundle: Path
) -> None:
    """Behind a proxy too, whatever has become of the bundle; a caller's adapters may repeat it."""

    def hang_up(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        listener.heard += b"all of it"
        bundle.unlink()

    def failure(listener: Listener, **settings: Any) -> IdentityUnavailable:  # noqa: ANN401
        with pytest.raises(IdentityUnavailable) as caught:
            stranger.client(listener, session=session, **settings).login("u", "p")
        return caught.value

    with Listener(tunnel) as proxy, stranger.serving(hang_up) as listener:
        way = {"https": f"http://127.0.0.1:{proxy.port}"}
        error = failure(listener, proxies=way, verify=bundle)
        assert b"all of it" in listener.heard
        assert (error.reason, error.sent) == ("", True)
        assert "proxy" not in str(error)
    with Listener(saying(b"HTTP/1.1 403 Forbidden\r\n\r\n")) as refusing:
        error = failure(listener, proxies={"https": f"http://127.0.0.1:{refusing.port}"})
        assert (error.reason, error.sent) == ("proxy-403", bool(session))
    assert failure(listener).sent == bool(session)  # nothing listens any more


@pytest.mark.parametrize("breaks", ["the proxy", "the handshake"])
def test_what_breaks_while_connecting_has_sent_nothing(stranger: Stranger, breaks: str) -> None:
    """Through requests, too, whose errors for it are those of any broken connection."""
    with Listener(lambda _, connection: connection.close()) as closing:

        def lead(listener: Listener, connection: socket.socket) -> None:
            tunnel(listener, connection, closing.port)

        with Listener(lead) as proxy, stranger.serving(saying(WHOLE)) as server:
            port = closing.port if breaks == "the proxy" else proxy.port
            way = {"https": f"http://127.0.0.1:{port}"}
            with pytest.raises(IdentityUnavailable) as caught:
                stranger.client(server, proxies=way).login("u", "p")
        assert (caught.value.sent, closing.connections) == (False, 1)


@pytest.mark.parametrize("proxied", [False, True])
def test_nothing_is_sent_after_the_end(
    stranger: Stranger, slow_names: threading.Event, *, proxied: bool
) -> None:
    """Others log in after this login's time; a name server may take longer. They need not wait."""

    def lead(listener: Listener, connection: socket.socket) -> None:
        tunnel(listener, connection, server.port)

    with stranger.serving(saying(WHOLE)) as server, Listener(lead) as proxy:
        way = {"https": f"http://localhost:{proxy.port}"} if proxied else None
        with pytest.raises(IdentityUnavailable) as caught:
            stranger.client(server, timeout=1, proxies=way).login("u", "p")
        assert not caught.value.sent
        slow_names.set()
        let_finish()
        assert (server.connections, proxy.connections) == (1, proxied)
    assert server.heard == b""


def test_a_callers_session_may_send_late(stranger: Stranger, slow_names: threading.Event) -> None:
    with stranger.serving(saying(WHOLE)) as server:
        with pytest.raises(IdentityUnavailable) as caught:
            stranger.client(server, timeout=1, session=requests.Session()).login("u", "p")
        assert caught.value.sent
        slow_names.set()
        let_finish()
    assert b"username=u" in server.heard


@pytest.mark.parametrize("way", ["direct", "proxied", "bets"])
def test_a_handshake_may_take_longer_than_to_connect(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch, betting_session: Session, way: str
) -> None:
    """A proxy tries each address of the host before it answers; a busy server answers late."""
    betting_session.token()
    times, shake = list[float | None](), ssl.SSLSocket.do_handshake

    def noted(self: ssl.SSLSocket) -> None:
        if not self.server_side:
            times.append(self.gettimeout())
        shake(self)

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", noted)
    with stranger.serving(saying(WHOLE)) as server, Listener(tunnel) as proxy:
        if way == "bets":
            url = f"https://localhost:{server.port}/"
            with (
                Exchange(betting_session, api_url=url, verify=stranger.bundle) as exchange,
                pytest.raises(ExchangeError),
            ):
                exchange.call("cancelOrders")
        else:
            proxies = {"https": f"http://127.0.0.1:{proxy.port}"} if way == "proxied" else {}
            stranger.client(server, proxies=proxies).login("u", "p")
    assert times == [HANDSHAKE_SECONDS]
    assert HANDSHAKE_SECONDS > CONNECT_SECONDS


def test_a_socks_proxy_may_take_as_long() -> None:
    """It answers when it has connected to the host."""

    class Socks:
        timeout, _socks_options = CONNECT_SECONDS, ()

        def _new_conn(self) -> Mock:
            return Mock(asked=self.timeout)

    made = _own(Socks)()._new_conn()
    assert made.asked == HANDSHAKE_SECONDS
    made.settimeout.assert_called_once_with(HANDSHAKE_SECONDS)


def test_the_pauses_between_attempts_grow(
    client: IdentityClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sandbox.issue()
    pauses: list[float] = []
    monkeypatch.setattr(clocks, "pause", pauses.append)
    for _ in range(10):
        sandbox.fault("keepAlive", "status:503", times=2)
        assert client.keep_alive(token)
    assert all(0.2 <= first <= 0.4 for first in pauses[::2])
    assert all(0.4 <= second <= 0.8 for second in pauses[1::2])
    assert len({*pauses}) > 10
    sandbox.clear_journal()
    sandbox.fault("keepAlive", "reset")
    with pytest.raises(IdentityUnavailable):
        client.keep_alive(token, timeout=0.2)
    assert (len(pauses), sandbox.counts()) == (20, {"keepAlive": 1})


def unproven(code: int) -> ssl.SSLCertVerificationError:
    """Return the error for a server's certificate, by OpenSSL's code."""
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code = code
    return error


def wants_certificate() -> ssl.SSLError:
    error = ssl.SSLError(1, "alert")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.ConnectTimeout(ConnectTimeoutError()), ""),
        (requests.exceptions.SSLError(unproven(10)), ""),  # expired
        (requests.exceptions.SSLError(unproven(85)), ""),  # its authority has no key identifier
        # 2: only an authority in the middle of the chain is trusted.
        *(
            (requests.exceptions.SSLError(unproven(code)), "untrusted")
            for code in (2, 18, 19, 20, 21)
        ),
        (requests.exceptions.SSLError(wants_certificate()), "client-certificate"),
    ],
)
def test_what_is_told_where_no_connection_was_made(error: Exception, reason: str) -> None:
    with pytest.raises(type(error)), connecting():
        raise error
    found = failure_of(error)
    assert (found.sent, found.reason) == (False, reason)
    assert (NETWORK in found.detail) == isinstance(error, requests.ConnectTimeout)


def test_a_certificate_that_is_refused_later_says_nothing_of_the_request() -> None:
    """A server may send another one in the middle of a connection."""
    found = Direct.judge(unproven(20))
    assert (found.sent, found.reason) == (True, "untrusted")


# --- proxies --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_waits")
def test_a_proxy_that_cannot_work_is_no_silence_of_betfairs(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    client: IdentityClient,
    betting_session: Session,
) -> None:
    """The error names the proxy, whether it was given or comes from the environment.

    Nor was an order sent. A password may hold what requests cannot put into a header.
    """
    for url in ("nonsense://localhost:1", "http://u:%E2%82%AC@localhost:1"):
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(ConfigurationError) as unusable:
            client.keep_alive("token")
        assert unusable.value.argument == "proxies"
        monkeypatch.delenv("HTTPS_PROXY")
        with (
            Exchange(betting_session, proxies={"https": url}) as exchange,
            pytest.raises(ExchangeError) as unsent,
        ):
            exchange.call("cancelOrders", {})
        assert not unsent.value.landed
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(IdentityUnavailable) as caught:
        client.keep_alive("token")
    assert not caught.value.sent
    assert sandbox.counts() == {"certlogin": 1}  # for the session of the orders


def test_whose_proxy_is_used(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """The argument's or the caller's session's before the environment's; it sees only TLS."""
    theirs = requests.Session()
    theirs.trust_env = False
    with Listener(tunnel) as proxy, theirs:
        url = {"https": f"http://127.0.0.1:{proxy.port}"}
        theirs.proxies.update(url)
        ways: list[tuple[str, dict[str, Any], bool]] = [
            (url["https"], {}, True),
            ("http://localhost:1", {"proxies": url}, True),
            ("http://localhost:1", {"session": theirs}, True),
            ("http://localhost:1", {"session": requests.Session(), "proxies": url}, True),
            (url["https"], {"proxies": {}}, False),
        ]
        for usual, settings, used in ways:
            monkeypatch.setenv("HTTPS_PROXY", usual)
            before = proxy.connections
            with identity(sandbox, **settings) as client:
                token = client.certlogin(sandbox.username, sandbox.password)
                assert ask(client, token.reveal())
            assert proxy.connections - before == 2 * used
        monkeypatch.delenv("HTTPS_PROXY")
        with identity(sandbox) as client:  # which may come to be named later
            before = proxy.connections
            assert ask(client, token.reveal())
            monkeypatch.setenv("HTTPS_PROXY", url["https"])
            assert ask(client, token.reveal())
            assert proxy.connections == before + 1
    for secret in (token.reveal(), sandbox.username, sandbox.password):
        assert secret.encode() not in proxy.heard


@pytest.mark.parametrize(
    ("variable", "proxied"),
    [
        *((name, True) for name in ("https_proxy", "ALL_PROXY", "Https_Proxy", "HTTPS_proxy")),
        ("http_proxy", False),
    ],
)
def test_only_where_a_proxy_is_named_requests_is_needed(
    monkeypatch: pytest.MonkeyPatch, variable: str, *, proxied: bool
) -> None:
    """A function pays for every import; requests finds out which proxy it is."""
    assert not proxy_in_environment()
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert proxy_in_environment() == proxied
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "http://127.0.0.1:9"})
    for system in ("win32", "darwin"):  # which have settings besides
        monkeypatch.setattr(sys, "platform", system)
        assert proxy_in_environment()


def test_a_stores_time_may_be_behind_an_authority_of_ones_own(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with requests itself: by REQUESTS_CA_BUNDLE, behind a proxy, too."""
    with stranger.serving(saying(answer(b"", "Date: now"))) as listener, Listener(tunnel) as proxy:
        url = f"https://localhost:{listener.port}"
        for way in ("", f"http://127.0.0.1:{proxy.port}"):
            monkeypatch.setenv("HTTPS_PROXY", way)
            monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                date_at(url, within(60))
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", stranger.bundle)
            assert date_at(url, within(60)) == "now"
    assert (proxy.connections, listener.heard.count(b"HEAD / HTTP")) == (2, 2)


def test_who_tells_no_time_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    with Listener(lambda *_: over.wait(5)) as silent:
        place = f"127.0.0.1:{silent.port}"
        ways = [(f"http://{place}", ""), (f"https://{place}", ""), ("https://b", f"http://{place}")]
        for url, way in ways:
            monkeypatch.setenv("HTTPS_PROXY", way)
            with pytest.raises(OSError, match="timed out"):
                date_at(url, within(0.3))
        over.set()
    assert silent.connections == len(ways)
