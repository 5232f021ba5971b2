"""The one way in which the library sends HTTP requests, and what it tells of their failures.

It imports requests, which takes 100 ms, so it is imported when the first call is made.
requests' exceptions keep the request with its secrets, so none of them leaves this module.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context

from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process import clocks
from betfair_session.process.threads import (
    NoThreadError,
    OverrunError,
    chain,
    interruption,
    run_until,
)

from .answers import MAX_ANSWER_BYTES, Answer, cannot_tell, is_passing
from .connections import OwnAdapter, OwnSession, drop_if_out_of_step, on_its_own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from betfair_session.certificates import Certificate
    from betfair_session.secret import Secret

    from .answers import Endpoint

_ACCEPT = {"Accept": "application/json", "Accept-Encoding": "identity"}
ATTEMPTS = 3  # for a request that may be repeated
CONNECT_SECONDS = 3.05  # for one attempt; TCP repeats a lost first packet after 3
_PIECE_BYTES = 64  # between two looks at the clock
_PAUSE_SECONDS = 0.4  # after the first attempt; twice as many after the second
# http.client tells a proxy's status in this text and nowhere else.
_TUNNEL = r"Tunnel connection failed: (\d{3})"
_UNSENT = (ConnectTimeoutError, NewConnectionError, NoThreadError, ssl.SSLCertVerificationError)
# Codes of OpenSSL for a certificate that no known authority vouches for; others have other causes.
_NO_AUTHORITY = {18, 19, 20, 21}
_OWN_AUTHORITY = (
    "; to trust an authority of your own, such as a sandbox's or a company proxy's, give its "
    "certificate as IdentityClient's verify, or in BETFAIR_CA_BUNDLE"
)
_log = logging.getLogger("betfair_session.betfair.identity")


class Failure(NamedTuple):
    """Why no HTTP answer came."""

    detail: str  # what happened, in words without secrets
    sent: bool  # False when the request certainly was not sent
    reason: str = ""  # as in IdentityUnavailable

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Tell what went wrong from the kinds of errors in the chain, never from their texts."""
        causes = list(chain(error))
        for cause in causes:
            if isinstance(cause, OSError) and (refused := re.match(_TUNNEL, str(cause))):
                status = refused[1]
                reason = f"proxy-{status}" if status in {"403", "407"} else "proxy"
                detail = f"a proxy answered {status} and made no connection"
                return cls(detail, sent=False, reason=reason)
        untrusted = {getattr(cause, "verify_code", 0) for cause in causes} & _NO_AUTHORITY
        sent = not any(isinstance(cause, _UNSENT) for cause in causes)
        # urllib3 blames the proxy also for what the server behind it does with a request.
        proxied = isinstance(error, requests.exceptions.ProxyError) and not sent
        detail = "timed out" if isinstance(error, requests.Timeout) else type(error).__name__
        for cause in causes:
            if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
                detail = f"{type(cause).__name__}: {cause.strerror}"
                break
        detail = f"the proxy: {detail}" if proxied else detail
        return cls(detail, sent, "untrusted" if untrusted else "")


def pause_before_next(attempt: int, left: float) -> bool:
    """Pause before another attempt, and tell whether there is one.

    Args:
        attempt: the number of the last one, from 1.
        left: the seconds that are left for all of them.
    """
    pause = _PAUSE_SECONDS * attempt * random.uniform(0.5, 1)
    if attempt >= ATTEMPTS or pause >= left:
        return False
    clocks.pause(pause)
    return True


