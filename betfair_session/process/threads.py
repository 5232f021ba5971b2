"""Threads for work that may hang; and the causes of the error that ended some work.

A deadline is a moment by `time.monotonic`. When it comes, the caller leaves the work in its thread,
so use this only for work that does no harm if it ends late, or never.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import threading
import time
from contextlib import suppress
from contextvars import copy_context

from betfair_session.exceptions import BetfairSessionError

from . import Generic, T
from .forks import reset_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

_MOST_ERRORS = 32  # that `chain` looks at
_SENDING = frozenset({"betfair_session", "betfairlightweight", "requests", "urllib3", "idna"})
_RAISED_BY = "Raised by:\n"
_MOST_LINES = 16  # of a traceback
# Before Python 3.14, Ctrl-C interrupts no wait for a lock on Windows.
_SLICE_SECONDS = 0.2 if os.name == "nt" else threading.TIMEOUT_MAX
_VARARGS = 4  # inspect.CO_VARARGS, whose module takes long to import


class OverrunError(TimeoutError):
    """The work did not end in time; it goes on, unobserved, in its own thread."""


class OutOfTime(TimeoutError):
    """The time was over before anything was sent."""


class NoThreadError(OSError):
    """No thread could be started, so nothing was done."""

    def __init__(self) -> None:
        """Say so, as the system would."""
        super().__init__(errno.EAGAIN, "no thread can be started")


def start(
    work: Callable[[], object], name: str = "betfair-session", *, daemon: bool = True
) -> threading.Thread:
    """Start a thread that does `work` in the caller's context."""
    run = copy_context().run
    thread = threading.Thread(target=run, args=(work,), name=name)
    with suppress(RuntimeError):  # an isolated sub-interpreter has no daemon threads
        thread.daemon = daemon
    try:
        thread.start()
    except RuntimeError as error:
        if "new thread" in str(error):  # only the text tells
            raise NoThreadError from None
        # An interruption of Python's own wait for the new thread, which goes on.
        raise error.__context__ or error from None
    return thread


class Outcome(Generic[T]):
    """A future. That of concurrent.futures would import `logging`, which takes a tenth of a start.

    Each waiter has its own lock, so that an interruption leaves no lock held that others take.
    """

    def __init__(self) -> None:
        """Begin without an outcome."""
        self._found: dict[int, tuple[Any, BaseException | None]] = {}
        self._callbacks: dict[Callable[[], object], Callable[[], bool]] = {}

    def done(self) -> bool:
        """Return whether the work has ended."""
        return bool(self._found)

    def wait(self, deadline: float | None) -> bool:
        """Wait until the work has ended, or until a deadline; return whether it has ended."""
        over = threading.Lock()
        over.acquire()
        self.then(over.release)
        end = math.inf if deadline is None else deadline
        try:
            while not over.acquire(timeout=min(max(end - time.monotonic(), 0), _SLICE_SECONDS)):
                if time.monotonic() >= end:
                    break
        finally:
            self.leave(over.release)
        return bool(self._found)

    def end(self, result: T | None = None, error: BaseException | None = None) -> None:
        """Set the outcome, unless it is set already, and wake those who wait for it.

        If an interruption cuts this short, another call wakes the others.
        """
        self._found.setdefault(0, (result, error))
        for tell in [*self._callbacks]:
            with suppress(RuntimeError):  # the lock was released before; the event loop is closed
                tell()

    def then(self, tell: Callable[[], object], waits: Callable[[], bool] = lambda: True) -> None:
        """Call `tell` when the work ends, in the thread that ends it, or now if it has ended.

        It may be called more than once. A RuntimeError that it raises is ignored. `waits` returns
        whether somebody still waits for that.
        """
        self._callbacks[tell] = waits
        if self._found:
            self.end()

    def leave(self, tell: Callable[[], object]) -> None:
        """Do not call `tell` any more."""
        self._callbacks.pop(tell, None)

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for the outcome."""
        return any(waits() for waits in [*self._callbacks.values()])

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


def begin(work: Callable[[], T], *, daemon: bool = True) -> Outcome[T]:
    """Start `work` in its own thread; return its future. Python waits for one that is no daemon."""
    outcome: Outcome[T] = Outcome()

    def fill() -> None:
        try:
            outcome.end(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.end(error=error)

    def relay() -> None:
        try:
            start(fill, daemon=False)
        except Exception:  # noqa: BLE001 - no thread is left, or Python ends
            fill()

    # If a signal cuts `Thread.start` short, the new thread may wait for ever, and Python for that.
    # Signals come to the main thread alone, so a daemon starts it.
    start(fill if daemon else relay)
    return outcome


def run_until(deadline: float, work: Callable[[], T]) -> T:
    """Do `work` in its own thread and wait for it until `deadline`, or raise OverrunError.

    A read timeout starts anew with every byte, and some drivers have none, so only another thread
    guarantees an end.
    """
    outcome = begin(work)
    if not outcome.wait(deadline):
        raise OverrunError
    return outcome.result()


class Once(Generic[T]):
    """Something that a process makes once: the first caller makes it, and the others wait."""

    _parents: object = None

    def __init__(self) -> None:
        """Start with nothing made."""
        self._begin()
        reset_in_child(self)

    def _begin(self) -> None:
        # Re-entrant: a garbage collection in the thread that holds it may run code that asks again.
        self._lock = threading.RLock()
        self._outcome: Outcome[T] | None = None
        self._former: T | None = None

    def after_fork(self) -> None:
        """Make it anew; keep what the parent made, since dropping that might close it."""
        self._parents = (self._outcome, self._former, self._parents)
        self._begin()

    def get(self, make: Callable[[], T], *, deadline: float) -> T:
        """Return what `make` made, now or earlier; OutOfTime at `deadline`: it is still at work."""
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

    @property
    def renewed(self) -> bool:
        """Whether the next `get` makes it anew, or the last one did."""
        return self._former is not None

    def renew(self, made: T) -> T | None:
        """Let the next `get` replace `made`, if it is current; return what was replaced before it.

        Other threads may still use `made`, so it is kept until the next renewal.
        """
        with self._lock:
            if self._made() is not made:
                return None
            former, self._former, self._outcome = self._former, made, None
            return former

    def take(self) -> T | None:
        """Return what was made, and forget it; if there is nothing, what the last `renew` kept.

        What is still being made stays, for the next call or for `get`.
        """
        with self._lock:
            made = self._made()
            if made is None:
                made, self._former = self._former, None
            else:
                self._outcome = None
        return made


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, as far as the code that raised it names them.

    Not its `__context__`: that leads out of the library, to an error that the caller was handling.
    """
    left, seen = [error], set[int]()
    while left and len(seen) < _MOST_ERRORS:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        # requests, urllib3, azure and botocore keep the cause of their error in these places.
        settings = getattr(each, "kwargs", None)
        held = [settings.get("error")] if isinstance(settings, dict) else []
        held += [getattr(each, "inner_exception", None), getattr(each, "reason", None)]
        held += [*reversed(each.args), each.__cause__]
        left += [part for part in held if isinstance(part, BaseException)]


