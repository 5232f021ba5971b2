"""The one hook for forks: objects that belong to one process are reset in a forked child."""

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
        """An object to reset in a forked child."""

        def after_fork(self) -> None:
            """Forget the parent's locks, threads and connections; called in the child alone."""


_known: weakref.WeakKeyDictionary[Forked, None] = weakref.WeakKeyDictionary()


def reset_in_child(thing: Forked) -> None:
    """Call `thing.after_fork()` in every forked child, for as long as `thing` lives."""
    _known[thing] = None


def _reset_all() -> None:
    with contextlib.ExitStack() as stack:  # calls them all, even if one raises
        for thing in list(_known):
            stack.callback(thing.after_fork)


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=_reset_all)


class ForkSafeLock:
    """A lock that a forked child replaces, since a thread of the parent may have held it."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Replace the lock by an unlocked one."""
        self._lock = threading.RLock()

    def mine(self) -> AbstractContextManager[bool]:
        """Return this process's own lock, for a `with` statement."""
        return self._lock  # in C: no signal handler runs between taking it and the block
