"""Who logs in, and how long that may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.arguments import checked_seconds
from betfair_session.exceptions import LoginTimeout
from betfair_session.process.clocks import now, passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.events import Event
    from betfair_session.process.clocks import Times
    from betfair_session.secret import Secret

    from .settings import LeaseSettings


_LATE = 5.0  # seconds after its own time-out at which a keepAlive has returned, or was frozen


class Account(NamedTuple):
    """One account and the settings that all of its handles share.

    Attributes:
        client: speaks to Betfair.
        username: the account's name.
        password: the account's password.
        login_timeout: seconds that a call may take when it names no time of its own.
        lease: the shared login's times.
        interactive: whether to log in without a client certificate.
        two_step: the code for that, or what returns it.
        verify_every: seconds for which a verification is trusted; 0 for none.
        share_verification: whether that is shared through the store.
        on_event: the caller's hook for events.
    """

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

    def deadline(self, timeout: float | None) -> float:
        """Return the `time.monotonic` at which a call ends.

        Args:
            timeout: seconds that a caller gives it; None for `login_timeout`.

        Returns:
            The time.

        Raises:
            ConfigurationError: `timeout` is no number above 0.
        """
        seconds = self.login_timeout if timeout is None else checked_seconds(timeout)
        return time.monotonic() + seconds

    def keep_alive(self, token: Secret, deadline: float) -> tuple[Secret | None, Times]:
        """Ask Betfair about a token; once more when this process was frozen before it heard.

        Args:
            token: the session token.
            deadline: the `time.monotonic` at which the call ends.

        Returns:
            The token to use, None when it is dead, and the moment that this was true.

        Raises:
            LoginTimeout: no time is left.
            IdentityUnavailable: anything but a clear answer.
            ConfigurationError: the proxy cannot be used.
        """
        while True:
            asked, left = now(), deadline - time.monotonic()
            if left <= 0:
                message = "no time was left to verify the token"
                raise LoginTimeout(message)
            seconds = min(left, self.client.timeout)
            alive = self.client.keep_alive(token, timeout=seconds)
            if alive is None or passed(asked) <= seconds + _LATE:
                return alive, asked

    def log_in(self, seconds: float) -> Secret:
        """Make a session, sending one request; see IdentityClient.certlogin and login."""
        if self.interactive:
            return self.client.login(
                self.username, self.password, code=self.two_step, timeout=seconds
            )
        return self.client.certlogin(self.username, self.password, timeout=seconds)
