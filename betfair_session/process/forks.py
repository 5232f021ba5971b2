"""A lock that a forked child can take although another thread of its parent held it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class ForkSafeLock:
    """A lock that is new in every process: `with lock.mine(): …`."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._locks = {os.getpid(): threading.RLock()}

    def mine(self) -> AbstractContextManager[bool]:
        """Return this process's own lock, for a `with` statement.

        Returns:
            The interpreter's own, since no signal comes between taking that and the block; and one
            that a signal handler can take again in the thread that has it.
        """
        # One atomic step of the dict, so that two threads of a child take the same lock.
        return self._locks.setdefault(os.getpid(), threading.RLock())
