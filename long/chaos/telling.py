"""The real store and the real client of a process that tells what it is about to do, and has done.

What is told is that the lock is about to be taken ("take"), was taken ("took"), was another's
("missed") or is given back ("released"), that a login is about to be sent ("login"), what it
brought ("session", "unclear") or that it was not sent ("unsent"), and that a token is about to be
written ("publish"), was ("published") or was not, since another was there ("unpublished").
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from fleet.observed import ObservedStore, Points
from fleet.worker import say

from betfair_session import BetfairSessionError, IdentityClient
from betfair_session.login import lock as locks
from betfair_session.secret import Secret
from betfair_session.storage.contract import ANY, Expect, TokenStore, VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank

Tell: TypeAlias = Callable[..., None]


def tell(number: int, event: str, **details: object) -> None:
    """Say what the process of that number is about to do, or has done, and when."""
    say(n=number, e=event, t=time.monotonic(), **details)


class TellingStore(ObservedStore):
    """The real store; tells of the writes that take the lock, publish, and give it back."""

    def __init__(self, store: TokenStore, tell: Tell) -> None:
        super().__init__(store, Points(None, lambda _: None))
        self._tell = tell

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
            self._tell(before, **details)
        try:
            version = super().put(key, content, expect, deadline=deadline)
        except VersionConflict:  # another is there
            self._tell(lost, **details)
            raise
        self._tell(done, **details)
        return version


class TellingClient(IdentityClient):
    """The real client; tells of every login before it is sent, and what came of it."""

    tell: Tell

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        self.tell("login")
        try:
            token = super().certlogin(username, password, timeout=timeout)
        except BetfairSessionError as error:
            self.tell("unclear" if getattr(error, "sent", True) else "unsent")
            raise
        self.tell("session")
        return token
