"""One token in one place, end to end: real TLS, real files."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from front import KEY, LOCK, UNKNOWN, Front, Watched, identity
from programs import SECONDS, start
from secrets_shown import everything_in
from storage.plain import Plain

import betfair_session
from betfair_session import (
    CertificateError,
    IdentityUnavailable,
    LeaseSettings,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    NotATokenError,
    Session,
    SessionManager,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.login import lock as locks
from betfair_session.process import clocks
from betfair_session.storage import open_store
from betfair_session.storage.contract import VersionConflict


@pytest.fixture
def manager(front: Front) -> SessionManager:
    return front.manager()


# --- resume, log in, heal -------------------------------------------------------------------------


def test_a_token_from_its_login_to_its_successors(front: Front, manager: SessionManager) -> None:
    """A missing one costs one login, a live one a read and a keepAlive, a dead one another login.

    The object is the token and nothing else, and only its owner can read it.
    """
    front.path = front.path / "not" / "there" / "yet"
    token = manager.get_session(front.path, KEY)
    assert front.sandbox.counts() == {"certlogin": 1}
    assert front.live() == [token] == [front.token.read_text()]
    assert stat.S_IMODE(front.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(front.path.stat().st_mode) == 0o700
    assert sorted(os.listdir(front.path)) == [KEY, LOCK]
    watched = Watched(manager.session(front.path, KEY))
    watched.before_write = lambda *_: pytest.fail("it was written")
    with pytest.raises(LoginTimeout):
        manager.get_session(front.path, KEY, timeout=1e-9)  # no time: nothing is asked
    watched.reads.clear()
    assert manager.get_session(front.path, KEY) == token
    assert watched.reads == [KEY]
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}
    manager.close()
    for _ in range(4):
        front.sandbox.expire_all()
        new = manager.get_session(front.path, KEY)
        assert front.live() == [new] == [front.token.read_text()]
    front.sandbox.fault("keepAlive", "rotate")  # should Betfair ever answer with another token
    rotated = manager.get_session(front.path, KEY)
    assert [new] != [rotated] == [front.token.read_text()]
    assert front.sandbox.counts()["certlogin"] == 5


@pytest.mark.parametrize(
    "write",
    [lambda token: f"{token}\n".encode(), lambda token: f"\ufeff{token}\r\n".encode("utf-16-le")],
)
def test_a_token_that_something_else_wrote_is_used_replaced_and_logged_out(
    front: Front, manager: SessionManager, write: Callable[[str], bytes]
) -> None:
    """By the Go library, an editor or PowerShell; a write is conditional on the stored object."""
    for end in (front.sandbox.expire_all, lambda: manager.logout(front.path, KEY)):
        token = front.sandbox.issue()
        front.token.write_bytes(write(token))
        assert manager.get_session(front.path, KEY) == token
        end()
        assert front.live() == []
    assert not front.token.exists()
    front.token.write_bytes(write(UNKNOWN))
    assert manager.get_session(front.path, KEY) == front.token.read_text()
    assert front.sandbox.counts()["certlogin"] == 1


@pytest.mark.parametrize(
    ("content", "warned"),
    [(b" \n", False), (UNKNOWN.encode(), False), (b"shopping: bread", True), (b"\0\xff", True)],
)
def test_what_is_no_live_token_is_replaced_and_junk_is_told(
    front: Front,
    manager: SessionManager,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
    *,
    warned: bool,
) -> None:
    """One warning, without the content, which may be someone's data. After a refusal it stays."""
    front.token.write_bytes(content)
    front.sandbox.login_status("INTERNAL_ERROR", times=1)
    with pytest.raises(LoginRefused):
        manager.get_session(front.path, KEY)
    assert front.token.read_bytes() == content
    manager.unlock(front.path, KEY)
    caplog.clear()
    assert manager.get_session(front.path, KEY) == front.token.read_text()
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == warned
    assert not warned or (str(front.path) in warnings[0] and KEY in warnings[0])
    assert "bread" not in caplog.text


