"""How long a process uses a token without asking again.

Two times follow from a verification: inside the trust window nobody asks; from its end to the
session's own end one thread asks while the others go on; past that nobody uses the token.
"""

from __future__ import annotations

import time
from typing import NoReturn

from .secret import Secret

RETRY = 5.0
"""Seconds until the next attempt after one within the session's length that got no answer."""


class Held:
    """A token and the times of its use. Never changed once made, so that reading needs no lock.

    Attributes:
        token: the text itself, which no repr, pickle or copy shows.
        since: the wall clock's time at which it was made, seconds since the epoch.
        until: the wall clock's time at which the window ends.
        ends: when (monotonic) the session ends.
        ends_wall: the same by the wall clock.
    """

    __slots__ = ("ends", "ends_wall", "since", "token", "until")

    def __init__(
        self, token: str, since: float, until: float, ends: float, ends_wall: float
    ) -> None:
        """Keep them."""
        self.token = token
        self.since = since
        self.until = until
        self.ends = ends
        self.ends_wall = ends_wall

    @property
    def usable(self) -> bool:
        """Whether the session has not ended, by both clocks: either may stand still in a freeze."""
        wall = time.time()
        return self.since <= wall < self.ends_wall and time.monotonic() < self.ends

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        message = "a token is not to be pickled"
        raise TypeError(message)


NOTHING = Held("", 0.0, 0.0, 0.0, 0.0)


class Trust:
    """What one process believes about one token; safe to share between threads.

    Attributes:
        held: the token to use. It may be used at once while `held.since <= time.time() <
            held.until`: the wall clock, because the monotonic one may stand still while a machine
            sleeps. One that steps back costs a verification, or at most doubles the window.
        window: seconds; 0 to trust nothing.
        shared: whether verifications are shared through the store.
    """

    __slots__ = ("_doubted", "_length", "held", "shared", "window")

    def __init__(self, window: float, length: float | None, *, shared: bool = False) -> None:
        """Begin without a token.

        Args:
            window: seconds after a verification in which nobody asks.
            length: seconds that a session lives without a keepAlive; None where that is unknown,
                and nothing is then used past the window.
            shared: whether verifications are shared through the store.
        """
        self.held = NOTHING
        self.window = window
        self.shared = shared
        self._length = window if length is None else max(length, window)
        self._doubted = (Secret(""), 0.0)  # a token, and when (monotonic) it was said to be dead

    def verified(self, token: Secret, age: float) -> None:
        """Take in that a token was verified `age` seconds ago."""
        if not self.window or self.doubts(token, age):
            return
        wall = time.time()
        left = self._length - age
        self.held = Held(
            token.reveal(), wall, wall + self.window - age, time.monotonic() + left, wall + left
        )
        if self.doubts(token, age):  # meanwhile
            self.held = NOTHING

    def doubts(self, token: Secret, age: float) -> bool:
        """Tell whether a token was forgotten since it was verified `age` seconds ago."""
        doubted, then = self._doubted
        return doubted == token and time.monotonic() - age <= then

    def forget(self, token: Secret) -> None:
        """Use a token no more: it is dead, or said to be. A verification before this is none."""
        self._doubted = (token, time.monotonic())
        if Secret(self.held.token) == token:
            self.held = NOTHING

    def postpone(self, held: Held) -> bool:
        """Go on with a token for a moment, since nobody could be asked about it.

        Args:
            held: what is held.

        Returns:
            Whether it still is; not if it was found dead meanwhile.
        """
        if self.held is not held:
            return False
        wall = time.time()
        until = min(wall + min(RETRY, self.window), held.ends_wall)
        self.held = Held(held.token, wall, until, held.ends, held.ends_wall)
        return True
