"""From an HTTP request to its answer: journal, faults, delays, holds, and the world behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from OpenSSL import crypto
from twisted.internet import defer
from twisted.web.server import NOT_DONE_YET

from . import delivery
from .journal import defects
from .messages import Answer, Ask
from .records import JournalEntry

if TYPE_CHECKING:
    from .faults import Fault
    from .gate import Gate
    from .world import World


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
            defects=defects(ask, self._world.accounts.passwords()),
        )
        self._world.journal.add(entry)
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
                delivery.reset(request)
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
        delivery.reset(request)
        return
    entry.status = answer.status
    if fault and fault.kind == "truncated":
        delivery.truncate(request, answer)
    elif fault and fault.kind == "drip":
        delivery.drip(request, answer, **fault.parameters)
    else:
        delivery.deliver(request, answer)


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
