"""Stores on asynchronous drivers: one event loop for all threads, and deadlines that hold.

fsspec's own `sync` returns at its time-out and lets the request go on. Here a call that ran out of
time is cancelled, so that no write is sent later. fsspec's own loop would not do: it looks up names
in an executor that takes no work once the main thread has ended.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
import weakref
from abc import abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from betfair_session.betfair.http import proxy_in_environment
from betfair_session.exceptions import ConfigurationError
from betfair_session.process.forks import reset_in_child
from betfair_session.process.threads import NoThreadError, Once, OutOfTime, start

from .cloud import CloudStore, Driver
from .meanings import no_credentials

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

    from .cloud import Soon, Target

T = TypeVar("T")

_GRACE_SECONDS = 0.25
_CLOSING_SECONDS = 2.0

READ_SECONDS = 600
"""The drivers' own time-out, far beyond the deadline of any call, which is what ends a request."""

_OPENING_SECONDS = 60.0
"""For a driver to be opened, at most; a call's own deadline ends first."""


class DaemonExecutor(ThreadPoolExecutor):
    """Looks up names in threads that keep no process alive, as asyncio's own does not.

    That one takes no work once the main thread has ended, while others may go on for days.
    """

    def submit(self, work: Callable[..., T], /, *args: object, **options: object) -> Future[T]:
        """Begin at once, in a thread of its own."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()

        def fill() -> None:
            try:
                future.set_result(work(*args, **options))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)

        start(fill)
        return future


class _Loops:
    """This process's event loop for the drivers that we open, and others' that have connections."""

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
                loop = asyncio.new_event_loop()
                loop.set_default_executor(DaemonExecutor())
                try:
                    # In no caller's context: it outlives them all.
                    Context().run(start, loop.run_forever, "betfair-session-io")
                except (NoThreadError, RuntimeError):
                    loop.close()  # it holds descriptors
                    raise
                self.ours = loop
            return self.ours

    def after_fork(self) -> None:
        """Cut the copies of the parent's event loops off from its connections.

        Both processes share the connections, and an epoll object that knows them. When the child
        drops its copies, at its exit at the latest, asyncio would end the parent's TLS and SSH
        sessions and unregister its sockets, and the parent would wait for answers in vain.
        """
        if self.ours:
            self._parents.append(self.ours)  # dropping it would warn that it was not closed
        self._begin()
        for loop in [*self._parents, *self.others]:
            _cut_off(loop)


def _cut_off(loop: Any) -> None:  # noqa: ANN401 - a loop's selector has no public name
    selector = getattr(loop, "_selector", None)
    if selector is None:  # it is not asyncio's own
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for key in selector.get_map().values():
        os.dup2(nowhere, key.fd, inheritable=False)
    os.close(nowhere)
    selector.close()
    loop._selector = selectors.DefaultSelector()  # noqa: SLF001 - there is no public way
    loop.set_exception_handler(lambda _loop, _context: None)  # nothing here is ours to close


_loops = _Loops()
background_loop = _loops.get
leave_at_fork = _loops.others.add
"""Have forked children leave the connections alone that the parent has on somebody's loop."""


def _inside(loop: AbstractEventLoop) -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is loop
    return False


def run(
    loop: AbstractEventLoop,
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    deadline: float,
    under_way: set[Future[Any]] | None = None,
) -> T:
    """Run a coroutine on a loop in another thread, until `deadline`, when it is cancelled."""
    if _inside(loop):
        raise ConfigurationError("a store cannot be used from inside its own driver's event loop")

    async def bounded() -> T:
        # The loop may have been blocked until after we gave up.
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return await asyncio.wait_for(work(), left)

    future = asyncio.run_coroutine_threadsafe(bounded(), loop)
    if under_way is not None:
        under_way.add(future)
        future.add_done_callback(under_way.discard)
    try:
        # Whatever blocks the loop, such as a slow look-up of credentials, stops its clock as well.
        return future.result(max(deadline - time.monotonic(), 0) + _GRACE_SECONDS)
    finally:
        future.cancel()


def release(once: Once[T], shut: Callable[[T], Coroutine[Any, Any, None]]) -> None:
    """Close what `once` opened, by `shut`: on `close`, by the collector, or at exit."""
    # Looked at without a lock: the collector may run in a thread that starts the loop.
    loop = _loops.ours
    while (driver := once.take()) is not None:
        if loop is None:  # without a loop nothing was opened on one
            continue
        future = asyncio.run_coroutine_threadsafe(shut(driver), loop)
        if not _inside(loop):  # the collector may run in the loop's own thread
            with suppress(Exception):  # there is nothing to lose, nor anyone to tell
                future.result(_CLOSING_SECONDS)


def own(filesystem: T) -> T:
    """Take over from a driver the duty to close what it opened, and return it.

    The drivers' own finalizers keep a filesystem alive for ever (adlfs), wait for a loop that a
    forked child does not have (adlfs: without end), or give up after a tenth of a second.
    """
    # `_registry` is private; without it the drivers' finalizers run as well, as they always did.
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        found = finalizer.peek()
        if found is not None and found[0] is filesystem:
            finalizer.detach()
    return filesystem


