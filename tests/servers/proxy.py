"""A proxy between a client and a plain HTTP server that counts requests and makes faults.

    proxy = Proxy(server.port)
    proxy.fail("PUT", "lost")                     # the next PUT arrives, its answer does not
    proxy.fail("GET token", Answer(503), times=2) # two GETs of a path with "token" in it
    rule = proxy.fail("PUT", "hold")              # … rule.reached.wait(), rule.release.set()
    assert [each.method for each in proxy.requests] == ["GET", "PUT"]

Every byte passes unchanged, the Host header too (it is signed): clients speak to the proxy's own
address. Each request is forwarded at most once, unless "duplicate" says otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

from servers.process import HOST
from servers.script import Answer, Exchange, Rule, matcher
from servers.wire import Closed, Head, Stream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from servers.script import Fault


class Proxy:
    """Listens on a free loopback port until closed.

    Attributes:
        port: where it listens.
        requests: all that came, in order of arrival.
    """

    def __init__(self, upstream_port: int, tls: ssl.SSLContext | None = None) -> None:
        """Stand in front of the server on that loopback port; with `tls`, speak it to clients."""
        self._tls = tls
        self._upstream = (HOST, upstream_port)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._forgotten: list[Rule] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.requests: list[Exchange] = []
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    @property
    def endpoint(self) -> str:
        """The base URL for clients."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def fail(
        self,
        match: str | Callable[[Exchange], bool],
        kind: Fault | Answer,
        *,
        times: int = 1,
        skip: int = 0,
        seconds: float = 1,
    ) -> Rule:
        """Do something to requests to come. The first rule that matches a request counts.

        Args:
            match: "PUT", "PUT part-of-the-path", "*", or a function of the exchange.
            kind: "delay" (by `seconds`); "halves": as long between the halves of the answer;
                "reset" before it is forwarded; "lost": forwarded, the answer replaced by a reset;
                "truncate": half of the answer, then the end; "duplicate": forwarded twice, the
                second answer counts; "hold": forwarded when released, even if the client has gone;
                "hold-answer": the answer waits for the release; or an Answer to give instead of
                the server's.
            times: how many requests.
            skip: how many matching requests pass first.
            seconds: for "delay" and "halves".
        """
        rule = Rule(matcher(match), kind, times, skip, seconds)
        with self._lock:
            self._rules.append(rule)
        return rule

    def forget(self, rule: Rule) -> None:
        """Let further requests pass by a rule; what it holds is held until its release."""
        with self._lock:
            self._rules = [each for each in self._rules if each is not rule]
            self._forgotten.append(rule)

    def clear(self) -> None:
        """Forget all rules and requests; what is held goes on."""
        with self._lock:
            rules, self._rules = self._rules, []
            self.requests = []
        for rule in rules:
            rule.release.set()

    def close(self) -> None:
        """End every connection and thread."""
        self.clear()
        with self._lock:
            connections = [self._listener, *self._open]
        for rule in self._forgotten:
            rule.release.set()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[Stream]:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            with self._lock:
                self._open.add(connection)
            try:
                yield Stream(connection)
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _serve(self, connection: socket.socket) -> None:
        # A small buffer, so that `delivered` is close to what the client took.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        with contextlib.suppress(Closed, OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._serve_all(connection)

    def _serve_all(self, connection: socket.socket) -> None:
        with self._kept(connection) as client:
            while self._exchange(client):
                pass

    def _exchange(self, client: Stream) -> bool:
        """Pass one request and its answer on; return whether the connection can go on."""
        head = client.head()
        if head.headers.get("expect", "").lower() == "100-continue":
            client.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b"".join(client.body(head, to_the_end=False))
        exchange = Exchange(head.first[0], head.first[1], head.headers, body)
        with self._lock:
            rule = self._rule_for(exchange)
            self.requests.append(exchange)
        if rule is None:
            with self._forward(head.raw + body) as server:
                return _answer(exchange, server, client)
        exchange.fault = rule.kind
        rule.reached.set()
        return self._faulty(rule, exchange, head.raw + body, client)

    def _faulty(self, rule: Rule, exchange: Exchange, message: bytes, client: Stream) -> bool:
        kind = rule.kind
        if isinstance(kind, Answer):
            exchange.status = kind.status
            client.socket.sendall(kind.encode(exchange.method))
            return True
        if kind == "reset":
            return _reset(client)
        if kind == "delay":
            time.sleep(rule.seconds)
        elif kind == "hold":
            rule.release.wait()
        if kind == "duplicate":
            with self._forward(message) as server:
                _answer(exchange, server, None)
        with self._forward(message) as server:
            if kind == "hold-answer":
                rule.release.wait()
            elif kind == "lost":
                _answer(exchange, server, None)
                return _reset(client)
            elif kind in {"truncate", "halves"}:
                return _parted(exchange, client, server, rule.seconds, whole=kind == "halves")
            return _answer(exchange, server, client)

    @contextlib.contextmanager
    def _forward(self, message: bytes) -> Iterator[Stream]:
        # A connection of its own for each request: the server may close an idle one at any time.
        with self._kept(socket.create_connection(self._upstream)) as server:
            server.socket.sendall(message)
            yield server

    def _rule_for(self, exchange: Exchange) -> Rule | None:
        for rule in self._rules:
            if rule.times and rule.match(exchange):
                if rule.skip:
                    rule.skip -= 1
                    return None
                rule.times -= 1
                return rule
        return None


def _answer(exchange: Exchange, server: Stream, client: Stream | None) -> bool:
    """Read one answer and pass it to the client, or to nobody."""
    head = _final_head(server)
    blocks = _body(exchange, head, server)
    if client is None:
        for _ in blocks:
            pass
        return True
    exchange.status = int(head.first[1])
    client.socket.sendall(head.raw)
    for block in blocks:
        client.socket.sendall(block)
        exchange.delivered += len(block)
    framed = "content-length" in head.headers or "transfer-encoding" in head.headers
    endless = not framed and exchange.status not in (204, 304) and exchange.method != "HEAD"
    return not endless and head.headers.get("connection", "").lower() != "close"


def _parted(
    exchange: Exchange, client: Stream, server: Stream, seconds: float, *, whole: bool
) -> bool:
    """Pass the first half of an answer on, and the other a while later if it is to be whole."""
    head = _final_head(server)
    body = b"".join(_body(exchange, head, server))
    exchange.status = int(head.first[1])
    # Without a body, the head itself is cut.
    message = head.raw + body
    half = len(message) - len(body) // 2 if body else len(message) // 2
    client.socket.sendall(message[:half])
    exchange.delivered = len(body) // 2
    if whole:
        time.sleep(seconds)
        client.socket.sendall(message[half:])
        exchange.delivered = len(body)
    return False


def _final_head(server: Stream) -> Head:
    while True:
        head = server.head()
        if not head.first[1].startswith("1"):
            return head


def _body(exchange: Exchange, head: Head, server: Stream) -> Iterator[bytes]:
    if exchange.method == "HEAD" or head.first[1] in ("204", "304"):
        return iter(())
    return server.body(head, to_the_end=True)


def _reset(client: Stream) -> bool:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False
