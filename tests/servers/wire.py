"""Just enough HTTP/1.1 to pass messages on byte by byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_BLOCK = 65536


class Closed(Exception):
    """The other side ended the connection."""


@dataclass
class Head:
    """The first line and the headers of a message.

    Attributes:
        raw: exactly as received, the empty line included.
        first: the words of the first line, at most three.
        headers: by lower-case name; the last of several.
    """

    raw: bytes
    first: list[str] = field(init=False)
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        first, *lines = self.raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.first = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}


class Stream:
    """A socket with the bytes that were read from it ahead of time."""

    def __init__(self, connection: socket.socket) -> None:
        """Read from `connection`."""
        self.socket = connection
        self._ahead = b""

    def _more(self) -> bytes:
        try:
            block = self.socket.recv(_BLOCK)
        except OSError:
            block = b""
        if not block:
            raise Closed
        return block

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._ahead:
            self._ahead += self._more()
        found, _, rest = self._ahead.partition(mark)
        self._ahead = rest
        return found + mark

    def head(self) -> Head:
        """Read the head of the next message.

        Raises:
            Closed: there is none.
        """
        return Head(self._until(b"\r\n\r\n"))

    def body(self, head: Head, *, to_the_end: bool) -> Iterator[bytes]:
        """Yield the body's bytes as they come, the framing of chunks included.

        Args:
            head: of this message.
            to_the_end: whether a body without a length lasts until the connection's end.

        Raises:
            Closed: the connection ended inside it.
        """
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in head.headers:
            yield from self._exactly(int(head.headers["content-length"]))
        elif to_the_end:
            yield from self._rest()

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            block = self._ahead or self._more()
            self._ahead = block[count:]
            yield block[:count]
            count -= len(block[:count])

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n")
            yield line
            size = int(line.split(b";")[0], 16)
            if not size:
                break
            yield from self._exactly(size + 2)
        while line != b"\r\n":
            line = self._until(b"\r\n")
            yield line

    def _rest(self) -> Iterator[bytes]:
        if self._ahead:
            yield self._ahead
            self._ahead = b""
        try:
            while True:
                yield self._more()
        except Closed:
            return
