"""How an answer gets to the client: as it should, or broken on the way."""

from __future__ import annotations

from http.client import responses
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor, task

if TYPE_CHECKING:
    from .messages import Answer

_MISSING_BYTES = 100


def deliver(request: Any, answer: Answer) -> None:  # noqa: ANN401 - Twisted is untyped here
    """Send an answer as HTTP wants it."""
    request.setResponseCode(answer.status, responses.get(answer.status, "Unknown").encode())
    request.setHeader(b"Content-Type", answer.content_type.encode())
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    for name, value in answer.headers.items():
        request.setHeader(name.encode(), value.encode())
    request.write(answer.body)
    request.finish()


def reset(request: Any) -> None:  # noqa: ANN401
    """Reset the connection below TLS: no goodbye, a TCP RST."""
    request.channel.transport.transport.abortConnection()


def truncate(request: Any, answer: Answer) -> None:  # noqa: ANN401
    """Promise more than is sent, then close."""
    transport = request.channel.transport
    transport.write(_head(answer, len(answer.body) + _MISSING_BYTES) + answer.body)
    request.channel.loseConnection()


def drip(request: Any, answer: Answer, *, seconds: float, part: str) -> None:  # noqa: ANN401
    """Send one byte every `seconds`, of the body or already of the head, then close."""
    transport = request.channel.transport
    head = _head(answer, len(answer.body))
    if part == "body":
        transport.write(head)
    left = memoryview(answer.body if part == "body" else head + answer.body)

    def one_more() -> None:
        nonlocal left
        transport.write(bytes(left[:1]))
        left = left[1:]
        if not left:
            loop.stop()
            request.channel.loseConnection()

    loop = task.LoopingCall(one_more)
    loop.clock = reactor
    # The client gave up: stop, whatever is left.
    request.notifyFinish().addErrback(lambda _: loop.running and loop.stop())
    loop.start(seconds)


def _head(answer: Answer, length: int) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {length}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
