"""What the drivers that need an event loop have in common: fsspec's, for all three clouds."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from betfair_session.exceptions import ConfigurationError

from .driver import Driver, DriverStore
from .location import redact
from .loop import background_loop, leave_at_fork, release, run
from .verdict import NoCredentials

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine, Mapping

    from .driver import Soon

T = TypeVar("T")

OPENING = 60.0
"""Seconds for a driver to be opened, or closed again, at most; a call's own time-out ends first."""


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, as requests finds it.

    aiohttp finds it by `trust_env`, but then also takes what .netrc has for the store's host, and
    refuses to send that beside the store's own authorization.
    """
    from requests.utils import get_environ_proxies

    proxies: dict[str, str] = get_environ_proxies(url)
    return proxies.get(url.partition("://")[0])


class LoopStore(DriverStore):
    """A store on an asynchronous driver: ours on our loop, a caller's on its own."""

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        filesystem: Driver = None,
        root: str | None = None,
    ) -> None:
        """Prepare the store; see DriverStore.

        Raises:
            ConfigurationError: as DriverStore, or the threads of this process are not real ones.
        """
        # Theirs run in one real thread, which an event loop would hold for ever.
        patched = threading.get_ident.__module__.partition(".")[0]
        if patched in {"gevent", "eventlet"}:
            label = redact(url)
            message = (
                f"{label} does not work with {patched}'s patched threads, as its driver needs an "
                f'event loop in a thread of its own; use "obstore+{label}" (pip install '
                '"betfair-session[obstore]")'
            )
            raise ConfigurationError(message)
        super().__init__(url, options, filesystem=filesystem, root=root)
        if filesystem is None:
            weakref.finalize(self, release, self._processes, self._shut)

    @staticmethod
    async def _shut(driver: Driver) -> None:
        """Give back what `_open` took."""

    def _refuse(self, driver: Driver, elsewhere: str) -> NoReturn:
        """Close a driver that found no credentials: it would not look again when there are some."""
        run(background_loop(), lambda: self._shut(driver), deadline=time.monotonic() + OPENING)
        message = f"neither the options nor {elsewhere} have any"
        raise NoCredentials(message)

    def _renew(self, driver: Driver) -> Driver:
        former = super()._renew(driver)
        if former is not None:
            asyncio.run_coroutine_threadsafe(self._shut(former), background_loop())
        return former

    def close(self) -> None:
        """Close the connections that this store opened; the next call opens new ones."""
        release(self._processes, self._shut)

    def _run(self, driver: Driver, deadline: float, send: Callable[[float], Soon[T]]) -> T:
        """Send one request, in the loop that the driver belongs to, until `deadline`."""
        del driver
        loop = background_loop() if self._theirs is None else self._their_loop()
        left = deadline - time.monotonic()
        return run(loop, lambda: cast("Coroutine[Any, Any, T]", send(left)), deadline=deadline)

    def _their_loop(self) -> AbstractEventLoop:
        """Return the loop of the caller's filesystem."""
        try:
            loop: AbstractEventLoop | None = self._theirs.loop
        except RuntimeError:
            message = (
                f"the filesystem given for {self.label} was made before this process was forked; "
                "make it in the process that uses it, or give a URL instead"
            )
        else:
            if loop is not None and loop.is_running():
                leave_at_fork(loop)
                return loop
            message = (
                f"the filesystem given for {self.label} has no event loop of its own "
                "(asynchronous=True?); make it without that, or give a URL instead"
            )
        raise ConfigurationError(message)
