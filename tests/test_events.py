"""What the hook is told, and what the log says."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from front import KEY, LOCK, Front, Watched
from secrets_shown import assert_hidden

from betfair_session import (
    BetfairSessionError,
    Event,
    IdentityUnavailable,
    LoginRefused,
    NotATokenError,
    StoreWriteError,
)
from betfair_session.login import lock as locks
from betfair_session.process.log import DEBUG, Log


class Heard(list[Event]):
    """A hook that is false while it has heard nothing."""

    def __call__(self, event: Event) -> None:
        self.append(event)


def test_each_call_tells_what_it_did(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """With the place, how long it took, and the error's text; and no secret is shown."""
    caplog.set_level(logging.DEBUG)
    sandbox, store = front.sandbox, front.path / "store"
    heard, everything = Heard(), list[Event]()
    listening = front.manager(on_event=heard)

    def told(
        raises: type[BetfairSessionError] | None = None, call: str = "get_session"
    ) -> list[str]:
        heard.clear()
        began = time.monotonic()
        with pytest.raises(raises) if raises else nullcontext() as caught:
            getattr(listening, call)(store, KEY)
        outer = time.monotonic() - began
        assert caught is None or heard[-1].detail == str(caught.value)
        assert all(0 <= event.seconds <= outer for event in heard)
        everything.extend(heard)
        return [event.kind for event in heard]

    assert told() == ["logged in", "written"]
    tokens = front.live()
    assert told() == ["resumed"]
    sandbox.fault("keepAlive", "html200")
    assert told(IdentityUnavailable) == ["cannot tell"]
    assert told(call="logout") == ["logged out"]
    with front.under_way("certlogin", lambda: told(StoreWriteError), "after") as call:
        aside = store.rename(front.path / "aside")
        store.touch()
    assert call.result() == ["logged in", "logged out", "cannot tell"]
    store.unlink()
    aside.rename(store)
    listening.unlock(store, KEY)
    sandbox.login_status("ACCOUNT_NOW_LOCKED")
    for _ in range(2):  # also of a refusal that is only remembered
        assert told(LoginRefused) == ["refused"]
        assert "ACCOUNT_NOW_LOCKED" in heard[0].detail
    assert {(event.store, event.key) for event in everything} == {(str(store), KEY)}
    said = [record.getMessage() for record in caplog.records]
    assert all(any(event.kind in each for each in said) for event in everything)
    account = (sandbox.username, sandbox.password, sandbox.app_key)
    assert_hidden(f"{everything} {said}", *tokens, *account)


def test_waiting_and_adopting_are_told(front: Front) -> None:
    """Also for whom it waited. Betfair is not asked about a token that the lock vouches for."""
    heard: list[Event] = []
    session = front.session(on_event=heard.append)
    watched = Watched(session)
    with ThreadPoolExecutor(1) as pool:
        with front.under_way("certlogin", front.session().token) as first:
            second = pool.submit(session.token)
            watched.wait_for_read(LOCK)
            owner = front.read_lock().owner
        assert first.result() == second.result()
    waited, adopted = heard
    assert (waited.kind, adopted.kind) == ("waited", "adopted")
    assert waited.detail == owner
    assert adopted.seconds >= waited.seconds > 0


def test_what_cannot_work_is_told(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """Such as someone else's data; it is not logged, since an error is raised."""
    heard: list[Event] = []
    front.token.touch(mode=0o600)
    front.token.write_text("x" * 2000)
    with pytest.raises(NotATokenError):
        front.session(on_event=heard.append).token()
    assert [event.kind for event in heard] == ["failed"]
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]


def test_a_line_waits_for_nobody_who_sets_up_logging() -> None:
    """Nor, after the first line, for a lock of logging that an interruption left held."""
    log, lock = Log("betfair_session.test"), vars(logging)["_lock"]
    log.tell(DEBUG, "one")
    with ThreadPoolExecutor(1) as pool, lock:
        pool.submit(log.tell, DEBUG, "two").result(20)


def test_a_hook_that_fails_harms_nobody(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    """It is called after all is stored and released; it may not ask for the token itself."""
    found = []

    def hook(event: Event) -> None:
        found.append((event.kind, front.read_lock().state, front.token.exists()))
        session.token()

    session = front.session(on_event=hook)
    assert [session.token()] == front.live()
    assert found == [("logged in", locks.DONE, True), ("written", locks.DONE, True)]
    raised = [each.exc_info[0] for each in caplog.records if each.exc_info]
    assert [kind.__name__ for kind in raised if kind] == ["ConfigurationError"] * 2
