"""Threads and tasks that want the same thing at the same time share one call and its outcome."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from functools import partial

from betfair_session.exceptions import (
    ConfigurationError,
    IdentityUnavailable,
    LoginTimeout,
    StoreUnavailable,
)

from . import Generic, T, clocks, reset_in_child
from .causes import interruption
from .threads import LASTS, NoThreadError, Outcome, begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Generator
    from typing import Any, TypeAlias

    Waits: TypeAlias = Generator[tuple["Outcome[Any]", float | None], None, T]

_SHORT_SECONDS = 2.0  # a failure so short before a call's deadline may come from lack of time
_PATIENCE_SECONDS = 1.0  # to wait for a result where the caller can do without


class _Flight(Outcome[T]):
    """A call under way.

    Attributes:
        deadline: the `time.monotonic` at which its time is over.
        leader: the thread that does the work and waits for nothing; None if another one does it.
        given_up: whether its caller had given up when it failed.
    """

    def __init__(self, deadline: float, leader: int | None) -> None:
        super().__init__()
        self.deadline, self.leader = deadline, leader
        self.given_up = False
        self._began, self._seconds = clocks.now(), deadline - time.monotonic()

    def for_another(self, deadline: float) -> tuple[T, bool] | None:
        """Return or raise the outcome for another caller; None if that caller has to try again."""
        if not self.done():
            raise LoginTimeout("another call in this process is still getting a token; call again")
        # After a freeze a result is old, and a failure may come from it.
        if clocks.passed(self._began) > self._seconds + _SHORT_SECONDS:
            return None
        error = self.error
        if error is None:
            return self.result(), False
        # The first caller's own timeout or interruption does not concern the others.
        if isinstance(error, LoginTimeout) or not isinstance(error, Exception):
            return None
        if interruption(error):
            return None
        if isinstance(error, IdentityUnavailable | StoreUnavailable):
            if self.given_up:
                return None
            late = time.monotonic() > self.deadline - _SHORT_SECONDS
            if late and deadline > self.deadline + _SHORT_SECONDS:
                return None
        import copy

        again = copy.copy(error)
        again.__cause__ = error.__cause__
        raise again


class SingleFlight(Generic[T]):
    """Lets the first caller do the work, while the others wait for its outcome."""

    def __init__(self, afterwards: Callable[[], object] | None = None) -> None:
        """Start with no call under way.

        The first caller calls `afterwards` when the others no longer wait. `afterwards` must not
        join a call itself.
        """
        self._afterwards = afterwards
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Forget the parent's call: its thread is not in the child."""
        # An atomic `setdefault` decides who leads, so that an interruption leaves no lock held.
        self._calls: dict[int, _Flight[T]] = {}
        self._at_work: dict[int, None] = {}  # by thread; an empty set takes three times the memory

    def join(
        self, work: Callable[[], T], *, deadline: float, task: bool = False, wait: bool = True
    ) -> Waits[tuple[T, bool] | None]:
        """Do `work`, or wait until `deadline` for the thread that does it.

        Yields what to wait for, and until when: see `wait_for`, and for a task `await_for`. Returns
        the result, and whether this call did the work. With `wait` False, returns None instead of
        waiting for another's work, or for more than a second for its own, which goes on. What
        `work` raised is raised for each caller, but a failure for lack of time only for a caller
        with no more time. LoginTimeout: another thread was not ready in time. ConfigurationError:
        this thread does `work` or `afterwards`, and would wait for itself. IdentityUnavailable: no
        thread can be started for a task.

        The end of the program must not cut a login off. So a task, whose work goes on for the other
        callers when it is cancelled, and a daemon thread leave the work to a thread for whose end
        Python waits.
        """
        while True:
            me, current = threading.get_ident(), self._calls.get(0)
            here = wait and not (task or threading.current_thread().daemon)
            mine: _Flight[T] = _Flight(deadline, me if here else None)
            # It may also have interrupted the call just before its work.
            at_work = me in self._at_work or (current and current.leader == me)
            if at_work and (wait or not current):
                raise ConfigurationError(
                    "an event hook, or a signal handler that interrupts the work for a token, must "
                    "not ask the same handle for one"
                )
            try:
                call = self._calls.setdefault(0, mine)
                working = self._lead(mine, work, here=here, task=task) if call is mine else None
            except BaseException as why:  # an interruption may come between any two steps
                self._leave(mine, error=KeyboardInterrupt())
                if wait or not isinstance(why, IdentityUnavailable):
                    raise
                return None
            if working:
                # One's own work keeps to the deadline by itself.
                yield mine, None if wait else min(deadline, time.monotonic() + _PATIENCE_SECONDS)
                if not mine.done():
                    return None
                yield working, time.monotonic() + _PATIENCE_SECONDS  # for `afterwards`
            if call is mine:
                return mine.result(), True
            if not wait:
                return None
            yield call, min(deadline, time.monotonic() + clocks.left())
            found = call.for_another(deadline)
            if found:
                return found

    def _lead(
        self, call: _Flight[T], work: Callable[[], T], *, here: bool, task: bool
    ) -> Outcome[None] | None:
        """Do the work in this thread, or begin it in one of its own, if there is one."""
        if not here:
            try:
                # Not a loop's own executor: that may be full of calls that wait for this one.
                return _begin_lasting(partial(self._work, call, partial(while_wanted, work, call)))
            except IdentityUnavailable:
                if task:  # it must not block its loop
                    raise
        self._work(call, work)
        return None

    def _work(self, call: _Flight[T], work: Callable[[], T]) -> None:
        me = threading.get_ident()
        try:
            self._at_work[me] = None
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - result() raises it
                call.given_up = clocks.left() <= 0
                self._leave(call, error=error)
            else:
                self._leave(call, result)
            if self._afterwards:
                with clocks.bounded(lambda: math.inf):  # what it starts may outlive the caller
                    self._afterwards()
        finally:
            self._at_work.pop(me, None)
            self._leave(call, error=KeyboardInterrupt())  # it may have cut this short

    def _leave(
        self, call: _Flight[T], result: T | None = None, error: BaseException | None = None
    ) -> None:
        """End a call, unless it has an outcome already, and tell those who wait for it."""
        if self._calls.get(0) is call:
            del self._calls[0]
        call.end(result, error)


