"""What threads, event loops and forked children share; and base classes of this package.

A call runs in its caller's thread. The other threads, which `threads.start` starts, are daemons but
for one kind, for which Python waits when the program ends:

- "betfair-session": one piece of work that its caller can leave at a deadline: a request to
  Betfair, a call of a blocking driver, the opening of a driver, or an access to a file on a mount
  that may hang. The work of an asyncio task, of a daemon thread, and of a caller who does not wait
  gets one that is no daemon, since the end of the program must not cut a login off. `on_event` runs
  in the thread that did the work (single_flight.py).
- "betfair-session-io": the event loop of the asynchronous drivers (storage/loop.py).
- "betfair-keepalive": a `KeepAlive` that was started.

A fork waits a moment for an attempt of a `KeepAlive`. The child has none of these threads. There
one hook calls `after_fork` on each object that was given to `reset_in_child`: locks are made anew,
calls under way are forgotten, and connections and drivers are opened anew. Those of the parent are
left alone.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import (
        Any,
        Generic as Generic,
        NamedTuple as NamedTuple,
        Protocol as Protocol,
        Self,
        TypeVar,
    )

    T = TypeVar("T")
else:
    # Importing typing takes a fifth of a start with a trusted token: use stand-ins for its classes.
    T, Protocol = None, object

    class Generic:
        """Stand-in for typing.Generic."""

        def __class_getitem__(cls, _: object) -> type:
            return cls

    class _Maker(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            names = body["__annotations__"]
            defaults = [body.pop(each) for each in names if each in body]
            module = body["__module__"]
            fields = namedtuple(name, names, defaults=defaults, module=module)  # noqa: PYI024 - to make one
            fields.__new__.__annotations__ = names  # which help() and Sphinx show
            for each, value in body.items():
                setattr(fields, each, value)
            return fields

    class NamedTuple(metaclass=_Maker):
        """Stand-in for typing.NamedTuple, which would compile each annotation."""


class Closable(ABC):
    """Closes itself at the end of a `with` statement."""

    @abstractmethod
    def close(self) -> None:
        """Close what this object opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClosable(Closable):
    """Closes itself at the end of an `async with` statement, too."""

    async def aclose(self) -> None:
        """Close, without blocking the event loop."""
        from .single_flight import in_thread

        await in_thread(self.close)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


# --- forked children ------------------------------------------------------------------------------


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
