"""What the login machine asks for, and what it is told: plain values that can be compared.

Tokens and errors are opaque to it. A token travels with its fingerprint. None of them is changed
once it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .lock import Lock

Token: TypeAlias = Any
Error: TypeAlias = Any


class Message:
    """What all of them can do; methods of their own would cost a cold start 0.3 ms for each."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


@dataclass(eq=False, repr=False)
class Tick(Message):
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


@dataclass(eq=False, repr=False)
class ReadToken(Message):
    """Read the token object."""


@dataclass(eq=False, repr=False)
class ReadLock(Message):
    """Read the lock object."""


@dataclass(eq=False, repr=False)
class WriteLock(Message):
    """Write the lock object: if it has `version`, or is missing when that is None.

    `best_effort` when nothing depends on it; `shared` False where the store's conditions are not
    to be relied on, so that the write is unconditional.
    """

    lock: Lock
    version: str | None
    best_effort: bool = False
    shared: bool = True


@dataclass(eq=False, repr=False)
class Publish(Message):
    """Write the token object if it has `version`, or is missing when that is None."""

    token: Token
    version: str | None


@dataclass(eq=False, repr=False)
class Wait(Message):
    """Wait some seconds."""

    seconds: float


# --- asked of Betfair ----------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Validate(Message):
    """Ask whether the token lives."""

    token: Token


@dataclass(eq=False, repr=False)
class Login(Message):
    """Log in, once, within some seconds."""

    seconds: float


@dataclass(eq=False, repr=False)
class Logout(Message):
    """End a session that this very call created."""

    token: Token


# --- the end -------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Done(Message):
    """The token to use.

    Attributes:
        token: the token.
        how: how it was come by: "resumed", "adopted" or "logged in".
        age: seconds since Betfair was last asked about it, or made it.
    """

    token: Token
    how: str
    age: float = 0.0


@dataclass(eq=False, repr=False)
class Failed(Message):
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


@dataclass(eq=False, repr=False)
class TokenRead(Message):
    """The token object's token (None when missing or junk) and version (None when missing)."""

    token: Token = None
    version: str | None = None
    fingerprint: str = ""


@dataclass(eq=False, repr=False)
class LockRead(Message):
    """The lock object (None when missing), its version, and its age by the store's clock."""

    lock: Lock | None = None
    version: str | None = None
    age: float | None = None


@dataclass(eq=False, repr=False)
class Written(Message):
    """A write was done; `honest` False when the store turned out to ignore conditions."""

    version: str
    honest: bool = True


@dataclass(eq=False, repr=False)
class Conflict(Message):
    """The condition of a write did not hold, or so it seems."""

    error: Error = None


@dataclass(eq=False, repr=False)
class StoreFailed(Message):
    """A call failed. `landed`: it may have changed something. `passing`: it may go by itself."""

    error: Error
    landed: bool = False
    passing: bool = False


@dataclass(eq=False, repr=False)
class Woke(Message):
    """The wait is over."""


# --- told by Betfair -----------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Alive(Message):
    """The token lives; Betfair may have answered with another one, which is to be used."""

    token: Token
    fingerprint: str = ""


@dataclass(eq=False, repr=False)
class Dead(Message):
    """The token is dead: Betfair said so."""


@dataclass(eq=False, repr=False)
class LoggedIn(Message):
    """A new session."""

    token: Token
    fingerprint: str = ""


@dataclass(eq=False, repr=False)
class Refused(Message):
    """The login was answered with a status that is not a success.

    `waits`: seconds without another login, for the first such answer, the second, and so on.
    """

    error: Error
    status: str
    login_class: str
    waits: tuple[float, ...]


@dataclass(eq=False, repr=False)
class Unclear(Message):
    """Nobody knows what came of the call. `sent` False when it never left."""

    error: Error
    sent: bool = True


@dataclass(eq=False, repr=False)
class LoggedOut(Message):
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
