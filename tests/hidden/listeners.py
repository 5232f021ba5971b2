"""Servers that nobody should tell anything: they write down every byte that reaches them."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme
from servers.process import HOST

from betfair_session import IdentityClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

_SECONDS = 20


class Listener:
    """Accepts connections on a free loopback port until closed.

    Attributes:
        port: where it listens.
        heard: every byte of every connection, as it arrived (after TLS, where it speaks it).
        connections: how many there were.
    """

    def __init__(
        self,
        answer: Callable[[Listener, socket.socket], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; `answer` serves each connection, in a thread of its own."""
        self._serve = answer
        self._tls = tls
        self._socket = socket.create_server((HOST, 0))
        self._socket.settimeout(_SECONDS)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.port: int = self._socket.getsockname()[1]
        self.heard = b""
        self.connections = 0
        self._spawn(self._accept)

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

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(_SECONDS)
            self._open.append(connection)
            self.connections += 1
            self._spawn(lambda connection=connection: self._answer(connection))  # type: ignore[misc]

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls is None:
                self._serve(self, connection)
            else:
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    self._open.append(secure)
                    self._serve(self, secure)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(_SECONDS)


class Stranger:
    """Another server on this machine, for which an authority of its own vouches.

    Attributes:
        tls: what it proves itself by.
        bundle: the path of its authority's certificate, and of those in other bundles.
    """

    def __init__(self, bundle: Path, *others: str, name: str = HOST) -> None:
        """Write the bundle."""
        authority = trustme.CA()
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost", name).configure_cert(self.tls)
        ours = authority.cert_pem.bytes()
        bundle.write_bytes(ours + b"".join(Path(each).read_bytes() for each in others))
        self.bundle = str(bundle)

    def serving(self, answer: Callable[[Listener, socket.socket], None]) -> Listener:
        """Serve each connection by a function."""
        return Listener(answer, self.tls)

    def client(self, listener: Listener, **settings: Any) -> IdentityClient:  # noqa: ANN401
        """Return a client of one of its listeners."""
        url = f"https://localhost:{listener.port}/api/"
        given = {"identity_url": url, "identity_cert_url": url, "verify": self.bundle, **settings}
        return IdentityClient("app-key", **given)


def saying(answer: bytes) -> Callable[[Listener, socket.socket], None]:
    """Serve by one answer for every request, then close."""

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
    port = port or int(target.rpartition(b":")[2])
    with socket.create_connection((HOST, port), timeout=_SECONDS) as upstream:
        connection.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
        ends = {connection: upstream, upstream: connection}
        while True:
            ready, _, _ = select.select(list(ends), [], [], _SECONDS)
            for end in ready:
                piece = end.recv(65536)
                if not piece:
                    return
                listener.heard += piece
                ends[end].sendall(piece)
            if not ready:
                return
