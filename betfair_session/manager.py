"""The front door: one account, and a handle for each place where its token is kept."""

from __future__ import annotations

import time

from .arguments import (
    check_runs,
    checked_client,
    checked_flag,
    checked_hook,
    checked_options,
    checked_seconds,
    checked_window,
    refuse,
)
from .login.account import Account, LeaseSettings, checked_lease
from .process import AsyncClosable, ForkSafeLock
from .process.log import WARNING, log
from .process.single_flight import in_thread
from .secret import Secret, check_credential
from .session import Session
from .storage import open_store
from .storage.location import check_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from typing import Any, TypeAlias

    from .betfair.identity import IdentityClient
    from .events import Event
    from .storage import Store
    from .storage.contract import TokenStore

    # The storage options, the store that was opened with them, and its handles by their keys.
    _Place: TypeAlias = tuple[dict[str, Any], TokenStore, dict[str, Session]]

_LEAST_SECONDS = 0.001  # left to a call when opening its store took all its time


class SessionManager(AsyncClosable):
    """Keeps session tokens alive in shared storage; safe to share between threads.

    A forked child may use its parent's manager, unless another thread was making its first call
    during the fork: the child cannot import what that thread was importing. uWSGI tells Python of
    its forks only with `py-call-osafterfork`; without it, use `lazy-apps`.
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
            login_timeout: seconds that a call without a `timeout` of its own may take.
            lease: the shared login's times.
            interactive: log in as the website does instead of with a client certificate.
            two_step: the two-step code, or a function that returns it within a few seconds; the
                login is interactive then.
            verify_every: the trust window: for how long a token that this process has verified is
                used without asking Betfair again; None to ask at every call. After it, until the
                session's usual end, one call asks, and after a second goes on with the token, which
                the others use meanwhile. 20 minutes where Betfair names no session length.
            share_verification: share each verification through the store: the process that
                verifies a token writes it anew, and a process that finds it written less than
                `verify_every` ago trusts it. A token that another program wrote, such as a copy
                of an old file, is trusted in the same way. Nothing is written anew on stores
                where each process logs in by itself.
            on_event: called with each `Event` of a call when its work is done, in the thread that
                did the work; other calls do not wait for it. Do not ask the same handle for a
                token from inside it.

        Raises:
            ConfigurationError: an empty username or password, or one with a line end or another
                control character in it; an argument of a wrong type, a time that is not above 0,
                a trust window longer than a session lives, or a setting without the one it needs.
        """
        # First, so that no traceback shows them.
        username, password = Secret(username), Secret(password)
        if two_step is not None and not callable(two_step):
            two_step = Secret(two_step)
        length = checked_client(client).jurisdiction.session_length
        check_credential(username, "username")
        check_credential(password, "password")
        if isinstance(two_step, Secret) and two_step:
            check_credential(two_step, "two_step")
        check_runs(two_step, "two_step")
        checked_hook(on_event, "on_event")
        self._account = Account(
            client=client,
            username=username,
            password=password,
            login_timeout=checked_seconds(login_timeout, "login_timeout"),
            lease=checked_lease(lease),
            interactive=checked_flag(interactive, "interactive") or two_step is not None,
            two_step=two_step,
            verify_every=checked_window(verify_every, length, share=share_verification),
            share_verification=checked_flag(share_verification, "share_verification"),
            on_event=on_event,
        )
        # By store, as it was given; storage options cannot be part of a dict's key.
        self._places: dict[Any, list[_Place]] = {}
        self._lock = ForkSafeLock()

    @property
    def client(self) -> IdentityClient:
        """The client that speaks to Betfair for this account."""
        return self._account.client

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
                directory, or a pair of an fsspec filesystem and a path on it, such as
                (filesystem, "my-bucket/prefix").
            key: the object's name below the store.
            storage_options: passed to fsspec.
            timeout: seconds that the call may take; None for `login_timeout`. After them it begins
                nothing new, but a login that is under way is stored, or logged out, which may take
                some ten seconds more.

        Returns:
            The token, 1 to 512 printable ASCII characters.

        Raises:
            ConfigurationError: store, key or options cannot work; the object is no token; the
                certificate is unfit.
            LoginRefused: Betfair refused a login, now or a moment ago.
            IdentityUnavailable: Betfair cannot be asked; the stored token was left alone.
            StoreError: the store cannot be read, or would not take the new token (whose session
                was then ended, unless it is PublishUncertain).
            LoginTimeout: another process is still logging in, or too little time was left.
            LoginBrake: too many logins within a minute.
        """
        session = self._known(store, key, storage_options)
        if session is None:
            session, timeout = self._open(store, key, storage_options, timeout)
        return session.token(timeout)

    async def aget_session(
        self,
        store: Store,
        key: str,
        storage_options: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> str:
        """Return a live session token without blocking the event loop.

        Arguments, return value and errors are those of `get_session`.
        """
        session = self._known(store, key, storage_options)
        if session is None:  # opening a store may take a while, if only to import its driver
            opened = await in_thread(lambda: self._open(store, key, storage_options, timeout))
            session, timeout = opened
        return await session.atoken(timeout)

    def session(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> Session:
        """Return the handle for one place; the same arguments give the same handle.

        Another spelling of the same place, such as "tokens/" for "tokens", gives another handle: it
        uses the same token, but verifies it by itself. The arguments are those of `get_session`.

        Raises:
            ConfigurationError: store, key or options cannot work.
            StoreUnavailable: a driver that connects when it is made, such as sshfs's, could not
                do so within the lease's `store_deadline`.
        """
        session = self._known(store, key, storage_options)
        if session is None:
            session, _ = self._open(store, key, storage_options, None)
        return session

    def _known(self, store: Store, key: str, given: Mapping[str, Any] | None) -> Session | None:
        """Return the handle for one place, if it has been made."""
        try:
            for options, _, handles in self._places.get(store, ()):
                if not (options or given) or options == given:
                    return handles.get(key)
        except TypeError:  # one of them cannot be hashed, as `_open` will say
            pass
        return None

    def _place(self, store: Store, options: dict[str, Any]) -> _Place | None:
        """Return the store for these arguments and its handles, if it has been opened."""
        try:
            known = self._places.get(store, ())
        except TypeError:  # it cannot be hashed
            refuse("store", f"a store cannot be a {type(store).__name__}")
        return next((place for place in known if place[0] == options), None)

    def _open(
        self, store: Store, key: str, given: Mapping[str, Any] | None, timeout: float | None
    ) -> tuple[Session, float]:
        """Make the handle for one place; return it, and the seconds that the call has left."""
        deadline = time.monotonic() + checked_seconds(timeout, usual=self._account.login_timeout)
        options, name = checked_options(given), check_key(key)
        place, mine = self._place(store, options), None
        if place is None:
            # Outside the lock, so that callers for other stores do not wait for this driver.
            seconds = min(deadline - time.monotonic(), self._account.lease.store_deadline)
            mine = open_store(store, options, timeout=seconds)
            place = (options, mine, {})
        with self._lock.mine():
            known = self._place(store, options)
            if known is None:  # it is new, or `close` has just forgotten it
                self._places.setdefault(store, []).append(place)
            _, opened, handles = known or place
            session = handles.get(name) or Session(self._account, opened, name)
            handles[name] = session
        if mine is not None and mine is not opened:  # another thread was faster
            mine.close()
        elif mine is not None and not mine.atomic:
            log.tell(
                WARNING,
                "%s is not known to support a shared login, so each process logs in by "
                "itself; see backends.md for stores that share one login",
                mine.label,
            )
        return session, max(deadline - time.monotonic(), _LEAST_SECONDS)

    def logout(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        """End the session whose token is stored there, and remove the object.

        The arguments are those of `get_session`, the errors those of `Session.logout`.
        """
        self.session(store, key, storage_options).logout()

    def unlock(
        self, store: Store, key: str, storage_options: Mapping[str, Any] | None = None
    ) -> None:
        """Forget refusals, and a login that seems to be under way; see `Session.unlock`.

        The arguments are those of `get_session`, the errors those of `Session.unlock`.
        """
        self.session(store, key, storage_options).unlock()

    def close(self) -> None:
        """Close the stores that were opened; the client stays open: it belongs to the caller."""
        with self._lock.mine():
            places = [place for known in self._places.values() for place in known]
            self._places.clear()
        for _, opened, _ in places:
            opened.close()

    def __repr__(self) -> str:
        account = vars(self).get("_account")  # missing if it was never wholly made
        return f"SessionManager({account.client if account else None!r})"
