"""What the runner asks of a store and of Betfair, how long, and what it makes of the answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import pytest

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    StoreUnavailable,
)
from betfair_session.events import Reporter
from betfair_session.login import lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.call import Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.login.runner import Runner, owner_name
from betfair_session.process.trust import Trust
from betfair_session.secret import Secret
from betfair_session.storage.contract import ABSENT, StoredObject
from betfair_session.tokens import fingerprint

from .shelf import HandClock, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.events import Event
    from betfair_session.storage.contract import Expect

KEY, LOCK = "token", "token.login"
OLD, NEW = "o" * 44, "n" * 44
READ, LOOK, AGAIN = ("read", KEY), ("read", LOCK), ("replace_if_version", LOCK)


class Betfair:
    """An account whose logins make NEW, then others; calls can be interrupted by their number.

    Attributes:
        live: the sessions that live.
        calls: how many calls there have been, of the store's as well if it counts them here.
    """

    lease, timeout = LeaseSettings(), 10.0

    def __init__(self, *live: str, stop: int = 0, done: bool = False) -> None:
        """Interrupt the call of the number `stop`, before it or, if `done`, after it."""
        self.client, self.live = self, [Secret(token) for token in live]
        self.calls, self.stop, self.done = 0, stop, done
        self.asked: list[str] = []
        self.timeouts: list[float] = []

    interactive = False

    def around(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `work` returns
        """Do a call, unless it is the one to interrupt."""
        self.calls += 1
        interrupted = self.calls == self.stop
        if interrupted and not self.done:
            raise KeyboardInterrupt
        answer = work()
        if interrupted:
            raise KeyboardInterrupt
        return answer

    def keep_alive(self, token: Secret, *, timeout: float) -> Secret | None:
        """See IdentityClient."""
        self.timeouts.append(timeout)
        self.asked.append("keepAlive")
        alive: Secret | None = self.around(lambda: token if token in self.live else None)
        return alive

    def log_in(self, seconds: float) -> Secret:
        """See Account."""
        assert seconds > 0
        return cast("Secret", self.around(self._begin))

    def _begin(self) -> Secret:
        self.asked.append("certlogin")
        self.live.append(Secret(NEW if len(self.asked) < 4 else f"{len(self.asked)}" * 44))
        return self.live[-1]

    def logout(self, token: Secret, *, timeout: float) -> None:
        """See IdentityClient."""
        assert timeout > 0
        self.asked.append("logout")
        self.around(lambda: self.live.remove(token))


class Stage:
    """A runner on a shelf, with an account at Betfair and 50 s of time."""

    def __init__(
        self,
        shelf: Shelf | None = None,
        *live: str,
        seconds: float = 50.0,
        share: bool = False,
        seen: tuple[StoredObject | None] | None = None,
        **interruption: Any,  # noqa: ANN401 - see Betfair
    ) -> None:
        """Prepare it."""
        self.shelf, self.clock = shelf or Shelf(), HandClock()
        self.betfair = Betfair(*live, **interruption)
        self.events: list[Event] = []
        self.reporter = Reporter("", "", self.events.append)
        self.runner = Runner(
            cast("Any", self.betfair),
            self.shelf,
            KEY,
            trust=Trust(900.0 if share else 0.0, None, shared=share),
            reporter=self.reporter,
            memory=Memory(),
            deadline=self.clock.at + seconds,
            seen=seen,
            clock=self.clock,
        )

    def find(self) -> str:
        """Return the token that it finds."""
        try:
            return self.runner.find().reveal()
        finally:
            self.reporter.hand_over()

    def fail(self) -> BetfairSessionError:
        """Return the error that it ends with."""
        with pytest.raises(BetfairSessionError) as failed:
            self.find()
        return failed.value

    def not_before(self) -> float:
        """Return the time from which the error that it ends with allows another login."""
        error = self.fail()
        assert isinstance(error, LoginRefused | LoginBrake)
        assert error.not_before
        return error.not_before.timestamp()

    @property
    def calls(self) -> list[tuple[str, str]]:
        """What was asked of the store."""
        return [(call, key) for call, key, _ in self.shelf.calls]

    def lock(self) -> locks.Lock:
        """Return the lock as it is stored."""
        return locks.decode(self.shelf.objects[LOCK][0])

    def told(self) -> list[tuple[str, Any, str]]:
        """Return the events: kinds, seconds and details."""
        return [(event.kind, event.seconds, event.detail) for event in self.events]


def shelf_with(
    token: str = OLD, lock: locks.Lock | None = None, kind: type[Shelf] = Shelf
) -> Shelf:
    """Return a shelf with a token and perhaps a lock on it."""
    shelf = kind()
    shelf.objects[KEY] = (token.encode(), "T0")
    if lock:
        shelf.objects[LOCK] = (locks.encode(lock), "L0")
    return shelf


# --- the requests of each path -------------------------------------------------------------------


def test_a_resume_reads_once_and_writes_nothing() -> None:
    """One call of the store, one of Betfair."""
    stage = Stage(shelf_with(), OLD)
    assert stage.find() == OLD
    assert (stage.calls, stage.betfair.asked) == ([READ], ["keepAlive"])
    assert [kind for kind, *_ in stage.told()] == ["resumed"]


def test_what_the_caller_has_just_read_is_not_read_again() -> None:
    """But the second time it is: then it is old."""
    stage = Stage(shelf_with(), OLD, seen=(StoredObject(OLD.encode(), "T0"),))
    stage.find()
    assert stage.calls == []
    stage = Stage(seen=(None,))
    stage.find()
    assert stage.calls == [("create", LOCK), READ, ("create", KEY), AGAIN]


def test_a_first_login_is_stored_and_its_lock_says_so() -> None:
    """Five calls of the store."""
    stage = Stage()
    assert stage.find() == NEW == stage.shelf.objects[KEY][0].decode()
    assert stage.calls == [READ, ("create", LOCK), READ, ("create", KEY), AGAIN]
    at = stage.clock.now()[1]
    lock = locks.Lock(locks.DONE, "nonce 1", owner_name(), 30.0, at, (at,))
    assert stage.lock() == lock._replace(published=fingerprint(Secret(NEW)))


def test_a_dead_token_is_replaced_in_its_version() -> None:
    """And a lock that is there, in its."""
    stage = Stage(shelf_with(lock=locks.Lock(locks.DONE, published=fingerprint(Secret(OLD)))))
    assert stage.find() == NEW
    replaced = ("replace_if_version", KEY)
    assert stage.calls == [READ, LOOK, AGAIN, READ, replaced, AGAIN]


def test_a_shared_verification_is_written() -> None:
    """The same token anew, in its version."""
    stage = Stage(shelf_with(), OLD, share=True)
    assert stage.find() == OLD
    assert stage.calls == [READ, ("replace_if_version", KEY)]
    assert [kind for kind, *_ in stage.told()] == ["resumed"]
    assert stage.shelf.objects[KEY] == (OLD.encode(), "V1")


class Ignoring(Shelf):
    """A store that turns out not to keep conditions when the first lock is written."""

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """See TokenStore."""
        self.atomic = False
        return super().put(key, content, expect, deadline=deadline)


@pytest.mark.parametrize(("kind", "first"), [(Shelf, "replace"), (Ignoring, "create")])
def test_a_store_that_keeps_no_conditions_is_asked_for_none(kind: type[Shelf], first: str) -> None:
    """For the lock, that is; a token is never replaced by chance."""
    shelf = kind()
    shelf.atomic = kind is Ignoring
    stage = Stage(shelf)
    stage.find()
    assert stage.calls == [READ, (first, LOCK), READ, ("create", KEY), ("replace", LOCK)]


# --- errors of the store -------------------------------------------------------------------------

PASSING = ("unreachable", "timeout", "throttled", "busy", "server")


@pytest.mark.parametrize("reason", [*PASSING, "forbidden", "no-bucket", "unknown"])
def test_only_what_may_pass_by_itself_is_tried_again(reason: str) -> None:
    """After a pause, which is no wait for anybody and is not told."""
    shelf = shelf_with()
    error = StoreUnavailable("no", reason=reason)
    shelf.errors["read"] = [error]
    stage = Stage(shelf, OLD)
    if reason not in PASSING:
        assert stage.fail() is error
        return
    assert stage.find() == OLD
    assert stage.clock.slept == [0.25]
    assert [kind for kind, *_ in stage.told()] == ["resumed"]


def test_a_token_that_another_stored_meanwhile_is_adopted() -> None:
    """The own session is ended."""
    stage = Stage(Shelf(), OLD)
    log_in = stage.betfair.log_in

    def late(seconds: float) -> Secret:
        stage.shelf.objects[KEY] = (OLD.encode(), "T1")
        return log_in(seconds)

    vars(stage.betfair)["log_in"] = late
    assert stage.find() == OLD
    assert stage.betfair.asked == ["certlogin", "logout", "keepAlive"]
    assert [kind for kind, *_ in stage.told()] == ["logged in", "logged out", "resumed"]


@pytest.mark.parametrize(
    ("seconds", "deadlines"),
    [(50.0, [105.0, 105.125, 105.375]), (4.0, [104.0] * 3), (0.5, [101.0, 101.125, 101.375])],
)
def test_each_call_gets_its_time_but_no_more_than_is_left(
    seconds: float, deadlines: list[float]
) -> None:
    """Five seconds, or what the caller has left, but at least one to finish with."""
    shelf = shelf_with()
    shelf.errors["read"] = [StoreUnavailable("no", reason="busy")] * 2
    stage = Stage(shelf, OLD, seconds=seconds)
    stage.clock.jitters = 0.0
    stage.find()
    assert [deadline for *_, deadline in shelf.calls] == deadlines
    assert stage.betfair.timeouts == [min(10.0, 100.0 + seconds - stage.clock.at)]


# --- the store's clock ---------------------------------------------------------------------------


def refused(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return a lock with a refusal that was to count for a minute, by a clock of its own."""
    lock = locks.Lock(locks.FAILED, since=70_000.0, status="NO", not_before=70_060.0)
    return lock._replace(published=fingerprint(Secret(OLD)), **fields)


