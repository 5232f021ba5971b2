"""All of the sandbox but the network: its state, and what the identity endpoints answer.

The answers have the shapes of Betfair's pages on each of them. What those pages leave open is
decided strictly here, and is unsure: a form that cannot be decoded is answered with
CERT_AUTH_REQUIRED by certlogin and INPUT_VALIDATION_ERROR by login, a missing field or
X-Application header with INPUT_VALIDATION_ERROR by both; a FAIL answer carries an empty token.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .betting import Exchange, service_of
from .faults import Faults
from .records import PNG, Answer, Ask, html_answer, json_answer
from .state import Account, Accounts, Clock, Sessions, Settings, Verdict, der_of

if TYPE_CHECKING:
    from .records import JournalEntry

_LOGINS = ("certlogin", "login")
_IDENTITY = {f"/api/{name}": name for name in (*_LOGINS, "keepAlive", "logout")}
_ENDPOINTS = {*_IDENTITY.values(), "betting", "account", "other"}


@dataclass(frozen=True)
class Credentials:
    """The default account's, made up anew for each sandbox."""

    username: str
    password: str
    app_key: str

    @classmethod
    def invent(cls) -> Credentials:
        """Make them up; the password has characters that go wrong in a form without encoding."""
        return cls(
            username=f"sandbox-{secrets.token_hex(3)}",
            password=f"a+b&c=d %41#{secrets.token_hex(6)}",
            app_key=secrets.token_hex(8),
        )


class World:
    """Accounts, sessions, orders, faults and journal of one sandbox."""

    def __init__(self, credentials: Credentials, certificate: str) -> None:
        """Start with one account that has a client certificate, PEM text."""
        self._credentials = credentials
        self._certificate = der_of(certificate)
        self.breaker = StoreBreaker()
        self.reset()

    def reset(self) -> None:
        """Put everything back to how it began."""
        self.breaker.mend_store()
        self.settings = Settings()
        self.clock = Clock()
        self.sessions = Sessions(self.clock, self.settings)
        known = self._credentials
        home = Account(known.username, known.password, frozenset({self._certificate}))
        self.accounts = Accounts(home, self.clock, self.settings, self.sessions)
        self.exchange = Exchange(known.app_key, self.clock, self.sessions)
        self.faults = Faults()
        self.journal: list[JournalEntry] = []

    def counts(self) -> dict[str, int]:
        """Return how many requests each endpoint has had; none, no entry."""
        return dict(Counter(entry.endpoint for entry in self.journal))

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
            answer = self._identity(entry.endpoint, ask)
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

    def issue(self, username: str | None) -> str:
        """Make a session without a login."""
        return self.sessions.issue(self.accounts.account(username).username)

    def _identity(self, endpoint: str, ask: Ask) -> Answer:
        if ask.method != "POST":
            page = html_answer("METHOD_NOT_ALLOWED", "405 Method Not Allowed", 405)
            return replace(page, headers={"Allow": "POST"})
        if endpoint == "certlogin":
            return self._certlogin(ask)
        # Without an Accept header that asks for JSON the service answers with something else.
        accept = ask.headers.get("accept", "")
        if accept.startswith("image/"):
            return Answer("NOT_JSON", PNG, content_type="image/png")
        if "application/json" not in accept.lower():
            return html_answer("NOT_JSON", "Betfair")
        if endpoint == "login":
            return self._login(ask)
        change = self.sessions.keep_alive if endpoint == "keepAlive" else self.sessions.logout
        code = change(ask.token)
        fine = code == "SUCCESS"
        return _session_answer(ask, code, ask.token if fine else "", "SUCCESS" if fine else "FAIL")

    def _certlogin(self, ask: Ask) -> Answer:
        form = ask.form()
        if form is None:
            verdict = Verdict("CERT_AUTH_REQUIRED")
        elif not (ask.application and form.get("username") and form.get("password")):
            verdict = Verdict("INPUT_VALIDATION_ERROR")
        else:
            verdict = self.accounts.certlogin(form["username"], form["password"], ask.certificate)
        token = {"sessionToken": verdict.token} if verdict.token else {}
        return json_answer(verdict.code, {**token, "loginStatus": verdict.code})

    def _login(self, ask: Ask) -> Answer:
        form = ask.form() or {}
        if not (ask.application and form.get("username") and form.get("password")):
            verdict = Verdict("INPUT_VALIDATION_ERROR")
        else:
            verdict = self.accounts.login(form["username"], form["password"])
        undocumented = {"lastLoginDate": "2026-01-31T12:00:00.000Z"}
        return _session_answer(ask, verdict.code, verdict.token, verdict.status, **undocumented)


def _session_answer(ask: Ask, code: str, token: str, status: str, **more: str) -> Answer:
    content = {
        "token": token,
        "product": ask.application,
        "status": status,
        "error": "" if code == status else code,
        **more,
    }
    return json_answer(code, content)


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
        broken, self._broken, self._armed = self._broken, None, None
        if broken is None:
            return
        broken.unlink(missing_ok=True)
        if self._aside(broken).exists():
            self._aside(broken).rename(broken)

    @staticmethod
    def _aside(path: Path) -> Path:
        return path.with_name(path.name + ".aside")
