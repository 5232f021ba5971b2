"""What a call that failed says of it, as attributes that programs can read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from betfair_session import IdentityUnavailable, LoginRefused, StoreUnavailable, StoreWriteError
from betfair_session.login.errors import Errors
from betfair_session.login.lock import DONE, FAILED, HELD, Lock
from betfair_session.storage.contract import VersionConflict

AT = 1_800_000_000.0
THEN = datetime.fromtimestamp(AT, UTC)
ERRORS = Errors("the store", "token")
PLACE = {"store": "the store", "key": "token"}


def test_an_earlier_failure_is_told_as_what_it_was_with_its_end() -> None:
    """A refusal with Betfair's code and its class."""
    refused = ERRORS.remembered(Lock(FAILED, status="SUSPENDED", login_class="account"), AT)
    assert isinstance(refused, LoginRefused)
    assert (refused.status, refused.login_class) == ("SUSPENDED", "account")
    unanswered = ERRORS.remembered(Lock(FAILED, login_class="unknown"), AT)
    assert type(unanswered) is IdentityUnavailable
    assert refused.not_before == unanswered.not_before == THEN


@pytest.mark.parametrize(
    "lock",
    [
        Lock(FAILED, since=AT, logins=(AT,) * 4, status="SUSPENDED"),
        Lock(FAILED, since=AT, login_class="store"),
        Lock(FAILED, since=AT, login_class="unknown"),
        Lock(DONE),
        Lock(DONE, since=AT),
    ],
)
def test_the_brake_says_from_when_another_login_is_allowed(lock: Lock) -> None:
    """Whatever came of the ones before."""
    assert ERRORS.braked(lock, AT).not_before == THEN


@pytest.mark.parametrize(
    ("lock", "owner", "since"),
    [
        (Lock(HELD, owner="a host process 1", since=AT), "a host process 1", THEN),
        (None, None, None),
        (Lock(HELD, since=AT), None, None),
        (Lock(DONE, owner="a host", since=AT), None, None),
        *((Lock(HELD, owner="a host", since=odd), "a host", None) for odd in (0.0, 1e300, -1e300)),
    ],
)
def test_a_wait_that_was_too_long_names_who_logs_in(
    lock: Lock | None, owner: str | None, since: datetime | None
) -> None:
    """And since when, as far as the lock, which comes from outside, tells a time."""
    error = ERRORS.timeout(lock)
    assert (error.owner, error.since) == (owner, since)


@pytest.mark.parametrize("logout", [None, IdentityUnavailable("away", endpoint="logout")])
def test_a_token_that_was_not_stored_is_told_with_both_errors(
    logout: IdentityUnavailable | None,
) -> None:
    """The write's as the cause, the logout's as an attribute."""
    write = StoreWriteError("no room", reason="full")
    error = ERRORS.unwritten(write, logout)
    assert (error.__cause__, error.logout_error) == (write, logout)
    assert vars(error).items() >= {**PLACE, "reason": "full", "landed": False}.items()


def test_a_token_that_may_be_stored_is_told() -> None:
    """Its session lives on."""
    write = StoreUnavailable("lost", reason="timeout", landed=True)
    error = ERRORS.uncertain(write)
    assert error.__cause__ is write
    assert vars(error).items() >= {**PLACE, "reason": "timeout", "landed": True}.items()


def test_a_condition_that_never_holds_is_told_as_a_write_that_was_refused() -> None:
    """Other errors of the store are told as they are."""
    error = ERRORS.unwritable(VersionConflict("412", key="token.login", reason="conflict"))
    assert type(error) is StoreWriteError
    expected = {"store": "the store", "key": "token.login", "reason": "conflict", "landed": False}
    assert vars(error).items() >= expected.items()
    other = StoreUnavailable("lost")
    assert ERRORS.unwritable(other) is other
