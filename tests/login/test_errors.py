"""What a call that failed says of it, as attributes that programs can read."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from betfair_session import IdentityUnavailable, LoginRefused, StoreUnavailable, StoreWriteError
from betfair_session.login import lock as locks
from betfair_session.login.errors import Errors
from betfair_session.storage.contract import VersionConflict

if TYPE_CHECKING:
    from betfair_session import BetfairSessionError

AT = 1_800_000_000.0
THEN = datetime.fromtimestamp(AT, timezone.utc)
ERRORS = Errors("the store", "token")


def place(error: BetfairSessionError) -> tuple[object, ...]:
    """Return where an error of the store happened, and what is known of it."""
    return tuple(vars(error)[name] for name in ("store", "key", "reason", "landed"))


def test_an_earlier_refusal_is_told_as_what_it_was_with_its_end() -> None:
    """With Betfair's code, its class and the time from which another try is allowed."""
    lock = locks.Lock(locks.FAILED, status="ACCOUNT_NOW_LOCKED", login_class="account")
    error = ERRORS.remembered(lock, AT)
    assert isinstance(error, LoginRefused)
    assert (error.status, error.login_class) == ("ACCOUNT_NOW_LOCKED", "account")
    assert error.not_before == THEN
    unanswered = ERRORS.remembered(locks.Lock(locks.FAILED, login_class="unknown"), AT)
    assert type(unanswered) is IdentityUnavailable
    assert unanswered.not_before == THEN


def test_the_brake_says_from_when_another_login_is_allowed() -> None:
    """Whatever came of the ones before."""
    for lock in (
        locks.Lock(locks.FAILED, since=AT, logins=(AT,) * 4, status="SUSPENDED"),
        locks.Lock(locks.FAILED, since=AT, login_class="store"),
        locks.Lock(locks.FAILED, since=AT, login_class="unknown"),
        locks.Lock(locks.DONE),
        locks.Lock(locks.DONE, since=AT),
    ):
        assert ERRORS.braked(lock, AT).not_before == THEN


def test_a_wait_that_was_too_long_names_who_logs_in() -> None:
    """And since when; without either it was the caller's own time that was short."""
    error = ERRORS.timeout(locks.Lock(locks.HELD, owner="a host process 1", since=AT))
    assert (error.owner, error.since) == ("a host process 1", THEN)
    for nobody in (None, locks.Lock(locks.HELD, since=AT)):
        error = ERRORS.timeout(nobody)
        assert (error.owner, error.since) == (None, None)


@pytest.mark.parametrize("since", [0.0, 1e300, -1e300])
def test_a_time_that_is_none_is_unknown(since: float) -> None:
    """Locks come from outside."""
    assert ERRORS.timeout(locks.Lock(locks.HELD, owner="a host", since=since)).since is None


@pytest.mark.parametrize("logout", [None, IdentityUnavailable("away", endpoint="logout")])
def test_a_token_that_was_not_stored_is_told_with_both_errors(
    logout: IdentityUnavailable | None,
) -> None:
    """The write's as the cause, the logout's as an attribute."""
    write = StoreWriteError("no room", reason="full")
    error = ERRORS.unwritten(write, logout)
    assert error.__cause__ is write
    assert error.logout_error is logout
    assert place(error) == ("the store", "token", "full", False)


def test_a_token_that_may_be_stored_is_told() -> None:
    """Its session lives on."""
    write = StoreUnavailable("lost", reason="timeout", landed=True)
    error = ERRORS.uncertain(write)
    assert error.__cause__ is write
    assert place(error) == ("the store", "token", "timeout", True)


def test_a_condition_that_never_holds_is_told_as_a_write_that_was_refused() -> None:
    """Other errors of the store are told as they are."""
    error = ERRORS.unwritable(VersionConflict("412", key="token.login", reason="conflict"))
    assert type(error) is StoreWriteError
    assert place(error) == ("the store", "token.login", "conflict", False)
    other = StoreUnavailable("lost")
    assert ERRORS.unwritable(other) is other


def test_betfairs_own_errors_get_the_time_of_the_next_try() -> None:
    """Which they do not know themselves."""
    error = LoginRefused("no")
    ERRORS.forbid(error, AT)
    assert error.not_before == THEN
