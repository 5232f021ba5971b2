"""The one way in which the library sends HTTP requests, and what it tells of their failures.

It imports requests, which takes 100 ms, so it is imported when the first call is made.
requests' exceptions keep the request with its secrets, so none of them leaves this module.
"""

from __future__ import annotations

import os
import random
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process import clocks
from betfair_session.process.threads import OverrunError, interruption, run_until
from betfair_session.secret import Secret

from .answers import MAX_ANSWER_BYTES, Answer, is_passing
from .network import NoAnswerError, describe, never_left, reason_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest, Response

ATTEMPTS = 3  # for a request that may be repeated
CONNECT_SECONDS = 3.05  # for one attempt; TCP repeats a lost first packet after 3
IDLE_SECONDS = 60.0  # networks forget connections that are idle for longer, without a word
_PIECE_BYTES = 64  # between two looks at the clock
_PAUSE_SECONDS = 0.4  # after the first attempt; twice as many after the second
_OK, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


class Transport:
    """Sends POSTs bounded in time and size, to verified servers, without following redirects."""

    def __init__(
        self,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None = None,
        load_certificate: Callable[[ssl.SSLContext], object] | None = None,
        session: requests.Session | None = None,
        files: str | tuple[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first call.

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

    def post(
        self,
        url: str,
        headers: Mapping[str, str | Secret],
        form: Mapping[str, str | Secret] | None,
        seconds: float,
        *,
        attempts: int = 1,
    ) -> Answer:
        """Send a POST, again after a pause when no answer came, or one with status 429 or 5xx.

        Args:
            url: where to; https.
            headers: the request's headers.
            form: form fields for the body, or None for an empty one.
            seconds: how long all of it may take.
            attempts: how often it may be sent; more than once only where that is harmless.

        Returns:
            The last answer, whatever its status.

        Raises:
            NoAnswerError: the last attempt brought none, or not in time.
            CertificateError: the client certificate cannot be used.
            ConfigurationError: the proxy cannot be used.
        """
        end = time.monotonic() + seconds
        for attempt in range(1, attempts + 1):
            pause = _PAUSE_SECONDS * attempt * random.uniform(0.5, 1)
            try:
                answer = self._once(url, headers, form, end - time.monotonic())
            except NoAnswerError:
                if attempt == attempts or time.monotonic() + pause >= end:
                    raise
            else:
                passing = is_passing(answer.status_code)
                if attempt == attempts or not passing or time.monotonic() + pause >= end:
                    break
            clocks.pause(pause)
        return answer

    def _once(
        self,
        url: str,
        headers: Mapping[str, str | Secret],
        form: Mapping[str, str | Secret] | None,
        seconds: float,
    ) -> Answer:
        began = clocks.now()
        why: Exception
        try:
            session = self._open()
            # Loading a certificate takes time too, and others may have taken the login over.
            left = seconds - clocks.passed(began)
            if left > 0:
                return run_until(
                    time.monotonic() + left,
                    lambda: self._send(session, url, headers, form, seconds=left),
                )
            why = NoAnswerError("no time was left to send the request", sent=False)
        except OverrunError:
            why = NoAnswerError(f"no answer within {seconds:.1f} s", sent=True)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
            # Our URL was checked when it was given, so this is the proxy's.
            why = ConfigurationError(
                f"the proxy in `proxies` or the environment cannot be used ({type(error).__name__})"
                "; it needs a URL such as http://proxy:3128, and socks5:// the package PySocks",
                argument="proxies",
            )
        except BetfairSessionError:
            raise
        except Exception as error:  # a tracing tool may raise any kind
            if interruption(error):
                raise
            # A caller's adapters may have sent it before the attempt that ended like this.
            sent = self._theirs is not None or not never_left(error)
            why = NoAnswerError(describe(error), sent=sent, reason=reason_of(error))
        raise why  # outside of `except`, so that it does not keep requests' error

    def _send(
        self,
        session: requests.Session,
        url: str,
        headers: Mapping[str, str | Secret],
        form: Mapping[str, str | Secret] | None,
        *,
        seconds: float,
    ) -> Answer:
        end = time.monotonic() + seconds
        with session.post(
            url,
            headers={"Accept-Encoding": "identity", **_revealed(headers)},
            data=None if form is None else _revealed(form),
            verify=self._verify,
            cert=self._files,
            auth=on_its_own,
            proxies=None if self._proxies is None else dict(self._proxies),
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            _drop_if_out_of_step(response)
            body = b""
            for piece in response.iter_content(_PIECE_BYTES):
                body += piece
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > end:
                    break
            values = (*headers.values(), *(form or {}).values())
            sent = tuple(value for value in values if isinstance(value, Secret))
            return Answer(response.status_code, body[:MAX_ANSWER_BYTES], sent)

    def _open(self) -> requests.Session:
        if self._theirs is not None:
            return self._theirs
        kept: requests.Session | None = vars(self).get("_session")
        if kept is None:
            context = None
            if self._load_certificate is not None:
                context = create_urllib3_context()
                self._load_certificate(context)
            adapter = OwnAdapter(context=context)
            made = OwnSession(adapter, verify=self._verify, proxies=self._proxies)
            kept = vars(self).setdefault("_session", made)  # one step, so that threads share one
        return kept

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if session := vars(self).pop("_session", None):
            session.close()


class OwnSession(requests.Session):
    """Follows no redirect, keeps no cookie, reads no .netrc and takes no other CA bundle.

    Proxies are the only thing that comes from the environment.
    """

    def __init__(
        self,
        adapter: HTTPAdapter | None = None,
        *,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet. The `proxies` None are those of the environment."""
        super().__init__()
        self.trust_env = False
        self.verify = verify
        self.proxies.update(proxies or {})
        self._environment = proxies is None
        # A cookie would be sent with another session's calls; threads would also share the jar.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("https://", adapter or OwnAdapter())

    def get_redirect_target(self, resp: Response) -> str | None:
        """Know of no redirect: requests would read its body whole, and take the token along."""
        del resp
        return None

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # noqa: ANN401 - requests gives them by name
        """Send a request; see requests.Session."""
        if self._environment and not settings.get("proxies"):
            settings["proxies"] = requests.utils.get_environ_proxies(request.url or "")
        return super().send(request, **settings)


class OwnAdapter(HTTPAdapter):
    """Sends once, on a connection that is no parent's, not idle for long, and not out of step."""

    def __init__(
        self, *, connections: int = DEFAULT_POOLSIZE, context: ssl.SSLContext | None = None
    ) -> None:
        """Prepare.

        Args:
            connections: how many are kept for each host.
            context: what TLS is to use, with a client certificate; None for requests' own.
        """
        self._context: dict[str, Any] = {"ssl_context": context} if context else {}
        self._sizes = (DEFAULT_POOLSIZE, connections)
        self._process = os.getpid()
        super().__init__(*self._sizes, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Make the pool; see HTTPAdapter."""
        super().init_poolmanager(*args, **{**kwargs, **self._context})
        _forget_the_idle(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Return a proxy's pool; see HTTPAdapter."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **{**kwargs, **self._context})
        if not known:
            _forget_the_idle(manager)
        return manager

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # type: ignore[override] # noqa: ANN401 - requests gives them by name
        """Send a request; see HTTPAdapter."""
        if self._process != os.getpid():
            # A forked child must not speak on its parent's connections, nor end them.
            self.proxy_manager: dict[str, Any] = {}
            self.init_poolmanager(*self._sizes)
            self._process = os.getpid()
        response = super().send(request, **settings)
        _drop_if_out_of_step(response)
        return response


class _Forgetful:
    """A pool of urllib3's that does not use connections again that idled for long."""

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401 - urllib3's
        if conn is not None:
            conn.put_back = clocks.now()
        super()._put_conn(conn)  # type: ignore[misc] # the pool's

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - urllib3's
        conn = super()._get_conn(timeout)  # type: ignore[misc] # the pool's
        then = getattr(conn, "put_back", None)
        if then and clocks.passed(then) > IDLE_SECONDS:
            conn.close()  # it is opened anew when it is used
        return conn


def _forget_the_idle(manager: Any) -> None:  # noqa: ANN401 - urllib3's, for proxies of any kind
    kinds = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {
        scheme: type(kind.__name__, (_Forgetful, kind), {}) for scheme, kind in kinds
    }


def _drop_if_out_of_step(response: Response) -> None:
    """Close a connection on which another answer may come: http.client takes 103 for the last."""
    if response.status_code < _OK or response.status_code in {_NO_CONTENT, _NOT_MODIFIED}:
        response.raw.close()


def on_its_own(request: PreparedRequest) -> PreparedRequest:
    """Authenticate by nothing: without this, requests would send what .netrc says.

    The answer will have no Location, for which a session would read the whole body.
    """
    request.register_hook("response", _without_location)  # type: ignore[no-untyped-call] # requests'
    return request


def _without_location(response: Response, **_: object) -> None:
    response.headers.pop("Location", None)


def _revealed(fields: Mapping[str, str | Secret]) -> dict[str, str]:
    """Unwrap secrets at the last moment, so that no frame of ours holds them when it fails."""
    return {name: Secret(value).reveal() for name, value in fields.items()}
