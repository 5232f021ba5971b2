"""The state of one sandbox, on a virtual clock: accounts, sessions, orders, faults, journal.

The public methods are the commands that `Controls` sends and explains.
"""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from .faults import NO_FAULT, Fault, check_numbers, hits
from .records import JournalEntry, Order, Session

LOGINS = ("certlogin", "login")
IDENTITY = (*LOGINS, "keepAlive", "logout")
_ENDPOINTS = (*IDENTITY, "betting", "account", "other")
_STAGES = ("before", "after")


@dataclass
class Settings:
    """What a test can set; `Controls.configure` explains each."""

    session_seconds: float = 12 * 3600
    logins_per_minute: float = 100
    ban_seconds: float = 20 * 60
    lock_after: float = 5
    login_seconds: float = 0


@dataclass
class Account:
    """One account holder; certificates are DER, times virtual."""

    username: str
    password: str
    two_step: str | None = None
    certificates: set[bytes] = field(default_factory=set)
    wrong: int = 0  # wrong passwords since the last right one
    logins: list[float] = field(default_factory=list)  # successful, in the last minute
    banned_until: float = 0.0


class Login(NamedTuple):
    """How a login ended; the status is that of an interactive answer."""

    code: str
    token: str = ""
    status: str = "FAIL"


class World:
    """Everything that answers depend on, and what a test can do to it."""

    def __init__(self, directory: Path, authority: trustme.CA) -> None:
        """Make the default account; the authority's certificates go into the directory."""
        self._directory, self._authority = directory, authority
        self.username = f"sandbox-{secrets.token_hex(3)}"
        # With characters that a form has to encode.
        self.password = f"a+b&c=d %41#{secrets.token_hex(6)}"
        self.app_key = secrets.token_hex(8)
        self.certificate = self.make_certificate("client")
        # Never goes backwards, even if the machine's wall clock is set.
        self._epoch = time.time() - time.monotonic()
        self._waits: dict[Any, tuple[str, str]] = {}
        self.streams: set[Any] = set()
        self.reset()

    def reset(self) -> None:
        for until in list(self._waits):
            until.cancel()  # drops the request: its wait raises CancelledError
        self.close_streams()
        self.settings = Settings()
        self._offset = 0.0
        self._sessions: dict[str, Session] = {}
        self.accounts = {self.username: Account(self.username, self.password)}
        self.upload_certificate(Path(self.certificate[0]).read_text("ascii"))
        self.login_status(None)
        self.orders: list[Order] = []
        self.held: set[tuple[str, str]] = set()
        self._faults: list[Fault] = []
        self.journal: list[JournalEntry] = []

    # --- clock, settings, journal ---

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._epoch + time.monotonic() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds

    def configure(self, **values: float) -> None:
        check_numbers(values)
        self.settings = replace(self.settings, **values)

    def counts(self) -> dict[str, int]:
        return Counter(entry.endpoint for entry in self.journal)

    def clear_journal(self) -> None:
        self.journal.clear()

    # --- sessions ---

    def issue(self, username: str | None = None) -> str:
        token = b64encode(secrets.token_bytes(32)).decode("ascii")
        now = self.now()
        self._sessions[token] = Session(token, self._account(username).username, now, now)
        return token

    def session(self, token: str) -> Session | None:
        session = self._sessions.get(token)
        if session and self.now() >= session.kept_alive + self.settings.session_seconds:
            del self._sessions[token]
            return None
        return session

    def sessions(self) -> list[Session]:
        return [session for token in list(self._sessions) if (session := self.session(token))]

    def rotate(self, token: str) -> str:
        """Give a session another token; the old one is dead."""
        return self.issue(self._sessions.pop(token).username)

    def expire(self, token: str) -> bool:
        return self.session(token) is not None and self._sessions.pop(token, None) is not None

    def expire_all(self) -> int:
        ended = len(self.sessions())
        self._sessions.clear()
        return ended

    # --- accounts and their logins ---

    def _account(self, username: str | None) -> Account:
        account = self.accounts.get(username or self.username)
        if account is None:
            raise ValueError("there is no such account")
        return account

    def add_account(self, username: str, password: str) -> None:
        self.accounts[username] = Account(username, password)

    def set_two_step(self, code: str | None, username: str | None) -> None:
        self._account(username).two_step = code

    def make_certificate(self, name: str) -> tuple[str, str]:
        if not name.isidentifier():
            raise ValueError("a certificate's name must be letters, digits and _")
        crt, key = (self._directory / f"{name}.{end}" for end in ("crt", "key"))
        if not key.exists():
            # Betfair takes no other keys than RSA.
            made = self._authority.issue_cert(common_name=name, key_type=trustme.KeyType.RSA)
            made.cert_chain_pems[0].write_to_path(crt)
            made.private_key_pem.write_to_path(key)
        return str(crt), str(key)

    def upload_certificate(self, pem: str, username: str | None = None) -> None:
        der = load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
        self._account(username).certificates.add(der)

    def login_status(self, code: str | None, times: int | None = None) -> None:
        status = code if code in ("LIMITED_ACCESS", "LOGIN_RESTRICTED") else "FAIL"
        self._demanded = Login(code, status=status) if code else None
        self._demands = hits(times)

    def demanded(self) -> Login | None:
        """Use up and return the result that a test demanded for the next login, or None."""
        return self._demanded if next(self._demands, False) else None

    # --- requests that wait or fail ---

    async def wait(self, endpoint: str, stage: str, until: Any) -> None:  # noqa: ANN401 - a Deferred
        """Park a request; a test can see that and end it."""
        self._waits[until] = endpoint, stage
        try:
            await until
        finally:
            del self._waits[until]

    def _waiting(self, endpoint: str, *stages: str) -> list[Any]:
        _check(endpoint)
        return [
            until
            for until, (where, stage) in self._waits.items()
            if where == endpoint and stage in stages
        ]

    def hold(self, endpoint: str, stage: str) -> None:
        _check(endpoint)
        if stage not in _STAGES:
            raise ValueError("stage must be 'before' or 'after'")
        self.held.add((endpoint, stage))

    def release(self, endpoint: str, times: int | None) -> None:
        if times is None:
            self.held -= {(endpoint, stage) for stage in _STAGES}
        for until in self._waiting(endpoint, *_STAGES)[:times]:
            until.callback(None)

    def waiting(self, endpoint: str) -> int:
        return len(self._waiting(endpoint, *_STAGES, "stall"))

    def close_streams(self) -> int:
        closing = list(self.streams)
        for connection in closing:
            connection.transport.loseConnection()
        return len(closing)

    def fault(self, endpoint: str, kind: str, **settings: Any) -> None:  # noqa: ANN401
        if endpoint != "*":
            _check(endpoint)
        self._faults.append(Fault(endpoint, kind, **settings))

    def clear_faults(self) -> None:
        self._faults.clear()

    def take_fault(self, endpoint: str) -> Fault:
        """Return the fault that hits this request: the first that does not skip it."""
        for fault in self._faults:
            if fault.endpoint in (endpoint, "*") and next(fault.hits, False):
                return fault
        return NO_FAULT


def _check(endpoint: str) -> None:
    if endpoint not in _ENDPOINTS:
        known = ", ".join(_ENDPOINTS)
        raise ValueError(f"there is no endpoint {endpoint!r}; the endpoints are {known}")
