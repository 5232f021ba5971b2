"""One HTTPS POST to Betfair, bounded in time and size, that cannot leak what it sends.

requests' exceptions keep the request, and with it the password and the token. None of them leaves
this module: a failure is told in words.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .deadline import OverrunError, run_within
from .exceptions import ConfigurationError
from .secret import Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    import requests
    from requests.adapters import HTTPAdapter

    Sendable: TypeAlias = str | Secret

CONNECT_TIMEOUT = 3.05
"""Seconds for one connection attempt; TCP repeats a lost first packet after 3."""

MAX_ANSWER = 65_536
"""Bytes of an answer that are read; the longest that Betfair documents is under 1 KiB."""


class NoAnswerError(Exception):
    """No HTTP answer came.

    Attributes:
        detail: what happened, in words without secrets.
    """

    def __init__(self, detail: str) -> None:
        """Keep the words."""
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True)
class Answer:
    """An HTTP answer's status code and body (at most MAX_ANSWER bytes)."""

    status_code: int
    body: bytes = field(repr=False)

    def json_object(self, secret: str) -> dict[str, Any] | None:
        """Return the body if it is a JSON object, else None; a text in field `secret` wrapped."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        hidden = value.pop(secret, None)
        if isinstance(hidden, str):
            value[secret] = Secret(hidden)
        return value


class Transport:
    """A pooled HTTPS client that verifies the server, follows no redirect and repeats nothing."""

    def __init__(
        self,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None = None,
        load_certificate: Callable[[ssl.SSLContext], object] | None = None,
    ) -> None:
        """Prepare; nothing is opened or imported before the first call.

        Args:
            verify: True, or the path of a CA bundle to trust instead of the usual ones.
            proxies: as in requests; None takes them from the environment.
            load_certificate: gives the client certificate to a TLS context.
        """
        self._verify = verify
        self._proxies = proxies
        self._load_certificate = load_certificate
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

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
        """
        import requests

        session = self._open()
        try:
            return run_within(
                seconds, lambda: self._post(session, url, headers, form, seconds=seconds)
            )
        except OverrunError:
            detail = f"no answer within {seconds:.1f} s"
        except (requests.RequestException, OSError, ValueError) as error:
            detail = _describe(error)
        raise NoAnswerError(detail)

    def _post(
        self,
        session: requests.Session,
        url: str,
        headers: Mapping[str, Sendable],
        form: Mapping[str, Sendable] | None,
        *,
        seconds: float,
    ) -> Answer:
        import requests

        end = time.monotonic() + seconds
        proxies = self._proxies
        if proxies is None:
            proxies = requests.utils.get_environ_proxies(url)
        with session.post(
            url,
            headers=_revealed(headers),
            data=None if form is None else _revealed(form),
            verify=self._verify,
            proxies=dict(proxies),
            timeout=(min(CONNECT_TIMEOUT, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = b""
            for piece in response.iter_content(4096):
                body += piece
                if len(body) > MAX_ANSWER or time.monotonic() > end:
                    break
            return Answer(response.status_code, body[:MAX_ANSWER])

    def _open(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                import requests

                session = requests.Session()
                # Neither .netrc nor REQUESTS_CA_BUNDLE may change what is sent or trusted.
                session.trust_env = False
                session.headers["Accept-Encoding"] = "identity"
                session.mount("https://", _adapter(self._load_certificate))
                self._session = session
            return self._session

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()


def _adapter(load_certificate: Callable[[ssl.SSLContext], object] | None) -> HTTPAdapter:
    from requests.adapters import HTTPAdapter

    if load_certificate is None:
        return HTTPAdapter(max_retries=0)
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    load_certificate(context)

    class CertificateAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
            return super().proxy_manager_for(*args, ssl_context=context, **kwargs)

    return CertificateAdapter(max_retries=0)


def _revealed(fields: Mapping[str, Sendable]) -> dict[str, str]:
    """Unwrap secrets at the last moment, so that no frame of ours holds them when it fails."""
    return {name: Secret(value).reveal() for name, value in fields.items()}


def _describe(error: BaseException) -> str:
    """Tell what went wrong from the kinds of errors in the chain, never from their texts.

    Only the operating system's own words for an error number are taken over.
    """
    import requests

    words = type(error).__name__
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
            return f"{type(cause).__name__}: {cause.strerror}"
        inner = next((part for part in cause.args if isinstance(part, BaseException)), None)
        reason = getattr(cause, "reason", None)
        cause = (
            inner
            or (reason if isinstance(reason, BaseException) else None)
            or cause.__cause__
            or cause.__context__
        )
    if isinstance(error, requests.Timeout):
        return "timed out"
    return words


def https_base(url: str, *, name: str) -> str:
    """Check a base URL and return it with one trailing slash.

    Args:
        url: such as "https://localhost:8443/api/".
        name: the argument's name, for the error.

    Returns:
        The base.

    Raises:
        ConfigurationError: it is not a plain https URL.
    """
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "https" and parts.hostname and (parts.port or True)
    except (ValueError, AttributeError, TypeError):
        plain = False
    if not plain or parts.query or parts.fragment or parts.username or parts.password:
        message = f"{name} must be a plain https URL such as https://localhost:8443/api/"
        raise ConfigurationError(message)
    return url.rstrip("/") + "/"
