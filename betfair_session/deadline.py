"""An end to work that has none of its own."""

from __future__ import annotations

import errno
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class OverrunError(TimeoutError):
    """The work did not end in time; it goes on, unobserved, in its own thread."""


class NoThreadError(OSError):
    """No thread could be started, so that nothing was done."""

    def __init__(self) -> None:
        """Say so, as the system would."""
        super().__init__(errno.EAGAIN, "no thread can be started")


def start(work: Callable[[], object], name: str = "betfair-session") -> threading.Thread:
    """Do `work` in a thread of its own that does not keep the process alive.

    Args:
        work: what to do.
        name: the thread's name, for people.

    Returns:
        The thread.

    Raises:
        NoThreadError: there are too many, or the interpreter is shutting down.
    """
    thread = threading.Thread(target=work, daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError:
        raise NoThreadError from None
    return thread


def fill(future: Future[_T], work: Callable[[], _T]) -> None:
    """Do `work`, and put what it returns or raises into a future.

    Args:
        future: not done yet.
        work: what to do.
    """
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        future.set_exception(error)


async def in_a_thread(work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of its own, without blocking the event loop.

    Args:
        work: what to do; it goes on when the task is cancelled.

    Returns:
        What `work` returned.

    Raises:
        NoThreadError: it was not begun.
        Exception: whatever `work` raised.
    """
    import asyncio

    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()  # a cancelled task leaves it to the thread
    start(partial(fill, future, work))
    return await asyncio.wrap_future(future)


def run_within(seconds: float, work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of its own and wait at most `seconds` for it.

    Read time-outs start anew with every byte, and some drivers have none at all, so only another
    thread can promise an end.

    Args:
        seconds: how long to wait.
        work: what to do; it must bear being abandoned.

    Returns:
        What `work` returned.

    Raises:
        OverrunError: it did not end in time.
        NoThreadError: it was not begun.
        Exception: whatever `work` raised.
    """
    future: Future[_T] = Future()
    start(partial(fill, future, work)).join(max(seconds, 0))
    if not future.done():
        raise OverrunError
    return future.result()
