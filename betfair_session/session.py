"""A handle for one token in one place."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial

from .arguments import checked_seconds
from .betfair.jurisdictions import SHORTEST_SESSION
from .exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    LoginTimeout,
    StoreError,
)
from .login.account import store_call_end
from .process import AsyncClosable, clocks
from .process.log import Reporter
from .process.single_flight import SingleFlight, await_for, in_thread, wait_for
from .process.trust import Trust
from .secret import Secret
from .storage.contract import MARGIN_SECONDS
from .tokens import parse_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .betfair.identity import IdentityClient
    from .login.account import Account
    from .login.lock import Memory
    from .process.single_flight import Waits
    from .process.trust import Held
    from .storage.contract import StoredObject, TokenStore

    Seen = tuple[StoredObject | None]

_wall = clocks.wall  # looked up once: a trading loop asks before every bet
_PASSING = (IdentityUnavailable, StoreError, LoginTimeout)


class Session(AsyncClosable):
    """A handle for one token in one place; safe to share between threads and tasks.

    Made by `SessionManager.session`. In asyncio tasks, use `atoken`, `arenew`, `averify`, `alogout`
    and `aclose` for `token`, `renew`, `verify`, `logout` and `close`: with the same arguments and
    errors, they do not block the event loop. `with` and `async with` close the handle at their end.
    """

    def __init__(self, account: Account, store: TokenStore, key: str) -> None:
        """Prepare a handle; nothing is read yet."""
        self._account = account
        self._store = store
        self._key = key
        length = (account.client.jurisdiction.session_length or SHORTEST_SESSION).total_seconds()
        self._trust = Trust(account.verify_every, length, shared=account.share_verification)
        self._memory: Memory | None = None
        self._due: Held | None = None  # what only a login can replace
        self._reporter = Reporter(store.label, key, account.on_event)
        afterwards = self._reporter.hand_over if account.on_event is not None else None
        self._flight: SingleFlight[Secret | None] = SingleFlight(afterwards)

    @property
    def client(self) -> IdentityClient:
        """The client that speaks to Betfair for this account."""
        return self._account.client

    @property
    def store(self) -> TokenStore:
        """The store that the token is kept in; `label` is its URL for people."""
        return self._store

    @property
    def key(self) -> str:
        """The token's name in the store."""
        return self._key

    # Python calls a function without keyword-only arguments faster.
    def token(self, timeout: float | None = None) -> str:
        """Return a live session token; threads that ask at the same time share one answer.

        Within `verify_every` of a verification this costs no I/O and takes no lock.

        Args:
            timeout: seconds, as in `SessionManager.get_session`; None for its `login_timeout`.

        Returns:
            The token, 1 to 512 printable ASCII characters.

        Raises:
            BetfairSessionError: as `SessionManager.get_session`.
        """
        held = self._trust.held
        if held.since <= _wall() < held.soon or held.fresh:
            return held.secret.reveal()
        return wait_for(self._found(timeout))

    async def atoken(self, timeout: float | None = None) -> str:
        """Return a live session token as `token` does."""
        held = self._trust.held
        if held.fresh:
            return held.secret.reveal()
        return await await_for(self._found(timeout, task=True))

    def renew(self, rejected: str, *, timeout: float | None = None) -> str:
        """Return a live token after the betting API rejected one.

        The token that the store holds, which may be the rejected one, is returned if it is alive. A
        login follows only if Betfair calls it dead, or the store holds none.

        Args:
            rejected: the token that was rejected.
            timeout: seconds, as in `SessionManager.get_session`; None for its `login_timeout`.

        Returns:
            The token to use.

        Raises:
            BetfairSessionError: as `SessionManager.get_session`.
        """
        refused = Secret(rejected)
        del rejected  # no traceback may show it
        return wait_for(self._asked_anew(timeout, refused))

    async def arenew(self, rejected: str, *, timeout: float | None = None) -> str:
        """Return a live token as `renew` does."""
        refused = Secret(rejected)
        del rejected  # no traceback may show it
        return await await_for(self._asked_anew(timeout, refused, task=True))

    def verify(self, timeout: float | None = None) -> str:
        """Ask Betfair now, even inside a trust window; this extends the session, or renews it.

        Args:
            timeout: seconds, as in `SessionManager.get_session`; None for its `login_timeout`.

        Returns:
            The token to use.

        Raises:
            BetfairSessionError: as `SessionManager.get_session`.
        """
        return wait_for(self._asked_anew(timeout))

    async def averify(self, timeout: float | None = None) -> str:
        """Ask Betfair now, as `verify` does."""
        return await await_for(self._asked_anew(timeout, task=True))

    def logout(self) -> None:
        """End the stored session and remove or blank the object; fine if there is none.

        Raises:
            NotATokenError: the object is no token; it is left alone.
            ConfigurationError: the proxy cannot be used; the token stays.
            IdentityUnavailable: Betfair cannot be asked; the token stays.
            StoreError: the object cannot be read or removed.
        """
        from .login.by_hand import log_out

        log_out(self._account, self._store, self._key, trust=self._trust, reporter=self._reporter)

    async def alogout(self) -> None:
        """End the stored session, as `logout` does."""
        await in_thread(self.logout)

    def unlock(self) -> None:
        """Forget refusals, and a login that seems to be under way.

        Use it after you have corrected what was refused, such as a wrong password, and do not want
        to wait. If another process really is logging in, this can cost one needless login.

        Raises:
            StoreError: the lock object cannot be read or written, or others write it all the time.
        """
        from .login.by_hand import unlock

        unlock(self._store, self._key, self._account.lease.store_deadline)
        self._memory = None

    def close(self) -> None:
        """Close the connections of the store, which handles for other keys in it share.

        Calls under way go on, and their connections are closed after them; the next call opens new
        ones.
        """
        self._store.close()

    def __repr__(self) -> str:
        return f"Session({self._store.label!r}, {self._key!r})"

    def _found(self, timeout: float | None, *, task: bool = False) -> Waits[str]:
        """Return a live token; without an answer soon, the current one while it is usable."""
        held = self._trust.held
        deadline = time.monotonic() + checked_seconds(timeout, usual=self._account.login_timeout)
        wait = not held.usable or held is self._due
        while True:
            work = partial(self._find_or_postpone, deadline, may_log_in=wait)
            found = yield from self._flight.join(work, deadline=deadline, task=task, wait=wait)
            if found and found[0]:
                return found[0].reveal()
            held = self._trust.held
            if not found and held.usable:  # else the work has found it dead meanwhile
                return held.secret.reveal()
            wait = True  # only a login helps, and this call is here to wait for it

    def _asked_anew(
        self, timeout: float | None, refused: Secret | None = None, *, task: bool = False
    ) -> Waits[str]:
        """Return a token that Betfair, asked from now on, calls alive.

        Or the one by which this process has already replaced a `refused` one.
        """
        if refused is not None:
            self._trust.doubt(refused)
            held = self._trust.held
            if held.fresh:
                return held.secret.reveal()
        began = clocks.steady()
        deadline = time.monotonic() + checked_seconds(timeout, usual=self._account.login_timeout)
        ask = partial(self._find_live, deadline)
        while True:
            found = yield from self._flight.join(ask, deadline=deadline, task=task)
            # What another thread found may be older than the rejection, or come from the store.
            token, mine = found or (None, False)
            new = refused not in {None, token}
            if token and (mine or new or self._trust.asked(token, after=began)):
                return token.reveal()

    def _find_or_postpone(self, deadline: float, *, may_log_in: bool) -> Secret | None:
        """Find a live token; without an answer, go on with the current one for a moment."""
        held = self._trust.held
        try:
            ask = self._trust_or_ask if self._trust.shared else self._find_live
            found = ask(deadline, may_log_in=may_log_in)
        except _PASSING:
            if not (held.usable and self._trust.postpone(held)):
                raise
            return held.secret
        if found is None:
            self._due = held  # or, with a slow store, no later call would wait for the login
        return found

    def _trust_or_ask(self, deadline: float, *, may_log_in: bool) -> Secret | None:
        """Trust a token that was stored inside the trust window, or ask Betfair.

        A process that verifies a shared token writes it anew, so its age in the store is that of
        the verification, or of the login. (After a freeze before the write it seems younger: a dead
        token is then used until the betting API rejects it.)
        """
        trust, seen = self._trust, None
        began, looked = time.monotonic(), clocks.now()
        with suppress(BetfairSessionError):  # the call below raises it
            soon = store_call_end(self._account.lease, deadline, began)
            stored = self._store.get(self._key, deadline=soon)
            seen = (stored,)
            token = parse_token(stored.content, where=repr(self._key)) if stored else None
            age = None
            if stored and token:
                age = self._store.age(stored, deadline=soon, slack=trust.window / 2)
            # A token from the future was written by a wrong clock.
            if token and age is not None and age >= -MARGIN_SECONDS:
                since = clocks.later(looked, -max(age, 0.0) - MARGIN_SECONDS)
                if clocks.passed(since) < trust.window and not trust.doubts(token, since):
                    trust.verified(token, since)
                    self._reporter.tell("trusted", time.monotonic() - began)
                    return token
        return self._find_live(deadline, seen, may_log_in=may_log_in)

    def _find_live(
        self, deadline: float, seen: Seen | None = None, *, may_log_in: bool = True
    ) -> Secret | None:
        """Run the shared login (login/policy.py); without the store, keep the held token alive."""
        from .login.lock import Memory
        from .login.runner import Runner

        memory = self._memory = self._memory or Memory()
        held, began = self._trust.held.secret, time.monotonic()
        if held and seen is None:
            # Half of the time, so that some is left to ask Betfair.
            latest = began + self._account.lease.store_deadline
            soon = min(latest, began + max((deadline - began) / 2, 0.1))
            try:
                seen = (self._store.get(self._key, deadline=soon),)
            except StoreError as error:
                with suppress(IdentityUnavailable, ConfigurationError, LoginTimeout):
                    alive, since = self._account.ask(held, deadline, clocks.Clock())
                    if alive is not None:
                        self._trust.verified(alive, since)
                        seconds = time.monotonic() - began
                        self._reporter.tell("cannot tell", seconds, str(error))
                        self._reporter.tell("resumed", seconds, "without the store")
                        return alive
                    self._trust.forget(held)  # no login: the store may have another by now
            except BetfairSessionError:
                pass  # the call below raises it
        runner = Runner(
            self._account,
            self._store,
            self._key,
            trust=self._trust,
            reporter=self._reporter,
            memory=memory,
            deadline=deadline,
            seen=seen,
        )
        del seen  # some tools take a text's content from a frame, whatever its repr shows
        runner.login.may_log_in = may_log_in
        try:
            return runner.find()
        except LoginRefused as error:
            if error.endpoint is None:  # an earlier refusal, which may hide a mistake made since
                self._account.check()
            raise
