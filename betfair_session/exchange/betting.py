"""What the betting API says about a session.

The number -32099 alone says nothing: NO_APP_KEY, and every other error of the API, has it as well.
What counts is the errorCode inside. Source: Betfair's pages on errors of the Betting, Accounts and
Stream APIs; INVALID_SESSION_TOKEN appears in their prose only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from betfair_session.exceptions import ConfigurationError

if TYPE_CHECKING:
    import requests

    Answer: TypeAlias = "requests.Response | str | bytes | bytearray | dict[str, Any] | list[Any]"

_INVALID = frozenset({"INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"})


class _NoAnswerError(ConfigurationError, TypeError):
    """An argument that cannot be an answer."""


def session_is_invalid(answer: Answer) -> bool:
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


def _text(value: Any) -> str:  # noqa: ANN401 - it comes from outside
    return value if isinstance(value, str) else ""