@pytest.mark.parametrize("content", [b"shopping: bread", b"\0junk\xff"])
def test_a_logout_leaves_what_is_no_token(
    front: Front, manager: SessionManager, content: bytes
) -> None:
    """Though a login would replace it."""
    front.token.write_bytes(content)
    with pytest.raises(NotATokenError) as caught:
        manager.logout(front.path, KEY)
    assert "bread" not in everything_in(caught.value)
    assert front.token.read_bytes() == content
    assert os.listdir(front.path) == [KEY]
    assert front.sandbox.counts() == {}


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    "fault", ["status:503", "blocked", "html200", "internal_error", "redirect", "reset"]
)
def test_when_betfair_cannot_tell_nothing_happens(
    front: Front, manager: SessionManager, fault: str
) -> None:
    """Although it would call the token dead."""
    front.token.write_text(UNKNOWN)
    before = front.token.stat()
    front.sandbox.fault("keepAlive", fault, times=None)
    with pytest.raises(IdentityUnavailable):
        manager.get_session(front.path, KEY)
    after = front.token.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [*front.sandbox.counts()] == ["keepAlive"]
    assert os.listdir(front.path) == [KEY]


def test_without_a_fit_certificate_one_keeps_nobody_waiting(front: Front, tmp_path: Path) -> None:
    """Google takes one write a second. It waits for who can log in, and takes a renewed file."""
    unfit = (tmp_path / "client.crt", tmp_path / "client.key")
    client = identity(front.sandbox, certificate=unfit)
    session = Front(client, front.sandbox, front.path).session()
    with pytest.raises(CertificateError):
        session.token()
    lock = front.lock.read_bytes()
    with pytest.raises(CertificateError):
        session.token()
    assert front.lock.read_bytes() == lock
    watched = Watched(session)
    with ThreadPoolExecutor(1) as pool, front.under_way("certlogin", front.session().token) as call:
        waiting = pool.submit(session.token)
        watched.wait_for_read(LOCK)
        front.sandbox.release("certlogin")
        assert waiting.result() == call.result()
    for path, now in zip(unfit, front.sandbox.certificate, strict=True):
        shutil.copy(now, path)
    front.sandbox.expire_all()
    assert session.token() in front.live()


