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
    """Tell whether decoded JSON, whatever it is, names an invalid session in any part of it."""
    parts = answer if isinstance(answer, list) else [answer]
    return any(_error_code(part) in _INVALID for part in parts)


def _error_code(part: object) -> str:
    """Return the errorCode of a JSON-RPC answer, REST fault or stream message; "" for none."""
    if not isinstance(part, dict):
        return ""
    named: object = part
    if part.get("op") != "status":
        error = part.get("error")
        detail = error.get("data") if isinstance(error, dict) else part.get("detail")
        detail = detail if isinstance(detail, dict) else {}
        member = detail.get("exceptionname")
        named = detail.get(member) if isinstance(member, str) else None
    code = named.get("errorCode") if isinstance(named, dict) else None
    return code if isinstance(code, str) else ""


def read_result(
    name: str, status_code: int, content: bytes, *, number: int | None, unknown: bool
) -> Any:  # noqa: ANN401 - JSON
    """Return the result in the answer to a call, or raise an ExchangeError.

    Args:
        name: the operation's name.
        status_code: the HTTP status.
        content: the body.
        number: the JSON-RPC call's; None for an answer of the REST form, which has none.
        unknown: whether the fate of another sending of the call is unknown.
    """
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if number is None:
        result, answered = answer, answer is not None and not _error_code(answer)
    else:
        if not isinstance(answer, dict) or answer.get("id") not in (None, number):
            answer = {}  # no answer, or another call's
        result, answered = answer.get("result"), "result" in answer
    if status_code != _OK or not answered:
        code = _code(answer)
        meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
        clear = f"was refused: {code}{meaning}"
        what = clear if code else f"had no clear answer: HTTP {status_code}"
    elif unknown and isinstance(result, dict) and result.get("status") == "FAILURE":
        code = _shown(result.get("errorCode"))
        what = f"was sent more than once, at last in vain ({code or 'FAILURE'})"
        if code == "DUPLICATE_TRANSACTION":
            what = "was sent more than once; an earlier sending arrived, and its report is lost"
    else:
        return result
    raise exchange_error(name, what, status_code=status_code, code=code, unknown=unknown)


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
    """
    if status_code is not None:
        no_api = not code and _REDIRECT <= status_code < _SERVER_ERROR
        unknown = unknown or not (code in _REFUSALS or no_api)
    landed = unknown and not only_read([name])
    if landed:
        what += "; it may have been carried out, so look before you repeat it"
    message = f"{name} {what}"
    return ExchangeError(message, method=name, code=code, status_code=status_code, landed=landed)


def _code(answer: object) -> str:
    """Return what a fault gives as its code: Betfair's own, or the framework's number."""
    code: object = _error_code(answer)
    if not code and isinstance(answer, dict):
        error = answer.get("error")
        code = error.get("message") if isinstance(error, dict) else answer.get("faultstring")
    return _shown(code)


def _shown(code: object) -> str:
    """Return what looks like a code; anything else is not to be shown."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
