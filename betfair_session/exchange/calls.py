"""Which calls of the betting and account APIs may be repeated, and what their answers say.

The number -32099 alone says nothing: every error of the API has it, also NO_APP_KEY. What counts is
the errorCode inside. Sources: Betfair's pages on the Betting, Accounts and Stream APIs, on JSON-RPC
and REST, and for `customerRef` on placeOrders; INVALID_SESSION_TOKEN appears in their prose only.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from betfair_session.arguments import refuse
from betfair_session.betfair.answers import decoded
from betfair_session.exceptions import ConfigurationError, ExchangeError
from betfair_session.process import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests

ORDERS = frozenset({"placeOrders", "cancelOrders", "replaceOrders", "updateOrders"})
"""The operations that change orders."""

ORDER_SECONDS = 40.0
"""An order call may be sent again within this many seconds after its first sending.

For 60 seconds Betfair drops a second placeOrders with the same customerRef. The difference allows
for what may delay its arrival: name look-ups, connections, lost packets.
"""

_FAMILIES = {"SportsAPING": "betting", "AccountAPING": "account"}
_ACCOUNT = frozenset(
    {
        "createDeveloperAppKeys",
        "getAccountDetails",
        "getAccountFunds",
        "getAccountStatement",
        "getDeveloperAppKeys",
        "getVendorClientId",
        "listCurrencyRates",
    }
)
_METHOD = re.compile(r"(?:(\w+)/v1\.0/)?([A-Za-z]+)", re.ASCII)
_REST = re.compile(r"/rest/v1(?:\.0)?/(\w+)/?$", re.ASCII)
_READ = re.compile(r"(list|get)[A-Z]\w*", re.ASCII)
_CREATES = frozenset({"getApplicationSubscriptionToken"})  # in spite of its name
_CUSTOMER_REF = re.compile(r"[A-Za-z0-9:\-._+*;~]{1,32}")
_INVALID = frozenset({"INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"})
_CODE = re.compile(r"[A-Z][A-Z0-9_-]{0,63}", re.ASCII)
_OK, _REDIRECT, _SERVER_ERROR = 200, 300, 500
_DUPLICATE = "DUPLICATE_TRANSACTION"

# Codes of calls that Betfair refused without carrying anything out.
_REFUSALS = _INVALID | {
    "ACCESS_DENIED",
    "INVALID_APP_KEY",
    "INVALID_INPUT_DATA",
    "INVALID_JSON",
    "NO_APP_KEY",
    "REQUEST_SIZE_EXCEEDS_LIMIT",
    "TOO_MANY_REQUESTS",
    "TOO_MUCH_DATA",
    # The API framework's own: what was sent is no valid call of a known operation, or its caller
    # is not let in (the app key is unknown, not active, or not for this operation).
    "DSC-0008",
    "DSC-0009",
    "DSC-0018",
    "DSC-0021",
    "DSC-0034",
    "DSC-0035",
    "DSC-0036",
    "DSC-0037",
    "DSC-0038",
}
_MEANINGS = {
    "DSC-0009": "a parameter of a wrong type",
    "DSC-0018": "a parameter is missing",
    "DSC-0021": "no such operation",
}


def find_operation(method: str) -> tuple[str, str]:
    """Find an operation by its name, short or full, as in "SportsAPING/v1.0/listEventTypes".

    A short name belongs to the betting API unless it is a known one of the account API. Whether
    Betfair has the operation is not checked. ConfigurationError: it cannot be a method's name.

    Returns:
        The service as in its URL, "betting" or "account", and the full name.
    """
    found = _METHOD.fullmatch(method) if isinstance(method, str) else None
    family, name = found.groups() if found else ("", "")
    family = family or ("AccountAPING" if name in _ACCOUNT else "SportsAPING")
    if not name or family not in _FAMILIES:
        known = "/…, ".join(_FAMILIES)
        refuse("method", f"{method!r} is not a method such as listEventTypes or {known}/…")
    return _FAMILIES[family], f"{family}/v1.0/{name}"


def called(url: str, body: object) -> list[str]:
    """Return the short names of the operations that a request calls; [] or "" if unknown."""
    return [name for name, _ in _calls(url, body)]


def orders_in(url: str, body: object) -> list[tuple[str, str]]:
    """Return operation and customerRef of each order that a request sends, if it has one."""
    sent = [(name, params.get("customerRef")) for name, params in _calls(url, body)]
    return [(name, str(ref)) for name, ref in sent if name in ORDERS and isinstance(ref, str | int)]


def _calls(url: str, body: object) -> list[tuple[str, dict[str, Any]]]:
    """Return the short names and the parameters of the operations that a request calls."""
    rest = _REST.search(urlsplit(url).path)
    content = decoded(body) if isinstance(body, str | bytes) else []
    if rest:
        return [(rest[1], content if isinstance(content, dict) else {})]
    calls = content if isinstance(content, list) else [content]
    found = []
    for call in [call if isinstance(call, dict) else {} for call in calls]:
        params = call.get("params")
        name = str(call.get("method", "")).rpartition("/")[2]
        found.append((name, params if isinstance(params, dict) else {}))
    return found


def only_read(names: Iterable[str]) -> bool:
    """Return whether operations only read, so that they can be repeated; False for none."""
    names = list(names)
    return bool(names) and all(_READ.fullmatch(name) and name not in _CREATES for name in names)


def with_customer_ref(name: str, params: object) -> dict[str, Any]:
    """Return a copy of an operation's parameters; placeOrders gets a customerRef if it has none.

    By that, Betfair recognises a repetition. ConfigurationError: the parameters are no mapping, or
    the caller's own customerRef is not one that Betfair accepts.
    """
    if not isinstance(params, Mapping):
        refuse("params", f"params must be a dict, not a {type(params).__name__}")
    complete = dict(params)
    given = complete.get("customerRef")
    if name == "placeOrders" and given is None:
        complete["customerRef"] = secrets.token_hex(16)
    fit = given is None or (isinstance(given, str) and _CUSTOMER_REF.fullmatch(given))
    if name in ORDERS and not fit:
        name = "customerRef"
        refuse(name, f"{name} must be 1 to 32 letters, digits or any of : - . _ + * ; ~")
    return complete


def encoded(method: str, params: dict[str, Any], number: int | None) -> bytes:
    """Return a call's body, in the form of JSON-RPC, or of REST if `number` is None."""
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": number}
    try:
        return json.dumps(params if number is None else call, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        message = "params cannot be encoded as JSON"
    raise ConfigurationError(message, argument="params")


class Response(Protocol):
    """A Response of requests or of httpx, for type checkers."""

    @property
    def content(self) -> bytes:
        """The body."""


class _NoAnswerError(ConfigurationError, TypeError):
    """An argument that cannot be an answer."""


def session_is_invalid(
    answer: Response | str | bytes | bytearray | dict[str, Any] | list[Any],
) -> bool:
    """Return whether an answer from Betfair says that the session is invalid.

    Args:
        answer: what came back: a Response of requests or httpx, its text or bytes, or the decoded
            JSON of a JSON-RPC answer (single or a batch), a REST fault, or a stream's status
            message.

    Returns:
        True when any part of it names an invalid session; False for everything else, junk included.

    Raises:
        ConfigurationError: it is none of these, such as None or an exception (also a TypeError).
    """
    content = getattr(answer, "content", answer)
    if isinstance(content, str | bytes | bytearray):
        return bool(rejected(decoded(content)))
    if not isinstance(answer, dict | list):
        kind = type(answer).__name__
        del answer, content  # so that no traceback shows them
        message = f"answer must be a Response, text, bytes, or its decoded dict or list, not {kind}"
        raise _NoAnswerError(message, argument="answer")
    return bool(rejected(answer))


def rejected(answer: object) -> Literal["", "partly", "wholly"]:
    """Return whether decoded JSON names an invalid session: for a whole batch, or a part of it."""
    parts = answer if isinstance(answer, list) else [answer]
    found = [_error_code(part) in _INVALID for part in parts]
    return ("wholly" if all(found) else "partly") if any(found) else ""


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


def was_not_placed(report: Mapping[str, Any]) -> bool:
    """Return whether Betfair's report of an order says that no call has placed a bet."""
    return report["status"] == "FAILURE" and report.get("errorCode") != _DUPLICATE


def read_result(
    name: str,
    response: requests.Response,
    number: int | None,
    *,
    unknown: bool,
    fresh: bool,
    repeated: bool,
) -> Any:  # noqa: ANN401 - JSON
    """Return the result in the answer to a call, or raise an ExchangeError.

    `number` is the JSON-RPC id, None for REST; `unknown`: whether a sending had no clear answer;
    `fresh`: whether its customerRef was made for this very call; `repeated`: whether an earlier
    call sent it, and may have been carried out.
    """
    answer, status_code = decoded(response.content), response.status_code
    if number is None:
        result, answered = answer, answer is not None and not _error_code(answer)
    else:
        if not isinstance(answer, dict) or answer.get("id") not in (None, number):
            answer = {}  # no answer, or another call's
        result, answered = answer.get("result"), "result" in answer
    status = result.get("status") if isinstance(result, dict) else None
    failed = status == "FAILURE" and _shown(result.get("errorCode"))
    answered = answered and (name not in ORDERS or isinstance(status, str))  # as all reports have
    if status_code != _OK or not answered:
        code = _code(answer)
        meaning = f" ({_MEANINGS[code]})" if code in _MEANINGS else ""
        clear = f"was refused: {code}{meaning}"
        what = clear if code else f"had no clear answer: HTTP {status_code}"
    elif failed is not False and (unknown or (fresh if failed == _DUPLICATE else repeated)):
        code = failed
        what = f"was sent more than once, and the last sending failed ({code or 'FAILURE'})"
        if code == _DUPLICATE:
            what = "was sent more than once; an earlier sending arrived, and its report is lost"
    else:
        return result
    unknown = unknown or repeated
    raise exchange_error(name, what, status_code=status_code, code=code, unknown=unknown)


def exchange_error(
    name: str, what: str, *, unknown: bool, status_code: int | None = None, code: str = ""
) -> ExchangeError:
    """Make the error for a call without a result; `unknown` as in `read_result`."""
    if status_code is not None:
        no_api = not code and _REDIRECT <= status_code < _SERVER_ERROR
        unknown = unknown or not (code in _REFUSALS or no_api)
    landed = unknown and not only_read([name])
    if landed:
        what += "; it may have been carried out, so look before you repeat it"
    message = f"{name} {what}"
    return ExchangeError(message, method=name, code=code, status_code=status_code, landed=landed)


def _code(answer: object) -> str:
    """Return a fault's code: Betfair's errorCode, or else the API framework's own."""
    code: object = _error_code(answer)
    if not code and isinstance(answer, dict):
        error = answer.get("error")
        code = error.get("message") if isinstance(error, dict) else answer.get("faultstring")
    return _shown(code)


def _shown(code: object) -> str:
    """Return a code that looks like one, else "": anything may stand in its place."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
