"""A betfairlightweight APIClient with the shared session; flumine takes it like any other.

    from betfair_session.integrations.betfairlightweight import APIClient

    trading = APIClient(manager.session("s3://bucket/betfair", "session.token"))
    trading.login()
    trading.betting.list_event_types()

The extra `betfairlightweight` installs what it needs, and so does the extra `flumine`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

try:
    import betfairlightweight
except ModuleNotFoundError as error:
    if error.name != "betfairlightweight":
        raise
    message = (
        f"{__name__} needs the package betfairlightweight: "
        'pip install "betfair-session[betfairlightweight]", or "[flumine]" for flumine'
    )
    raise ModuleNotFoundError(message, name=error.name) from None
import requests
from betfairlightweight import endpoints
from betfairlightweight.exceptions import BetfairError

import betfair_session.exceptions as ours
from betfair_session.arguments import checked_flag, checked_handle, checked_interval, refuse
from betfair_session.betfair.by_requests import OwnSession
from betfair_session.betfair.jurisdictions import is_betfairs
from betfair_session.keepalive import keep_alive_interval
from betfair_session.process.clocks import later, now, reached
from betfair_session.secret import Secret, SecretHeader

from .betfair_endpoints import Historic, Sending, Streaming

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from betfairlightweight.endpoints.baseendpoint import BaseEndpoint

    from betfair_session.session import Session

__all__ = ["APIClient"]

_CHECKS = 6  # how often flumine checks within one interval of keepAlives
_BOTH: dict[type, type[ours.BetfairSessionError]] = {
    (kind := getattr(ours, name)): type(
        name, (kind, BetfairError), {"__module__": __name__, "__doc__": kind.__doc__}
    )
    for name in ours.__all__
}
# Where pickle looks for them.
globals().update({both.__name__: both for both in _BOTH.values()})


@contextmanager
def as_betfair_errors() -> Iterator[None]:
    """Raise each of our errors as one that is a `BetfairError`, too, with the same attributes."""
    try:
        yield
    except ours.BetfairSessionError as error:
        both = next(_BOTH[kind] for kind in type(error).__mro__ if kind in _BOTH)
        again = both.__new__(both, *error.args)
        again.__dict__.update(error.__dict__)
        raise again.with_traceback(error.__traceback__) from error.__cause__


class HttpSession(OwnSession):
    """Follows redirects, such as those of Betfair's web pages, but none of a call with a token."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the next URL, or None."""
        if any(isinstance(value, SecretHeader) for value in resp.request.headers.values()):
            return None
        return requests.Session.get_redirect_target(self, resp)


def _answered_by(method: str, original: type[BaseEndpoint]) -> type[BaseEndpoint]:
    """Make a login, keep_alive or logout whose answer comes from a method of our APIClient."""

    def request(self: BaseEndpoint, *_: object, **__: object) -> tuple[None, object, float]:
        began = time.monotonic()
        return None, getattr(self.client, method)(), time.monotonic() - began

    return type(original.__name__, (original,), {"request": request})


_WITH_TOKEN = (endpoints.Betting, endpoints.Account, endpoints.Scores, endpoints.Navigation)
_SHARED: dict[str, type[Any]] = {
    **{each.__name__.lower(): type(each.__name__, (Sending, each), {}) for each in _WITH_TOKEN},
    "historic": Historic,
    "streaming": Streaming,
    "login": _answered_by("_log_in", endpoints.Login),
    "keep_alive": _answered_by("_keep_alive", endpoints.KeepAlive),
    "logout": _answered_by("_log_out", endpoints.Logout),
}


