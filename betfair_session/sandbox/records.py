"""What the sandbox tells about itself: the same plain records on both sides of its control API."""

from __future__ import annotations

from dataclasses import dataclass, field


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
