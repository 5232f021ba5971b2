"""The real store and the real client of a process that tells what it is about to do, and has done.

What is told is that the lock is about to be taken ("take"), was taken ("took"), was another's
("missed") or is given back ("released"), that a login is about to be sent ("login"), what it
brought ("session", "unclear") or that it was not sent ("unsent"), and that a token is about to be
written ("publish"), was ("published") or was not, since another was there ("unpublished").
"""

from __future__ import annotations

import time

from fleet.observed import ObservedStore, Points
from fleet.worker import say

from betfair_session import BetfairSessionError, IdentityClient
from betfair_session.login import lock as locks
from betfair_session.secret import Secret
from betfair_session.storage.contract import ANY, Expect, TokenStore, VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank


class Voice:
    """Says what one process is about to do, or has done, with the machine's monotonic time."""

    def __init__(self, number: int) -> None:
        """Speak as the process of that number."""
        self._number = number

    def tell(self, event: str, **details: object) -> None:
        say(n=self._number, e=event, t=time.monotonic(), **details)


class TellingStore(ObservedStore):
    """The real store; tells of the writes that take the lock, publish, and give it back."""

    def __init__(self, store: TokenStore, voice: Voice) -> None:
        super().__init__(store, Points(None, lambda _: None))
        self._voice = voice

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write; a blank, which shows that the token can be written, is not told of."""
        if expect is ANY or is_blank(content):
            return super().put(key, content, expect, deadline=deadline)
        details = {"token": content.decode()}
        before, done, lost = "publish", "published", "unpublished"
        if key.endswith(LOCK_SUFFIX):
            details, before, done, lost = {}, "", "released", "released"
            if locks.decode(content).state == locks.HELD:
                before, done, lost = "take", "took", "missed"
        if before:
            self._voice.tell(before, **details)
        try:
            version = super().put(key, content, expect, deadline=deadline)
        except VersionConflict:  # another is there
            self._voice.tell(lost, **details)
            raise
        self._voice.tell(done, **details)
        return version


class TellingClient(IdentityClient):
    """The real client; tells of every login before it is sent, and what came of it."""

    voice: Voice

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        self.voice.tell("login")
        try:
            token = super().certlogin(username, password, timeout=timeout)
        except BetfairSessionError as error:
            self.voice.tell("unclear" if getattr(error, "sent", True) else "unsent")
            raise
        self.voice.tell("session")
        return token
