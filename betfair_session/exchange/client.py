"""A small client of the betting and account APIs, on a requests.Session that is set up for them.

Calls have the forms of Betfair's pages on JSON-RPC and REST.
"""

from __future__ import annotations

import itertools
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from betfair_session.arguments import (
    checked_flag,
    checked_handle,
    checked_proxies,
    checked_seconds,
    checked_verify,
    https_base,
)
from betfair_session.betfair.answers import decoded, is_transient
from betfair_session.betfair.by_requests import OwnAdapter, OwnSession, blame_bundle, failure_of
from betfair_session.betfair.http import CONNECT_SECONDS, pause_before_next
from betfair_session.exceptions import BetfairSessionError, ExchangeError, LoginTimeout
from betfair_session.process import Closable, clocks
from betfair_session.process.causes import interruption, unless_interrupted
from betfair_session.process.threads import NoThreadError, OverrunError, run_until

from .auth import BetfairAuth, api_base, orders_sent_for
from .calls import (
    ORDER_SECONDS,
    ORDERS,
    called,
    encoded,
    exchange_error,
    find_operation,
    only_read,
    orders_in,
    read_result,
    rejected,
    was_not_placed,
    with_customer_ref,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest, Response

    from betfair_session.session import Session

_JSON = {"Content-Type": "application/json"}
_CONNECTIONS = 32  # kept for each host
_PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PIECE_BYTES = 16_384  # read between two checks of the deadline
_SHORTEST_SECONDS = 0.001  # urllib3 takes no time-out of 0
_SERVER_ERROR = 500


class Exchange(Closable):
    """Calls Betfair's betting and account APIs with a live session; safe to share between threads.

    Attributes:
        requests: a requests.Session for calls of your own. It signs them as BetfairAuth does,
            repeats those that only read, ignores .netrc, follows no redirect, and bounds a
            request that has no `timeout`. It raises requests' own exceptions.

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
            api_url: the API's base in place of the client's, such as
                "https://localhost:8443/exchange/".
            verify: True, or the path of a CA bundle to trust; None for what the session's client
                trusts. Verifying cannot be switched off.
            timeout: seconds that one call may take, its repetitions and renewals included.
            replay_orders: whether order calls, too, are ever sent again.
            proxies: as in requests; None takes the client's, or those of the environment.

        Raises:
            ConfigurationError: an argument that cannot work, or the client's `identity_url` is not
                Betfair's and no `api_url` is given, here or to the client.
        """
        client = checked_handle(session).client
        base = https_base(api_url, "", name="api_url") or api_base(client)
        self._base = base
        self._host = urlsplit(base).netloc
        self._timeout = checked_seconds(timeout)
        self._replays_orders = replay_orders  # BetfairAuth checks it
        self.requests = OwnSession(
            _ResendingAdapter(self._timeout),
            verify=client.verify if verify is None else checked_verify(verify),
            proxies=client.proxies if proxies is None else checked_proxies(proxies),
        )
        auth = BetfairAuth(session, hosts=[self._host], replay_orders=replay_orders)
        self.requests.auth, self._sign = auth, auth._signed  # noqa: SLF001 - for calls, with their orders
        self.requests.headers["Accept"] = "application/json"
        self._sent = orders_sent_for(session)
        # JSON-RPC ids: no answer on its connections is taken for that of another call. (Behind what
        # refuses to be pickled, as Python 3.12 warns of a counter.)
        self._numbers = itertools.count(1)

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        rest: bool = False,
        timeout: float | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Call one operation and return its result.

        When the connection breaks, or an answer has status 429 or 5xx, operations that only read
        (list…, get…) are sent up to three times, with growing pauses. So is placeOrders, unless
        `replay_orders` is False, always with the same `customerRef` (one is added if there is
        none): Betfair drops a repetition for 60 seconds. All others are sent once; so is an order
        whose `customerRef` this process sent for this account in the last two minutes, if that call
        may have been carried out. An invalid session is renewed as in `BetfairAuth`.

        Args:
            method: such as "listEventTypes", "getAccountFunds" or "SportsAPING/v1.0/placeOrders".
            params: the operation's parameters; not changed.
            rest: whether to use the REST form of the API instead of JSON-RPC.
            timeout: seconds in all; None for the Exchange's own. Order calls take 40 at most. A
                login that is under way then goes on, for the next call.

        Returns:
            The result, decoded from JSON. A report of bets that were not placed is a result, too.

        Raises:
            ConfigurationError: the method, a parameter or the customerRef cannot be sent.
            ExchangeError: Betfair refused the call, or gave no clear answer; if its `landed` is
                true, the call may have been carried out.
            SessionRejected: Betfair rejected the session again after its renewal.
            BetfairSessionError: there is no live session; as `SessionManager.get_session`. An
                ExchangeError if the call may have been carried out before.
        """
        service, method = find_operation(method)
        name = method.rpartition("/")[2]
        given = {} if params is None else params
        params = with_customer_ref(name, given)
        fresh = params.get("customerRef") != given.get("customerRef")
        seconds = checked_seconds(timeout, usual=self._timeout)
        if name in ORDERS:
            seconds = min(seconds, ORDER_SECONDS)
        number = None if checked_flag(rest, "rest") else next(self._numbers)
        body = encoded(method, params, number)
        path = f"rest/v1.0/{name}/" if rest else "json-rpc/v1"
        url = f"{self._base}{service}/{path}"
        reads = only_read([name])
        with self._sent.sending(orders_in(url, body)) as sending:
            repeated = sending.repeated  # if so, Betfair may soon forget the first
            resend = reads or (name == "placeOrders" and self._replays_orders and not repeated)
            budget: Any = _Budget(seconds, resend=resend)
            how = {"headers": _JSON, "timeout": budget, "auth": partial(self._sign, noted=sending)}
            send = partial(self.requests.post, url, data=body, **how)
            try:
                response = budget.spend_on(send)
            except (OverrunError, BetfairSessionError) as error:
                detail = f"it took longer than {seconds:.1f} s"
                over = isinstance(error, LoginTimeout) and budget.left() <= 0
                if not (over or isinstance(error, OverrunError)):
                    stands = not reads and (budget.lost or repeated)
                    if not stands or isinstance(error, ExchangeError):
                        raise
                    what = f"has no clear answer, and no session to repeat it with: {error}"
                    raise exchange_error(name, what, unknown=True) from error
                if not budget.lost:
                    what = f"was not sent: {detail} to get the session, or an earlier answer"
                    raise exchange_error(name, what, unknown=repeated) from None
            except unless_interrupted(Exception) as error:  # requests', or a tracing tool's
                detail = blame_bundle(self.requests.verify, failure_of(error)).detail
            else:
                known = {"unknown": budget.unknown > 0, "fresh": fresh, "repeated": repeated}
                result = read_result(name, response, number, **known)
                if sending.orders and was_not_placed(result):
                    self._sent.forget(sending)
                return result
            finally:
                budget.seconds = 0.0  # an interrupted call sends nothing later
            what = f"had no answer from {self._host}: {detail}"
            raise exchange_error(name, what, unknown=budget.lost > 0 or repeated)

    def close(self) -> None:
        """Close the connections; the Exchange can be used again afterwards."""
        self.requests.close()

    def __repr__(self) -> str:
        return f"Exchange({self._base!r})"


class _Budget:
    """The time left for one call, and how many of its sendings have an unknown outcome.

    It is given to requests as the `timeout`, which is also passed on when BetfairAuth replays the
    request. So all sendings of one call share it.
    """

    def __init__(self, seconds: float, *, resend: bool) -> None:
        self._began = clocks.now()
        self.seconds = seconds  # from now; nothing is sent after them
        self.resend = resend  # whether it may be sent again when the outcome is unknown
        self.unknown = 0  # sendings under way, without an answer, or with an unclear one
        self.answer: Response | None = None  # to the last sending
        self.lost = 0  # what `unknown` was when the call failed

    def left(self) -> float:
        return self.seconds - clocks.passed(self._began)

    def spend_on(self, send: Callable[[], Response]) -> Response:
        """Return what `send` returns in time, or the answer if something after that is late.

        Or if it fails, such as a hook, or a tool that wraps requests. A rejection is no answer.
        """
        try:
            # In that thread's context alone: an interruption could leave it set in this one.
            bounded: Callable[[], Response] = clocks.bounded(self.left)(send)
            return run_until(time.monotonic() + self.seconds, bounded, may_log_in=True)
        except Exception as error:
            # In this order, as the thread that sends notes an answer before it counts it as known.
            self.lost, answer = self.unknown, self.answer
            if interruption(error) or answer is None or rejected(decoded(answer.content)):
                raise
            return answer


class _ResendingAdapter(OwnAdapter):
    """Sends calls that may be repeated up to three times, with growing pauses; all others once.

    A call is repeated when no answer came, or one with status 429 or 5xx. urllib3's Retry knows
    neither the time that is left nor whether an earlier sending may have arrived.
    """

    def __init__(self, seconds: float) -> None:
        """Prepare; all attempts for one request together may take that many seconds."""
        super().__init__(connections=_CONNECTIONS)
        self._seconds = seconds

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # type: ignore[override] # noqa: ANN401 - requests gives them by name
        """Send a request; see HTTPAdapter. The `timeout` may be a _Budget."""
        timeout, body = settings.pop("timeout", None), request.body
        if isinstance(timeout, _Budget):
            return self._attempt(request, timeout, settings)
        # Any other body is used up by the first attempt.
        reads = isinstance(body, str | bytes | None) and (
            request.method in {"GET", "HEAD"} or only_read(called(request.url or "", body))
        )
        if timeout:  # the caller's own
            budget = _Budget(math.inf, resend=reads)
            return self._attempt(request, budget, {**settings, "timeout": timeout})
        budget = _Budget(self._seconds, resend=reads)
        try:
            return budget.spend_on(partial(self._attempt, request, budget, settings))
        except OverrunError:
            raise requests.Timeout("the answer took too long", request=request) from None
        except NoThreadError as error:
            raise requests.ConnectionError(error, request=request) from None
        finally:
            budget.seconds = 0.0

    def _attempt(
        self, request: PreparedRequest, budget: _Budget, settings: dict[str, Any]
    ) -> Response:
        for attempt in itertools.count(1):
            # Count before the pool checks the time: if a caller gives up and finds nothing counted,
            # then nothing will be sent later.
            budget.unknown, budget.answer = budget.unknown + 1, None
            left = max(budget.left(), _SHORTEST_SECONDS)
            bounds = settings.get("timeout") or (min(CONNECT_SECONDS, left), left)
            try:
                response = super().send(request, **{**settings, "timeout": bounds})
                if not settings.get("stream"):
                    _read(response, budget)  # a broken body is a failed attempt, too
            except OSError as error:  # requests' own, or that of a CA bundle
                budget.unknown -= not failure_of(error).sent
                again = isinstance(error, _PASSING) and not interruption(error)
                if not (budget.resend and again and pause_before_next(attempt, budget.left())):
                    raise
            else:
                budget.answer = response
                budget.unknown -= response.status_code < _SERVER_ERROR
                again = budget.resend and is_transient(response.status_code)
                if not (again and pause_before_next(attempt, budget.left())):
                    break
                response.close()
        return response


def _read(response: Response, budget: _Budget) -> None:
    """Read an answer's body as `content`, and stop when the time is over."""
    pieces = []
    for piece in response.iter_content(_PIECE_BYTES):
        pieces.append(piece)
        if budget.left() <= 0:
            response.close()
            raise requests.Timeout("the answer took too long")
    response._content = b"".join(pieces)  # noqa: SLF001 - where requests keeps it
