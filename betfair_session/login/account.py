"""Who logs in, and how long that may take."""

from __future__ import annotations

from betfair_session.exceptions import ConfigurationError, IdentityUnavailable, LoginTimeout
from betfair_session.process import NamedTuple
from betfair_session.process.clocks import passed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self

    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.events import Event
    from betfair_session.process.clocks import Clock, Times
    from betfair_session.secret import Secret

MAX_TTL = 120.0
"""The longest time to live, in seconds, that a lock can claim for itself."""

MOST_LOGINS = 100
"""Logins in a minute after which Betfair bans further ones."""

_LATE_SECONDS = 5.0  # a process whose keepAlive returns so long after its timeout was frozen
_LAST_SECONDS = 1.0  # that a call of the store gets even if the caller's time is up


class _Times(NamedTuple):
    ttl: float = 30.0
    login_deadline: float = 10.0
    store_deadline: float = 5.0
    logins_per_minute: int = 4


class LeaseSettings(_Times):
    """The shared login's times, rarely changed. Processes that share a token may differ in them.

    Attributes:
        ttl: seconds after which others may take the login over from a process that died.
        login_deadline: seconds that one login may take.
        store_deadline: seconds that one call of the store may take.
        logins_per_minute: how many logins one token may need in a minute before LoginBrake.

    Raises:
        ConfigurationError: a value that is no number, or not above 0, or a ttl that leaves no time
            for a login.
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
        most = logins_per_minute
        if not all(isinstance(number, int | float) for number in times):
            wrong = "times must be numbers of seconds, as in LeaseSettings(ttl=30.0)"
        elif min(times) <= 0 or not isinstance(most, int) or most > MOST_LOGINS:
            wrong = (
                "times must be above 0, and its logins_per_minute a whole number from 1 to "
                f"{MOST_LOGINS}; with more, Betfair bans the account"
            )
        elif not login_deadline + 2 * store_deadline <= ttl <= MAX_TTL:
            wrong = (
                "ttl must be at least login_deadline + 2 * store_deadline, and at most "
                f"{MAX_TTL:.0f} s"
            )
        else:
            return super().__new__(cls, *times)
        raise ConfigurationError(f"the lease's {wrong}", argument="lease")

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override] # a narrower type
        """Make settings from a sequence, as `_replace` does, and check them, too."""
        return cls(*iterable)


def store_call_end(lease: LeaseSettings, deadline: float, now: float) -> float:
    """Return the deadline of one call of the store, for a caller who has until `deadline`.

    It gets a last second even if the caller's time is up. All moments are by one clock.
    """
    return min(now + lease.store_deadline, max(deadline, now + _LAST_SECONDS))


def checked_lease(lease: object) -> LeaseSettings:
    """Return the settings that a caller gave, or the usual ones for None."""
    if lease is None:
        return LeaseSettings()
    if not isinstance(lease, LeaseSettings):
        message = "lease must be LeaseSettings, such as LeaseSettings(ttl=30.0)"
        raise ConfigurationError(message, argument="lease")
    return lease


class Account(NamedTuple):
    """One account and the settings that all of its handles share; see SessionManager."""

    client: IdentityClient
    username: Secret
    password: Secret
    login_timeout: float
    lease: LeaseSettings
    interactive: bool = False
    two_step: Secret | Callable[[], str] | None = None
    verify_every: float = 0.0
    share_verification: bool = False
    on_event: Callable[[Event], object] | None = None

    def check(self) -> None:
        """Check the certificate that the next login needs; CertificateError if it is unfit."""
        if not self.interactive:
            self.client.check_certificate()

    def ask(self, token: Secret, deadline: float, clock: Clock) -> tuple[Secret | None, Times]:
        """Keep a token alive; ask again if this process was frozen before the answer came.

        Returns the token to use (None when it is dead), and when Betfair was asked.
        """
        while True:
            asked, left = clock.now(), deadline - clock.mono()
            if left <= 0:
                raise LoginTimeout("no time was left to verify the token; allow more (`timeout`)")
            seconds = min(left, self.client.timeout)
            try:
                alive, failure = self.client.keep_alive(token, timeout=seconds), None
            except IdentityUnavailable as error:
                alive, failure = token, error
            if alive is None or passed(asked, clock.now()) <= seconds + _LATE_SECONDS:
                if failure:
                    raise failure
                return alive, asked

    def log_in(self, seconds: float) -> Secret:
        """Make a session, sending one request; see IdentityClient.certlogin and login."""
        client, name, password = self.client, self.username, self.password
        if self.interactive:
            return client.login(name, password, code=self.two_step, timeout=seconds)
        return client.certlogin(name, password, timeout=seconds)
