"""One token in one place, end to end: real TLS, real files."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from secrets_shown import everything_in

from betfair_session import (
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
from betfair_session.secret import Secret
from betfair_session.session import _unless_older
from betfair_session.storage.contract import ABSENT, ANY, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session import Session
    from betfair_session.sandbox import Sandbox
    from betfair_session.storage.contract import Expect, StoredObject, TokenStore

KEY = "session.token"
UNKNOWN = "A" * 43 + "="


@pytest.fixture
def manager(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager for the sandbox's account that may log in as often as a test likes."""
    lease = LeaseSettings(logins_per_minute=100)
    return SessionManager(client, sandbox.username, sandbox.password, lease=lease)


def another(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """Return a manager that shares nothing with the first but the store."""
    return SessionManager(client, sandbox.username, sandbox.password)


def live(sandbox: Sandbox) -> list[str]:
    """Return the tokens that live."""
    return [session.token for session in sandbox.sessions()]


def opened(path: Path, work: Callable[[], object]) -> int:
    """Count how often `path` itself is opened while `work` runs, as the interpreter sees it."""
    counting = threading.Event()
    counted: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if counting.is_set() and event == "open" and str(arguments[0]) == str(path):
            counted.append(event)

    sys.addaudithook(hook)
    counting.set()
    work()
    counting.clear()
    return len(counted)


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
    assert sorted(os.listdir(store)) == [KEY, KEY + ".login"]


def test_a_live_token_costs_one_read_and_one_keepalive(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing is written, and nobody logs in."""
    token = manager.get_session(tmp_path, KEY)
    sandbox.clear_journal()
    reads = opened(tmp_path / KEY, lambda: manager.get_session(tmp_path, KEY))
    assert reads == 1
    assert sandbox.counts() == {"keepAlive": 1}
    assert live(sandbox) == [token]


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


def test_a_token_that_somebody_else_wrote_is_used(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The Go library, or an editor with its line ending, may write the object."""
    token = sandbox.issue()
    (tmp_path / KEY).write_text(token + "\n")
    assert manager.get_session(tmp_path, KEY) == token
    assert sandbox.counts() == {"keepAlive": 1}


def test_a_token_from_a_windows_shell_is_used_replaced_and_logged_out(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """PowerShell writes UTF-16; what is compared at a write is the object as it lies there."""
    for end in (sandbox.expire_all, lambda: manager.logout(tmp_path, KEY)):
        token = sandbox.issue()
        (tmp_path / KEY).write_bytes(b"\xff\xfe" + f"{token}\r\n".encode("utf-16-le"))
        assert manager.get_session(tmp_path, KEY) == token
        end()
        assert live(sandbox) == []
    assert not (tmp_path / KEY).exists()
    assert manager.get_session(tmp_path, KEY) in live(sandbox)
    assert sandbox.counts()["certlogin"] == 1


def test_nobody_logs_in_for_a_token_that_cannot_be_stored(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's file in a sticky directory: it is seen before the lock is taken."""
    (tmp_path / KEY).write_text("")
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    for _ in range(2):
        with pytest.raises(StoreWriteError) as caught:
            manager.get_session(tmp_path, KEY)
        assert (caught.value.reason, caught.value.key) == ("forbidden", KEY)
    assert sandbox.counts() == {}
    assert os.listdir(tmp_path) == [KEY]


@pytest.mark.parametrize("content", ["", "\n", "   ", "not a token", "x" * 600, UNKNOWN])
def test_what_is_no_live_token_is_replaced(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, content: str
) -> None:
    """Blank content, junk up to 1 KiB, and a token that nobody knows."""
    (tmp_path / KEY).write_text(content)
    token = manager.get_session(tmp_path, KEY)
    assert (tmp_path / KEY).read_text() == token
    assert sandbox.counts()["certlogin"] == 1


def test_content_that_is_replaced_is_told(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with store and key, and without what it was: it may have been somebody's data."""
    (tmp_path / KEY).write_text("shopping: bread")
    manager.get_session(tmp_path, KEY)
    (warning,) = [each for each in caplog.records if "no session token" in each.getMessage()]
    assert warning.levelname == "WARNING"
    assert str(tmp_path) in warning.getMessage()
    assert repr(KEY) in warning.getMessage()
    assert "bread" not in caplog.text
    caplog.clear()
    for content in ("", " \n", UNKNOWN):
        (tmp_path / KEY).write_text(content)
        manager.get_session(tmp_path, KEY)
    sandbox.expire_all()
    sandbox.login_status("INTERNAL_ERROR")
    (tmp_path / KEY).write_text("shopping: bread")
    with pytest.raises(LoginRefused):
        manager.get_session(tmp_path, KEY)
    assert "no session token" not in caplog.text


def test_a_logout_leaves_what_is_no_token(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It may be somebody's data; blank content is nobody's."""
    (tmp_path / KEY).write_text("shopping: bread")
    with pytest.raises(NotATokenError, match=KEY) as caught:
        manager.logout(tmp_path, KEY)
    assert "bread" not in str(caught.value)
    assert (tmp_path / KEY).read_text() == "shopping: bread"
    (tmp_path / KEY).write_text(" \n")
    manager.logout(tmp_path, KEY)
    assert not (tmp_path / KEY).exists()
    assert sandbox.counts() == {}


def test_somebodys_data_is_left_alone(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """More than 1 KiB is no token: the key is mistyped."""
    (tmp_path / KEY).write_text("x" * 1025)
    start = rf"^'{KEY}' in {tmp_path} holds more than 1024 bytes"
    for call in (manager.get_session, manager.logout):
        with pytest.raises(NotATokenError, match=start):
            call(tmp_path, KEY)
    assert (tmp_path / KEY).read_text() == "x" * 1025
    assert os.listdir(tmp_path) == [KEY]
    assert sandbox.counts() == {}


CANNOT_TELL = [
    "status:503",
    "blocked",
    "html200",
    "internal_error",
    "status:500",
    "redirect",
    "reset",
    "truncated",
    "non_object",
]


JSON_BODY: dict[str, dict[str, Any]] = {"status:500": {"body": "json"}}


@pytest.mark.parametrize("alive", [True, False], ids=["alive", "dead"])
@pytest.mark.parametrize("fault", CANNOT_TELL)
def test_when_betfair_cannot_tell_nothing_happens(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, fault: str, *, alive: bool
) -> None:
    """No login and no change of the store, whether the token lives or not."""
    token = sandbox.issue() if alive else UNKNOWN
    (tmp_path / KEY).write_text(token)
    before = (tmp_path / KEY).stat()
    sandbox.fault("keepAlive", fault, times=None, **JSON_BODY.get(fault, {}))
    with pytest.raises(IdentityUnavailable) as caught:
        manager.get_session(tmp_path, KEY)
    assert "certlogin" not in sandbox.counts()
    after = (tmp_path / KEY).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert os.listdir(tmp_path) == [KEY]
    assert token not in everything_in(caught.value)


def test_a_store_that_cannot_be_written_is_found_out_before_a_login(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The lock is written first: no write, no login."""
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(StoreError):
        manager.get_session(tmp_path / "file", KEY)
    assert sandbox.counts() == {}


def test_a_failed_write_ends_the_new_session(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The write's error comes first; no session is left behind."""
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    with pytest.raises(StoreWriteError) as caught:
        manager.get_session(store, KEY)
    assert sandbox.counts() == {"certlogin": 1, "logout": 1}
    assert live(sandbox) == []
    assert caught.value.logout_error is None
    assert isinstance(caught.value.__cause__, StoreError)
    shown = everything_in(caught.value)
    assert sandbox.password not in shown


def test_a_failed_logout_is_added_to_the_failed_write(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It does not take the write error's place."""
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    sandbox.fault("logout", "blocked", times=None)
    with pytest.raises(StoreWriteError, match="could not be ended either") as caught:
        manager.get_session(store, KEY)
    assert isinstance(caught.value.logout_error, IdentityUnavailable)
    (token,) = live(sandbox)
    assert token not in everything_in(caught.value)


def test_a_logout_that_hangs_is_given_up(
    manager: SessionManager,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has a time of its own, since the caller's may be over; and the log says so."""
    monkeypatch.setattr("betfair_session.login.runner._LOGOUT_SECONDS", 0.5)
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    sandbox.fault("logout", "stall", times=None)
    with pytest.raises(StoreWriteError) as caught:
        manager.get_session(store, KEY)
    error = caught.value.logout_error
    assert str(error).endswith(("timed out", "no answer within 0.5 s"))
    label = str(store)
    assert (
        f"{label} {KEY!r}: a new session was not stored, and could not be ended either: {error}"
    ) in [record.getMessage() for record in caplog.records]


def test_junk_is_not_logged_out_to_the_letter(manager: SessionManager, tmp_path: Path) -> None:
    """Nor touched."""
    (tmp_path / KEY).write_bytes(b"\x00junk\xff")
    (tmp_path / KEY).chmod(0o600)
    with pytest.raises(NotATokenError) as caught:
        manager.logout(tmp_path, KEY)
    assert str(caught.value) == (
        f"{KEY!r} in {tmp_path} holds something that is no session token, so there is nothing to "
        "log out and it is left untouched. Is the key mistyped?"
    )
    assert (tmp_path / KEY).read_bytes() == b"\x00junk\xff"


def test_threads_share_one_login_and_one_keepalive(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """While one thread is at it the others wait for what it finds out."""
    for endpoint, call in (("certlogin", manager.get_session), ("keepAlive", manager.get_session)):
        sandbox.clear_journal()
        sandbox.hold(endpoint)
        with ThreadPoolExecutor(16) as pool:
            futures = [pool.submit(call, tmp_path, KEY) for _ in range(16)]
            sandbox.wait_for(endpoint)
            while pool._work_queue.qsize():
                pass
            sandbox.release(endpoint)
            tokens = {future.result() for future in futures}
        assert len(tokens) == 1
        assert sandbox.counts() == {endpoint: 1}


def test_a_login_that_is_refused_is_not_repeated_by_others(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The same typed error, with the time from which another try is allowed, and no request."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    with pytest.raises(LoginRefused) as first:
        manager.get_session(tmp_path, KEY)
    with pytest.raises(LoginRefused) as second:
        another(client, sandbox).get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1}
    assert first.value.status == second.value.status == "INVALID_USERNAME_OR_PASSWORD"
    assert first.value.login_class == second.value.login_class == "credentials"
    assert first.value.not_before is not None
    assert second.value.not_before is not None
    apart = second.value.not_before - first.value.not_before
    assert abs(apart.total_seconds()) < 2
    assert sandbox.password not in everything_in(second.value)


def test_a_person_can_clear_a_refusal(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """After mending the password nobody wants to wait."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD", times=1)
    with pytest.raises(LoginRefused):
        manager.get_session(tmp_path, KEY)
    other = another(client, sandbox)
    other.unlock(tmp_path, KEY)
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
    busy = Busy(handle.store, times=2)
    handle._store = busy  # type: ignore[assignment] # it does as one
    handle.unlock()
    assert busy.times == 0
    with pytest.raises(LoginRefused):
        handle.token()
    assert sandbox.counts() == {"certlogin": 2}
    busy.times = 100
    with pytest.raises(StoreUnavailable, match="changes all the time") as caught:
        handle.unlock()
    assert (caught.value.reason, caught.value.key) == ("busy", KEY)


class Around:
    """A real store, of which a test changes a call or two."""

    def __init__(self, store: TokenStore) -> None:
        """Use that one."""
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)


class Busy(Around):
    """A store in which somebody else writes after each read of ours, so many times."""

    def __init__(self, store: TokenStore, times: int) -> None:
        """Begin with so many."""
        super().__init__(store)
        self.times = times

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read, then write the same in other bytes."""
        stored = self._store.get(key, deadline=deadline)
        if stored is not None and self.times and key.endswith(".login"):
            self.times -= 1
            self._store.put(key, bytes(stored.content) + b" ", ANY, deadline=deadline)
        return stored


def test_a_valid_token_is_adopted_during_a_ban(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Sessions that exist stay valid; deleting the token does not shorten the ban."""
    sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    for _ in range(2):
        with pytest.raises(LoginRefused, match="TEMPORARY_BAN"):
            manager.get_session(tmp_path, KEY)
        (tmp_path / KEY).unlink(missing_ok=True)
    assert sandbox.counts() == {"certlogin": 1}
    token = sandbox.issue()
    (tmp_path / KEY).write_text(token)
    assert manager.get_session(tmp_path, KEY) == token


@pytest.mark.parametrize("fault", ["reset", "lost", "html200", "status:503", "token"])
def test_a_login_without_an_answer_is_not_repeated_at_once(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path, fault: str
) -> None:
    """Nobody knows whether there is a session now; others wait 15 seconds."""
    sandbox.fault("certlogin", fault)
    for each in (manager, another(client, sandbox)):
        with pytest.raises(IdentityUnavailable) as caught:
            each.get_session(tmp_path, KEY)
        assert caught.value.not_before is not None
    assert sandbox.counts() == {"certlogin": 1}
    assert not (tmp_path / KEY).exists()


def test_a_bad_certificate_leaves_the_login_to_others(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing was sent, so nothing is remembered."""
    client = IdentityClient(
        sandbox.app_key,
        certificate=str(tmp_path / "missing.pem"),
        identity_url=sandbox.identity_url,
        identity_cert_url=sandbox.identity_cert_url,
        verify=sandbox.ca_bundle,
    )
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        another(client, sandbox).get_session(tmp_path, KEY)
    assert manager.get_session(tmp_path, KEY) in live(sandbox)


def test_too_many_logins_in_a_minute_are_stopped(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Four healings are immediate; then a typed error says what to look at."""
    manager = another(client, sandbox)
    for _ in range(4):
        manager.get_session(tmp_path, KEY)
        sandbox.expire_all()
    with pytest.raises(LoginBrake, match="egress address") as caught:
        manager.get_session(tmp_path, KEY)
    assert caught.value.not_before is not None
    assert sandbox.counts()["certlogin"] == 4
    warnings = [
        (each.levelname, each.getMessage())
        for each in caplog.records
        if "rejected" in each.getMessage()
    ]
    assert set(warnings) == {
        (
            "WARNING",
            (
                f"{tmp_path} {KEY!r}: Betfair rejected a token that is less than a minute old; "
                "does the egress address change between calls, or does somebody log out?"
            ),
        )
    }


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (
            locks.Lock(locks.FAILED, status="INVALID_USERNAME_OR_PASSWORD", login_class="x"),
            r"4 login attempts in the last minute, the last: INVALID_USERNAME_OR_PASSWORD\. Check",
        ),
        (locks.Lock(locks.FAILED, login_class="unknown"), "4 .*; the last ended without an answer"),
        (locks.Lock(locks.FAILED, login_class="store"), "4 .* could not be stored"),
        (locks.Lock(locks.DONE), "4 login attempts in the last minute, and many more would"),
    ],
    ids=["refused", "unanswered", "unstored", "unlocked"],
)
def test_the_brake_tells_what_came_of_the_logins(
    manager: SessionManager, tmp_path: Path, last: locks.Lock, expected: str
) -> None:
    """Nothing kills sessions that were never made."""
    now = time.time()
    since = 0.0 if last.state == locks.DONE else now
    lock = last.but(logins=(now - 3, now - 2, now - 1, now), since=since, not_before=now - 1)
    (tmp_path / (KEY + ".login")).write_bytes(locks.encode(lock))
    (tmp_path / KEY).write_text("")
    braked = SessionManager(manager._account.client, "u", "p")
    with pytest.raises(LoginBrake, match=expected) as caught:
        braked.get_session(tmp_path, KEY)
    assert "egress address" not in str(caught.value)
    assert caught.value.not_before is not None


def test_a_call_does_not_wait_longer_than_it_may(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The error says who is logging in, and since when."""
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(manager.get_session, tmp_path, KEY)
        sandbox.wait_for("certlogin")
        with pytest.raises(LoginTimeout, match="has been logging in") as caught:
            another(client, sandbox).get_session(tmp_path, KEY, timeout=0.5)
        sandbox.release("certlogin")
        token = slow.result()
    assert caught.value.owner is not None
    assert str(os.getpid()) in caught.value.owner
    assert caught.value.since is not None
    assert live(sandbox) == [token]


def test_a_waiter_adopts_the_new_token_without_asking_betfair(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The lock vouches for a token that was stored a moment ago."""
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(manager.get_session, tmp_path, KEY)
        sandbox.wait_for("certlogin")
        second = pool.submit(another(client, sandbox).get_session, tmp_path, KEY)
        reads = threading.Event()
        sys.addaudithook(
            lambda event, arguments: (
                reads.set()
                if event == "open" and str(arguments[0]) == str(tmp_path / KEY)
                else None
            )
        )
        assert reads.wait(10)
        sandbox.release("certlogin")
        assert first.result() == second.result()
    assert sandbox.counts() == {"certlogin": 1}


def test_a_foreign_token_that_appears_during_the_login_wins(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It is adopted, and the session of our own login is ended."""
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(1) as pool:
        ours = pool.submit(manager.get_session, tmp_path, KEY)
        sandbox.wait_for("certlogin")
        foreign = sandbox.issue()
        (tmp_path / KEY).write_text(foreign)
        sandbox.release("certlogin")
        assert ours.result() == foreign
    assert live(sandbox) == [foreign]
    assert (tmp_path / KEY).read_text() == foreign


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


def test_renew_adopts_anothers_token(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The betting API rejected a token that the store no longer holds."""
    session = manager.session(tmp_path, KEY)
    old = session.token()
    new = sandbox.issue()
    (tmp_path / KEY).write_text(new)
    assert session.renew(old) == new
    assert sandbox.counts()["certlogin"] == 1


def test_renew_logs_in_only_when_betfair_says_dead(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The betting API's word alone is not enough."""
    session = manager.session(tmp_path, KEY)
    token = session.token()
    assert session.renew(token) == token
    assert sandbox.counts()["certlogin"] == 1
    sandbox.expire(token)
    assert session.renew(token) != token
    assert sandbox.counts()["certlogin"] == 2


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
    """Though another thread's login takes longer, and the manager allows a minute."""
    session = manager.session(tmp_path, KEY)
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(session.token)
        sandbox.wait_for("certlogin")
        with pytest.raises(LoginTimeout, match="another thread of this process is still at it"):
            call(session)
        sandbox.release("certlogin")
        assert other.result() in live(sandbox)


def test_a_time_beyond_all_reason_is_a_long_one(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Also where Python's own waits would overflow: behind another thread."""
    session = manager.session(tmp_path, KEY)
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(session.token, 1e300) for _ in range(2)]
        sandbox.wait_for("certlogin")
        sandbox.release("certlogin")
        assert {call.result() for call in calls} == set(live(sandbox))


def test_verify_does_not_make_do_with_what_another_thread_found(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """That may have come from the store alone, so Betfair is asked once more."""
    session = manager.session(tmp_path, KEY)
    token = session.token()
    sandbox.clear_journal()
    sandbox.hold("keepAlive")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(session.token)
        sandbox.wait_for("keepAlive")
        entered = threading.Event()
        join = session._flight.join

        def joined(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed on
            entered.set()
            return join(*arguments, **options)

        vars(session._flight)["join"] = joined
        second = pool.submit(session.verify)
        assert entered.wait(30)
        sandbox.release("keepAlive")
        assert first.result() == second.result() == token
    assert sandbox.counts() == {"keepAlive": 2}


def test_what_another_thread_found_before_the_rejection_is_not_taken() -> None:
    """Unless it is another token, or this thread has asked about it itself."""
    rejected, other = Secret("rejected"), Secret("other")
    assert _unless_older(None, rejected) is None
    assert _unless_older((rejected, False), rejected) is None
    assert _unless_older((rejected, True), rejected) == "rejected"
    assert _unless_older((other, False), rejected) == "other"


def test_a_renewal_goes_on_until_it_has_an_answer_of_its_own(
    manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another thread found may be the very token that was rejected since."""
    answers = [(Secret("rejected"), False), None, (Secret("another"), False)]
    session = manager.session(tmp_path, KEY)
    monkeypatch.setattr(session._flight, "join", lambda *_, **__: answers.pop(0))
    assert session.renew("rejected") == "another"
    assert answers == []


def test_a_logout_removes_no_token_that_another_published_meanwhile(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that lands in the moment before the removal."""
    session = manager.session(tmp_path, KEY)
    session.token()
    theirs = sandbox.issue()
    delete = session.store.delete

    def late(*given: Any, **named: Any) -> None:  # noqa: ANN401 - as they were given
        (tmp_path / KEY).write_text(theirs)
        delete(*given, **named)

    monkeypatch.setattr(session.store, "delete", late)
    session.logout()
    assert (tmp_path / KEY).read_text() == theirs
    assert [each.token for each in sandbox.sessions()] == [theirs]


def test_a_logout_is_done_although_the_lock_changed_meanwhile(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever changed it is logging in already."""
    session = manager.session(tmp_path, KEY)
    session.token()

    def conflict(*_: object, **__: object) -> NoReturn:
        message = "changed"
        raise VersionConflict(message, store="s", key="k", reason="conflict")

    monkeypatch.setattr(session.store, "put", conflict)
    session.logout()
    assert sandbox.sessions() == []
    assert not (tmp_path / KEY).exists()


def test_logout_ends_the_session_and_removes_the_object(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A call right after it heals at once; a second logout finds nothing to do."""
    manager.get_session(tmp_path, KEY)
    manager.logout(tmp_path, KEY)
    manager.logout(tmp_path, KEY)
    assert sandbox.sessions() == []
    assert not (tmp_path / KEY).exists()
    assert sandbox.counts() == {"certlogin": 1, "logout": 1}
    assert manager.get_session(tmp_path, KEY) in live(sandbox)


def test_a_logout_without_an_answer_leaves_the_object(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The session may still live, and others may go on using it."""
    token = manager.get_session(tmp_path, KEY)
    sandbox.fault("logout", "blocked", times=None)
    with pytest.raises(IdentityUnavailable):
        manager.logout(tmp_path, KEY)
    assert (tmp_path / KEY).read_text() == token


@pytest.mark.parametrize("key", ["", "/abs", "a/../b", "x.login", "line\nbreak", 7, None])
def test_keys_that_cannot_be_names_are_refused(
    manager: SessionManager, tmp_path: Path, key: str
) -> None:
    """As tests/storage/test_choice.py has them; nothing is made."""
    with pytest.raises(ConfigurationError, match="key"):
        manager.get_session(tmp_path, key)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("store", "what"),
    [
        ("", "no directory"),
        ("nosuch://place", "nosuch"),
        ("simplecache::s3://bucket/x", "cache"),
        ("filecache::file:///x", "cache"),
        ("blockcache::s3://bucket", "cache"),
        (7, "store"),
        ([], "store"),
        (None, "store"),
    ],
)
def test_stores_that_cannot_be_are_refused(
    manager: SessionManager, sandbox: Sandbox, store: str, what: str
) -> None:
    """Each with the reason, and without a login."""
    with pytest.raises(ConfigurationError, match=what):
        manager.get_session(store, KEY)
    assert sandbox.counts() == {}


def test_a_store_that_cannot_be_reached_leads_to_no_login(
    manager: SessionManager, sandbox: Sandbox
) -> None:
    """The bucket is in no known place; nobody may log in for that."""
    options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}}
    with pytest.raises(StoreUnavailable) as caught:
        manager.get_session("s3://bucket", KEY, options, timeout=5)
    assert caught.value.reason == "unreachable"
    assert sandbox.counts() == {}


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_that_is_none_is_refused(
    manager: SessionManager, tmp_path: Path, timeout: float
) -> None:
    """Seconds above 0."""
    with pytest.raises(ConfigurationError, match="timeout"):
        manager.get_session(tmp_path, KEY, timeout=timeout)


def test_memory_and_filesystem_objects_work_too(manager: SessionManager, sandbox: Sandbox) -> None:
    """The same place may be named by a URL, a filesystem with its root, or a DirFileSystem."""
    import fsspec

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
    import fsspec

    class Unknown(type(fsspec.filesystem("memory"))):  # type: ignore[misc] # fsspec is untyped
        """A kind of store that the library has never heard of."""

        protocol = "unheard"

    place = (Unknown(), "/unheard")
    token = manager.get_session(place, KEY)
    assert manager.get_session(place, KEY) == token
    sandbox.expire_all()
    assert manager.get_session(place, KEY) != token
    assert sandbox.counts()["certlogin"] == 2
    assert [each.getMessage() for each in caplog.records if "vouches" in each.msg] == [
        (
            "unheard://unheard is no store that this library vouches for, so each process logs in "
            "by itself; see backends.md for those that share one login"
        )
    ]
    manager.logout(place, KEY)


def test_the_same_place_is_one_handle(manager: SessionManager, tmp_path: Path) -> None:
    """So that its threads find each other."""
    store = str(tmp_path)
    session = manager.session(store, KEY)
    assert manager.session(store, KEY) is session
    assert manager.session(store, "other") is not session
    assert manager.session(store, KEY, {"allow_world_writable": True}) is not session
    manager.close()
    assert session.token()


def test_every_call_of_a_manager_takes_storage_options(
    manager: SessionManager, tmp_path: Path
) -> None:
    """Here one without which the place is refused."""
    options = {"allow_world_writable": True}
    token = manager.get_session(tmp_path, KEY, options)
    for name in (KEY, f"{KEY}.login"):
        (tmp_path / name).chmod(0o666)
    with pytest.raises(StoreUnavailable, match="allow_world_writable"):
        manager.get_session(tmp_path, KEY)
    assert asyncio.run(manager.aget_session(tmp_path, KEY, options)) == token
    manager.unlock(tmp_path, KEY, options)
    (tmp_path / f"{KEY}.login").chmod(0o666)
    manager.logout(tmp_path, KEY, options)
    assert not (tmp_path / KEY).exists()


def test_a_logout_leaves_a_lock_that_somebody_holds(
    manager: SessionManager, tmp_path: Path
) -> None:
    """He is logging in; the lock is his."""
    manager.get_session(tmp_path, KEY)
    lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
    (tmp_path / f"{KEY}.login").write_bytes(locks.encode(lock))
    manager.logout(tmp_path, KEY)
    assert not (tmp_path / KEY).exists()
    assert (tmp_path / f"{KEY}.login").read_bytes() == locks.encode(lock)


def test_nothing_secret_is_logged_or_shown(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs at every level, reprs, and the lock object."""
    caplog.set_level(0)
    session = manager.session(tmp_path, KEY)
    token = session.token()
    sandbox.expire_all()
    second = session.token()
    lock = (tmp_path / (KEY + ".login")).read_text()
    shown = caplog.text + repr(manager) + repr(session) + repr(vars(session)) + lock
    for secret in (token, second, sandbox.username, sandbox.password, sandbox.app_key):
        assert secret not in shown


def test_a_client_in_the_wrong_place_is_refused(client: IdentityClient) -> None:
    """The credentials do not show."""
    swapped: Any = SessionManager
    with pytest.raises(ConfigurationError, match="give an IdentityClient first") as caught:
        swapped("name-of-mine", "password-of-mine", client)
    assert "of-mine" not in str(caught.value)


def test_arguments_of_a_call_of_a_wrong_type_are_refused(
    manager: SessionManager, tmp_path: Path
) -> None:
    """A time, and storage options, which may hold credentials."""
    call: Any = manager.get_session
    for timeout in ("3", timedelta(seconds=3), 0):
        with pytest.raises(ConfigurationError, match="timeout must be a number of seconds"):
            call(tmp_path, KEY, timeout=timeout)
    for options in ('{"key": "of-mine"}', ["of-mine"], 5):
        with pytest.raises(ConfigurationError, match="storage_options must be a map") as caught:
            call(tmp_path, KEY, options)
        assert "of-mine" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("struck", ["token", "lock"])
def test_an_interruption_after_the_login_loses_no_session(
    manager: SessionManager, client: IdentityClient, sandbox: Sandbox, tmp_path: Path, struck: str
) -> None:
    """The new token is stored all the same, and the lock released, so that nobody waits."""
    handle = manager.session(tmp_path, KEY)
    store = Struck(handle.store, KEY if struck == "token" else KEY + ".login")
    handle._store = store  # type: ignore[assignment] # it does as one
    with pytest.raises(KeyboardInterrupt):
        handle.token()
    assert store.strikes == 2  # and the second time it goes through
    assert locks.decode((tmp_path / f"{KEY}.login").read_bytes()).state == locks.DONE
    token = another(client, sandbox).get_session(tmp_path, KEY)
    assert live(sandbox) == [token]
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


class Struck(Around):
    """A store in which Ctrl-C meets the first write of an object after the login."""

    def __init__(self, store: TokenStore, key: str) -> None:
        """Strike at that object."""
        super().__init__(store)
        self._key = key
        self.strikes = 0

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Strike if the token is created, or the lock replaced."""
        if key == self._key and (expect is ABSENT) == (key == KEY):
            self._strike()
        return self._store.put(key, content, expect, deadline=deadline)

    def _strike(self) -> None:
        self.strikes += 1
        if self.strikes == 1:
            raise KeyboardInterrupt


def test_a_stored_token_is_not_asked_about_without_time(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nor is anybody logged in."""
    (tmp_path / KEY).write_text(sandbox.issue())
    with pytest.raises(LoginTimeout, match="no time was left to verify"):
        manager.session(tmp_path, KEY).token(timeout=1e-9)
    assert sandbox.counts() == {}


def test_an_interrupted_login_is_told_to_the_others(
    manager: SessionManager, client: IdentityClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it arrived; they respect that for a moment, and need not wait longer."""

    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "certlogin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        manager.get_session(tmp_path, KEY)
    lock = locks.decode((tmp_path / f"{KEY}.login").read_bytes())
    assert (lock.state, lock.login_class) == (locks.FAILED, "unknown")
