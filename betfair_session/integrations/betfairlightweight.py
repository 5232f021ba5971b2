"""An APIClient of betfairlightweight's that shares its session; flumine takes it like any other.

    from betfair_session.integrations.betfairlightweight import APIClient

    trading = APIClient(manager.session("s3://bucket/betfair", "session.token"))
    trading.login()
    trading.betting.list_event_types()

The extra `betfairlightweight` installs what it needs, and so does the extra `flumine`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Never
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
from betfairlightweight import endpoints, resources
from betfairlightweight.endpoints.baseendpoint import BaseEndpoint
from betfairlightweight.exceptions import APIError

from betfair_session.arguments import checked_handle, checked_interval
from betfair_session.betfair.connections import OwnSession, on_its_own
from betfair_session.betfair.jurisdictions import is_betfairs
from betfair_session.exceptions import ConfigurationError
from betfair_session.exchange.answers import names_invalid_session
from betfair_session.exchange.operations import ORDER_SECONDS, change_orders
from betfair_session.keepalive import keep_alive_interval
from betfair_session.process.clocks import earlier, later, now, passed, reached
from betfair_session.secret import SecretHeader

from .betfair_errors import as_betfair_errors
from .betfair_stream import Streaming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from betfair_session.session import Session

__all__ = ["APIClient"]

_LOOKS = 6  # how often flumine looks within one keep-alive interval


class APIClient(betfairlightweight.APIClient):
    """A betfairlightweight.APIClient whose session is the shared one.

    `login` and `keep_alive` go through the shared token. When Betfair calls the session invalid,
    the token is renewed and the call repeated, once; nothing else is ever repeated. `logout`
    forgets the token and leaves the session alive for the others. No password is held here.

    `session_token` is the latest token that one of these brought, a str whose repr does not show
    it. Reading it asks nobody: a call that it is too old for is repeated with its successor, and a
    stream, which is let in by it for hours, asks whenever it connects.

    Attributes:
        shared_session: the handle that the token comes from.
        end_session_on_logout: whether `logout` ends the session, for everybody.
        stream_address: host and port of the exchange stream in place of Betfair's, or None.
        session_timeout: seconds. Each half of it, but at least every 20 minutes, flumine looks
            whether the session has to be kept alive: six times in the interval for that.
    """

    session_token: str | None

    def __init__(
        self,
        session: Session,
        *old: Never,
        username: str | None = None,
        lightweight: bool = False,
        http_session: requests.Session | None = None,
        end_session_on_logout: bool = False,
        keep_alive_every: timedelta | None = None,
        **older: Never,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            session: whose token, from `SessionManager.session`. Its IdentityClient has the app key
                and the jurisdiction, and its manager logs in.
            username: a name for logs and for flumine, which wants each client to have its own;
                None for what the handle calls itself. It is not what logs in.
            lightweight: as in betfairlightweight; flumine needs False.
            http_session: for the betting API, as `session` in betfairlightweight; it keeps its own
                idea of authorities and proxies. None for one that trusts what the handle's client
                trusts. Neither takes the token along a redirect or to a URL without https, nor
                reads .netrc for a call that has it.
            end_session_on_logout: let `logout` end the session, also for all who share it.
            keep_alive_every: the keep-alive interval; None for what the jurisdiction needs. For
                accounts whose holder has chosen another session length.
            old: nothing; whoever comes from betfairlightweight is told what goes where.
            older: as `old`.

        Raises:
            ConfigurationError: `session` is no handle, an argument is betfairlightweight's, or
                `keep_alive_every` is not above 0, or too long for a session.
        """
        if isinstance(session, str) or old or older:
            raise _misplaced(older)
        place = checked_handle(session).client.jurisdiction
        super().__init__(
            username or repr(session),
            "",  # if there were none, it would look for one in the environment
            app_key=SecretHeader(session.client.app_key.reveal()),
            locale=place.name,
            lightweight=lightweight,
            session=http_session or _HttpSession(verify=session.client.verify),
        )
        every = keep_alive_interval(place)
        if keep_alive_every is not None:
            every = checked_interval(keep_alive_every, "keep_alive_every")
        longest = every * (_LOOKS + 1) / _LOOKS  # from one keepAlive to the next
        length = place.session_length
        if length is not None and longest >= length:
            message = (
                f"keep_alive_every must be less than {_LOOKS}/{_LOOKS + 1} of what a session "
                f"lives, {length}"
            )
            raise ConfigurationError(message, argument="keep_alive_every")
        self.shared_session = session
        self.end_session_on_logout = end_session_on_logout
        self.stream_address: tuple[str, int] | None = None
        self.api_uri = session.client.api_url or place.api_url
        self.session_timeout = every.total_seconds() * 2 / _LOOKS
        self._keep_alive_every = every.total_seconds()
        self._due = now()
        self._replace_endpoints()

    @property
    def session_expired(self) -> bool:
        """Whether it is time for `keep_alive`."""
        return self.session_token is None or reached(self._due)

    def set_session_token(self, session_token: str) -> None:
        """Use a token; nobody knows how old it is, so that it soon wants a keepAlive.

        Args:
            session_token: the token.
        """
        soon = later(now(), self._keep_alive_every / _LOOKS)
        known = session_token == self.session_token
        self._due = earlier(self._due, soon) if known else soon
        super().set_session_token(SecretHeader(session_token))

    def obtain_token(self) -> None:
        """Take the shared token, as `Session.token` returns it.

        Raises:
            BetfairSessionError: as `Session.token`; it is a `BetfairError`, too.
        """
        with as_betfair_errors():
            self.set_session_token(self.shared_session.token())

    def renew_token(self, rejected: str) -> None:
        """Take the token that replaces a rejected one.

        Args:
            rejected: the token that was sent.

        Raises:
            BetfairSessionError: as `Session.renew`; it is a `BetfairError`, too.
        """
        with as_betfair_errors():
            self.set_session_token(self.shared_session.renew(rejected))

    def check_place(self, host: str) -> None:
        """See that the token may go to a host.

        Args:
            host: its name.

        Raises:
            ConfigurationError: it is Betfair's, and the token comes from a sandbox.
        """
        identity = urlsplit(self.shared_session.client.identity_url).hostname or ""
        if is_betfairs(host) and not is_betfairs(identity):
            message = (
                f"a session from {identity} is not for {host}: give IdentityClient an api_url, and "
                "set the APIClient's stream_address for streams"
            )
            with as_betfair_errors():
                raise ConfigurationError(message, argument="api_url")

    def _replace_endpoints(self) -> None:
        self.login = _SessionEndpoint(self, self._log_in, resources.LoginResource)
        self.login_interactive = self.login
        self.keep_alive = _SessionEndpoint(self, self._keep_alive, resources.KeepAliveResource)
        self.logout = _SessionEndpoint(self, self._log_out, resources.LogoutResource)
        self.betting = _Betting(self)
        self.account = _Account(self)
        self.historic = _Historic(self)
        self.navigation = _Navigation(self)
        self.scores = _Scores(self)
        self.streaming = Streaming(self)

    def _log_in(self) -> dict[str, str | None]:
        self.obtain_token()
        return {"sessionToken": self.session_token, "loginStatus": "SUCCESS"}

    def _keep_alive(self) -> dict[str, str | None]:
        began = now()
        with as_betfair_errors():
            self.set_session_token(self.shared_session.verify())
        self._due = later(began, self._keep_alive_every)
        return self._success()

    def _log_out(self) -> dict[str, str | None]:
        if self.end_session_on_logout:
            with as_betfair_errors():
                self.shared_session.logout()
        self.client_logout()
        return self._success()

    def _success(self) -> dict[str, str | None]:
        return {
            "token": self.session_token,
            "product": self.app_key,
            "status": "SUCCESS",
            "error": "",
        }


