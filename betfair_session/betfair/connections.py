"""Sessions of requests' kind: no cookie, no .netrc, no redirect, no connection of a parent's.

It imports requests, which takes 100 ms, so it is imported when the first call is made.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from betfair_session.process import clocks
from betfair_session.process.forks import reset_in_child

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from requests import PreparedRequest, Response

IDLE_SECONDS = 60.0  # networks forget connections that are idle for longer, without a word
_OK, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


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

    _parents: object = None

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
        super().__init__(*self._sizes, max_retries=0)
        reset_in_child(self)

    def after_fork(self) -> None:
        """Keep the parent's connections, whose locks a thread may have held, but use none."""
        self._parents = (self.poolmanager, self.proxy_manager, self._parents)
        self.proxy_manager: dict[str, Any] = {}
        self.init_poolmanager(*self._sizes)

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
        response = super().send(request, **settings)
        drop_if_out_of_step(response)
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


def drop_if_out_of_step(response: Response) -> None:
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