def test_who_types_no_code_keeps_nobody_waiting(front: Front) -> None:
    """Ctrl-C instead: nothing was sent, so the next login may follow at once."""
    front.sandbox.set_two_step("123456")
    code = Mock(side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        front.manager(two_step=code).get_session(front.path, KEY)
    assert (front.sandbox.counts(), front.read_lock().logins) == ({}, ())
    assert front.manager(two_step="123456").get_session(front.path, KEY) in front.live()


# --- where a token cannot be stored ---------------------------------------------------------------


def test_nobody_logs_in_for_a_token_that_cannot_be_stored(
    front: Front, manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.token.write_text("")
    forbidden = PermissionError(errno.EACCES, "not permitted")
    monkeypatch.setattr(os, "rmdir", Mock(side_effect=forbidden))
    for _ in range(2):
        with pytest.raises(StoreWriteError) as caught:
            manager.get_session(front.path, KEY)
        assert caught.value.reason == "forbidden"
    assert front.sandbox.counts() == {}
    assert not front.lock.exists()


# --- refusals, the brake --------------------------------------------------------------------------


def test_unlocking_reads_again_what_others_have_changed(front: Front) -> None:
    """It repeats until it gets its turn, or an error says so. It creates nothing."""
    front.manager().unlock(front.path / "nothing", KEY)
    assert not (front.path / "nothing").exists()
    front.sandbox.login_status("INVALID_USERNAME_OR_PASSWORD", times=2)
    handle = front.session()
    with pytest.raises(LoginRefused):
        handle.token()
    watched, left = Watched(handle), [2]

    def busy(key: str) -> None:
        if left[0] and key == LOCK:
            left[0] -= 1
            front.lock.write_bytes(front.lock.read_bytes() + b" ")

    watched.after_read = busy
    handle.unlock()
    assert left == [0]
    for _ in range(2):  # the second sends no login, so its error names the way out
        with pytest.raises(LoginRefused) as refused:
            handle.token()
    assert "session.unlock()" in str(refused.value)
    assert f"session unlock {front.path} {KEY}`" in str(refused.value)
    assert front.sandbox.counts() == {"certlogin": 2}
    left[0] = 100
    with pytest.raises(StoreUnavailable) as caught:
        handle.unlock()
    assert (caught.value.reason, caught.value.key) == ("busy", KEY)
    assert caught.value.store == handle.store.label


def test_unlocking_forgets_a_refusal_that_only_the_process_knows(front: Front) -> None:
    """It could not be noted, and the lock is gone."""
    front.sandbox.login_status("SUSPENDED", times=1)
    session = front.session()

    def refuse(_: str, content: bytes) -> None:
        if b"SUSPENDED" in content:
            raise StoreWriteError("no", reason="forbidden")

    Watched(session).before_write = refuse
    for _ in range(2):
        with pytest.raises(LoginRefused):
            session.token()
        front.lock.unlink(missing_ok=True)
    assert front.sandbox.counts() == {"certlogin": 1}
    session.unlock()
    assert session.token() in front.live()


def test_too_many_logins_in_a_minute_are_stopped(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """Four healings are immediate, with a warning for each token that died so young."""
    session = front.session(lease=LeaseSettings())
    for _ in range(4):
        session.token()
        front.sandbox.expire_all()
    with pytest.raises(LoginBrake) as caught:
        session.token()
    assert caught.value.not_before is not None
    assert front.sandbox.counts()["certlogin"] == 4
    warnings = [each for each in caplog.records if each.levelname == "WARNING"]
    # The first token had none before it; the brake, an event, warns, too.
    names = ["betfair_session"] * 3 + ["betfair_session.events"]
    assert [each.name for each in warnings] == names
    assert all(str(front.path) in each.getMessage() for each in warnings)


# --- two callers at once --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.token(1e-9),  # no time at all
        lambda session: asyncio.run(session.atoken(timeout=1e-9)),
        lambda session: session.token(0.2),
        lambda session: session.verify(timeout=0.2),
        lambda session: session.renew(UNKNOWN, timeout=0.2),
        lambda session: asyncio.run(session.atoken(timeout=0.2)),
        lambda session: asyncio.run(session.arenew(UNKNOWN, timeout=0.2)),
    ],
    ids=["now", "anow", "token", "verify", "renew", "atoken", "arenew"],
)
def test_every_call_ends_in_its_own_time(front: Front, call: Callable[[Session], str]) -> None:
    """Even if another thread's login takes longer. A huge timeout is a long one."""
    session = front.session()
    with (
        front.under_way("certlogin", lambda: session.token(1e300)) as other,
        pytest.raises(LoginTimeout),
    ):
        call(session)
    assert other.result() in front.live()


# --- renew, verify, logout ------------------------------------------------------------------------


@pytest.mark.usefixtures("short_waits")
def test_renew_adopts_anothers_token_and_logs_in_only_when_betfair_says_dead(front: Front) -> None:
    session = front.session()
    old = session.token()
    assert session.renew(old) == old
    new = front.sandbox.issue()
    front.token.write_text(new)
    assert session.renew(old) == new
    assert front.sandbox.counts()["certlogin"] == 1
    front.sandbox.expire(new)
    assert session.renew(new) in {*front.live()} - {old, new}
    assert front.sandbox.counts()["certlogin"] == 2


@pytest.mark.parametrize("way", ["verify", "renew", "arenew"])
def test_what_another_thread_found_before_is_not_taken(front: Front, way: str) -> None:
    """That result may come from the store alone, or be older than the rejection."""
    session = front.session()
    token = session.token()
    calls: dict[str, Callable[[], str]] = {
        "verify": session.verify,
        "renew": lambda: session.renew(token),
        "arenew": lambda: asyncio.run(session.arenew(token)),
    }
    with ThreadPoolExecutor(1) as pool:
        with front.under_way("keepAlive", session.token, "after") as first:
            front.sandbox.expire(token)
            second = pool.submit(calls[way])
            assert not second.done()
        assert first.result() == token
        assert second.result() != token
    assert front.sandbox.counts() == {"keepAlive": 2, "certlogin": 2}


def test_logout_removes_the_object_and_the_locks_word_for_it(
    front: Front, manager: SessionManager
) -> None:
    """Also a blank object, which is no token; a second logout finds nothing to do."""
    manager.get_session(front.path, KEY)
    assert front.read_lock().published
    for _ in range(2):
        manager.logout(front.path, KEY)
    assert not front.read_lock().published
    assert front.sandbox.counts() == {"certlogin": 1, "logout": 1}
    front.token.write_text(" \n")
    manager.logout(front.path, KEY)
    assert not front.token.exists()


CHANGED = VersionConflict("changed", store="s", key="k", reason="conflict")


def test_a_logout_removes_its_token_though_another_has_just_shared_it(front: Front) -> None:
    """Where each write makes a new version, that is a conflict; the lock vouches for it no more.

    The hook hears of it when all is done.
    """
    heard = list[tuple[str, bool]]()
    session = front.session(on_event=lambda each: heard.append((each.kind, front.token.exists())))
    session.token()
    Watched(session).before_delete = Mock(side_effect=[CHANGED, None])
    session.logout()
    assert os.listdir(front.path) == [front.lock.name]
    assert front.read_lock().published == ""
    assert heard[-1] == ("logged out", False)


@pytest.mark.parametrize("what", ["replaced", "removed", "locked before", "locked"])
def test_a_logout_leaves_what_others_wrote_meanwhile(front: Front, what: str) -> None:
    """A token that another process published, and the lock that says so; or another's lock."""
    session = front.session()
    session.token()
    watched = Watched(session)
    if what == "replaced":
        watched.before_delete = lambda: front.token.write_text("another")
    elif what == "removed":
        watched.before_delete = front.token.unlink
    elif what == "locked before":
        front.locked()
    else:
        watched.before_write = Mock(side_effect=CHANGED)
    before = front.lock.read_bytes()
    session.logout()
    assert front.live() == []
    assert front.token.exists() == (what == "replaced")
    assert what != "replaced" or front.token.read_text() == "another"
    assert front.lock.read_bytes() == before


# --- what a caller gives --------------------------------------------------------------------------


def test_a_store_nobody_vouches_for_is_named_in_the_log_once(
    front: Front, manager: SessionManager, plain: type[Plain], caplog: pytest.LogCaptureFixture
) -> None:
    """There each process logs in by itself; threads still share one login."""
    place = (plain(skip_instance_cache=True), str(front.path))
    token = manager.get_session(place, KEY)
    assert manager.get_session(place, KEY) == token
    front.sandbox.expire_all()
    assert manager.get_session(place, KEY) != token
    assert front.sandbox.counts()["certlogin"] == 2
    told = f"{manager.session(place, KEY).store.label} is"
    (warning,) = [each for each in caplog.records if told in each.getMessage()]
    assert warning.levelname == "WARNING"
    manager.logout(place, KEY)


def test_the_same_place_is_one_handle(front: Front, manager: SessionManager) -> None:
    store = str(front.path)
    session, other = manager.session(store, KEY), manager.session(store, "other")
    assert manager.session(store, KEY, {}) is session is not other
    assert session.store is other.store
    assert (session.client, session.key, session.store.label) == (front.client, KEY, store)
    nested: dict[str, Any] = {"client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}
    first = manager.session("s3://bucket/path", KEY, nested)
    assert manager.session("s3://bucket/path", KEY, nested) is first
    nested["client_kwargs"]["endpoint_url"] = "http://127.0.0.1:2"  # changed later: other options
    assert manager.session("s3://bucket/path", KEY, nested).store is not first.store
    manager.close()
    assert session.token()
    assert manager.session(store, KEY).store is not session.store
    assert store not in repr(manager)


def test_a_store_is_closed_although_its_opening_was_interrupted(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that connects when it is made, before there is a handle for it."""
    store = Mock(atomic=True)
    monkeypatch.setattr("betfair_session.manager.open_store", Mock(return_value=store))
    monkeypatch.setattr("betfair_session.manager.Session", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        manager.session("memory://interrupted", KEY)
    manager.close()
    store.close.assert_called_once_with()


def test_every_call_of_a_manager_takes_storage_options(
    front: Front, manager: SessionManager
) -> None:
    """Here one without which the place is refused."""
    options = {"allow_world_writable": True}
    token = manager.get_session(front.path, KEY, options)
    for object_ in (front.token, front.lock):
        object_.chmod(0o666)
    with pytest.raises(StoreUnavailable):
        manager.get_session(front.path, KEY)
    assert asyncio.run(manager.aget_session(front.path, KEY, options)) == token
    manager.unlock(front.path, KEY, options)
    front.lock.chmod(0o666)
    manager.logout(front.path, KEY, options)
    assert not front.token.exists()


def test_threads_that_open_a_place_at_once_get_one_handle(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, opened, closed = threading.Barrier(4), list[object](), list[object]()

    def opening(*given: Any, **named: Any) -> object:  # noqa: ANN401 - passed on
        made = open_store(*given, **named)
        monkeypatch.setattr(made, "close", lambda: closed.append(made))
        opened.append(made)
        together.wait(60)
        return made

    monkeypatch.setattr("betfair_session.manager.open_store", opening)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(manager.session, "memory://together", KEY) for _ in range(4)]
    (handle,) = {each.result() for each in asked}
    assert sorted(map(id, [*closed, handle.store])) == sorted(map(id, opened))


def test_a_logout_is_patient_and_says_what_it_could_not_remove(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google takes one change of an object a second; a conflict may come from two that meet."""
    pauses: list[float] = []
    monkeypatch.setattr(clocks, "pause", pauses.append)
    throttled = StoreUnavailable("slow down", reason="throttled")
    for raised, reason in (
        ([throttled], ""),
        ([VersionConflict("met"), throttled], ""),
        ([throttled] * 2, "throttled"),
        ([VersionConflict("met")] * 9, "busy"),
    ):
        session = front.session()
        session.token()
        Watched(session).before_delete = Mock(side_effect=[*raised, None])
        pauses.clear()
        if reason:
            with pytest.raises(StoreUnavailable) as caught:
                session.logout()
            assert caught.value.reason == reason
        else:
            session.logout()
        assert front.token.exists() == bool(reason)
        assert front.live() == []
        assert max(pauses) > (1.0 if throttled in raised else 0.0)


def test_a_lock_that_cannot_be_given_back_is_told(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that takes new objects but replaces none has a first login, and no other."""
    session = front.session()

    def refuse(key: str, content: bytes) -> None:
        if key == LOCK and locks.decode(content).state != locks.HELD:
            raise StoreWriteError("no", reason="forbidden")

    Watched(session).before_write = refuse
    assert session.token() == front.token.read_text()
    assert [each.name for each in caplog.records if each.levelname == "WARNING"] == [
        "betfair_session"
    ]


DEPLOYED = """
import sys
from betfair_session import BetfairSessionError, from_env

try:
    from_env(dotenv=None).get_session(*sys.argv[1:])
except BetfairSessionError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("fails", ["login", "write"])
def test_a_login_ends_well_although_the_librarys_files_are_gone(
    front: Front, tmp_path: Path, fails: str
) -> None:
    """A deployment replaces them under a running program, which has its modules until then."""
    release = tmp_path / "release"
    shutil.copytree(Path(betfair_session.__file__).parent, release / "betfair_session")
    front.sandbox.hold("certlogin")
    if fails == "login":
        front.sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    variables = {**front.sandbox.environment(), "PYTHONPATH": str(release)}
    command = (sys.executable, "-c", DEPLOYED, str(front.path), KEY)
    with start(*command, directory=tmp_path, variables=variables) as program:
        front.sandbox.wait_for("certlogin")
        shutil.rmtree(release)
        if fails == "write":
            front.token.symlink_to("/sys/token")  # where nobody may write
        front.sandbox.release("certlogin")
        told, _ = program.communicate(timeout=SECONDS)
    assert told == {"login": "LoginRefused\n", "write": "StoreWriteError\n"}[fails]
    assert front.read_lock().refusals == (fails == "login")
    assert front.live() == []
