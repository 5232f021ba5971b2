"""What an answer of the identity service says, and that most say nothing.

"This token is dead" is a JSON object that came with HTTP status 200 and says FAIL with NO_SESSION
or INPUT_VALIDATION_ERROR. Everything else that is no success is IdentityUnavailable: "cannot tell".
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from betfair_session.exceptions import Blocked, IdentityUnavailable, LoginRefused
from betfair_session.process import clocks
from betfair_session.secret import ODD_WORDS, Secret, odd
from betfair_session.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from betfair_session.process.clocks import Times

MAX_ANSWER_BYTES = 65_536
"""How much of an answer is read; the longest that Betfair documents is under 1 KiB."""

EXCERPT_CHARACTERS = 160
"""How much of a page an error shows."""

_OK, _FORBIDDEN, _TOO_MANY, _SERVER_ERROR, _DOWN = 200, 403, 429, 500, 503
_DEAD = frozenset({"NO_SESSION", "INPUT_VALIDATION_ERROR"})
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_CODES = ("loginStatus", "status", "error")
_LIMITED = "LIMITED_ACCESS"
# Refusals that a blank or a quote in what was sent may explain.
_MAY_BE_MISTYPED = frozenset({"credentials", "certificate", "request"})


class Check(NamedTuple):
    """What `IdentityClient.check` found out.

    Attributes:
        state: "alive", "dead" or "unknown" (Betfair cannot tell).
        token: the token to use from now on when alive, else None; `reveal()` gives the text.
        verified_at: the `time.monotonic` at which Betfair was asked, or None when unknown.
        expires_at: the `time.monotonic` at about which the session ends unless it is kept alive,
            by the jurisdiction's usual length; None where that is not known. That clock may stand
            still while a machine sleeps; see `expired`.
        error: why Betfair cannot tell.
        ends: `expires_at` by the two clocks that `expired` looks at, or None.
    """

    state: str
    token: Secret | None = None
    verified_at: float | None = None
    expires_at: float | None = None
    error: IdentityUnavailable | None = None
    ends: Times | None = None

    @property
    def expired(self) -> bool:
        """Whether `expires_at` is over, any sleep of the machine included; False if unknown."""
        return self.ends is not None and clocks.reached(self.ends)


class Endpoint(NamedTuple):
    """One of the service's endpoints: its name and the base URL it is at."""

    name: str
    base: str

    @property
    def url(self) -> str:
        """Where to send."""
        return self.base + self.name

    @property
    def host(self) -> str:
        """The host and port, for errors."""
        return self.base.partition("://")[2].partition("/")[0]


def is_passing(status_code: int) -> bool:
    """Tell whether another answer may come a moment later: HTTP 429 and 5xx."""
    return status_code == _TOO_MANY or status_code >= _SERVER_ERROR


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        status_code: its status.
        body: at most MAX_ANSWER_BYTES.
        sent: the secrets of the request, which a page may echo.
    """

    status_code: int
    body: bytes
    sent: tuple[Secret, ...] = ()

    def __repr__(self) -> str:
        return f"Answer({self.status_code})"

    def json_object(self, secret: str) -> dict[str, Any] | None:
        """Return the body if it is a JSON object, else None; a text in field `secret` wrapped."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        hidden = value.pop(secret, None)
        if isinstance(hidden, str):
            value[secret] = Secret(hidden)
        return value

    def excerpt(self) -> str:
        """Return the first plain words of a page, for people; no markup, numbers or secrets."""
        page = self.body.decode("utf-8", "replace")
        for secret in self.sent:
            page = page.replace(secret.reveal(), " ") if secret else page
        title = re.search(r"(?is)<title\b[^>]*(?:>|$)(.*?)(?:</title>|$)", page)
        rest = re.sub(r"(?is)<(script|style|title)\b.*?(</\1>|$)", " ", page)
        # Most pages say in their body once more what their title says.
        if title and title[1].strip() not in rest:
            rest = f"{title[1]} {rest}"
        page = re.sub(r"<[^>]*(>|$)", " ", rest)
        words = re.findall(r"(?<![\w&])[A-Za-z'-]{1,20}[.,:!?]?(?!\S)", page)
        # A page may repeat a secret escaped or in another case: leave out every word of one.
        hidden = {
            word for each in self.sent for word in re.findall(r"[a-z'-]+", each.reveal().lower())
        }
        shown = [word for word in words if word.rstrip(".,:!?").lower() not in hidden]
        return " ".join(shown)[:EXCERPT_CHARACTERS].rstrip()


def read_certlogin(
    endpoint: Endpoint, answer: Answer, given: Mapping[str, Secret] | None = None
) -> Secret:
    """Read the answer of certlogin.

    Args:
        endpoint: what was called.
        answer: its answer.
        given: what was sent, by the arguments' names, for the hint of a refusal.

    Returns:
        The new token.

    Raises:
        LoginRefused: a status other than SUCCESS, known or not.
        IdentityUnavailable: no clear answer.
    """
    fields = _fields(endpoint, answer, token_field="sessionToken")  # noqa: S106 - a field's name
    status = fields.get("loginStatus")
    if status == "SUCCESS":
        return _new_token(endpoint, answer, fields.get("sessionToken"))
    if status is None:
        raise cannot_tell(endpoint, "an answer without a loginStatus", answer)
    raise _refused(endpoint, answer, str(status), given or {})


