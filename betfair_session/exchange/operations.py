"""The operations of the betting and account APIs, as far as a careful sender has to know them.

Sources: Betfair's pages on the Betting API and the Accounts API; for `customerRef` the one on
placeOrders.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from betfair_session.exceptions import ConfigurationError
from betfair_session.process import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDERS = frozenset({"placeOrders", "cancelOrders", "replaceOrders", "updateOrders"})
"""The operations that change orders."""

ORDER_SECONDS = 40.0
"""Seconds after its first sending in which an order call may be sent again.

Betfair drops a second placeOrders with the same customerRef for 60. The rest is for what may lie
between a decision to send and the arrival: name look-ups, connections, lost packets.
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


class Operation(NamedTuple):
    """One operation."""

    service: str  # "betting" or "account", as in its URL
    method: str  # its full name, such as "SportsAPING/v1.0/listEventTypes"
    name: str  # the last part of it


def find_operation(method: str) -> Operation:
    """Find what a caller names, in full, such as "SportsAPING/v1.0/listEventTypes", or in short.

    In short it belongs to the betting API, unless it is one of the well-known of the account API.
    Whether Betfair knows it is not checked. ConfigurationError: it cannot be a method's name.
    """
    found = _METHOD.fullmatch(method) if isinstance(method, str) else None
    family, name = found.groups() if found else ("", "")
    family = family or ("AccountAPING" if name in _ACCOUNT else "SportsAPING")
    if not name or family not in _FAMILIES:
        message = f"{method!r} is no method such as listEventTypes or {'/…, '.join(_FAMILIES)}/…"
        raise ConfigurationError(message, argument="method")
    return Operation(_FAMILIES[family], f"{family}/v1.0/{name}", name)


def called(url: str, body: object) -> list[str]:
    """Tell which operations a request calls, without the family; [] where that cannot be told."""
    rest = _REST.search(urlsplit(url).path)
    if rest:
        return [rest[1]]
    if not isinstance(body, str | bytes):
        return []
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []
    calls = content if isinstance(content, list) else [content]
    methods = [str(call.get("method", "")) if isinstance(call, dict) else "" for call in calls]
    return [method.rpartition("/")[2] for method in methods]


def only_read(names: Iterable[str]) -> bool:
    """Tell whether operations change nothing, so that they can be repeated; False for none."""
    names = list(names)
    return bool(names) and all(_READ.fullmatch(name) and name not in _CREATES for name in names)


def change_orders(names: Iterable[str]) -> bool:
    """Tell whether any of these operations changes orders."""
    return not ORDERS.isdisjoint(names)


def with_customer_ref(name: str, params: object) -> dict[str, Any]:
    """Return a copy of an operation's parameters; that of placeOrders has a customerRef.

    By that, Betfair knows a repetition. ConfigurationError: the parameters are no mapping, or the
    caller's own customerRef is none that Betfair takes.
    """
    if not isinstance(params, Mapping):
        message = f"params must be a dict, not a {type(params).__name__}"
        raise ConfigurationError(message, argument="params")
    complete = dict(params)
    given = complete.get("customerRef")
    if name == "placeOrders" and given is None:
        complete["customerRef"] = secrets.token_hex(16)
    fit = given is None or (isinstance(given, str) and _CUSTOMER_REF.fullmatch(given))
    if name in ORDERS and not fit:
        message = "customerRef must be 1 to 32 letters, digits or any of : - . _ + * ; ~"
        raise ConfigurationError(message, argument="customerRef")
    return complete
