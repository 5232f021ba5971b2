"""The real betfairlightweight's stream, let in with the shared token."""

from __future__ import annotations

import logging
import ssl
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from betfairlightweight import BetfairError, StreamListener
from betfairlightweight.exceptions import ListenerError, SocketError

from betfair_session import LoginRefused, SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session import IdentityClient
    from betfair_session.integrations.betfairlightweight import APIClient
    from betfair_session.sandbox import Sandbox

    Bot = Callable[..., APIClient]


def tokens_shown(sandbox: Sandbox) -> list[str | None]:
    """Return the tokens that streams have shown, in order."""
    return [entry.token for entry in sandbox.journal("stream")]


def test_it_subscribes_and_a_reconnect_shows_the_fresh_token(
    sandbox: Sandbox, trading: APIClient
) -> None:
    """The same stream object, after its session died and its connection broke."""
    old = trading.session_token
    stream = trading.streaming.create_stream(listener=StreamListener())
    stream.subscribe_to_orders()
    assert stream.listener.connections_available == 9
    sandbox.expire_all()
    sandbox.close_streams()
    with pytest.raises(SocketError, match="closed by server"):
        stream.start()
    stream.subscribe_to_markets(market_filter={}, market_data_filter={})
    stream.stop()
    assert tokens_shown(sandbox) == [old, trading.session_token]
    assert old != trading.session_token
    assert [entry.outcome for entry in sandbox.journal("stream")] == ["SUCCESS"] * 2
    assert sandbox.counts() == {"keepAlive": 2, "certlogin": 1, "stream": 2}


def test_it_shows_the_token_that_another_bot_has_renewed(
    sandbox: Sandbox, trading: APIClient, bot: Bot
) -> None:
    """No login is made for that."""
    stream = trading.streaming.create_stream()
    sandbox.expire_all()
    other = bot()
    other.login()
    stream.subscribe_to_orders()
    stream.stop()
    assert tokens_shown(sandbox) == [other.session_token]
    assert sandbox.counts()["certlogin"] == 1


def test_a_refused_token_is_renewed_and_shown_once_more(
    sandbox: Sandbox, bot: Bot, client: IdentityClient, tmp_path: Path
) -> None:
    """A trusted token may have died meanwhile; the listener hears nothing of it."""
    manager = SessionManager(
        client, sandbox.username, sandbox.password, verify_every=timedelta(minutes=15)
    )
    trading = bot(manager.session(tmp_path, "session.token"))
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


def test_a_second_refusal_is_raised(sandbox: Sandbox, trading: APIClient) -> None:
    """Each session dies at once here: two connections, and no more."""
    sandbox.configure(session_seconds=0)
    stream = trading.streaming.create_stream()
    with pytest.raises(ListenerError, match="INVALID_SESSION_INFORMATION"):
        stream.subscribe_to_orders()
    assert not stream.running
    assert sandbox.counts()["stream"] == 2


def test_another_refusal_is_raised_at_once(sandbox: Sandbox, trading: APIClient) -> None:
    """A wrong application key is no matter of the session."""
    trading.app_key = "wrong"
    stream = trading.streaming.create_stream()
    with pytest.raises(ListenerError, match="INVALID_APP_KEY"):
        stream.start()
    assert sandbox.counts() == {"keepAlive": 1, "stream": 1}


def test_without_a_token_it_does_not_connect(sandbox: Sandbox, trading: APIClient) -> None:
    """The error is ours and a BetfairError, which is what reconnecting loops catch."""
    sandbox.expire_all()
    sandbox.login_status("SUSPENDED")
    stream = trading.streaming.create_stream()
    with pytest.raises(BetfairError) as caught:
        stream.start()
    assert isinstance(caught.value, LoginRefused)
    assert not stream.running
    assert "stream" not in sandbox.counts()


def test_authenticating_by_hand_connects_first(sandbox: Sandbox, trading: APIClient) -> None:
    """As it does in the original; the ids go on from the one it was given."""
    stream = trading.streaming.create_stream(unique_id=41)
    assert stream.authenticate() == 42
    assert tokens_shown(sandbox) == [trading.session_token]
    assert stream.heartbeat() == 43
    stream.stop()


def test_a_server_that_cannot_prove_who_it_is_gets_no_token(
    sandbox: Sandbox, trading: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The original would send it to anybody."""
    monkeypatch.delenv("SSL_CERT_FILE")
    stream = trading.streaming.create_stream()
    with pytest.raises(ssl.SSLCertVerificationError):
        stream.start()
    assert not stream.running
    assert tokens_shown(sandbox) == [None]


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


def test_no_log_line_shows_the_token(trading: APIClient, caplog: pytest.LogCaptureFixture) -> None:
    """The original's debug log has what it sends."""
    caplog.set_level(logging.DEBUG)
    stream = trading.streaming.create_stream()
    stream.subscribe_to_orders()
    stream.stop()
    assert "orderSubscription" in caplog.text
    assert trading.session_token
    assert trading.session_token not in caplog.text
    assert trading.app_key not in caplog.text


def test_a_stream_that_is_stopped_while_it_lets_itself_in_sends_nothing(
    trading: APIClient, sandbox: Sandbox
) -> None:
    """Another thread may stop it between any two steps."""
    stream = trading.streaming.create_stream()
    stream._running = True  # and its socket is gone
    assert stream.authenticate() == 1
    assert sandbox.counts().get("stream", 0) == 0


def test_a_connection_that_breaks_at_the_authentication_is_an_error_of_the_streams(
    trading: APIClient,
) -> None:
    """Without the token, which the original would show in it."""
    stream = trading.streaming.create_stream()
    stream._connect()
    assert stream._socket is not None
    stream._socket.close()
    with pytest.raises(SocketError, match=r"^\[Connect: 1\]: Socket ") as caught:
        stream.authenticate()
    assert trading.session_token
    assert trading.session_token not in str(caught.value)
    assert not stream._running
