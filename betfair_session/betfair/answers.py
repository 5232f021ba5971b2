"""What an answer of the identity service says, and that most say nothing.

"This token is dead" is a JSON object that came with HTTP status 200 and says FAIL with NO_SESSION
or INPUT_VALIDATION_ERROR. Everything else that is no success is IdentityUnavailable: "cannot tell".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from betfair_session.exceptions import Blocked, IdentityUnavailable, LoginRefused
from betfair_session.secret import ODD_WORDS, Secret, odd
from betfair_session.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .answer import Answer
    from .endpoint import Endpoint

_DEAD = frozenset({"NO_SESSION", "INPUT_VALIDATION_ERROR"})
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_OK, _FORBIDDEN, _DOWN = 200, 403, 503
_CODES = ("loginStatus", "status", "error")
_LIMITED = "LIMITED_ACCESS"
# What a blank or a quote in what was sent may explain.
_MAY_BE_MISTYPED = frozenset({"credentials", "certificate", "request"})


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
    raise cannot_tell(endpoint, f"FAIL, {error or 'no known error code'}", answer)


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
