"""What a call that failed says, to the letter: it is all that its reader has to go by."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    PublishUncertain,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.failures import failure
from betfair_session.lease import lock as locks
from betfair_session.lease.messages import Failed
from betfair_session.login_status import describe

AT = 1_800_000_000.0
THEN = datetime.fromtimestamp(AT, timezone.utc)
CLOCK = "2027-01-15 08:00:00 UTC"
PLACE = "the token 'token' in the store"
UNTIL = f"no other is tried before {CLOCK}"
FOUR = "4 login attempts in the last minute"
KILLER = (
    "something kills each new session. Look for an egress address that changes between calls, a "
    "wrong jurisdiction, or somebody who logs out"
)


def told(failed: Failed) -> BetfairSessionError:
    """Return the error for it."""
    return failure(failed, store="the store", key="token")


def attributes(error: BetfairSessionError) -> dict[str, object]:
    """Return an error's text, and what it holds besides."""
    return {"": str(error), **vars(error)}


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        (
            locks.Lock(locks.FAILED, login_class="store"),
            StoreUnavailable(
                f"a login for {PLACE} could not be stored a moment ago; {UNTIL}",
                store="the store",
                key="token",
                reason="busy",
            ),
        ),
        (
            locks.Lock(locks.FAILED, status="ACCOUNT_NOW_LOCKED", login_class="account"),
            LoginRefused(
                f"Betfair refused the last login for {PLACE}: ACCOUNT_NOW_LOCKED; {UNTIL}. "
                f"{describe('ACCOUNT_NOW_LOCKED').hint}",
                status="ACCOUNT_NOW_LOCKED",
                login_class="account",
                not_before=THEN,
            ),
        ),
    ],
)
def test_an_earlier_failure_is_told_with_its_end(
    lock: locks.Lock, expected: BetfairSessionError
) -> None:
    """As the error it was, with the time from which another try is allowed."""
    error = told(Failed("refused", lock=lock, not_before=AT))
    assert type(error) is type(expected)
    assert attributes(error) == attributes(expected)


def test_an_earlier_login_without_an_answer_is_told() -> None:
    """By an error that says when to try again."""
    error = told(Failed("refused", lock=locks.Lock(locks.FAILED), not_before=AT))
    expected = IdentityUnavailable(
        f"a login for {PLACE} ended without an answer a moment ago; {UNTIL}"
    )
    expected.not_before = THEN
    assert type(error) is IdentityUnavailable
    assert attributes(error) == attributes(expected)


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        (
            locks.Lock(
                locks.FAILED, since=AT, logins=(AT,) * 4, status="INVALID_USERNAME_OR_PASSWORD"
            ),
            f"{FOUR}, the last: INVALID_USERNAME_OR_PASSWORD. "
            + describe("INVALID_USERNAME_OR_PASSWORD").hint.removesuffix("."),
        ),
        (
            locks.Lock(locks.FAILED, since=AT, logins=(AT,) * 4, login_class="store"),
            f"{FOUR}; the last brought a token that could not be stored",
        ),
        (
            locks.Lock(locks.FAILED, since=AT, logins=(AT,) * 4, login_class="unknown"),
            f"{FOUR}; the last ended without an answer",
        ),
        (
            locks.Lock(locks.DONE, logins=(AT,) * 5),
            "5 login attempts in the last minute, and many more would get the account banned",
        ),
        (
            locks.Lock(locks.DONE, since=AT, logins=(AT,) * 4),
            f"{FOUR}: {KILLER}",
        ),
        (
            None,
            f"too many login attempts in the last minute: {KILLER}",
        ),
    ],
)
def test_the_brake_says_what_came_of_the_logins(lock: locks.Lock | None, why: str) -> None:
    """As far as the lock tells, and from when another is allowed."""
    error = told(Failed("brake", lock=lock, not_before=AT))
    assert isinstance(error, LoginBrake)
    assert str(error) == f"{PLACE} needed {why}. Another login is allowed from {CLOCK}"
    assert error.not_before == THEN


