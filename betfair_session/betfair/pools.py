"""Connections of urllib3 that are given up in time, and that nothing is sent on too late."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import NewConnectionError

from betfair_session.process import clocks

from .http import CONNECT_SECONDS, HANDSHAKE_SECONDS, IDLE_SECONDS, connecting

if TYPE_CHECKING:
    import socket


class _OwnConnection:
    """A urllib3 connection. TLS, and a proxy's connection to the host, may take longer than TCP."""

    timeout: float | None

    def _new_conn(self) -> socket.socket:
        patient = self.timeout == CONNECT_SECONDS
        if patient and hasattr(self, "_socks_options"):  # that proxy is asked in here
            self.timeout = HANDSHAKE_SECONDS
        made: socket.socket = super()._new_conn()  # type: ignore[misc] # the connection's
        if patient:
            made.settimeout(HANDSHAKE_SECONDS)
        return made


@lru_cache(8)
def _own(kind: type[Any]) -> type[Any]:
    return type(kind.__name__, (_OwnConnection, kind), {})


class _OwnPool:
    """A urllib3 pool that reuses no connection that was idle for long, and sends nothing late."""

    @property
    def ConnectionCls(self) -> type[Any]:  # noqa: N802 - urllib3's name
        """The class of connections; looked up each time, as vcrpy replaces it."""
        return _own(super().ConnectionCls)  # type: ignore[misc] # the pool's

    def _validate_conn(self, conn: Any) -> None:  # noqa: ANN401 - urllib3's
        """Connect. The look-up of a name, and each of its addresses, may take time of their own."""
        with connecting():
            super()._validate_conn(conn)  # type: ignore[misc] # the pool's
            if clocks.left() <= 0:
                raise NewConnectionError(conn, "no time was left to send the request")

    def _prepare_proxy(self, conn: Any) -> None:  # noqa: ANN401 - urllib3's
        with connecting():
            super()._prepare_proxy(conn)  # type: ignore[misc] # the pool's

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


def use_own_pools(manager: Any) -> None:  # noqa: ANN401 - urllib3's, for proxies of any kind
    """Let a manager make such pools."""
    kinds = manager.pool_classes_by_scheme.items()
    manager.pool_classes_by_scheme = {
        scheme: type(kind.__name__, (_OwnPool, kind), {}) for scheme, kind in kinds
    }
