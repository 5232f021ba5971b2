"""What a process remembers of one token's logins from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .lock import Lock


class Memory:
    """What a process has to remember from one call to its next.

    Attributes:
        owed: the lock that it could not give back, as it should read; None for none.
        since: the steady and the wall time from which the times in it count.
    """

    owed: Lock | None = None
    since: tuple[float, float] = (0.0, 0.0)