class APIClient(betfairlightweight.APIClient):
    """A betfairlightweight.APIClient whose session is the shared one.

    `login` and `keep_alive` go through the shared token. When Betfair calls the session invalid,
    the token is renewed and the call repeated, once; an order that may stand from an earlier call
    is not. Calls of the API are repeated for no other reason. `logout` forgets the token and leaves
    the session alive for the others. No password is held here.

    `session_token` is the token that these got last, a str whose repr does not show it.
    Reading it does not ask Betfair. That is enough: a call that Betfair rejects is repeated with a
    new token, and a stream, which stays open for hours, gets the token each time it connects.

    Attributes:
        shared_session: the handle that the token comes from.
        end_session_on_logout: whether `logout` ends the session, for all who share it.
        stream_address: host and port of the exchange stream in place of Betfair's, or None.
        session_timeout: seconds. flumine checks every half of it, but at least every 20 minutes,
            whether a keepAlive is due: six times in each interval of keepAlives.
    """

    session_token: str | None

    def __init__(
        self,
        session: Session,
        *,
        username: str | None = None,
        lightweight: bool = False,
        http_session: requests.Session | None = None,
        end_session_on_logout: bool = False,
        keep_alive_every: timedelta | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            session: the handle of the token, from `SessionManager.session`. Its IdentityClient has
                the app key and the jurisdiction, and its manager logs in.
            username: a name for logs and for flumine, where each client needs its own; None for
                the handle's repr. It is not used to log in.
            lightweight: as in betfairlightweight; flumine needs False.
            http_session: for the betting API, as `session` in betfairlightweight, with its own
                CA bundle and proxies. None for one that trusts what the handle's client trusts.
                With either, the token follows no redirect and goes only to https, and a call that
                has it does not read .netrc.
            end_session_on_logout: let `logout` end the session, also for all who share it.
            keep_alive_every: how often a keepAlive is sent, for accounts whose holder has chosen
                another session length; None for what the jurisdiction needs.

        Raises:
            ConfigurationError: `session` is no handle, `end_session_on_logout` is no bool, or
                `keep_alive_every` is not above 0, or too long for a session.
        """
        client = checked_handle(session).client
        place = client.jurisdiction
        super().__init__(
            username or repr(session),
            "",  # without a password, it would look for one in the environment
            app_key=SecretHeader(client.app_key.reveal()),
            locale=place.name,
            lightweight=lightweight,
            session=http_session or HttpSession(verify=client.verify, proxies=client.proxies),
        )
        every = keep_alive_interval(place) if keep_alive_every is None else keep_alive_every
        length = place.session_length
        # A keepAlive may be sent one check late.
        longest = None if length is None else length * _CHECKS / (_CHECKS + 1)
        every = checked_interval(every, "keep_alive_every", longest)
        self.shared_session = session
        name = "end_session_on_logout"
        self.end_session_on_logout = checked_flag(end_session_on_logout, name)
        self.stream_address: tuple[str, int] | None = None
        self.api_uri = client.api_url or place.api_url
        self.session_timeout = every.total_seconds() * 2 / _CHECKS
        self._keep_alive_every = every.total_seconds()
        self._due = now()
        for name, endpoint in _SHARED.items():
            setattr(self, name, endpoint(self))
        self.login_interactive = self.login

    @property
    def session_expired(self) -> bool:
        """Whether it is time for `keep_alive`."""
        return self.session_token is None or reached(self._due)

    def set_session_token(self, session_token: str) -> None:
        """Use a token; if it is a new one, its age is unknown, so a keepAlive is due soon."""
        if session_token != self.session_token:
            self._due = later(now(), self._keep_alive_every / _CHECKS)
        super().set_session_token(SecretHeader(session_token))

    def obtain_token(self) -> None:
        """Get the shared token, as `Session.token`; each error is a `BetfairError`, too."""
        with as_betfair_errors():
            self.set_session_token(self.shared_session.token())

    def renew_token(self, rejected: str) -> None:
        """Get the token that replaces a rejected one, as `Session.renew`; errors likewise."""
        refused = Secret(rejected)
        del rejected  # no traceback may show it
        with as_betfair_errors():
            self.set_session_token(self.shared_session.renew(refused.reveal()))

    def check_place(self, host: str) -> None:
        """Raise ConfigurationError if a host is Betfair's and the token comes from a sandbox."""
        client = self.shared_session.client
        identity = urlsplit(client.identity_url).hostname or ""
        # The user may name them for a gateway of his own to the identity service.
        named = {urlsplit(client.api_url or "").hostname, (self.stream_address or ("",))[0]}
        if is_betfairs(host) and not (host in named or is_betfairs(identity)):
            message = (
                f"a session from {identity} must not go to {host}: give IdentityClient an api_url, "
                "or set BETFAIR_API_URL; for a stream, set the APIClient's stream_address"
            )
            with as_betfair_errors():
                refuse("api_url", message)

    def _log_in(self) -> dict[str, str | None]:
        self.obtain_token()
        return {"sessionToken": self.session_token, "loginStatus": "SUCCESS"}

    def _keep_alive(self) -> dict[str, str | None]:
        began = now()
        with as_betfair_errors():
            token = SecretHeader(self.shared_session.verify())
        self.set_session_token(token)
        self._due = later(began, self._keep_alive_every)
        return self._success(token)

    def _log_out(self) -> dict[str, str | None]:
        if self.end_session_on_logout:
            with as_betfair_errors():
                self.shared_session.logout()
        return self._success(None)

    def _success(self, token: str | None) -> dict[str, str | None]:
        return {
            "token": token,
            "product": self.app_key,
            "status": "SUCCESS",
            "error": "",
        }
