"""The identity client's public calls: what each answer means, over real TLS."""

from __future__ import annotations

import gc
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from front import identity
from hand_clocks import HandClocks
from secrets_shown import assert_hidden, everything_in
from storage.surroundings import in_a_child

from betfair_session import (
    Blocked,
    Certificate,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
)
from betfair_session.betfair.login_status import describe
from betfair_session.sandbox import Sandbox

DEAD = "A" * 43 + "="
CALLS = ["certlogin", "login", "keepAlive", "logout"]


def calls(client: IdentityClient, sandbox: Sandbox, token: str) -> dict[str, Callable[..., object]]:
    return {
        "certlogin": lambda **more: client.certlogin(sandbox.username, sandbox.password, **more),
        "login": lambda **more: client.login(sandbox.username, sandbox.password, **more),
        "keepAlive": lambda **more: client.keep_alive(token, **more),
        "logout": lambda **more: client.logout(token, **more),
    }


def test_a_session_from_its_login_to_its_end(client: IdentityClient, sandbox: Sandbox) -> None:
    """The certificate goes to certlogin alone; a forked child and a closed client connect anew."""
    token = client.certlogin(sandbox.username, sandbox.password)
    assert [session.token for session in sandbox.sessions()] == [token.reveal()]
    assert client.keep_alive(token) == token
    assert in_a_child(lambda: client.keep_alive(token) == token) is True
    assert client.keep_alive(token) == token
    client.close()
    gc.collect()  # it leaves nothing behind
    client.logout(token)
    assert sandbox.sessions() == []
    assert client.keep_alive(token) is None
    client.logout(token)  # one that is dead already is fine
    entries = sandbox.journal()
    assert [entry.certificate for entry in entries] == [True] + [False] * 6
    first, child, again, *later = [entry.connection for entry in entries[1:]]
    assert first == again
    assert len({first, child, *later}) == 3
    assert not any(entry.defects for entry in entries)
    assert client.keep_alive("x") is None  # INPUT_VALIDATION_ERROR


FAULTS: dict[str, tuple[int | None, bool]] = {  # the status in the error; may it pass?
    "reset": (None, True),
    "lost": (None, True),
    "truncated": (None, True),
    "cut": (200, False),
    "empty": (200, False),
    "huge": (200, False),
    "html200": (200, False),
    "non_object": (200, False),
    "redirect": (302, False),
    "blocked": (403, False),
    "status:404": (404, False),
    "status:429": (429, True),
    "status:500": (500, True),
}


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("endpoint", CALLS)
def test_no_fault_is_taken_for_an_answer(
    client: IdentityClient,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    endpoint: str,
    fault: str,
) -> None:
    """Each is "cannot tell". A login is sent once, other calls three times if it may pass."""
    caplog.set_level(1)
    status, passing = FAULTS[fault]
    token = sandbox.issue()
    call = calls(client, sandbox, token)[endpoint]
    sandbox.fault(endpoint, fault, times=None)
    with pytest.raises(IdentityUnavailable) as caught:
        call()
    error, repeated = caught.value, passing and endpoint in {"keepAlive", "logout"}
    assert sandbox.counts() == {endpoint: 3 if repeated else 1}
    assert (error.endpoint, error.status_code, error.sent) == (endpoint, status, True)
    base = sandbox.identity_cert_url if endpoint == "certlogin" else sandbox.identity_url
    assert base == f"https://{error.host}/api/"
    assert isinstance(error, Blocked) == (fault == "blocked")
    account = (sandbox.username, sandbox.password, sandbox.app_key)
    assert_hidden(everything_in(error) + caplog.text, token, *account)
    if repeated:  # two failures are survived
        sandbox.clear_faults()
        sandbox.fault(endpoint, fault, times=2)
        call()
        assert sandbox.counts() == {endpoint: 6}


@pytest.mark.parametrize("name", ["certlogin", "login"])
def test_a_refusal_names_what_looks_mistyped(sandbox: Sandbox, name: str) -> None:
    username, password = " nobody", '"hunter2"'
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    with identity(sandbox, app_key="'key'") as client, pytest.raises(LoginRefused) as caught:
        getattr(client, name)(username, password)
    odd = {"app_key": "quotes", "username": "blanks", "password": "quotes"}
    error = caught.value
    assert (error.suspects, error.endpoint, error.status_code) == (odd, name, 200)
    assert "hunter2" not in everything_in(error)
    # A login without a certificate gets no hint about one.
    assert describe(error.status, certificate=name == "certlogin").hint in str(error)
    assert ("certificate" in str(error)) == (name == "certlogin")


def test_an_account_without_a_certificate_logs_in(sandbox: Sandbox) -> None:
    """With a two-step code, if it has one, or a function that asks for it."""
    account, client = (sandbox.username, sandbox.password), identity(sandbox, certificate=None)
    assert client.login(*account, code="")
    sandbox.set_two_step("123456")
    for wrong in (None, "7" * 6):
        with pytest.raises(LoginRefused) as caught:
            client.login(*account, code=wrong)
        assert caught.value.login_class == "credentials"
        assert "7" * 6 not in everything_in(caught.value)
    for code in ("123456", lambda: "123456"):
        assert client.login(*account, code=code)
    assert sandbox.counts() == {"login": 5}
    assert not any(entry.defects for entry in sandbox.journal())


