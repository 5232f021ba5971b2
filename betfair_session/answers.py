"""What an answer of the identity service says, and that most say nothing.

"This token is dead" is a JSON object that came with HTTP status 200 and says FAIL with NO_SESSION
or INPUT_VALIDATION_ERROR. Everything else that is no success is IdentityUnavailable: "cannot tell".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .exceptions import Blocked, IdentityUnavailable, LoginRefused
from .secret import Secret
from .tokens import is_token

if TYPE_CHECKING:
    from .transport import Answer

_DEAD = frozenset({"NO_SESSION", "INPUT_VALIDATION_ERROR"})
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_OK, _FORBIDDEN, _TOO_MANY, _SERVER_ERROR = 200, 403, 429, 500


@dataclass(frozen=True)
class Endpoint:
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
        return urlsplit(self.base).netloc


def is_passing(answer: Answer) -> bool:
    """Tell whether an HTTP status may be another one a moment later: 429 and 5xx."""
    return answer.status_code == _TOO_MANY or answer.status_code >= _SERVER_ERROR


def read_login(endpoint: Endpoint, answer: Answer) -> Secret:
    """Read the answer of certlogin.

    Returns:
        The new token.

    Raises:
        LoginRefused: a status other than SUCCESS, known or not.
        IdentityUnavailable: no clear answer.
    """
    fields = _fields(endpoint, answer, token_field="sessionToken")  # noqa: S106 - a field's name
    status = fields.get("loginStatus")
    if status == "SUCCESS":
        token = _token(fields.get("sessionToken"))
        if token is None:
            raise cannot_tell(endpoint, "SUCCESS without a usable token", answer)
        return token
    if not isinstance(status, str) or not _CODE.fullmatch(status):
        raise cannot_tell(endpoint, "an answer without a loginStatus", answer)
    from .login_status import describe

    meaning = describe(status)
    message = f"Betfair refused the login: {status}. {meaning.hint}"
    raise LoginRefused(
        message,
        status=status,
        login_class=meaning.login_class,
        endpoint=endpoint.name,
        host=endpoint.host,
        status_code=answer.status_code,
    )


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
    code = error if isinstance(error, str) and _CODE.fullmatch(error) else "no known error code"
    raise cannot_tell(endpoint, f"FAIL, {code}", answer)


def cannot_tell(endpoint: Endpoint, what: str, answer: Answer | None = None) -> IdentityUnavailable:
    """Make the error for anything that is not a verdict."""
    message = f"Betfair gave no verdict on {endpoint.name} at {endpoint.host}: {what}"
    return IdentityUnavailable(
        message,
        endpoint=endpoint.name,
        host=endpoint.host,
        status_code=answer.status_code if answer else None,
    )


def _fields(endpoint: Endpoint, answer: Answer, *, token_field: str) -> dict[str, Any]:
    """Return the JSON object of an HTTP 200, the only kind of answer that says anything."""
    if answer.status_code == _FORBIDDEN:
        message = (
            f"{endpoint.host} answered {endpoint.name} with HTTP 403: this address is blocked, "
            "most likely for its country or hosting provider; run where Betfair may be used from"
        )
        raise Blocked(message, endpoint=endpoint.name, host=endpoint.host, status_code=_FORBIDDEN)
    if answer.status_code != _OK:
        raise cannot_tell(endpoint, f"HTTP {answer.status_code}", answer)
    fields = answer.json_object(secret=token_field)
    if fields is None:
        raise cannot_tell(endpoint, "an answer that is no JSON object", answer)
    return fields


def _token(value: object) -> Secret | None:
    """Return an answer's token if it is fit to be one."""
    return value if isinstance(value, Secret) and is_token(value.reveal()) else None
