"""The shared login's times, as far as callers may set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from betfair_session.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

MAX_TTL = 120.0
"""The longest time to live, in seconds, that a lock can claim for itself."""

MOST_LOGINS = 100
"""Logins in a minute after which Betfair bans further ones."""


class _Times(NamedTuple):
    ttl: float = 30.0
    login_deadline: float = 10.0
    store_deadline: float = 5.0
    logins_per_minute: int = 4


class LeaseSettings(_Times):
    """The shared login's times; rarely touched. All processes that share a token may differ.

    Attributes:
        ttl: seconds after which others may take the login over from a process that died.
        login_deadline: seconds that one login may take.
        store_deadline: seconds that one call of the store may take.
        logins_per_minute: how many logins one token may need in a minute before LoginBrake.

    Raises:
        ConfigurationError: what is no number, a number that is not positive, or a ttl that leaves
            a login no time.
    """

    __slots__ = ()

    def __new__(
        cls,
        ttl: float = 30.0,
        login_deadline: float = 10.0,
        store_deadline: float = 5.0,
        logins_per_minute: int = 4,
    ) -> Self:
        """Check the times."""
        times = (ttl, login_deadline, store_deadline, logins_per_minute)
        if not all(isinstance(number, int | float) for number in times):
            message = "the lease's times are seconds, numbers as in LeaseSettings(ttl=30.0)"
            raise ConfigurationError(message, argument="lease")
        most = logins_per_minute
        if not (
            min(login_deadline, store_deadline) > 0
            and isinstance(most, int)
            and 1 <= most <= MOST_LOGINS
        ):
            message = (
                "the lease's times must be above 0, and its logins per minute a whole number from "
                f"1 to {MOST_LOGINS}, where Betfair bans the account"
            )
            raise ConfigurationError(message, argument="lease")
        if not login_deadline + 2 * store_deadline <= ttl <= MAX_TTL:
            message = (
                "the lease's ttl must leave time for one login and two calls of the store, and be "
                f"at most {MAX_TTL:.0f} s"
            )
            raise ConfigurationError(message, argument="lease")
        return super().__new__(cls, *times)

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override] # a narrower type
        """Make settings out of a sequence, as `_replace` does; these are checked, too."""
        return cls(*iterable)


def checked_lease(lease: object) -> LeaseSettings:
    """Check the settings that a caller gave.

    Args:
        lease: the settings; None for the usual ones.

    Returns:
        The same, or the usual ones.

    Raises:
        ConfigurationError: it is anything else.
    """
    if lease is None:
        return LeaseSettings()
    if not isinstance(lease, LeaseSettings):
        message = "lease must be settings such as LeaseSettings(ttl=30.0)"
        raise ConfigurationError(message, argument="lease")
    return lease
