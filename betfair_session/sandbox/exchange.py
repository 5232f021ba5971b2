"""The betting and account APIs and the stream, as far as a session needs them.

The APIs speak JSON-RPC, with batches, and REST. Error shapes are those of Betfair's pages on
betting and account exceptions. ANGX-0003 is the number of INVALID_SESSION_INFORMATION; the numbers
of the other codes are unsure.

The stream is JSON lines over TLS, with the shapes of the schema of Betfair's Exchange Stream API. A
subscription gets an image without markets or orders, then heartbeats. It is not documented what
happens to a connection when the session that opened it ends; here nothing does (unsure).
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

from twisted.internet import task
from twisted.protocols.basic import LineReceiver

from .records import Answer, Ask, JournalEntry, Order, Session, json_answer
from .world import World

PATH = re.compile(r"/exchange/(betting|account)/(?:json-rpc/v1|rest/v1\.0/(\w+))/?")
_FAMILIES = {
    "betting": ("SportsAPING/v1.0/", "APINGException", "ANGX-"),
    "account": ("AccountAPING/v1.0/", "AccountAPINGException", "AANGX-"),
}
_NUMBERS = {
    "INVALID_INPUT_DATA": "0002",
    "INVALID_SESSION_INFORMATION": "0003",
    "NO_APP_KEY": "0004",
    "NO_SESSION": "0005",
    "INVALID_APP_KEY": "0007",
}
_PROTOCOL_ERRORS = {"DSC-0008": -32700, "DSC-0009": -32602, "DSC-0021": -32601}
_DUPLICATE_SECONDS = 60.0
_CUSTOMER_REF = re.compile(r"[A-Za-z0-9:\-._+*;~]{1,32}")
_RESULTS: dict[tuple[str, str], object] = {
    ("betting", "listEventTypes"): [
        {"eventType": {"id": "7", "name": "Horse Racing"}, "marketCount": 1}
    ],
    ("betting", "listMarketCatalogue"): [
        {"marketId": "1.1", "marketName": "2m Hcap Hrd", "totalMatched": 0.0}
    ],
    ("account", "getAccountFunds"): {
        "availableToBetBalance": 1000.0,
        "exposure": 0.0,
        "retainedCommission": 0.0,
        "exposureLimit": -5000.0,
        "discountRate": 0.0,
        "pointsBalance": 0,
        "wallet": "UK",
    },
    ("account", "getAccountStatement"): {"accountStatement": [], "moreAvailable": False},
    ("account", "listCurrencyRates"): [{"currencyCode": "EUR", "rate": 1.15}],
    ("account", "getAccountDetails"): {
        "currencyCode": "GBP",
        "firstName": "Sandy",
        "lastName": "Box",
        "localeCode": "en",
        "region": "GBR",
        "timezone": "GMT",
        "discountRate": 0.0,
        "pointsBalance": 0,
        "countryCode": "GB",
    },
}
_CHANGES = {"marketSubscription": "mcm", "orderSubscription": "ocm"}
_CONNECTIONS = 10  # Betfair's usual limit for one account
_FASTEST_MS, _SLOWEST_MS = 500, 5000  # heartbeats; the slowest unless asked for others


class RefusedError(Exception):
    """A call is not permitted, or not valid; `str` is the API's errorCode."""


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - JSON, or None
    with suppress(ValueError):
        return json.loads(content)
    return None


def answer(world: World, ask: Ask, operations: list[str]) -> Answer:
    """Carry out one request; the names of its operations are added to `operations`."""
    (service, operation), *_ = PATH.findall(ask.path)
    content = _parsed(ask.body)
    if operation:
        operations.append(operation)
        code, result, details = _carry_out(world, ask, service, operation, content)
        if code == "SUCCESS":
            return json_answer(code, result)
        fault = {"faultcode": "Client", "faultstring": result, "detail": details}
        return json_answer(code, fault, 404 if code == "DSC-0021" else 400)
    calls = content if isinstance(content, list) else [content]
    results = [_rpc(world, ask, service, call, operations) for call in calls]
    outcome = next((code for code, _ in results if code != "SUCCESS"), "SUCCESS")
    answers = [result for _, result in results]
    return json_answer(outcome, answers if isinstance(content, list) else answers[0])


def entitled(world: World, app_key: str, token: str) -> Session:
    """Return the live session of a caller with the right application key, or refuse."""
    session = world.session(token)
    if app_key != world.app_key:
        raise RefusedError("INVALID_APP_KEY" if app_key else "NO_APP_KEY")
    if session is None:
        raise RefusedError("INVALID_SESSION_INFORMATION" if token else "NO_SESSION")
    return session


def _rpc(
    world: World, ask: Ask, service: str, call: object, operations: list[str]
) -> tuple[str, dict[str, Any]]:
    """Carry out one call of JSON-RPC; return its code and its answer."""
    call = call if isinstance(call, dict) else {}
    method = str(call.get("method", ""))
    name = method.removeprefix(_FAMILIES[service][0])
    operations.append(name)
    operation = (name if name != method else "") if call else None
    code, result, details = _carry_out(world, ask, service, operation, call.get("params"))
    answer = {"jsonrpc": "2.0", "id": call.get("id")}
    if code == "SUCCESS":
        return code, {**answer, "result": result}
    data = {"data": details} if details else {}
    error = {"code": _PROTOCOL_ERRORS.get(code, -32099), "message": result, **data}
    return code, {**answer, "error": error}


