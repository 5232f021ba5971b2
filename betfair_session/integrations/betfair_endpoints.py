"""Endpoints of betfairlightweight's that send the shared token to Betfair alone, and renew it.

Their arguments are the original's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from betfairlightweight import endpoints
from betfairlightweight.endpoints.baseendpoint import BaseEndpoint
from betfairlightweight.exceptions import APIError

from betfair_session.arguments import refuse
from betfair_session.betfair.connections import OwnSession, on_its_own
from betfair_session.exchange.calls import ORDER_SECONDS, change_orders, rejected
from betfair_session.process.clocks import now, passed
from betfair_session.secret import SecretHeader

if TYPE_CHECKING:
    from collections.abc import Callable


class HttpSession(OwnSession):
    """Follows a redirect, such as those of Betfair's web pages, only where no token goes along."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the next URL, or None."""
        if any(isinstance(value, SecretHeader) for value in resp.request.headers.values()):
            return None
        return requests.Session.get_redirect_target(self, resp)


class _Straight:
    """A session of anybody's, such as flumine's, that takes the token to no other place."""

    def __init__(self, client: Any, session: requests.Session | None) -> None:  # noqa: ANN401 - our APIClient
        self._client = client
        self._session = session or client.session

    def get(self, url: str, **settings: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        return self._send("GET", url, settings)

    def post(self, url: str, **settings: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        return self._send("POST", url, settings)

    def _send(self, method: str, url: str, settings: dict[str, Any]) -> requests.Response:
        if not url.lower().startswith("https://"):
            refuse("api_uri", "the token goes by https only; see api_uri")
        self._client.check_place(urlsplit(url).hostname or "")
        settings |= {"auth": on_its_own, "allow_redirects": False}
        answer: requests.Response = self._session.request(method, url, **settings)
        return answer


class SessionEndpoint(BaseEndpoint):
    """What is called to log in, to keep alive or to log out; it answers as the original does."""

    def __init__(
        self,
        parent: Any,  # noqa: ANN401 - our APIClient
        act: Callable[[], dict[str, str | None]],
        resource: type,
    ) -> None:
        """Prepare, with what does it and the original's kind of answer."""
        super().__init__(parent)
        self._act = act
        self._resource = resource

    def __call__(
        self,
        session: requests.Session | None = None,  # noqa: ARG002 - ours has a client of its own
        lightweight: bool | None = None,  # noqa: FBT001 - the original's signature
    ) -> Any:  # noqa: ANN401 - a resource or a dict
        """Do it."""
        began = time.monotonic()
        answer = self._act()
        return self.process_response(answer, self._resource, time.monotonic() - began, lightweight)


class _Sending(BaseEndpoint):
    """Sends the token where its URL says, and nowhere else."""

    def request(
        self,
        method: str | None = None,
        params: dict[str, Any] | None = None,
        session: requests.Session | None = None,
    ) -> Any:  # noqa: ANN401 - the original's
        return super().request(method, params, _Straight(self.client, session))


class _Renewing(_Sending):
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
            if not rejected(error.response):
                raise
            rejection = error
        self.client.renew_token(sent)
        late = passed(began) >= ORDER_SECONDS
        if late and change_orders([(method or "").rpartition("/")[2]]):
            raise rejection
        return super().request(method, params, session)


class _Historic(_Sending, endpoints.Historic):
    def download_file(
        self,
        file_path: str,
        store_directory: str | None = None,
        session: requests.Session | None = None,
    ) -> str:
        straight: Any = _Straight(self.client, session)
        name: str = super().download_file(file_path, store_directory, straight)
        return name


def _mixed(kind: type[BaseEndpoint], original: type[BaseEndpoint]) -> type[Any]:
    return type(original.__name__, (kind, original), {})


SHARED = {
    "betting": _mixed(_Renewing, endpoints.Betting),
    "account": _mixed(_Renewing, endpoints.Account),
    "scores": _mixed(_Renewing, endpoints.Scores),
    "navigation": _mixed(_Sending, endpoints.Navigation),
    "historic": _Historic,
}
"""By the attribute of an APIClient's."""
