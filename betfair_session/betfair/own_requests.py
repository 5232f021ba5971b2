"""requests as the library uses it: nothing is taken from the environment or a server unasked.

It imports requests, which takes 100 ms, so it is itself imported when the first call is made.
"""

from __future__ import annotations

import os
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from betfair_session.process import clocks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from requests import PreparedRequest, Response

IDLE = 60.0
"""Seconds after which a connection is not used again: networks forget idle ones, some after four
minutes and without a word, and what is sent on those is never answered."""

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
        """Prepare; nothing is opened yet.

        Args:
            adapter: what speaks https; None for an OwnAdapter.
            verify: True, or the path of a CA bundle.
            proxies: as in requests; None takes them from the environment.
        """
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
        self,
        *,
        hosts: int = DEFAULT_POOLSIZE,
        connections: int = DEFAULT_POOLSIZE,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare.

        Args:
            hosts: for how many hosts connections are kept.
            connections: how many are kept for each.
            context: what TLS is to use, with a client certificate; None for requests' own.
        """
        self._context: dict[str, Any] = {} if context is None else {"ssl_context": context}
        self._sizes = (hosts, connections)
        self._process = os.getpid()
        super().__init__(hosts, connections, max_retries=0)

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
        if then and clocks.passed(then) > IDLE:
            conn.close()  # it is opened anew when it is used
        return conn


def _forget_the_idle(manager: Any) -> None:  # noqa: ANN401 - urllib3's, for proxies of any kind
    kinds = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {
        scheme: type(kind.__name__, (_Forgetful, kind), {}) for scheme, kind in kinds
    }


def drop_if_out_of_step(response: Response) -> None:
    """Let no other call use a connection on which a second answer to this one may still come.

    Python's http takes an early one, such as 103, for the last, and none of these has a body.

    Args:
        response: an answer whose body is not read yet.
    """
    if response.status_code < _OK or response.status_code in {_NO_CONTENT, _NOT_MODIFIED}:
        response.raw.close()