def test_a_code_that_cannot_be_used_sends_nothing(sandbox: Sandbox, hands: HandClocks) -> None:
    """It fails, is none, or comes after a sleep, when others no longer wait for this login."""
    client = identity(sandbox, certificate=None)

    def broken() -> str:
        message = "seed 987654"
        raise RuntimeError(message)

    def late() -> str:
        hands.sleep(client.timeout)
        return "987654"

    async def awaited() -> str:
        return "987654"

    codes: list[Any] = [broken, late, awaited, 987654, lambda: 987654, "9876\n54"]
    for code in codes:
        with pytest.raises(ConfigurationError) as caught:
            client.login(sandbox.username, sandbox.password, code=code)
        assert caught.value.argument == "code"
        assert "9876" not in everything_in(caught.value)
    assert sandbox.counts() == {}


def test_limited_access_is_a_session_with_a_warning(
    client: IdentityClient,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As is one that was made with a certificate that ends soon."""
    client.login(sandbox.username, sandbox.password)
    assert caplog.records == []
    load = Certificate.load_into
    monkeypatch.setattr(Certificate, "load_into", lambda *given: [*load(*given), "soon"])
    client.certlogin(sandbox.username, sandbox.password)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]
    caplog.clear()
    sandbox.login_status("LIMITED_ACCESS")
    assert client.login(sandbox.username, sandbox.password)
    assert [each.levelno for each in caplog.records] == [logging.WARNING]


def test_check_tells_alive_dead_and_unknown(
    client: IdentityClient, sandbox: Sandbox, hands: HandClocks
) -> None:
    """Without raising; an expiry counts a sleep of the machine."""
    token = sandbox.issue()
    asked = datetime.fromtimestamp(hands.wall, UTC)
    alive: Any = client.check(token)
    assert (alive.state, alive.token.reveal(), alive.error) == ("alive", token, None)
    assert (alive.verified_at, alive.expires_at) == (asked, asked + timedelta(hours=12))
    assert token not in repr(alive)
    seen = [alive.expired]
    hands.sleep(12 * 3600 + 1)
    assert [*seen, alive.expired] == [False, True]
    sandbox.expire(token)
    dead: Any = client.check(token)
    assert (dead.state, dead.token, dead.expires_at, dead.expired) == ("dead", None, None, False)
    assert dead.verified_at == asked + timedelta(hours=12, seconds=1)
    sandbox.fault("keepAlive", "blocked")
    unknown = client.check(token)
    assert (unknown.state, unknown.verified_at) == ("unknown", None)
    assert isinstance(unknown.error, Blocked)
    for name, length in (("italy", timedelta(minutes=20)), ("romania", None)):
        found: Any = identity(sandbox, jurisdiction=name).check(sandbox.issue())
        assert found.expires_at == (length and found.verified_at + length)
    assert sandbox.counts() == {"keepAlive": 5}


def test_a_login_whose_time_went_into_its_certificate_is_not_sent(
    client: IdentityClient, sandbox: Sandbox, hands: HandClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have taken the login over meanwhile."""
    load = Certificate.load_into

    def slow(self: Certificate, context: ssl.SSLContext) -> list[str]:
        hands.sleep(client.timeout)
        return load(self, context)

    monkeypatch.setattr(Certificate, "load_into", slow)
    with pytest.raises(IdentityUnavailable) as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert not caught.value.sent
    assert sandbox.counts() == {}


def test_the_bases_are_the_jurisdictions_or_the_callers() -> None:
    """With or without a slash at the end; a sandbox's session is not for Betfair's own API."""
    usual = IdentityClient("key", jurisdiction="nz")
    assert usual.identity_url == "https://identitysso.betfair.au/api/"
    assert usual.api_url == "https://api.betfair.com.au/exchange/"
    assert repr(usual) == "IdentityClient(jurisdiction='new_zealand')"
    theirs = IdentityClient("key", identity_url="https://IdentitySSO.Betfair.com.au/api")
    assert theirs.identity_url == "https://IdentitySSO.Betfair.com.au/api/"
    assert theirs.api_url == "https://api.betfair.com/exchange/"
    named = IdentityClient("key", identity_url="https://identitysso.betfair.com:443/api/")
    assert named.api_url == "https://api.betfair.com/exchange/"
    for url in ("https://[::1]:8443/", "https://notbetfair.com/", "https://betfair.com.a.org/"):
        assert IdentityClient("key", identity_url=url).api_url is None
        named = IdentityClient("key", identity_url=url, api_url="https://localhost:1/x")
        assert named.api_url == "https://localhost:1/x/"


def test_a_refusal_shows_no_key_that_was_given_as_text(sandbox: Sandbox) -> None:
    """Not even to a tool that looks into the texts and tuples of frames."""
    parts = [Path(path).read_text("ascii") for path in sandbox.certificate]
    sandbox.login_status("SUSPENDED")
    client = identity(sandbox, certificate=Certificate.from_pem(*parts))
    with pytest.raises(LoginRefused) as caught:
        client.certlogin(sandbox.username, sandbox.password)
    assert_hidden(everything_in(caught.value), parts[1].splitlines()[1])
