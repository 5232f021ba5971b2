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
    """A connection to the stream that knows nothing but JSON and CRLF, past its greeting."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Connect."""
        context = ssl.create_default_context(cafile=sandbox.ca_bundle)
        plain = socket.create_connection(sandbox.stream_address, timeout=20)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")
        assert self.receive().keys() == {"op", "connectionId"}

    def send(self, content: bytes | None = None, **message: object) -> None:
        """Send one message, or one line of whatever content."""
        self._socket.sendall((content or json.dumps(message).encode()) + b"\r\n")

    def receive(self) -> dict[str, Any]:
        """Return the next message; {} at the end."""
        found: dict[str, Any] = json.loads(self._lines.readline() or b"{}")
        return found

    def ask(self, content: bytes | None = None, **message: object) -> dict[str, Any]:
        """Send one message and return what comes next."""
        self.send(content, **message)
        return self.receive()

    def enter(self, sandbox: Sandbox) -> dict[str, Any]:
        """Show a live session."""
        token = sandbox.issue()
        return self.ask(op="authentication", id=7, appKey=sandbox.app_key, session=token)

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


def test_it_lets_a_live_session_in(sandbox: Sandbox, line: Line) -> None:
    """The journal has the token that was shown. A session that ends leaves its stream open."""
    fine = {"op": "status", "id": 7, "statusCode": "SUCCESS", "connectionClosed": False}
    assert line.enter(sandbox) == {**fine, "connectionsAvailable": 9}
    entry = sandbox.journal("stream")[0]
    assert entry.token == sandbox.sessions()[0].token
    assert (entry.outcome, entry.operations) == ("SUCCESS", ["authentication"])
    assert sandbox.expire_all() == 1
    assert line.ask(op="heartbeat", id=2)["statusCode"] == "SUCCESS"


def test_it_tells_why_somebody_is_not_let_in_and_hangs_up(sandbox: Sandbox) -> None:
    """The application key is looked at before the session; only a heartbeat needs neither."""
    authentication = {"op": "authentication", "id": 1, "appKey": sandbox.app_key}
    dead = {**authentication, "session": _DEAD}
    for content, code in (
        (json.dumps(dead), "INVALID_SESSION_INFORMATION"),
        (json.dumps(authentication), "NO_SESSION"),
        (json.dumps({**dead, "appKey": "wrong"}), "INVALID_APP_KEY"),
        (json.dumps({**dead, "appKey": None}), "NO_APP_KEY"),
        ('{"op": "marketSubscription"}', "NOT_AUTHORIZED"),
        ('{"op": "nothing"}', "INVALID_INPUT"),
        ("{}", "INVALID_INPUT"),
        ("{", "INVALID_INPUT"),
        ("[]", "INVALID_INPUT"),
        ("\xff", "INVALID_INPUT"),
    ):
        line = Line(sandbox)
        assert line.ask(op="heartbeat", id=3)["statusCode"] == "SUCCESS"
        answer = line.ask(content.encode("latin-1"))
        told = (answer["statusCode"], answer["errorCode"], answer["connectionClosed"])
        assert told == ("FAILURE", code, True)
        assert line.receive() == {}
        line.close()
        assert sandbox.journal("stream")[-1].outcome == code


@pytest.mark.parametrize(
    ("operation", "change"), [("marketSubscription", "mcm"), ("orderSubscription", "ocm")]
)
def test_a_subscription_gets_an_empty_image_and_then_heartbeats(
    sandbox: Sandbox, line: Line, operation: str, change: str
) -> None:
    """A subscription that knows the clocks of a former one gets what has changed: nothing."""
    line.enter(sandbox)
    assert line.ask(op=operation, heartbeatMs="soon")["errorCode"] == "INVALID_INPUT"
    line = Line(sandbox)
    line.enter(sandbox)
    status = line.ask(op=operation, id=2, heartbeatMs=1)
    assert (status["id"], status["statusCode"]) == (2, "SUCCESS")
    image, beat = line.receive(), line.receive()
    assert (image["op"], image["id"], image["ct"]) == (change, 2, "SUB_IMAGE")
    assert image["heartbeatMs"] == 500
    assert (beat["op"], beat["id"], beat["ct"]) == (change, 2, "HEARTBEAT")
    line.send(op=operation, id=3, initialClk=image["initialClk"], clk=beat["clk"])
    messages = [line.receive() for _ in range(2)]
    again = [message for message in messages if message["id"] == 3]
    assert [message.get("ct") for message in again] == [None, "RESUB_DELTA"]
    line.close()


def test_streams_can_be_closed_and_a_reset_closes_them(sandbox: Sandbox, line: Line) -> None:
    """A client then finds itself cut off."""
    assert sandbox.close_streams() == 1
    assert line.receive() == {}
    other = Line(sandbox)
    sandbox.reset()
    assert other.receive() == {}
    other.close()
    assert sandbox.counts() == {}
