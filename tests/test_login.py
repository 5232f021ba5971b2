"""Interactive logins, every login status, what check finds out, and other people's transports."""

from __future__ import annotations

import csv
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from requests.adapters import HTTPAdapter
from secrets_shown import everything_in
from storage.surroundings import in_a_child

from betfair_session import (
    Blocked,
    Certificate,
    CertificateError,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
    SessionManager,
)
from betfair_session.process import clocks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from hand_clocks import HandClocks
    from requests import PreparedRequest, Response

    from betfair_session.sandbox import Sandbox

_TABLE = Path(__file__).parent / "data" / "login-status.tsv"
STATUSES = list(csv.DictReader(_TABLE.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


def identity(sandbox: Sandbox, **settings: object) -> IdentityClient:
    """Return a client for the sandbox."""
    given: dict[str, object] = {
        "certificate": sandbox.certificate,
        "identity_url": sandbox.identity_url,
        "identity_cert_url": sandbox.identity_cert_url,
        "verify": sandbox.ca_bundle,
        **settings,
    }
    return IdentityClient(sandbox.app_key, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", STATUSES, ids=[row["status"] for row in STATUSES])
def test_every_status_comes_through_by_name_with_its_class(
    client: IdentityClient, sandbox: Sandbox, row: dict[str, str]
) -> None:
    """From both logins, over TLS, with a hint for people."""
    sandbox.login_status(row["status"])
    for login in (client.certlogin, client.login):
        with pytest.raises(LoginRefused) as caught:
            login(sandbox.username, sandbox.password)
        assert caught.value.status == row["status"]
        assert caught.value.login_class == row["class"]
        assert row["status"] in str(caught.value)
        assert len(str(caught.value)) > len(row["status"]) + 40


def test_an_account_without_a_certificate_logs_in(sandbox: Sandbox) -> None:
    """The interactive login needs none."""
    client = identity(sandbox, certificate=None)
    token = client.login(sandbox.username, sandbox.password)
    assert [session.token for session in sandbox.sessions()] == [token.reveal()]
    assert sandbox.journal()[0].defects == []


@pytest.mark.parametrize("form", ["text", "callable"])
def test_the_two_step_code_follows_the_password(sandbox: Sandbox, form: str) -> None:
    """As a text, or from what makes it when it is wanted."""
    sandbox.set_two_step("123456")
    client = identity(sandbox, certificate=None)
    with pytest.raises(LoginRefused) as caught:
        client.login(sandbox.username, sandbox.password)
    assert caught.value.login_class == "credentials"
    code = "123456" if form == "text" else (lambda: "123456")
    assert client.login(sandbox.username, sandbox.password, code=code)


def test_a_code_that_cannot_be_had_sends_nothing(sandbox: Sandbox) -> None:
    """The error names the kind of trouble, not its text, which may hold the code."""
    client = identity(sandbox, certificate=None)

    def broken() -> str:
        message = "seed 987654"
        raise RuntimeError(message)

    with pytest.raises(ConfigurationError, match="RuntimeError") as caught:
        client.login(sandbox.username, sandbox.password, code=broken)
    assert "987654" not in everything_in(caught.value)
    assert sandbox.counts() == {}


def test_a_code_that_a_sleep_held_up_sends_nothing(sandbox: Sandbox, hands: HandClocks) -> None:
    """Others of the fleet have logged in long since when its owner opens the lid again."""
    client = identity(sandbox, certificate=None)

    def late() -> str:
        hands.sleep(3600)
        return "123456"

    with pytest.raises(ConfigurationError):
        client.login(sandbox.username, sandbox.password, code=late)
    assert sandbox.counts() == {}


def test_limited_access_is_a_session_with_a_warning(
    client: IdentityClient, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Betfair issues a token with it."""
    sandbox.login_status("LIMITED_ACCESS")
    assert client.login(sandbox.username, sandbox.password)
    assert caplog.record_tuples == [
        (
            "betfair_session.betfair.identity",
            logging.WARNING,
            "Betfair calls this session's access limited",
        )
    ]


def test_a_login_takes_no_longer_than_it_may(client: IdentityClient, sandbox: Sandbox) -> None:
    """Either kind, by its own time-out, which goes before the client's."""
    sandbox.fault("certlogin", "stall")
    sandbox.fault("login", "stall")
    logins: list[Callable[..., object]] = [client.certlogin, client.login]
    for login in logins:
        with pytest.raises(IdentityUnavailable, match=r"(timed out|within 0\.5 s)$"):
            login(sandbox.username, sandbox.password, timeout=0.5)


def test_a_manager_can_log_in_interactively(sandbox: Sandbox, tmp_path: Path) -> None:
    """For accounts without a certificate; the code is asked for at the login only."""
    sandbox.set_two_step("123456")
    asked: list[int] = []

    def code() -> str:
        asked.append(1)
        return "123456"

    manager = SessionManager(
        identity(sandbox, certificate=None),
        sandbox.username,
        sandbox.password,
        interactive=True,
        two_step=code,
    )
    token = manager.get_session(tmp_path, "k")
    assert manager.get_session(tmp_path, "k") == token
    assert sandbox.counts() == {"login": 1, "keepAlive": 1}
    assert len(asked) == 1
    with pytest.raises(ConfigurationError, match="interactive"):
        SessionManager(identity(sandbox), "u", "p", two_step="123456")


def test_a_manager_without_certificate_says_so(sandbox: Sandbox, tmp_path: Path) -> None:
    """It never falls back to another kind of login by itself."""
    manager = SessionManager(identity(sandbox, certificate=None), "u", "p")
    with pytest.raises(ConfigurationError, match="certificate"):
        manager.get_session(tmp_path, "k")
    assert sandbox.counts() == {}


def test_check_tells_alive_dead_and_unknown(client: IdentityClient, sandbox: Sandbox) -> None:
    """Without raising, and with the times that the jurisdiction gives."""
    token = sandbox.issue()
    before = time.monotonic()
    alive = client.check(token)
    assert alive.token is not None
    assert (alive.state, alive.token.reveal(), alive.error) == ("alive", token, None)
    assert alive.verified_at is not None
    assert alive.expires_at is not None
    assert before <= alive.verified_at <= time.monotonic()
    assert alive.expires_at == alive.verified_at + timedelta(hours=12).total_seconds()
    assert token not in repr(alive)
    sandbox.expire(token)
    dead = client.check(token)
    assert (dead.state, dead.token, dead.expires_at) == ("dead", None, None)
    assert dead.verified_at is not None
    assert alive.verified_at <= dead.verified_at <= time.monotonic()
    sandbox.fault("keepAlive", "blocked")
    unknown = client.check(token)
    assert (unknown.state, unknown.verified_at) == ("unknown", None)
    assert isinstance(unknown.error, Blocked)
    assert sandbox.counts() == {"keepAlive": 3}


@pytest.mark.parametrize(
    ("name", "minutes"), [("italy", 20), ("spain", 20), ("romania", None), ("australia", None)]
)
def test_expiry_fits_the_jurisdiction(sandbox: Sandbox, name: str, minutes: int | None) -> None:
    """Twenty minutes in Italy and Spain; None where Betfair does not say."""
    found = identity(sandbox, jurisdiction=name).check(sandbox.issue())
    assert found.verified_at is not None
    if minutes is None:
        assert found.expires_at is None
    else:
        assert found.expires_at == found.verified_at + minutes * 60


def test_a_block_page_is_quoted_without_markup_or_secrets(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """A short excerpt in plain words, with advice on the location."""
    sandbox.fault("*", "blocked", times=None)
    token = sandbox.issue()
    calls: list[Callable[[], object]] = [
        lambda: client.keep_alive(token),
        lambda: client.certlogin(sandbox.username, sandbox.password),
    ]
    for call in calls:
        with pytest.raises(Blocked, match="country or hosting provider") as caught:
            call()
        said = str(caught.value).split("The page says: ")[1]
        assert len(said.split()) > 3
        assert not set("<>{}=") & set(said)
        assert caught.value.status_code == 403


def test_maintenance_says_that_betfair_is_down(client: IdentityClient, sandbox: Sandbox) -> None:
    """A 503, with status and host."""
    sandbox.fault("*", "status:503", times=None)
    with pytest.raises(IdentityUnavailable, match="down") as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert caught.value.status_code == 503
    assert caught.value.host is not None
    assert caught.value.host in sandbox.identity_cert_url


UNCLEAR = [
    *("reset", "lost", "truncated", "cut", "empty", "huge", "html200", "png200", "non_object"),
    *("redirect", "blocked", "status:404", "status:429", "status:500", "status:503"),
]


@pytest.mark.parametrize("fault", UNCLEAR)
@pytest.mark.parametrize("endpoint", ["certlogin", "login", "logout"])
def test_no_fault_of_an_endpoint_is_taken_for_an_answer(
    client: IdentityClient, sandbox: Sandbox, endpoint: str, fault: str
) -> None:
    """Each is "cannot tell"; a login is sent once, a logout again if that may help."""
    token = sandbox.issue()
    sandbox.fault(endpoint, fault, times=None)
    calls: dict[str, Callable[[], object]] = {
        "certlogin": lambda: client.certlogin(sandbox.username, sandbox.password),
        "login": lambda: client.login(sandbox.username, sandbox.password),
        "logout": lambda: client.logout(token),
    }
    with pytest.raises(IdentityUnavailable) as caught:
        calls[endpoint]()
    assert caught.value.endpoint == endpoint
    repeated = fault in {"reset", "lost", "truncated", "status:429", "status:500", "status:503"}
    assert sandbox.counts() == {endpoint: 3 if endpoint == "logout" and repeated else 1}
    shown = everything_in(caught.value)
    for secret in (token, sandbox.password, sandbox.username, sandbox.app_key):
        assert secret not in shown


class Recorder(HTTPAdapter):
    """An adapter that remembers what it sends."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        super().__init__()
        self.sent: list[PreparedRequest] = []

    def send(self, request: PreparedRequest, *args: object, **settings: object) -> Response:
        """Remember and send."""
        self.sent.append(request)
        return super().send(request, *args, **settings)  # type: ignore[arg-type]


def test_a_callers_own_session_is_used_with_its_adapters(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates come as file paths then; .netrc still changes nothing; it stays open."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with requests.Session() as session:
        adapter = Recorder()
        session.mount("https://", adapter)
        with identity(sandbox, session=session) as client:
            token = client.certlogin(sandbox.username, sandbox.password)
            assert client.keep_alive(token) == token
        assert client.keep_alive(token) == token
        assert len(adapter.sent) == 3
    assert not any(entry.defects for entry in sandbox.journal())
    both = b"".join(Path(path).read_bytes() for path in sandbox.certificate)
    with requests.Session() as session, pytest.raises(CertificateError):
        identity(sandbox, session=session, certificate=both).certlogin("u", "p")


@contextmanager
def connect_proxy() -> Iterator[tuple[str, list[str]]]:
    """Run a small HTTP proxy that knows CONNECT; yield its URL and the request lines it saw."""
    seen: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        # A connection that is reset has ended; an error of this thread would fail another test.
        with source, target, suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            seen.append(head.decode())
            host, port = head.split()[1].decode().rsplit(":", 1)
            upstream = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for pair in ((client.dup(), upstream.dup()), (upstream, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", seen
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_proxy_sees_no_more_than_the_host(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """From the argument or the environment; TLS goes through it, the client certificate too."""
    with connect_proxy() as (url, seen):
        if given == "environment":
            monkeypatch.setenv("HTTPS_PROXY", url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
        proxies = {"https": url} if given == "argument" else None
        with identity(sandbox, proxies=proxies) as client:
            token = client.certlogin(sandbox.username, sandbox.password)
            assert client.keep_alive(token) == token
    assert len(seen) == 2
    assert all(head.startswith("CONNECT localhost:") for head in seen)
    text = "".join(seen)
    for secret in (token.reveal(), sandbox.password, sandbox.app_key):
        assert secret not in text


def test_a_forked_child_opens_connections_of_its_own(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """Two processes on one TLS connection would garble it."""
    token = client.certlogin(sandbox.username, sandbox.password)
    assert client.keep_alive(token) == token
    assert in_a_child(lambda: client.keep_alive(token) == token) is True
    assert client.keep_alive(token) == token
    assert len({entry.connection for entry in sandbox.journal("keepAlive")}) == 2


def test_an_ipv6_address_is_a_host_like_any_other(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It connects, and finds that the certificate is not for that address: nothing is sent."""
    caplog.set_level(logging.DEBUG)
    port = int(sandbox.identity_url.rsplit(":", 1)[1].split("/")[0])
    relay = socket.create_server(("::1", 0), family=socket.AF_INET6)
    accepted: list[bool] = []

    def serve() -> None:
        connection, _ = relay.accept()
        accepted.append(True)
        with connection, socket.create_connection(("127.0.0.1", port)) as upstream:
            thread = threading.Thread(target=_copy, args=(upstream, connection), daemon=True)
            thread.start()
            _copy(connection, upstream)
            thread.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = identity(sandbox, identity_url=f"https://[::1]:{relay.getsockname()[1]}/api/")
    with pytest.raises(IdentityUnavailable) as caught:
        client.keep_alive("A" * 43 + "=", timeout=1)
    relay.close()
    thread.join()
    assert accepted
    assert caught.value.host is not None
    assert "[::1]" in caught.value.host
    assert sandbox.counts() == {}


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_requests_are_what_betfair_documents(sandbox: Sandbox) -> None:
    """Their URLs and headers to the letter; nothing else of ours is sent."""
    recorder = Recorder()
    with requests.Session() as session:
        session.mount("https://", recorder)
        client = identity(sandbox, session=session)
        token = client.certlogin(sandbox.username, sandbox.password)
        client.login(sandbox.username, sandbox.password)
        client.keep_alive(token)
        client.logout(token)
    asks = {"X-Application": sandbox.app_key, "Accept": "application/json"}
    form = {**asks, "Content-Type": "application/x-www-form-urlencoded"}
    about = {**asks, "X-Authentication": token.reveal()}
    usual = {"User-Agent", "Accept-Encoding", "Connection", "Content-Length"}
    sent = [
        (each.method, each.url, {k: v for k, v in each.headers.items() if k not in usual})
        for each in recorder.sent
    ]
    assert sent == [
        ("POST", sandbox.identity_cert_url + "certlogin", form),
        ("POST", sandbox.identity_url + "login", form),
        ("POST", sandbox.identity_url + "keepAlive", about),
        ("POST", sandbox.identity_url + "logout", about),
    ]


def test_a_login_whose_time_went_into_its_certificate_is_not_sent(
    client: IdentityClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have taken the login over meanwhile."""
    load, late = Certificate.load_into, [0.0]

    def slow(self: Certificate, context: ssl.SSLContext) -> list[str]:
        late[0] += 100
        return load(self, context)

    monkeypatch.setattr(Certificate, "load_into", slow)
    monkeypatch.setattr(clocks, "now", lambda: (time.monotonic(), time.time() + late[0]))
    with pytest.raises(IdentityUnavailable, match="no time was left") as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert caught.value.sent is False
    assert sandbox.counts() == {}