def set_known(thing: object, **values: object) -> None:
    """Set attributes that a driver has: a new one would change nothing, without a word."""
    for name, value in values.items():
        getattr(thing, name)  # or an AttributeError
        setattr(thing, name, value)


def drivers_own(kind: type, name: str) -> Any:  # noqa: ANN401 - the drivers are untyped
    """Return a method that a driver's class has: fsspec's own would miss parts of its URLs."""
    home = next((each for each in kind.__mro__ if name in vars(each)), kind)
    if home.__module__.partition(".")[0] == "fsspec":
        raise AttributeError(name=name, obj=kind)
    return getattr(kind, name)


async def read_start(stream: Any, limit: int) -> bytes:  # noqa: ANN401 - a driver's own type
    """Read at most `limit` bytes from a stream, which is left as it is."""
    parts = bytearray()
    while len(parts) < limit:
        part = await stream.read(limit - len(parts))
        if not part:
            break
        parts += part
    return bytes(parts)


def proxy_for(url: str) -> str | None:
    """Return the environment's proxy for a URL; aiohttp would find .netrc's credentials with it."""
    scheme = url.partition("://")[0]
    if not proxy_in_environment(scheme):
        return None
    from requests.utils import get_environ_proxies

    proxies: dict[str, str] = get_environ_proxies(url)
    return proxies.get(scheme)


class LoopStore(CloudStore):
    """A store on one of fsspec's asynchronous drivers: ours on our loop, a caller's on its own."""

    def __init__(self, *given: Any, **theirs: Driver) -> None:  # noqa: ANN401 - as CloudStore's
        """Prepare the store; see CloudStore."""
        super().__init__(*given, **theirs)
        self.after_fork()
        reset_in_child(self)
        if self._theirs is None:
            weakref.finalize(self, release, self._ours, self._shut)

    def _check_process(self) -> None:
        # gevent's and eventlet's threads run in one real one, which an event loop would hold.
        patched = threading.get_ident.__module__.partition(".")[0]
        if patched in {"gevent", "eventlet"}:
            raise ConfigurationError(
                f"{self.label} does not work with {patched}'s patched threads, as its driver needs "
                f'an event loop in a thread of its own; use "obstore+{self.label}" (pip install '
                '"betfair-session[obstore]")'
            )

    def _open(self) -> Driver:
        from fsspec.config import apply_config

        of_the_url = drivers_own(self._kind, "_get_kwargs_from_urls")(self._url)
        options = apply_config(self._kind, {**of_the_url, **self._options})
        loop = background_loop()
        driver = self._make({**options, "skip_instance_cache": True, "loop": loop})

        async def prepare() -> None:
            if not await self._prepare(driver):  # it would not look again when there are some
                await self._shut(driver)
                where = "the options, nor in the environment, a profile or the machine"
                raise no_credentials(f"no credentials in {where}")

        run(loop, prepare, deadline=time.monotonic() + _OPENING_SECONDS)
        return own(driver)  # not earlier: s3fs and gcsfs open something, and say so, only now

    def _make(self, options: dict[str, Any]) -> Driver:
        """Make the driver's filesystem; it may block."""
        return self._kind(**options)

    @abstractmethod
    async def _prepare(self, driver: Driver) -> bool:
        """Have it send each request once; tell whether it has credentials."""

    def after_fork(self) -> None:
        """Forget the parent's calls, which end in the parent."""
        self._under_way: set[Future[Any]] = set()

    @staticmethod
    async def _shut(driver: Driver) -> None:
        """Give back what `_open` took."""

    def _renew(self, driver: Driver) -> None:
        former = self._ours.renew(driver)
        if former is not None:  # the last one; others may be using this one
            asyncio.run_coroutine_threadsafe(self._shut(former), background_loop())

    def close(self) -> None:
        """Close the connections that this store opened; the next call opens new ones."""
        wait(self._under_way.copy(), _CLOSING_SECONDS)
        release(self._ours, self._shut)

    def _request(self, target: Target, send: Callable[..., Soon[T]], *given: object) -> T:
        driver, name, deadline = target
        loop = background_loop() if self._theirs is None else self._their_loop()
        return run(
            loop,
            lambda: cast("Coroutine[Any, Any, T]", send(driver, name, *given)),
            deadline=deadline,
            under_way=self._under_way,
        )

    def _their_loop(self) -> AbstractEventLoop:
        """Return the loop of the caller's filesystem."""
        try:
            loop: AbstractEventLoop | None = self._theirs.loop
            problem = "has no event loop of its own (asynchronous=True?)"
        except RuntimeError:
            loop, problem = None, "was made before this process was forked"
        if loop is None or not loop.is_running():
            raise ConfigurationError(
                f"the filesystem given for {self.label} {problem}; make it anew, or give a URL"
            )
        leave_at_fork(loop)
        return loop
