"""requests authentication for calls of Betfair's API.

    requests.post(url, json=call, auth=BetfairAuth(manager.session("tokens", "session.token")))

The headers are those of Betfair's page on calling its API: X-Application and X-Authentication.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from requests.auth import AuthBase

from betfair_session.arguments import checked_flag, checked_handle, refuse
from betfair_session.betfair.answers import decoded
from betfair_session.betfair.jurisdictions import JURISDICTIONS
from betfair_session.exceptions import BetfairSessionError, ExchangeError, SessionRejected
from betfair_session.process import ForkSafeLock, NamedTuple, clocks
from betfair_session.secret import Secret, SecretHeader

from .calls import (
    ORDER_SECONDS,
    ORDERS,
    called,
    exchange_error,
    orders_in,
    rejected,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from requests import PreparedRequest, Response

    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.process.clocks import Times
    from betfair_session.session import Session

API_HOSTS = frozenset(
    {
        *(place.api_host for place in JURISDICTIONS.values()),
        # betfairlightweight asks these for the navigation menu.
        "api.betfair.es",
        "api.betfair.it",
    }
)
"""The hosts that may get a token of Betfair's unless the caller names others."""

_APPLICATION, _AUTHENTICATION = "X-Application", "X-Authentication"
_HOST = re.compile(r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?", re.ASCII)
# Betfair drops a repetition for 60; the last sending may leave 40 later, and arrive late.
_REF_SECONDS = 120.0
_LONG_SECONDS = 2.0  # to get the session: a caller that repeats an order does not reckon with it
_BAD_REQUEST = 400
_SHORT = 65_536  # bytes; no rejection is longer, so a longer streamed answer is not read


class Noted(NamedTuple):
    """Orders that one call sends, each as operation and customerRef."""

    orders: list[tuple[str, str]]
    at: Times
    first: Times  # the same, or when an earlier call sent one of them, which may stand

    @property
    def repeated(self) -> bool:
        """Whether an earlier call, or one under way, may have placed one of them."""
        return self.first is not self.at

    def check_age(self, began: Times) -> None:
        """Raise ExchangeError if they may stand, and a session asked for at `began` comes late."""
        old = self.repeated and clocks.passed(self.first) >= ORDER_SECONDS
        if old and clocks.passed(began) >= _LONG_SECONDS:
            names = ", ".join(name for name, _ in self.orders)
            what = "was not sent again, since getting the session took too long"
            raise exchange_error(names, what, unknown=True)


class SentOrders:
    """The orders that were sent in the last two minutes and may have been placed.

    Each call notes its own sending, and forgets no other's: another thread may send the same order.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._lock = ForkSafeLock()
        # When each was sent; those that were sent last are at the end.
        self._sent: dict[tuple[str, str], list[Times]] = {}

    def note(self, orders: Iterable[tuple[str, str]]) -> Noted:
        """Note that orders are about to be sent; those without a customerRef are left out."""
        orders, now, known = [each for each in orders if each[1]], clocks.now(), self._sent
        first = now
        # By the steady clock: after a step of the other it might be forgotten too early.
        since = now[0] - _REF_SECONDS
        with self._lock.mine():
            for old, times in [*islice(known.items(), 8 + len(orders))]:  # more than are added
                if times[-1][0] <= since:
                    known.pop(old, None)
            for order in orders:
                earlier = [each for each in known.pop(order, ()) if each[0] > since]
                first = min([*earlier, first])
                known[order] = [*earlier, now]
        return Noted(orders, now, first)

    def forget(self, sending: Noted) -> None:
        """Note that a sending changed nothing."""
        with self._lock.mine():
            for order in sending.orders:
                others = [each for each in self._sent.pop(order, ()) if each is not sending.at]
                if others:
                    self._sent[order] = others

    @contextmanager
    def sending(self, orders: Iterable[tuple[str, str]]) -> Iterator[Noted]:
        """Note that orders are sent in this block; forget it if an error says that nothing was."""
        noted = self.note(orders)
        try:
            yield noted
        except BetfairSessionError as error:
            if isinstance(error, ExchangeError) and error.landed:  # a store's is of its write
                error.customer_ref = noted.orders[0][1] if noted.orders else ""
            else:
                self.forget(noted)
            raise


_known: dict[tuple[Secret, Secret | None], SentOrders] = {}


def orders_sent_for(session: Session) -> SentOrders:
    """Return what this process knows of the orders of a session's account, whoever sent them."""
    # Vendors have one app key for many accounts. A stand-in for a handle has no account.
    username = getattr(getattr(session, "_account", None), "username", None)
    return _known.setdefault((session.client.app_key, username), SentOrders())


class BetfairAuth(AuthBase):
    """Signs requests with a live session, and renews it when Betfair's API rejects it.

    A request is signed with `session.token()`, so the manager's `verify_every` decides how often
    Betfair is asked before a call. A rejected session is renewed once, and the request sent again.
    That is safe for orders, too, since Betfair does not carry out a request with an invalid
    session. Not sent again are:

    - a batch of which only a part was rejected: the rest has been carried out;
    - a body that is neither text nor bytes, such as a generator: it is used up;
    - an order call later than 40 seconds after its first sending, which may be that of an earlier
      request with its customerRef; or with `replay_orders=False`.

    In these cases the session is renewed for the next call, and the rejection is returned.

    No redirect is followed: requests would take the token along. The redirect itself is returned,
    without its Location. A streamed answer (`stream=True`) is read, and checked for a rejection,
    only if it is an error, or its Content-Length is at most 64 KiB.

    If no live session can be obtained, sending raises a BetfairSessionError, which is not a
    requests.RequestException: SessionRejected after a second rejection, else as
    `SessionManager.get_session`.

    The exceptions and answers of requests keep the request. The token in its headers does not show
    in a repr, and they cannot be pickled.

    Safe to share between threads and requests.Sessions, and to use after a fork.
    """

    def __init__(
        self, session: Session, *, hosts: Iterable[str] | None = None, replay_orders: bool = True
    ) -> None:
        """Prepare; nothing is read or sent yet.

        Args:
            session: the handle of the token, from `SessionManager.session`.
            hosts: which hosts may get the token, as "host" or "host:port"; None for that of the
                client's `api_url`, or for all of Betfair's if the client was given none.
            replay_orders: whether order calls, too, are sent again.

        Raises:
            ConfigurationError: `session` is no handle, `replay_orders` no bool, or a host is none;
                or there is neither `hosts` nor the client's `api_url`, and its `identity_url` is
                not Betfair's.
        """
        self._session = checked_handle(session)
        self._hosts = _usual_hosts(session.client) if hosts is None else _checked(hosts)
        self._replay_orders = checked_flag(replay_orders, "replay_orders")
        self._sent = orders_sent_for(session)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request; requests calls this.

        Args:
            request: the request, not sent yet; its body stays as it is.

        Returns:
            The same request.

        Raises:
            ConfigurationError: the request goes to another host, or not by https.
            BetfairSessionError: there is no live session; as `SessionManager.get_session`.
            ExchangeError: an order that an earlier request may have placed was not sent again:
                getting the session took so long that Betfair might place it twice.
        """
        return self._signed(request)

    def _signed(self, request: PreparedRequest, noted: Noted | None = None) -> PreparedRequest:
        """Sign a request; `noted`: what an Exchange has noted of its orders."""
        parts = urlsplit(request.url or "")
        # Compare the whole netloc: user info or a trailing dot makes it another host.
        if parts.scheme != "https" or _place(parts.netloc) not in self._hosts:
            message = (
                f"a session token is sent by https to {', '.join(sorted(self._hosts))} only, not "
                f"to {parts.scheme}://{parts.hostname}; name other hosts in BetfairAuth's `hosts`"
            )
            refuse("hosts", message)
        began = clocks.now()
        request.headers[_AUTHENTICATION] = SecretHeader(self._session.token())
        request.headers[_APPLICATION] = SecretHeader(self._session.client.app_key.reveal())
        sending = noted or self._sent.note(orders_in(request.url or "", request.body))
        sending.check_age(began)
        answered = partial(self._answered, sending.first)
        request.register_hook("response", answered)  # type: ignore[no-untyped-call] # requests'
        return request

    def _answered(
        self,
        sent: Times,
        response: Response,
        **settings: Any,  # noqa: ANN401 - requests' own settings, passed on
    ) -> Response:
        """Handle a rejection; requests calls this with each answer before anything else sees it."""
        response.headers.pop("Location", None)
        found = _rejected(response, settings)
        if not found:
            return response
        request = response.request
        # Some tools take a text's content from a frame, whatever its repr shows.
        new = Secret(self._session.renew(str(request.headers[_AUTHENTICATION])))
        if found == "partly" or not self._may_replay(request, sent):
            return response
        return _replay(response, new, settings)

    def _may_replay(self, request: PreparedRequest, sent: Times) -> bool:
        body: object = request.body
        if not isinstance(body, str | bytes | None):
            return False
        if ORDERS.isdisjoint(called(request.url or "", body)):
            return True
        return self._replay_orders and clocks.passed(sent) < ORDER_SECONDS


def _rejected(response: Response, settings: dict[str, Any]) -> Literal["", "partly", "wholly"]:
    """Return whether an answer calls the session invalid: for a whole batch, or a part of it."""
    length = response.headers.get("Content-Length", "")
    short = length.isdigit() and int(length) <= _SHORT
    if settings.get("stream") and not short and response.status_code < _BAD_REQUEST:
        return ""
    # All codes of a rejection contain this, so that most answers need no decoding.
    named = b"_SESSION" in response.content
    return rejected(decoded(response.content)) if named else ""


def _replay(response: Response, token: Secret, settings: dict[str, Any]) -> Response:
    """Send a request again with a new token, through the connection pool that sent it first."""
    again = response.request.copy()
    again.headers[_AUTHENTICATION] = SecretHeader(token.reveal())
    response.close()
    answer: Response = response.connection.send(again, **settings)
    answer.headers.pop("Location", None)
    answer.history.append(response)
    if _rejected(answer, settings) == "wholly":
        raise SessionRejected(
            f"{urlsplit(response.url).netloc} rejected the session again right after its renewal: "
            "check the jurisdiction, and whether the egress address changes between calls"
        )
    return answer


def api_base(client: IdentityClient) -> str:
    """Return the base of the betting API for a client's sessions; refuse if it is unknown."""
    if client.api_url is None:
        message = (
            "the identity_url is not Betfair's: give IdentityClient an api_url, or set "
            f"BETFAIR_API_URL, as its session must not go to {client.jurisdiction.api_host}"
        )
        refuse("api_url", message)
    return client.api_url


def _usual_hosts(client: IdentityClient) -> frozenset[str]:
    base = api_base(client)
    theirs = base == client.jurisdiction.api_url
    return API_HOSTS if theirs else frozenset({_place(urlsplit(base).netloc)})


def _checked(hosts: Iterable[str]) -> frozenset[str]:
    names = [None] if isinstance(hosts, str) or not hasattr(hosts, "__iter__") else list(hosts)
    places = [_place(name) if isinstance(name, str) else "" for name in names]
    if not all(_HOST.fullmatch(place) for place in places):
        refuse("hosts", 'hosts must be a list such as ["api.betfair.com", "localhost:8443"]')
    return frozenset(places)


def _place(netloc: str) -> str:
    return netloc.lower().removesuffix(":443")
