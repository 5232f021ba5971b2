"""The identity client, over real TLS."""

from __future__ import annotations

import gc
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    Blocked,
    CertificateError,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

CANNOT_TELL: dict[str, dict[str, Any]] = {
    "status:503": {},
    "status:500": {"body": "json"},
    "status:429": {},
    "status:404": {},
    "blocked": {},
    "html200": {},
    "png200": {},
    "internal_error": {},
    "non_object": {},
    "redirect": {},
    "reset": {},
    "truncated": {},
    "cut": {},
    "empty": {},
    "huge": {},
}


def login(client: IdentityClient, sandbox: Sandbox) -> str:
    """Log in with the sandbox's account."""
    return client.certlogin(sandbox.username, sandbox.password).reveal()


def test_a_login_brings_a_token_that_lives(client: IdentityClient, sandbox: Sandbox) -> None:
    """One certlogin with the client certificate, form-encoded, nothing in the URL."""
    token = login(client, sandbox)
    assert [session.token for session in sandbox.sessions()] == [token]
    (entry,) = sandbox.journal()
    assert (entry.endpoint, entry.certificate, entry.defects) == ("certlogin", True, [])
    alive = client.keep_alive(token)
    assert alive is not None
    assert alive.reveal() == token


def test_calls_share_a_connection_and_present_no_certificate_but_to_certlogin(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """A keepAlive goes to the plain host, on one pooled connection."""
    token = login(client, sandbox)
    for _ in range(3):
        client.keep_alive(token)
    entries = sandbox.journal("keepAlive")
    assert len({entry.connection for entry in entries}) == 1
    assert not any(entry.certificate for entry in entries)


@pytest.mark.parametrize("token", ["A" * 43 + "=", "x"])
def test_no_session_and_a_malformed_token_are_dead(client: IdentityClient, token: str) -> None:
    """NO_SESSION and INPUT_VALIDATION_ERROR, in a plain answer."""
    assert client.keep_alive(token) is None


@pytest.mark.parametrize(("fault", "parameters"), CANNOT_TELL.items())
def test_everything_else_is_cannot_tell(
    client: IdentityClient, sandbox: Sandbox, fault: str, parameters: dict[str, Any]
) -> None:
    """Never "dead", whatever Betfair or a box in between answers; and no secret comes out."""
    token = login(client, sandbox)
    sandbox.fault("keepAlive", fault, times=None, **parameters)
    with pytest.raises(IdentityUnavailable) as caught:
        client.keep_alive(token)
    assert caught.value.endpoint == "keepAlive"
    assert isinstance(caught.value, Blocked) == (fault == "blocked")
    shown = everything_in(caught.value)
    assert token not in shown
    assert sandbox.app_key not in shown


@pytest.mark.parametrize("fault", ["reset", "status:503", "status:429", "truncated"])
def test_what_may_pass_is_tried_three_times(
    client: IdentityClient, sandbox: Sandbox, fault: str
) -> None:
    """Two failures are survived; a third is the answer."""
    token = login(client, sandbox)
    sandbox.fault("keepAlive", fault, times=2)
    assert client.keep_alive(token) is not None
    assert sandbox.counts()["keepAlive"] == 3
    sandbox.fault("keepAlive", fault, times=None)
    with pytest.raises(IdentityUnavailable):
        client.keep_alive(token)
    assert sandbox.counts()["keepAlive"] == 6


@pytest.mark.parametrize("fault", ["blocked", "html200", "redirect", "internal_error", "cut"])
def test_what_will_not_pass_is_asked_once(
    client: IdentityClient, sandbox: Sandbox, fault: str
) -> None:
    """An answer is an answer, even one that says nothing."""
    token = login(client, sandbox)
    sandbox.fault("keepAlive", fault, times=None)
    with pytest.raises(IdentityUnavailable):
        client.keep_alive(token)
    assert sandbox.counts()["keepAlive"] == 1


@pytest.mark.parametrize("fault", ["reset", "lost", "status:503", "blocked", "truncated"])
def test_a_login_is_sent_once(client: IdentityClient, sandbox: Sandbox, fault: str) -> None:
    """Nobody may guess whether a second one is safe; and no secret comes out."""
    sandbox.fault("certlogin", fault, times=None)
    with pytest.raises(IdentityUnavailable) as caught:
        login(client, sandbox)
    assert sandbox.counts() == {"certlogin": 1}
    shown = everything_in(caught.value)
    assert sandbox.password not in shown
    assert sandbox.username not in shown


@pytest.mark.parametrize(
    "value", ["", "x" * 513, "two words", "line\nbreak", "tök", "\x00", "tab\t", None, 7, ["x"]]
)
def test_a_garbled_token_in_an_answer_is_refused(
    client: IdentityClient, sandbox: Sandbox, value: object
) -> None:
    """It can never become a header or be written; an alive session keeps the token it has."""
    sandbox.fault("certlogin", "token", value=value)
    with pytest.raises(IdentityUnavailable, match="without a usable token"):
        login(client, sandbox)
    token = login(client, sandbox)
    sandbox.fault("keepAlive", "token", value=value)
    alive = client.keep_alive(token)
    assert alive is not None
    assert alive.reveal() == token


def test_a_rotated_token_is_adopted(client: IdentityClient, sandbox: Sandbox) -> None:
    """Betfair echoes the token; should it ever send another, that one counts."""
    token = login(client, sandbox)
    sandbox.fault("keepAlive", "rotate")
    alive = client.keep_alive(token)
    assert alive is not None
    assert alive.reveal() != token
    assert client.keep_alive(alive) == alive


@pytest.mark.parametrize(
    ("status", "login_class"),
    [
        ("INVALID_USERNAME_OR_PASSWORD", "credentials"),
        ("ACCOUNT_NOW_LOCKED", "account"),
        ("TEMPORARY_BAN_TOO_MANY_REQUESTS", "ban"),
        ("SOMETHING_NEW_2031", "unknown"),
    ],
)
def test_a_refusal_names_betfairs_code_and_its_class(
    client: IdentityClient, sandbox: Sandbox, status: str, login_class: str
) -> None:
    """Codes nobody knows yet pass through by name."""
    sandbox.login_status(status)
    with pytest.raises(LoginRefused, match=status) as caught:
        login(client, sandbox)
    assert (caught.value.status, caught.value.login_class) == (status, login_class)
    assert caught.value.status_code == 200


@pytest.mark.parametrize(
    ("call", "fault"), [("keep_alive", "stall"), ("keep_alive", "drip"), ("certlogin", "stall")]
)
def test_a_call_ends_when_its_time_is_up(
    client: IdentityClient, sandbox: Sandbox, call: str, fault: str
) -> None:
    """Silence and one byte now and then both count as no answer."""
    token = login(client, sandbox)
    if fault == "stall":
        sandbox.fault("*", fault, times=None)
    else:
        sandbox.fault("*", fault, times=None, seconds=0.3, part="head")
    arguments = (token,) if call == "keep_alive" else (sandbox.username, sandbox.password)
    with pytest.raises(IdentityUnavailable, match=r"timed out|no answer within"):
        getattr(client, call)(*arguments, timeout=0.8)


def test_a_logout_ends_the_session_and_bears_repetition(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """A session that is dead already is fine."""
    token = login(client, sandbox)
    client.logout(token)
    assert sandbox.sessions() == []
    client.logout(token)
    sandbox.fault("logout", "html200")
    with pytest.raises(IdentityUnavailable):
        client.logout(token)


@pytest.mark.parametrize("change", ["missing", "garbage", "mismatch", "none", "directory"])
def test_a_bad_certificate_is_found_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, change: str
) -> None:
    """Missing, unreadable, mismatched: one clear error, no login request."""
    crt, key = sandbox.certificate
    (tmp_path / "garbage").write_text("no certificate")
    _, strangers_key = sandbox.make_certificate(f"stranger_{change}")
    certificate: Any = {
        "missing": (str(tmp_path / "nowhere.crt"), key),
        "garbage": (str(tmp_path / "garbage"), key),
        "mismatch": (crt, strangers_key),
        "none": None,
        "directory": (str(tmp_path), key),
    }[change]
    client = make(sandbox, certificate)
    with pytest.raises(CertificateError if certificate else ConfigurationError):
        login(client, sandbox)
    assert sandbox.counts() == {}


def test_a_strangers_certificate_is_refused_by_name(sandbox: Sandbox) -> None:
    """CERT_AUTH_REQUIRED, with a hint that names both causes."""
    client = make(sandbox, sandbox.make_certificate("stranger"))
    with pytest.raises(LoginRefused, match="CERT_AUTH_REQUIRED") as caught:
        login(client, sandbox)
    assert caught.value.login_class == "certificate"


def test_a_certificate_may_be_one_file_or_bytes(sandbox: Sandbox, tmp_path: Path) -> None:
    """(crt, key) paths, one .pem, or bytes."""
    both = b"".join(Path(path).read_bytes() for path in sandbox.certificate)
    pem = tmp_path / "client.pem"
    pem.write_bytes(both)
    for certificate in (str(pem), pem, both, sandbox.certificate):
        assert login(make(sandbox, certificate), sandbox)


def make(sandbox: Sandbox, certificate: Any) -> IdentityClient:  # noqa: ANN401 - any form
    """Return a client for the sandbox with another certificate."""
    return IdentityClient(
        sandbox.app_key,
        certificate=certificate,
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
        verify=sandbox.ca_bundle,
    )


def test_a_server_nobody_vouches_for_is_never_sent_anything(sandbox: Sandbox) -> None:
    """The sandbox's authority is not among the usual ones."""
    client = IdentityClient(
        sandbox.app_key,
        certificate=sandbox.certificate,
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
    )
    for call in (
        lambda: login(client, sandbox),
        lambda: client.keep_alive("A" * 44),
    ):
        with pytest.raises(IdentityUnavailable):
            call()
    assert sandbox.counts() == {}


WRONG: list[Callable[[], object]] = [
    lambda: IdentityClient("key", verify=False),
    lambda: IdentityClient("key", verify=None),  # type: ignore[arg-type]
    lambda: IdentityClient("key", verify=""),
    lambda: IdentityClient("key", verify=0),  # type: ignore[arg-type]
    lambda: IdentityClient("key", verify=1),  # type: ignore[arg-type]
    lambda: IdentityClient("key", verify="/nowhere/ca.pem"),
    lambda: IdentityClient(""),
    lambda: IdentityClient("with space"),
    lambda: IdentityClient("line\nbreak"),
    lambda: IdentityClient("key", jurisdiction="atlantis"),
    lambda: IdentityClient("key", identity_url="http://localhost/api/"),
    lambda: IdentityClient("key", identity_url="https://user:pw@localhost/api/"),
    lambda: IdentityClient("key", identity_url="https://localhost/api/?x=1"),
    lambda: IdentityClient("key", identity_url="https://localhost:port/"),
    lambda: IdentityClient("key", identity_cert_url="localhost"),
    lambda: IdentityClient("key", timeout=0),
    lambda: IdentityClient("key", timeout=-1),
    lambda: IdentityClient("key", timeout=float("nan")),
    lambda: IdentityClient("key", timeout="3"),  # type: ignore[arg-type]
    lambda: IdentityClient("key", timeout=None),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make_client", WRONG, ids=range(len(WRONG)))
def test_arguments_that_cannot_work_are_refused_at_once(make_client: Callable[[], object]) -> None:
    """Each is a ConfigurationError, and so a ValueError."""
    with pytest.raises(ConfigurationError) as caught:
        make_client()
    assert isinstance(caught.value, ValueError)
    assert "pw" not in str(caught.value)


def test_a_base_may_come_without_its_slash(sandbox: Sandbox) -> None:
    """Both forms name the same place."""
    client = IdentityClient(
        "key", identity_url=sandbox.identity_url.rstrip("/"), verify=sandbox.ca_bundle
    )
    assert client.keep_alive("A" * 43 + "=") is None


def test_nothing_secret_is_in_the_client(client: IdentityClient, sandbox: Sandbox) -> None:
    """Neither in its repr nor in any attribute's."""
    login(client, sandbox)
    shown = repr(client) + repr(vars(client)) + repr(vars(client._calls))
    assert sandbox.app_key not in shown
    assert "PRIVATE KEY" not in shown


def test_netrc_and_the_environments_bundle_change_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requests library would send .netrc's password and trust another bundle."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    client = make(sandbox, sandbox.certificate)
    token = login(client, sandbox)
    assert client.keep_alive(token) is not None
    assert not any(entry.defects for entry in sandbox.journal())


def test_a_closed_client_can_be_used_again(client: IdentityClient, sandbox: Sandbox) -> None:
    """close() gives back connections, no more; and leaves nothing to be warned about."""
    token = login(client, sandbox)
    client.keep_alive(token)
    client.close()
    gc.collect()
    assert client.keep_alive(token) is not None


def test_what_is_no_token_is_never_sent(client: IdentityClient, sandbox: Sandbox) -> None:
    """It could not be a header."""
    for call in (client.keep_alive, client.logout):
        with pytest.raises(BetfairSessionError, match="token must be"):
            call("two words")
    assert sandbox.counts() == {}


@pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="nothing here that even root cannot read"
)
def test_a_bundle_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later it would look as if Betfair had not answered; so would one without a certificate."""
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("ca.pem")
        with pytest.raises(ConfigurationError, match=r"the CA bundle 'ca\.pem' cannot be read: "):
            IdentityClient("key", verify="ca.pem")
    Path("empty.pem").touch()
    with pytest.raises(ConfigurationError, match=r"'empty\.pem' holds no certificate"):
        IdentityClient("key", verify="empty.pem")
    assert IdentityClient("key", verify=str(tmp_path)).verify == str(tmp_path)


def test_a_time_or_a_code_of_a_wrong_type_is_refused(
    client: IdentityClient, sandbox: Sandbox
) -> None:
    """Before anything is sent; and the code does not show."""
    wrong: Any = "3"
    for call in (
        lambda: client.keep_alive("A" * 44, timeout=wrong),
        lambda: client.check("A" * 44, timeout=wrong),
        lambda: client.logout("A" * 44, timeout=wrong),
        lambda: client.certlogin("u", "p", timeout=wrong),
    ):
        with pytest.raises(ConfigurationError, match="timeout must be a number of seconds"):
            call()
    number: Any = 918273
    for code in (number, lambda: number):
        with pytest.raises(ConfigurationError) as caught:
            client.login("u", "p", code=code)
        assert caught.value.argument == "code"
        assert "918273" not in str(caught.value)
    assert sandbox.counts() == {}
