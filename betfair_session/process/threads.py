"""Threads for work that has no end of its own; and what an error that ended some work is made of.

A deadline is a moment by `time.monotonic`. Then the caller leaves the work in its thread, so only
work that may end late, or never, without harm is done here.
"""

from __future__ import annotations

import errno
import threading
import time
from contextlib import suppress
from contextvars import copy_context

from . import Generic, T
from .forks import reset_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

_MOST_ERRORS = 32  # that are looked at
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
    """Do `work` in the caller's context, in a thread that keeps no process alive."""
    thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError as error:
        if "new thread" in str(error):  # its words alone say so
            raise NoThreadError from None
        # An interruption of Python's own wait for the thread, which goes on.
        raise error.__context__ or error from None
    return thread


def is_ending(error: BaseException) -> bool:
    """Tell whether the interpreter refused a thread at its end: its words alone say so."""
    return isinstance(error, RuntimeError) and "shutdown" in str(error)


class Outcome(Generic[T]):
    """What comes of some work; concurrent.futures would import `logging`, for a tenth of a start.

    It has no lock but each waiter's own: an interruption leaves none held that others take.
    """

    def __init__(self) -> None:
        """Begin without one."""
        self._found: dict[int, tuple[Any, BaseException | None]] = {}
        self._telling: list[Callable[[], object]] = []

    def done(self) -> bool:
        """Tell whether the work has ended."""
        return bool(self._found)

    def wait(self, deadline: float) -> bool:
        """Wait until the work has ended, or until `deadline`; tell which."""
        over = threading.Lock()
        over.acquire()
        self.then(over.release)
        try:
            over.acquire(timeout=max(deadline - time.monotonic(), 0))
        finally:
            self._telling.remove(over.release)
        return bool(self._found)

    def end(self, result: T | None = None, error: BaseException | None = None) -> None:
        """Take in how the work ended, and tell; the first who says so counts.

        After an interruption another call tells those who were not told.
        """
        self._found.setdefault(0, (result, error))
        for tell in [*self._telling]:
            with suppress(RuntimeError):  # the lock was released before; the event loop is closed
                tell()

    def then(self, tell: Callable[[], object]) -> None:
        """Have `tell` called when the work has ended, in the thread that ends it, or now.

        It may be called more than once, and raise RuntimeError when it need not have been.
        """
        self._telling.append(tell)
        if self._found:
            self.end()

    @property
    def error(self) -> BaseException | None:
        """What the work raised, once it has ended."""
        return self._found[0][1]

    def result(self) -> T:
        """Return what the work returned, or raise what it raised, once it has ended."""
        try:
            result: T
            result, error = self._found[0]
            if error is not None:
                raise error
            return result
        finally:
            del self, error  # a traceback would keep both


def begin(work: Callable[[], T]) -> Outcome[T]:
    """Do `work` in a thread of its own; return what holds its outcome when it is done."""
    outcome: Outcome[T] = Outcome()

    def fill() -> None:
        try:
            outcome.end(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.end(error=error)

    start(fill)
    return outcome


def run_until(deadline: float, work: Callable[[], T]) -> T:
    """Do `work` in a thread of its own and wait for it until `deadline`, or raise OverrunError.

    Read time-outs start anew with every byte, and some drivers have none at all, so only another
    thread can promise an end.
    """
    outcome = begin(work)
    if not outcome.wait(deadline):
        raise OverrunError
    return outcome.result()


class Once(Generic[T]):
    """Something that is made once in a process, by who asks first, while the others wait for it."""

    _parents: object = None

    def __init__(self) -> None:
        """Start with nothing made."""
        self._begin()
        reset_in_child(self)

    def _begin(self) -> None:
        # The collector may run what asks again in the very thread that holds it.
        self._lock = threading.RLock()
        self._outcome: Outcome[T] | None = None
        self._former: T | None = None

    def after_fork(self) -> None:
        """Have it made anew; what the parent made is kept, since dropping it might close it."""
        self._parents = (self._outcome, self._former, self._parents)
        self._begin()

    def get(self, make: Callable[[], T], *, deadline: float) -> T:
        """Return what `make` made, now or earlier; after `deadline` (OutOfTime) it goes on."""
        with self._lock:
            outcome = self._outcome
            if outcome is None or (outcome.done() and outcome.error is not None):
                outcome = self._outcome = begin(make)
        if not outcome.wait(deadline):
            raise OutOfTime
        return outcome.result()

    def _made(self) -> T | None:
        outcome = self._outcome
        if outcome is None or not outcome.done() or outcome.error is not None:
            return None
        return outcome.result()

    def renew(self, made: T) -> T | None:
        """Have another made if `made` is still the one; return what was kept the last time.

        Others may be using `made`, so it is kept until the next time.
        """
        with self._lock:
            if self._made() is not made:
                return None
            former, self._former, self._outcome = self._former, made, None
            return former

    def take(self) -> T | None:
        """Return what was made and forget it; at the next call what was kept of an earlier one.

        What is still being made stays, for the next call or for `get`.
        """
        with self._lock:
            made = self._made()
            if made is None:
                made, self._former = self._former, None
            else:
                self._outcome = None
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
        """Clear the lane: the child has none of these threads."""
        self._late: set[Outcome[Any]] = set()

    def run(self, deadline: float, work: Callable[[], T]) -> T:
        """Do `work` after what still goes on; OutOfTime: not begun, OverrunError: not ended."""
        for late in list(self._late):
            if not late.wait(deadline):
                raise OutOfTime
            self._late.discard(late)
        try:
            outcome = begin(work)
        except NoThreadError:
            return work()  # in this thread, with no end to it
        try:
            if not outcome.wait(deadline):
                raise OverrunError
            return outcome.result()
        finally:
            if not outcome.done():  # out of time, or interrupted
                self._late.add(outcome)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what it was made of, as the code that raised it says.

    Never to its `__context__`: that leads out of the library, into the error which the caller was
    handling when it called.
    """
    left, seen = [error], set[int]()
    while left and len(seen) < _MOST_ERRORS:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # requests and urllib3, azure and botocore keep the error that theirs was made of like this.
        settings = getattr(each, "kwargs", None)
        held = [settings.get("error")] if isinstance(settings, dict) else []
        held += [getattr(each, "inner_exception", None), getattr(each, "reason", None)]
        held += [*reversed(each.args), each.__cause__]
        left += [part for part in held if isinstance(part, BaseException)]


def interruption(error: BaseException) -> BaseException | None:
    """Return what a signal handler of the caller's raised in the midst of some work, if that is it.

    Such an error is not ours to handle, whatever its type: a TimeoutError after an alarm is no
    failure of the network. The interpreter hands a handler the frame that it interrupted (docs of
    `signal.signal`), and in a traceback the handler's own frame follows that one.
    """
    return next((each for each in chain(error) if _is_handlers(each)), None)


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
