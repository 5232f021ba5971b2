"""The real betfairlightweight's stream, authenticated by the shared token."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from betfairlightweight import BetfairError, StreamListener
from betfairlightweight.exceptions import ListenerError, SocketError
from front import Front
from secrets_shown import assert_hidden, everything_in

from betfair_session import ConfigurationError
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Sandbox

Bot = Callable[..., APIClient]


def tokens_shown(sandbox: Sandbox) -> list[str | None]:
    return [entry.token for entry in sandbox.journal("stream")]


def test_it_subscribes_and_a_reconnect_shows_the_fresh_token(
    sandbox: Sandbox, trading: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    """After its session died and its connection broke; no log line shows a secret."""
    caplog.set_level(logging.DEBUG)
    old = trading.session_token
    stream = trading.streaming.create_stream(listener=StreamListener())
    stream.subscribe_to_orders()
    assert stream.listener.connections_available == 9
    sandbox.expire_all()
    sandbox.close_streams()
    with pytest.raises(SocketError):
        stream.start()
    stream.subscribe_to_markets(market_filter={}, market_data_filter={})
    stream.stop()
    assert tokens_shown(sandbox) == [old, trading.session_token]
    assert old != trading.session_token
    assert [entry.outcome for entry in sandbox.journal("stream")] == ["SUCCESS"] * 2
    assert sandbox.counts() == {"keepAlive": 2, "certlogin": 1, "stream": 2}
    assert "orderSubscription" in caplog.text
    assert_hidden(caplog.text, old, trading.session_token, trading.app_key)


def test_it_shows_the_token_that_another_bot_has_renewed(
    sandbox: Sandbox, trading: APIClient, bot: Bot
) -> None:
    """This costs no login; `authenticate` by hand connects first, and its ids go on."""
    stream = trading.streaming.create_stream(unique_id=41)
    sandbox.expire_all()
    other = bot()
    other.login()
    assert stream.authenticate() == 42
    assert stream.heartbeat() == 43
    stream.stop()
    assert tokens_shown(sandbox) == [other.session_token]
    assert sandbox.counts()["certlogin"] == 1


def test_a_refused_token_is_renewed_and_shown_once_more(
    sandbox: Sandbox, bot: Bot, front: Front
) -> None:
    """A trusted token may have died meanwhile; the listener does not notice."""
    trading = bot(front.session(verify_every=timedelta(minutes=15)))
    trading.login()
    old = trading.session_token
    sandbox.expire_all()
    stream = trading.streaming.create_stream()
    stream.subscribe_to_orders()
    assert stream.running
    stream.stop()
    assert tokens_shown(sandbox) == [old, trading.session_token]
    outcomes = [entry.outcome for entry in sandbox.journal("stream")]
    assert outcomes == ["INVALID_SESSION_INFORMATION", "SUCCESS"]


def test_a_token_that_is_refused_later_is_not_shown_again(
    sandbox: Sandbox, bot: Bot, front: Front
) -> None:
    """By the answer to a subscription; within the trust window each reconnect would show it."""
    trading = bot(front.session(verify_every=timedelta(minutes=15)))
    stream = trading.streaming.create_stream()
    stream.subscribe_to_orders()
    old = stream.session_token
    sandbox.expire_all()
    refusal = {"op": "status", "id": 1, "statusCode": "FAILURE", "connectionClosed": True}
    code = {"errorCode": "INVALID_SESSION_INFORMATION", "errorMessage": "no"}
    with pytest.raises(ListenerError):
        stream._data(json.dumps(refusal | code))
    stream.stop()
    stream.subscribe_to_orders()
    stream.stop()
    assert tokens_shown(sandbox) == [old, *front.live()]


@pytest.mark.parametrize("app_key", ["", "wrong"])
def test_another_refusal_is_raised(sandbox: Sandbox, trading: APIClient, app_key: str) -> None:
    """A second one, where each session dies at once; or a wrong application key, at once."""
    if app_key:
        trading.app_key = app_key
    else:
        sandbox.configure(session_seconds=0)
    stream = trading.streaming.create_stream()
    with pytest.raises(ListenerError):
        stream.start()
    assert not stream.running
    assert sandbox.counts()["stream"] == (1 if app_key else 2)


def test_a_server_that_must_not_have_the_token_gets_none(
    sandbox: Sandbox, trading: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot prove who it is, and Betfair's own for a sandbox's session."""
    monkeypatch.setenv("SSL_CERT_FILE", sandbox.ca_bundle)  # which is not asked
    monkeypatch.setattr(trading.shared_session.client, "verify", True)
    with pytest.raises(ssl.SSLCertVerificationError):
        trading.streaming.create_stream().start()
    assert tokens_shown(sandbox) == [None]
    trading.stream_address = None
    stream = trading.streaming.create_stream()
    with pytest.raises(BetfairError) as caught:
        stream.start()
    assert isinstance(caught.value, ConfigurationError)
    assert not stream.running


@pytest.mark.parametrize("call", ["start", "subscribe_to_orders"])
def test_a_stop_while_it_gets_its_token_is_heard(bot: Bot, front: Front, call: str) -> None:
    """In an outage that takes a while, which is when somebody stops a bot."""
    stream = bot().streaming.create_stream()
    with front.under_way("certlogin", getattr(stream, call)) as reading:
        stream.stop()
    if call == "start":
        reading.result(60)
    else:
        with pytest.raises(SocketError):
            reading.result(60)
    assert not stream.running
    assert "stream" not in front.sandbox.counts()


def test_a_stop_from_another_thread_leaves_other_connections_alone(
    sandbox: Sandbox, trading: APIClient
) -> None:
    """The original closes the socket under its reader, and the next one gets the same number."""
    for _ in range(5):
        stream = trading.streaming.create_stream()
        stream.subscribe_to_orders()
        reader = threading.Thread(target=stream.start)
        reader.start()
        while not stream.receive_count:
            pass
        stream.stop()
        assert [session.token for session in sandbox.sessions()] == [trading.session_token]
        reader.join(20)
        assert not reader.is_alive()
        assert stream._socket is None


def test_a_stream_that_breaks_while_it_lets_itself_in(trading: APIClient, sandbox: Sandbox) -> None:
    """Stopped between two steps, it sends nothing; a broken connection is the stream's error."""
    stream = trading.streaming.create_stream()
    stream._running = True  # and its socket is gone
    assert stream.authenticate() == 1
    assert sandbox.counts().get("stream", 0) == 0
    stream = trading.streaming.create_stream()
    stream._connect()
    assert stream._socket is not None
    stream._socket.close()
    with pytest.raises(SocketError) as caught:
        stream.authenticate()
    assert_hidden(everything_in(caught.value), trading.session_token, sandbox.app_key)
    assert not stream._running
