"""An end to work that has none of its own, and the end that a caller's signal handler gives it."""

from __future__ import annotations

import errno
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_T = TypeVar("_T")

_VARARGS = 4  # inspect.CO_VARARGS, whose module takes long to import


class OverrunError(TimeoutError):
    """The work did not end in time; it goes on, unobserved, in its own thread."""


class NoThreadError(OSError):
    """No thread could be started, so that nothing was done."""

    def __init__(self) -> None:
        """Say so, as the system would."""
        super().__init__(errno.EAGAIN, "no thread can be started")


def start(work: Callable[[], object], name: str = "betfair-session") -> threading.Thread:
    """Do `work` in a thread of its own that does not keep the process alive.

    It has the caller's context variables, by which tracers know what a request belongs to.

    Args:
        work: what to do.
        name: the thread's name, for people.

    Returns:
        The thread.

    Raises:
        NoThreadError: there are too many, or the interpreter is shutting down.
    """
    thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError:
        raise NoThreadError from None
    return thread


def is_ending(error: BaseException) -> bool:
    """Tell whether the interpreter refused a thread because it is shutting down.

    Its words alone say so: "can't register atexit after shutdown" when an executor is imported,
    "cannot schedule new futures after shutdown" when one is used, and since Python 3.12 "can't
    create new thread at interpreter shutdown".

    Args:
        error: what an import, a driver or the system raised.

    Returns:
        Whether it is that.
    """
    return isinstance(error, RuntimeError) and "shutdown" in str(error)


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


def run_until(deadline: float, work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of its own and wait for it until `deadline`.

    Read time-outs start anew with every byte, and some drivers have none at all, so only another
    thread can promise an end.

    Args:
        deadline: until when to wait, seconds by `time.monotonic`.
        work: what to do; it must bear being abandoned.

    Returns:
        What `work` returned.

    Raises:
        OverrunError: it did not end in time.
        NoThreadError: it was not begun.
        Exception: whatever `work` raised.
    """
    future: Future[_T] = Future()
    start(partial(fill, future, work)).join(max(deadline - time.monotonic(), 0))
    if not future.done():
        raise OverrunError
    return future.result()


def interruption(error: BaseException) -> BaseException | None:
    """Return what a signal handler of the caller's raised in the midst of some work, if that is it.

    Such an error is not ours to handle, whatever its type: a TimeoutError after an alarm is no
    failure of the network, and a task's time limit none of a store. The interpreter hands a handler
    the frame that it interrupted (docs of `signal.signal`), and in a traceback the handler's own
    frame follows that one.

    Args:
        error: what came out of the work: the handler's error itself, or what a driver made of it.

    Returns:
        The handler's error; None if there is none.
    """
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            if _is_handlers(each):
                return each
            # As drivers, requests and urllib3 keep what theirs was made of. Not by its context,
            # which leads on to what the caller was handling when it called.
            made_of = (each.__cause__, getattr(each, "reason", None), *each.args)
            left += [part for part in made_of if isinstance(part, BaseException)]
    return None


def _is_handlers(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        interrupted, trace = trace.tb_frame, trace.tb_next
        if any(value is interrupted for value in _arguments(trace.tb_frame)):
            return True
    return False


def _arguments(frame: FrameType) -> Iterator[object]:
    """Walk through what a function was called with."""
    code, found = frame.f_code, frame.f_locals
    more = bool(code.co_flags & _VARARGS)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]
    for name in names:
        value = found.get(name)
        yield from value if more and name == names[-1] and isinstance(value, tuple) else (value,)
