"""One call at a time for all threads and tasks that want the same thing, its outcome shared."""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from betfair_session.exceptions import (
    ConfigurationError,
    IdentityUnavailable,
    LoginTimeout,
    StoreUnavailable,
)

from .forks import reset_in_child
from .threads import NoThreadError, finished, in_a_thread, interruption, start

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


_SHORT = 2.0
"""Seconds before the end of a call's time from which its failure may be for want of that."""


class _Call(Future[_T]):
    """A call under way.

    Attributes:
        deadline: the `time.monotonic` at which its time is over.
        leader: the thread that works on it; None before it has begun.
        over: ends when all is done that belongs to it.
    """

    def __init__(self, deadline: float, leader: int | None = None) -> None:
        super().__init__()
        self.deadline = deadline
        self.leader = leader
        self.over: Future[None] = Future()


class SingleFlight(Generic[_T]):
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
        self._calls: dict[int, _Call[_T]] = {}
        self._in_it: set[int] = set()

    def join(
        self, work: Callable[[], _T], *, deadline: float, wait: bool = True
    ) -> tuple[_T, bool] | None:
        """Do `work`, or wait until `deadline` for the thread that does it.

        Returns the result, and whether this thread did the work; None in place of waiting if `wait`
        is False. What `work` raised is raised for each caller; a failure for want of time only if
        this caller has no more of it. LoginTimeout says that another was not ready in time,
        ConfigurationError that it was called from within `afterwards`, or by a signal handler from
        within `work`.
        """
        self._check_place()
        while True:
            mine: _Call[_T] = _Call(deadline, threading.get_ident())
            try:
                call = self._enter(mine)
                if call is mine:
                    self._work(mine, work)
                    return mine.result(), True
            finally:
                if not mine.done():  # an interruption may come between any two steps
                    self._leave(mine)
            if not wait:
                return None
            if call.leader == mine.leader:
                message = (
                    "a signal handler may not ask for the token that its own thread is getting"
                )
                raise ConfigurationError(message)
            if not finished([call], deadline):
                raise _too_slow()
            error = call.exception()
            if error is None:
                return call.result(), False
            _share(error, call.deadline, deadline)

    async def ajoin(
        self, work: Callable[[], _T], *, deadline: float, wait: bool = True
    ) -> tuple[_T, bool] | None:
        """Do as `join` does, without blocking the event loop.

        The work gets a thread of its own, and goes on, for others, when the task is cancelled.
        """
        self._check_place()
        while True:
            mine: _Call[_T] = _Call(deadline)
            leads = False
            try:
                call = self._enter(mine)
                leads = call is mine
                if leads:
                    # Not the loop's own executor: that may be full of calls that wait for this one.
                    start(lambda: self._work(mine, work))  # noqa: B023 - it is returned, or raised
            except BaseException as why:
                self._leave(mine)
                if isinstance(why, NoThreadError):
                    raise no_thread() from why
                raise
            if not (leads or wait):
                return None
            left = None if leads else max(deadline - time.monotonic(), 0)
            if not await _done(call.over if leads else call, left):
                raise _too_slow()
            error = call.exception()
            if error is None or leads:
                return call.result(), leads
            _share(error, call.deadline, deadline)

    def _enter(self, mine: _Call[_T]) -> _Call[_T]:
        """Return the call under way; mine if there is none."""
        return self._calls.setdefault(0, mine)

    def _check_place(self) -> None:
        if threading.get_ident() in self._in_it:
            message = "a hook may not ask for the token whose call it is told of"
            raise ConfigurationError(message)

    def _work(self, call: _Call[_T], work: Callable[[], _T]) -> None:
        me = call.leader = threading.get_ident()
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - result() raises it
            self._leave(call, error)
        else:
            self._forget(call)
            with contextlib.suppress(InvalidStateError):  # whoever began it was interrupted
                call.set_result(result)
        try:
            self._in_it.add(me)
            self._afterwards()
        finally:
            self._in_it.discard(me)
            call.over.set_result(None)

    def _leave(self, call: _Call[_T], error: BaseException | None = None) -> None:
        """End a call that has no result; nothing if it has ended."""
        self._forget(call)
        if not call.done():
            call.set_exception(error or KeyboardInterrupt())

    def _forget(self, call: _Call[_T]) -> None:
        if self._calls.get(0) is call:
            del self._calls[0]


def _share(error: BaseException, its_deadline: float, deadline: float) -> None:
    """Raise another caller's error, unless it says nothing to this one.

    That is so for the end of its own time, and for its being interrupted.
    """
    if isinstance(error, LoginTimeout) or not isinstance(error, Exception) or interruption(error):
        return
    if isinstance(error, IdentityUnavailable | StoreUnavailable):
        late = time.monotonic() > its_deadline - _SHORT
        if late and deadline > its_deadline + _SHORT:
            return
    again = copy.copy(error)
    again.__cause__ = error.__cause__
    raise again


async def aside(work: Callable[[], _T]) -> _T:
    """Do `work` in a thread, without blocking the event loop; IdentityUnavailable without one."""
    try:
        return await in_a_thread(work)
    except NoThreadError as why:
        raise no_thread() from why


def no_thread() -> IdentityUnavailable:
    """Make the error for a call that got no thread to be made in."""
    error = IdentityUnavailable("no thread can be started to ask for the token")
    error.sent = False
    return error


def _too_slow() -> LoginTimeout:
    return LoginTimeout("another thread of this process is still at it")


async def _done(call: Future[Any], seconds: float | None) -> bool:
    """Wait for a call to end; return whether it did in time."""
    import asyncio

    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(over.set)

    call.add_done_callback(tell)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)
    return call.done()
