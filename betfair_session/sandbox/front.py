"""From an HTTP request to its answer: journal, faults, delays, holds, and how it is sent."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from OpenSSL import crypto
from twisted.internet import defer, reactor, task
from twisted.web.server import NOT_DONE_YET

from . import exchange, identity
from .faults import Fault
from .records import Answer, Ask, JournalEntry, html_answer
from .world import IDENTITY, LOGINS, World

_PATHS = {f"/api/{name}": name for name in IDENTITY}
_TOO_SHORT = 5
_MISSING_BYTES = 100


class Front:
    """The one web resource behind every listener that clients talk to."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, world: World) -> None:
        self._world = world

    def render(self, request: Any) -> Any:  # noqa: ANN401 - Twisted is untyped here
        shown = request.channel.transport.getPeerCertificate()
        ask = Ask(request, shown and crypto.dump_certificate(crypto.FILETYPE_ASN1, shown))
        api = exchange.PATH.fullmatch(ask.path)
        entry = JournalEntry(
            endpoint=_PATHS.get(ask.path) or (api[1] if api else "other"),
            method=ask.method,
            path=ask.path,
            at=time.monotonic(),
            connection=request.getClientAddress().port,
            certificate=ask.certificate is not None,
            token=ask.token or None,
            defects=_defects(ask, [each.password for each in self._world.accounts.values()]),
        )
        self._world.journal.append(entry)
        serving = defer.Deferred.fromCoroutine(self._serve(request, ask, entry))
        # A reset of the sandbox cancels waiting requests; show any other failure, it is a defect.
        serving.addErrback(lambda failure: failure.trap(defer.CancelledError) and None)
        serving.addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def _serve(self, request: Any, ask: Ask, entry: JournalEntry) -> None:  # noqa: ANN401
        gone = request.notifyFinish()  # before the answer: the client went away
        gone.addErrback(lambda _: None)
        fault = self._world.take_fault(entry.endpoint)
        entry.fault = fault.kind or None
        try:
            answer = await self._carry_out(ask, entry, fault)
            if fault.kind == "stall":
                until = defer.Deferred()
                gone.addCallback(lambda _: until.called or until.callback(None))
                await self._world.wait(entry.endpoint, "stall", until)
        except defer.CancelledError:
            if not gone.called:
                _reset(request)
            raise
        if gone.called:
            return
        if fault.kind in ("reset", "lost"):
            _reset(request)
            return
        entry.status = answer.status
        if fault.kind in ("drip", "truncated"):
            await _send_badly(request, answer, gone, fault)
        else:
            request.setResponseCode(answer.status)
            for name, value in _headers(answer).items():
                request.setHeader(name.encode(), value.encode())
            request.write(answer.body)
            request.finish()

    async def _carry_out(self, ask: Ask, entry: JournalEntry, fault: Fault) -> Answer:
        endpoint = entry.endpoint
        seconds = self._world.settings.login_seconds if endpoint in LOGINS else 0.0
        if fault.kind == "delay":
            seconds += fault.parameters["seconds"]
        if seconds > 0:
            await self._world.wait(endpoint, "sleep", task.deferLater(reactor, seconds))
        await self._hold(endpoint, "before")
        answer = self._answer(ask, entry) if fault.effect else Answer("FAULT")
        await self._hold(endpoint, "after")
        return fault.alter(ask, endpoint, answer, self._world.rotate)

    async def _hold(self, endpoint: str, stage: str) -> None:
        if (endpoint, stage) in self._world.held:
            await self._world.wait(endpoint, stage, defer.Deferred())

    def _answer(self, ask: Ask, entry: JournalEntry) -> Answer:
        """Do what the request asks, and note the outcome in its journal entry."""
        if entry.endpoint == "other":
            answer = html_answer("NOT_FOUND", "404 Not Found", 404)
        elif ask.method != "POST":
            page = html_answer("METHOD_NOT_ALLOWED", "405 Method Not Allowed", 405)
            answer = page._replace(headers={"Allow": "POST"})
        elif entry.endpoint in IDENTITY:
            answer = identity.answer(self._world, entry.endpoint, ask)
        else:
            answer = exchange.answer(self._world, ask, entry.operations)
        entry.outcome = answer.outcome
        return answer


def _defects(ask: Ask, passwords: Iterable[str]) -> list[str]:
    """Look for secrets in wrong places; return a short description of each, without it."""
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


def _reset(request: Any) -> None:  # noqa: ANN401
    """Reset the connection below TLS: no goodbye, a TCP RST."""
    request.channel.transport.transport.abortConnection()


async def _send_badly(request: Any, answer: Answer, gone: Any, fault: Fault) -> None:  # noqa: ANN401
    """Send less than is promised, or one byte at a time; then close."""
    transport, given = request.channel.transport, fault.parameters
    headers = {**_headers(answer, 0 if given else _MISSING_BYTES), "Connection": "close"}
    lines = [f"HTTP/1.1 {answer.status} from the sandbox".encode()]
    lines += [f"{name}: {value}".encode() for name, value in headers.items()]
    content = b"\r\n".join([*lines, b"", answer.body])
    slow = {"head": len(content), "body": len(answer.body)}.get(given.get("part", ""), 0)
    transport.write(content[: len(content) - slow])
    for byte in content[len(content) - slow :]:
        transport.write(bytes([byte]))
        await task.deferLater(reactor, given["seconds"])
        if gone.called:
            return
    request.channel.loseConnection()


def _headers(answer: Answer, missing: int = 0) -> dict[str, str]:
    length = str(len(answer.body) + missing)
    return {"Content-Type": answer.content_type, "Content-Length": length, **answer.headers}
