"""A proxy between a client and a plain HTTP server that counts requests and makes faults.

    proxy = Proxy(server.port)
    proxy.fail(lambda each: each.method == "PUT", "lost")  # it arrives, its answer does not
    rule = proxy.fail(lambda each: True, "hold")           # … rule.release.set()
    assert [each.method for each in proxy.requests] == ["PUT", "GET"]

Requests pass unchanged, the Host header too (it is signed): clients speak to the proxy's own
address. Each request is forwarded at most once, unless "duplicate" says otherwise.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from servers.process import HOST
from servers.script import Answer, Exchange
from servers.web import Listener, reset

Fault: TypeAlias = Literal["delay", "reset", "lost", "truncate", "duplicate", "hold", "hold-answer"]

DELAY_SECONDS = 0.3
_OWN = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass
class Rule:
    """A fault for the requests that match; `release` ends a hold."""

    match: Callable[[Exchange], bool]
    kind: Fault | Answer
    release: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on a free loopback port until closed."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._lock = threading.Lock()
        self._rule: Rule | None = None
        self._made: list[Rule] = []
        self.requests: list[Exchange] = []  # all that came, in order of arrival
        self._listener = Listener(self._serve)
        self.endpoint = f"http://{HOST}:{self._listener.port}"

    def fail(self, match: Callable[[Exchange], bool], kind: Fault | Answer) -> Rule:
        """Do something to requests to come, until `clear` or another rule.

        Args:
            match: tells to which.
            kind: "delay"; "reset" before it is forwarded; "lost": forwarded, the answer replaced by
                a reset; "truncate": half of the answer, then the end; "duplicate": forwarded twice,
                the second answer counts; "hold": forwarded when released, even if the client has
                gone; "hold-answer": the answer waits for the release; or an Answer to give instead
                of the server's.
        """
        self._rule = rule = Rule(match, kind)
        self._made.append(rule)
        return rule

    def clear(self) -> None:
        """Forget rule and requests; what is held is held until its release."""
        with self._lock:
            self._rule, self.requests = None, []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for rule in self._made:
            rule.release.set()
        self._listener.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        with self._lock:
            rule = self._rule if self._rule and self._rule.match(exchange) else None
            self.requests.append(exchange)
        if rule is None:
            return self._forward(exchange)
        kind = rule.kind
        if isinstance(kind, Answer):
            return kind.encode(exchange.method)
        if kind == "delay":
            time.sleep(DELAY_SECONDS)
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
        # A connection of its own for each request: the server may close an idle one at any time.
        with closing(http.client.HTTPConnection(HOST, self._upstream_port)) as server:
            server.putrequest(
                exchange.method, exchange.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in exchange.lines:
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
