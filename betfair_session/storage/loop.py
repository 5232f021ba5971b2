"""Stores on asynchronous drivers: one event loop for all threads, and calls that end in time.

fsspec's `sync` returns at its timeout and lets the request go on. Here a call is cancelled at its
deadline, so that no write is sent later. fsspec's own loop cannot be used: it resolves host names
in an executor that accepts no work after the main thread has ended.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import threading
import time
import weakref
from abc import abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from betfair_session.exceptions import ConfigurationError
from betfair_session.process import reset_in_child
from betfair_session.process.threads import NoThreadError, start, task_within

from .cloud import CloudStore, Driver
from .errors import contained
from .meanings import no_credentials

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

    from betfair_session.process import T

    from .cloud import MaybeAsync, Target

_GRACE_SECONDS = 0.25
_CLOSING_SECONDS = 2.0
_OPENING_SECONDS = 60.0  # for a driver to be opened; a call's own deadline usually comes first
READ_SECONDS = 600  # the drivers' own timeout; a call's deadline always comes first


class DaemonExecutor(ThreadPoolExecutor):
    """An executor for host names whose threads are daemons and so keep no process alive.

    asyncio's own accepts no work after the main thread has ended; other threads may go on for days.
    """

    def submit(self, work: Callable[..., T], /, *args: object, **options: object) -> Future[T]:
        """Start `work` at once, in a new thread."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def fill() -> None:
            try:
                future.set_result(contained(partial(work, *args, **options)))
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)

        start(fill)
        return future


def _new_loop() -> AbstractEventLoop:
    """Make a loop that runs in any thread: one of a program's own policy may not (qasync's)."""
    # Under uvloop's policy, asyncio's loop starts no process, such as AWS's credential_process.
    own: type[AbstractEventLoop] = getattr(asyncio, "ProactorEventLoop", asyncio.SelectorEventLoop)
    return asyncio.new_event_loop() if "uvloop" in sys.modules else own()


def _serve(loop: AbstractEventLoop) -> None:
    """Run an event loop for ever, also when some task is to end the program."""
    while True:
        with suppress(KeyboardInterrupt, SystemExit):
            loop.run_forever()


class _Loops:
    """Our event loop for the drivers that we open, and the loops of filesystems from callers."""

    def __init__(self) -> None:
        self.others: weakref.WeakSet[AbstractEventLoop] = weakref.WeakSet()
        self._parents: list[AbstractEventLoop] = []
        self._begin()
        reset_in_child(self)

    def _begin(self) -> None:
        self.ours: AbstractEventLoop | None = None
        self._lock = threading.RLock()

    def get(self) -> AbstractEventLoop:
        """Return our loop, running in a thread of this process."""
        with self._lock:
            if self.ours is None:
                loop = _new_loop()
                loop.set_default_executor(DaemonExecutor())
                try:
                    # In an empty context: the loop outlives the caller's.
                    Context().run(start, partial(_serve, loop), "betfair-session-io")
                except (NoThreadError, RuntimeError):
                    loop.close()  # it has open descriptors
                    raise
                self.ours = loop
            return self.ours

    def after_fork(self) -> None:
        """Disconnect the child's copies of the parent's event loops from the parent's connections.

        Both processes share the sockets, and the epoll object that watches them. When the child
        drops its copies, at the latest at its exit, asyncio would end the parent's TLS and SSH
        sessions and unregister its sockets, so that the parent would wait for answers in vain.
        """
        if self.ours:
            self._parents.append(self.ours)  # kept: asyncio warns when an open loop is dropped
        self._begin()
        for loop in [*self._parents, *self.others]:
            _cut_off(loop)


def _cut_off(loop: Any) -> None:  # noqa: ANN401 - a loop's selector has no public name
    selector = getattr(loop, "_selector", None)
    if selector is None:  # not one of asyncio's own loops
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for key in selector.get_map().values():
        os.dup2(nowhere, key.fd, inheritable=False)
    os.close(nowhere)
    with suppress(OSError):  # a kqueue is not inherited
        selector.close()
    loop._selector = selectors.DefaultSelector()  # noqa: SLF001 - there is no public way
    loop.set_exception_handler(lambda _loop, _context: None)  # errors of the cut connections


_loops = _Loops()
background_loop = _loops.get


def loop_of(filesystem: Any, label: str) -> AbstractEventLoop:  # noqa: ANN401 - a driver's
    """Return the loop of a caller's filesystem; forked children leave its connections alone."""
    try:
        loop: AbstractEventLoop | None = filesystem.loop
        problem = "has no event loop of its own (asynchronous=True?)"
    except RuntimeError:
        loop, problem = None, "was made before this process was forked"
    if loop is None or loop.is_closed():  # fsspec's own may begin to run only in a moment
        raise ConfigurationError(
            f"the filesystem given for {label} {problem}; make a new one, or give a URL"
        )
    _loops.others.add(loop)
    return loop


def _inside(loop: AbstractEventLoop) -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is loop
    return False


