"""Threads for work that may hang.

A deadline is a moment by `time.monotonic`. When it comes, the caller leaves the work in its thread,
so use this only for work that does no harm if it ends late, or never.
"""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, copy_context

from . import Generic, T, reset_in_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

# Before Python 3.14, Ctrl-C interrupts no wait for a lock on Windows.
_SLICE_SECONDS = 0.2 if os.name == "nt" else threading.TIMEOUT_MAX

LASTS: ContextVar[bool] = ContextVar("lasts", default=False)
"""Whether Python, at its end, waits for a login: its caller's thread is no daemon."""


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
    thread = threading.Thread(target=copy_context().run, args=(work,), name=name)
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
        self._begun: dict[int, bool] = {}
        self._callbacks: dict[Callable[[], object], Callable[[], bool]] = {}

    def done(self) -> bool:
        """Return whether the work has ended."""
        return bool(self._found)

    def begin(self) -> bool:
        """Return whether the work may begin now: it may not after `cancel`."""
        return self._begun.setdefault(0, True)

    def cancel(self) -> bool:
        """Keep work from beginning; return False if it has begun already, and so may go on."""
        return not self._begun.setdefault(0, False)

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

        It may be called again, and its RuntimeError is ignored. `waits`: does somebody still wait?
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


def begin(
    work: Callable[[], T], *, daemon: bool = True, outcome: Outcome[T] | None = None
) -> Outcome[T]:
    """Start `work` in its own thread; return its future. Python waits for one that is no daemon.

    A signal may cut this short while the work begins. Give an `outcome` to know it even then.
    """
    outcome = Outcome() if outcome is None else outcome

    def fill() -> None:
        if not outcome.begin():
            return
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
    try:
        start(fill if daemon else relay)
    except BaseException:
        outcome.cancel()
        raise
    return outcome


def run_until(deadline: float, work: Callable[[], T], *, may_log_in: bool = False) -> T:
    """Do `work` in its own thread and wait for it until `deadline`, or raise OverrunError.

    A read timeout starts anew with every byte, and some drivers have none, so only another thread
    guarantees an end. If the work `may_log_in`, the end of the program cuts no login off.
    """
    before = LASTS.set(LASTS.get() or (may_log_in and not threading.current_thread().daemon))
    try:
        outcome = begin(work)
    except NoThreadError:
        if threading.main_thread().is_alive():
            raise
        return work()  # Python 3.12 starts none for an atexit function, such as a logout
    finally:
        LASTS.reset(before)
    if not outcome.wait(deadline):
        raise OverrunError
    return outcome.result()


class Lane:
    """Runs work that may hang, one piece at a time; a late piece blocks the next.

    So a mount that hangs for hours takes one thread, not one for each try; and a read after a write
    that was late sees what that write did.
    """

    def __init__(self) -> None:
        """Begin without late work."""
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Forget the late work: the child has none of these threads."""
        self._late: set[Outcome[Any]] = set()

    def run(self, deadline: float, work: Callable[[], T]) -> T:
        """Do `work` after any late work; OutOfTime: it did not begin, OverrunError: did not end."""
        for late in list(self._late):
            if not late.wait(deadline):
                raise OutOfTime
            self._late.discard(late)
        outcome: Outcome[T] = Outcome()
        try:
            try:
                begin(work, outcome=outcome)
            except NoThreadError:
                return work()  # in this thread, without a deadline
            if not outcome.wait(deadline):
                raise OverrunError
            return outcome.result()
        finally:
            # Out of time, or interrupted, perhaps in the midst of the thread's start.
            if not (outcome.done() or outcome.cancel()):
                self._late.add(outcome)


async def task_within(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return `await work()` within `seconds`; to be all that an asyncio task does.

    asyncio logs a task's error that nobody asks for, as when Ctrl-C has ended the wait for it. What
    is to end a program, such as sys.exit in a driver, would end the event loop: raise RuntimeError.
    """
    from asyncio import current_task, timeout  # only for stores with an event loop

    task: Any = current_task()
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    del task  # its error holds this frame
    if seconds <= 0:  # the event loop may have been blocked until then
        raise OutOfTime
    try:
        async with timeout(seconds):
            return await work()
    except (KeyboardInterrupt, SystemExit) as error:
        raise RuntimeError(repr(error)) from error
    except TimeoutError as error:
        if type(error) is TimeoutError:  # asyncio's own holds the task, which holds it
            error.__traceback__ = error.__cause__ = error.__context__ = None
        raise


class Once(Generic[T]):
    """Something that a process makes once: the first caller makes it, and the others wait."""

    _parents: object = None

    def __init__(self, made: T | None = None) -> None:
        """Start with nothing made, or with what the caller has made."""
        self._begin()
        if made is not None:
            self.offer(made)
        reset_in_child(self)

    def _begin(self) -> None:
        # Re-entrant: a garbage collection in the thread that holds it may run code that asks again.
        self._lock = threading.RLock()
        self._outcome: Outcome[T] | None = None
        self.again = False  # whether the next `get` makes it anew, or the last one did

    def after_fork(self) -> None:
        """Make it anew; keep what the parent made, since dropping that might close it."""
        self._parents = (self._outcome, self._parents)
        self._begin()

    def get(self, make: Callable[[], T], *, deadline: float | None) -> T:
        """Return what `make` made, now or earlier; OutOfTime at `deadline`: it is still at work."""
        with self._lock:
            if not (outcome := self._outcome) or (outcome.done() and outcome.error is not None):
                outcome = self._outcome = begin(make)
        if not outcome.wait(deadline):
            raise OutOfTime
        return outcome.result()

    def made(self) -> T | None:
        """Return what is made already."""
        outcome = self._outcome
        return outcome.result() if outcome and outcome.done() and outcome.error is None else None

    def offer(self, made: T) -> None:
        """Let `get` return this until there is another: it was forgotten while it was made."""
        with self._lock:
            if self.made() is None:
                self._outcome = Outcome()
                self._outcome.end(made)

    def forget(self, made: T | None = None) -> None:
        """Let the next `get` make it anew; given `made`, only if that is current."""
        with self._lock:
            current = self.made()  # dropped after the lock: that may close it
            if made is None or current is made:
                self._outcome, self.again = None, self.again or current is not None
