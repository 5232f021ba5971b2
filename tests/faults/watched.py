"""The real client and the real store, with counts of what matters."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from betfair_session import BetfairSessionError, IdentityClient, StoreError
from betfair_session.secret import Secret
from betfair_session.storage.contract import ANY, TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.storage.contract import Expect, StoredObject


class CountingClient(IdentityClient):
    """The real client; it counts its logins and keeps their tokens.

    Attributes:
        logins: how many were sent.
        made: the tokens that they brought.
        stuck: those that could not be logged out.
        after_login: called when a login has come back, whatever it brought.
    """

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - IdentityClient's own
        """Make a client."""
        super().__init__(**settings)
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.logins = 0
        self.made: list[str] = []
        self.stuck: list[str] = []
        self.after_login: Callable[[], object] = lambda: None

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        """Log in."""
        with self._counted():
            return self._kept(super().certlogin(username, password, timeout=timeout))

    def login(
        self,
        username: str | Secret,
        password: str | Secret,
        *,
        code: str | Secret | Callable[[], str] | None = None,
        timeout: float | None = None,
    ) -> Secret:
        """Log in without a certificate."""
        with self._counted():
            return self._kept(super().login(username, password, code=code, timeout=timeout))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.logins += 1
        try:
            yield
        finally:
            self.after_login()

    def _kept(self, token: Secret) -> Secret:
        self.made.append(token.reveal())
        return token

    def logout(self, token: str | Secret, *, timeout: float | None = None) -> None:
        """Log out."""
        try:
            super().logout(token, timeout=timeout)
        except BetfairSessionError:
            self.stuck.append(Secret(token).reveal())
            raise


class WatchedStore(TokenStore):
    """A store that has just been opened, over connections that have been there; it keeps a count.

    Attributes:
        timeouts: the keys of the writes that got no answer in time.
    """

    def __init__(self, store: TokenStore) -> None:
        """Pass everything on to a copy, which has not yet found out what its server can do."""
        self._store = copy.copy(store)
        self.label, self.atomic, self.probe = store.label, store.atomic, store.probe
        self.timeouts: list[str] = []

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read."""
        return self._store.get(key, deadline=deadline)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write."""
        with self._watched(key):
            return self._store.put(key, content, expect, deadline=deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Delete."""
        self._store.delete(key, expect, deadline=deadline)

    def server_now(self, *, deadline: float) -> float | None:
        """Ask for the time."""
        return self._store.server_now(deadline=deadline)

    @contextmanager
    def _watched(self, key: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            if error.reason == "timeout":
                self.timeouts.append(key)
            raise
