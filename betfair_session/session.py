"""The whole policy for one token in one place.

    read the token → keepAlive → if Betfair says that it is dead: take the fleet's login, log in,
        write it back, end the new session if the write fails → return the token

The order of all this is the machine's (lease/machine.py); here its questions to Betfair are asked.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    LoginTimeout,
)
from .failures import failure
from .flight import SingleFlight
from .lease import lock as locks
from .lease import messages as m
from .lease.flow import Flow, fingerprint
from .secret import Secret
from .storage.contract import VersionConflict
from .storage.location import LOCK_SUFFIX
from .tokens import parse_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from .identity import IdentityClient
    from .lease.state import LeaseSettings
    from .storage.contract import TokenStore

_log = logging.getLogger("betfair_session")

_LONGEST = 4  # refusals in a row after which the time between logins grows no more
_LOGOUT_SECONDS = 5.0  # to end a session that could not be stored, whatever the caller's time


@dataclass(frozen=True)
class Account:
    """Who logs in, and how long that may take.

    Attributes:
        client: speaks to Betfair.
        username: the account's name.
        password: the account's password.
        login_timeout: seconds that a call may take when it names no time of its own.
        lease: the shared login's times.
        interactive: whether to log in without a client certificate.
        two_step: the code for that, or what returns it.
    """

    client: IdentityClient
    username: Secret
    password: Secret
    login_timeout: float
    lease: LeaseSettings
    interactive: bool = False
    two_step: Secret | Callable[[], str] | None = None

    def log_in(self, seconds: float) -> Secret:
        """Make a session, sending one request; see IdentityClient.certlogin and login."""
        if self.interactive:
            return self.client.login(
                self.username, self.password, code=self.two_step, timeout=seconds
            )
        return self.client.certlogin(self.username, self.password, timeout=seconds)


class Session:
    """A handle for one token in one place; safe to share between threads.

    Made by `SessionManager.session`.
    """

    def __init__(self, account: Account, store: TokenStore, key: str) -> None:
        """Prepare a handle; nothing is read yet."""
        self._account = account
        self._store = store
        self._key = key
        self._flight: SingleFlight[Secret] = SingleFlight()

    def token(self, *, timeout: float | None = None) -> str:
        """Return a live session token; threads that ask at the same time share one answer.

        Args:
            timeout: seconds that the call may take; None for the manager's `login_timeout`.

        Returns:
            The token, 1 to 512 printable ASCII characters.

        Raises:
            BetfairSessionError: as `SessionManager.get_session`.
        """
        deadline = self._deadline(timeout)
        return self._flight.join(lambda: self._obtain(deadline), deadline=deadline)[0].reveal()

    def renew(self, rejected: str, *, timeout: float | None = None) -> str:
        """Return a live token after the betting API rejected one.

        Another token in the store is adopted. The rejected one is replaced only after keepAlive
        says that it is dead, too; if Betfair calls it alive it is returned again.

        Args:
            rejected: the token that was rejected.
            timeout: seconds that the call may take; None for the manager's `login_timeout`.

        Returns:
            The token to use.

        Raises:
            BetfairSessionError: as `SessionManager.get_session`.
        """
        refused = Secret(rejected)
        deadline = self._deadline(timeout)
        while True:
            token, led = self._flight.join(lambda: self._obtain(deadline), deadline=deadline)
            # What another thread found out may be older than the rejection.
            if led or token != refused:
                return token.reveal()

    def logout(self) -> None:
        """End the stored session and remove the object; fine if there is none.

        Raises:
            NotATokenError: the object is no token; it is left alone.
            IdentityUnavailable: Betfair cannot be asked; the token stays.
            StoreError: the object cannot be read or removed.
        """
        timeout = self._account.lease.store_deadline
        stored = self._store.read(self._key, timeout=timeout)
        if stored is None:
            return
        token = parse_token(stored.content, where=f"{self._key!r} in {self._store.label}")
        if token is not None:
            self._account.client.logout(token)
        now = self._store.read(self._key, timeout=timeout)
        # Somebody may have noticed at once and logged in: that token is not ours to remove.
        if now is not None and now.version == stored.version:
            self._store.delete(self._key, timeout=timeout)
            # So that nobody waits for the token that was published there.
            with contextlib.suppress(VersionConflict):
                self._change_lock(locks.withdrawn)

    def unlock(self) -> None:
        """Forget refusals, and a login that somebody is said to be making.

        For a person who has mended what was refused, such as a wrong password, and does not want
        to wait. While another process really logs in, this can cost one needless login.

        Raises:
            StoreError: the lock object cannot be read or written.
        """
        self._change_lock(locks.cleared)

    def close(self) -> None:
        """Close the store; the handle can be used again afterwards."""
        self._store.close()

    def __repr__(self) -> str:
        return f"Session({self._store.label!r}, {self._key!r})"

    def _change_lock(self, change: Callable[[bytes], bytes | None]) -> None:
        """Rewrite the lock object, if there is one."""
        key, timeout = self._key + LOCK_SUFFIX, self._account.lease.store_deadline
        stored = self._store.read(key, timeout=timeout)
        content = None if stored is None else change(stored.content)
        if stored is not None and content is not None:
            self._store.replace_if_version(key, content, stored.version, timeout=timeout)

    def _deadline(self, timeout: float | None) -> float:
        seconds = self._account.login_timeout if timeout is None else timeout
        if not seconds > 0:
            message = "timeout must be a number of seconds above 0"
            raise ConfigurationError(message)
        return time.monotonic() + seconds

    def _obtain(self, deadline: float) -> Secret:
        """Walk to a live token, asking Betfair what the machine wants to know."""
        account = self._account
        flow = Flow(self._store, self._key, account.lease, deadline=deadline)
        ask = flow.start()
        while True:
            if isinstance(ask, m.Done):
                _log.debug("%s: %s", self, ask.how)
                return Secret(ask.token)
            if isinstance(ask, m.Failed):
                break
            if isinstance(ask, m.Validate):
                event: m.Event = self._validate(ask.token, deadline)
            elif isinstance(ask, m.Login):
                if flow.rejected_young:
                    _log.warning(
                        "%s: Betfair rejected a token that is less than a minute old; does the "
                        "egress address change between calls, or does somebody log out?",
                        self,
                    )
                try:
                    event = self._login(ask.seconds)
                except BaseException:
                    # Interrupted: nobody knows what came of it. Do not let others wait for me.
                    flow.tell(m.Unclear(None))
                    raise
            else:
                event = self._end(ask.token)
            ask = flow.tell(event)
        raise failure(ask, store=self._store.label, key=self._key)

    def _validate(self, token: Secret, deadline: float) -> m.Alive | m.Dead | m.Unclear:
        left = deadline - time.monotonic()
        if left <= 0:
            return m.Unclear(LoginTimeout("no time was left to verify the token"))
        client = self._account.client
        try:
            alive = client.keep_alive(token, timeout=min(left, client.timeout))
        except IdentityUnavailable as error:
            return m.Unclear(error)
        return m.Dead() if alive is None else m.Alive(alive, fingerprint(alive))

    def _login(self, seconds: float) -> m.LoggedIn | m.Refused | m.Unclear:
        try:
            token = self._account.log_in(seconds)
        except LoginRefused as error:
            from .login_status import wait_after

            kind = error.login_class
            waits = tuple(wait_after(kind, time).total_seconds() for time in range(1, _LONGEST + 1))
            return m.Refused(error, error.status, kind, waits)
        except IdentityUnavailable as error:
            return m.Unclear(error)
        except ConfigurationError as error:
            return m.Unclear(error, sent=False)
        _log.info("%s: logged in", self)
        return m.LoggedIn(token, fingerprint(token))

    def _end(self, token: Secret) -> m.LoggedOut:
        try:
            self._account.client.logout(token, timeout=_LOGOUT_SECONDS)
        except BetfairSessionError as error:
            return m.LoggedOut(error)
        _log.info("%s: ended the new session, which could not be stored", self)
        return m.LoggedOut()
