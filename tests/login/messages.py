"""What a policy is told, made from plain words: a test names an error, and the policy meets one."""

# ruff: noqa: N802 - they read like the types that they make

from __future__ import annotations

from typing import NamedTuple

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    PublishUncertain,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.storage.contract import VersionConflict

DEAD = WOKE = None


def Conflict(said: str = "conflict") -> VersionConflict:
    """The condition of a write did not hold, or so it seems."""
    return VersionConflict(said, reason="conflict")


def StoreFailed(
    said: str, *, landed: bool = False, passing: bool = False, reason: str = ""
) -> StoreUnavailable:
    """A call failed; it may have changed something, it may pass by itself."""
    reason = reason or ("busy" if passing else "forbidden")
    return StoreUnavailable(said, landed=landed, reason=reason)


def Refused(said: str, status: str, login_class: str) -> LoginRefused:
    """The login was answered with a status that is not a success."""
    return LoginRefused(said, status=status, login_class=login_class)


def Unclear(said: str, *, sent: bool = True) -> IdentityUnavailable:
    """Nobody knows what came of the call."""
    error = IdentityUnavailable(said)
    error.sent = sent
    return error


class Got(NamedTuple):
    """How a call ended with a token, of which Betfair was asked so many seconds ago."""

    token: str
    how: str
    age: float = 0.0


class Failed(NamedTuple):
    """How a call ended without a token.

    Attributes:
        why: "error" (what was told is raised), "refused" (an earlier login's failure counts),
            "brake", "timeout", "unwritten" or "uncertain".
        said: what was told, if anything; for "timeout" who was waited for.
        also: what went wrong with the logout after it, if anything.
        not_before: the time from which another login is allowed.
    """

    why: str
    said: str = ""
    also: str = ""
    not_before: float = 0.0


def end(error: BetfairSessionError, told: object) -> Failed:
    """Return how a call ended that raised an error, having been told something last."""
    not_before = getattr(error, "not_before", None)
    then = not_before.timestamp() if not_before else 0.0
    if isinstance(error, LoginBrake):
        return Failed("brake", not_before=then)
    if isinstance(error, LoginTimeout):
        return Failed("timeout", said=error.owner or "")
    if isinstance(error, PublishUncertain):
        return Failed("uncertain", str(error.__cause__))
    if isinstance(error, StoreWriteError) and error.__cause__:
        also = str(error.logout_error) if error.logout_error else ""
        return Failed("unwritten", str(error.__cause__), also)
    if error is told or isinstance(error, StoreUnavailable | StoreWriteError):
        return Failed("error", str(error), not_before=then)
    return Failed("refused", not_before=then)
