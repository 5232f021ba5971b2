"""What the hook is told, and what the log says."""

from __future__ import annotations

import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from betfair_session import (
    Certificate,
    CertificateError,
    IdentityClient,
    IdentityUnavailable,
    LeaseSettings,
    LoginRefused,
    SessionManager,
    StoreWriteError,
)
from betfair_session.login import lock as locks
from betfair_session.login.runner import owner_name

if TYPE_CHECKING:
    from pathlib import Path

    from betfair_session.events import Event
    from betfair_session.sandbox import Sandbox

KEY = "session.token"


class Listener:
    """A manager whose events are kept."""

    def __init__(self, client: IdentityClient, sandbox: Sandbox) -> None:
        """Listen to one process."""
        self.events: list[Event] = []
        lease = LeaseSettings(ttl=6, login_deadline=3, store_deadline=1.5)
        self.manager = SessionManager(
            client, sandbox.username, sandbox.password, lease=lease, on_event=self.events.append
        )

    def kinds(self) -> list[str]:
        """Return the kinds of events since the last call."""
        kinds: list[str] = [event.kind for event in self.events]
        self.events.clear()
        return kinds

    def told(self, since: float) -> list[tuple[str, str]]:
        """Return kinds and details of the events of a call that began then (monotonic)."""
        outer = time.monotonic() - since
        assert all(0 <= event.seconds <= outer for event in self.events)
        told: list[tuple[str, str]] = [(event.kind, event.detail) for event in self.events]
        self.events.clear()
        return told


def opening_of(path: Path) -> threading.Event:
    """Return an event that is set when a file is opened from now on, as the interpreter sees it."""
    opened = threading.Event()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]) == str(path):
            opened.set()

    sys.addaudithook(hook)
    return opened


@pytest.fixture
def listener(client: IdentityClient, sandbox: Sandbox) -> Listener:
    """A process with a hook."""
    return Listener(client, sandbox)


def test_a_login_and_a_resumption_are_told(listener: Listener, tmp_path: Path) -> None:
    """With where it was and how long it took."""
    listener.manager.get_session(tmp_path, KEY)
    login, written = listener.events
    assert (login.kind, written.kind) == ("logged in", "written")
    assert (login.store, login.key) == (str(tmp_path), KEY)
    assert login.seconds > 0
    assert written.seconds > 0
    listener.kinds()
    listener.manager.get_session(tmp_path, KEY)
    assert listener.kinds() == ["resumed"]