def interruption(error: BaseException) -> BaseException | None:
    """Return the error that one of the program's signal handlers raised, if this comes from one.

    Such an error is not ours to handle, of any type: a TimeoutError after an alarm is no failure of
    the network. A handler gets the frame that it interrupted as an argument (docs of
    `signal.signal`), and in the traceback the handler's own frame follows that one.
    """
    return next((each for each in chain(error) if _from_handler(each)), None)


def without_frames(send: Callable[[], T]) -> T:
    """Return what `send` returns; its error loses the frames below, whose locals hold a secret.

    Some tools take a text's content from a frame, whatever its repr shows. Where a program's own
    code is among them, such as a hook, a note tells the lines.
    """
    try:
        return send()
    except Exception as error:
        if interruption(error):
            raise
        failed = error
    for each in [*chain(failed)]:
        if not isinstance(failed, BetfairSessionError):
            _note_lines(each)
        each.__traceback__ = each.__context__ = None
    try:
        raise failed
    finally:
        del failed  # a traceback would keep itself


def _note_lines(error: BaseException) -> None:
    trace, packages = error.__traceback__, set[str]()
    while trace is not None:
        packages.add(str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0])
        trace = trace.tb_next
    noted = any(note.startswith(_RAISED_BY) for note in getattr(error, "__notes__", ()))
    if not (noted or packages <= _SENDING | sys.stdlib_module_names):
        from traceback import format_tb

        error.add_note(_RAISED_BY + "".join(format_tb(error.__traceback__, limit=-_MOST_LINES)))


def quietly(step: Callable[..., object], *given: object) -> bool:
    """Do what nothing depends on; return whether it worked."""
    try:
        step(*given)
    except OSError as error:
        if interruption(error):
            raise
        return False
    return True


def _from_handler(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        interrupted, trace = trace.tb_frame, trace.tb_next
        if any(value is interrupted for value in _arguments(trace.tb_frame)):
            return True
    return False


def _arguments(frame: FrameType) -> Iterator[object]:
    """Yield the arguments that a function was called with."""
    code, found = frame.f_code, frame.f_locals
    more = bool(code.co_flags & _VARARGS)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + more]
    for name in names:
        value = found.get(name)
        yield from value if more and name == names[-1] and isinstance(value, tuple) else (value,)