def run(
    loop: AbstractEventLoop,
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    deadline: float,
) -> T:
    """Run a coroutine on a loop in another thread; cancel it at `deadline`."""
    if _inside(loop):
        raise ConfigurationError("a store cannot be used from inside its own driver's event loop")

    async def in_time() -> T:
        return await task_within(work, deadline - time.monotonic())

    future = asyncio.run_coroutine_threadsafe(in_time(), loop)
    try:
        # Work that blocks the loop, such as reading credentials, delays its end, too.
        return future.result(max(deadline - time.monotonic(), 0) + _GRACE_SECONDS)
    finally:
        future.cancel()
        del future  # its error holds this frame, and so what the call uses


class Opened:
    """A driver that we opened: it is closed when no call holds this any more, or at exit."""

    def __init__(self, driver: Driver, shut: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
        """Hold a driver on our loop."""
        self.driver = driver
        self.close = weakref.finalize(self, _close, background_loop(), partial(shut, driver))


def _close(loop: AbstractEventLoop, shut: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Close a driver: in a call's thread, which is not to wait, a collector's, or at exit."""
    if loop is not _loops.ours:  # a parent's
        return
    future = asyncio.run_coroutine_threadsafe(shut(), loop)
    if not _inside(loop):  # the last call, or the collector, may run in the loop's own thread
        with suppress(Exception):  # a failed close loses nothing
            ends = not threading.main_thread().is_alive()
            future.result(_CLOSING_SECONDS if ends else _GRACE_SECONDS)


def detach_finalizers(filesystem: object) -> None:
    """Remove a driver's own finalizers, since `Opened` closes it.

    Those finalizers keep a filesystem alive for ever (adlfs), wait for a loop that a forked child
    does not have (adlfs: without end), or give up after a tenth of a second.
    """
    # `_registry` is private; if it is ever gone, the drivers' finalizers just run as well.
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        if (found := finalizer.peek()) and found[0] is filesystem:
            finalizer.detach()


def set_known(thing: object, **values: object) -> None:
    """Set attributes that a driver has; raise AttributeError instead of adding a new one."""
    for name, value in values.items():
        getattr(thing, name)  # may raise AttributeError
        setattr(thing, name, value)


def drivers_own(kind: type, name: str) -> Any:  # noqa: ANN401 - the drivers are untyped
    """Return a method that the driver itself defines: fsspec's would miss parts of its URLs."""
    home = next((each for each in kind.__mro__ if name in vars(each)), kind)
    if home.__module__.partition(".")[0] == "fsspec":
        raise AttributeError(name=name, obj=kind)
    return getattr(kind, name)


async def read_start(stream: Any, limit: int) -> bytes:  # noqa: ANN401 - a driver's own type
    """Read at most `limit` bytes from a stream; leave the rest unread."""
    parts = bytearray()
    while len(parts) < limit and (part := await stream.read(limit - len(parts))):
        parts += part
    return bytes(parts)


class LoopStore(CloudStore):
    """A store on an asynchronous fsspec driver: ours runs on our loop, a caller's on its own."""

    def _check_process(self) -> None:
        # Patched threads are greenlets of one real thread, which an event loop would block.
        patched = threading.get_ident.__module__.partition(".")[0]
        if patched in {"gevent", "eventlet"}:
            raise ConfigurationError(
                f"{self.label} does not work with {patched}'s patched threads, as its driver needs "
                f'an event loop in a thread of its own; use "obstore+{self.label}" (pip install '
                '"betfair-session[obstore]")'
            )

    def _open(self) -> Opened:
        from fsspec.config import apply_config

        self._check_process()  # again: gunicorn's workers patch theirs after the module is loaded
        of_the_url = drivers_own(self.kind, "_get_kwargs_from_urls")(self._url)
        options = apply_config(self.kind, {**of_the_url, **self._options})
        loop = background_loop()
        driver = self._make({**options, "skip_instance_cache": True, "loop": loop})
        opened = Opened(driver, self._shut)

        async def prepare() -> None:
            if not await self._prepare(driver):
                where = "options, environment or profile; the machine gave none, or no answer"
                raise no_credentials(f"no credentials in {where}")

        try:
            run(loop, prepare, deadline=time.monotonic() + _OPENING_SECONDS)
        except BaseException:
            opened.close()  # it would not look for credentials again
            raise
        finally:
            detach_finalizers(driver)  # only now: s3fs and gcsfs add theirs in `_prepare`
        return opened

    def _make(self, options: dict[str, Any]) -> Driver:
        """Return the driver's filesystem; this may block."""
        return self.kind(**options)

    @abstractmethod
    async def _prepare(self, driver: Driver) -> bool:
        """Make the driver send each request once; return whether it has credentials."""

    @staticmethod
    async def _shut(driver: Driver) -> None:
        """Close what `_open` opened."""

    def _request(self, target: Target, send: Callable[..., MaybeAsync[T]], *given: object) -> T:
        held, name, deadline = target

        def work() -> Coroutine[Any, Any, T]:  # holds `held` until the request ends
            driver = held.driver if isinstance(held, Opened) else held
            return cast("Coroutine[Any, Any, T]", send(driver, name, *given))

        loop = background_loop() if self._theirs is None else loop_of(self._theirs, self.label)
        return run(loop, work, deadline=deadline)
