"""Something that is made once, and what may hang, in a time that has an end."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .threads import NoThreadError, OverrunError, fill, start

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class OutOfTime(TimeoutError):
    """The time was over before anything was sent."""


class Once(Generic[T]):
    """Something that is made once, by whoever asks first, while the others wait for it."""

    def __init__(self) -> None:
        """Start with nothing made."""
        # The collector may run what asks again in the very thread that holds it.
        self._lock = threading.RLock()
        self._future: concurrent.futures.Future[T] | None = None
        self._former: T | None = None

    def get(self, make: Callable[[], T], *, deadline: float) -> T:
        """Return what `make` returned, in a thread of its own since it may block.

        Args:
            make: called again only after it failed.
            deadline: until when to wait, seconds by `time.monotonic`; then the making goes on, for
                the next caller.

        Returns:
            The one thing.

        Raises:
            OutOfTime: it is not made yet.
            NoThreadError: there is no thread to make it in.
            Exception: whatever `make` raised.
        """
        with self._lock:
            future = self._future
            if future is None or (future.done() and future.exception() is not None):
                future = concurrent.futures.Future()
                start(partial(fill, future, make))
                self._future = future  # not before: without a thread it would stay empty for ever
        if not concurrent.futures.wait([future], max(deadline - time.monotonic(), 0)).done:
            raise OutOfTime
        return future.result()

    def peek(self) -> T | None:
        """Return what was made, if anything."""
        future = self._future
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    def renew(self, made: T) -> T | None:
        """Have the next `get` make another, if `made` is still the one thing.

        Args:
            made: what `get` returned; others may be using it, so it is kept until the next time.

        Returns:
            What was kept so until now, if anything.
        """
        with self._lock:
            if self.peek() is not made:
                return None
            former, self._former, self._future = self._former, made, None
            return former

    def take(self) -> T | None:
        """Return what was made and forget it; at the next call what was kept of an earlier one."""
        with self._lock:
            made, self._future = self.peek(), None
            if made is None:
                made, self._former = self._former, None
        return made


class Lane:
    """Work that may hang: each piece is waited for only so long, and none is begun behind one.

    So a mount that hangs for hours takes one thread, not one for each try; and a read after a write
    that was given up sees what came of it.
    """

    def __init__(self) -> None:
        """Begin with a clear lane."""
        # By process: a fork copies no thread.
        self._late: dict[int, list[concurrent.futures.Future[Any]]] = {}

    def run(self, deadline: float, work: Callable[[], T]) -> T:
        """Do `work` in a thread of its own, after what was given up and still goes on.

        Where no thread can be started, it is done in this one, with no end to it.

        Args:
            deadline: until when to wait for both, seconds by `time.monotonic`.
            work: what to do; it must bear being abandoned.

        Returns:
            What `work` returned.

        Raises:
            OutOfTime: the work that was given up goes on, and `work` was not begun.
            OverrunError: it did not end in time.
            Exception: whatever `work` raised.
        """
        late = self._late.setdefault(os.getpid(), [])
        if late:
            left = max(deadline - time.monotonic(), 0)
            late[:] = concurrent.futures.wait(late, left).not_done
        if late:
            raise OutOfTime
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            start(partial(fill, future, work))
        except NoThreadError:
            return work()
        try:
            left = max(deadline - time.monotonic(), 0)
            if not concurrent.futures.wait([future], left).done:
                raise OverrunError
            return future.result()
        finally:
            if not future.done():  # out of time, or interrupted
                late.append(future)
