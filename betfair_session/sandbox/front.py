"""From an HTTP request to its answer: journal, faults, delays, holds, and how it is sent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from OpenSSL import crypto
from twisted.internet import defer, reactor, task
from twisted.web.server import NOT_DONE_YET

from .records import Answer, Ask, JournalEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .faults import Fault
    from .world import World

_TOO_SHORT = 5
_MISSING_BYTES = 100


@dataclass(eq=False)
class _Wait:
    endpoint: str
    stage: str
    until: Any


class Gate:
    """Holds requests to an endpoint before they are carried out, or before they are answered."""

    def __init__(self) -> None:
        """Start open."""
        self._held: set[tuple[str, str]] = set()
        self._waits: list[_Wait] = []

    def hold(self, endpoint: str, stage: str = "before") -> None:
        """Park requests to `endpoint` from now on; stage: "before" or "after" their effect."""
        if stage not in ("before", "after"):
            message = "stage is 'before' or 'after'"
            raise ValueError(message)
        self._held.add((endpoint, stage))

    def release(self, endpoint: str, times: int | None = None) -> None:
        """Let the `times` oldest parked requests go on and keep holding; None: all, and stop."""
        if times is None:
            self._held = {held for held in self._held if held[0] != endpoint}
        for wait in self._at(endpoint, "before", "after")[:times]:
            self._waits.remove(wait)
            wait.until.callback(None)

    def waiting(self, endpoint: str) -> int:
        """Count requests: the parked until released, the stalled until their clients go."""
        return len(self._at(endpoint, "before", "after", "stall"))

    def reset(self) -> None:
        """Stop holding; every waiting request is dropped: its wait raises CancelledError."""
        self._held.clear()
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.until.cancel()

    async def pass_through(self, endpoint: str, stage: str) -> None:
        """Go on at once, or when released."""
        if (endpoint, stage) in self._held:
            await self._wait(_Wait(endpoint, stage, defer.Deferred()))

    async def sleep(self, endpoint: str, seconds: float) -> None:
        """Go on after `seconds`."""
        if seconds > 0:
            await self._wait(_Wait(endpoint, "sleep", task.deferLater(reactor, seconds)))

    async def stall(self, endpoint: str, gone: Any) -> None:  # noqa: ANN401 - a Deferred
        """Never go on; return when the client has `gone`."""
        until = defer.Deferred()
        gone.addCallback(lambda _: until.called or until.callback(None))
        await self._wait(_Wait(endpoint, "stall", until))

    async def _wait(self, wait: _Wait) -> None:
        self._waits.append(wait)
        try:
            await wait.until
        finally:
            if wait in self._waits:
                self._waits.remove(wait)

    def _at(self, endpoint: str, *stages: str) -> list[_Wait]:
        return [wait for wait in self._waits if wait.endpoint == endpoint and wait.stage in stages]


class Front:
    """The one web resource behind every listener that clients talk to."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, world: World, gate: Gate) -> None:
        """Answer from `world`; `gate` is where requests wait."""
        self._world = world
        self._gate = gate

    def render(self, request: Any) -> Any:  # noqa: ANN401 - Twisted is untyped here
        """Take a request; the answer follows when it is due."""
        ask = _ask(request)
        entry = JournalEntry(
            endpoint=self._world.endpoint(ask.path),
            method=ask.method,
            path=ask.path,
            at=time.monotonic(),
            connection=request.getClientAddress().port,
            certificate=ask.certificate is not None,
            token=ask.token or None,
            defects=_defects(ask, self._world.accounts.passwords()),
        )
        self._world.journal.append(entry)
        serving = defer.Deferred.fromCoroutine(self._serve(request, ask, entry))
        # A reset of the sandbox cancels what is waiting; anything else is a defect to be seen.
        serving.addErrback(lambda failure: failure.trap(defer.CancelledError) and None)
        serving.addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _serve(self, request: Any, ask: Ask, entry: JournalEntry) -> None:  # noqa: ANN401
        gone = defer.Deferred()
        request.notifyFinish().addErrback(lambda _: gone.callback(None))
        fault = self._world.faults.take(entry.endpoint)
        entry.fault = fault.kind if fault else None
        try:
            answer = await self._carry_out(ask, entry, fault)
            if fault and fault.kind == "stall":
                await self._gate.stall(entry.endpoint, gone)
        except defer.CancelledError:
            if not gone.called:
                _reset(request)
            raise
        if not gone.called:
            _send(request, entry, fault, answer)

    async def _carry_out(self, ask: Ask, entry: JournalEntry, fault: Fault | None) -> Answer:
        endpoint = entry.endpoint
        late = fault.parameters["seconds"] if fault and fault.kind == "delay" else 0.0
        await self._gate.sleep(endpoint, self._world.seconds(endpoint) + late)
        await self._gate.pass_through(endpoint, "before")
        answer = Answer("FAULT")
        if fault is None or fault.effect:
            answer = self._world.carry_out(ask, entry)
        await self._gate.pass_through(endpoint, "after")
        if fault:
            answer = fault.alter(ask, endpoint, answer, self._world.sessions)
        return answer


