"""The whole policy for one call.

    read the token → keepAlive → if Betfair says that it is dead: take the fleet's login, log in,
        write it back, end the new session if the write fails → return the token

The order of all this is the machine's (lease/machine.py); here its questions to Betfair are asked.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from . import clocks
from .exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
)
from .failures import failure
from .lease import messages as m
from .lease.flow import Flow, fingerprint
from .secret import Secret

if TYPE_CHECKING:
    from .account import Account
    from .events import Kind, Reporter
    from .lease.flow import Ask
    from .storage.contract import StoredObject, TokenStore
    from .trust import Trust

_log = logging.getLogger("betfair_session")

_LONGEST = 4  # refusals in a row after which the time between logins grows no more
_LOGOUT_SECONDS = 5.0  # to end a session that could not be stored, whatever the caller's time


class Walk:
    """One call's way to a live token."""

    def __init__(
        self, account: Account, store: TokenStore, key: str, trust: Trust, reporter: Reporter
    ) -> None:
        """Prepare.

        Args:
            account: who logs in.
            store: where the token is kept.
            key: the token's name.
            trust: told of every verification.
            reporter: told of everything that happens.
        """
        self._account = account
        self._store = store
        self._key = key
        self._trust = trust
        self._reporter = reporter
        self._deadline = 0.0
        self._asked = clocks.now()

    def go(self, *, deadline: float, seen: tuple[StoredObject | None] | None = None) -> Secret:
        """Walk to a live token.

        Args:
            deadline: the `time.monotonic` at which waiting ends.
            seen: the token object, if it has just been read.

        Returns:
            The token.

        Raises:
            BetfairSessionError: there is none to be had.
        """
        began = time.monotonic()
        self._deadline = deadline
        try:
            done = self._walk(seen)
        except BetfairSessionError as error:
            self._reporter.tell(_kind(error), time.monotonic() - began, str(error))
            raise
        token = Secret(done.token)
        # Counted from when Betfair was asked, or this call began, not from when it was answered.
        self._trust.verified(token, clocks.later(self._asked, -done.age))
        if done.how != "logged in":
            kind: Kind = "adopted" if done.how == "adopted" else "resumed"
            self._reporter.tell(kind, time.monotonic() - began)
        return token

    def _walk(self, seen: tuple[StoredObject | None] | None) -> m.Done:
        """Ask Betfair what the machine wants to know, until it knows enough."""
        flow = Flow(
            self._store,
            self._key,
            self._account.lease,
            deadline=self._deadline,
            share=self._trust.shared,
            seen=seen,
        )
        ask = flow.start()
        while True:
            for note in flow.notes.drain():
                self._reporter.tell(*note)
            if isinstance(ask, m.Done):
                if flow.junk and ask.how == "logged in":
                    self._warn_of_junk()
                return ask
            if isinstance(ask, m.Failed):
                raise failure(ask, store=self._store.label, key=self._key)
            if isinstance(ask, m.Validate):
                ask = flow.tell(self._validate(ask.token))
            elif isinstance(ask, m.Login):
                ask = self._renew(flow, ask.seconds)
            else:
                ask = flow.tell(self._end(ask.token))

    def _validate(self, token: Secret) -> m.Alive | m.Dead | m.Unclear:
        try:
            alive, self._asked = self._account.keep_alive(token, self._deadline)
        except (IdentityUnavailable, ConfigurationError, LoginTimeout) as error:
            return m.Unclear(error)
        if alive is None:
            self._trust.forget(token)
            return m.Dead()
        return m.Alive(alive, fingerprint(alive))

    def _renew(self, flow: Flow, seconds: float) -> Ask:
        """Log in and have the flow go on; an interruption makes no others wait for this call."""
        self._warn(flow)
        try:
            event = self._login(seconds)
        except BaseException:
            flow.tell(m.Unclear(None))  # nobody knows what came of it
            raise
        try:
            return flow.tell(event)
        except BaseException:
            # Whether this was written, nobody knows either: the flow looks, and goes on with it.
            flow.tell(m.StoreFailed(None, landed=True, passing=True))
            raise

    def _warn(self, flow: Flow) -> None:
        if flow.rejected_young:
            _log.warning(
                "%s %r: Betfair rejected a token that is less than a minute old; does the egress "
                "address change between calls, or does somebody log out?",
                self._store.label,
                self._key,
            )

    def _warn_of_junk(self) -> None:
        _log.warning(
            "%s %r: something that was no session token lay here, and the login's token has "
            "replaced it; was it somebody's data, and is the key mistyped?",
            self._store.label,
            self._key,
        )

    def _login(self, seconds: float) -> m.LoggedIn | m.Refused | m.Unclear:
        began, self._asked = time.monotonic(), clocks.now()
        try:
            token = self._account.log_in(seconds)
        except LoginRefused as error:
            from .login_status import wait_after

            kind = error.login_class
            waits = tuple(wait_after(kind, time).total_seconds() for time in range(1, _LONGEST + 1))
            return m.Refused(error, error.status, kind, waits)
        except IdentityUnavailable as error:
            return m.Unclear(error, sent=error.sent)
        except ConfigurationError as error:
            return m.Unclear(error, sent=False)
        self._reporter.tell("logged in", time.monotonic() - began)
        return m.LoggedIn(token, fingerprint(token))

    def _end(self, token: Secret) -> m.LoggedOut:
        began = time.monotonic()
        try:
            self._account.client.logout(token, timeout=_LOGOUT_SECONDS)
        except BetfairSessionError as error:
            _log.warning(
                "%s %r: a new session was not stored, and could not be ended either: %s",
                self._store.label,
                self._key,
                error,
            )
            return m.LoggedOut(error)
        self._reporter.tell(
            "logged out", time.monotonic() - began, "the new session, which was not stored"
        )
        return m.LoggedOut()


def _kind(error: BetfairSessionError) -> Kind:
    if isinstance(error, LoginRefused | LoginBrake):
        return "refused"
    return "failed" if isinstance(error, ConfigurationError) else "cannot tell"
