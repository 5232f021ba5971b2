"""One call at a time for all threads and tasks that want the same thing, its outcome shared."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import time
from concurrent.futures import Future, TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Generic, TypeVar

from .exceptions import LoginTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Lets the first caller work and the others wait for what comes of it."""

    def __init__(self) -> None:
        """Start with no call under way."""
        # By process: a forked child has the parent's call, but not the thread that works on it.
        # One atomic step of the dict decides who leads, so that no fork can leave a lock held.
        self._calls: dict[int, Future[_T]] = {}

    def join(
        self, work: Callable[[], _T], *, deadline: float, wait: bool = True
    ) -> tuple[_T, bool] | None:
        """Do `work`, or wait for whoever is doing it.

        Args:
            work: what to do.
            deadline: the `time.monotonic` at which waiting for another ends.
            wait: False to return None in place of waiting.

        Returns:
            The result, and whether this thread did the work.

        Raises:
            LoginTimeout: another was not ready in time.
            Exception: whatever `work` raised, for each of the callers.
        """
        while True:
            call, leads = self._enter()
            if leads:
                self._work(call, work)
                return call.result(), True
            if not wait:
                return None
            try:
                error = call.exception(max(deadline - time.monotonic(), 0))
            except FutureTimeoutError:
                raise _too_slow() from None
            if error is None:
                return call.result(), False
            _share(error)

    async def ajoin(
        self, work: Callable[[], _T], *, deadline: float, wait: bool = True
    ) -> tuple[_T, bool] | None:
        """Do as `join` does, without blocking the event loop.

        The work gets a thread of its own, and goes on, for others, when the task is cancelled.

        Args:
            work: as in `join`.
            deadline: as in `join`.
            wait: as in `join`.

        Returns:
            As `join`.

        Raises:
            LoginTimeout: as `join`.
            Exception: as `join`.
        """
        while True:
            call, leads = self._enter()
            if leads:
                # Not the loop's own executor: that may be full of calls that wait for this one.
                threading.Thread(
                    target=self._work, args=(call, work), daemon=True, name="betfair-session"
                ).start()
            elif not wait:
                return None
            left = None if leads else max(deadline - time.monotonic(), 0)
            if not await _done(call, left):
                raise _too_slow()
            error = call.exception()
            if error is None or leads:
                return call.result(), leads
            _share(error)

    def _enter(self) -> tuple[Future[_T], bool]:
        """Return the call under way, and whether it is this caller's to make."""
        mine: Future[_T] = Future()
        call = self._calls.setdefault(os.getpid(), mine)
        return call, call is mine

    def _work(self, call: Future[_T], work: Callable[[], _T]) -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - result() raises it
            del self._calls[os.getpid()]
            call.set_exception(error)
        else:
            del self._calls[os.getpid()]
            call.set_result(result)


def _share(error: BaseException) -> None:
    """Raise another caller's error, unless it says nothing to anybody else.

    That is so for the end of its own time, and for its being interrupted.
    """
    if isinstance(error, Exception) and not isinstance(error, LoginTimeout):
        again = copy.copy(error)
        again.__cause__ = error.__cause__
        raise again


def _too_slow() -> LoginTimeout:
    return LoginTimeout("another thread of this process is still at it")


async def _done(call: Future[_T], seconds: float | None) -> bool:
    """Wait for a call to end; return whether it did in time."""
    import asyncio

    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[_T]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(over.set)

    call.add_done_callback(tell)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)
    return call.done()