def _misplaced(names: Iterable[str]) -> ConfigurationError:
    """Make the error for betfairlightweight's own arguments; their values may be secret."""
    given = ", ".join(f"{name}=" for name in names)
    return ConfigurationError(
        f"APIClient takes a session handle, APIClient(manager.session(store, key))"
        f"{', and no ' + given if given else ''}; app key and certificate belong to "
        "IdentityClient, username and password to SessionManager"
    )


class _HttpSession(OwnSession):
    """Follows a redirect, such as those of Betfair's web pages, only where no token goes along."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        if any(isinstance(value, SecretHeader) for value in resp.request.headers.values()):
            return None
        return requests.Session.get_redirect_target(self, resp)


class _Straight:
    """A session of anybody's, such as flumine's, that takes the token to no other place."""

    def __init__(self, client: APIClient, session: requests.Session) -> None:
        self._client = client
        self._session = session

    def get(self, url: str, **settings: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        self._check(url)
        return self._session.get(url, auth=on_its_own, allow_redirects=False, **settings)

    def post(self, url: str, **settings: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        self._check(url)
        return self._session.post(url, auth=on_its_own, allow_redirects=False, **settings)

    def _check(self, url: str) -> None:
        if not url.lower().startswith("https://"):
            message = "the token goes by https only; see api_uri"
            raise ConfigurationError(message, argument="api_uri")
        self._client.check_place(urlsplit(url).hostname or "")


class _SessionEndpoint(BaseEndpoint):
    """What is called to log in, to keep alive or to log out; it answers as the original does."""

    def __init__(
        self, parent: APIClient, act: Callable[[], dict[str, str | None]], resource: type
    ) -> None:
        super().__init__(parent)
        self._act = act
        self._resource = resource

    def __call__(
        self,
        session: requests.Session | None = None,  # noqa: ARG002 - ours has a client of its own
        lightweight: bool | None = None,  # noqa: FBT001 - the original's signature
    ) -> Any:  # noqa: ANN401 - a resource or a dict
        began = time.monotonic()
        answer = self._act()
        return self.process_response(answer, self._resource, time.monotonic() - began, lightweight)


class _StraightEndpoint(BaseEndpoint):
    """Sends the token where its URL says, and nowhere else."""

    def request(
        self,
        method: str | None = None,
        params: dict[str, Any] | None = None,
        session: requests.Session | None = None,
    ) -> Any:  # noqa: ANN401 - the original's
        return super().request(
            method, params, _Straight(self.client, session or self.client.session)
        )


class _RenewingEndpoint(_StraightEndpoint):
    """Repeats a call once, with a renewed token, when Betfair calls the session invalid.

    Betfair has not carried out such a call, so that even an order may be sent again, unless it has
    become an old one while somebody logged in: then the rejection is raised.
    """

    def request(
        self,
        method: str | None = None,
        params: dict[str, Any] | None = None,
        session: requests.Session | None = None,
    ) -> Any:  # noqa: ANN401 - the original's
        if self.client.session_token is None:
            self.client.obtain_token()
        sent, began = self.client.session_token or "", now()
        try:
            return super().request(method, params, session)
        except APIError as error:
            if not names_invalid_session(error.response):
                raise
            rejection = error
        self.client.renew_token(sent)
        late = passed(began) >= ORDER_SECONDS
        if late and change_orders([(method or "").rpartition("/")[2]]):
            raise rejection
        return super().request(method, params, session)


class _Betting(_RenewingEndpoint, endpoints.Betting):
    pass


class _Account(_RenewingEndpoint, endpoints.Account):
    pass


class _Scores(_RenewingEndpoint, endpoints.Scores):
    pass


class _Historic(_StraightEndpoint, endpoints.Historic):
    def download_file(
        self,
        file_path: str,
        store_directory: str | None = None,
        session: requests.Session | None = None,
    ) -> str:
        straight: Any = _Straight(self.client, session or self.client.session)
        name: str = super().download_file(file_path, store_directory, straight)
        return name


class _Navigation(_StraightEndpoint, endpoints.Navigation):
    pass
