"""The front door: one account, and a handle for each place where its token is kept."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from .arguments import checked_hook, checked_interval, checked_seconds
from .exceptions import ConfigurationError
from .login.account import Account
from .login.settings import LeaseSettings, checked_lease
from .process.closing import Closable
from .process.forks import ForkSafeLock
from .process.single_flight import no_thread
from .process.threads import NoThreadError, in_a_thread
from .secret import Secret, check_credential
from .session import Session
from .storage import open_store
from .storage.location import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from .betfair.identity import IdentityClient
    from .events import Event
    from .storage import Store

    _Handles: TypeAlias = list[tuple[dict[str, Any], Session]]

_log = logging.getLogger("betfair_session")

_LEAST = 0.001  # seconds that are left of a call's time when opening its store took it all


class SessionManager(Closable):
    """Keeps session tokens alive in shared storage; safe to share between threads.

    A forked child may use its parent's, unless the fork came while another thread made its first
    call: what a thread is importing then, no child can import.
    """

    def __init__(
        self,
        client: IdentityClient,
        username: str | Secret,
        password: str | Secret,
        *,
        login_timeout: float = 60.0,
        lease: LeaseSettings | None = None,
        interactive: bool = False,
        two_step: str | Secret | Callable[[], str] | None = None,
        verify_every: timedelta | None = None,
        share_verification: bool = False,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        """Prepare a manager; nothing is opened or sent yet.

        Args:
            client: speaks to Betfair for this account.
            username: the account's name.
            password: the account's password.
            login_timeout: seconds that a call may take that names no `timeout` of its own.
            lease: the shared login's times.
            interactive: log in as the website does instead of with a client certificate.
            two_step: for an interactive login: the two-step code, or what returns it within a
                few seconds when it is wanted.
            verify_every: for how long a token is used without asking Betfair after this process
                has done so; None to ask at every call. From then until the session's usual end
                one thread asks, and the others go on with the token meanwhile.
            share_verification: let every process that shares the token profit from each
                verification: who verifies the token writes it anew, and who then finds it written
                less than `verify_every` ago trusts it. A token that something else wrote, such as
                a copy of an old file, is trusted likewise.
            on_event: called with each `Event` of a call when its work is done, in the thread that
                did that and then returns; no other call waits for it. It may not ask the same
                handle for a token.

        Raises:
            ConfigurationError: an empty username or password, or one with a line end or another
                control character in it; an argument of a wrong type, a time that is not above 0,
                a trust window longer than a session lives, or a setting without the one it needs.
        """
        if not hasattr(client, "jurisdiction"):
            message = "give an IdentityClient first: SessionManager(client, username, password)"
            raise ConfigurationError(message)
        username, password = Secret(username), Secret(password)
        if two_step is not None and not callable(two_step):
            two_step = Secret(two_step)
        check_credential(username, "username")
        check_credential(password, "password")
        login_timeout = checked_seconds(login_timeout, "login_timeout")
        if isinstance(two_step, Secret) and two_step:
            check_credential(two_step, "two_step")
        if two_step is not None and not interactive:
            message = "a two-step code is for interactive logins only: set interactive=True"
            raise ConfigurationError(message)
        checked_hook(on_event, "on_event")
        _check_window(verify_every, client.jurisdiction.session_length, share=share_verification)
        self._account = Account(
            client=client,
            username=username,
            password=password,
            login_timeout=login_timeout,
            lease=checked_lease(lease),
            interactive=interactive,
            two_step=two_step,
            verify_every=0.0 if verify_every is None else verify_every.total_seconds(),
            share_verification=share_verification,
            on_event=on_event,
        )
        self._sessions: dict[tuple[Any, str], _Handles] = {}
        # Those without storage options once more, for the shortest way to a token.
        self._plain: dict[tuple[Any, str], Session] = {}
        self._lock = ForkSafeLock()

    def get_session(
        self,
        store: Store,
        key: str,
        storage_options: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """Return a live session token, logging in only when Betfair says that there is none.

        Args:
            store: where the token is kept: an fsspec URL such as "s3://bucket/prefix", a local
                directory, or an fsspec filesystem in a pair with the root on it, such as
                (filesystem, "my-bucket/prefix").
            key: the object's name below the store.
            storage_options: passed to fsspec.
            timeout: seconds that the call may take; None for `login_timeout`.

        Returns:
            The token, 1 to 512 printable ASCII characters.

        Raises:
            ConfigurationError: store, key or options cannot work; the object is no token; the
                certificate is unfit.
            LoginRefused: Betfair refused a login, now or a moment ago.
            IdentityUnavailable: Betfair cannot be asked; the stored token was left alone.
            StoreError: the store cannot be read, or would not take the new token (whose session
                was then ended).
            LoginTimeout: another process is still logging in.
            LoginBrake: too many logins within a minute.
        """
        try:
            session = self._plain[store, key]
        except (KeyError, TypeError):
            session = None
        if session is None or storage_options:
            session = self._known(store, key, storage_options)
        if session is None:
            deadline = self._account.deadline(timeout)
            session = self._open(store, key, storage_options, deadline)
            timeout = _left(deadline)
        return session.token(timeout=timeout)

    async def aget_session(
        self,
        store: Store,
        key: str,
        storage_options: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """Return a live session token as `get_session` does, without blocking the event loop.

        Args:
            store: as in `get_session`.
            key: as in `get_session`.
            storage_options: as in `get_session`.
            timeout: as in `get_session`.

        Returns:
            The token.

        Raises:
            BetfairSessionError: as `get_session`.
        """
        session = self._known(store, key, storage_options)
        if session is None:  # to open a store may take a while, if only to import its driver
            deadline = self._account.deadline(timeout)
            opening = partial(self._open, store, key, storage_options, deadline)
            try:
                session = await in_a_thread(opening)
            except NoThreadError as why:
                raise no_thread() from why
            timeout = _left(deadline)
        return await session.atoken(timeout=timeout)

    def session(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> Session:
        """Return the handle for one place; the same arguments give the same handle.

        Another spelling of the same place, such as "tokens/" for "tokens", gives another handle,
        which shares the token, but no trust in it.

        Args:
            store: as in `get_session`.
            key: as in `get_session`.
            storage_options: as in `get_session`.

        Returns:
            The handle.

        Raises:
            ConfigurationError: store, key or options cannot work.
            StoreUnavailable: the store's driver connects when it is made, as sshfs's does, and
                cannot within the lease's `store_deadline`.
        """
        known = self._known(store, key, storage_options)
        if known is not None:
            return known
        return self._open(store, key, storage_options, self._account.deadline(None))

    def _known(self, store: Store, key: str, options: Mapping[str, Any] | None) -> Session | None:
        """Return the handle for one place, if it has been made."""
        return _among(self._handles(store, key), options or {})

    def _handles(self, store: Store, key: str) -> _Handles:
        """Return the handles for one place, by their storage options."""
        try:
            return self._sessions.setdefault((store, key), [])
        except TypeError:
            check_key(key)
            message = f"a store cannot be a {type(store).__name__}"
            raise ConfigurationError(message) from None

    def _open(
        self, store: Store, key: str, given: Mapping[str, Any] | None, deadline: float
    ) -> Session:
        """Make the handle for one place; what it takes to open that has to end in time."""
        if not hasattr(given or {}, "keys"):
            message = 'storage_options must be a mapping, such as {"profile": "betting"}'
            raise ConfigurationError(message)
        handles, key, options = self._handles(store, key), check_key(key), _copied(given or {})
        # Outside of the lock: other places' callers need not wait for a driver that connects.
        seconds = min(_left(deadline), self._account.lease.store_deadline)
        opened = open_store(store, options, timeout=seconds)
        with self._lock.mine():
            session = _among(handles, options)
            if session is not None:  # another thread was faster
                opened.close()
                return session
            if not opened.atomic:
                _log.warning(
                    "%s is no store that this library vouches for, so each process logs in by "
                    "itself; see backends.md for those that share one login",
                    opened.label,
                )
            session = Session(self._account, opened, key)
            handles.append((options, session))
            if not options:
                self._plain[store, key] = session
            return session

    def logout(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        """End the session whose token is stored there, and remove the object.

        Args:
            store: as in `get_session`.
            key: as in `get_session`.
            storage_options: as in `get_session`.

        Raises:
            ConfigurationError: store, key or options cannot work; the object is no token.
            IdentityUnavailable: Betfair cannot be asked; the token stays where it is.
            StoreError: the object cannot be read or removed.
        """
        self.session(store, key, storage_options).logout()

    def unlock(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        """Forget refusals, and a login that somebody is said to be making; see `Session.unlock`.

        Args:
            store: as in `get_session`.
            key: as in `get_session`.
            storage_options: as in `get_session`.

        Raises:
            ConfigurationError: store, key or options cannot work.
            StoreError: the lock object cannot be read or written.
        """
        self.session(store, key, storage_options).unlock()

    def close(self) -> None:
        """Close the stores that were opened; the client stays open, it is the caller's."""
        with self._lock.mine():
            # In copies: other threads go on asking for handles.
            sessions = [each for known in list(self._sessions.values()) for _, each in list(known)]
            self._sessions.clear()
            self._plain.clear()
        for session in sessions:
            session.close()

    def __repr__(self) -> str:
        account = vars(self).get("_account")  # missing if it was never wholly made
        return f"SessionManager({account.client if account else None!r})"


def _among(handles: _Handles, options: Mapping[str, Any]) -> Session | None:
    """Return the handle with these storage options, if there is one."""
    return next((session for its, session in handles if its == options), None)


def _left(deadline: float) -> float:
    """Return the seconds until a deadline, or next to none."""
    return max(deadline - time.monotonic(), _LEAST)


def _copied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Copy options with the mappings in them, which a caller may go on to change."""
    return {
        name: _copied(value) if isinstance(value, dict) else value
        for name, value in dict(options).items()
    }


def _check_window(every: timedelta | None, length: timedelta | None, *, share: bool) -> None:
    """Refuse a trust window that cannot work."""
    if every is None:
        if share:
            message = "share_verification needs verify_every, which says how long it counts"
            raise ConfigurationError(message)
        return
    checked_interval(every, "verify_every")
    if length is not None and every >= length:
        message = f"verify_every must be shorter than a session of this jurisdiction, {length}"
        raise ConfigurationError(message)
