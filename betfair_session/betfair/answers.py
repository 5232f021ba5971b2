"""Reads the answers of the identity service.

A token is dead only if HTTP status 200 comes with a JSON object that says FAIL, with NO_SESSION or
INPUT_VALIDATION_ERROR. Any other answer about a token, except SUCCESS, is an IdentityUnavailable.
"""

from __future__ import annotations

import re

from betfair_session.exceptions import Blocked, IdentityUnavailable, LoginRefused
from betfair_session.process import NamedTuple, clocks
from betfair_session.secret import ODD_WORDS, Secret, SecretBytes, odd
from betfair_session.tokens import is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any, Literal

MAX_ANSWER_BYTES = 65_536
"""How much of an answer is read; the longest that Betfair documents is under 1 KiB."""

_OK, _FORBIDDEN, _TOO_MANY, _SERVER_ERROR, _DOWN = 200, 403, 429, 500, 503
_DEAD = frozenset({"NO_SESSION", "INPUT_VALIDATION_ERROR"})
_CODE = r"(?a)[A-Z][A-Z0-9_]{0,63}"
# Classes of refusals that a stray blank or quote in what was sent may explain.
_MAY_BE_MISTYPED = frozenset({"credentials", "certificate", "request"})


class Check(NamedTuple):
    """What `IdentityClient.check` found out.

    Attributes:
        state: "alive", "dead" or "unknown" (Betfair gave no clear answer).
        token: the token to use from now on when alive, else None; `reveal()` gives the text.
        verified_at: when Betfair was asked (timezone-aware, UTC), or None when unknown.
        expires_at: about when the session ends unless it is kept alive (timezone-aware, UTC), by
            the jurisdiction's usual session length; None where that is not known.
        error: why there is no clear answer, when unknown.
    """

    state: Literal["alive", "dead", "unknown"]
    token: Secret | None = None
    verified_at: datetime | None = None
    expires_at: datetime | None = None
    error: IdentityUnavailable | None = None

    @property
    def expired(self) -> bool:
        """Whether `expires_at` is past, by this machine's clock; False if unknown."""
        return self.expires_at is not None and self.expires_at.timestamp() <= clocks.wall()


class Endpoint(NamedTuple):
    """One of the service's endpoints: its name and its base URL."""

    name: str
    base: str

    @property
    def host(self) -> str:
        """The host and port, for errors."""
        return self.base.partition("://")[2].partition("/")[0]


def is_transient(status_code: int) -> bool:
    """Return whether the same request may succeed a moment later: HTTP 429 and 5xx."""
    return status_code == _TOO_MANY or status_code >= _SERVER_ERROR


def decoded(text: str | bytes | bytearray, **how: Any) -> Any:  # noqa: ANN401 - JSON
    """Decode JSON, `how` as json.loads takes it; return None for anything else."""
    import json  # not needed while a token is trusted

    try:
        return json.loads(text, **how)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; one that says two things says nothing clearly."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


class Answer:
    """An HTTP answer. No tuple: some tools show what is in those, whatever the repr shows.

    Attributes:
        status_code: its status.
        body: at most MAX_ANSWER_BYTES.
        sent: the secrets of the request, which an answer may echo.
        date: the Date header, or "".
    """

    def __init__(
        self, status_code: int, body: bytes, sent: tuple[Secret, ...] = (), date: str = ""
    ) -> None:
        """Keep them."""
        self.status_code, self.sent, self.date = status_code, sent, date
        self.body = SecretBytes(body)  # for tools that look up the names in a traceback's lines

    def __repr__(self) -> str:
        return f"Answer({self.status_code})"

    def repeats(self, code: str) -> bool:
        """Return whether a code is a secret of the request: a password may look like a code."""
        return any(each.reveal() == code for each in self.sent)


