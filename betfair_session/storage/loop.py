"""Calls into asynchronous drivers from any thread: one event loop, and deadlines that hold.

A driver's own blocking calls cannot be bounded: fsspec's `sync` can return at its time-out and let
the request go on. Here a call that ran out of time is cancelled, so that no write is sent later.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import selectors
import time
import weakref
from concurrent.futures.thread import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from betfair_session.exceptions import ConfigurationError
from betfair_session.process.once import Once, OutOfTime
from betfair_session.process.threads import fill, start

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_GRACE = 0.25
_CLOSING = 2.0


_loops: dict[int, Once[asyncio.AbstractEventLoop]] = {}
# fsspec's, as a rule; a forked child has no thread that runs them.
_others: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def leave_at_fork(loop: asyncio.AbstractEventLoop) -> None:
    """Have forked children leave the connections alone that the parent has on somebody's loop."""
    _others.add(loop)


def _leave_parents_loops() -> None:
    """In a forked child: cut the copies of the parent's event loops off from its connections.

    Both processes share the connections, and an epoll object that knows them. When the child
    drops its copies, at its exit at the latest, asyncio would end the parent's TLS and SSH sessions
    and unregister its sockets, and the parent would wait for answers in vain.
    """
    ours = [once.peek() for once in _loops.values()]
    for loop in [*ours, *_others]:
        selector = getattr(loop, "_selector", None)
        if loop is None or selector is None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        for key in selector.get_map().values():
            os.dup2(nowhere, key.fd, inheritable=False)
        os.close(nowhere)
        selector.close()
        loop._selector = selectors.DefaultSelector()  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way
        loop.set_exception_handler(lambda _loop, _context: None)  # nothing here is ours to close


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(after_in_child=_leave_parents_loops)


class DaemonExecutor(ThreadPoolExecutor):
    """Does what blocks (the drivers look up names so) in threads that keep no process alive.

    The usual executor takes no work once the main thread has ended, while others may go on for
    days. asyncio wants one of its kind.
    """

    def submit(
        self, work: Callable[..., T], /, *args: object, **options: object
    ) -> concurrent.futures.Future[T]:
        """Begin at once, in a thread of its own."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()  # nobody cancels it from here on
        start(partial(fill, future, partial(work, *args, **options)))
        return future


def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_default_executor(DaemonExecutor())
    try:
        # In no caller's context: it outlives them all. Each coroutine has that of its own caller.
        Context().run(start, loop.run_forever, "betfair-session-io")
    except BaseException:
        loop.close()  # it holds descriptors
        raise
    return loop


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop for the drivers that we open, running in a thread of this process."""
    # A forked child has its parent's loop, but not the thread that ran it.
    return _loops.setdefault(os.getpid(), Once()).get(_start_loop, deadline=time.monotonic() + 60)


def run(
    loop: asyncio.AbstractEventLoop,
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    deadline: float,
) -> T:
    """Run a coroutine on a loop that runs in another thread, until `deadline` at most.

    It may be called from any thread, also from one that runs an event loop of its own.

    Args:
        loop: the running loop that the driver belongs to.
        work: makes the coroutine.
        deadline: when the coroutine is cancelled, seconds by `time.monotonic`.

    Returns:
        What the coroutine returns.

    Raises:
        OutOfTime: no time was left to begin with.
        TimeoutError: (or its cousins of asyncio and concurrent.futures, before Python 3.11) the
            time ran out on the way.
        ConfigurationError: called from inside the loop, which would wait for itself.
    """
    with suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            message = "a store cannot be used from inside its own driver's event loop"
            raise ConfigurationError(message)

    async def bounded() -> T:
        # The loop may have been blocked until after we gave up.
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return await asyncio.wait_for(work(), left)

    future = asyncio.run_coroutine_threadsafe(bounded(), loop)
    try:
        # Whatever blocks the loop, such as a slow look-up of credentials, stops its clock as well.
        return future.result(max(deadline - time.monotonic(), 0) + _GRACE)
    finally:
        future.cancel()


def release(processes: dict[int, Once[T]], shut: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    """Close this process's drivers, those that are open: on `close`, by the collector, or at exit.

    Args:
        processes: the drivers by process; a parent's is not this one's to close.
        shut: makes the coroutine that closes one.
    """
    once, loops = processes.get(os.getpid()), _loops.get(os.getpid())
    # Looked at without a lock: the collector may run in a thread that starts the loop, or that the
    # starting one waits for.
    loop = None if loops is None else loops.peek()
    while once is not None and (driver := once.take()) is not None:
        if loop is None:  # without a loop nothing was opened on one
            continue
        try:
            inside = asyncio.get_running_loop() is loop
        except RuntimeError:
            inside = False
        future = asyncio.run_coroutine_threadsafe(shut(driver), loop)
        if not inside:  # the collector may run in the loop's own thread
            with suppress(Exception):  # there is nothing to lose, nor anyone to tell
                future.result(_CLOSING)


def own(filesystem: T) -> T:
    """Take over from a driver the duty to close what it opened.

    The drivers' own finalizers keep a filesystem alive for ever (adlfs), wait for a loop that a
    forked child does not have (adlfs: without end), or give up after a tenth of a second.

    Args:
        filesystem: a filesystem of ours; it is closed by `LoopStore._shut` from now on.

    Returns:
        The filesystem.
    """
    # `_registry` is private; without it the drivers' finalizers run as well, as they always did.
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        found = finalizer.peek()
        if found is not None and found[0] is filesystem:
            finalizer.detach()
    return filesystem


async def read_start(stream: Any, limit: int) -> bytes:  # noqa: ANN401 - a driver's own type
    """Read at most `limit` bytes from a stream, which is left as it is."""
    parts = bytearray()
    while len(parts) < limit:
        part = await stream.read(limit - len(parts))
        if not part:
            break
        parts += part
    return bytes(parts)
