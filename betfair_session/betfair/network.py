"""What a failure of the network is told as: in words without secrets.

requests' exceptions keep the request, and with it what it carries. None of them leaves the library.
"""

from __future__ import annotations

import re

from betfair_session.process.causes import chain
from betfair_session.process.threads import NoThreadError

_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


def describe(error: BaseException) -> str:
    """Tell what went wrong from the kinds of errors in the chain, never from their texts.

    Only the operating system's own words for an error number are taken over.

    Args:
        error: an exception of requests, or what it may let through.

    Returns:
        A few words, such as "ConnectionResetError: Connection reset by peer".
    """
    import requests

    # urllib3 blames the proxy also for what the server behind it does with a request.
    proxied = isinstance(error, requests.exceptions.ProxyError) and never_left(error)
    whose = "the proxy: " if proxied else ""
    for cause in chain(error):
        if refused := _no_tunnel(cause):
            return f"a proxy answered {refused[1]} and made no connection"
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
    return any(isinstance(cause, kinds) or _no_tunnel(cause) for cause in chain(error))


def _no_tunnel(error: BaseException) -> re.Match[str] | None:
    """Find a proxy's answer that it makes no connection, in the words of Python's http."""
    return _TUNNEL.match(str(error)) if isinstance(error, OSError) else None
