"""The identity endpoints: certlogin, login, keepAlive and logout.

The answers have the shapes of Betfair's pages on each of them. What those pages leave open is
decided strictly here, and is unsure: a form that cannot be decoded is answered with
CERT_AUTH_REQUIRED by certlogin and INPUT_VALIDATION_ERROR by login, a missing field or
X-Application header with INPUT_VALIDATION_ERROR by both; a FAIL answer carries an empty token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .accounts import Verdict
from .messages import PNG, Answer, Ask, html_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .accounts import Accounts
    from .sessions import Sessions


class Identity:
    """What the two identity hosts answer."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        """Answer from these accounts and sessions."""
        self._accounts = accounts
        self._sessions = sessions
        self._endpoints: dict[str, Callable[[Ask], Answer]] = {
            "certlogin": self._certlogin,
            "login": self._login,
            "keepAlive": self._keep_alive,
            "logout": self._logout,
        }

    def answer(self, endpoint: str, ask: Ask) -> Answer:
        """Carry out one request to certlogin, login, keepAlive or logout."""
        if ask.method != "POST":
            page = html_answer("METHOD_NOT_ALLOWED", "405 Method Not Allowed", 405)
            return Answer(page.outcome, page.body, 405, page.content_type, {"Allow": "POST"})
        return self._endpoints[endpoint](ask)

    def _certlogin(self, ask: Ask) -> Answer:
        form = ask.form()
        if form is None:
            verdict = Verdict("CERT_AUTH_REQUIRED")
        elif not (ask.application and form.get("username") and form.get("password")):
            verdict = Verdict("INPUT_VALIDATION_ERROR")
        else:
            verdict = self._accounts.certlogin(form["username"], form["password"], ask.certificate)
        token = {"sessionToken": verdict.token} if verdict.token else {}
        return json_answer(verdict.code, {**token, "loginStatus": verdict.code})

    def _login(self, ask: Ask) -> Answer:
        if page := _page_instead(ask):
            return page
        form = ask.form()
        if form is None or not (ask.application and form.get("username") and form.get("password")):
            verdict = Verdict("INPUT_VALIDATION_ERROR")
        else:
            verdict = self._accounts.login(form["username"], form["password"])
        error = "" if verdict.code == verdict.status else verdict.code
        content = {
            "token": verdict.token or "",
            "product": ask.application,
            "status": verdict.status,
            "error": error,
            "lastLoginDate": "2026-01-31T12:00:00.000Z",  # a field beyond the documented ones
        }
        return json_answer(verdict.code, content)

    def _keep_alive(self, ask: Ask) -> Answer:
        return _page_instead(ask) or _session_answer(ask, self._sessions.keep_alive(ask.token))

    def _logout(self, ask: Ask) -> Answer:
        return _page_instead(ask) or _session_answer(ask, self._sessions.logout(ask.token))


def _page_instead(ask: Ask) -> Answer | None:
    """Without an Accept header that asks for JSON the service answers 200 with something else."""
    accept = ask.headers.get("accept", "")
    if "application/json" in accept.lower():
        return None
    if accept.startswith("image/"):
        return Answer("NOT_JSON", PNG, content_type="image/png")
    return html_answer("NOT_JSON", "Betfair")


def _session_answer(ask: Ask, code: str) -> Answer:
    fine = code == "SUCCESS"
    content = {
        "token": ask.token if fine else "",
        "product": ask.application,
        "status": "SUCCESS" if fine else "FAIL",
        "error": "" if fine else code,
    }
    return json_answer(code, content)
