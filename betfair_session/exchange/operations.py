"""The operations of the betting and account APIs, as far as a careful sender has to know them.

Sources: Betfair's pages on the Betting API and the Accounts API; for `customerRef` the one on
placeOrders.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from betfair_session.exceptions import ConfigurationError

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
    """One operation.

    Attributes:
        service: "betting" or "account", as in its URL.
        method: its full name, such as "SportsAPING/v1.0/listEventTypes".
        name: the last part of it.
    """

    service: str
    method: str
    name: str

    @property
    def path(self) -> str:
        """Where its REST form is, below the API's base."""
        return f"{self.service}/rest/v1.0/{self.name}/"


def find_operation(method: str) -> Operation:
    """Find the operation that a caller names.

    Args:
        method: in short, "listEventTypes", or in full, "SportsAPING/v1.0/listEventTypes". In short
            it belongs to the betting API, unless it is one of the well-known of the account API.

    Returns:
        The operation; whether Betfair knows it is not checked.

    Raises:
        ConfigurationError: it cannot be a method's name.
    """
    found = _METHOD.fullmatch(method) if isinstance(method, str) else None
    family, name = found.groups() if found else ("", "")
    family = family or ("AccountAPING" if name in _ACCOUNT else "SportsAPING")
    if not name or family not in _FAMILIES:
        message = f"{method!r} is no method such as listEventTypes or {'/…, '.join(_FAMILIES)}/…"
        raise ConfigurationError(message, argument="method")
    return Operation(_FAMILIES[family], f"{family}/v1.0/{name}", name)


def called(url: str, body: object) -> list[str]:
    """Tell which operations a request calls.

    Args:
        url: where it goes.
        body: what it carries.

    Returns:
        Their names without the family; [] where that cannot be told.
    """
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
    """Give placeOrders a customerRef, by which Betfair knows a repetition.

    Args:
        name: the operation's name.
        params: its parameters, a mapping.

    Returns:
        A copy of them; that of placeOrders has a customerRef.

    Raises:
        ConfigurationError: they are no mapping, or the caller's own is none that Betfair takes.
    """
    if not isinstance(params, Mapping):
        message = f"params must be a dict, not a {type(params).__name__}"
        raise ConfigurationError(message, argument="params")
    complete = dict(params)
    given = complete.get("customerRef")
    if name in ORDERS and given is not None:
        if not (isinstance(given, str) and _CUSTOMER_REF.fullmatch(given)):
            message = "customerRef must be 1 to 32 letters, digits or any of : - . _ + * ; ~"
            raise ConfigurationError(message, argument="customerRef")
    elif name == "placeOrders":
        complete["customerRef"] = secrets.token_hex(16)
    return complete
