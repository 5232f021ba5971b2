"""How long a process uses a token without asking Betfair again.

After a verification no thread asks inside the trust window. From its end to the session's usual end
one thread asks, and the others use the token meanwhile. After that no thread uses it.
"""

from __future__ import annotations

import math

from betfair_session.secret import Secret

from . import clocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .clocks import Times

RETRY = 5.0
"""Seconds until the next attempt, when one got no answer before the session's usual end."""

_SLICE_SECONDS = 1.0  # how much too long a window may last, if a clock is set meanwhile
_MOST_DOUBTS = 16  # tokens whose rejection is remembered
_NEVER: Times = (0.0, 0.0)


class Held:
    """A token and the times of its use. Threads read it without a lock, and never disagree.

    Attributes:
        secret: the token; as a text, some tools would show it beside a line that names it.
        since: the wall time of the last look at both clocks; less now means that it was set back.
        soon: the wall time until which a look at the wall clock alone is enough.
        until, until_steady: when the window ends, by the wall clock and by the steady one.
        ends: when the session ends.
    """

    __slots__ = ("ends", "secret", "since", "soon", "until", "until_steady")

    def __init__(self, secret: Secret, since: float, until: Times, ends: Times) -> None:
        """Keep them."""
        self.secret, self.since, self.soon = secret, since, since
        self.until_steady, self.until = until
        self.ends = ends

    @property
    def fresh(self) -> bool:
        """Whether the token may be used at once, by both clocks."""
        since, now = self.since, clocks.wall()  # in this order: another thread may set `since`
        fresh = since <= now < self.until and clocks.steady() < self.until_steady
        if fresh:
            self.since, self.soon = now, min(now + _SLICE_SECONDS, self.until)
        return fresh

    @property
    def usable(self) -> bool:
        """Whether the session has not ended, by both clocks: either may stand still in a freeze."""
        (steady, wall), since, now = self.ends, self.since, clocks.wall()
        return since <= now < wall and clocks.steady() < steady


NOTHING = Held(Secret(""), 0.0, _NEVER, _NEVER)


class Trust:
    """What one process believes about one token; safe to share between threads.

    Attributes:
        held: the token that this process used last; after its window it has to be verified.
        window: seconds; 0 to trust nothing.
        shared: whether verifications are shared through the store.
    """

    __slots__ = ("_asked", "_doubted", "_length", "held", "shared", "window")

    def __init__(self, window: float, length: float, *, shared: bool = False) -> None:
        """Begin without a token."""
        self.held, self.window, self.shared = NOTHING, window, shared
        self._length = max(length, window) if window else 0.0
        self._asked = (Secret(""), -math.inf)  # what was verified last, and since when (steady)
        self._doubted: dict[Secret, float] = {}  # tokens, and when (steady) each was doubted

    def verified(self, token: Secret, since: Times) -> None:
        """Record that a token was alive when Betfair was asked (not when the answer arrived)."""
        self._asked = (token, since[0])
        if self.doubts(token, since):
            return
        (steady, wall), window, length = since, self.window, self._length
        until, ends = (steady + window, wall + window), (steady + length, wall + length)
        self.held = Held(token, clocks.wall(), until, ends)
        if self.doubts(token, since):  # by another thread, meanwhile
            self.held = NOTHING

    def asked(self, token: Secret, after: float) -> bool:
        """Return whether a token, the one verified last, was alive later than `after` (steady)."""
        verified, since = self._asked
        return verified == token and since > after

    def doubts(self, token: Secret, since: Times) -> bool:
        """Return whether a token was doubted after it was verified at `since`."""
        return since[0] <= self._doubted.get(token, -math.inf)

    def doubt(self, token: Secret) -> None:
        """Do not use a token before a new verification; an earlier one no longer counts."""
        self._doubted[token] = clocks.steady()
        latest = sorted([*self._doubted.items()], key=lambda each: each[1])
        for old, _ in latest[:-_MOST_DOUBTS]:
            self._doubted.pop(old, None)
        held = self.held
        if held.secret == token:
            self.held = Held(held.secret, held.since, _NEVER, _NEVER)

    def forget(self, token: Secret) -> None:
        """Do not use a token again, nor ask about it: it is dead, or was logged out."""
        self.doubt(token)
        if self.held.secret == token:
            self.held = NOTHING

    def postpone(self, held: Held) -> bool:
        """Use a token a little longer, without an answer; return False if it was replaced."""
        now, doubts = clocks.now(), self._doubted.get(held.secret)
        if self.held is not held:
            return False
        steady, wall = map(min, clocks.later(now, min(RETRY, self.window)), held.ends)
        self.held = Held(held.secret, now[1], (steady, wall), held.ends)
        if self._doubted.get(held.secret) != doubts:  # by another thread, meanwhile
            self.held = NOTHING
            return False
        return True

    def superseded(self, stored: Secret) -> None:
        """Do not go on with a token without an answer when the store holds another."""
        held = self.held.secret
        if held and held != stored:
            self.doubt(held)
