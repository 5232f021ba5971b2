"""The errors of the shared login: what happened, and what a reader can do about it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

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
from betfair_session.process import NamedTuple
from betfair_session.storage.contract import VersionConflict

from .lock import HELD

_ENDS_BY_ITSELF = frozenset({"ban", "temporary"})  # classes of refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from betfair_session.events import EventKind

    from .lock import Lock


class Errors(NamedTuple):
    """Makes the errors for one token in one place.

    `not_before` is when the next login is allowed, in seconds since the epoch by this machine's
    clock, since a caller waits by that one.

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
        """Make the error of a caller whose time is up; `lock` names the process that logs in."""
        if lock is None or lock.state != HELD or not lock.owner:
            return LoginTimeout(
                f"too little time was left to log in for the token {self.place}; allow 20 seconds "
                "or more: `timeout` (--timeout), or the manager's `login_timeout`"
            )
        since = moment(lock.since)
        return LoginTimeout(
            f"{lock.owner} has been logging in for the token {self.place} since "
            f"{in_words(lock.since)}, and this call may wait no longer; call again",
            owner=lock.owner,
            since=since,
        )

    def braked(self, lock: Lock, not_before: float) -> LoginBrake:
        """Make the error of too many logins."""
        then = moment(not_before)
        return LoginBrake(
            f"the token {self.place} needed {len(lock.logins)} login attempts in the last minute"
            f"{self._outcome(lock)}. Another login is allowed from {in_words(not_before)}",
            not_before=then,
        )

    def remembered(self, lock: Lock, not_before: float) -> LoginRefused | IdentityUnavailable:
        """Make the error of an earlier failed login that still counts."""
        then = moment(not_before)
        until = f"no other login is made before {in_words(not_before)}"
        if not lock.status:
            return IdentityUnavailable(
                f"a login for the token {self.place} ended without a clear answer a moment ago; "
                f"{until}",
                not_before=then,
            )
        unlock = f"`session.unlock()` or {run('unlock', self.store, self.key)}"
        return LoginRefused(
            f"Betfair refused the last login for the token {self.place}: {lock.status}. This call "
            f"sent no login; {until}. {with_unlock(self._hint(lock), lock.login_class, unlock)}",
            status=lock.status,
            login_class=lock.login_class,
            not_before=then,
        )

    def unwritable(self, error: StoreError) -> StoreError:
        """Make the error of an object that cannot be written, before any login."""
        if not isinstance(error, VersionConflict):
            return error
        return StoreWriteError(
            f"no login is made: the store refuses each write of {error.key!r} as if it had just "
            f"changed: {error}",
            store=self.store,
            key=error.key,
            reason="conflict",
        )

    def unwritten(
        self, error: StoreError, logout_error: BetfairSessionError | None
    ) -> StoreWriteError:
        """Make the error of a new token that could not be stored; add that of its logout."""
        fate = "its session was ended"
        if logout_error is not None:
            fate = f"its session could not be ended ({logout_error}) and lives until it expires"
        text = f"a new session token could not be written to {self.place}, and {fate}. {error}"
        unwritten = StoreWriteError(
            text, store=self.store, key=self.key, reason=error.reason, logout_error=logout_error
        )
        unwritten.__cause__ = error
        return unwritten

    def uncertain(self, error: StoreError) -> PublishUncertain:
        """Make the error of a new token that may have been stored, or may still arrive."""
        text = (
            f"a new session token was sent to {self.place}, and may or may not have arrived, so "
            f"its session was left alone; call again. {error}"
        )
        uncertain = PublishUncertain(
            text, store=self.store, key=self.key, reason=error.reason, landed=True
        )
        uncertain.__cause__ = error
        return uncertain

    def _outcome(self, lock: Lock) -> str:
        """Return how the last of too many logins ended, as far as the lock says."""
        if lock.status:
            return f", the last: {lock.status}. {self._hint(lock).rstrip('.')}"
        if lock.login_class == "store":
            return "; the token of the last one could not be stored"
        if lock.login_class:
            return "; the last one ended without a clear answer"
        if not lock.since:  # `unlock` removed their outcome from the lock
            return ", and many more would get the account banned"
        return (
            ": something ends each new session. Look for an egress address that changes between "
            "calls, a wrong jurisdiction, or a program that logs out"
        )

    def _hint(self, lock: Lock) -> str:
        from betfair_session.betfair.login_status import describe

        return describe(lock.status, certificate=self.certificate).hint


def with_unlock(hint: str, login_class: str, unlock: str) -> str:
    """Add `unlock` to a refused login's hint, unless only time ends what it is about."""
    if login_class in _ENDS_BY_ITSELF:
        return hint
    return (
        f"{hint} If you have corrected the cause, restart what still has the old settings; then "
        f"{unlock} lets the next call log in at once."
    )


def run(command: str, *place: str) -> str:
    """Return a command for people to run; `place` is store and key, or nothing."""
    import shlex  # neither is needed by a call that works
    import subprocess

    # cmd.exe knows double quotes alone, and shlex quotes each backslash with others.
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    return f"`betfair-session {join((command, *place))}`"


def kind_of(error: BetfairSessionError) -> EventKind:
    """Return the kind of event that reports a failed call."""
    if isinstance(error, LoginRefused | LoginBrake):
        return "refused"
    return "failed" if isinstance(error, ConfigurationError) else "cannot tell"


def moment(seconds: float | None) -> datetime | None:
    """Return a time as a datetime; None for none, or for one that a datetime cannot hold."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def in_words(seconds: float | None) -> str:
    """Return a time as text for people."""
    time = moment(seconds)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "an unknown time"
