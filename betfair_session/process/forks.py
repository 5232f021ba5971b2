"""The one hook for forks: what belongs to this process alone begins anew in a forked child."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Protocol

    class Forked(Protocol):
        """What has something to do in a forked child."""

        def after_fork(self) -> None:
            """Forget the parent's locks, threads and connections; called in the child alone."""


_known: weakref.WeakKeyDictionary[Forked, None] = weakref.WeakKeyDictionary()


def reset_in_child(thing: Forked) -> None:
    """Have `thing.after_fork()` called in every forked child, for as long as it lives."""
    _known[thing] = None


def _reset_all() -> None:
    with contextlib.ExitStack() as stack:  # calls them all, whatever one raises
        for thing in list(_known):
            stack.callback(thing.after_fork)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=_reset_all)


class ForkSafeLock:
    """A lock that is new in a forked child, whose parent's threads may have held it."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Begin unlocked again."""
        self._lock = threading.RLock()

    def mine(self) -> AbstractContextManager[bool]:
        """Return this process's own lock, for a `with` statement."""
        return self._lock  # the interpreter's own: no signal comes between taking it and the block
