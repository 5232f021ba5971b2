"""The end of a call without a token, told as one of the library's errors."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    PublishUncertain,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)

if TYPE_CHECKING:
    from .lease.lock import Lock
    from .lease.messages import Failed


def failure(failed: Failed, *, store: str, key: str) -> BetfairSessionError:
    """Make the error for a call that failed.

    Args:
        failed: how it ended.
        store: the store's URL for people.
        key: the token's name.

    Returns:
        The error to raise.
    """
    not_before = _time(failed.not_before)
    if failed.why == "refused" and failed.lock:
        return _remembered(failed.lock, not_before, store, key)
    if failed.why == "brake":
        return LoginBrake(
            f"the token {key!r} in {store} {_braked(failed.lock)}. Another login is allowed from "
            f"{_clock(not_before)}",
            not_before=not_before,
        )
    if failed.why == "timeout":
        return _timeout(failed.lock, store, key)
    error = failed.error
    if failed.why == "unwritten":
        return _unwritten(error, failed.also, store, key)
    if failed.why == "uncertain":
        uncertain = PublishUncertain(
            f"a new session token was sent to {key!r} in {store}, and nobody knows whether it "
            f"arrived, so its session was left alone; try again. {error}",
            store=store,
            key=key,
            reason=getattr(error, "reason", "other"),
            landed=True,
        )
        uncertain.__cause__ = error
        return uncertain
    if isinstance(error, LoginRefused | IdentityUnavailable) and not_before:
        error.not_before = not_before
    assert isinstance(error, BetfairSessionError)  # noqa: S101 - nothing else is ever told
    return error


def _braked(lock: Lock | None) -> str:
    """Tell what came of the logins that were too many, as far as the lock says."""
    tried = f"needed {len(lock.logins) if lock else 'too many'} login attempts in the last minute"
    if lock and lock.status:
        from .login_status import describe

        hint = describe(lock.status).hint.rstrip(".")
        return f"{tried}, the last: {lock.status}. {hint}"
    if lock and lock.login_class == "store":
        return f"{tried}; the last brought a token that could not be stored"
    if lock and lock.login_class:
        return f"{tried}; the last ended without an answer"
    if lock and not lock.since:
        # Unlocked by somebody, and with that what came of them is forgotten.
        return f"{tried}, and many more would get the account banned"
    return (
        f"{tried}: something kills each new session. Look for an egress address that changes "
        "between calls, a wrong jurisdiction, or somebody who logs out"
    )


def _remembered(
    lock: Lock, not_before: datetime | None, store: str, key: str
) -> BetfairSessionError:
    """Tell of an earlier login's failure, which is still to be respected."""
    until = f"no other is tried before {_clock(not_before)}"
    place = f"the token {key!r} in {store}"
    if lock.login_class == "store":
        return StoreUnavailable(
            f"a login for {place} could not be stored a moment ago; {until}",
            store=store,
            key=key,
            reason="busy",
        )
    if not lock.status:
        error = IdentityUnavailable(
            f"a login for {place} ended without an answer a moment ago; {until}"
        )
        error.not_before = not_before
        return error
    from .login_status import describe

    return LoginRefused(
        f"Betfair refused the last login for {place}: {lock.status}; {until}. "
        f"{describe(lock.status).hint}",
        status=lock.status,
        login_class=lock.login_class,
        not_before=not_before,
    )


def _timeout(lock: Lock | None, store: str, key: str) -> LoginTimeout:
    if lock is None or not lock.owner:
        return LoginTimeout(f"too little time was left to log in for the token {key!r} in {store}")
    since = _time(lock.since)
    return LoginTimeout(
        f"{lock.owner} has been logging in for the token {key!r} in {store} since "
        f"{_clock(since)}, longer than this call may wait",
        owner=lock.owner,
        since=since,
    )


def _unwritten(
    error: object, logout_error: BetfairSessionError | None, store: str, key: str
) -> StoreWriteError:
    """Tell of a login that was undone; a failed logout is added to the write's error."""
    fate = "its session was ended again"
    if logout_error is not None:
        fate = (
            f"its session could not be ended either ({logout_error}), so it lives until it expires"
        )
    unwritten = StoreWriteError(
        f"a new session token could not be written to {key!r} in {store}, and {fate}. {error}",
        store=store,
        key=key,
        reason=getattr(error, "reason", "other"),
    )
    unwritten.logout_error = logout_error
    unwritten.__cause__ = error if isinstance(error, StoreError) else None
    return unwritten


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _clock(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "an unknown time"
