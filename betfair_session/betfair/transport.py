"""One HTTPS POST to Betfair, bounded in time and size, that cannot leak what it sends.

requests' exceptions keep the request, and with it the password and the token. None of them leaves
this module: a failure is told in words.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process import clocks
from betfair_session.process.forks import ForkSafeLock
from betfair_session.process.threads import OverrunError, interruption, run_until
from betfair_session.secret import Secret

from .network import describe, never_left

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    import requests

    from .answer import Answer

    Sendable: TypeAlias = str | Secret

CONNECT_TIMEOUT = 3.05
"""Seconds for one connection attempt; TCP repeats a lost first packet after 3."""


ATTEMPTS = 3
"""How often a request that may be repeated is sent at most."""


class NoAnswerError(Exception):
    """No HTTP answer came.

    Attributes:
        detail: what happened, in words without secrets.
        sent: False when the request certainly was not sent.
    """

    def __init__(self, detail: str, *, sent: bool) -> None:
        """Keep the words."""
        super().__init__(detail)
        self.detail = detail
        self.sent = sent


class Transport:
    """A pooled HTTPS client that verifies the server, follows no redirect and repeats nothing."""

    def __init__(
        self,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None = None,
        load_certificate: Callable[[ssl.SSLContext], object] | None = None,
        session: requests.Session | None = None,
        files: str | tuple[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is opened or imported before the first call.

        Args:
            verify: True, or the path of a CA bundle to trust instead of the usual ones.
            proxies: as in requests; None takes them from the environment.
            load_certificate: gives the client certificate to a TLS context.
            session: the caller's own, used with its adapters and never closed.
            files: the client certificate for the caller's session, as requests takes it.
        """
        self._verify = verify
        self._proxies = proxies
        self._load_certificate = load_certificate
        self._theirs = session
        self._files = files
        self._session: requests.Session | None = None
        self._lock = ForkSafeLock()

    def post(
        self,
        url: str,
        headers: Mapping[str, Sendable],
        form: Mapping[str, Sendable] | None,
        seconds: float,
    ) -> Answer:
        """Send one POST, once.

        Args:
            url: where to; https.
            headers: the request's headers.
            form: form fields for the body, or None for an empty one.
            seconds: how long the whole of it may take.

        Returns:
            The answer, whatever its status.

        Raises:
            NoAnswerError: none came, or not in time.
            CertificateError: the client certificate cannot be used.
            ConfigurationError: the proxy cannot be used.
        """
        from requests import exceptions

        began, unusable, sent = clocks.now(), "", True
        try:
            session = self._open()
            # To load a certificate takes its time, too, and others may have taken the login over.
            left = seconds - clocks.passed(began)
            if left > 0:
                return run_until(
                    time.monotonic() + left,
                    lambda: self._post(session, url, headers, form, seconds=left),
                )
            detail, sent = "no time was left to send the request", False
        except OverrunError:
            detail = f"no answer within {seconds:.1f} s"
        except (exceptions.InvalidSchema, exceptions.InvalidURL) as error:
            # The URL was looked at when it was given, so it is the proxy's.
            unusable = type(error).__name__
        except BetfairSessionError:
            raise
        except Exception as error:  # a tracer's, say, of any kind
            if interruption(error):
                raise
            # A caller's adapters may have sent it before the attempt that ended so.
            detail, sent = describe(error), self._theirs is not None or not never_left(error)
        if unusable:
            message = (
                f"the proxy in `proxies` or the environment cannot be used ({unusable}); it needs "
                "a URL such as http://proxy:3128, and socks5:// the package PySocks"
            )
            raise ConfigurationError(message)
        raise NoAnswerError(detail, sent=sent)

    def post_again(self, url: str, headers: Mapping[str, Sendable], seconds: float) -> Answer:
        """Send a POST without a body that may be repeated, up to ATTEMPTS times.

        It is sent again, after a moment, when no answer came, or one with status 429 or 5xx.

        Args:
            url: where to; https.
            headers: the request's headers.
            seconds: how long all of it may take.

        Returns:
            The last answer.

        Raises:
            NoAnswerError: the last attempt brought none.
            ConfigurationError: as `post`.
        """
        import random

        end = time.monotonic() + seconds
        attempt = 1
        while True:
            pause = 0.4 * attempt * random.uniform(0.5, 1)
            last = attempt == ATTEMPTS
            try:
                answer = self.post(url, headers, None, end - time.monotonic())
            except NoAnswerError:
                if last or time.monotonic() + pause >= end:
                    raise
            else:
                if last or not answer.is_passing or time.monotonic() + pause >= end:
                    return answer
            time.sleep(pause)
            attempt += 1

    def _post(
        self,
        session: requests.Session,
        url: str,
        headers: Mapping[str, Sendable],
        form: Mapping[str, Sendable] | None,
        *,
        seconds: float,
    ) -> Answer:
        from .answer import MAX_ANSWER, Answer
        from .own_requests import drop_if_out_of_step

        end = time.monotonic() + seconds
        with session.post(
            url,
            headers={"Accept-Encoding": "identity", **_revealed(headers)},
            data=None if form is None else _revealed(form),
            verify=self._verify,
            cert=self._files,
            auth=on_its_own,
            proxies=None if self._proxies is None else dict(self._proxies),
            timeout=(min(CONNECT_TIMEOUT, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            drop_if_out_of_step(response)
            body = b""
            # In small pieces, since the time is looked at between them.
            for piece in response.iter_content(64):
                body += piece
                if len(body) > MAX_ANSWER or time.monotonic() > end:
                    break
            values = (*headers.values(), *(form or {}).values())
            sent = tuple(value for value in values if isinstance(value, Secret))
            return Answer(response.status_code, body[:MAX_ANSWER], sent)

    def _open(self) -> requests.Session:
        if self._theirs is not None:
            return self._theirs
        with self._lock.mine():
            if self._session is None:
                from .own_requests import OwnAdapter, OwnSession

                adapter = OwnAdapter(context=self._context())
                self._session = OwnSession(adapter, verify=self._verify, proxies=self._proxies)
            return self._session

    def _context(self) -> ssl.SSLContext | None:
        if self._load_certificate is None:
            return None
        from urllib3.util.ssl_ import create_urllib3_context

        context = create_urllib3_context()
        self._load_certificate(context)
        return context

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock.mine():
            session, self._session = self._session, None
        if session is not None:
            session.close()


def on_its_own(request: Any) -> Any:  # noqa: ANN401 - requests' own types
    """Authenticate by nothing: without this, requests would send what .netrc says.

    It is also where a hook can be added to those of a caller's session: no redirect is left.

    Args:
        request: the prepared request.

    Returns:
        The same.
    """
    request.register_hook("response", _without_location)
    return request


def _without_location(response: requests.Response, **_: object) -> None:
    """Leave no redirect: a caller's session would read its whole body to prepare for it."""
    response.headers.pop("Location", None)


def _revealed(fields: Mapping[str, Sendable]) -> dict[str, str]:
    """Unwrap secrets at the last moment, so that no frame of ours holds them when it fails."""
    return {name: Secret(value).reveal() for name, value in fields.items()}