@pytest.mark.parametrize(("now", "asked", "left"), [(5010.0, None, 50.0), (None, 5020.0, 40.0)])
def test_a_locks_age_is_told_by_the_store(
    now: float | None, asked: float | None, left: float
) -> None:
    """It was written at 5000; where its answers hide the time, the store is asked for it once."""
    shelf = shelf_with(lock=refused())
    shelf.now, shelf.clock = now, asked
    stage = Stage(shelf)
    assert stage.not_before() == pytest.approx(stage.clock.now()[1] + left)
    assert stage.calls == [READ, LOOK] + ([("server_now", "")] if asked else [])


def test_the_stores_clock_goes_on_while_nobody_asks() -> None:
    """What it said first counts, and the time since then."""
    stage = Stage(shelf_with(lock=refused()))

    def slowly(_: Secret, **__: object) -> None:
        stage.shelf.now = None
        stage.clock.at += 7.0

    vars(stage.betfair)["keep_alive"] = slowly
    assert stage.not_before() == pytest.approx(stage.clock.now()[1] + 43.0)
    assert ("server_now", "") not in stage.calls


@pytest.mark.parametrize("hidden", ["modified", "now"])
def test_without_the_stores_clock_a_lock_has_no_age(hidden: str) -> None:
    """Its times are compared with the clock at hand."""
    stage = Stage(shelf_with())
    ends = stage.clock.now()[1] + 10.0
    stage.shelf.objects[LOCK] = (locks.encode(refused(not_before=ends)), "L0")
    stage.shelf.now = stage.clock.now()[1]
    vars(stage.shelf)[hidden] = None
    assert stage.not_before() == pytest.approx(ends)


