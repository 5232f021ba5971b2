"""What the runner asks of store and Betfair, with which time, and how it reads the answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest.mock import Mock

import pytest

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    PublishUncertain,
    StoreUnavailable,
)
from betfair_session.events import EventKind
from betfair_session.login import by_hand, lock as locks
from betfair_session.login.by_hand import inspect, inspect_login
from betfair_session.login.lock import MARGIN
from betfair_session.process.clocks import Clock
from betfair_session.process.log import Reporter
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import StoredObject
from betfair_session.tokens import fingerprint

from .script import KEY, LOCK, NEW, OLD, START, Betfair, HandClock, Shelf, Stage

FINISHED = locks.Lock(locks.DONE, published=fingerprint(Secret(OLD)))
HELD = locks.Lock(locks.HELD, "other", "another", 30.0, 5010.0, (5010.0,))
REFUSED = FINISHED._replace(state=locks.FAILED, since=70_000.0, status="NO", not_before=70_060.0)
"""A refusal that was to count for a minute, by a clock of its own."""
SEEN = StoredObject(SecretBytes(OLD.encode()), "T0")
FIRST = "read lock, create lock, read token, create token, swap lock"
PATHS: dict[str, tuple[Callable[[], Stage], str, str]] = {
    "a live token": (lambda: Stage(OLD, None, OLD), "read token", "keepAlive"),
    "a live token, just read": (lambda: Stage(OLD, None, OLD, seen=(SEEN,)), "", "keepAlive"),
    "a live token, to be shared": (
        lambda: Stage(OLD, None, OLD, share=True),
        "read token, swap token",
        "keepAlive",
    ),
    "no token": (Stage, f"read token, {FIRST}", "certlogin"),
    "no token, just found out": (lambda: Stage(seen=(None,)), FIRST, "certlogin"),
    "a dead token": (
        lambda: Stage(OLD, FINISHED),
        "read token, read lock, swap lock, read token, swap token, swap lock",
        "keepAlive, certlogin",
    ),
    "a store without conditions": (
        lambda: Stage(atomic=False),
        "read token, read lock, replace lock, read token, create token, replace lock",
        "certlogin",
    ),
}


@pytest.mark.parametrize("name", PATHS)
def test_each_path_makes_its_calls(name: str) -> None:
    """No more of them, and in this order; a token is stored under a condition in any case."""
    make, calls, asked = PATHS[name]
    stage, new = make(), "certlogin" in asked
    assert stage.find() == (NEW if new else OLD) == stage.shelf.objects[KEY][0].decode()
    assert (stage.calls, ", ".join(stage.betfair.asked)) == (calls, asked)
    assert {deadline for *_, deadline in stage.shelf.calls} <= {5.0}  # reads and writes alike
    kinds = ["logged in", "written"] if new else ["resumed"]
    assert [kind for kind, *_ in stage.told()] == kinds


def test_a_store_that_turns_out_to_ignore_conditions_is_asked_for_none() -> None:
    stage = Stage()
    stage.shelf.done = lambda _: setattr(stage.shelf, "atomic", False)
    stage.find()
    assert stage.calls == f"read token, {FIRST}".replace("swap", "replace")


# --- what others do -------------------------------------------------------------------------------


def test_what_others_do_during_a_login() -> None:
    """A token stored is adopted; a gap is filled; a successor's lock is left alone."""
    stage = Stage("", None, OLD)
    foreign = (OLD.encode(), "T1")
    stage.betfair.meanwhile = lambda: stage.shelf.objects.update({KEY: foreign})
    assert stage.find() == OLD
    assert stage.betfair.asked == ["certlogin", "logout", "keepAlive"]
    assert [kind for kind, *_ in stage.told()] == ["logged in", "logged out", "resumed"]
    assert (stage.lock().state, stage.lock().published) == (locks.DONE, "")
    for lock in (HELD, FINISHED):  # it took over, or has stored a token that was deleted since
        stage, theirs = Stage(), (locks.encode(lock), "L1")
        stage.betfair.meanwhile = lambda: stage.shelf.objects.update({LOCK: theirs})  # noqa: B023 - called at once
        assert stage.find() == NEW == stage.shelf.objects[KEY][0].decode()
        assert stage.shelf.objects[LOCK] == theirs