class Transport:
    """Sends POSTs bounded in time and size, to verified servers, without following redirects."""

    def __init__(
        self,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None = None,
        session: requests.Session | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first call.

        Args:
            verify: True, or the path of a CA bundle to trust instead of the usual ones.
            proxies: as in requests; None takes them from the environment.
            session: the caller's own, used with its adapters and never closed.
            certificate: shown to servers that ask for one.
        """
        self._verify = verify
        self._proxies = proxies
        self._theirs = session
        self._certificate = certificate

    def post(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, Secret],
        form: Mapping[str, Secret] | None,
        seconds: float,
        *,
        repeat: bool = False,
    ) -> Answer:
        """Send a POST and return the last answer, whatever its status.

        Args:
            endpoint: where to; https.
            headers: what the request carries besides the usual ones.
            form: form fields for the body, or None for an empty one.
            seconds: how long all of it may take.
            repeat: send it again, three times in all, when no answer came, or one with status 429
                or 5xx; only where that is harmless.

        Raises:
            IdentityUnavailable: the last attempt brought none, or not in time.
            CertificateError: the client certificate cannot be used.
            ConfigurationError: the proxy cannot be used.
        """
        began = clocks.now()

        def left() -> float:
            return seconds - clocks.passed(began)

        for attempt in itertools.count(1):
            outcome = self._once(endpoint.url, headers, form, left)
            failed = isinstance(outcome, Failure) or is_passing(outcome.status_code)
            if not (repeat and failed and pause_before_next(attempt, left())):
                break
        if isinstance(outcome, Answer):
            return outcome
        advice = _OWN_AUTHORITY if outcome.reason == "untrusted" else ""
        error = cannot_tell(endpoint, outcome.detail + advice)
        error.sent, error.reason = outcome.sent, outcome.reason
        raise error

    def _once(
        self,
        url: str,
        headers: Mapping[str, Secret],
        form: Mapping[str, Secret] | None,
        left: Callable[[], float],
    ) -> Answer | Failure:
        try:
            session, settings = self._open()
            # Loading a certificate takes time too, and others may have taken the login over.
            seconds = left()
            if seconds <= 0:
                return Failure("no time was left to send the request", sent=False)
            end = time.monotonic() + seconds
            settings["timeout"] = (min(CONNECT_SECONDS, seconds), seconds)
            work = partial(_send, session, url, headers, form, end=end, **settings)
            return run_until(end, work)
        except OverrunError:
            return Failure(f"no answer within {seconds:.1f} s", sent=True)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
            # Our URL was checked when it was given, so this is the proxy's.
            message = (
                f"the proxy in `proxies` or the environment cannot be used ({type(error).__name__})"
                "; it needs a URL such as http://proxy:3128, and socks5:// the package PySocks"
            )
        except BetfairSessionError:
            raise
        except Exception as error:  # a tracing tool may raise any kind
            if interruption(error):
                raise
            failure = Failure.of(error)
            # A caller's adapters may have sent it before the attempt that ended like this.
            return failure if self._theirs is None else failure._replace(sent=True)
        # Outside of `except`, so that it does not keep requests' error.
        raise ConfigurationError(message, argument="proxies")

    def _open(self) -> tuple[requests.Session, dict[str, Any]]:
        """Return the session to send by, and what its requests need besides."""
        certificate = self._certificate
        if self._theirs is not None:
            files = None
            if certificate:
                _warn(certificate.check())
                files = certificate.requests_cert()
            proxies = None if self._proxies is None else dict(self._proxies)
            return self._theirs, {"verify": self._verify, "cert": files, "proxies": proxies}
        kept: requests.Session | None = vars(self).get("_session")
        if kept is None:
            context = create_urllib3_context() if certificate else None
            if certificate and context:
                _warn(certificate.load_into(context))
            adapter = OwnAdapter(context=context)
            made = OwnSession(adapter, verify=self._verify, proxies=self._proxies)
            kept = vars(self).setdefault("_session", made)  # one step, so that threads share one
        return kept, {}

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if session := vars(self).pop("_session", None):
            session.close()


def _send(
    session: requests.Session,
    url: str,
    headers: Mapping[str, Secret],
    form: Mapping[str, Secret] | None,
    *,
    end: float,
    **settings: Any,  # noqa: ANN401 - requests' own
) -> Answer:
    with session.post(
        url,
        headers={**_ACCEPT, **_revealed(headers)},
        data=None if form is None else _revealed(form),
        auth=on_its_own,
        allow_redirects=False,
        stream=True,
        **settings,
    ) as response:
        drop_if_out_of_step(response)
        body = b""
        for piece in response.iter_content(_PIECE_BYTES):
            body += piece
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > end:
                break
        sent = (*headers.values(), *(form or {}).values())
        return Answer(response.status_code, body[:MAX_ANSWER_BYTES], sent)


def _revealed(fields: Mapping[str, Secret]) -> dict[str, str]:
    """Unwrap secrets at the last moment, so that no frame of ours holds them when it fails."""
    return {name: value.reveal() for name, value in fields.items()}


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        _log.warning("%s", warning)
