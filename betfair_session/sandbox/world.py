"""All of the sandbox but the network: what state there is, and which endpoint a path leads to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .accounts import Account, Accounts, der_of
from .betting import Exchange, service_of
from .faults import Faults
from .identity import Identity
from .journal import Journal
from .messages import Answer, Ask, html_answer
from .sessions import Clock, Sessions, Settings

if TYPE_CHECKING:
    from .records import JournalEntry

_IDENTITY = {f"/api/{name}": name for name in ("certlogin", "login", "keepAlive", "logout")}
_LOGINS = ("certlogin", "login")
_ENDPOINTS = {*_IDENTITY.values(), "betting", "account", "other"}


@dataclass(frozen=True)
class Credentials:
    """The default account's, made up anew for each sandbox.

    The password has characters that go wrong when a form is not encoded.
    """

    username: str
    password: str
    app_key: str

    @classmethod
    def invent(cls) -> Credentials:
        """Make them up."""
        return cls(
            username=f"sandbox-{secrets.token_hex(3)}",
            password=f"a+b&c=d %41#{secrets.token_hex(6)}",
            app_key=secrets.token_hex(8),
        )


class World:
    """Accounts, sessions, orders, faults and journal of one sandbox."""

    def __init__(self, credentials: Credentials, certificate: str) -> None:
        """Start with one account that has a client certificate, PEM text."""
        self.settings = Settings()
        self.clock = Clock()
        self.sessions = Sessions(self.clock, self.settings)
        uploaded = frozenset({der_of(certificate)})
        home = Account(credentials.username, credentials.password, uploaded)
        self.accounts = Accounts(home, self.clock, self.settings, self.sessions)
        self.exchange = Exchange(credentials.app_key, self.clock, self.sessions)
        self.identity = Identity(self.accounts, self.sessions)
        self.faults = Faults()
        self.journal = Journal()
        self.breaker = StoreBreaker()

    def reset(self) -> None:
        """Put everything back to how it began."""
        self.settings.reset()
        self.clock.set_time_offset()
        self.sessions.expire_all()
        self.accounts.reset()
        self.exchange.orders.clear()
        self.faults.clear()
        self.journal.clear()
        self.breaker.mend_store()

    def endpoint(self, path: str) -> str:
        """Return the name of the endpoint at `path`, where case matters, or "other"."""
        return _IDENTITY.get(path) or service_of(path) or "other"

    def seconds(self, endpoint: str) -> float:
        """Return how long a request to `endpoint` takes by the settings."""
        login = self.settings.login_seconds if endpoint in _LOGINS else 0.0
        return login + self.settings.delay

    def carry_out(self, ask: Ask, entry: JournalEntry) -> Answer:
        """Do what the request asks, and note the outcome in its journal entry."""
        if entry.endpoint in _IDENTITY.values():
            answer = self.identity.answer(entry.endpoint, ask)
        elif entry.endpoint == "other":
            answer = html_answer("NOT_FOUND", "404 Not Found", 404)
        else:
            answer = self.exchange.answer(ask, entry.operations)
        entry.outcome = answer.outcome
        if entry.endpoint in _LOGINS:
            self.breaker.strike()
        return answer

    def check(self, endpoint: str) -> str:
        """Return the name of an endpoint; ValueError when there is none."""
        if endpoint not in _ENDPOINTS:
            message = f"there is no endpoint {endpoint!r}"
            raise ValueError(message)
        return endpoint

    def fault(self, endpoint: str, kind: str, times: int | None, **settings: Any) -> None:  # noqa: ANN401
        """Script a fault for an endpoint, or for "*"."""
        checked = endpoint if endpoint == "*" else self.check(endpoint)
        self.faults.add(checked, kind, times, **settings)

    def issue(self, username: str | None = None) -> str:
        """Make a session without a login."""
        return self.sessions.issue(self.accounts.account(username).username)


class StoreBreaker:
    """Makes a directory unusable at the moment of a login, and usable again.

    A plain file takes its place: permissions would mean nothing to root.
    """

    def __init__(self) -> None:
        """Start with nothing to break."""
        self._armed: Path | None = None
        self._broken: Path | None = None

    def break_store(self, path: str) -> None:
        """Break the directory `path` when the next login is answered, before its answer is sent."""
        self._armed = Path(path).absolute()

    def strike(self) -> None:
        """Break what there is to break."""
        if self._armed is None:
            return
        self._broken, self._armed = self._armed, None
        if self._broken.exists():
            self._broken.rename(self._aside(self._broken))
        self._broken.write_bytes(b"")

    def mend_store(self) -> None:
        """Put a broken directory back in place."""
        self._armed = None
        if self._broken is None:
            return
        broken, self._broken = self._broken, None
        broken.unlink(missing_ok=True)
        if self._aside(broken).exists():
            self._aside(broken).rename(broken)

    @staticmethod
    def _aside(path: Path) -> Path:
        return path.with_name(path.name + ".aside")
