"""A web server in threads of this process, for all that the tests themselves serve."""

from __future__ import annotations

import re
import socket
import struct
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from servers.process import HOST
from servers.script import Exchange

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


_BLOCK = 65536


class Listener(ThreadingHTTPServer):
    """Serves on a free port of the loopback address until it is closed.

    Attributes:
        serve: returns the answer to a request; None breaks the connection.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, serve: Callable[[Exchange], bytes | None], tls: ssl.SSLContext | None = None
    ) -> None:
        """Begin."""
        self.serve = serve
        self.open: set[socket.socket] = set()
        super().__init__((HOST, 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and break every connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have gone; anything else shows in the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)  # type: ignore[arg-type] # as it was called


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

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: object) -> None:
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
