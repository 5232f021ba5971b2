"""The exchange stream, as far as a session needs it: JSON lines over TLS.

The messages have the shapes of the schema of Betfair's Exchange Stream API. A subscription gets an
image without markets or orders, and heartbeats after it. What happens to a connection when the
session that opened it ends is not documented; here nothing does (unsure).
"""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

from twisted.internet import task
from twisted.protocols.basic import LineReceiver

from .betting import RefusedError, entitled
from .records import JournalEntry
from .world import World

_CHANGES = {"marketSubscription": "mcm", "orderSubscription": "ocm"}
_CONNECTIONS = 10  # Betfair's usual limit for one account
_FASTEST_MS, _SLOWEST_MS = 500, 5000  # heartbeats; the slowest unless asked for others


class Connection(LineReceiver):  # type: ignore[misc] # Twisted is untyped here
    """One connection; its factory says in which world it is."""

    delimiter = b"\r\n"

    def __init__(self, world: World) -> None:
        """Connect to `world`."""
        self._world = world
        self._id = uuid4().hex
        self._authenticated = False
        self._heartbeats: dict[str, Any] = {}

    def connectionMade(self) -> None:  # noqa: N802
        """Note it in the journal, and greet."""
        port = self.transport.getPeer().port
        self._entry = JournalEntry("stream", "", "", time.monotonic(), port, certificate=False)
        self._world.journal.append(self._entry)
        self._world.streams.add(self)
        self._send(op="connection", connectionId=self._id)

    def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002, N802
        """Let the heart beat no more."""
        self._world.streams.discard(self)
        for heartbeat in self._heartbeats.values():
            heartbeat.stop()

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Answer one message."""
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        message = message if isinstance(message, dict) else {}
        operation = str(message.get("op", ""))
        self._entry.operations.append(operation)
        try:
            self._carry_out(operation, message)
        except RefusedError as refused:
            self._entry.outcome = refused.code
            self._status(message, statusCode="FAILURE", errorCode=refused.code)
            self.transport.loseConnection()
        else:
            self._entry.outcome = "SUCCESS"

    def _carry_out(self, operation: str, message: dict[str, Any]) -> None:
        if operation == "authentication":
            self._entry.token = str(message.get("session") or "")
            entitled(self._world, str(message.get("appKey") or ""), self._entry.token)
            self._authenticated = True
            left = max(_CONNECTIONS - len(self._world.streams), 0)
            self._status(message, statusCode="SUCCESS", connectionsAvailable=left)
        elif operation == "heartbeat":
            self._status(message, statusCode="SUCCESS")
        elif operation not in _CHANGES:
            raise RefusedError(code="INVALID_INPUT")
        elif not self._authenticated:
            raise RefusedError(code="NOT_AUTHORIZED")
        elif not isinstance(message.get("heartbeatMs"), int | None):
            raise RefusedError(code="INVALID_INPUT")
        else:
            self._status(message, statusCode="SUCCESS")
            self._subscribe(operation, message)

    def _subscribe(self, operation: str, message: dict[str, Any]) -> None:
        """Send an image, or what has changed since the clocks of a former one: nothing."""
        change = _CHANGES[operation]
        every = min(max(message.get("heartbeatMs") or _SLOWEST_MS, _FASTEST_MS), _SLOWEST_MS)
        known = message.get("initialClk") and message.get("clk")
        self._change(
            change,
            message,
            ct="RESUB_DELTA" if known else "SUB_IMAGE",
            initialClk=message.get("initialClk") or uuid4().hex,
            conflateMs=message.get("conflateMs") or 0,
            heartbeatMs=every,
        )
        if operation in self._heartbeats:
            self._heartbeats.pop(operation).stop()
        heartbeat = task.LoopingCall(self._change, change, message, ct="HEARTBEAT")
        self._heartbeats[operation] = heartbeat
        heartbeat.start(every / 1000, now=False)

    def _change(self, change: str, message: dict[str, Any], **fields: object) -> None:
        now = int(time.time() * 1000)
        self._send(op=change, id=message.get("id"), clk=str(now), pt=now, **fields)

    def _status(self, message: dict[str, Any], **fields: object) -> None:
        failed = fields["statusCode"] == "FAILURE"
        status = {"id": message.get("id"), "connectionClosed": failed, **fields}
        if failed:
            status |= {"connectionId": self._id, "errorMessage": "refused by the sandbox"}
        self._send(op="status", **status)

    def _send(self, **message: object) -> None:
        self.sendLine(json.dumps(message).encode())
