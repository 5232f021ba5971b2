"""What a failure of the network is told as: in words without secrets.

requests' exceptions keep the request, and with it what it carries. None of them leaves the library.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .deadline import NoThreadError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 16  # errors in a chain
# In the words of Python's http.client; the reason after the number is the proxy's own.
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b", re.ASCII)
_NO_WAY = "it cannot reach the host, or will not"
_ADVICE = {
    "403": "it does not let this host be reached; have it allowed, or go past it by NO_PROXY",
    "407": "it wants a user and a password, as in HTTPS_PROXY=http://user:password@proxy:3128",
}


def describe(error: BaseException) -> str:
    """Tell what went wrong from the kinds of errors in the chain, never from their texts.

    Only the operating system's own words for an error number are taken over.

    Args:
        error: an exception of requests, or what it may let through.

    Returns:
        A few words, such as "ConnectionResetError: Connection reset by peer".
    """
    import requests

    refused = next(filter(None, map(_refused_tunnel, chain(error))), "")
    if refused:
        return f"the proxy answered HTTP {refused}: {_ADVICE.get(refused, _NO_WAY)}"
    # urllib3 blames the proxy also for what the server behind it does with a request.
    proxied = isinstance(error, requests.exceptions.ProxyError) and never_left(error)
    whose = "the proxy: " if proxied else ""
    for cause in chain(error):
        if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
            return f"{whose}{type(cause).__name__}: {cause.strerror}"
    return "timed out" if isinstance(error, requests.Timeout) else whose + type(error).__name__


def never_left(error: BaseException) -> bool:
    """Tell whether a request certainly was not sent, since no connection came about.

    Args:
        error: as in `describe`.

    Returns:
        False when it was sent, or nobody knows.
    """
    import ssl

    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    kinds = (ConnectTimeoutError, NewConnectionError, NoThreadError, ssl.SSLCertVerificationError)
    return any(isinstance(cause, kinds) or _refused_tunnel(cause) for cause in chain(error))


def _refused_tunnel(error: BaseException) -> str:
    """Return the HTTP status with which a proxy answered that it makes no connection, or ""."""
    found = _NO_TUNNEL.match(str(error)) if isinstance(error, OSError) else None
    return found[1] if found else ""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what it was made of, as the code that raised it says.

    Never to its `__context__`: that leads out of the library, into the error which the caller was
    handling when it called.

    Args:
        error: where to begin.

    Yields:
        `error` itself, then what each was raised from or carries, outermost first.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen and len(seen) < _DEEPEST:
        seen.add(id(each))
        yield each
        each = each.__cause__ or _carried(each)


def _carried(error: BaseException) -> BaseException | None:
    """Return the error that another one keeps: requests and urllib3, azure, botocore do."""
    settings = getattr(error, "kwargs", None)
    held = [*error.args, *(getattr(error, name, None) for name in ("reason", "inner_exception"))]
    held += [settings.get("error")] if isinstance(settings, dict) else []
    return next((each for each in held if isinstance(each, BaseException)), None)