def local(**fields: Any) -> Stage:  # noqa: ANN401 - any field's
    """A stage with a lock in a file that this machine wrote 5 s ago; its clock was set since."""
    stage = Stage(shelf_with())
    lock = refused(since=9000.0, not_before=10_200.0, boot="this boot", now=9000.0)
    noted = lock._replace(**{"up": stage.clock.now()[0] - 5.0, **fields})
    stage.shelf.objects[LOCK] = (locks.encode(noted), "L0")
    stage.shelf.on_this_machine = True
    stage.shelf.now, stage.shelf.clock = None, 5000.0 + 86_400
    return stage


def test_a_step_of_the_machines_clock_shortens_no_ban_and_releases_no_brake() -> None:
    """Files' times have moved by a day; the lock was written five seconds ago nevertheless."""
    stage = local()
    assert stage.not_before() == pytest.approx(stage.clock.now()[1] + 1195.0)
    assert ("server_now", "") not in stage.calls
    for ahead in (0.0, 0.5):  # a clock that was read a moment later there
        stage = local()
        up = stage.clock.now()[0] + ahead
        lock = stage.lock()._replace(up=up)
        stage.shelf.objects[LOCK] = (locks.encode(lock), "L0")
        assert stage.not_before() == pytest.approx(stage.clock.now()[1] + 1200.0)
    stage = local(state=locks.DONE, logins=(8990.0, 8993.0, 8996.0, 9000.0))
    assert stage.not_before() == pytest.approx(stage.clock.now()[1] + 45.0)


