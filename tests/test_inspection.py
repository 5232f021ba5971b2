"""What can be read of a place without changing it: the token's age, and who may log in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from front import KEY, Front
from login.script import KEY as PLACE, LOCK, OLD, HandClock, Shelf

from betfair_session import LeaseSettings, NotATokenError, StoreError
from betfair_session.login import by_hand, lock as locks
from betfair_session.login.by_hand import Inspection, inspect, inspect_login
from betfair_session.login.lock import BAN, MARGIN
from betfair_session.storage import open_store


def look(path: Path) -> Inspection:
    """Inspect a directory, and see that this changes nothing in it."""
    before = sorted((each.name, each.read_bytes()) for each in path.iterdir())
    found = inspect(open_store(path), KEY, timeout=5)
    assert sorted((each.name, each.read_bytes()) for each in path.iterdir()) == before
    return found


def test_a_place_where_nothing_is(tmp_path: Path) -> None:
    """No token, and whoever wants to may log in; looking makes no directory."""
    found = inspect(open_store(tmp_path / "none"), KEY, timeout=5)
    assert list(tmp_path.iterdir()) == []
    assert (found.token, found.written, found.from_login) == ("missing", None, False)
    assert (found.login.state, found.login.lock, found.login.until) == ("free", None, None)


def test_what_lies_in_the_tokens_place(front: Front) -> None:
    """When it was written, by the store's clock, and whether the last login stored it.

    Junk is told apart from somebody's data, which is an error, as is a store that fails.
    """
    before = time.time()
    front.session().token()
    front.sandbox.clear_journal()
    found = look(front.path)
    assert (found.token, found.from_login, found.clock) == ("stored", True, True)
    assert found.written is not None
    assert before - 1 <= found.written <= found.now
    assert (found.login.state, len(found.login.recent)) == ("free", 1)
    assert front.sandbox.counts() == {}
    for content, token in ((front.sandbox.issue(), "stored"), ("two words", "junk")):
        front.token.write_text(content)
        assert (look(front.path).token, look(front.path).from_login) == (token, False)
    front.token.write_text("x" * 2000)
    with pytest.raises(NotATokenError):
        inspect(open_store(front.path), KEY, timeout=5)
    front.token.unlink()
    front.token.mkdir()
    with pytest.raises(StoreError):
        inspect(open_store(front.path), KEY, timeout=5)


HOLDER = locks.Lock(locks.HELD, "n" * 8, "a host", ttl=30.0)
FAILURE = locks.Lock(locks.FAILED, not_before=15.0)
REFUSAL = FAILURE._replace(status="ACCOUNT_NOW_LOCKED", login_class="account")


@pytest.mark.parametrize(
    ("lock", "age", "state", "until"),
    [
        (HOLDER, 0.0, "held", 30.0 + MARGIN),  # counted by the store's clock
        (HOLDER, 20.0, "held", 10.0 + MARGIN),
        (HOLDER, 40.0, "free", None),  # anybody may take it over
        (REFUSAL, 5.0, "refused", 15.0),
        (REFUSAL, BAN, "free", None),  # no refusal counts for longer
        (FAILURE._replace(login_class="unknown"), 0.0, "unanswered", 15.0),
        (FAILURE._replace(login_class="store"), 0.0, "unstored", None),  # a blank is written first
        (locks.Lock(locks.DONE, logins=(-50.0, -30.0, -20.0, -10.0)), 0.0, "braked", 10.0),
    ],
)
def test_what_a_lock_says_of_the_next_login(
    tmp_path: Path, lock: locks.Lock, age: float, state: str, until: float | None
) -> None:
    """Times are told from now; others' settings may allow more logins in a minute.

    The writer's clock was an hour fast, but how long ago it wrote is told by the store's.
    """
    now, fast, file = time.time(), 3600.0, tmp_path / f"{KEY}.login"
    logins = tuple(now + login for login in lock.logins)
    times: dict[str, Any] = {"since": now + fast - age, "not_before": now + fast + lock.not_before}
    file.write_bytes(locks.encode(lock._replace(logins=logins, **times)))
    os.utime(file, (now - age, now - age))
    login = look(tmp_path).login
    assert (login.state, len(login.recent)) == (state, len(logins))
    assert login.until == (until and pytest.approx(now + until, abs=1))
    assert login.lock is not None
    assert (login.lock.owner, login.lock.status) == (lock.owner, lock.status)
    store, more = open_store(tmp_path), LeaseSettings(logins_per_minute=10)
    assert logins == () or inspect_login(store, KEY, timeout=5, settings=more).state == "free"
    store.atomic = False  # where everybody logs in alone, nobody waits for a lock
    assert state != "held" or inspect_login(store, KEY, timeout=5).state == "free"


def test_a_lock_that_nobody_can_read(tmp_path: Path) -> None:
    """It counts as held by nobody known, for a while."""
    file = tmp_path / f"{KEY}.login"
    file.write_bytes(b"{")
    login = look(tmp_path).login
    assert (login.state, login.lock) == ("held", locks.JUNK)
    os.utime(file, (0, 0))
    assert look(tmp_path).login.state == "free"


def test_by_whose_clock_times_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's, if it tells; the writer's, if not; on one machine, one that does not step."""
    monkeypatch.setattr(by_hand, "Clock", HandClock)
    shelf, lock = Shelf(), HOLDER._replace(since=4990.0, boot="this boot", up=280.0, now=4000.0)
    shelf.objects = {PLACE: (OLD.encode(), "T0"), LOCK: (locks.encode(lock), "L0")}
    found = inspect(shelf, PLACE, timeout=5)
    assert (found.written, found.now, found.clock) == (5000.0, 5010.0, True)
    assert found.login.until == 5000.0 + 30.0 + MARGIN
    assert inspect_login(shelf, PLACE, timeout=5) == found.login
    shelf.now = None
    found = inspect(shelf, PLACE, timeout=5)
    assert (found.clock, found.login.until) == (False, 4990.0 + 30.0 + MARGIN)
    shelf.on_this_machine = True
    assert inspect_login(shelf, PLACE, timeout=5).until == 4000.0 + 30.0 + MARGIN
