"""What the login machine asks for, and what it is told: plain values that can be compared.

Tokens and errors are opaque to it. A token travels with its fingerprint. None of them is changed
once it is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from betfair_session.value import Value

if TYPE_CHECKING:
    from .lock import Lock

Token: TypeAlias = Any
Error: TypeAlias = Any


class Tick(Value):
    """The clocks and the randomness of one step.

    Attributes:
        mono: the process's monotonic clock, seconds.
        wall: the machine's clock, seconds since the epoch.
        server: the store's clock, seconds since the epoch, as well as it is known.
        jitter: a random number from 0 to 1.
        nonce: a random name that nobody else has.
    """

    mono: float
    wall: float
    server: float
    jitter: float
    nonce: str


# --- asked of the store --------------------------------------------------------------------------


class ReadToken(Value):
    """Read the token object."""


class ReadLock(Value):
    """Read the lock object."""


class WriteLock(Value):
    """Write the lock object: if it has `version`, or is missing when that is None.

    `best_effort` when nothing depends on it; `shared` False where the store's conditions are not
    to be relied on, so that the write is unconditional.
    """

    lock: Lock
    version: str | None
    best_effort: bool = False
    shared: bool = True


class Publish(Value):
    """Write the token object if it has `version`, or is missing when that is None."""

    token: Token
    version: str | None


class Wait(Value):
    """Wait some seconds."""

    seconds: float


# --- asked of Betfair ----------------------------------------------------------------------------


class Validate(Value):
    """Ask whether the token lives."""

    token: Token


class Login(Value):
    """Log in, once, within some seconds."""

    seconds: float


class Logout(Value):
    """End a session that this very call created."""

    token: Token


# --- the end -------------------------------------------------------------------------------------


class Done(Value):
    """The token to use.

    Attributes:
        token: the token.
        how: how it was come by: "resumed", "adopted" or "logged in".
        age: seconds since Betfair was last asked about it, or made it; infinite where something
            may have happened to it since.
    """

    token: Token
    how: str
    age: float = 0.0


class Failed(Value):
    """No token.

    Attributes:
        why: "error" (the error that was told is raised), "refused" (an earlier login's failure
            still counts), "brake" (too many logins), "timeout" (waited too long for another),
            "unwritten" (the new token could not be stored and its session was ended), or
            "uncertain" (nobody knows whether it was stored).
        error: what was told, if anything.
        also: what went wrong with the logout after it, if anything.
        lock: the lock as it was last seen, if it matters.
        not_before: the store's time from which another login is allowed.
    """

    why: str
    error: Error = None
    also: Error = None
    lock: Lock | None = None
    not_before: float = 0.0


# --- told by the store ---------------------------------------------------------------------------


class TokenRead(Value):
    """The token object's token (None when missing or junk) and version (None when missing)."""

    token: Token = None
    version: str | None = None
    fingerprint: str = ""


class LockRead(Value):
    """The lock object (None when missing), its version, and its age by the store's clock."""

    lock: Lock | None = None
    version: str | None = None
    age: float | None = None


class Written(Value):
    """A write was done; `honest` False when the store turned out to ignore conditions."""

    version: str
    honest: bool = True


class Conflict(Value):
    """The condition of a write did not hold, or so it seems."""

    error: Error = None


class StoreFailed(Value):
    """A call failed. `landed`: it may have changed something. `passing`: it may go by itself."""

    error: Error
    landed: bool = False
    passing: bool = False


class Woke(Value):
    """The wait is over."""


# --- told by Betfair -----------------------------------------------------------------------------


class Alive(Value):
    """The token lives; Betfair may have answered with another one, which is to be used."""

    token: Token
    fingerprint: str = ""


class Dead(Value):
    """The token is dead: Betfair said so."""


class LoggedIn(Value):
    """A new session."""

    token: Token
    fingerprint: str = ""


class Refused(Value):
    """The login was answered with a status that is not a success.

    `waits`: seconds without another login, for the first such answer, the second, and so on.
    """

    error: Error
    status: str
    login_class: str
    waits: tuple[float, ...]


class Unclear(Value):
    """Nobody knows what came of the call. `sent` False when it never left."""

    error: Error
    sent: bool = True


class LoggedOut(Value):
    """The logout was tried; `error` is what went wrong with it, if anything."""

    error: Error = None


Effect: TypeAlias = (
    ReadToken | ReadLock | WriteLock | Publish | Wait | Validate | Login | Logout | Done | Failed
)
Event: TypeAlias = (
    TokenRead
    | LockRead
    | Written
    | Conflict
    | StoreFailed
    | Woke
    | Alive
    | Dead
    | LoggedIn
    | Refused
    | Unclear
    | LoggedOut
)