def _send(request: Any, entry: JournalEntry, fault: Fault | None, answer: Answer) -> None:  # noqa: ANN401
    if fault and fault.kind in ("reset", "lost"):
        _reset(request)
        return
    entry.status = answer.status
    if fault and fault.kind == "truncated":
        _truncate(request, answer)
    elif fault and fault.kind == "drip":
        _drip(request, answer, **fault.parameters)
    else:
        _deliver(request, answer)


def _ask(request: Any) -> Ask:  # noqa: ANN401
    certificate = request.channel.transport.getPeerCertificate()
    path, _, query = request.uri.decode("latin-1").partition("?")
    headers = {
        name.decode("latin-1").lower(): values[-1].decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    return Ask(
        method=request.method.decode("latin-1"),
        path=path,
        query=query,
        headers=headers,
        body=request.content.read(),
        certificate=certificate and crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate),
    )


def _defects(ask: Ask, passwords: Iterable[str]) -> list[str]:
    """Look for secrets where they do not belong; return one short text for each, without it."""
    # A very short password would be found anywhere.
    passwords = [password for password in passwords if len(password) > _TOO_SHORT]
    names = {name.lower() for name, _ in parse_qsl(ask.query, keep_blank_values=True)}
    url = unquote_plus(f"{ask.path}?{ask.query}")
    in_headers = [secret for secret in passwords for text in ask.headers.values() if secret in text]
    found = {
        "credentials in the URL": names & {"username", "password", "token", "sessiontoken"},
        "password in the URL": any(password in url for password in passwords),
        "token in the URL": ask.token and ask.token in url,
        "an Authorization header": "authorization" in ask.headers,
        "password in a header": in_headers,
    }
    return [what for what, so in found.items() if so]


def _deliver(request: Any, answer: Answer) -> None:  # noqa: ANN401
    request.setResponseCode(answer.status, responses.get(answer.status, "Unknown").encode())
    request.setHeader(b"Content-Type", answer.content_type.encode())
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    for name, value in answer.headers.items():
        request.setHeader(name.encode(), value.encode())
    request.write(answer.body)
    request.finish()


def _reset(request: Any) -> None:  # noqa: ANN401
    """Reset the connection below TLS: no goodbye, a TCP RST."""
    request.channel.transport.transport.abortConnection()


def _truncate(request: Any, answer: Answer) -> None:  # noqa: ANN401
    """Promise more than is sent, then close."""
    transport = request.channel.transport
    transport.write(_head(answer, len(answer.body) + _MISSING_BYTES) + answer.body)
    request.channel.loseConnection()


def _drip(request: Any, answer: Answer, *, seconds: float, part: str) -> None:  # noqa: ANN401
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
