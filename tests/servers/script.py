"""A request as a server or the proxy saw it, an answer, and what is to be done about some."""

from __future__ import annotations

import threading
import urllib.parse
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

Fault: TypeAlias = Literal["delay", "reset", "lost", "truncate", "duplicate", "hold", "hold-answer"]
_CONDITIONS = ("if-match", "if-none-match", "x-goog-if-generation-match")
_BODYLESS = (204, 304)


@dataclass(frozen=True)
class Answer:
    """What a server says."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, method: str) -> bytes:
        """Return it as bytes for a request with that method."""
        headers = {"Content-Type": "text/plain", **self.headers}
        if self.status not in _BODYLESS:
            headers.setdefault("Content-Length", str(len(self.body)))
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if method == "HEAD" or self.status in _BODYLESS else head + self.body


@dataclass
class Exchange:
    """One request, and what came of it.

    Attributes:
        method: such as "GET".
        target: path and query, as sent.
        headers: by lower-case name.
        body: the request's, with the framing of chunks.
        connection: the client's.
        lines: the headers as sent.
        fault: what was done to it, or None.
        status: of the answer that the client was sent, or None when it got none.
        delivered: bytes of the answer that went to the client.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    connection: socket.socket = field(repr=False)
    lines: list[tuple[str, str]] = field(repr=False)
    fault: Fault | Answer | None = None
    status: int | None = None
    delivered: int = 0

    @property
    def path(self) -> str:
        """The path alone, with its escapes resolved."""
        return urllib.parse.unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> dict[str, str]:
        """The query."""
        text = self.target.partition("?")[2]
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))

    @property
    def conditions(self) -> dict[str, str]:
        """The conditions that it carries, from headers and query, by lower-case name."""
        found = {name: self.headers[name] for name in _CONDITIONS if name in self.headers}
        return found | {name.lower(): text for name, text in self.query.items() if "Match" in name}


@dataclass
class Rule:
    """A fault for some requests.

    Attributes:
        reached: set once a request met it.
        release: for "hold" and "hold-answer": to be set when they may go on.
    """

    match: Callable[[Exchange], bool]
    kind: Fault | Answer
    times: int
    seconds: float
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


def matcher(match: str | Callable[[Exchange], bool]) -> Callable[[Exchange], bool]:
    """Make a function of what `Proxy.fail` takes."""
    if callable(match):
        return match
    method, _, part = match.partition(" ")
    return lambda exchange: method in ("*", exchange.method) and part in exchange.path