@pytest.mark.parametrize("token", [OLD, "", "junk", " \n"])
def test_a_refusal_holds_whatever_happens_to_the_token(token: str) -> None:
    """Deleted or replaced, there is no request to Betfair until it ends."""
    stage = Stage(token, REFUSED._replace(published=""))
    assert not_before(stage) == pytest.approx(stage.clock.now()[1] + 50.0)
    assert "certlogin" not in stage.betfair.asked


@pytest.mark.parametrize("how", [{"atomic": False}, {"probe": True}])
def test_a_refusal_holds_where_a_store_may_ignore_conditions(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, bool]
) -> None:
    """A new lock would replace the one that tells of it, so that is read first."""
    monkeypatch.setattr(Shelf, "probe", how.get("probe", False))
    stage = Stage("", REFUSED._replace(published=""), atomic=how.get("atomic", True))
    assert not_before(stage)
    assert stage.betfair.asked == []
    assert stage.calls == "read token, read lock"


def test_a_log_that_fails_loses_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it raises comes out when the new token is stored."""
    stage, known = Stage(), Reporter.tell

    def tell(reporter: Reporter, kind: EventKind, seconds: float, detail: str = "") -> None:
        if kind == "logged in":
            raise OSError("the log's server is gone")
        known(reporter, kind, seconds, detail)

    monkeypatch.setattr(Reporter, "tell", tell)
    with pytest.raises(OSError, match="log"):
        stage.find()
    assert stage.shelf.objects[KEY][0].decode() == NEW
    assert stage.lock().state == locks.DONE


def test_a_child_leaves_its_parents_lock_alone() -> None:
    """But a refusal that its parent could not write down counts for it, too."""
    for state, kept in ((locks.DONE, False), (locks.FAILED, True)):
        memory = locks.Memory()
        memory.owe(locks.Lock(state), (0.0, 0.0))
        memory.after_fork()
        assert bool(memory.owed) is kept


def test_a_certificate_that_was_unfit_is_looked_at_once_and_before_a_lock_is_taken() -> None:
    """To look takes time; and a lock that this process still holds has to be given back first."""
    owed = HELD._replace(owner="me")
    for held, looks in ((None, 1), (owed, 0)):
        stage = Stage("", held)
        memory, check = stage.runner.login.memory, Mock()
        vars(stage.betfair)["check"] = check
        memory.unfit, memory.owed = True, held
        stage.shelf.errors["create"] = [StoreUnavailable("no", reason="busy")]  # a second try
        assert (stage.find(), check.call_count) == (NEW, looks)
        assert memory.unfit is bool(held)


@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xfe\x00", b"[" * 4000, b"x" * 100_000, b'{"v": 2, "state": "done"}']
)
def test_what_is_no_lock_holds_everybody_up_for_half_a_minute(junk: bytes) -> None:
    """It crashes no process and costs one time to live; a token that appears is used."""
    stage = Stage("", junk)
    stage.shelf.modified = 5010.0
    assert stage.find() == NEW
    assert 25.0 < sum(stage.clock.slept) < 34.0
    stage = Stage(OLD, junk, OLD)
    assert (stage.find(), stage.clock.slept) == (OLD, [])


# --- errors and times -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "deadlines"),
    [(50.0, [5.0, 5.125, 5.375]), (4.0, [4.0] * 3), (0.5, [1.0, 1.125, 1.375])],
)
def test_each_call_gets_its_time_but_no_more_than_is_left(
    seconds: float, deadlines: list[float]
) -> None:
    """Five seconds, or what the caller has left, but at least one to finish with."""
    stage = Stage(OLD, None, OLD, seconds=seconds)
    stage.shelf.errors["read"] = [StoreUnavailable("no", reason="busy")] * 2
    stage.clock.jitters = 0.0
    stage.find()
    assert [deadline for *_, deadline in stage.shelf.calls] == deadlines
    assert [kind for kind, *_ in stage.told()] == ["resumed"]  # it waited for no other process
    assert stage.betfair.timeouts == [min(10.0, seconds - stage.clock.at)]


def test_a_failure_during_a_freeze_is_no_answer() -> None:
    """The time of that request was over when the machine went on; there is more."""
    stage, ask = Stage(OLD, None, OLD), Betfair.keep_alive

    def keep_alive(token: Secret, *, timeout: float) -> Secret | None:
        if not stage.betfair.asked:
            stage.betfair.asked.append("frozen")
            stage.clock.at += 20.0
            raise IdentityUnavailable("no answer in time")
        return ask(stage.betfair, token, timeout=timeout)

    vars(stage.betfair)["keep_alive"] = keep_alive
    assert (stage.find(), stage.betfair.asked) == (OLD, ["frozen", "keepAlive"])


def test_a_configuration_that_fails_with_a_session_at_stake_is_the_stores_failure() -> None:
    """A driver that is opened anew may fail as it would at the start; the token may be stored."""
    error = ConfigurationError("no credentials")
    stage = Stage()
    stage.shelf.errors["create"] = [None, error, error, error]
    with pytest.raises(PublishUncertain) as failed:
        stage.find()
    assert (failed.value.store, failed.value.key) == ("the shelf", KEY)
    told = failed.value.__cause__
    assert isinstance(told, StoreUnavailable)
    assert (told.__cause__, told.store, told.key, told.landed) == (error, "the shelf", KEY, True)
    assert (str(told), stage.betfair.asked) == (str(error), ["certlogin"])
    stage = Stage()
    stage.shelf.errors["swap"] = [error] * 9  # giving the lock back takes no pauses
    assert stage.find() == NEW
    stage = Stage()
    stage.shelf.errors["create"] = [error]
    with pytest.raises(ConfigurationError):
        stage.find()


# --- the store's clock ----------------------------------------------------------------------------


def not_before(stage: Stage) -> float:
    """Return the time from which the error that a call ends with allows another login."""
    with pytest.raises(BetfairSessionError) as failed:
        stage.find()
    assert isinstance(failed.value, LoginRefused | LoginBrake)
    assert failed.value.not_before
    return failed.value.not_before.timestamp()


HIDDEN: dict[str, Any] = {"now": None, "clock": 5020.0}
MOVED: dict[str, Any] = {"on_this_machine": True, "now": None, "clock": 5000.0 + 86_400}
"""A store of files whose times have moved by a day."""
HERE = REFUSED._replace(since=9000.0, not_before=10_200.0, now=9000.0, boot="this boot", up=295.0)
"""A lock in a file that this machine wrote 5 s ago."""
BUSY = HERE._replace(state=locks.DONE, logins=(8990.0, 8993.0, 8996.0, 9000.0))
SOON = REFUSED._replace(not_before=START + 17.0)


@pytest.mark.parametrize(
    ("lock", "store", "left"),
    [
        (REFUSED, {}, 50.0),  # it was written at 5000, and the store's answer is of 5010
        (REFUSED, HIDDEN, 40.0),
        # Where the store has no time, the lock's are compared with the clock at hand.
        (SOON, {**HIDDEN, "clock": None}, 17.0),
        (SOON, {"now": START, "modified": None}, 17.0),
        # A step of the machine's clock shortens no ban, and releases no brake.
        (HERE, MOVED, 1195.0),
        (HERE._replace(up=300.0), MOVED, 1200.0),
        (HERE._replace(up=300.5), MOVED, 1200.0),  # by a clock read a moment later there
        (BUSY, MOVED, 45.0),
        # From another machine or start, or the future, it is as old as its file: a day.
        (HERE._replace(boot="another"), MOVED, None),
        (HERE._replace(boot=""), MOVED, None),
        (HERE._replace(up=1e12), MOVED, None),
    ],
)
def test_a_locks_age_is_told_by_the_clock_of_its_store(
    lock: locks.Lock, store: dict[str, Any], left: float | None
) -> None:
    """A store that hides its time is asked for it once, and only if nothing else shows it."""
    stage = Stage(OLD, lock)
    vars(stage.shelf).update(store)
    if left is None:
        assert stage.find() == NEW
    else:
        assert not_before(stage) == pytest.approx(START + left)
    asked = stage.shelf.now is None and (store is not MOVED or left is None)
    assert stage.calls.count("ask time") == asked


def test_the_stores_clock_goes_on_while_nobody_asks() -> None:
    stage = Stage(OLD, REFUSED)

    def slowly() -> None:
        stage.shelf.now = None
        stage.clock.at += 7.0

    stage.betfair.meanwhile = slowly
    assert not_before(stage) == pytest.approx(stage.clock.now()[1] + 43.0)
    assert "ask time" not in stage.calls


@pytest.mark.parametrize("files", [True, False])
def test_only_locks_in_files_note_the_machines_clock(*, files: bool) -> None:
    """The formats of the clouds' locks stay as they are, also when a lock from files is at hand."""
    stage = Stage(OLD, HERE._replace(boot="another"))
    vars(stage.shelf).update({**MOVED, "on_this_machine": files})
    if files:
        del stage.shelf.objects[LOCK]
    assert stage.find() == NEW
    steady, wall = stage.clock.now()
    noted = stage.lock()
    assert (noted.boot, noted.up) == (("this boot", steady) if files else ("", 0.0))
    assert noted.now == (wall if files else 0.0)


