"""A request as a server saw it, and an answer."""

from __future__ import annotations

import socket
import urllib.parse
from dataclasses import dataclass, field
from functools import cached_property

_BODYLESS = (204, 304)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, method: str) -> bytes:
        headers = {"Content-Type": "text/plain", **self.headers}
        if self.status not in _BODYLESS:
            headers.setdefault("Content-Length", str(len(self.body)))
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if method == "HEAD" or self.status in _BODYLESS else head + self.body


@dataclass
class Exchange:
    """One request, and how it was answered."""

    method: str
    target: str  # path and query, as sent
    headers: dict[str, str]  # by lower-case name
    body: bytes = field(repr=False)  # with the framing of chunks
    connection: socket.socket = field(repr=False)  # the client's
    lines: list[tuple[str, str]] = field(repr=False)  # the headers as sent
    status: int | None = None  # of the answer that a proxy passed on
    delivered: int = 0  # bytes of the answer that went to the client

    @property
    def path(self) -> str:
        return urllib.parse.unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> dict[str, str]:
        text = self.target.partition("?")[2]
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
