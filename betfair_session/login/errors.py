"""The errors of the shared login: what happened, and what a reader can do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    PublishUncertain,
    StoreError,
    StoreWriteError,
)
from betfair_session.storage.contract import VersionConflict

from .lock import HELD

if TYPE_CHECKING:
    from betfair_session.events import EventKind

    from .lock import Lock


class Errors(NamedTuple):
    """Makes the errors for one token in one place.

    Attributes:
        store: the store's URL for people.
        key: the token's name.
        certificate: whether logins are made with one.
    """

    store: str
    key: str
    certificate: bool = True

    @property
    def place(self) -> str:
        """The token's place for people."""
        return f"{self.key!r} in {self.store}"

    def timeout(self, lock: Lock | None) -> LoginTimeout:
        """Make the error of a caller whose time is up; `lock` names who logs in, if anybody."""
        if lock is None or lock.state != HELD or not lock.owner:
            return LoginTimeout(f"too little time was left to log in for the token {self.place}")
        since = _time(lock.since)
        return LoginTimeout(
            f"{lock.owner} has been logging in for the token {self.place} since "
            f"{_clock(since)}, longer than this call may wait",
            owner=lock.owner,
            since=since,
        )

    def braked(self, lock: Lock, not_before: float) -> LoginBrake:
        """Make the error of too many logins; the next is allowed at `not_before`.

        That is in seconds since the epoch by this machine's clock, by which a caller will wait.
        """
        then, why = _time(not_before), _braked(lock, self.certificate)
        return LoginBrake(
            f"the token {self.place} {why}. Another login is allowed from {_clock(then)}",
            not_before=then,
        )

    def remembered(self, lock: Lock, not_before: float) -> LoginRefused | IdentityUnavailable:
        """Make the error of an earlier login that failed, which still counts."""
        then = _time(not_before)
        until = f"no other is tried before {_clock(then)}"
        if not lock.status:
            error = IdentityUnavailable(
                f"a login for the token {self.place} ended without an answer a moment ago; {until}"
            )
            error.not_before = then
            return error
        from betfair_session.betfair.login_status import describe

        return LoginRefused(
            f"Betfair refused the last login for the token {self.place}: {lock.status}; {until}. "
            f"{describe(lock.status, certificate=self.certificate).hint}",
            status=lock.status,
            login_class=lock.login_class,
            not_before=then,
        )

    def forbid(self, error: LoginRefused | IdentityUnavailable, not_before: float) -> None:
        """Have Betfair's own error say when another login may be tried."""
        error.not_before = _time(not_before)

    def unwritable(self, error: StoreError) -> StoreError:
        """Make the error of an object that cannot be written, before any login."""
        if not isinstance(error, VersionConflict):
            return error
        return StoreWriteError(
            f"no login is made, since the store refuses each write of {error.key!r} as if another "
            f"had changed it meanwhile: {error}",
            store=self.store,
            key=error.key,
            reason="conflict",
        )

    def unwritten(
        self, error: StoreError | None, logout_error: BetfairSessionError | None
    ) -> StoreWriteError:
        """Make the error of a login that was undone; a failed logout is added to it."""
        fate = "its session was ended again"
        if logout_error is not None:
            fate = (
                f"its session could not be ended either ({logout_error}), so it lives until it "
                "expires"
            )
        unwritten = StoreWriteError(
            f"a new session token could not be written to {self.place}, and {fate}. {error}",
            store=self.store,
            key=self.key,
            reason=error.reason if error else "other",
        )
        unwritten.logout_error = logout_error
        unwritten.__cause__ = error
        return unwritten

    def uncertain(self, error: StoreError | None) -> PublishUncertain:
        """Make the error of a token that may have been stored, or may be yet."""
        uncertain = PublishUncertain(
            f"a new session token was sent to {self.place}, and nobody knows whether it "
            f"arrived, so its session was left alone; try again. {error}",
            store=self.store,
            key=self.key,
            reason=error.reason if error else "other",
            landed=True,
        )
        uncertain.__cause__ = error
        return uncertain


def kind_of(error: BetfairSessionError) -> EventKind:
    """Return the kind of event that tells of a call's failure."""
    if isinstance(error, LoginRefused | LoginBrake):
        return "refused"
    return "failed" if isinstance(error, ConfigurationError) else "cannot tell"


def _braked(lock: Lock, certificate: bool) -> str:  # noqa: FBT001 - private
    """Tell what came of the logins that were too many, as far as the lock says."""
    tried = f"needed {len(lock.logins)} login attempts in the last minute"
    if lock.status:
        from betfair_session.betfair.login_status import describe

        hint = describe(lock.status, certificate=certificate).hint.rstrip(".")
        return f"{tried}, the last: {lock.status}. {hint}"
    if lock.login_class == "store":
        return f"{tried}; the last brought a token that could not be stored"
    if lock.login_class:
        return f"{tried}; the last ended without an answer"
    if not lock.since:
        # After `unlock` the lock does not say any more what came of them.
        return f"{tried}, and many more would get the account banned"
    return (
        f"{tried}: something kills each new session. Look for an egress address that changes "
        "between calls, a wrong jurisdiction, or somebody who logs out"
    )


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _clock(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "an unknown time"
