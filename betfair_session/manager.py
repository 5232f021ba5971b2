"""The front door: one account, and a handle for each place where its token is kept."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from .closing import Closable
from .exceptions import ConfigurationError
from .lease.state import LeaseSettings
from .secret import Secret
from .session import Account, Session
from .storage import open_store
from .storage.location import check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .identity import IdentityClient
    from .storage import Store

_log = logging.getLogger("betfair_session")


class SessionManager(Closable):
    """Keeps session tokens alive in shared storage; safe to share between threads."""

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
    ) -> None:
        """Prepare a manager; nothing is opened or sent yet.

        Args:
            client: speaks to Betfair for this account.
            username: the account's name.
            password: the account's password.
            login_timeout: seconds that a call waits at most for another process's login; a
                call's own `timeout` may be shorter.
            lease: the shared login's times.
            interactive: log in as the website does instead of with a client certificate.
            two_step: for an interactive login: the two-step code, or what returns it within a
                few seconds when it is wanted.

        Raises:
            ConfigurationError: an empty username or password, a time that is not above 0, or a
                two-step code without `interactive`.
        """
        username, password = Secret(username), Secret(password)
        if not username or not password:
            message = "username and password must not be empty"
            raise ConfigurationError(message)
        if not login_timeout > 0:
            message = "login_timeout must be a number of seconds above 0"
            raise ConfigurationError(message)
        if two_step is not None and not interactive:
            message = "a two-step code is for interactive logins only: set interactive=True"
            raise ConfigurationError(message)
        self._account = Account(
            client=client,
            username=username,
            password=password,
            login_timeout=float(login_timeout),
            lease=lease or LeaseSettings(),
            interactive=interactive,
            two_step=two_step if two_step is None or callable(two_step) else Secret(two_step),
        )
        self._sessions: dict[tuple[Any, str], list[tuple[dict[str, Any], Session]]] = {}
        self._lock = threading.Lock()

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
                directory, or an fsspec filesystem (alone, or in a pair with the root on it).
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
        return self.session(store, key, storage_options).token(timeout=timeout)

    def session(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> Session:
        """Return the handle for one place; the same place gives the same handle.

        Args:
            store: as in `get_session`.
            key: as in `get_session`.
            storage_options: as in `get_session`.

        Returns:
            The handle.

        Raises:
            ConfigurationError: store, key or options cannot work.
        """
        key = check_key(key)
        options = dict(storage_options or {})
        with self._lock:
            try:
                known = self._sessions.setdefault((store, key), [])
            except TypeError:
                message = f"a store cannot be a {type(store).__name__}"
                raise ConfigurationError(message) from None
            for its_options, session in known:
                if its_options == options:
                    return session
            opened = open_store(store, options)
            if not opened.atomic:
                _log.warning(
                    "%s is no store that this library vouches for, so each process logs in by "
                    "itself; see backends.md for those that share one login",
                    opened.label,
                )
            session = Session(self._account, opened, key)
            known.append((options, session))
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
        with self._lock:
            sessions = [session for known in self._sessions.values() for _, session in known]
            self._sessions.clear()
        for session in sessions:
            session.close()

    def __repr__(self) -> str:
        return f"SessionManager({self._account.client!r})"
