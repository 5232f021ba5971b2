"""What can be read of a place without changing it: the token's age, and who may log in."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from betfair_session import SessionManager
from betfair_session.exceptions import LoginRefused, NotATokenError, StoreError
from betfair_session.login import lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.by_hand import inspect, inspect_login
from betfair_session.login.lock import BAN, MARGIN
from betfair_session.storage import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket

    from betfair_session import IdentityClient
    from betfair_session.login.by_hand import Inspection
    from betfair_session.sandbox import Sandbox

KEY = "session.token"


@pytest.fixture
def manager(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager of the sandbox's account."""
    return SessionManager(client, sandbox.username, sandbox.password)


def look(path: Path) -> Inspection:
    """Inspect a directory, and see that this changes nothing in it."""
    before = sorted((each.name, each.read_bytes()) for each in path.iterdir())
    found = inspect(open_store(path), KEY, timeout=5)
    assert sorted((each.name, each.read_bytes()) for each in path.iterdir()) == before
    return found


def put_lock(path: Path, lock: locks.Lock, *, age: float = 0.0) -> None:
    """Write a lock object as if that had happened `age` seconds ago."""
    file = path / f"{KEY}.login"
    file.write_bytes(locks.encode(lock))
    file.chmod(0o600)
    os.utime(file, (time.time() - age,) * 2)


def test_a_place_where_nothing_is(tmp_path: Path) -> None:
    """No token, and whoever wants to may log in."""
    found = look(tmp_path)
    assert (found.token, found.written, found.from_login) == ("missing", None, False)
    assert (found.login.state, found.login.lock, found.login.until) == ("free", None, None)


def test_looking_makes_no_directory(tmp_path: Path) -> None:
    """Not even that of a store that does not exist yet."""
    found = inspect(open_store(tmp_path / "none"), KEY, timeout=5)
    assert found.token == "missing"
    assert list(tmp_path.iterdir()) == []


def test_a_token_of_the_last_login(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """When it was written, by the store's clock, and that the last login stored it."""
    before = time.time()
    manager.get_session(tmp_path, KEY)
    sandbox.clear_journal()
    found = look(tmp_path)
    assert (found.token, found.from_login, found.clock) == ("stored", True, True)
    assert found.written is not None
    assert before - 1 <= found.written <= found.now
    assert found.login.state == "free"
    assert len(found.login.recent) == 1
    assert sandbox.counts() == {}


def test_a_token_that_something_else_wrote(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It is not that of the last login."""
    manager.get_session(tmp_path, KEY)
    (tmp_path / KEY).write_text(sandbox.issue())
    found = look(tmp_path)
    assert (found.token, found.from_login) == ("stored", False)


def test_what_is_no_token(tmp_path: Path) -> None:
    """Junk is told apart from somebody's data, which is an error everywhere."""
    (tmp_path / KEY).write_text("two words")
    assert look(tmp_path).token == "junk"
    (tmp_path / KEY).write_text("x" * 2000)
    with pytest.raises(NotATokenError):
        inspect(open_store(tmp_path), KEY, timeout=5)


@pytest.mark.parametrize("age", [0.0, 20.0])
def test_a_login_that_somebody_is_making(tmp_path: Path, age: float) -> None:
    """It is held until its time to live has passed, counted by the store's clock."""
    began = time.time() - age
    put_lock(tmp_path, locks.Lock(locks.HELD, "n" * 8, "a host", ttl=30.0, since=began), age=age)
    login = look(tmp_path).login
    assert login.state == "held"
    assert login.lock is not None
    assert login.lock.owner == "a host"
    assert login.until == pytest.approx(began + 30.0 + MARGIN, abs=1)


def test_a_login_that_was_never_finished(tmp_path: Path) -> None:
    """Past its time to live anybody may take it over."""
    put_lock(tmp_path, locks.Lock(locks.HELD, "n" * 8, "a host", ttl=30.0), age=40.0)
    assert look(tmp_path).login.state == "free"


def test_a_lock_that_nobody_can_read(tmp_path: Path) -> None:
    """It counts as held by nobody known, for a while."""
    file = tmp_path / f"{KEY}.login"
    file.write_bytes(b"{")
    login = look(tmp_path).login
    assert (login.state, login.lock) == ("held", locks.JUNK)
    os.utime(file, (0, 0))
    assert look(tmp_path).login.state == "free"


def test_a_refusal_and_its_end(manager: SessionManager, sandbox: Sandbox, tmp_path: Path) -> None:
    """It says until when, as the error did; the next call after that may log in."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    with pytest.raises(LoginRefused) as refused:
        manager.get_session(tmp_path, KEY)
    login = look(tmp_path).login
    assert login.state == "refused"
    assert login.lock is not None
    assert (login.lock.status, login.lock.refusals) == ("INVALID_USERNAME_OR_PASSWORD", 1)
    assert refused.value.not_before is not None
    assert login.until == pytest.approx(refused.value.not_before.timestamp(), abs=1)
    put_lock(tmp_path, login.lock._replace(boot=""), age=BAN)
    assert look(tmp_path).login.state == "free"
    manager.unlock(tmp_path, KEY)
    assert look(tmp_path).login.state == "free"


@pytest.mark.parametrize(
    ("login_class", "state", "waits"), [("unknown", "unanswered", 15), ("store", "unstored", None)]
)
def test_a_login_that_ended_badly(
    tmp_path: Path, login_class: str, state: str, waits: float | None
) -> None:
    """A lost answer keeps the next login back; after a store's failure a blank is written first."""
    now = time.time()
    lock = locks.Lock(locks.FAILED, since=now, not_before=now + 15, login_class=login_class)
    put_lock(tmp_path, lock)
    login = look(tmp_path).login
    assert login.state == state
    assert login.until == (waits and pytest.approx(now + waits, abs=1))


def test_too_many_logins(tmp_path: Path) -> None:
    """As many as the settings allow in a minute."""
    now = time.time()
    times = (now - 50, now - 30, now - 20, now - 10)
    put_lock(tmp_path, locks.Lock(locks.DONE, logins=times))
    login = look(tmp_path).login
    assert (login.state, len(login.recent)) == ("braked", 4)
    assert login.until == pytest.approx(times[0] + 60, abs=1)
    more = inspect_login(
        open_store(tmp_path), KEY, timeout=5, settings=LeaseSettings(logins_per_minute=10)
    )
    assert more.state == "free"


def test_a_store_where_everybody_logs_in_alone(tmp_path: Path) -> None:
    """Nobody waits there for a lock, so it is free."""
    put_lock(tmp_path, locks.Lock(locks.HELD, "n" * 8, "a host", since=time.time()))
    store = open_store(tmp_path)
    store.atomic = False
    assert inspect_login(store, KEY, timeout=5).state == "free"


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    """That is the store's own error."""
    (tmp_path / KEY).mkdir()
    with pytest.raises(StoreError):
        inspect(open_store(tmp_path), KEY, timeout=5)


@pytest.mark.parametrize("kind", ["moto", "gcs", "azure"])
def test_a_bucket_tells_its_own_time(
    bucket_on: Callable[[str], Bucket], manager: SessionManager, kind: str
) -> None:
    """The age of what was just written is by the server's clock, whole seconds at worst."""
    bucket = bucket_on(kind)
    manager.get_session(bucket.url(), KEY, bucket.options)
    with open_store(bucket.url(), bucket.options) as store:
        found = inspect(store, KEY, timeout=30)
    assert (found.token, found.from_login, found.clock) == ("stored", True, True)
    assert found.written is not None
    assert -2 < found.now - found.written < 120
    assert found.login.state == "free"
    manager.close()
