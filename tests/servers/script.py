"""A request as a server saw it, and an answer."""

from __future__ import annotations

import socket
import urllib.parse
from dataclasses import dataclass, field
from functools import cached_property

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
        fault: what a proxy did to it, or None.
        status: of the answer that the client was sent, or None when it got none.
        delivered: bytes of the answer that went to the client.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    connection: socket.socket = field(repr=False)
    lines: list[tuple[str, str]] = field(repr=False)
    fault: object = None
    status: int | None = None
    delivered: int = 0

    @property
    def path(self) -> str:
        """The path alone, with its escapes resolved."""
        return urllib.parse.unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> dict[str, str]:
        text = self.target.partition("?")[2]
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
