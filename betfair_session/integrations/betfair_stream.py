"""The exchange stream of betfairlightweight, let in with the shared token."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import certifi
from betfairlightweight import endpoints
from betfairlightweight.exceptions import SocketError
from betfairlightweight.streaming import BetfairStream, StreamListener

from betfair_session.exchange.calls import session_is_invalid

if TYPE_CHECKING:
    from betfairlightweight.streaming import BaseListener

_PORT = 443


class SharedStream(BetfairStream):
    """A stream that asks for the token whenever it connects, so that a reconnect has a live one.

    Attributes:
        session_token: what the last authentication sent.
    """

    session_token: str
    _socket: ssl.SSLSocket | None

    def __init__(self, client: Any, **settings: Any) -> None:  # noqa: ANN401 - the original's
        """Prepare for an APIClient of ours, which has the token; it connects when it is started."""
        super().__init__(app_key=client.app_key, session_token="", **settings)
        self._client = client
        self._reader: int | None = None

    def stop(self) -> None:
        """Stop reading, from any thread.

        The original closes the socket while another thread reads from it. That thread would go on
        with whatever connection gets the same number next, and take its bytes. Here it is only
        woken, and closes the socket itself.
        """
        self._running = False
        connected = self._socket
        if connected is None:
            return
        with contextlib.suppress(OSError):
            # Below TLS, whose own shutdown would let the reader take ciphertext for text.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)
        if self._reader in {None, threading.get_ident()}:
            self._socket = None
            connected.close()

    def authenticate(self) -> int:
        """Send the token; when Betfair calls it invalid, renew it and connect once more."""
        if not self._running:
            self._connect()
        unique_id: int = self.new_unique_id()
        answer = self._send_token(unique_id)
        if answer and session_is_invalid(answer):
            self.stop()
            self._client.renew_token(self.session_token)
            super()._connect()
            answer = self._send_token(unique_id)
        if answer:  # none when the stream was stopped meanwhile
            self._data(answer)
        return unique_id

    def _send_token(self, unique_id: int) -> str | None:
        """Send the authentication; the original would log it, token and all."""
        self.session_token = self._client.session_token or ""
        message = {
            "op": "authentication",
            "id": unique_id,
            "appKey": self.app_key,
            "session": self.session_token,
        }
        connected = self._socket
        if connected is None:  # stopped meanwhile
            return None
        try:
            connected.sendall(json.dumps(message).encode() + b"\r\n")
        except OSError as error:
            self.stop()
            what = f"[Connect: {self._unique_id}]: Socket {error}"
            raise SocketError(what) from None
        return self._receive_all()

    def _receive_all(self) -> str | None:
        self._reader = threading.get_ident()
        try:
            received: str | None = super()._receive_all()
        finally:
            self._reader = None
            if not self._running:
                self.stop()
        return received

    def _connect(self) -> None:
        # Before there is a connection: Betfair closes one on which nothing is sent for a while.
        self._client.obtain_token()
        super()._connect()

    def _create_socket(self) -> ssl.SSLSocket:
        """Connect to a server that proves who it is, which the original does not ask for."""
        address = self._client.stream_address or (self.host, _PORT)
        self._client.check_place(address[0])
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        plain = socket.create_connection(address, timeout=self.timeout)
        return context.wrap_socket(plain, server_hostname=address[0])


class Streaming(endpoints.Streaming):
    """Makes such streams."""

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
