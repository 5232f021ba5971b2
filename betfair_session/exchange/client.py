"""A small way to call the betting and account APIs, and a requests.Session that is ready for it.

The forms of calls and answers are those of Betfair's pages on JSON-RPC, REST and exceptions.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from betfair_session.arguments import (
    checked_handle,
    checked_proxies,
    checked_seconds,
    checked_verify,
    https_base,
)
from betfair_session.betfair.jurisdictions import is_betfairs
from betfair_session.betfair.network import describe
from betfair_session.betfair.own_requests import OwnSession
from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process.closing import Closable
from betfair_session.process.threads import OverrunError, interruption, run_until

from .auth import BetfairAuth
from .operations import (
    ORDER_SECONDS,
    ORDERS,
    Operation,
    find_operation,
    only_read,
    with_customer_ref,
)
from .resending import Budget, ResendingAdapter
from .results import exchange_error, read_result

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import requests

    from betfair_session.session import Session


_NUMBERS = itertools.count(1)
"""Each call has its own, so that no answer is taken for another's."""


class Exchange(Closable):
    """Calls Betfair's betting and account APIs with a live session; safe to share between threads.

    Attributes:
        requests: a requests.Session to send calls of one's own with. It signs them as BetfairAuth
            does, sends again those that only read, trusts no .netrc, follows no redirect, and
            bounds a request that names no `timeout`. Its exceptions are requests' own.

    Example:
        >>> with Exchange(manager.session("tokens", "session.token")) as exchange:  # doctest: +SKIP
        ...     exchange.call("listEventTypes", {"filter": {}})
    """

    def __init__(
        self,
        session: Session,
        *,
        api_url: str | None = None,
        verify: bool | str | os.PathLike[str] | None = None,
        timeout: float = 20.0,
        replay_orders: bool = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing is opened or sent yet.

        Args:
            session: the handle of the token, from `SessionManager.session`.
            api_url: the API's base in place of the jurisdiction's, such as
                "https://localhost:8443/exchange/". It has to be named if the client's
                `identity_url` is not Betfair's.
            verify: True, or the path of a CA bundle to trust; None for what the session's client
                trusts. It cannot be switched off.
            timeout: seconds that one call may take, its repetitions and renewals included.
            replay_orders: whether order calls are sent once more after an invalid session, too.
            proxies: as in requests; None takes them from the environment.

        Raises:
            ConfigurationError: an argument that cannot work.
        """
        client = checked_handle(session).client
        api_host = client.jurisdiction.api_host
        if not (api_url or is_betfairs(urlsplit(client.identity_url).hostname or "")):
            message = (
                "name api_url, since the client's identity_url is not Betfair's: a session from "
                f"there is not for {api_host}"
            )
            raise ConfigurationError(message)
        self._base = https_base(api_url or f"https://{api_host}/exchange/", name="api_url")
        self._host = urlsplit(self._base).netloc
        self._timeout = checked_seconds(timeout)
        self.requests = OwnSession(
            ResendingAdapter(timeout),
            verify=client.verify if verify is None else checked_verify(verify),
            proxies=checked_proxies(proxies),
        )
        self.requests.auth = BetfairAuth(session, hosts=[self._host], replay_orders=replay_orders)
        self.requests.headers["Accept"] = "application/json"

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        rest: bool = False,
        timeout: float | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Call one operation and return its result.

        Operations that only read (list…, get…) are sent up to three times, with growing pauses,
        when no answer comes or one with status 429 or 5xx. So is placeOrders, always with the same
        `customerRef`, by which Betfair drops a repetition for 60 seconds; one is added when there
        is none. All others are sent once. An invalid session is renewed as in `BetfairAuth`.

        Args:
            method: such as "listEventTypes", "getAccountFunds" or "SportsAPING/v1.0/placeOrders".
            params: the operation's parameters; left as they are.
            rest: whether to use the REST form of the API instead of JSON-RPC.
            timeout: seconds in all; None for the Exchange's own. Order calls take 40 at most.

        Returns:
            The result, decoded from JSON. A report of bets that were not placed is a result, too.

        Raises:
            ConfigurationError: a method, parameter or customerRef that cannot be.
            ExchangeError: Betfair refused the call, or gave no clear answer.
            SessionRejected: Betfair rejected the session again after its renewal.
            BetfairSessionError: there is no live session; as `SessionManager.get_session`. An
                ExchangeError when bets may stand all the same.
        """
        operation = find_operation(method)
        name = operation.name
        params = with_customer_ref(name, {} if params is None else params)
        seconds = self._timeout if timeout is None else checked_seconds(timeout)
        if name in ORDERS:
            seconds = min(seconds, ORDER_SECONDS)
        number = next(_NUMBERS)
        body = _encoded(params if rest else _envelope(operation, params, number))
        path = operation.path if rest else f"{operation.service}/json-rpc/v1"
        reads = only_read([name])
        budget = Budget(seconds, resend=reads or name == "placeOrders")
        try:
            end = time.monotonic() + seconds
            response = run_until(end, lambda: self._post(path, body, budget))
        except OverrunError:
            detail = f"it took longer than {seconds:.1f} s"
        except BetfairSessionError as error:
            if reads or not budget.unknown:
                raise
            what = f"had no answer from {self._host}, nor a session to repeat it with: {error}"
            raise exchange_error(name, what, unknown=True) from error
        except Exception as error:  # requests' own, or a tracer's, say, of any kind
            if interruption(error):
                raise
            detail = describe(error)
        else:
            unknown = budget.unknown > 0
            content = response.content
            asked = None if rest else number
            return read_result(name, response.status_code, content, number=asked, unknown=unknown)
        finally:
            budget.seconds = 0.0  # whoever was interrupted here has nothing sent later
        what = f"had no answer from {self._host}: {detail}"
        raise exchange_error(name, what, unknown=budget.unknown > 0)

    def close(self) -> None:
        """Close the connections; the Exchange can be used again afterwards."""
        self.requests.close()

    def __repr__(self) -> str:
        return f"Exchange({self._base!r})"

    def _post(self, path: str, body: bytes, budget: Budget) -> requests.Response:
        timeout: Any = budget
        return self.requests.post(
            self._base + path,
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=timeout,
            allow_redirects=False,
        )


def _envelope(operation: Operation, params: dict[str, Any], number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": operation.method, "params": params, "id": number}


def _encoded(content: dict[str, Any]) -> bytes:
    try:
        return json.dumps(content, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        message = "params must be what JSON can hold"
    raise ConfigurationError(message)
