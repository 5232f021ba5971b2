"""What an answer of the betting and account APIs says: a result, an error, an invalid session.

The number -32099 alone says nothing: NO_APP_KEY, and every other error of the API, has it as well.
What counts is the errorCode inside. Source: Betfair's pages on JSON-RPC, REST, and the errors of
the Betting, Accounts and Stream APIs; INVALID_SESSION_TOKEN appears in their prose only.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from betfair_session.exceptions import ConfigurationError, ExchangeError

from .operations import only_read

if TYPE_CHECKING:
    import requests

_INVALID = frozenset({"INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"})
_CODE = re.compile(r"[A-Z][A-Z0-9_-]{0,63}", re.ASCII)
_OK, _REDIRECT, _SERVER_ERROR = 200, 300, 500
_DUPLICATE = "DUPLICATE_TRANSACTION"

# Codes of calls that were turned away before anything was done.
_REFUSALS = _INVALID | {
    "ACCESS_DENIED",
    "INVALID_APP_KEY",
    "INVALID_INPUT_DATA",
    "INVALID_JSON",
    "NO_APP_KEY",
    "REQUEST_SIZE_EXCEEDS_LIMIT",
    "TOO_MANY_REQUESTS",
    "TOO_MUCH_DATA",
    # The framework's: what was sent is no call of a known operation.
    "DSC-0008",
    "DSC-0009",
    "DSC-0018",
    "DSC-0021",
}
_MEANINGS = {
    "DSC-0009": "a parameter of a wrong type",
    "DSC-0018": "a parameter is missing",
    "DSC-0021": "no such operation",
}


class _NoAnswerError(ConfigurationError, TypeError):
    """An argument that cannot be an answer."""


def session_is_invalid(
    answer: requests.Response | str | bytes | bytearray | dict[str, Any] | list[Any],
) -> bool:
    """Tell whether an answer of Betfair's says that the session is invalid.

    Args:
        answer: what came back: a requests.Response, its text or bytes, or the decoded JSON of a
            JSON-RPC answer (single or a batch), a REST fault, or a stream's status message.

    Returns:
        True when any part of it names an invalid session; False for everything else, junk included.

    Raises:
        ConfigurationError: it is none of these, such as None or an exception (it is a TypeError).
    """
    content = getattr(answer, "content", answer)  # a response's; httpx has it as well
    if isinstance(content, str | bytes | bytearray):
        try:
            return names_invalid_session(json.loads(content))
        except (ValueError, RecursionError):
            return False
    if not isinstance(answer, dict | list):
        kind = type(answer).__name__
        del answer, content  # which no traceback is to show
        message = f"an answer is a Response, text, bytes, or the dict or list in it, not {kind}"
        raise _NoAnswerError(message, argument="answer")
    return names_invalid_session(answer)


def names_invalid_session(answer: object) -> bool:
    """Tell whether decoded JSON names an invalid session.

    Args:
        answer: the JSON, whatever it is.

    Returns:
        True when any part of it does.
    """
    if isinstance(answer, list):
        return any(error_code(part) in _INVALID for part in answer)
    return error_code(answer) in _INVALID


def error_code(part: object) -> str:
    """Return the errorCode of one answer.

    Args:
        part: a decoded JSON-RPC answer, REST fault or stream message.

    Returns:
        The code, such as "TOO_MUCH_DATA"; "" where there is none.
    """
    if not isinstance(part, dict):
        return ""
    if part.get("op") == "status":
        return _text(part.get("errorCode"))
    error = part.get("error")
    detail = error.get("data") if isinstance(error, dict) else part.get("detail")
    if not isinstance(detail, dict):
        return ""
    named = detail.get(_text(detail.get("exceptionname")))
    return _text(named.get("errorCode")) if isinstance(named, dict) else ""


def read_result(
    name: str, status_code: int, content: bytes, *, number: int | None, unknown: bool
) -> Any:  # noqa: ANN401 - JSON
    """Read the answer to a call.

    Args:
        name: the operation's name.
        status_code: the HTTP status.
        content: the body.
        number: the JSON-RPC call's; None for an answer of the REST form, which has none.
        unknown: whether the call was sent more than once, and the fate of a sending is unknown.

    Returns:
        The operation's result.

    Raises:
        ExchangeError: it says anything else.
    """
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if number is None:
        answered = answer is not None and not error_code(answer)
    else:
        if isinstance(answer, dict) and answer.get("id") not in (None, number):
            answer = None  # it is another call's
        answered = isinstance(answer, dict) and "result" in answer
    if status_code == _OK and answered:
        result = answer if number is None else answer["result"]
        report = result if isinstance(result, dict) else {}
        if not (unknown and report.get("status") == "FAILURE"):
            return result
        code = _shown(report.get("errorCode"))
        what = (
            "was sent more than once; an earlier sending arrived, and its report is lost"
            if code == _DUPLICATE
            else f"was sent more than once, at last in vain ({code or 'FAILURE'})"
        )
    else:
        code = _code(answer)
        meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
        what = (
            f"was refused: {code}{meaning}" if code else f"had no clear answer: HTTP {status_code}"
        )
    raise exchange_error(name, what, status_code=status_code, code=code or "", unknown=unknown)


def exchange_error(
    name: str, what: str, *, unknown: bool, status_code: int | None = None, code: str = ""
) -> ExchangeError:
    """Make the error for a call without a result.

    Args:
        name: the operation's name.
        what: what came of it, without secrets.
        unknown: whether the fate of a sending is unknown.
        status_code: the HTTP status; None when there was no answer.
        code: the API's code, or "".

    Returns:
        The error to raise.
    """
    turned_away = code in _REFUSALS or (
        not code and status_code is not None and _REDIRECT <= status_code < _SERVER_ERROR
    )
    answered = status_code is not None
    landed = (unknown or (answered and not turned_away)) and not only_read([name])
    if landed:
        what += "; it may have been carried out, so look before you repeat it"
    message = f"{name} {what}"
    return ExchangeError(message, method=name, code=code, status_code=status_code, landed=landed)


def _code(answer: object) -> str:
    """Return what a fault gives as its code: Betfair's own, or the framework's number."""
    code: object = error_code(answer)
    if not code and isinstance(answer, dict):
        error = answer.get("error")
        code = error.get("message") if isinstance(error, dict) else answer.get("faultstring")
    return _shown(code)


def _shown(code: object) -> str:
    """Return what looks like a code; anything else is not to be shown."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
