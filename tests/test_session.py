"""One token in one place, end to end: real TLS, real files."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import Mock

import fsspec
import pytest
from front import KEY, LOCK, UNKNOWN, Watched, live, under_way
from secrets_shown import everything_in

from betfair_session import (
    CertificateError,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LeaseSettings,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    NotATokenError,
    SessionManager,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.login import lock as locks
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session import Event, Session
    from betfair_session.sandbox import Sandbox


@pytest.fixture
def manager(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager for the sandbox's account that may log in as often as a test likes."""
    lease = LeaseSettings(logins_per_minute=100)
    return SessionManager(client, sandbox.username, sandbox.password, lease=lease)


@pytest.fixture
def other(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager that shares nothing with the first but the store, as another process would."""
    return SessionManager(client, sandbox.username, sandbox.password)


# --- resume, log in, heal -------------------------------------------------------------------------


def test_a_missing_token_makes_one_login_and_is_written_raw(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Exactly one certlogin; the object is the token and nothing else, only for its owner."""
    store = tmp_path / "not" / "there" / "yet"
    token = manager.get_session(store, KEY)
    assert sandbox.counts() == {"certlogin": 1}
    assert live(sandbox) == [token]
    assert (store / KEY).read_text() == token
    assert stat.S_IMODE((store / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert sorted(os.listdir(store)) == [KEY, LOCK]


def test_a_live_token_costs_one_read_and_one_keepalive(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing is written, and nobody logs in."""
    token = manager.get_session(tmp_path, KEY)
    sandbox.clear_journal()
    watched = Watched(manager.session(tmp_path, KEY))
    watched.before_write = lambda *_: pytest.fail("it was written")
    assert manager.get_session(tmp_path, KEY) == token
    assert watched.reads == [KEY]
    assert sandbox.counts() == {"keepAlive": 1}


def test_a_dead_token_is_replaced_by_one_login(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Betfair says NO_SESSION; the next token takes its place at once, again and again."""
    old = manager.get_session(tmp_path, KEY)
    for _ in range(5):
        sandbox.expire_all()
        new = manager.get_session(tmp_path, KEY)
        assert new != old
        assert (tmp_path / KEY).read_text() == new
        old = new
    assert sandbox.counts()["certlogin"] == 6


@pytest.mark.parametrize(
    "write",
    [lambda token: f"{token}\n".encode(), lambda token: f"\ufeff{token}\r\n".encode("utf-16-le")],
)
def test_a_token_that_something_else_wrote_is_used_replaced_and_logged_out(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, write: Callable[[str], bytes]
) -> None:
    """The Go library, an editor or PowerShell; a write is conditional on the object as it lies."""
    for end in (sandbox.expire_all, lambda: manager.logout(tmp_path, KEY)):
        token = sandbox.issue()
        (tmp_path / KEY).write_bytes(write(token))
        assert manager.get_session(tmp_path, KEY) == token
        end()
        assert live(sandbox) == []
    assert not (tmp_path / KEY).exists()
    (tmp_path / KEY).write_bytes(write(UNKNOWN))
    assert manager.get_session(tmp_path, KEY) == (tmp_path / KEY).read_text()
    assert sandbox.counts()["certlogin"] == 1


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        (b"", False),
        (b" \n", False),
        (UNKNOWN.encode(), False),
        (b"shopping: bread", True),
        (b"x" * 600, True),
        (b"\0junk\xff", True),
    ],
)
def test_what_is_no_live_token_is_replaced_and_junk_is_told(
    manager: SessionManager,
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
    *,
    warned: bool,
) -> None:
    """One warning, without what it was: it may have been somebody's data. A refusal leaves it."""
    (tmp_path / KEY).write_bytes(content)
    sandbox.login_status("INTERNAL_ERROR", times=1)
    with pytest.raises(LoginRefused):
        manager.get_session(tmp_path, KEY)
    assert (tmp_path / KEY).read_bytes() == content
    manager.unlock(tmp_path, KEY)
    caplog.clear()
    assert manager.get_session(tmp_path, KEY) == (tmp_path / KEY).read_text()
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == warned
    assert not warned or (str(tmp_path) in warnings[0] and KEY in warnings[0])
    assert "bread" not in caplog.text


@pytest.mark.parametrize("content", [b"shopping: bread", b"\0junk\xff", b"x" * 1025])
def test_somebodys_data_is_left_alone(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, content: bytes
) -> None:
    """A logout leaves all that is no token, and every call what has more than 1 KiB."""
    (tmp_path / KEY).write_bytes(content)
    calls: list[Callable[[Path, str], object]] = [manager.logout]
    if len(content) > 1024:
        calls.append(manager.get_session)
    for call in calls:
        with pytest.raises(NotATokenError) as caught:
            call(tmp_path, KEY)
        assert "bread" not in everything_in(caught.value)
    assert (tmp_path / KEY).read_bytes() == content
    assert os.listdir(tmp_path) == [KEY]
    assert sandbox.counts() == {}


CANNOT_TELL: dict[str, dict[str, Any]] = {
    "status:503": {},
    "status:500": {"body": "json"},
    "blocked": {},
    "html200": {},
    "internal_error": {},
    "redirect": {},
    "reset": {},
    "truncated": {},
    "non_object": {},
}


@pytest.mark.parametrize("fault", CANNOT_TELL)
def test_when_betfair_cannot_tell_nothing_happens(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, fault: str
) -> None:
    """No login and no change of the store, whether the token lives or not."""
    for token in (sandbox.issue(), UNKNOWN):
        (tmp_path / KEY).write_text(token)
        before = (tmp_path / KEY).stat()
        sandbox.fault("keepAlive", fault, times=None, **CANNOT_TELL[fault])
        with pytest.raises(IdentityUnavailable) as caught:
            manager.get_session(tmp_path, KEY)
        after = (tmp_path / KEY).stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
        assert token not in everything_in(caught.value)
    assert "certlogin" not in sandbox.counts()
    assert os.listdir(tmp_path) == [KEY]


def test_a_rotated_token_is_stored_for_the_others(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Should Betfair ever answer keepAlive with another token."""
    old = manager.get_session(tmp_path, KEY)
    sandbox.fault("keepAlive", "rotate")
    new = manager.get_session(tmp_path, KEY)
    assert new != old
    assert (tmp_path / KEY).read_text() == new
    assert sandbox.counts()["certlogin"] == 1


# --- where a token cannot be stored ---------------------------------------------------------------


@pytest.mark.parametrize("why", ["no right to replace it", "no directory", "unreachable"])
def test_nobody_logs_in_for_a_token_that_cannot_be_stored(
    manager: SessionManager,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    """It is found out before the login, by reading or by the lock."""
    store: Any = tmp_path
    options: dict[str, Any] = {}
    kind: type[StoreError] = StoreError
    if why == "no right to replace it":
        (tmp_path / KEY).write_text("")
        forbidden = PermissionError(errno.EACCES, "not permitted")
        monkeypatch.setattr(os, "rmdir", Mock(side_effect=forbidden))
        kind = StoreWriteError
    elif why == "no directory":
        store = tmp_path / "file"
        store.write_text("not a directory")
    else:
        store, kind = "s3://bucket", StoreUnavailable
        options = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}
    for _ in range(2):
        with pytest.raises(kind) as caught:
            manager.get_session(store, KEY, options, timeout=5)
    expected = {"no right to replace it": "forbidden", "unreachable": "unreachable"}
    assert caught.value.reason == expected.get(why, caught.value.reason)
    assert sandbox.counts() == {}
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("fault", [None, "blocked", "stall"])
def test_a_failed_write_ends_the_new_session(
    manager: SessionManager,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str | None,
) -> None:
    """The write's error comes first; a logout that fails, or hangs, is told beside it."""
    monkeypatch.setattr("betfair_session.login.runner._LOGOUT_SECONDS", 0.5)
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    if fault:
        sandbox.fault("logout", fault, times=None)
    with pytest.raises(StoreWriteError) as caught:
        manager.get_session(store, KEY)
    assert sandbox.counts()["certlogin"] == 1
    assert sandbox.counts()["logout"] >= 1
    assert isinstance(caught.value.__cause__, StoreError)
    assert isinstance(caught.value.logout_error, IdentityUnavailable) == (fault is not None)
    assert len(live(sandbox)) == (fault is not None)
    shown = everything_in(caught.value)
    assert [secret for secret in (sandbox.password, *live(sandbox)) if secret in shown] == []


# --- refusals, bans, the brake --------------------------------------------------------------------


def test_a_login_that_is_refused_is_not_repeated_by_others(
    manager: SessionManager, other: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The same typed error, with the time from which another try is allowed, and no request."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD", times=1)
    times = []
    for each in (manager, other):
        with pytest.raises(LoginRefused) as caught:
            each.get_session(tmp_path, KEY)
        error = caught.value
        assert (error.status, error.login_class) == ("INVALID_USERNAME_OR_PASSWORD", "credentials")
        assert error.not_before is not None
        assert sandbox.password not in everything_in(error)
        times.append(error.not_before.timestamp())
    assert abs(times[0] - times[1]) < 2
    assert sandbox.counts() == {"certlogin": 1}
    other.unlock(tmp_path, KEY)  # by a person who has corrected the password
    assert other.get_session(tmp_path, KEY) in live(sandbox)
    other.unlock(tmp_path / "nothing", KEY)
    assert not (tmp_path / "nothing").exists()


def test_unlocking_reads_again_what_others_have_changed(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Until it has its turn; where there is none, an error says so."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD", times=2)
    handle = manager.session(tmp_path, KEY)
    with pytest.raises(LoginRefused):
        handle.token()
    watched, left = Watched(handle), [2]

    def busy(key: str) -> None:
        if left[0] and key == LOCK:
            left[0] -= 1
            (tmp_path / LOCK).write_bytes((tmp_path / LOCK).read_bytes() + b" ")

    watched.after_read = busy
    handle.unlock()
    assert left == [0]
    with pytest.raises(LoginRefused):
        handle.token()
    assert sandbox.counts() == {"certlogin": 2}
    left[0] = 100
    with pytest.raises(StoreUnavailable) as caught:
        handle.unlock()
    assert (caught.value.reason, caught.value.key) == ("busy", KEY)


def test_a_valid_token_is_adopted_during_a_ban(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Sessions that exist stay valid; deleting the token does not shorten the ban."""
    sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    for _ in range(2):
        with pytest.raises(LoginRefused) as caught:
            manager.get_session(tmp_path, KEY)
        assert caught.value.login_class == "ban"
        (tmp_path / KEY).unlink(missing_ok=True)
    assert sandbox.counts() == {"certlogin": 1}
    token = sandbox.issue()
    (tmp_path / KEY).write_text(token)
    assert manager.get_session(tmp_path, KEY) == token


@pytest.mark.parametrize("fault", ["reset", "lost", "html200", "status:503", "token"])
def test_a_login_without_an_answer_is_not_repeated_at_once(
    manager: SessionManager, other: SessionManager, sandbox: Sandbox, tmp_path: Path, fault: str
) -> None:
    """Nobody knows whether there is a session now; others wait 15 seconds."""
    sandbox.fault("certlogin", fault)
    for each in (manager, other):
        with pytest.raises(IdentityUnavailable) as caught:
            each.get_session(tmp_path, KEY)
        assert caught.value.not_before is not None
    assert sandbox.counts() == {"certlogin": 1}
    assert not (tmp_path / KEY).exists()


def test_a_bad_certificate_leaves_the_login_to_others(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing was sent, so nothing is remembered."""
    client = IdentityClient(sandbox.app_key, certificate=str(tmp_path / "missing.pem"))
    with pytest.raises(CertificateError) as caught:
        SessionManager(client, "u", "p").get_session(tmp_path, KEY)
    assert caught.value.reason == "missing"
    assert manager.get_session(tmp_path, KEY) in live(sandbox)


def test_too_many_logins_in_a_minute_are_stopped(
    other: SessionManager, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Four healings are immediate, with a warning for each token that died so young."""
    for _ in range(4):
        other.get_session(tmp_path, KEY)
        sandbox.expire_all()
    with pytest.raises(LoginBrake) as caught:
        other.get_session(tmp_path, KEY)
    assert caught.value.not_before is not None
    assert sandbox.counts()["certlogin"] == 4
    warnings = [each for each in caplog.records if each.name == "betfair_session"]
    # The first token had no other before it; the brake itself is one, too.
    assert [each.levelname for each in warnings] == ["WARNING"] * 4
    assert all(str(tmp_path) in each.getMessage() for each in warnings)


# --- two callers at once --------------------------------------------------------------------------


def test_a_call_does_not_wait_longer_than_it_may(
    manager: SessionManager, other: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The error says who is logging in, and since when."""
    with under_way(sandbox, "certlogin", lambda: manager.get_session(tmp_path, KEY)) as slow:
        with pytest.raises(LoginTimeout) as caught:
            other.get_session(tmp_path, KEY, timeout=0.5)
        assert str(os.getpid()) in (caught.value.owner or "")
        assert caught.value.since is not None
        assert not slow.done()
    assert live(sandbox) == [slow.result()]


def test_a_waiter_adopts_the_new_token_without_asking_betfair(
    manager: SessionManager, other: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The lock vouches for a token that was stored a moment ago, to those who saw it held."""
    waiting = other.session(tmp_path, KEY)
    held, given_back = threading.Event(), threading.Event()

    def pause(key: str) -> None:
        if key == LOCK:
            held.set()
            given_back.wait(60)

    Watched(waiting).after_read = pause
    with ThreadPoolExecutor(1) as pool:
        with under_way(sandbox, "certlogin", lambda: manager.get_session(tmp_path, KEY)) as first:
            second = pool.submit(waiting.token)
            assert held.wait(60)
        token = first.result()
        given_back.set()  # before that the token alone is there, and has to be asked about
        assert second.result() == token
    assert sandbox.counts() == {"certlogin": 1}


def test_a_foreign_token_that_appears_during_the_login_wins(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It is adopted, and the session of our own login is ended."""
    with under_way(sandbox, "certlogin", lambda: manager.get_session(tmp_path, KEY)) as ours:
        foreign = sandbox.issue()
        (tmp_path / KEY).write_text(foreign)
    assert ours.result() == foreign
    assert live(sandbox) == [foreign]
    assert (tmp_path / KEY).read_text() == foreign


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.token(0.2),
        lambda session: session.verify(timeout=0.2),
        lambda session: session.renew(UNKNOWN, timeout=0.2),
        lambda session: asyncio.run(session.atoken(timeout=0.2)),
        lambda session: asyncio.run(session.arenew(UNKNOWN, timeout=0.2)),
    ],
    ids=["token", "verify", "renew", "atoken", "arenew"],
)
def test_every_call_ends_in_its_own_time(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, call: Callable[[Session], str]
) -> None:
    """Though another thread's login takes longer. One beyond all reason is a long one."""
    session = manager.session(tmp_path, KEY)
    with (
        under_way(sandbox, "certlogin", lambda: session.token(1e300)) as other,
        pytest.raises(LoginTimeout),
    ):
        call(session)
    assert other.result() in live(sandbox)


def test_a_stored_token_is_not_asked_about_without_time(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nor is anybody logged in."""
    (tmp_path / KEY).write_text(sandbox.issue())
    with pytest.raises(LoginTimeout):
        manager.session(tmp_path, KEY).token(timeout=1e-9)
    assert sandbox.counts() == {}


# --- renew, verify, logout ------------------------------------------------------------------------


@pytest.mark.usefixtures("short_waits")
def test_renew_adopts_anothers_token_and_logs_in_only_when_betfair_says_dead(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The betting API's word alone is not enough."""
    session = manager.session(tmp_path, KEY)
    old = session.token()
    assert session.renew(old) == old
    new = sandbox.issue()
    (tmp_path / KEY).write_text(new)
    assert session.renew(old) == new
    assert sandbox.counts()["certlogin"] == 1
    sandbox.expire(new)
    assert session.renew(new) in set(live(sandbox)) - {old, new}
    assert sandbox.counts()["certlogin"] == 2


@pytest.mark.parametrize("way", ["verify", "renew", "arenew"])
def test_what_another_thread_found_before_is_not_taken(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, way: str
) -> None:
    """It may have come from the store alone, or from before the token was rejected."""
    session = manager.session(tmp_path, KEY)
    token = session.token()
    sandbox.clear_journal()
    calls: dict[str, Callable[[], str]] = {
        "verify": session.verify,
        "renew": lambda: session.renew(token),
        "arenew": lambda: asyncio.run(session.arenew(token)),
    }
    watched = Watched(session)
    with ThreadPoolExecutor(1) as pool:
        with under_way(sandbox, "keepAlive", session.token, "after") as first:
            sandbox.expire(token)
            second = pool.submit(calls[way])
            assert not second.done()
        assert first.result() == token
        assert second.result() != token
    assert sandbox.counts() == {"keepAlive": 2, "certlogin": 1}
    assert watched.reads.count(KEY) >= 2


def test_logout_ends_the_session_and_removes_the_object(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A call right after it heals at once; a second logout finds nothing to do."""

    def published() -> str:  # which token the lock vouches for
        return str(json.loads((tmp_path / LOCK).read_bytes())["published"])

    manager.get_session(tmp_path, KEY)
    assert published() != ""
    manager.logout(tmp_path, KEY)
    manager.logout(tmp_path, KEY)
    assert published() == ""
    assert live(sandbox) == []
    assert not (tmp_path / KEY).exists()
    assert sandbox.counts() == {"certlogin": 1, "logout": 1}
    token = manager.get_session(tmp_path, KEY)
    assert live(sandbox) == [token]
    sandbox.fault("logout", "blocked", times=None)
    with pytest.raises(IdentityUnavailable):  # the session may still live, and others use it
        manager.logout(tmp_path, KEY)
    assert (tmp_path / KEY).read_text() == token
    (tmp_path / KEY).write_text(" \n")  # blank content is nobody's
    manager.logout(tmp_path, KEY)
    assert not (tmp_path / KEY).exists()


@pytest.mark.parametrize("moment", ["after the logout", "at the removal", "removed"])
def test_a_logout_leaves_what_another_published_meanwhile(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, moment: str
) -> None:
    """And then the lock, too, which says so."""

    def replace() -> None:
        (tmp_path / KEY).unlink()
        if moment != "removed":
            (tmp_path / KEY).write_text("another")

    def hear(event: Event) -> None:
        if event.kind == "logged out" and moment != "at the removal":
            replace()

    session = SessionManager(client, sandbox.username, sandbox.password, on_event=hear).session(
        tmp_path, KEY
    )
    session.token()
    watched = Watched(session)
    if moment == "at the removal":
        watched.before_delete = replace
    before = (tmp_path / LOCK).read_bytes()
    session.logout()
    assert live(sandbox) == []
    assert (tmp_path / KEY).exists() == (moment != "removed")
    assert (tmp_path / LOCK).read_bytes() == before


@pytest.mark.parametrize("held", [True, False])
def test_a_logout_leaves_a_lock_that_another_process_holds(
    manager: SessionManager, tmp_path: Path, *, held: bool
) -> None:
    """Or that changes in that very moment; the token is gone all the same."""
    session = manager.session(tmp_path, KEY)
    session.token()

    def conflict(*_: object) -> NoReturn:
        message = "changed"
        raise VersionConflict(message, store="s", key="k", reason="conflict")

    if held:
        lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
        (tmp_path / LOCK).write_bytes(locks.encode(lock))
    else:
        Watched(session).before_write = conflict
    before = (tmp_path / LOCK).read_bytes()
    session.logout()
    assert not (tmp_path / KEY).exists()
    assert (tmp_path / LOCK).read_bytes() == before


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("struck", [KEY, LOCK])
def test_an_interruption_after_the_login_loses_no_session(
    manager: SessionManager, other: SessionManager, sandbox: Sandbox, tmp_path: Path, struck: str
) -> None:
    """The new token is stored all the same, and the lock released, so that nobody waits."""
    handle, strikes = manager.session(tmp_path, KEY), []

    def strike(key: str, expect: object) -> None:
        if key == struck and (expect is ABSENT) == (key == KEY):  # the token, or the lock's end
            strikes.append(key)
            if len(strikes) == 1:
                raise KeyboardInterrupt

    Watched(handle).before_write = strike
    with pytest.raises(KeyboardInterrupt):
        handle.token()
    assert len(strikes) == 2  # and the second time it goes through
    assert locks.decode((tmp_path / LOCK).read_bytes()).state == locks.DONE
    token = other.get_session(tmp_path, KEY)
    assert live(sandbox) == [token]
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


# --- what a caller gives --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "/abs", "a/../b", "x.login", "line\nbreak", 7, None])
def test_keys_that_cannot_be_names_are_refused(
    manager: SessionManager, tmp_path: Path, key: str
) -> None:
    """And nothing is made."""
    stores: list[Any] = [tmp_path, []]
    for store in stores:
        with pytest.raises(ConfigurationError):
            manager.get_session(store, key)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "store",
    ["", "nosuch://place", "simplecache::s3://bucket/x", "filecache::file:///x", 7, [], {}, None],
)
def test_stores_that_cannot_be_are_refused(
    manager: SessionManager,
    sandbox: Sandbox,
    store: Any,  # noqa: ANN401 - what is tested
) -> None:
    """Without a login."""
    for call in (manager.get_session, manager.session, manager.logout, manager.unlock):
        with pytest.raises(ConfigurationError):
            call(store, KEY)
    with pytest.raises(ConfigurationError):
        asyncio.run(manager.aget_session(store, KEY))
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "3"}, "timeout"),
        ({"timeout": timedelta(seconds=3)}, "timeout"),
        ({"storage_options": '{"key": "of-mine"}'}, "storage_options"),
        ({"storage_options": ["of-mine"]}, "storage_options"),
        ({"storage_options": 5}, "storage_options"),
    ],
)
def test_arguments_of_a_call_of_a_wrong_type_are_refused(
    manager: SessionManager, tmp_path: Path, given: dict[str, Any], argument: str
) -> None:
    """The error names the argument; options may hold credentials, so it does not show them."""
    calls: list[Callable[[], str]] = [
        lambda: manager.get_session(tmp_path, KEY, **given),
        lambda: asyncio.run(manager.aget_session(tmp_path, KEY, **given)),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.argument == argument
        assert "of-mine" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_memory_and_filesystem_objects_work_too(manager: SessionManager, sandbox: Sandbox) -> None:
    """The same place may be named by a URL, a filesystem with its root, or a DirFileSystem."""
    memory = fsspec.filesystem("memory")
    token = manager.get_session("memory://tokens/here", KEY)
    assert memory.cat_file("/tokens/here/" + KEY).decode() == token
    assert manager.get_session((memory, "/tokens/here"), KEY) == token
    directory = fsspec.filesystem("dir", path="/tokens/here", fs=memory)
    assert manager.get_session(directory, KEY) == token
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 2}
    memory.rm("/tokens", recursive=True)


def test_a_store_nobody_vouches_for_is_named_in_the_log_once(
    manager: SessionManager, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Each process logs in by itself there; threads still share one login."""

    class Unknown(type(fsspec.filesystem("memory"))):  # type: ignore[misc] # fsspec is untyped
        """A kind of store that the library has never heard of."""

        protocol = "unheard"

    place = (Unknown(), "/unheard")
    token = manager.get_session(place, KEY)
    assert manager.get_session(place, KEY) == token
    sandbox.expire_all()
    assert manager.get_session(place, KEY) != token
    assert sandbox.counts()["certlogin"] == 2
    (warning,) = [each for each in caplog.records if "unheard://unheard is" in each.getMessage()]
    assert warning.levelname == "WARNING"
    manager.logout(place, KEY)


def test_the_same_place_is_one_handle(manager: SessionManager, tmp_path: Path) -> None:
    """So that its threads find each other. Options that are changed later are others."""
    store = str(tmp_path)
    session = manager.session(store, KEY)
    assert manager.session(store, KEY, {}) is session
    assert manager.session(store, "other") is not session
    assert manager.session(store, KEY, {"allow_world_writable": True}) is not session
    assert (session.client, session.key, session.store.label) == (session.client, KEY, store)
    options = {"client_kwargs": {"endpoint_url": "http://127.0.0.1:1"}}
    first = manager.session("s3://bucket/path", KEY, options)
    assert manager.session("s3://bucket/path", KEY, options) is first
    options["client_kwargs"]["endpoint_url"] = "http://127.0.0.1:2"
    assert manager.session("s3://bucket/path", KEY, options) is not first
    manager.close()
    assert session.token()
    assert manager.session(store, KEY) is not session
    assert store not in repr(manager)


def test_every_call_of_a_manager_takes_storage_options(
    manager: SessionManager, tmp_path: Path
) -> None:
    """Here one without which the place is refused."""
    options = {"allow_world_writable": True}
    token = manager.get_session(tmp_path, KEY, options)
    for name in (KEY, LOCK):
        (tmp_path / name).chmod(0o666)
    with pytest.raises(StoreUnavailable):
        manager.get_session(tmp_path, KEY)
    assert asyncio.run(manager.aget_session(tmp_path, KEY, options)) == token
    manager.unlock(tmp_path, KEY, options)
    (tmp_path / LOCK).chmod(0o666)
    manager.logout(tmp_path, KEY, options)
    assert not (tmp_path / KEY).exists()


def test_a_place_that_two_threads_open_at_once_is_one_handle(
    manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store of the slower one is closed."""
    opened, closed, first = list[object](), list[object](), list[object]()

    def opening(*given: Any, **named: Any) -> object:  # noqa: ANN401 - passed on
        made = open_store(*given, **named)
        monkeypatch.setattr(made, "close", lambda: closed.append(made))
        opened.append(made)
        if len(opened) == 1:
            first.append(manager.session(tmp_path, KEY))
        return made

    monkeypatch.setattr("betfair_session.manager.open_store", opening)
    assert [manager.session(tmp_path, KEY)] == first
    assert closed == opened[:1]
