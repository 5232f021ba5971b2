"""Sends with requests, but without cookies, .netrc, redirects or a parent process's connections.

Importing requests takes 100 ms. So this module is imported only for a proxy, for a
requests.Session that the caller gives, and for the betting API.
"""

from __future__ import annotations

import time
from functools import partial
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection
from urllib3.util.ssl_ import create_urllib3_context

from betfair_session.process import clocks, reset_in_child
from betfair_session.process.causes import chain, refused_tunnel, unless_interrupted, without_frames
from betfair_session.process.threads import run_until

from .answers import MAX_ANSWER_BYTES, Answer
from .http import (
    ACCEPT,
    CONNECT_SECONDS,
    LINGER,
    PIECE_BYTES,
    Failure,
    connecting,
    is_out_of_step,
    read_body,
    revealed,
    trusting,
)
from .pools import use_own_pools

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from typing import Any

    from requests import PreparedRequest, Response

    from betfair_session.certificates import Certificate
    from betfair_session.process.clocks import End
    from betfair_session.secret import Secret

_PROXY_ADVICE = {  # by its status
    "407": "put user and password into its URL, as in http://user:password@proxy:3128",
    "403": "let it allow this host, or reach the host without it (NO_PROXY, or `proxies`)",
}


class OwnSession(requests.Session):
    """Follows no redirect, keeps no cookie and reads no .netrc.

    Proxies come from the environment, but nothing else, such as a CA bundle.
    """

    def __init__(
        self,
        adapter: HTTPAdapter | None = None,
        *,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet. `proxies` is None for those of the environment."""
        super().__init__()
        self.trust_env = False
        self.verify = verify
        self.proxies.update(proxies or {})
        self._environment = proxies is None
        self.after_fork()
        reset_in_child(self)
        self.mount("https://", adapter or OwnAdapter())

    def after_fork(self) -> None:
        """Take a jar that keeps no cookie, and whose lock no thread of a parent may hold.

        A cookie would also go along with the calls of other threads and other tokens.
        """
        self.cookies = RequestsCookieJar(DefaultCookiePolicy(allowed_domains=[]))

    def get_redirect_target(self, resp: Response) -> str | None:
        """Return None: requests would read a redirect's whole body, and take the token along."""
        del resp
        return None

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # noqa: ANN401 - requests gives them by name
        """Send a request; see requests.Session."""
        if self._environment and not settings.get("proxies"):
            settings["proxies"] = requests.utils.get_environ_proxies(request.url or "")
        return super().send(request, **settings)


class OwnAdapter(HTTPAdapter):
    """Sends once; reuses no connection that is a parent process's, long idle, or out of step."""

    _parents: object = None

    def __init__(
        self, *, connections: int = DEFAULT_POOLSIZE, context: ssl.SSLContext | None = None
    ) -> None:
        """Prepare.

        Args:
            connections: how many are kept for each host.
            context: a TLS context with the client certificate; None for requests' own.
        """
        self._pools: dict[str, Any] = {"ssl_context": context} if context else {}
        self._pools["socket_options"] = [*HTTPConnection.default_socket_options, LINGER]
        self._sizes = (DEFAULT_POOLSIZE, connections)
        super().__init__(*self._sizes)  # by default it retries nothing
        reset_in_child(self)

    def after_fork(self) -> None:
        """Set the parent's pools aside unchanged: a thread may have held their locks."""
        self._parents = (self.poolmanager, self.proxy_manager, self._parents)
        self.proxy_manager: dict[str, Any] = {}
        self.init_poolmanager(*self._sizes)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        """Make the pool; see HTTPAdapter."""
        super().init_poolmanager(*args, **{**kwargs, **self._pools})
        use_own_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Return a proxy's pool; see HTTPAdapter."""
        if proxy not in self.proxy_manager:
            try:
                use_own_pools(super().proxy_manager_for(proxy, **{**kwargs, **self._pools}))
            except ValueError:  # such as "socks://", or a password that no header can hold
                raise requests.exceptions.InvalidProxyURL from None
        return self.proxy_manager[proxy]

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # type: ignore[override] # noqa: ANN401 - requests gives them by name
        """Send a request; see HTTPAdapter."""
        response = without_frames(partial(super().send, request, **settings))
        drop_if_out_of_step(response)
        return response

    def cert_verify(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        """Look for the CA bundle; see HTTPAdapter."""
        with connecting():
            super().cert_verify(*given, **named)  # type: ignore[no-untyped-call] # requests'


def drop_if_out_of_step(response: Response) -> None:
    """Close a connection on which a second answer may follow."""
    if is_out_of_step(response.status_code):
        response.raw.close()


def no_auth(request: PreparedRequest) -> PreparedRequest:
    """Add no credentials: without this, requests would send those in .netrc.

    The answer loses its Location, because with one a session reads the whole body.
    """
    request.register_hook("response", _without_location)  # type: ignore[no-untyped-call] # requests'
    return request


def _without_location(response: Response, **_: object) -> None:
    response.headers.pop("Location", None)


def sends_once(session: Any, url: str) -> bool:  # noqa: ANN401 - a user's own, of any kind
    """Return whether a session makes one attempt at a request: a user's own may retry unseen."""
    if not hasattr(session, "get_adapter"):
        return False
    kinds: Any = (requests.Session, OwnSession, HTTPAdapter, OwnAdapter)
    usual = {requests.Session.request, *(each.send for each in kinds)}
    adapter = session.get_adapter(url)
    used = (session.request, session.send, adapter.send)
    unchanged = usual.issuperset(getattr(each, "__func__", None) for each in used)
    return unchanged and adapter.max_retries.total == 0


def blame_bundle(bundle: object, failure: Failure) -> Failure:
    """Return a failure that says so if a CA bundle cannot be loaded, else the same one.

    requests loads it for each connection, and its error does not tell that from others of TLS.
    """
    if failure.sent or failure.reason or not isinstance(bundle, str):
        return failure
    try:
        run_until(time.monotonic() + 1, partial(trusting, bundle))  # its mount may hang
    except unless_interrupted(OSError) as error:
        found = Failure.of(error)
        return found if found.reason == "bundle" else failure
    return failure


def failure_of(error: BaseException) -> Failure:
    """Return the Failure that an error of requests means."""
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL):
        # Our own URL was checked when it was given, so the proxy's is wrong.
        detail = (
            f"the proxy in `proxies` or the environment cannot be used ({type(error).__name__}); "
            "give a URL such as http://proxy:3128 (socks5:// also needs the package PySocks)"
        )
        return Failure(detail, sent=False, reason="proxies")
    for cause in chain(error):
        if status := refused_tunnel(cause):
            reason = f"proxy-{status}" if status in _PROXY_ADVICE else "proxy"
            advice = _PROXY_ADVICE.get(status, "ask those who run it why it cannot reach this host")
            detail = f"a proxy answered {status} and made no connection; {advice}"
            return Failure(detail, sent=False, reason=reason)
    failure = Failure.of(error)
    # Once the request was sent, urllib3 also blames the proxy for errors of the server behind it.
    if isinstance(error, requests.exceptions.ProxyError) and not failure.sent:
        return failure._replace(detail=f"the proxy: {failure.detail}")
    return failure


class ByRequests:
    """Sends with requests: through proxies, or by a requests.Session that the caller gives."""

    def __init__(
        self,
        verify: bool | str,  # noqa: FBT001 - requests' own name and kind
        certificate: Certificate | None,
        proxies: Mapping[str, str] | None,
        session: requests.Session | None,
    ) -> None:
        """Prepare; nothing is opened yet. The arguments are those of Transport."""
        self._verify, self._certificate = verify, certificate
        self._theirs = session is not None
        self._session = session or OwnSession(verify=verify, proxies=proxies)
        settings: dict[str, Any] = {"verify": verify, "proxies": proxies and dict(proxies)}
        self._settings = settings if self._theirs else {}

    def prepare(self) -> list[str]:
        """Load the certificate; return warnings about it."""
        if self._certificate is None:
            return []
        if self._theirs:
            warnings = self._certificate.check()
            self._settings["cert"] = self._certificate.requests_cert()
            return warnings
        context = create_urllib3_context()
        warnings = self._certificate.load_into(context)
        self._session.mount("https://", OwnAdapter(context=context))
        self._certificate = None
        return warnings

    def send(
        self, url: str, headers: Mapping[str, Secret], form: Mapping[str, Secret] | None, end: End
    ) -> Answer:
        """Send a POST and read its answer by then."""
        seconds = max(end.moment - time.monotonic(), 0.001)
        with clocks.bounded(end.left):
            response = self._session.post(
                url,
                headers={**ACCEPT, **revealed(headers)},
                data=None if form is None else revealed(form),
                auth=no_auth,
                allow_redirects=False,
                stream=True,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                **self._settings,
            )
        with response:
            drop_if_out_of_step(response)
            body = read_body(partial(next, response.iter_content(PIECE_BYTES), b""), end.moment)
            date = response.headers.get("Date", "")
            return Answer(response.status_code, body[:MAX_ANSWER_BYTES], date=date)

    def judge(self, error: Exception) -> Failure:
        """Return the Failure that an error of `send` means."""
        failure = failure_of(error)
        if self._theirs and failure.reason != "proxies":
            # A caller's adapter may retry: it may have sent an attempt before the one that failed.
            return failure._replace(sent=True)
        return blame_bundle(self._verify, failure)

    def close(self) -> None:
        """Close the connections, except those of the caller's session."""
        if not self._theirs:
            self._session.close()
