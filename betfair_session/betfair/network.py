"""What a failure of the network is told as: in words without secrets.

requests' exceptions keep the request, and with it what it carries. None of them leaves the library.
"""

from __future__ import annotations

import re
import ssl

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from betfair_session.process.threads import NoThreadError, chain

# http.client tells a proxy's status in this text and nowhere else.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_UNSENT = (ConnectTimeoutError, NewConnectionError, NoThreadError, ssl.SSLCertVerificationError)


class NoAnswerError(Exception):
    """No HTTP answer came.

    Attributes:
        detail: what happened, in words without secrets.
        sent: False when the request certainly was not sent.
        reason: "untrusted" (no known authority vouches for the server), "proxy-407", "proxy-403"
            or "proxy" (a proxy made no connection), else "".
    """

    def __init__(self, detail: str, *, sent: bool, reason: str = "") -> None:
        """Keep the words."""
        super().__init__(detail)
        self.detail = detail
        self.sent = sent
        self.reason = reason


def describe(error: BaseException) -> str:
    """Tell what went wrong from the kinds of errors in the chain, never from their texts.

    Args:
        error: an exception of requests, or what it may let through.

    Returns:
        A few words, such as "ConnectionResetError: Connection reset by peer"; the second half is
        the operating system's for an error number.
    """
    # urllib3 blames the proxy also for what the server behind it does with a request.
    proxied = isinstance(error, requests.exceptions.ProxyError) and never_left(error)
    whose = "the proxy: " if proxied else ""
    for cause in chain(error):
        if refused := _no_tunnel(cause):
            return f"a proxy answered {refused[1]} and made no connection"
        if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
            return f"{whose}{type(cause).__name__}: {cause.strerror}"
    return "timed out" if isinstance(error, requests.Timeout) else whose + type(error).__name__


def reason_of(error: BaseException) -> str:
    """Return NoAnswerError's reason for an error of requests'."""
    for cause in chain(error):
        if refused := _no_tunnel(cause):
            return f"proxy-{refused[1]}" if refused[1] in {"403", "407"} else "proxy"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "untrusted"
    return ""


def never_left(error: BaseException) -> bool:
    """Tell whether a request certainly was not sent, since no connection came about.

    Args:
        error: as in `describe`.

    Returns:
        False when it was sent, or nobody knows.
    """
    return any(isinstance(cause, _UNSENT) or _no_tunnel(cause) for cause in chain(error))


def _no_tunnel(error: BaseException) -> re.Match[str] | None:
    return _TUNNEL.match(str(error)) if isinstance(error, OSError) else None
