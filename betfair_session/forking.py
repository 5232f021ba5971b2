"""A lock that a forked child can take although another thread of its parent held it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class ForkSafeLock:
    """A `threading.Lock` for `with` statements, new in every process."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._locks = {os.getpid(): threading.Lock()}

    def __enter__(self) -> None:
        # One atomic step of the dict, so that two threads of a child take the same lock.
        self._locks.setdefault(os.getpid(), threading.Lock()).acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._locks[os.getpid()].release()