def read_login(
    endpoint: Endpoint, answer: Answer, given: Mapping[str, Secret] | None = None
) -> tuple[Secret, bool]:
    """Read the answer of the interactive login.

    Args:
        endpoint: what was called.
        answer: its answer.
        given: what was sent, by the arguments' names, for the hint of a refusal.

    Returns:
        The new token, and whether the account's access is limited.

    Raises:
        LoginRefused: any other status; its `status` is the answer's error where there is one.
        IdentityUnavailable: no clear answer.
    """
    fields = _fields(endpoint, answer, token_field="token")  # noqa: S106 - a field's name
    status, error = fields.get("status"), fields.get("error")
    if status in {"SUCCESS", _LIMITED}:
        return _new_token(endpoint, answer, fields.get("token")), status == _LIMITED
    if status is None:
        raise cannot_tell(endpoint, "an answer without a status", answer)
    raise _refused(endpoint, answer, str(error or status), given or {})


def read_session(endpoint: Endpoint, answer: Answer, token: Secret) -> Secret | None:
    """Read the answer of keepAlive or logout about a session.

    Returns:
        The session's token (a well-formed one in the answer goes before the one that was sent), or
        None when Betfair says that there is no such session.

    Raises:
        IdentityUnavailable: no clear answer.
    """
    fields = _fields(endpoint, answer, token_field="token")  # noqa: S106 - a field's name
    status, error = fields.get("status"), fields.get("error")
    if status == "SUCCESS":
        return _token(fields.get("token")) or token
    if status != "FAIL":
        raise cannot_tell(endpoint, "an answer without a status", answer)
    if error in _DEAD:
        return None
    hidden = not error or _was_sent(answer, error)
    raise cannot_tell(endpoint, f"FAIL, {'no known error code' if hidden else error}", answer)


def cannot_tell(endpoint: Endpoint, what: str, answer: Answer | None = None) -> IdentityUnavailable:
    """Make the error for anything that is not a verdict."""
    message = f"Betfair gave no verdict on {endpoint.name} at {endpoint.host}: {what}"
    return IdentityUnavailable(
        message,
        endpoint=endpoint.name,
        host=endpoint.host,
        status_code=answer.status_code if answer else None,
    )


def _fields(endpoint: Endpoint, answer: Answer, *, token_field: str) -> dict[str, str | Secret]:
    """Return the JSON object of an HTTP 200, the only kind of answer that says anything."""
    if answer.status_code == _FORBIDDEN:
        message = (
            f"{endpoint.host} answered {endpoint.name} with HTTP 403: this address is blocked, "
            "most likely for its country or hosting provider; run where Betfair may be used from. "
            f"The page says: {answer.excerpt() or 'nothing'}"
        )
        raise Blocked(message, endpoint=endpoint.name, host=endpoint.host, status_code=_FORBIDDEN)
    if answer.status_code == _DOWN:
        raise cannot_tell(endpoint, "it is down or overloaded (HTTP 503)", answer)
    if answer.status_code != _OK:
        raise cannot_tell(endpoint, f"HTTP {answer.status_code}", answer)
    fields = answer.json_object(secret=token_field)
    if fields is None:
        raise cannot_tell(endpoint, "an answer that is no JSON object", answer)
    # Anything may be where a code should be; what does not look like one says nothing.
    return {name: fields[name] for name in (token_field, *_CODES) if _may_be(fields.get(name))}


def _was_sent(answer: Answer, code: object) -> bool:
    """Tell whether a code repeats a secret of the request: a password may look like one."""
    return any(each.reveal() == code for each in answer.sent)


def _may_be(value: object) -> bool:
    """Tell whether a value is a wrapped token, or looks like a code, which may be shown."""
    return isinstance(value, Secret) or (
        isinstance(value, str) and _CODE.fullmatch(value) is not None
    )


def _new_token(endpoint: Endpoint, answer: Answer, value: object) -> Secret:
    token = _token(value)
    if token is None:
        raise cannot_tell(endpoint, "SUCCESS without a usable token", answer)
    return token


def _refused(
    endpoint: Endpoint, answer: Answer, status: str, given: Mapping[str, Secret]
) -> LoginRefused:
    from .login_status import describe

    meaning = describe(status)
    if meaning.login_class == "unknown" and _was_sent(answer, status):
        status = "UNKNOWN"
    suspects = {}
    if meaning.login_class in _MAY_BE_MISTYPED:
        suspects = {name: kind for name in given if (kind := odd(given[name]))}
    seen = "".join(f" The {name} given {ODD_WORDS[kind]}." for name, kind in suspects.items())
    return LoginRefused(
        f"Betfair refused the login: {status}.{seen} {meaning.hint}",
        status=status,
        login_class=meaning.login_class,
        suspects=suspects,
        endpoint=endpoint.name,
        host=endpoint.host,
        status_code=answer.status_code,
    )


def _token(value: object) -> Secret | None:
    """Return an answer's token if it is fit to be one."""
    return value if isinstance(value, Secret) and is_token(value.reveal()) else None
