"""An end to work that has none of its own, and the end that a caller's signal handler gives it.

A deadline is a moment by `time.monotonic`. What is done in a thread must bear being abandoned.
"""

from __future__ import annotations

import errno
import threading
import time
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .forks import reset_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import FrameType

_T = TypeVar("_T")

_VARARGS = 4  # inspect.CO_VARARGS, whose module takes long to import


class OverrunError(TimeoutError):
    """The work did not end in time; it goes on, unobserved, in its own thread."""


class OutOfTime(TimeoutError):
    """The time was over before anything was sent."""


class NoThreadError(OSError):
    """No thread could be started, so that nothing was done."""

    def __init__(self) -> None:
        """Say so, as the system would."""
        super().__init__(errno.EAGAIN, "no thread can be started")


def start(work: Callable[[], object], name: str = "betfair-session") -> threading.Thread:
    """Do `work` in a thread of its own that does not keep the process alive.

    It has the caller's context variables, by which tracers know what a request belongs to. A
    NoThreadError says that there are too many threads, or that the interpreter is shutting down.
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
    """
    return isinstance(error, RuntimeError) and "shutdown" in str(error)


def begin(work: Callable[[], _T]) -> Future[_T]:
    """Do `work` in a thread of its own; return what holds its outcome when it is done."""
    future: Future[_T] = Future()
    future.set_running_or_notify_cancel()

    def fill() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)

    start(fill)
    return future


def finished(futures: Collection[Future[Any]], deadline: float) -> bool:
    """Wait until all of them are done, or until `deadline`; tell which."""
    return not wait(futures, max(deadline - time.monotonic(), 0)).not_done


async def in_a_thread(work: Callable[[], _T]) -> _T:
    """Do `work` without blocking the event loop; it goes on when the task is cancelled."""
    import asyncio

    return await asyncio.wrap_future(begin(work))


def run_until(deadline: float, work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of its own and wait for it until `deadline`, or raise OverrunError.

    Read time-outs start anew with every byte, and some drivers have none at all, so only another
    thread can promise an end.
    """
    future = begin(work)
    if not finished([future], deadline):
        raise OverrunError
    return future.result()


class Once(Generic[_T]):
    """Something that is made once in a process, by who asks first, while the others wait for it."""

    _parents: object = None

    def __init__(self) -> None:
        """Start with nothing made."""
        self._begin()
        reset_in_child(self)

    def _begin(self) -> None:
        # The collector may run what asks again in the very thread that holds it.
        self._lock = threading.RLock()
        self._future: Future[_T] | None = None
        self._former: _T | None = None

    def after_fork(self) -> None:
        """Have it made anew; what the parent made is kept, since dropping it might close it."""
        self._parents = (self._future, self._former, self._parents)
        self._begin()

    def get(self, make: Callable[[], _T], *, deadline: float) -> _T:
        """Return what `make` returned, in a thread of its own since it may block.

        After `deadline` (OutOfTime) the making goes on, for the next caller. It is made again only
        after it failed.
        """
        with self._lock:
            future = self._future
            if future is None or (future.done() and future.exception() is not None):
                future = self._future = begin(make)
        if not finished([future], deadline):
            raise OutOfTime
        return future.result()

    def peek(self) -> _T | None:
        """Return what was made, if anything."""
        future = self._future
        if future is None or not future.done() or future.exception() is not None:
            return None
        return future.result()

    def renew(self, made: _T) -> _T | None:
        """Have the next `get` make another, if `made` is still the one thing.

        Others may be using it, so it is kept until the next time, and what was kept so is returned.
        """
        with self._lock:
            if self.peek() is not made:
                return None
            former, self._former, self._future = self._former, made, None
            return former

    def take(self) -> _T | None:
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
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Clear the lane: a fork copies no thread."""
        self._late: set[Future[Any]] = set()

    def run(self, deadline: float, work: Callable[[], _T]) -> _T:
        """Do `work` in a thread of its own, after what was given up and still goes on.

        OutOfTime says that it was not begun, OverrunError that it did not end. Where no thread can
        be started, it is done in this one, with no end to it.
        """
        if self._late and not finished(self._late, deadline):
            raise OutOfTime
        try:
            future = begin(work)
        except NoThreadError:
            return work()
        try:
            if not finished([future], deadline):
                raise OverrunError
            return future.result()
        finally:
            if not future.done():  # out of time, or interrupted
                self._late.add(future)
                future.add_done_callback(self._late.discard)


def interruption(error: BaseException) -> BaseException | None:
    """Return what a signal handler of the caller's raised in the midst of some work, if that is it.

    Such an error is not ours to handle, whatever its type: a TimeoutError after an alarm is no
    failure of the network, and a task's time limit none of a store. The interpreter hands a handler
    the frame that it interrupted (docs of `signal.signal`), and in a traceback the handler's own
    frame follows that one.
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
