"""Requests and answers, and the records that both sides of the control API share."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl


@dataclass
class Session:
    """One session that is alive.

    Attributes:
        token: the session token.
        username: whose it is.
        issued: the virtual time of the login, in seconds.
        kept_alive: the virtual time of the last keepAlive, or of the login, in seconds.
    """

    token: str
    username: str
    issued: float
    kept_alive: float


@dataclass
class JournalEntry:
    """One request that the sandbox saw, or one stream connection. It never holds a password.

    Attributes:
        endpoint: certlogin, login, keepAlive, logout, betting, account, other (a wrong path), or
            stream.
        method: the HTTP method; "" for a stream.
        path: the path without its query; "" for a stream.
        at: arrival by the machine's monotonic clock, in seconds.
        connection: the client's port, the same for all requests of one connection.
        certificate: whether the connection came with a client certificate.
        token: the one in the X-Authentication header, or in a stream's last authentication.
        outcome: the code that the request, or a stream's last message, led to (SUCCESS,
            NO_SESSION, …); None while it is being answered, and when a fault kept it from being
            carried out.
        status: the HTTP status sent; None until then.
        fault: the kind of fault that hit it.
        defects: what a careful client would not have sent, such as credentials in a URL.
        operations: for the betting API, the operations called; for a stream, its messages' ops.
    """

    endpoint: str
    method: str
    path: str
    at: float
    connection: int
    certificate: bool
    token: str | None = None
    outcome: str | None = None
    status: int | None = None
    fault: str | None = None
    defects: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)


@dataclass
class Order:
    """One order placement that was carried out, which a duplicate is not.

    Attributes:
        username: whose session placed it.
        market_id: the market.
        customer_ref: the caller's reference, or None.
        instructions: how many bets it asked for.
        at: the virtual time, in seconds.
    """

    username: str
    market_id: str
    customer_ref: str | None
    instructions: int
    at: float


_FORM = re.compile(rb"(?:[^%\x00-\x20\x7f-\xff]|%[0-9A-Fa-f]{2})*")


class Ask:
    """One HTTP request, exactly as sent; headers in lower case, the client certificate as DER."""

    def __init__(self, request: Any, certificate: bytes | None) -> None:  # noqa: ANN401 - Twisted's
        """Read it."""
        self.method = request.method.decode("latin-1")
        self.path, _, self.query = request.uri.decode("latin-1").partition("?")
        self.headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.getAllHeaders().items()
        }
        self.application = self.headers.get("x-application", "")
        self.token = self.headers.get("x-authentication", "")
        self.body = request.content.read()
        self.certificate = certificate

    def form(self) -> dict[str, str] | None:
        """Return the form's fields; None if it is no form, is not encoded, or repeats a field."""
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded" or not _FORM.fullmatch(self.body):
            return None
        try:
            pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            return None
        return dict(pairs) if len(dict(pairs)) == len(pairs) else None


class Answer(NamedTuple):
    """One HTTP answer; the journal shows its outcome, a code."""

    outcome: str
    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


def json_answer(outcome: str, content: object, status: int = 200) -> Answer:
    return Answer(outcome, json.dumps(content).encode(), status)


def html_answer(outcome: str, title: str, status: int = 200) -> Answer:
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Answer(outcome, page.encode(), status, "text/html; charset=utf-8")
