"""One call at a time for all threads that want the same thing, its outcome shared."""

from __future__ import annotations

import copy
import os
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from .exceptions import LoginTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class _Call(Generic[_T]):
    """A call under way."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.over = threading.Event()
        self.results: list[_T] = []
        self.error: BaseException | None = None


class SingleFlight(Generic[_T]):
    """Lets the first thread work and the others wait for what comes of it."""

    def __init__(self) -> None:
        """Start with no call under way."""
        self._lock = threading.Lock()
        self._current: _Call[_T] | None = None

    def join(self, work: Callable[[], _T], *, deadline: float) -> tuple[_T, bool]:
        """Do `work`, or wait for the thread that is doing it.

        Args:
            work: what to do.
            deadline: the `time.monotonic` at which waiting for another thread ends.

        Returns:
            The result, and whether this thread did the work.

        Raises:
            LoginTimeout: another thread was not ready in time.
            Exception: whatever `work` raised, in each of the threads.
        """
        while True:
            with self._lock:
                call = self._current
                # A forked child has the parent's call, but not the thread that works on it.
                leads = call is None or call.process != os.getpid()
                if leads:
                    call = self._current = _Call()
            assert call is not None  # noqa: S101 - for the type checker
            if leads:
                return self._lead(call, work), True
            if not call.over.wait(max(deadline - time.monotonic(), 0)):
                message = "another thread of this process is still at it"
                raise LoginTimeout(message)
            if call.results:
                return call.results[0], False
            # The leader's own time, or its being interrupted, is no answer for anybody else.
            if isinstance(call.error, Exception) and not isinstance(call.error, LoginTimeout):
                error = copy.copy(call.error)
                error.__cause__ = call.error.__cause__
                raise error

    def _lead(self, call: _Call[_T], work: Callable[[], _T]) -> _T:
        try:
            result = work()
        except BaseException as error:
            call.error = error
            raise
        else:
            call.results.append(result)
            return result
        finally:
            with self._lock:
                if self._current is call:
                    self._current = None
            call.over.set()
