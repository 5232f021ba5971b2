"""Small steps that the stores share which send requests through an asynchronous driver."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from betfair_session.betfair.http import proxy_in_environment

from .judging import judge
from .meanings import Known, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from betfair_session.process import T

_unsent: ContextVar[list[bool]] = ContextVar("_unsent")
"""An empty list unless the task's request has certainly not been sent."""


def detach_finalizers(filesystem: object) -> None:
    """Remove a driver's own finalizers, since `release` closes it.

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


def mark_unsent() -> None:
    """Note that this task's request waits, as for its credentials; see `tell_unsent`."""
    _unsent.get([]).append(True)


def mark_sent(**_: object) -> None:
    """Note that this task's request may have been sent; also as a handler of botocore's events."""
    _unsent.get([]).clear()


async def tell_unsent(work: Awaitable[T]) -> T:
    """Return what `work` returns; if it fails before its request is sent, let the error say so."""
    unsent = list[bool]()
    _unsent.set(unsent)
    try:
        return await work
    except Exception as error:
        judged = judge(error, cloud=True)
        if not unsent or judged.sent is not Sent.MAYBE:
            raise
        raise Known(judged.detail, judged.reason, Sent.NEVER) from error


async def read_start(stream: Any, limit: int) -> bytes:  # noqa: ANN401 - a driver's own type
    """Read at most `limit` bytes from a stream; leave the rest unread."""
    parts = bytearray()
    while len(parts) < limit and (part := await stream.read(limit - len(parts))):
        parts += part
    return bytes(parts)


def proxy_for(url: str) -> str | None:
    """Return the environment's proxy for a URL; aiohttp's own look-up would use .netrc, too."""
    scheme = url.partition("://")[0]
    if not proxy_in_environment(scheme):
        return None
    from requests.utils import get_environ_proxies

    proxies: dict[str, str] = get_environ_proxies(url)
    return proxies.get(scheme) or proxies.get("all")
