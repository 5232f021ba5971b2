"""The exchange stream: who is let in, and what a subscription gets."""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from betfair_session.sandbox import Sandbox

_DEAD = "A" * 43 + "="


class Line:
    """A connection to the stream that knows nothing but JSON and CRLF."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Connect."""
        context = ssl.create_default_context(cafile=sandbox.ca_bundle)
        plain = socket.create_connection(sandbox.stream_address, timeout=20)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")

    def send(self, **message: object) -> None:
        """Send one message."""
        self.send_line(json.dumps(message).encode())

    def send_line(self, content: bytes) -> None:
        """Send one line, whatever it is."""
        self._socket.sendall(content + b"\r\n")

    def receive(self) -> dict[str, Any] | None:
        """Return the next message, or None at the end."""
        line = self._lines.readline()
        message: dict[str, Any] | None = json.loads(line) if line else None
        return message

    def ask(self, **message: object) -> dict[str, Any] | None:
        """Send one message and return what comes next."""
        self.send(**message)
        return self.receive()

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


@pytest.fixture
def line(sandbox: Sandbox) -> Iterator[Line]:
    """Return a new connection to the stream, still without its first message."""
    line = Line(sandbox)
    yield line
    line.close()


def _enter(sandbox: Sandbox, line: Line) -> None:
    line.receive()
    answer = line.ask(op="authentication", id=1, appKey=sandbox.app_key, session=sandbox.issue())
    assert answer is not None
    assert answer["statusCode"] == "SUCCESS"


def test_it_greets_and_lets_a_live_session_in(sandbox: Sandbox, line: Line) -> None:
    """The first message is the server's, and the journal has the token that was shown."""
    greeting = line.receive()
    assert greeting is not None
    assert greeting.keys() == {"op", "connectionId"}
    token = sandbox.issue()
    answer = line.ask(op="authentication", id=7, appKey=sandbox.app_key, session=token)
    assert answer == {
        "op": "status",
        "id": 7,
        "statusCode": "SUCCESS",
        "connectionClosed": False,
        "connectionsAvailable": 9,
    }
    entry = sandbox.journal("stream")[0]
    assert (entry.token, entry.outcome, entry.operations) == (token, "SUCCESS", ["authentication"])


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ({"session": _DEAD}, "INVALID_SESSION_INFORMATION"),
        ({}, "NO_SESSION"),
        ({"session": _DEAD, "appKey": "wrong"}, "INVALID_APP_KEY"),
        ({"session": _DEAD, "appKey": None}, "NO_APP_KEY"),
    ],
)
def test_it_tells_why_somebody_is_not_let_in_and_hangs_up(
    sandbox: Sandbox, line: Line, shown: dict[str, str], code: str
) -> None:
    """The application key is looked at before the session."""
    line.receive()
    answer = line.ask(**{"op": "authentication", "id": 1, "appKey": sandbox.app_key, **shown})
    assert answer is not None
    assert (answer["statusCode"], answer["errorCode"]) == ("FAILURE", code)
    assert answer["connectionClosed"] is True
    assert line.receive() is None
    assert sandbox.journal("stream")[0].outcome == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"op": "marketSubscription"}, "NOT_AUTHORIZED"),
        ({"op": "nothing"}, "INVALID_INPUT"),
        ({}, "INVALID_INPUT"),
    ],
)
def test_nothing_but_a_heartbeat_is_answered_before_the_authentication(
    line: Line, message: dict[str, str], code: str
) -> None:
    """What else comes ends the connection."""
    line.receive()
    heartbeat = line.ask(op="heartbeat", id=3)
    assert heartbeat == {
        "op": "status",
        "id": 3,
        "statusCode": "SUCCESS",
        "connectionClosed": False,
    }
    answer = line.ask(**message)
    assert answer is not None
    assert answer["errorCode"] == code
    assert line.receive() is None


def test_what_is_no_message_ends_the_connection(sandbox: Sandbox, line: Line) -> None:
    """So do a heartbeat interval that is no number, and JSON that is no object."""
    _enter(sandbox, line)
    answer = line.ask(op="orderSubscription", heartbeatMs="soon")
    assert answer is not None
    assert answer["errorCode"] == "INVALID_INPUT"
    line.receive()
    other = Line(sandbox)
    other.receive()
    other._socket.sendall(b"[]\r\n")
    refusal = other.receive()
    assert refusal is not None
    assert refusal["errorCode"] == "INVALID_INPUT"
    other.close()


@pytest.mark.parametrize(
    ("operation", "change"), [("marketSubscription", "mcm"), ("orderSubscription", "ocm")]
)
def test_a_subscription_gets_an_empty_image_and_then_heartbeats(
    sandbox: Sandbox, line: Line, operation: str, change: str
) -> None:
    """A subscription that knows the clocks of a former one gets what has changed: nothing."""
    _enter(sandbox, line)
    status = line.ask(op=operation, id=2, heartbeatMs=1)
    assert status is not None
    assert (status["id"], status["statusCode"]) == (2, "SUCCESS")
    image = line.receive()
    assert image is not None
    assert (image["op"], image["id"], image["ct"]) == (change, 2, "SUB_IMAGE")
    assert image["heartbeatMs"] == 500
    beat = line.receive()
    assert beat is not None
    assert (beat["op"], beat["id"], beat["ct"]) == (change, 2, "HEARTBEAT")
    line.send(op=operation, id=3, initialClk=image["initialClk"], clk=beat["clk"])
    messages = [line.receive() for _ in range(2)]
    again = [message for message in messages if message and message["id"] == 3]
    assert [message.get("ct") for message in again] == [None, "RESUB_DELTA"]


def test_streams_can_be_closed_and_a_reset_closes_them(sandbox: Sandbox, line: Line) -> None:
    """A client then finds itself cut off."""
    line.receive()
    assert sandbox.close_streams() == 1
    assert line.receive() is None
    other = Line(sandbox)
    other.receive()
    sandbox.reset()
    assert other.receive() is None
    other.close()
    assert sandbox.counts() == {}


def test_a_session_that_ends_leaves_its_stream_open(sandbox: Sandbox, line: Line) -> None:
    """A choice of the sandbox: only the next authentication finds out."""
    _enter(sandbox, line)
    assert sandbox.expire_all() == 1
    answer = line.ask(op="heartbeat", id=2)
    assert answer is not None
    assert answer["statusCode"] == "SUCCESS"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_line_that_is_no_message_ends_the_stream(line: Line, content: bytes) -> None:
    """With the reason."""
    greeting = line.receive()
    assert greeting is not None
    assert greeting["op"] == "connection"
    line.send_line(content)
    answer = line.receive()
    assert answer is not None
    assert answer["errorCode"] == "INVALID_INPUT"
    assert line.receive() is None
