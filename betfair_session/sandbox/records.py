"""What the sandbox sees and tells: requests, answers, the journal, and plain records of both.

The records are the same on both sides of the control API. Only the standard library is needed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
        connection: the client's port: requests that share a connection share it.
        certificate: whether the connection came with a client certificate.
        token: what the X-Authentication header, or a stream's last authentication, said.
        outcome: the code that the request, or a stream's last message, led to (SUCCESS,
            NO_SESSION, …); None while it is being answered, and when a fault kept it from being
            carried out.
        status: the HTTP status sent; None as long as there is none.
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
    """One order placement that was carried out; duplicates are not.

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

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
"""A picture of one transparent dot."""


@dataclass(frozen=True)
class Ask:
    """One HTTP request.

    Attributes:
        method: the HTTP method.
        path: the path without the query, exactly as sent.
        query: the query, exactly as sent.
        headers: their names in lower case.
        body: what was posted.
        certificate: the client certificate as DER, or None.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def application(self) -> str:
        """The application key, or an empty text."""
        return self.headers.get("x-application", "")

    @property
    def token(self) -> str:
        """The session token, or an empty text."""
        return self.headers.get("x-authentication", "")

    def form(self) -> dict[str, str] | None:
        """Decode the body strictly as a form.

        Returns:
            Its fields; None when it is no form, holds characters that had to be encoded, or names
            a field twice.
        """
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded" or not _FORM.fullmatch(self.body):
            return None
        try:
            pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            return None
        return dict(pairs) if len(dict(pairs)) == len(pairs) else None


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        outcome: the code it stands for, for the journal.
        body: its content.
        status: the HTTP status.
        content_type: the type of the content.
        headers: further headers.
    """

    outcome: str
    body: bytes = field(default=b"", repr=False)
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(outcome: str, content: object, status: int = 200) -> Answer:
    """Make an answer of JSON."""
    return Answer(outcome, json.dumps(content).encode(), status)


def html_answer(outcome: str, title: str, status: int = 200) -> Answer:
    """Make an answer that is a web page."""
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Answer(outcome, page.encode(), status, "text/html; charset=utf-8")


_TOO_SHORT = 5


class Journal:
    """Every request since the start or the last `clear`, in the order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[JournalEntry] = []

    def add(self, entry: JournalEntry) -> None:
        """Note a request that has just arrived."""
        self.entries.append(entry)

    def counts(self) -> dict[str, int]:
        """Return how many requests each endpoint has had; none, no entry."""
        return dict(Counter(entry.endpoint for entry in self.entries))

    def clear(self) -> None:
        """Forget all of it."""
        self.entries.clear()


def defects(ask: Ask, passwords: Iterable[str]) -> list[str]:
    """Look for secrets where they do not belong.

    Args:
        ask: the request.
        passwords: those of all accounts.

    Returns:
        One short text per defect, without any secret.
    """
    # A very short password would be found anywhere.
    passwords = [password for password in passwords if len(password) > _TOO_SHORT]
    found = []
    names = {name.lower() for name, _ in parse_qsl(ask.query, keep_blank_values=True)}
    url = unquote_plus(f"{ask.path}?{ask.query}")
    if names & {"username", "password", "token", "sessiontoken"}:
        found.append("credentials in the URL")
    if any(password in url for password in passwords):
        found.append("password in the URL")
    if ask.token and ask.token in url:
        found.append("token in the URL")
    if "authorization" in ask.headers:
        found.append("an Authorization header")
    if any(secret in value for secret in passwords for value in ask.headers.values()):
        found.append("password in a header")
    return found