def test_by_whose_clock_a_persons_look_tells_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's, if it tells the time, else the writer's; on one machine, today's: it was set."""
    monkeypatch.setattr(by_hand, "Clock", HandClock)
    shelf = Stage(OLD, HELD._replace(since=4990.0, boot="this boot", up=280.0, now=4000.0)).shelf
    found = inspect(shelf, KEY, timeout=5)
    assert (found.written, found.now, found.clock) == (5000.0, 5010.0, True)
    assert found.until == 5000.0 + 30.0 + MARGIN
    assert inspect_login(shelf, KEY, timeout=5) == found._replace(token="", written=None)
    shelf.now = None
    found = inspect(shelf, KEY, timeout=5)
    assert (found.clock, found.until) == (False, 4990.0 + 30.0 + MARGIN)
    shelf.on_this_machine = True
    login, age = inspect_login(shelf, KEY, timeout=5), HandClock().now()[0] - 280.0
    assert login.until == pytest.approx(login.now - age + 30.0 + MARGIN, abs=0.01)
    assert login.lock.since == pytest.approx(login.now - age + 990.0, abs=0.01)
    assert 0 <= time.time() - login.now < 600
    shelf.atomic = False  # where each process logs in alone, none waits for a lock
    assert inspect_login(shelf, KEY, timeout=5).state == "free"
    noted = REFUSED._replace(logins=(70_000.0,), boot="this boot", up=280.0, now=70_000.0)
    shelf.objects[LOCK] = (locks.encode(noted), "L1")
    login = inspect_login(shelf, KEY, timeout=5)
    assert login.state == "refused"
    assert login.until == pytest.approx(login.now - age + 60.0, abs=0.01)
    assert [*login.lock.recent(login.now)] == [pytest.approx(login.now - age, abs=0.01)]
    assert all(deadline - time.monotonic() <= 5 for *_, deadline in shelf.calls)