def test_a_wait_that_was_too_long_names_who_logs_in() -> None:
    """And since when; without either it was the caller's own time that was short."""
    lock = locks.Lock(locks.HELD, owner="a host process 1", since=AT)
    error = told(Failed("timeout", lock=lock))
    expected = LoginTimeout(
        f"a host process 1 has been logging in for {PLACE} since {CLOCK}, longer than this call "
        "may wait",
        owner="a host process 1",
        since=THEN,
    )
    assert type(error) is LoginTimeout
    assert attributes(error) == attributes(expected)
    for nobody in (None, locks.Lock(locks.HELD, since=AT)):
        error = told(Failed("timeout", lock=nobody))
        assert type(error) is LoginTimeout
        assert attributes(error) == attributes(
            LoginTimeout(f"too little time was left to log in for {PLACE}")
        )


@pytest.mark.parametrize("since", [0.0, 1e300, -1e300])
def test_a_time_that_is_none_is_unknown(since: float) -> None:
    """Locks come from outside."""
    error = told(Failed("timeout", lock=locks.Lock(locks.HELD, owner="a host", since=since)))
    assert isinstance(error, LoginTimeout)
    assert " since an unknown time, " in str(error)
    assert error.since is None


def test_a_token_that_was_not_stored_is_told_with_its_sessions_fate() -> None:
    """And with both errors."""
    write = StoreWriteError("no room", reason="forbidden")
    error = told(Failed("unwritten", write))
    assert type(error) is StoreWriteError
    start = "a new session token could not be written to 'token' in the store, and its session "
    assert str(error) == f"{start}was ended again. no room"
    assert error.__cause__ is write
    assert error.logout_error is None
    assert (error.reason, error.store, error.key, error.landed) == (
        *("forbidden", "the store", "token", False),
    )
    logout = IdentityUnavailable("away", endpoint="logout")
    error = told(Failed("unwritten", write, logout))
    assert isinstance(error, StoreWriteError)
    assert error.logout_error is logout
    assert str(error) == (
        f"{start}could not be ended either (away), so it lives until it expires. no room"
    )
    foreign = told(Failed("unwritten", "a text"))
    assert isinstance(foreign, StoreWriteError)
    assert foreign.__cause__ is None
    assert foreign.reason == "other"


def test_a_token_that_may_be_stored_is_told() -> None:
    """Its session lives on."""
    write = StoreUnavailable("lost", reason="timeout", landed=True)
    error = told(Failed("uncertain", write))
    assert type(error) is PublishUncertain
    assert str(error) == (
        "a new session token was sent to 'token' in the store, and nobody knows whether it "
        "arrived, so its session was left alone; try again. lost"
    )
    assert error.__cause__ is write
    assert (error.reason, error.store, error.key, error.landed) == (
        *("timeout", "the store", "token", True),
    )
    assert vars(told(Failed("uncertain", ValueError())))["reason"] == "other"


def test_betfairs_own_errors_are_passed_on_with_the_time_of_the_next_try() -> None:
    """Others as they are; so is the time when there is none."""
    for error in (
        IdentityUnavailable("away", endpoint="certlogin"),
        LoginRefused("no", status="NO", login_class="account", endpoint="certlogin"),
    ):
        assert told(Failed("error", error)) is error
        assert error.not_before is None
        assert told(Failed("error", error, not_before=AT)) is error
        assert error.not_before == THEN
    other = ConfigurationError("unfit")
    assert told(Failed("error", other, not_before=AT)) is other
    assert vars(other) == {}


def test_a_refusal_without_a_lock_is_the_error_itself() -> None:
    """The machine never asks for it, and nobody is to be left without a word."""
    error = ConfigurationError("unfit")
    assert told(Failed("refused", error)) is error