def while_wanted(work: Callable[[], T], call: Outcome[Any] | None = None) -> T:
    """Do `work`; begin no login once the program ends and nobody waits for the outcome."""
    if not threading.main_thread().is_alive():  # others may go on for long
        return work()
    before = clocks.LEFT.get()

    def left() -> float:
        return before() if threading.main_thread().is_alive() or (call and call.wanted) else 0.0

    with clocks.bounded(left):
        return work()


def wait_for(waits: Waits[T]) -> T:
    """Wait in this thread for all that a `join` waits for; return what it returns."""
    while True:
        try:
            outcome, deadline = next(waits)
        except StopIteration as end:  # only there: a signal handler may raise one in the wait
            found: T = end.value
            return found
        outcome.wait(deadline)


async def await_for(waits: Waits[T]) -> T:
    """Wait as `wait_for` does, without blocking the event loop."""
    _running_loop()  # before anything is begun
    while True:
        try:
            outcome, deadline = next(waits)
        except StopIteration as end:
            found: T = end.value
            return found
        await _wait_in_loop(outcome, deadline)


async def in_thread(work: Callable[[], T]) -> T:
    """Do `work` in a thread, without blocking the event loop.

    It goes on when the task is cancelled. IdentityUnavailable: no thread can be started.
    """
    _running_loop()
    outcome = _begin_lasting(work)
    await _wait_in_loop(outcome)
    return outcome.result()


def _begin_lasting(work: Callable[[], T]) -> Outcome[T]:
    """Start `work` in a thread whose end the end of the program waits for, unless that has begun.

    For new work Python would wait, too, so a program with daemon threads might never end. A thread
    that is no daemon keeps it from ending anyway, so work for that one lasts (LASTS).
    """
    try:
        return begin(work, daemon=not (threading.main_thread().is_alive() or LASTS.get()))
    except NoThreadError as why:
        raise no_thread_error() from why


def no_thread_error() -> IdentityUnavailable:
    """Make the error of a call for which no thread can be started."""
    return IdentityUnavailable("no thread can be started to ask for the token", sent=False)


def _running_loop() -> AbstractEventLoop:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # a task of trio's, say
        message = (
            "atoken and its like need asyncio's event loop; with another, let a thread make the "
            "call that blocks, as in await trio.to_thread.run_sync(session.token)"
        )
    raise ConfigurationError(message)


async def _wait_in_loop(outcome: Outcome[Any], deadline: float | None = None) -> None:
    """Wait for some work to end, or until `deadline`."""
    import asyncio

    loop, over = _running_loop(), asyncio.Event()
    left = None if deadline is None else max(deadline - time.monotonic(), 0)
    tell = partial(loop.call_soon_threadsafe, over.set)
    outcome.then(tell, loop.is_running)  # one that is not ended cancels no task
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):  # Python 3.11's wait_for may swallow a cancellation
                await over.wait()
    finally:
        outcome.leave(tell)