# --- what is told of it ---------------------------------------------------------------------------


def test_a_login_is_told_with_the_time_its_write_took() -> None:
    stage = Stage()

    def slowly(key: str) -> None:
        stage.clock.at += 0.5 if key == KEY else 2.0

    stage.shelf.done = slowly
    stage.find()
    assert stage.told() == [("logged in", 0.0, ""), ("written", 0.5, "")]


@pytest.mark.parametrize("dated", [True, False])
def test_a_wait_is_told_once_with_all_its_time_and_for_whom(
    caplog: pytest.LogCaptureFixture, *, dated: bool
) -> None:
    """Then a warning says whose lock was taken over, and its age as far as it is known."""
    stage = Stage("", HELD)
    stage.shelf.now, stage.shelf.clock = None, 5010.0
    stage.shelf.modified = 5000.0 if dated else None
    stage.find()
    waited = sum(stage.clock.slept)
    # Until it has outlived its time to live and a second: it was 10 s old, if that is known.
    assert 21.0 <= waited < 24.0 if dated else 31.0 <= waited < 34.0
    age = 10.0 + waited if dated else 0.0
    assert stage.told()[:2] == [
        ("waited", pytest.approx(waited), "another"),
        ("lease taken over", pytest.approx(age), "another"),
    ]
    assert [kind for kind, *_ in stage.told()[2:]] == ["logged in", "written"]
    (warning,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "taken over" in warning.getMessage()


def test_files_are_looked_at_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs next to nothing there; elsewhere it is a request."""
    longest = dict[bool, float]()
    for files in (True, False):
        monkeypatch.setattr(Shelf, "on_this_machine", files)
        stage = Stage("", HELD)
        stage.find()
        longest[files] = max(stage.clock.slept)
    assert longest[True] <= longest[False] / 2


def test_an_owner_is_a_host_and_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In ASCII, also where there is no uname."""
    monkeypatch.setattr(os, "uname", lambda: type("Name", (), {"nodename": "h\u00f6st"}))
    assert Clock().process() == f"h\\xf6st process {os.getpid()}"
    monkeypatch.delattr(os, "uname")
    monkeypatch.setenv("COMPUTERNAME", "WINDOWS")
    assert Clock().process() == f"WINDOWS process {os.getpid()}"


# --- interruptions --------------------------------------------------------------------------------


class Interrupted(Stage):
    """A stage on which one call is interrupted: of the store, of Betfair, or of a clock.

    A clock's stand for the policy's own lines. `after`: the call is made, and its answer is lost.
    """

    def __init__(self, number: int, *, after: bool) -> None:
        """Interrupt a call by its number; a dead token is there."""
        super().__init__(OLD)
        self.made = 0
        for holder, names in (
            (self.shelf, "get put"),
            (self.betfair, "keep_alive log_in logout"),
            (self.clock, "now sleep mono server nonce"),
        ):
            for name in names.split():
                vars(holder)[name] = self._around(getattr(holder, name), number, after=after)

    def _around(self, call: Callable[..., Any], number: int, *, after: bool) -> Callable[..., Any]:
        def made(*given: object, **named: object) -> Any:  # noqa: ANN401 - what the call returns
            self.made += 1
            mine = self.made == number
            if mine and not after:
                raise KeyboardInterrupt
            answer = call(*given, **named)
            if mine:
                raise KeyboardInterrupt
            return answer

        return made


@pytest.mark.parametrize("lost", ["", LOCK, KEY])
@pytest.mark.parametrize("after", [False, True])
def test_an_interruption_anywhere_leaves_no_lock_and_loses_no_session(
    lost: str, *, after: bool
) -> None:
    """It goes on after the lock is given back; a new session is stored, ended or reported."""
    for number in range(3, 100):  # the first calls begin the time of the whole
        stage = Interrupted(number, after=after)
        stage.shelf.lost = lost
        with suppress(KeyboardInterrupt, BetfairSessionError):
            stage.find()
        lock = stage.lock() if LOCK in stage.shelf.objects else locks.Lock(locks.DONE)
        assert lock.state != locks.HELD, number
        assert len(lock.logins) >= ("certlogin" in stage.betfair.asked), number
        stored = Secret(stage.shelf.objects[KEY][0].decode())
        assert stage.betfair.live in ([], [stored]) or lock.login_class in {"unknown", "store"}
        if stage.made < number:
            return
    pytest.fail("it never came to an end")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), MemoryError(), ImportError()])
