"""A proxy between a client and a plain HTTP server that counts requests and makes faults.

    proxy = Proxy(server.port)
    proxy.fail("PUT", "lost")                     # the next PUT arrives, its answer does not
    proxy.fail("GET token", Answer(503), times=2) # two GETs of a path with "token" in it
    rule = proxy.fail("PUT", "hold")              # … rule.reached.wait(), rule.release.set()
    assert [each.method for each in proxy.requests] == ["GET", "PUT"]

Requests pass unchanged, the Host header too (it is signed): clients speak to the proxy's own
address. Each request is forwarded at most once, unless "duplicate" says otherwise.
"""

from __future__ import annotations

import http.client
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from servers.process import HOST
from servers.script import Answer, Exchange, Rule, matcher
from servers.web import Listener, reset

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

    from servers.script import Fault

_OWN = ("connection", "keep-alive", "transfer-encoding", "content-length")


class Proxy:
    """Listens on a free loopback port until closed.

    Attributes:
        port: where it listens.
        requests: all that came, in order of arrival.
    """

    def __init__(
        self, upstream_port: int, tls: ssl.SSLContext | None = None, *, deaf: bool = False
    ) -> None:
        """Stand in front of the server on that loopback port.

        Args:
            upstream_port: of the server.
            tls: to speak to clients, if any.
            deaf: whether conditions are taken out of requests, as by a store that ignores them.
        """
        self._dropped = ("if-match", "if-none-match") if deaf else ()
        self._upstream_port = upstream_port
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._made: list[Rule] = []
        self.requests: list[Exchange] = []
        self._listener = Listener(self._serve, tls)
        self.port: int = self._listener.server_address[1]
        self.endpoint = f"{'https' if tls else 'http'}://{HOST}:{self.port}"

    def fail(
        self,
        match: str | Callable[[Exchange], bool],
        kind: Fault | Answer,
        *,
        times: int = 1,
        seconds: float = 1,
    ) -> Rule:
        """Do something to requests to come. The first rule that matches a request counts.

        Args:
            match: "PUT", "PUT part-of-the-path", "*", or a function of the exchange.
            kind: "delay" (by `seconds`); "reset" before it is forwarded; "lost": forwarded, the
                answer replaced by a reset; "truncate": half of the answer, then the end;
                "duplicate": forwarded twice, the second answer counts; "hold": forwarded when
                released, even if the client has gone; "hold-answer": the answer waits for the
                release; or an Answer to give instead of the server's.
            times: how many requests.
            seconds: for "delay".
        """
        rule = Rule(matcher(match), kind, times, seconds)
        with self._lock:
            self._rules.append(rule)
            self._made.append(rule)
        return rule

    def forget(self, rule: Rule) -> None:
        """Let further requests pass by a rule; what it holds is held until its release."""
        with self._lock:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Forget all rules and requests; what is held goes on."""
        with self._lock:
            rules, self._rules, self.requests = self._rules, [], []
        for rule in rules:
            rule.release.set()

    def close(self) -> None:
        """End every connection, and let go what is held."""
        self.clear()
        for rule in self._made:
            rule.release.set()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        with self._lock:
            rule = next((each for each in self._rules if each.times and each.match(exchange)), None)
            self.requests.append(exchange)
            if rule:
                rule.times -= 1
        if rule is None:
            return self._forward(exchange)
        exchange.fault = kind = rule.kind
        rule.reached.set()
        if isinstance(kind, Answer):
            exchange.status = kind.status
            return kind.encode(exchange.method)
        if kind == "delay":
            time.sleep(rule.seconds)
        elif kind == "hold":
            rule.release.wait()
        elif kind == "duplicate":
            self._forward(exchange)
        answer = b"" if kind == "reset" else self._forward(exchange)
        if kind == "hold-answer":
            rule.release.wait()
        if kind in {"reset", "lost"}:
            exchange.status = None
            reset(exchange.connection)
            return None
        if kind == "truncate":
            head, _, body = answer.partition(b"\r\n\r\n")
            # Without a body, the head itself is cut.
            exchange.connection.sendall(answer[: len(answer) - (len(body) or len(head)) // 2 - 1])
            return None
        return answer

    def _forward(self, exchange: Exchange) -> bytes:
        """Send it to the server; return the whole answer."""
        # A connection of its own for each request: the server may close an idle one at any time.
        with closing(http.client.HTTPConnection(HOST, self._upstream_port)) as server:
            server.putrequest(
                exchange.method, exchange.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in exchange.lines:
                if name.lower() not in self._dropped:
                    server.putheader(name, value)
            server.endheaders(exchange.body)
            answer = server.getresponse()
            body = answer.read()
        exchange.status = answer.status
        kept = [each for each in answer.getheaders() if each[0].lower() not in _OWN]
        if answer.status not in (204, 304):
            length = answer.getheader("Content-Length", "0")
            kept.append(("Content-Length", length if exchange.method == "HEAD" else str(len(body))))
        lines = [f"{name}: {value}" for name, value in kept]
        head = "\r\n".join([f"HTTP/1.1 {answer.status} {answer.reason}", *lines])
        return head.encode("latin-1") + b"\r\n\r\n" + body
