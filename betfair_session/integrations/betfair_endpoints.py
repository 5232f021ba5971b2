"""betfairlightweight's endpoints and stream, with the shared token, which goes to Betfair alone.

Their arguments are those of the originals.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
from betfairlightweight import endpoints
from betfairlightweight.endpoints.baseendpoint import BaseEndpoint
from betfairlightweight.exceptions import (
    APIError,
    BetfairError,
    ListenerError,
    SocketError,
    StatusCodeError,
)
from betfairlightweight.streaming import BetfairStream, StreamListener
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from betfair_session.arguments import refuse
from betfair_session.betfair.by_requests import no_auth, sends_once
from betfair_session.betfair.http import trusting
from betfair_session.exceptions import ExchangeError
from betfair_session.exchange.auth import orders_sent_for
from betfair_session.exchange.calls import ORDER_SECONDS, ORDERS, session_is_invalid
from betfair_session.process.causes import chain, without_frames
from betfair_session.process.clocks import now, passed
from betfair_session.process.single_flight import while_wanted
from betfair_session.process.threads import NoThreadError, OverrunError, run_until
from betfair_session.secret import Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import requests
    from betfairlightweight.streaming import BaseListener

    from betfair_session.process import T

_PORT = 443  # the stream's
_HURRY_SECONDS = 2.0
_UNCONNECTED = (ConnectTimeoutError, NewConnectionError)


def _guarded(client: Any, session: requests.Session | None) -> Any:  # noqa: ANN401 - our APIClient
    """Wrap a requests.Session, such as flumine's, so that the token goes to no other place.

    A client that has no token yet gets one first.
    """
    began = now()
    if client.session_token is None:
        client.obtain_token()

    def send(method: str, url: str, **settings: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        if not url.lower().startswith("https://"):
            refuse("api_uri", "the token is sent by https only; correct api_uri")
        client.check_place(urlsplit(url).hostname or "")
        settings |= {"auth": no_auth, "allow_redirects": False}
        through = session or client.session
        guard.once = sends_once(through, url)
        ask = partial(through.request, method, url, **settings)
        settings.pop("headers", None)  # no traceback may show them
        answer: requests.Response = without_frames(ask)
        guard.answer = answer
        if settings.get("stream") and answer.status_code != HTTPStatus.OK:
            _ = answer.content  # or the original would save this as the file
            raise StatusCodeError(answer.status_code)
        return answer

    how = {"get": partial(send, "GET"), "post": partial(send, "POST")}
    guard = SimpleNamespace(**how, answer=None, began=began, once=False)
    return guard


class Sending(BaseEndpoint):
    """Sends the token where its URL says, and nowhere else.

    When Betfair calls the session invalid, the token is renewed and the call repeated once. That is
    safe for orders, too, since Betfair has not carried the call out. An order call that is 40
    seconds old by then is not repeated: the rejection is raised. Nor is one whose customerRef was
    sent a moment ago, by a caller that repeats it as flumine does: Betfair soon forgets it.
    """

    def request(
        self,
        method: str | None = None,
        params: dict[str, Any] | None = None,
        session: requests.Session | None = None,
    ) -> Any:  # noqa: ANN401 - the original's
        """Send a call; see the class."""
        guard = _guarded(self.client, session)
        send = partial(super().request, method, params, guard)
        order = ((method or "").rpartition("/")[2], (params or {}).get("customerRef") or "")
        return self._renewing(guard, send, [order] if order[0] in ORDERS else [])

    def _renewing(self, guard: Any, send: Callable[[], T], orders: Any = ()) -> T:  # noqa: ANN401 - a session's stand-in
        """Send; an order is an operation and its customerRef, or "" for none."""
        # Some tools take a text's content from a frame, whatever its repr shows.
        token = Secret(self.client.session_token or "")
        sent = orders_sent_for(self.client.shared_session)
        sending = sent.note(orders)
        try:
            sending.check_age(guard.began)
        except ExchangeError as error:
            raise APIError(None, exception=error) from None
        try:
            return send()
        except (APIError, StatusCodeError) as error:
            # JSON-RPC says it with status 200, REST (the navigation menu) with another.
            if guard.answer is None or not session_is_invalid(guard.answer):
                causes = chain(getattr(error, "exception", None) or error)
                if guard.once and any(isinstance(each, _UNCONNECTED) for each in causes):
                    sent.forget(sending)
                raise
            rejection = error
        sent.forget(sending)  # it was not carried out
        if sending.repeated:
            with contextlib.suppress(BetfairError, OverrunError, NoThreadError):
                soon = time.monotonic() + _HURRY_SECONDS  # a login goes on after that
                renew = partial(while_wanted, lambda: self.client.renew_token(token.reveal()))
                run_until(soon, renew, may_log_in=True)
            raise rejection
        self.client.renew_token(token.reveal())
        if orders and passed(sending.at) >= ORDER_SECONDS:
            raise rejection
        sent.note(orders)
        return send()


class Historic(Sending, endpoints.Historic):
    """Historical data; a file is saved only from an answer that is one."""

    def download_file(
        self,
        file_path: str,
        store_directory: str | None = None,
        session: requests.Session | None = None,
    ) -> str:
        """Save a file, and return its name."""
        guard = _guarded(self.client, session)
        save = partial(super().download_file, file_path, store_directory, guard)
        name: str = self._renewing(guard, save)
        return name


class SharedStream(BetfairStream):
    """A stream that gets the token each time it connects, so that a reconnect has a live one.

    Attributes:
        session_token: what the last authentication sent.
    """

    session_token: str
    _socket: ssl.SSLSocket | None

    def __init__(self, client: Any, **settings: Any) -> None:  # noqa: ANN401 - the original's
        """Prepare; `client` is our APIClient. The stream connects when it is started."""
        super().__init__(app_key=client.app_key, session_token="", **settings)
        self._client = client
        self._reader: int | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Connect, unless it is connected, and read until it is stopped."""
        if not self._running:
            self.authenticate()
        self._read_loop()

    def stop(self) -> None:
        """Stop reading, from any thread.

        The original closes the socket while another thread reads from it. That thread could then
        read from the next connection that gets the same file descriptor, and take its bytes. Here
        the reading thread is only woken, and closes the socket itself.
        """
        self._stopped.set()  # also while it gets a token or connects
        self._close()

    def _close(self) -> None:
        self._running = False
        connected = self._socket
        if connected is None:
            return
        with contextlib.suppress(OSError):
            # Shut down TCP: TLS's own shutdown would make the reader take ciphertext for text.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)
        if self._reader in {None, threading.get_ident()}:
            self._socket = None
            connected.close()

    def authenticate(self) -> int:
        """Connect if need be, and send the token.

        When Betfair calls it invalid, renew it and connect once more.
        """
        if not self._running:
            self._stopped.clear()
            self._connect()
        unique_id: int = self.new_unique_id()
        answer = self._send_token(unique_id)
        if answer and session_is_invalid(answer):
            self._close()
            self._client.renew_token(self.session_token)
            self._open()
            answer = self._send_token(unique_id)
        if answer:  # None if the stream was stopped meanwhile
            self._data(answer)
        return unique_id

    def _send_token(self, unique_id: int) -> str | None:
        """Send the authentication; the original would log it with the token."""
        self.session_token = self._client.session_token or ""
        connected = self._socket
        if connected is None:  # stopped meanwhile
            return None
        try:
            connected.sendall(self._authentication(unique_id))
        except OSError as error:
            what = f"[Connect: {self._unique_id}]: Socket {error}"
        else:
            return self._receive_all()
        self._close()
        raise SocketError(what)  # out here: the frames of the other error hold the token

    def _authentication(self, unique_id: int) -> bytes:
        message = {
            "op": "authentication",
            "id": unique_id,
            "appKey": self.app_key,
            "session": self.session_token,
        }
        return json.dumps(message).encode() + b"\r\n"

    def _receive_all(self) -> str | None:
        self._reader = threading.get_ident()
        try:
            received: str | None = super()._receive_all()
        finally:
            self._reader = None
            if not self._running:
                self._close()
        return received

    def _data(self, received_data: str) -> None:
        try:
            super()._data(received_data)
        except ListenerError:
            if session_is_invalid(received_data):  # else the next connection might trust it still
                self._client.renew_token(self.session_token)
            raise

    def _send(self, message: dict[str, Any]) -> None:
        if not self._running:
            self.authenticate()
        if self._socket is None:
            raise SocketError(f"[Connect: {self._unique_id}]: it was stopped meanwhile")
        super()._send(message)

    def _connect(self) -> None:
        # Get the token first: Betfair closes a connection on which nothing is sent for a while.
        self._client.obtain_token()
        self._open()

    def _open(self) -> None:
        """Connect and read the greeting, unless the stream was stopped meanwhile."""
        if self._stopped.is_set():
            return
        self._socket, self._running = self._create_socket(), True
        if self._stopped.is_set():  # while it connected
            self._close()
        greeting = self._receive_all()
        if greeting:
            self._data(greeting)

    def _create_socket(self) -> ssl.SSLSocket:
        """Connect over verified TLS; the original does not verify the server."""
        address = self._client.stream_address or (self.host, _PORT)
        self._client.check_place(address[0])
        verify = self._client.shared_session.client.verify
        context = trusting(verify if isinstance(verify, str) else certifi.where())
        plain = socket.create_connection(address, timeout=self.timeout)
        return context.wrap_socket(plain, server_hostname=address[0])


class Streaming(endpoints.Streaming):
    """Makes each stream a `SharedStream`."""

    def create_stream(
        self,
        unique_id: int = 0,
        listener: BaseListener | None = None,
        timeout: float = 64,
        buffer_size: int = 1024,
        host: str | None = None,
    ) -> SharedStream:
        """Make a stream, as the original does, with the same arguments."""
        return SharedStream(
            self.client,
            unique_id=unique_id,
            listener=listener or StreamListener(),
            timeout=timeout,
            buffer_size=buffer_size,
            host=host,
        )