def test_an_interrupted_login_counts_unless_a_file_of_the_library_is_gone(
    stop: BaseException,
) -> None:
    """Whatever else comes may come after the request, so others wait for a moment."""
    stage, sent = Stage(), not isinstance(stop, ImportError)
    stage.betfair.meanwhile = Mock(side_effect=stop)
    with pytest.raises(type(stop)):
        stage.find()
    assert stage.lock().login_class == ("unknown" if sent else "")
    assert len(stage.lock().logins) == sent


def test_an_interruption_ends_a_wait_for_another() -> None:
    stage = Stage("", HELD)

    def interrupt(_: float) -> None:
        del vars(stage.clock)["sleep"]
        raise KeyboardInterrupt

    vars(stage.clock)["sleep"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        stage.find()
    assert (stage.betfair.asked, stage.clock.slept) == ([], [])
    assert stage.lock() == HELD


def test_an_interruption_whose_lock_cannot_be_looked_at_is_made_up_for_by_the_next_call() -> None:
    stage = Stage(OLD)

    def interrupt(key: str) -> None:
        stage.shelf.errors["read"] = [StoreUnavailable("no")]
        if key == LOCK:
            raise KeyboardInterrupt

    stage.shelf.done = interrupt
    with pytest.raises(KeyboardInterrupt):
        stage.find()
    owed = stage.runner.login.memory.owed
    assert owed
    assert (owed.nonce, owed.state, owed.logins) == (stage.lock().nonce, locks.DONE, ())
