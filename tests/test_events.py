"""What the hook is told, and what the log says."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from front import KEY, LOCK, Watched, live, under_way

from betfair_session import (
    BetfairSessionError,
    CertificateError,
    IdentityClient,
    IdentityUnavailable,
    LeaseSettings,
    LoginRefused,
    SessionManager,
    StoreWriteError,
)
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.events import Event
    from betfair_session.sandbox import Sandbox


class Listener:
    """A manager whose events are kept."""

    def __init__(self, client: IdentityClient, sandbox: Sandbox) -> None:
        """Listen to one process."""
        self.events: list[Event] = []
        lease = LeaseSettings(ttl=6, login_deadline=3, store_deadline=1.5)
        self.manager = SessionManager(
            client, sandbox.username, sandbox.password, lease=lease, on_event=self.events.append
        )

    def of(self, call: Callable[[], object], raises: type[BetfairSessionError] | None) -> list[str]:
        """Make a call; return the kinds of its events, which have to be whole."""
        self.events.clear()
        began = time.monotonic()
        if raises is None:
            call()
        else:
            with pytest.raises(raises) as caught:
                call()
            assert self.events[-1].detail == str(caught.value)
        outer = time.monotonic() - began
        assert all(0 <= event.seconds <= outer for event in self.events)
        return [event.kind for event in self.events]


@pytest.fixture
def listener(client: IdentityClient, sandbox: Sandbox) -> Listener:
    """A process with a hook."""
    return Listener(client, sandbox)


def test_each_call_tells_what_it_did(
    listener: Listener, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With where, how long it took, and the error's text; and nobody is shown a secret."""
    caplog.set_level(logging.DEBUG)
    manager, store = listener.manager, tmp_path / "store"
    everything: list[Event] = []

    def get() -> None:
        manager.get_session(store, KEY)

    def told(
        call: Callable[[], object], raises: type[BetfairSessionError] | None = None
    ) -> list[str]:
        kinds = listener.of(call, raises)
        everything.extend(listener.events)
        return kinds

    assert told(get) == ["logged in", "written"]
    tokens = live(sandbox)
    assert told(get) == ["resumed"]
    sandbox.fault("keepAlive", "blocked", times=None)
    assert told(get, IdentityUnavailable) == ["cannot tell"]
    sandbox.clear_faults()
    assert told(lambda: manager.logout(store, KEY)) == ["logged out"]
    sandbox.break_store(str(store))
    assert told(get, StoreWriteError) == ["logged in", "logged out", "cannot tell"]
    sandbox.mend_store()
    manager.unlock(store, KEY)
    sandbox.login_status("ACCOUNT_NOW_LOCKED")
    for _ in range(2):  # also of a refusal that is only remembered
        assert told(get, LoginRefused) == ["refused"]
        assert "ACCOUNT_NOW_LOCKED" in listener.events[0].detail
    assert {(event.store, event.key) for event in everything} == {(str(store), KEY)}
    said = [record.getMessage() for record in caplog.records]
    assert [
        event.kind for event in everything if not any(event.kind in each for each in said)
    ] == []
    for secret in (*tokens, sandbox.username, sandbox.password, sandbox.app_key):
        assert secret not in f"{everything} {said}"


def test_waiting_and_adopting_are_told(
    listener: Listener, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """And for whom it waited."""
    other = SessionManager(client, sandbox.username, sandbox.password)
    session = listener.manager.session(tmp_path, KEY)
    watched = Watched(session)
    with ThreadPoolExecutor(1) as pool:
        with under_way(sandbox, "certlogin", lambda: other.get_session(tmp_path, KEY)) as first:
            second = pool.submit(session.token)
            watched.wait_for_read(LOCK)
            owner = locks.decode((tmp_path / LOCK).read_bytes()).owner
        assert first.result() == second.result()
    waited, adopted = listener.events
    assert (waited.kind, adopted.kind) == ("waited", "adopted")
    assert waited.detail == owner
    assert adopted.seconds >= waited.seconds > 0


def test_a_lease_that_is_taken_over_is_told(
    listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With whom it was taken from; the log warns."""
    held = locks.Lock(locks.HELD, "theirs", owner="somewhere process 1", ttl=0.1, since=1.0)
    (tmp_path / LOCK).write_bytes(locks.encode(held))
    listener.manager.get_session(tmp_path, KEY)
    assert listener.events[0].detail == "somewhere process 1"
    kinds = [event.kind for event in listener.events]
    assert kinds == ["waited", "lease taken over", "logged in", "written"]
    assert [each.levelname for each in caplog.records if "taken over" in each.getMessage()] == [
        "WARNING"
    ]


def test_what_cannot_work_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such as a certificate that does not exist; the log leaves it to the error that is raised."""
    heard: list[Event] = []
    client = IdentityClient("app-key", certificate=("no.crt", "no.key"))
    manager = SessionManager(client, "u", "p", on_event=heard.append)
    with pytest.raises(CertificateError):
        manager.get_session(tmp_path, KEY)
    assert [event.kind for event in heard] == ["failed"]
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]


def test_a_hook_that_fails_harms_nobody(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is called when all is stored and released; it may not ask for the token itself."""
    found = []

    def hook(event: Event) -> None:
        lock = locks.decode((tmp_path / LOCK).read_bytes())
        found.append((event.kind, lock.state, (tmp_path / KEY).exists()))
        session.token()

    manager = SessionManager(client, sandbox.username, sandbox.password, on_event=hook)
    session = manager.session(tmp_path, KEY)
    assert [session.token()] == live(sandbox)
    assert found == [("logged in", locks.DONE, True), ("written", locks.DONE, True)]
    raised = [each.exc_info[0] for each in caplog.records if each.exc_info]
    assert [kind.__name__ for kind in raised if kind] == ["ConfigurationError"] * 2
