"""What the library does in corners that no ordinary call leads to."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest

from betfair_session import (
    IdentityClient,
    IdentityUnavailable,
    KeepAlive,
    SessionManager,
)
from betfair_session.exchange.operations import called
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session import Event, Session
    from betfair_session.sandbox import Sandbox
    from betfair_session.secret import Secret

KEY = "session.token"


@pytest.mark.parametrize("body", [b"{", "[" * 100_000, b"\xff"])
def test_a_body_that_is_no_json_names_no_operation(body: str | bytes) -> None:
    """It is sent as it is; nothing is known of it."""
    assert called("https://host/exchange/betting/json-rpc/v1", body) == []


# --- the session ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_logout_leaves_what_came_meanwhile(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, change: str
) -> None:
    """Somebody who noticed at once has logged in already, or removed the object himself."""

    def interfere(event: Event) -> None:
        if event.kind == "logged out":
            (tmp_path / KEY).unlink()
            if change == "replaced":
                (tmp_path / KEY).write_text("another")

    manager = SessionManager(client, sandbox.username, sandbox.password, on_event=interfere)
    manager.get_session(tmp_path, KEY)
    before = (tmp_path / f"{KEY}.login").read_bytes()
    manager.logout(tmp_path, KEY)
    assert (tmp_path / KEY).exists() == (change == "replaced")
    assert (tmp_path / f"{KEY}.login").read_bytes() == before


@pytest.fixture
def trusting(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """Return a handle that trusts a verified token for a while."""
    manager = SessionManager(
        client, sandbox.username, sandbox.password, verify_every=timedelta(minutes=15)
    )
    return manager.session(tmp_path, KEY)


def test_a_token_that_was_verified_during_its_logout_is_not_trusted(
    trusting: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another thread, before Betfair has ended its session."""
    token = trusting.token()
    logout = trusting.client.logout

    def verify_first(of: Secret) -> None:
        assert trusting.verify() == token
        logout(of)

    monkeypatch.setattr(trusting.client, "logout", verify_first)
    trusting.logout()
    assert trusting.token() != token


def test_a_token_whose_logout_failed_is_not_trusted(trusting: Session, sandbox: Sandbox) -> None:
    """Betfair may have ended its session."""
    trusting.token()
    sandbox.fault("logout", "lost", times=3)
    with pytest.raises(IdentityUnavailable):
        trusting.logout()
    sandbox.clear_journal()
    trusting.token()
    assert sandbox.counts()["keepAlive"] >= 1


def test_options_that_are_changed_later_are_others(client: IdentityClient) -> None:
    """Also those within them: the handle that was made keeps what it was given."""
    manager = SessionManager(client, "u", "p")
    options = {"client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}
    first = manager.session("s3://bucket/path", KEY, options)
    assert manager.session("s3://bucket/path", KEY, options) is first
    options["client_kwargs"]["endpoint_url"] = "http://127.0.0.1:2"
    assert manager.session("s3://bucket/path", KEY, options) is not first
    manager.close()


def test_a_hook_is_told_when_nobody_waits_for_the_login_any_more(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may take its time, of all threads. What it may not do is to ask for the token itself."""
    found = []

    def hook(event: Event) -> None:
        lock = locks.decode((tmp_path / f"{KEY}.login").read_bytes())
        found.append((event.kind, lock.state, (tmp_path / KEY).exists()))
        session.token()

    manager = SessionManager(client, sandbox.username, sandbox.password, on_event=hook)
    session = manager.session(tmp_path, KEY)
    session.token()
    assert found == [("logged in", locks.DONE, True), ("written", locks.DONE, True)]
    assert caplog.text.count("ConfigurationError: a hook may not ask for the token") == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_keep_alive_whose_thread_ends_says_so(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing but the interpreter's own exceptions can end it."""

    def leave(_report: object) -> NoReturn:
        raise SystemExit

    session = SessionManager(client, sandbox.username, sandbox.password).session(tmp_path, KEY)
    keeper = KeepAlive(session, on_report=leave).start()
    thread = keeper._thread
    assert thread is not None
    thread.join(60)
    assert not keeper.running
    assert [(record.levelno, record.getMessage()) for record in caplog.records][-1] == (
        logging.CRITICAL,
        f"{session!r} is no longer kept alive: the thread ended",
    )
    keeper.stop()


def test_a_keep_alive_may_be_stopped_by_its_own_report(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It does not wait for itself."""
    session = SessionManager(client, sandbox.username, sandbox.password).session(tmp_path, KEY)
    keeper = KeepAlive(session, on_report=lambda _report: keeper.stop())
    keeper.start()
    thread = keeper._thread
    assert thread is not None
    thread.join(60)
    assert not keeper.running
    assert sandbox.counts() == {"certlogin": 1}


def test_a_keep_alive_that_was_never_started_can_be_stopped(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Closing twice is fine, too."""
    manager = SessionManager(client, sandbox.username, sandbox.password)
    keeper = KeepAlive(manager.session(tmp_path, KEY))
    calls: list[Callable[[], None]] = [keeper.stop, keeper.close, keeper.stop]
    assert [call() for call in calls] == [None] * 3
    assert not keeper.running
