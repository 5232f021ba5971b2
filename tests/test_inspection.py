"""What can be read of a place without changing it: the token's age, and who may log in."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from front import KEY, Front
from login.script import KEY as PLACE, LOCK, OLD, HandClock, Shelf

from betfair_session.login import by_hand, lock as locks
from betfair_session.login.by_hand import Inspection, inspect, inspect_login
from betfair_session.login.lock import BAN, MARGIN
from betfair_session.storage import open_store


def look(path: Path) -> Inspection:
    """Inspect a directory, and check that this changes nothing in it."""
    before = sorted((each.name, each.read_bytes()) for each in path.iterdir())
    found = inspect(open_store(path), KEY, timeout=5)
    assert sorted((each.name, each.read_bytes()) for each in path.iterdir()) == before
    return found


def test_a_token_is_known_to_be_the_last_logins(front: Front) -> None:
    """Until something else is written there; without a lock any process may log in."""
    login = look(front.path).login
    assert (login.state, login.lock, login.until) == ("free", None, None)
    front.session().token()
    found = look(front.path)
    assert (found.token, found.from_login, found.login.state) == ("stored", True, "free")
    front.token.write_text(front.sandbox.issue())
    assert (look(front.path).token, look(front.path).from_login) == ("stored", False)


HOLDER = locks.Lock(locks.HELD, "n" * 8, "a host", ttl=30.0)
FAILURE = locks.Lock(locks.FAILED, not_before=15.0)
REFUSAL = FAILURE._replace(status="ACCOUNT_NOW_LOCKED", login_class="account")


@pytest.mark.parametrize(
    ("lock", "age", "state", "until"),
    [
        (HOLDER, 0.0, "held", 30.0 + MARGIN),  # counted by the store's clock
        (HOLDER, 20.0, "held", 10.0 + MARGIN),
        (HOLDER, 40.0, "free", None),  # any process may take it over
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
    """Times are counted from now.

    The writer's clock was an hour fast, but the store's shows how long ago it wrote.
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
    store = open_store(tmp_path)
    store.atomic = False  # where each process logs in alone, none waits for a lock
    assert state != "held" or inspect_login(store, KEY, timeout=5).state == "free"


def test_by_whose_clock_times_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's, if it tells the time, else the writer's; on one machine, one without steps."""
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