@pytest.mark.parametrize("fields", [{"boot": "another"}, {"boot": ""}, {"up": 1e12}])
def test_a_lock_from_another_machine_or_start_is_as_old_as_its_file(fields: dict[str, Any]) -> None:
    """So is one of a version that notes no such clock, and one from the future."""
    stage = local(**fields)
    assert stage.find() == NEW
    assert ("server_now", "") in stage.calls


@pytest.mark.parametrize("files", [True, False])
def test_only_locks_in_files_note_the_machines_clock(*, files: bool) -> None:
    """The formats of the clouds' locks stay as they are, also when a lock from files is at hand."""
    stage = local(boot="this boot" if files else "another")
    stage.shelf.on_this_machine = files
    if files:
        stage.shelf.objects.pop(LOCK)
    assert stage.find() == NEW
    steady, wall = stage.clock.now()
    noted = stage.lock()
    assert (noted.boot, noted.up) == (("this boot", steady) if files else ("", 0.0))
    assert noted.now == (wall if files else 0.0)


# --- what is told of it --------------------------------------------------------------------------


def test_a_login_is_told_with_the_time_its_write_took() -> None:
    """The lock's are not told."""
    stage = Stage()
    put = stage.shelf._put

    def slowly(key: str, content: bytes) -> str:
        stage.clock.at += 0.5 if key == KEY else 2.0
        return put(key, content)

    vars(stage.shelf)["_put"] = slowly
    stage.find()
    assert stage.told() == [("logged in", 0.0, ""), ("written", 0.5, "")]


@pytest.mark.parametrize("dated", [True, False])
def test_a_wait_is_told_once_with_all_its_time_and_for_whom(*, dated: bool) -> None:
    """Then whose lock was taken over, and its age as far as it is known."""
    lock = locks.Lock(locks.HELD, "other", "another", 30.0, 5010.0, (5010.0,))
    shelf = Shelf()
    shelf.objects[LOCK] = (locks.encode(lock), "L0")
    shelf.now, shelf.clock = None, 5010.0
    shelf.modified = 5000.0 if dated else None
    stage = Stage(shelf)
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


def test_a_wait_for_nobody_known_has_no_name() -> None:
    """A token was just published, and a lagging read does not show it."""
    shelf = shelf_with(lock=locks.Lock(locks.DONE, published="else"))
    shelf.modified, shelf.now, shelf.clock = 5010.0, None, 5010.0
    stage = Stage(shelf)
    stage.find()
    assert stage.told()[0] == ("waited", pytest.approx(sum(stage.clock.slept)), "")
    assert 4.0 < sum(stage.clock.slept) < 8.0


@pytest.mark.parametrize(
    ("error", "kind"), [(LoginRefused("no"), "refused"), (IdentityUnavailable("no"), "cannot tell")]
)
def test_a_failure_is_told_last(error: Exception, kind: str) -> None:
    """With its text."""
    stage = Stage()

    def fail(_: float) -> Secret:
        raise error

    vars(stage.betfair)["log_in"] = fail
    assert stage.fail() is error
    assert stage.told() == [(kind, 0.0, str(error))]