def test_waiting_and_adopting_are_told(
    listener: Listener, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """And for whom it waited."""
    other = Listener(client, sandbox)
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(other.manager.get_session, tmp_path, KEY)
        sandbox.wait_for("certlogin")
        looked = opening_of(tmp_path / (KEY + ".login"))
        second = pool.submit(listener.manager.get_session, tmp_path, KEY)
        assert looked.wait(30)
        sandbox.release("certlogin")
        assert first.result() == second.result()
    waited, adopted = listener.events
    assert (waited.kind, adopted.kind) == ("waited", "adopted")
    assert waited.detail == owner_name()
    assert adopted.seconds >= waited.seconds > 0


def test_a_lease_that_is_taken_over_is_told(
    listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With whom it was taken from; the log warns."""
    held = locks.Lock(locks.HELD, "theirs", owner="somewhere process 1", ttl=0.1, since=1.0)
    (tmp_path / (KEY + ".login")).write_bytes(locks.encode(held))
    listener.manager.get_session(tmp_path, KEY)
    assert listener.events[0].detail == "somewhere process 1"
    assert listener.kinds() == ["waited", "lease taken over", "logged in", "written"]
    assert any("lease taken over" in record.getMessage() for record in caplog.records)


def test_a_refusal_is_told_by_all_that_respect_it(
    listener: Listener, sandbox: Sandbox, tmp_path: Path
) -> None:
    """With Betfair's status."""
    sandbox.login_status("SUSPENDED")
    for _ in range(2):
        with pytest.raises(LoginRefused):
            listener.manager.get_session(tmp_path, KEY)
    assert all("SUSPENDED" in event.detail for event in listener.events)
    assert listener.kinds() == ["refused", "refused"]
    assert sandbox.counts() == {"certlogin": 1}


def test_that_betfair_cannot_tell_is_told(
    listener: Listener, sandbox: Sandbox, tmp_path: Path
) -> None:
    """And that nothing else was done."""
    listener.manager.get_session(tmp_path, KEY)
    listener.kinds()
    sandbox.fault("keepAlive", "blocked", times=None)
    with pytest.raises(IdentityUnavailable):
        listener.manager.get_session(tmp_path, KEY)
    assert listener.kinds() == ["cannot tell"]


def test_a_logout_is_told(listener: Listener, sandbox: Sandbox, tmp_path: Path) -> None:
    """That of a session which could not be stored, and that which somebody wanted."""
    sandbox.break_store(str(tmp_path))
    with pytest.raises(StoreWriteError):
        listener.manager.get_session(tmp_path, KEY)
    assert listener.kinds() == ["logged in", "logged out", "cannot tell"]
    sandbox.mend_store()
    listener.manager.unlock(tmp_path, KEY)
    listener.manager.get_session(tmp_path, KEY)
    listener.kinds()
    listener.manager.logout(tmp_path, KEY)
    assert listener.kinds() == ["logged out"]


def test_events_are_whole(listener: Listener, sandbox: Sandbox, tmp_path: Path) -> None:
    """Each says where, how long it took, and more where there is more to say."""
    manager, store = listener.manager, tmp_path / "store"

    since = time.monotonic()
    manager.get_session(store, KEY)
    assert {(event.store, event.key) for event in listener.events} == {(str(store), KEY)}
    assert listener.told(since) == [("logged in", ""), ("written", "")]

    since = time.monotonic()
    manager.get_session(store, KEY)
    assert listener.told(since) == [("resumed", "")]

    sandbox.fault("keepAlive", "blocked", times=None)
    since = time.monotonic()
    with pytest.raises(IdentityUnavailable) as unsure:
        manager.get_session(store, KEY)
    assert listener.told(since) == [("cannot tell", str(unsure.value))]
    sandbox.clear_faults()

    since = time.monotonic()
    manager.logout(store, KEY)
    assert listener.told(since) == [("logged out", "the stored session")]

    sandbox.break_store(str(store))
    since = time.monotonic()
    with pytest.raises(StoreWriteError) as unwritten:
        manager.get_session(store, KEY)
    assert listener.told(since) == [
        ("logged in", ""),
        ("logged out", "the new session, which was not stored"),
        ("cannot tell", str(unwritten.value)),
    ]
    sandbox.mend_store()

    sandbox.login_status("ACCOUNT_NOW_LOCKED")
    manager.unlock(store, KEY)
    since = time.monotonic()
    with pytest.raises(LoginRefused) as refused:
        manager.get_session(store, KEY)
    assert listener.told(since) == [("refused", str(refused.value))]


def test_what_cannot_work_is_told(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as a certificate that does not exist; the log leaves it to the error that is raised."""
    heard: list[Event] = []
    client = IdentityClient(
        "app-key",
        certificate=Certificate.from_files("no.crt", "no.key"),
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
        verify=sandbox.ca_bundle,
    )
    manager = SessionManager(client, "u", "p", on_event=heard.append)
    with pytest.raises(CertificateError):
        manager.get_session(tmp_path, KEY)
    assert [event.kind for event in heard] == ["failed"]
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]


def test_a_hook_that_fails_harms_nobody(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on; the log has the hook's error."""

    def hook(event: Event) -> None:
        message = f"no {event.kind}"
        raise RuntimeError(message)

    manager = SessionManager(client, sandbox.username, sandbox.password, on_event=hook)
    assert manager.get_session(tmp_path, KEY) == sandbox.sessions()[0].token
    assert any(record.exc_info for record in caplog.records)


def test_no_event_and_no_log_line_holds_a_secret(
    listener: Listener, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens, at every level of the log."""
    caplog.set_level(logging.DEBUG)
    tokens = {listener.manager.get_session(tmp_path, KEY)}
    sandbox.fault("keepAlive", "status:503", times=3)
    with pytest.raises(IdentityUnavailable):
        listener.manager.get_session(tmp_path, KEY)
    sandbox.expire_all()
    tokens.add(listener.manager.get_session(tmp_path, KEY))
    sandbox.expire_all()
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    with pytest.raises(LoginRefused):
        listener.manager.get_session(tmp_path, KEY)
    shown = "".join(str(content) for event in listener.events for content in event)
    shown += "".join(record.getMessage() for record in caplog.records)
    assert "refused" in shown
    for secret in (*tokens, sandbox.username, sandbox.password, sandbox.app_key):
        assert secret not in shown
