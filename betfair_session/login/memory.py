"""What a process remembers of one token's logins from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import lock as locks

if TYPE_CHECKING:
    from betfair_session.process.clocks import Clock, Times

    from .lock import Lock


class Memory:
    """The lock as a call of this process should have left it, and may not have.

    Attributes:
        owed: that lock; None for none.
        since: the steady and the wall time from which the times in it count.
    """

    owed: Lock | None = None
    since: Times = (0.0, 0.0)

    def owe(self, lock: Lock, now: Times) -> None:
        """Remember what a lock should say."""
        self.owed, self.since = lock, now

    def age(self, now: Times) -> float:
        """Return how long ago that was, by the clock that went less far: a step is none."""
        (steady_then, wall_then), (steady, wall) = self.since, now
        return max(min(steady - steady_then, wall - wall_then), 0.0)

    def lock(self, clock: Clock) -> Lock:
        """Return the lock that is owed, with its times told from now."""
        owed, now = self.owed or locks.JUNK, clock.server()
        left = max(owed.not_before - owed.since - self.age(clock.now()), 0.0)
        ends = now + left if owed.state == locks.FAILED else 0.0
        return owed._replace(since=now, not_before=ends, published="")  # that was not just now
