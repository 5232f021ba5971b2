"""The effects that the policy asks its runner for, and the results that it gets.

When a call of the store or of Betfair fails, its error is thrown into the policy. Any other result
is sent back as the value named here. The policy knows two objects only: the token and the lock.
"""

from __future__ import annotations

import math

from betfair_session.process import NamedTuple

from . import lock as locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    from betfair_session.process.clocks import Times

    Token: TypeAlias = Any  # a Secret; the explorer uses plain names


class ReadToken(NamedTuple):
    """Read the token object; a TokenRead comes back."""

    name: str = "token"  # empty tuples of two types would be equal


class ReadLock(NamedTuple):
    """Read the lock object; a LockRead comes back."""

    name: str = "lock"


class WriteLock(NamedTuple):
    """Write the lock object if it still has `version` (None: if it is missing); Written comes back.

    `conditional` False: write it in any case. A lock that is not "held" gives it back.
    """

    lock: locks.Lock
    version: str | None
    conditional: bool = True


class WriteToken(NamedTuple):
    """Write the token object if it still has `version` (None: if it is missing).

    A Written comes back. `token` None writes a blank: no token, and different from all others.
    """

    token: Token
    version: str | None


class Wait(NamedTuple):
    """Wait some seconds: for the login of `owner`, or before a retry at the store (None)."""

    seconds: float
    owner: str | None = None


class Ask(NamedTuple):
    """Ask Betfair whether the token lives; a LiveToken comes back, or None when it is dead."""

    token: Token


class LogIn(NamedTuple):
    """Send one login that ends within some seconds; a LiveToken comes back."""

    seconds: float


class LogOut(NamedTuple):
    """End a session that this call made; the error of that comes back, or None."""

    token: Token


class TokenRead(NamedTuple):
    """The token object: its token (None when missing or junk) and version (None when missing)."""

    token: Token = None
    version: str | None = None
    fingerprint: str = ""


class LockRead(NamedTuple):
    """The lock object, its version (None when missing), and its age by the store's clock."""

    lock: locks.Lock = locks.NONE
    version: str | None = None
    age: float | None = None


class Written(NamedTuple):
    """A write was done; `honest` is False when the store turned out to ignore conditions."""

    version: str
    honest: bool = True


class LiveToken(NamedTuple):
    """A token that Betfair calls alive; `since` is when it was asked, if that was asked again."""

    token: Token
    fingerprint: str = ""
    since: Times | None = None


class Done(NamedTuple):
    """The token to use, how it was found, and when it was certainly alive.

    That is long ago if another process may have ended its session meanwhile.
    """

    token: Token
    how: Literal["resumed", "adopted", "logged in"]
    since: Times = (-math.inf, -math.inf)


Effect: TypeAlias = ReadToken | ReadLock | WriteLock | WriteToken | Wait | Ask | LogIn | LogOut
