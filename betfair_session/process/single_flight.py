"""One call at a time for all threads and tasks that want the same thing, its outcome shared."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial

from betfair_session.exceptions import (
    ConfigurationError,
    IdentityUnavailable,
    LoginTimeout,
    StoreUnavailable,
)

from . import Generic, T
from .forks import reset_in_child
from .threads import NoThreadError, Outcome, begin, interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SHORT_SECONDS = 2.0  # before the end of a call's time, from when it may fail for want of that


class _Call(Outcome[T]):
    """A call under way.

    Attributes:
        deadline: the `time.monotonic` at which its time is over.
        leader: the thread that works on it; None before it has begun.
    """

    def __init__(self, deadline: float, leader: int | None = None) -> None:
        super().__init__()
        self.deadline = deadline
        self.leader = leader

    def shared(self, deadline: float) -> tuple[T, bool] | None:
        """Return or raise what came of it for another caller; None if that says nothing to him."""
        if not self.done():
            raise LoginTimeout("another thread of this process is still at it")
        error = self.error
        if error is None:
            return self.result(), False
        # The end of its own time, or its interruption, is the leader's alone.
        if isinstance(error, LoginTimeout) or not isinstance(error, Exception):
            return None
        if interruption(error):
            return None
        if isinstance(error, IdentityUnavailable | StoreUnavailable):
            late = time.monotonic() > self.deadline - _SHORT_SECONDS
            if late and deadline > self.deadline + _SHORT_SECONDS:
                return None
        import copy

        again = copy.copy(error)
        again.__cause__ = error.__cause__
        raise again


class SingleFlight(Generic[T]):
    """Lets the first caller work and the others wait for what comes of it."""

    def __init__(self, afterwards: Callable[[], object] = lambda: None) -> None:
        """Start with no call under way.

        `afterwards` is what the first caller does when the others need not wait any more. It may
        not join a call itself.
        """
        self._afterwards = afterwards
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Forget the parent's call: the thread that works on it is not in the child."""
        # One atomic step of the dict decides who leads, so that nothing is left held.
        self._calls: dict[int, _Call[T]] = {}
        self._in_it: dict[int, None] = {}  # an empty set takes three times as much

    def join(
        self, work: Callable[[], T], *, deadline: float, wait: bool = True
    ) -> tuple[T, bool] | None:
        """Do `work`, or wait until `deadline` for the thread that does it.

        Returns the result, and whether this thread did the work; None in place of waiting if `wait`
        is False. What `work` raised is raised for each caller; a failure for want of time only if
        this caller has no more of it. LoginTimeout says that another was not ready in time,
        ConfigurationError that it was called from within `afterwards`, or by a signal handler from
        within `work`.
        """
        while True:
            mine: _Call[T] = _Call(deadline, threading.get_ident())
            try:
                call = self._enter(mine)
                if call is mine:
                    self._work(mine, work)
                    return mine.result(), True
            except BaseException:  # an interruption may come between any two steps
                self._leave(mine)
                raise
            if not wait:
                return None
            if call.leader == mine.leader:
                raise ConfigurationError(
                    "a signal handler may not ask for the token that its own thread is getting"
                )
            call.wait(deadline)
            found = call.shared(deadline)
            if found:
                return found

    async def ajoin(
        self, work: Callable[[], T], *, deadline: float, wait: bool = True
    ) -> tuple[T, bool] | None:
        """Do as `join` does, without blocking the event loop.

        The work gets a thread of its own, and goes on, for others, when the task is cancelled.
        """
        while True:
            mine: _Call[T] = _Call(deadline)
            try:
                call = self._enter(mine)
                if call is mine:
                    # Not the loop's own executor: that may be full of calls that wait for this one.
                    working = begin(partial(self._work, mine, work))
            except BaseException as why:
                self._leave(mine)
                if isinstance(why, NoThreadError):
                    raise no_thread() from why
                raise
            if call is mine:
                await _done(working)
                return mine.result(), True
            if not wait:
                return None
            await _done(call, deadline)
            found = call.shared(deadline)
            if found:
                return found

    def _enter(self, mine: _Call[T]) -> _Call[T]:
        """Return the call under way; mine if there is none."""
        if threading.get_ident() in self._in_it:
            raise ConfigurationError("a hook may not ask for the token whose call it is told of")
        return self._calls.setdefault(0, mine)

    def _work(self, call: _Call[T], work: Callable[[], T]) -> None:
        me = call.leader = threading.get_ident()
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self._leave(call, error)
        else:
            self._forget(call)
            call.end(result)
        try:
            self._in_it[me] = None
            self._afterwards()
        finally:
            self._in_it.pop(me, None)

    def _leave(self, call: _Call[T], error: BaseException | None = None) -> None:
        """End a call that has no result yet, and tell those who wait for it."""
        self._forget(call)
        call.end(error=error or KeyboardInterrupt())

    def _forget(self, call: _Call[T]) -> None:
        if self._calls.get(0) is call:
            del self._calls[0]


async def aside(work: Callable[[], T]) -> T:
    """Do `work` in a thread, without blocking the event loop; IdentityUnavailable without one.

    It goes on when the task is cancelled.
    """
    try:
        outcome = begin(work)
    except NoThreadError as why:
        raise no_thread() from why
    await _done(outcome)
    return outcome.result()


def no_thread() -> IdentityUnavailable:
    """Make the error for a call that got no thread to be made in."""
    error = IdentityUnavailable("no thread can be started to ask for the token")
    error.sent = False
    return error


async def _done(outcome: Outcome[Any], deadline: float | None = None) -> None:
    """Wait for some work to end, or until `deadline`."""
    import asyncio

    loop, over = asyncio.get_running_loop(), asyncio.Event()
    outcome.then(partial(loop.call_soon_threadsafe, over.set))
    left = None if deadline is None else max(deadline - time.monotonic(), 0)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(over.wait(), left)
