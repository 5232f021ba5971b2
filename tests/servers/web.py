"""A web server in threads of this process, for all that the tests themselves serve by HTTP."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from servers.listeners import Listener as Raw
from servers.process import HOST
from servers.script import Exchange

_BLOCK = 65536


class Listener(Raw):
    """Serves on a free port of the loopback address until it is closed."""

    patience = None

    def __init__(
        self, serve: Callable[[Exchange], bytes | None], tls: ssl.SSLContext | None = None
    ) -> None:
        """Begin; `serve` returns the answer to a request, or None to break the connection."""
        self.serve = serve
        super().__init__(lambda _, connection: _Handler(connection, (HOST, 0), self), tls)


def reset(connection: socket.socket) -> None:
    """Break a connection off, so that the other side finds it reset."""
    linger = struct.pack("ii", 1, 0)
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 - http.server's
        """Stay silent."""

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while True:
            line = self.rfile.readline()
            body += line
            if re.fullmatch(rb"0+\r\n", line.partition(b";")[0]):
                break
            body += self.rfile.read(int(line.partition(b";")[0], 16) + 2)
        while line != b"\r\n":
            line = self.rfile.readline()
            body += line
        return body

    def _serve(self) -> None:
        lines = list(self.headers.items())
        headers = {name.lower(): value for name, value in lines}
        exchange = Exchange(self.command, self.path, headers, self._body(), self.connection, lines)
        answer = self.server.serve(exchange)
        if answer is None:
            self.close_connection = True
            return
        for start in range(0, len(answer), _BLOCK):
            self.wfile.write(answer[start : start + _BLOCK])
            exchange.delivered += len(answer[start : start + _BLOCK])

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_CONNECT = _serve  # noqa: N815 - http.server's names
