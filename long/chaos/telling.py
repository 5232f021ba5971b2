"""The real store and the real client of a process that tells what it is about to do, and has done.

What is told is that the lock is about to be taken ("take"), was taken ("took"), was another's
("missed") or is given back ("released"), that a login is about to be sent ("login"), what it
brought ("session", "unclear") or that it was not sent ("unsent"), and that a token is about to be
written ("publish"), was ("published") or was not, since another was there ("unpublished").
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from fleet.worker import say

from betfair_session import BetfairSessionError, IdentityClient
from betfair_session.login import lock as locks
from betfair_session.storage.contract import ANY, TokenStore, VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank

if TYPE_CHECKING:
    from collections.abc import Iterator

    from betfair_session.secret import Secret
    from betfair_session.storage.contract import Expect, StoredObject


class Voice:
    """Says what one process is about to do, or has done, with the machine's monotonic time."""

    def __init__(self, number: int) -> None:
        """Speak as the process of that number."""
        self._number = number

    def tell(self, event: str, **details: object) -> None:
        """Say one thing."""
        say(n=self._number, e=event, t=time.monotonic(), **details)


class TellingStore(TokenStore):
    """The real store; tells of the writes that take the lock, publish, and give it back."""

    def __init__(self, store: TokenStore, voice: Voice) -> None:
        """Pass everything on to `store`."""
        self._store = store
        self._voice = voice
        self.label = store.label
        self.atomic = store.atomic
        self.probe = store.probe

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read."""
        return self._store.get(key, deadline=deadline)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write."""
        if expect is ANY:
            return self._store.put(key, content, expect, deadline=deadline)
        with self._told(key, content):
            return self._store.put(key, content, expect, deadline=deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Delete."""
        self._store.delete(key, expect, deadline=deadline)

    def server_now(self, *, deadline: float) -> float | None:
        """Ask for the time."""
        return self._store.server_now(deadline=deadline)

    def close(self) -> None:
        """Close."""
        self._store.close()

    @contextlib.contextmanager
    def _told(self, key: str, content: bytes) -> Iterator[None]:
        if is_blank(content):  # it shows that the token can be written
            yield
            return
        taking = key.endswith(LOCK_SUFFIX) and locks.decode(content).state == locks.HELD
        if taking:
            self._voice.tell("take")
        elif not key.endswith(LOCK_SUFFIX):
            self._voice.tell("publish", token=content.decode())
        try:
            yield
        except VersionConflict:
            if taking:
                self._voice.tell("missed")
            elif key.endswith(LOCK_SUFFIX):
                self._voice.tell("released")  # another has it
            else:
                self._voice.tell("unpublished", token=content.decode())
            raise
        if taking:
            self._voice.tell("took")
        elif key.endswith(LOCK_SUFFIX):
            self._voice.tell("released")
        else:
            self._voice.tell("published", token=content.decode())


class TellingClient(IdentityClient):
    """The real client; tells of every login before it is sent, and what came of it."""

    voice: Voice

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        """Log in."""
        self.voice.tell("login")
        try:
            token = super().certlogin(username, password, timeout=timeout)
        except BetfairSessionError as error:
            self.voice.tell("unclear" if getattr(error, "sent", True) else "unsent")
            raise
        self.voice.tell("session")
        return token