def read_login(
    endpoint: Endpoint, answer: Answer, given: Mapping[str, Secret] | None = None
) -> tuple[Secret, bool]:
    """Read the answer of certlogin, or of the interactive login.

    Args:
        endpoint: what was called.
        answer: its answer.
        given: what was sent, by argument; a refusal names what looks mistyped.

    Returns:
        The new token, and whether the account's access is limited.

    Raises:
        LoginRefused: any other status; its `status` is the answer's error code if there is one.
        IdentityUnavailable: no clear answer.
    """
    token, status, error = _said(endpoint, answer)
    if not status:
        raise unclear(endpoint, "an answer without a status", answer)
    limited = status == "LIMITED_ACCESS" and endpoint.name != "certlogin"
    if status != "SUCCESS" and not limited:
        raise _refused(endpoint, answer, error or status, given or {})
    if token is None:
        raise unclear(endpoint, "SUCCESS without a usable token", answer)
    return token, limited


def read_session(endpoint: Endpoint, answer: Answer, token: Secret) -> Secret | None:
    """Read the answer of keepAlive or logout about a session.

    Returns:
        The token in the answer if it is well-formed, else the one that was sent; None when Betfair
        says that there is no such session.

    Raises:
        IdentityUnavailable: no clear answer.
    """
    alive, status, error = _said(endpoint, answer)
    if status == "SUCCESS":
        return alive or token
    if status == "FAIL" and error in _DEAD:
        return None
    told = [code for code in (status, error) if code and not answer.repeats(code)]
    what = ", ".join(told) or "an answer without a status"
    raise unclear(endpoint, what, answer)


def unclear(endpoint: Endpoint, what: str, answer: Answer | None = None) -> IdentityUnavailable:
    """Make the error for no answer, or an unclear one."""
    message = f"Betfair gave no clear answer to {endpoint.name} at {endpoint.host}: {what}"
    status = answer.status_code if answer else None
    return IdentityUnavailable(
        message, endpoint=endpoint.name, host=endpoint.host, status_code=status
    )


def _said(endpoint: Endpoint, answer: Answer) -> tuple[Secret | None, str, str]:
    """Return an answer's token, status and error, each if it looks like one.

    Raises if the answer is not an HTTP 200 with a JSON object.
    """
    if answer.status_code == _FORBIDDEN:
        message = (
            f"{endpoint.host} answered {endpoint.name} with HTTP 403: this address is blocked, "
            "most likely for its country or hosting provider; use another network or location"
        )
        raise Blocked(message, endpoint=endpoint.name, host=endpoint.host, status_code=_FORBIDDEN)
    if answer.status_code != _OK:
        down = " (down or overloaded)" if answer.status_code == _DOWN else ""
        raise unclear(endpoint, f"HTTP {answer.status_code}{down}", answer)
    certlogin = endpoint.name == "certlogin"  # which has no field for an error
    names = ("sessionToken", *["loginStatus"] * 2) if certlogin else ("token", "status", "error")
    value = decoded(answer.body, object_pairs_hook=_unique)
    if not isinstance(value, dict):
        del value  # no traceback may show it
        raise unclear(endpoint, "an answer that is not a JSON object", answer)
    token, *told = map(value.get, names)
    # Anything may stand in a code's place: show it only if it looks like one.
    status, error = [
        code if isinstance(code, str) and re.fullmatch(_CODE, code) else "" for code in told
    ]
    return (Secret(token) if is_token(token) else None), status, error


def _refused(
    endpoint: Endpoint, answer: Answer, status: str, given: Mapping[str, Secret]
) -> LoginRefused:
    from .login_status import describe

    meaning = describe(status, certificate=endpoint.name == "certlogin")
    if meaning.login_class == "unknown" and answer.repeats(status):
        status = "UNKNOWN"
    suspects = {}
    if meaning.login_class in _MAY_BE_MISTYPED:
        suspects = {name: kind for name in given if (kind := odd(given[name]))}
    seen = "".join(f" The given {name} {ODD_WORDS[kind]}." for name, kind in suspects.items())
    return LoginRefused(
        f"Betfair refused the login: {status}.{seen} {meaning.hint}",
        status=status,
        login_class=meaning.login_class,
        suspects=suspects,
        endpoint=endpoint.name,
        host=endpoint.host,
        status_code=answer.status_code,
    )
