"""The sandbox's rules by themselves, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from betfair_session.sandbox.accounts import Account, Accounts
from betfair_session.sandbox.faults import Faults
from betfair_session.sandbox.messages import Ask
from betfair_session.sandbox.sessions import Clock, Sessions, Settings
from betfair_session.sandbox.world import StoreBreaker

if TYPE_CHECKING:
    from pathlib import Path

_UPLOADED = b"uploaded certificate"


class Rules:
    """Accounts and sessions with one account, as the sandbox wires them."""

    def __init__(self) -> None:
        """Start with one account that has a certificate."""
        self.clock = Clock()
        self.settings = Settings()
        self.sessions = Sessions(self.clock, self.settings)
        home = Account("user", "password", frozenset({_UPLOADED}))
        self.accounts = Accounts(home, self.clock, self.settings, self.sessions)

    def certlogin(self, password: str = "password") -> str:
        """Log in with the uploaded certificate and return the code."""
        return self.accounts.certlogin("user", password, _UPLOADED).code


def test_the_hundred_and_first_login_within_a_minute_bans_for_twenty_minutes() -> None:
    """The limit is 100 successful logins; sessions live through the ban."""
    rules = Rules()
    assert [rules.certlogin() for _ in range(100)] == ["SUCCESS"] * 100
    assert rules.certlogin() == "TEMPORARY_BAN_TOO_MANY_REQUESTS"
    rules.clock.advance(20 * 60 - 5)
    assert rules.certlogin() == "TEMPORARY_BAN_TOO_MANY_REQUESTS"
    assert len(rules.sessions.live()) == 100
    rules.clock.advance(10)
    assert rules.certlogin() == "SUCCESS"


def test_logins_spread_over_time_are_never_banned() -> None:
    """Only the last minute counts."""
    rules = Rules()
    for _ in range(5):
        assert {rules.certlogin() for _ in range(60)} == {"SUCCESS"}
        rules.clock.advance(61)


def test_wrong_passwords_in_a_row_lock_the_account_and_a_right_one_starts_over() -> None:
    """The one that locks says so, those after it say that it is locked."""
    rules = Rules()
    rules.settings.configure(lock_after=3)
    assert [rules.certlogin("x"), rules.certlogin("x")] == ["INVALID_USERNAME_OR_PASSWORD"] * 2
    assert rules.certlogin() == "SUCCESS"
    assert [rules.certlogin("x"), rules.certlogin("x")] == ["INVALID_USERNAME_OR_PASSWORD"] * 2
    assert rules.certlogin("x") == "ACCOUNT_NOW_LOCKED"
    assert rules.certlogin() == "ACCOUNT_ALREADY_LOCKED"


def test_a_two_step_code_follows_the_password_of_interactive_logins_only() -> None:
    """Two-step authentication does not affect certificate logins."""
    rules = Rules()
    rules.accounts.set_two_step("123456")
    assert rules.accounts.login("user", "password").code == "STRONG_AUTH_CODE_REQUIRED"
    assert rules.accounts.login("user", "password654321").code == "STRONG_CODE_FAIL"
    assert rules.accounts.login("user", "pass123456").code == "INVALID_USERNAME_OR_PASSWORD"
    assert rules.accounts.login("user", "password123456").code == "SUCCESS"
    assert rules.certlogin() == "SUCCESS"


def test_a_session_lives_from_its_last_keep_alive() -> None:
    """A keepAlive extends it, time ends it, and an ended one cannot be extended."""
    rules = Rules()
    token = rules.sessions.issue("user")
    rules.clock.advance(11 * 3600)
    assert rules.sessions.keep_alive(token) == "SUCCESS"
    rules.clock.advance(11 * 3600)
    assert rules.sessions.find(token)
    rules.clock.advance(2 * 3600)
    assert rules.sessions.keep_alive(token) == "NO_SESSION"


def test_no_session_seconds_make_every_new_token_dead_at_once() -> None:
    """That is how a test rejects every new token."""
    rules = Rules()
    rules.settings.configure(session_seconds=0)
    token = rules.accounts.certlogin("user", "password", _UPLOADED).token
    assert rules.sessions.keep_alive(token) == "NO_SESSION"


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """A mistyped setting must not pass silently."""
    with pytest.raises(TypeError):
        Settings().configure(sessions_second=1)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"username=a&password=b%2Bc%20d%26", {"username": "a", "password": "b+c d&"}),
        (b"username=a&password=b+c", {"username": "a", "password": "b c"}),
        (b"password=%C3%BC", {"password": "\u00fc"}),
        (b"password=", {"password": ""}),
        (b"password=50%off", None),
        (b"password=a b", None),
        (b"password=\xc3\xbc", None),
        (b"password=%FF", None),
        (b"password=a&password=b", None),
    ],
)
def test_forms_are_decoded_strictly(body: bytes, fields: dict[str, str] | None) -> None:
    """What had to be encoded and was not makes the whole form unreadable."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert Ask("POST", "/", headers=headers, body=body).form() == fields
    assert Ask("POST", "/", body=body).form() is None


def test_faults_skip_hit_and_run_out_in_turn() -> None:
    """Each request goes to the first fault of its endpoint that no longer skips."""
    faults = Faults()
    faults.add("keepAlive", "reset", times=2, skip=1)
    faults.add("*", "stall")
    hits = [fault and fault.kind for fault in (faults.take("keepAlive") for _ in range(5))]
    assert hits == ["stall", "reset", "reset", None, None]
    faults.add("keepAlive", "blocked", times=None)
    assert faults.take("certlogin") is None
    assert {faults.take("keepAlive") is None for _ in range(10)} == {False}
    faults.clear()
    assert faults.take("keepAlive") is None


@pytest.mark.parametrize("kind", ["resett", "status", "status:", "status:many", "reset:1", ""])
def test_a_fault_that_does_not_exist_is_refused(kind: str) -> None:
    """A mistyped fault must not pass silently."""
    with pytest.raises(ValueError, match="there is no fault"):
        Faults().add("keepAlive", kind)


def test_a_fault_parameter_that_does_not_exist_is_refused() -> None:
    """A mistyped parameter must not pass silently."""
    with pytest.raises(ValueError, match="there is no fault"):
        Faults().add("keepAlive", "drip", second=1)


def test_a_broken_store_is_a_plain_file_until_it_is_mended(tmp_path: Path) -> None:
    """Its content comes back whole, and only the armed login breaks it."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "token").write_text("abc")
    breaker = StoreBreaker()
    breaker.strike()
    assert store.is_dir()
    breaker.break_store(str(store))
    breaker.strike()
    assert store.is_file()
    breaker.mend_store()
    assert (store / "token").read_text() == "abc"
    breaker.strike()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