def _carry_out(
    world: World, ask: Ask, service: str, operation: str | None, params: object
) -> tuple[str, object, dict[str, object]]:
    """Return SUCCESS and a call's result; or an error's code, number and details."""
    try:
        return "SUCCESS", _result(world, ask, service, operation, params), {}
    except RefusedError as refused:
        code = str(refused)
    if code in _PROTOCOL_ERRORS:
        return code, code, {}
    _, exception, numbers = _FAMILIES[service]
    details = {"requestUUID": str(uuid4()), "errorCode": code, "errorDetails": ""}
    return code, numbers + _NUMBERS[code], {exception: details, "exceptionname": exception}


def _result(world: World, ask: Ask, service: str, operation: str | None, params: object) -> object:
    if operation is None:
        raise RefusedError("DSC-0008")
    session = entitled(world, ask.application, ask.token)
    params = {} if params is None else params
    if not isinstance(params, dict):
        raise RefusedError("DSC-0009")
    if (service, operation) == ("betting", "placeOrders"):
        return _place_orders(world, session, params)
    if (service, operation) not in _RESULTS:
        raise RefusedError("DSC-0021")
    return _RESULTS[service, operation]


def _place_orders(world: World, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    reference, market = params.get("customerRef"), params.get("marketId")
    bets = params.get("instructions")
    fine = reference is None or _CUSTOMER_REF.fullmatch(str(reference))
    if not (fine and isinstance(market, str) and isinstance(bets, list) and bets):
        raise RefusedError("INVALID_INPUT_DATA")
    report: dict[str, Any] = {"marketId": market, "customerRef": reference}
    now = world.now()
    if reference is not None and any(
        order.customer_ref == reference and order.username == session.username
        for order in world.orders
        if now - order.at < _DUPLICATE_SECONDS
    ):
        failure = {"status": "FAILURE", "errorCode": "DUPLICATE_TRANSACTION"}
        return {**report, **failure, "instructionReports": []}  # unsure, but clients read it
    world.orders.append(Order(session.username, market, reference, len(bets), now))
    number = len(world.orders)
    reports = [
        {"status": "SUCCESS", "instruction": bet, "betId": f"{number}{index:04}"}
        for index, bet in enumerate(bets)
    ]
    return {**report, "status": "SUCCESS", "instructionReports": reports}


class Connection(LineReceiver):  # type: ignore[misc] # Twisted is untyped here
    """One stream connection."""

    delimiter = b"\r\n"

    def __init__(self, world: World) -> None:
        self._world = world
        self._id = uuid4().hex
        self._authenticated = False
        self._heartbeats: dict[str, Any] = {}

    def connectionMade(self) -> None:  # noqa: N802
        port = self.transport.getPeer().port
        self._entry = JournalEntry("stream", "", "", time.monotonic(), port, certificate=False)
        self._world.journal.append(self._entry)
        self._world.streams.add(self)
        self._send(op="connection", connectionId=self._id)

    def connectionLost(self, reason: object = None) -> None:  # noqa: ARG002, N802
        self._world.streams.discard(self)
        for heartbeat in self._heartbeats.values():
            heartbeat.stop()

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        message = _parsed(line)
        message = message if isinstance(message, dict) else {}
        operation = str(message.get("op", ""))
        self._entry.operations.append(operation)
        status = {"op": "status", "id": message.get("id")}
        try:
            more = self._status(operation, message)
        except RefusedError as refused:
            self._entry.outcome = str(refused)
            status |= {"statusCode": "FAILURE", "errorCode": str(refused), "connectionClosed": True}
            status |= {"connectionId": self._id, "errorMessage": "refused by the sandbox"}
            self._send(**status)
            self.transport.loseConnection()
        else:
            self._entry.outcome = "SUCCESS"
            self._send(**status, statusCode="SUCCESS", connectionClosed=False, **more)
            if operation in _CHANGES:
                self._subscribe(operation, message)

    def _status(self, operation: str, message: dict[str, Any]) -> dict[str, int]:
        """Check a message; return what its status says besides success, or raise RefusedError."""
        if operation == "authentication":
            self._entry.token = str(message.get("session") or "")
            entitled(self._world, str(message.get("appKey") or ""), self._entry.token)
            self._authenticated = True
            return {"connectionsAvailable": max(_CONNECTIONS - len(self._world.streams), 0)}
        if operation == "heartbeat":
            return {}
        if operation not in _CHANGES:
            raise RefusedError("INVALID_INPUT")
        if not self._authenticated:
            raise RefusedError("NOT_AUTHORIZED")
        return {}

    def _subscribe(self, operation: str, message: dict[str, Any]) -> None:
        """Send an empty image, then heartbeats."""
        change = _CHANGES[operation]
        every = min(max(message.get("heartbeatMs") or _SLOWEST_MS, _FASTEST_MS), _SLOWEST_MS)
        self._change(change, message, ct="SUB_IMAGE", initialClk=uuid4().hex, heartbeatMs=every)
        if operation in self._heartbeats:
            self._heartbeats.pop(operation).stop()
        heartbeat = task.LoopingCall(self._change, change, message, ct="HEARTBEAT")
        self._heartbeats[operation] = heartbeat
        heartbeat.start(every / 1000, now=False)

    def _change(self, change: str, message: dict[str, Any], **fields: object) -> None:
        now = int(time.time() * 1000)
        self._send(op=change, id=message.get("id"), clk=str(now), pt=now, **fields)

    def _send(self, **message: object) -> None:
        self.sendLine(json.dumps(message).encode())