def test_an_owner_is_a_host_and_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In ASCII, also where there is no uname."""
    assert owner_name() == f"{os.uname().nodename} process {os.getpid()}"
    monkeypatch.setattr(os, "uname", lambda: type("Name", (), {"nodename": "h\u00f6st"}))
    assert owner_name() == f"h\\xf6st process {os.getpid()}"
    monkeypatch.delattr(os, "uname")
    monkeypatch.setenv("COMPUTERNAME", "WINDOWS")
    assert owner_name() == f"WINDOWS process {os.getpid()}"


# --- interruptions -------------------------------------------------------------------------------


class Interrupted(Shelf):
    """A shelf whose calls count with Betfair's, and may be interrupted."""

    betfair: Betfair

    def _note(self, call: str, key: str, deadline: float) -> None:
        self.betfair.around(lambda: None)
        super()._note(call, key, deadline)

    def _put(self, key: str, content: bytes) -> str:
        if self.betfair.done and self.betfair.calls == self.betfair.stop - 1:
            self.betfair.calls += 1  # this very write is made, and its answer is lost
            super()._put(key, content)
            raise KeyboardInterrupt
        return super()._put(key, content)


class LostTaking(Interrupted):
    """The answer to the write that takes the lock is lost."""

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """See TokenStore."""
        version = super().put(key, content, expect, deadline=deadline)
        if expect is not ABSENT:
            return version
        message = "lost"
        raise StoreUnavailable(message, reason="timeout", landed=True)


def interrupted(kind: type[Interrupted], stop: int, *, done: bool) -> Stage:
    """Return a stage on a shelf with a dead token, with one interruption."""
    shelf = shelf_with(kind=kind)
    stage = Stage(shelf, stop=stop, done=done)
    cast("Interrupted", shelf).betfair = stage.betfair
    return stage


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("stop", range(1, 10))
def test_an_interruption_anywhere_leaves_no_lock_and_loses_no_session(
    stop: int, *, done: bool
) -> None:
    """It goes on when the lock is given back; what was logged in is stored, or ended."""
    stage = interrupted(Interrupted, stop, done=done)
    try:
        stage.find()
    except KeyboardInterrupt:
        assert stage.betfair.calls >= stop
    else:
        assert stage.betfair.calls < stop
    lock = stage.lock() if LOCK in stage.shelf.objects else locks.Lock(locks.DONE)
    assert lock.state != locks.HELD
    stored = Secret(stage.shelf.objects[KEY][0].decode())
    assert stage.betfair.live in ([], [stored]) or lock.login_class == "unknown"


def test_an_interruption_after_a_lost_answer_leaves_no_lock() -> None:
    """Whether the lock was taken is looked at once more."""
    stage = interrupted(LostTaking, 5, done=False)  # at the look at the lock that follows
    with pytest.raises(KeyboardInterrupt):
        stage.find()
    assert (stage.lock().state, stage.lock().logins) == (locks.DONE, ())


def test_an_interruption_whose_lock_cannot_be_looked_at_is_made_up_for_by_the_next_call() -> None:
    """The process remembers the attempt."""
    stage = interrupted(LostTaking, 5, done=False)
    stage.shelf.errors["read"] = [None, None, StoreUnavailable("no")]
    with pytest.raises(KeyboardInterrupt):
        stage.find()
    owed = stage.runner.login.memory.owed
    assert owed
    assert (owed.nonce, owed.state, owed.logins) == (stage.lock().nonce, locks.DONE, ())


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("_log_in", locks.Lock(locks.DONE)),
        ("_lease_leaves_time", locks.Lock(locks.DONE)),
        ("_publish", locks.Lock(locks.FAILED, login_class="unknown")),
        ("_read_back", locks.Lock(locks.FAILED, login_class="store")),
    ],
)
def test_an_interruption_between_two_steps_gives_the_lock_back(
    step: str, says: locks.Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the policy's own lines, where no call can be told of it; it says what is known."""

    def interrupt(*_: object) -> Any:  # noqa: ANN401 - it never returns
        raise KeyboardInterrupt

    monkeypatch.setattr(SharedLogin, step, interrupt)
    stage = Stage()
    stage.shelf.errors["create"] = [None, StoreUnavailable("no")]
    with pytest.raises(KeyboardInterrupt):
        stage.find()
    lock = stage.lock()
    assert (lock.state, lock.login_class) == (says.state, says.login_class)
    assert len(lock.logins) == (says.state == locks.FAILED)
