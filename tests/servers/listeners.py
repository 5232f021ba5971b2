"""Servers in threads of this process, which record every byte that reaches them."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar

import trustme

from betfair_session import IdentityClient
from servers.process import HOST, poll

_SECONDS = 20


class Listener(ThreadingTCPServer):
    """Accepts connections on a free loopback port until closed."""

    daemon_threads = True
    request_queue_size = 128
    patience: ClassVar[float | None] = _SECONDS  # with the other side of a connection

    def __init__(
        self,
        answer: Callable[[Any, socket.socket], object],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; `answer` serves each connection, in a thread of its own."""
        self._answer = answer
        self._tls = tls
        self._open: dict[socket.socket, socket.socket] = {}
        self.heard = b""  # every byte of every connection, after TLS
        self.connections = 0  # how many there were
        super().__init__((HOST, 0), BaseRequestHandler)
        self.port: int = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def read_head(self, connection: socket.socket) -> bytes:
        """Read up to the blank line that ends an HTTP head."""
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(4096)):
            head += piece
            self.heard += piece
        return head

    def read_request(self, connection: socket.socket) -> None:
        """Read a head and its body: a close with something unread would reset the connection."""
        head, _, body = self.read_head(connection).partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        left = int(length[1]) - len(body) if length else 0
        while left > 0 and (piece := connection.recv(left)):
            self.heard += piece
            left -= len(piece)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's
        self.connections += 1
        self._open[request] = request
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's
        """Serve a connection; many end with a client that has gone."""
        del client_address
        request.settimeout(self.patience)
        try:
            with suppress(OSError), self._secured(request) as connection:
                self._open[request] = connection
                self._answer(self, connection)
        finally:
            del self._open[request]

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def close(self) -> None:
        """Stop, and break every connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for each in list(self._open.values()):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *_: object) -> None:
        self.close()
        any(not self._open for _ in poll(_SECONDS))  # until all is heard


class Stranger:
    """Another server on this machine, with a certificate of another authority."""

    def __init__(self, bundle: Path, *others: str, name: str = HOST) -> None:
        """Write the bundle."""
        authority = trustme.CA()
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", name).configure_cert(self.tls)
        ours = authority.cert_pem.bytes()
        bundle.write_bytes(ours + b"".join(Path(each).read_bytes() for each in others))
        self.bundle = str(bundle)  # with its authority's certificate, and those of the others

    def serving(self, answer: Callable[[Listener, socket.socket], None]) -> Listener:
        return Listener(answer, self.tls)

    def client(self, listener: Listener, **settings: Any) -> IdentityClient:  # noqa: ANN401
        url = f"https://localhost:{listener.port}/api/"
        given = {"identity_url": url, "identity_cert_url": url, "verify": self.bundle, **settings}
        return IdentityClient("app-key", **given)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def saying(answer: bytes) -> Callable[[Listener, socket.socket], None]:
    """Serve one answer of HTTP to every request, and say that the connection then closes."""
    answer = answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        connection.sendall(answer)

    return serve


def tunnel(listener: Listener, connection: socket.socket, port: int = 0) -> None:
    """Serve CONNECT as a proxy does, to a port of this machine, and listen to what passes."""
    head = listener.read_head(connection)
    method, target, _ = head.split(b" ", 2)
    if method != b"CONNECT":
        connection.sendall(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n")
        return
    pass_on(listener, connection, port or int(target.rpartition(b":")[2]))


def pass_on(listener: Listener, connection: socket.socket, port: int) -> None:
    """Say that a tunnel is open, and pass on what either side sends until one ends it."""
    with socket.create_connection((HOST, port), timeout=_SECONDS) as upstream:
        connection.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
        ends = {connection: upstream, upstream: connection}
        while ready := select.select(list(ends), [], [], _SECONDS)[0]:
            for end in ready:
                piece = end.recv(65536)
                if not piece:
                    return
                listener.heard += piece
                ends[end].sendall(piece)
