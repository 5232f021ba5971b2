"""The loop that runs the machine over a store: what it asks, how long, and what it makes of it."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, cast

import pytest

from betfair_session import BetfairSessionError, NotATokenError, StoreUnavailable, StoreWriteError
from betfair_session.events import Reporter
from betfair_session.login import lock as locks
from betfair_session.login.account import Account
from betfair_session.login.memory import Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.login.runner import Runner, owner_name
from betfair_session.login.settings import LeaseSettings
from betfair_session.process.clocks import Clock
from betfair_session.process.trust import Trust
from betfair_session.secret import Secret
from betfair_session.storage.contract import ABSENT, StoredObject, VersionConflict
from betfair_session.tokens import fingerprint

from . import messages as m
from .script import Play
from .shelf import HandClock, Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from betfair_session.storage.contract import Expect

KEY = "token"
LOCK = "token.login"
OLD = "o" * 44
NEW = "n" * 44
LIVE = m.Session(Secret(OLD), fingerprint(Secret(OLD)))
LOGGED_IN = m.Session(Secret(NEW), fingerprint(Secret(NEW)))


class Stage:
    """A runner on a shelf, up to each question for Betfair, which the test answers.

    Attributes:
        events: what was reported: kinds, seconds and details.
    """

    def __init__(
        self,
        shelf: Shelf | None = None,
        *,
        deadline: float = 150.0,
        share: bool = False,
        seen: tuple[StoredObject | None] | None = None,
    ) -> None:
        """Prepare it with 50 s of time."""
        self.shelf = shelf or Shelf()
        self.clock = HandClock()
        self.events: list[tuple[str, float, str]] = []
        reporter = Reporter("", "", lambda _: None)
        vars(reporter)["tell"] = lambda kind, seconds, detail="": self.events.append(
            (kind, seconds, detail)
        )
        client: Any = None
        account = Account(client, Secret("u"), Secret("p"), 60.0, LeaseSettings())
        self.runner = Runner(
            account,
            self.shelf,
            KEY,
            trust=Trust(900.0 if share else 0.0, None, shared=share),
            reporter=reporter,
            memory=Memory(),
            deadline=deadline,
            seen=seen,
            clock=self.clock,
        )

    def start(self) -> object:
        """Begin; return what is asked of Betfair, or the end."""
        self.play = Play(self.runner.login, self.runner.perform)
        return self._go_on()

    def tell(self, answer: object) -> object:
        """Answer; return what is asked next, or the end."""
        self.play.tell(answer)
        return self._go_on()

    def told(self) -> list[tuple[str, float, str]]:
        """Return what was reported since the last look."""
        events, self.events = self.events, []
        return events

    def _go_on(self) -> object:
        for_betfair = (m.Ask, m.LogIn, m.LogOut, m.Done, Exception)
        while not isinstance(asked := self.play.asked, for_betfair):
            try:
                answer: object = self.runner.perform(asked)  # type: ignore[arg-type] # an effect
            except BetfairSessionError as error:
                answer = error
            self.play.tell(answer)
        self.runner._tell_waited()
        if isinstance(asked, BetfairSessionError) and not isinstance(asked, NotATokenError):
            return m.end(asked, self.play.told[-1] if self.play.told else None)
        return asked

    @property
    def calls(self) -> list[str]:
        """What was asked of the store, in short."""
        return [" ".join(filter(None, (call, key))) for call, key, _ in self.shelf.calls]

    def lock(self) -> locks.Lock:
        """Return the lock as it is stored."""
        return locks.decode(self.shelf.objects[LOCK][0])


def shelf_with(token: str = OLD, lock: locks.Lock | None = None) -> Shelf:
    """Return a shelf with a token and perhaps a lock on it."""
    shelf = Shelf()
    shelf.objects[KEY] = (token.encode(), "T0")
    if lock:
        shelf.objects[LOCK] = (locks.encode(lock), "L0")
    return shelf


def test_a_resume_reads_once_and_writes_nothing() -> None:
    """One call of the store."""
    stage = Stage(shelf_with())
    assert stage.start() == m.Ask(Secret(OLD))
    assert stage.tell(LIVE) == m.Done(Secret(OLD), "resumed")
    assert stage.calls == ["read token"]
    assert not stage.runner.junk
    assert not stage.runner.login.young


def test_what_the_caller_has_just_read_is_not_read_again() -> None:
    """But the second time it is: then it is old."""
    seen = (StoredObject(OLD.encode(), "T0"),)
    stage = Stage(shelf_with(), seen=seen)
    assert stage.start() == m.Ask(Secret(OLD))
    assert stage.calls == []
    stage.tell(m.DEAD)
    assert stage.calls == ["read token.login", "create token.login", "read token"]
    stage = Stage(seen=(None,))
    assert stage.start() == m.LogIn(10.0)
    assert stage.calls == ["create token.login", "read token"]


def test_a_first_login_is_stored_and_its_lock_says_so() -> None:
    """Five calls of the store."""
    stage = Stage()
    assert stage.start() == m.LogIn(10.0)
    assert stage.lock() == locks.Lock(locks.HELD, "nonce 1", owner_name(), 30.0, 9000.0, (9000.0,))
    assert stage.tell(LOGGED_IN) == m.Done(Secret(NEW), "logged in")
    assert stage.shelf.objects[KEY][0] == NEW.encode()
    assert stage.lock().state == locks.DONE
    assert stage.lock().published == fingerprint(Secret(NEW))
    assert stage.calls == [
        *("read token", "create token.login", "read token", "create token"),
        "replace_if_version token.login",
    ]


def test_a_dead_token_is_replaced_in_its_version() -> None:
    """And a lock that is there, in its."""
    stage = Stage(shelf_with(lock=locks.Lock(locks.DONE, published=fingerprint(Secret(OLD)))))
    stage.start()
    assert stage.tell(m.DEAD) == m.LogIn(10.0)
    assert stage.tell(LOGGED_IN) == m.Done(Secret(NEW), "logged in")
    assert stage.calls == [
        *("read token", "read token.login", "replace_if_version token.login", "read token"),
        *("replace_if_version token", "replace_if_version token.login"),
    ]


def test_a_shared_verification_is_written() -> None:
    """The same token anew, in its version."""
    stage = Stage(shelf_with(), share=True)
    stage.start()
    assert stage.tell(LIVE) == m.Done(Secret(OLD), "resumed")
    assert stage.calls == ["read token", "replace_if_version token"]
    assert stage.shelf.objects[KEY] == (OLD.encode(), "V1")


def test_a_store_that_is_not_atomic_is_written_without_conditions() -> None:
    """The lock, that is; a token is never replaced by chance."""
    shelf = Shelf()
    shelf.atomic = False
    stage = Stage(shelf)
    stage.start()
    stage.tell(LOGGED_IN)
    assert stage.calls == [
        *("read token", "replace token.login", "read token", "create token"),
        "replace token.login",
    ]


@pytest.mark.parametrize(
    ("content", "junk"), [(b"", False), (b" \n", False), (b"two words", True), (b"\xff\xff", True)]
)
def test_junk_is_a_missing_token_and_noticed(content: bytes, *, junk: bool) -> None:
    """Blank content is nothing to speak of."""
    shelf = Shelf()
    shelf.objects[KEY] = (content, "T0")
    stage = Stage(shelf)
    assert stage.start() == m.LogIn(10.0)
    assert stage.runner.junk is junk
    stage.tell(LOGGED_IN)
    assert stage.runner.junk is junk
    assert shelf.objects[KEY][0] == NEW.encode()


def test_junk_stays_noticed_when_it_has_gone() -> None:
    """Somebody's data may just have been removed."""
    stage = Stage(seen=(StoredObject(b"two words", "T0"),))
    stage.start()
    assert stage.calls[-1] == "read token"  # by now nothing is there
    assert stage.runner.junk


def test_an_object_that_is_too_large_for_a_token_is_an_error() -> None:
    """It is named, with its store, and left alone."""
    stage = Stage(shelf_with("x" * 5000))
    failed = stage.start()
    assert isinstance(failed, NotATokenError)
    assert stage.calls == ["read token"]


# --- errors of the store -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        *((reason, True) for reason in ("unreachable", "timeout", "throttled", "busy", "server")),
        *((reason, False) for reason in ("forbidden", "no-bucket", "unknown")),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(reason: str, *, again: bool) -> None:
    """After a pause."""
    error = StoreUnavailable("no", reason=reason)
    shelf = shelf_with()
    shelf.errors["read"] = [error]
    stage = Stage(shelf)
    asked = stage.start()
    assert asked == (m.Ask(Secret(OLD)) if again else m.Failed("error", "no"))
    assert stage.clock.slept == ([0.25] if again else [])


@pytest.mark.parametrize("landed", [True, False])
def test_a_token_that_cannot_be_written_is_logged_out_unless_it_may_have_landed(
    *, landed: bool
) -> None:
    """The error says whether it may."""
    error = StoreWriteError("no", reason="forbidden", landed=landed)
    stage = Stage()
    stage.start()
    stage.shelf.errors["create"] = [error] * 3
    asked = stage.tell(LOGGED_IN)
    if landed:
        assert asked == m.Failed("uncertain", "no")
        return
    assert asked == m.LogOut(Secret(NEW))
    end = stage.tell(None)
    assert end == m.Failed("unwritten", "no")


def test_a_conflict_is_no_error() -> None:
    """What is there now is looked at."""
    stage = Stage()
    stage.start()
    stage.shelf.objects[KEY] = (OLD.encode(), "T1")
    assert stage.tell(LOGGED_IN) == m.LogOut(Secret(NEW))
    assert stage.tell(None) == m.Ask(Secret(OLD))
    # It began anew, under another name.
    assert stage.tell(m.DEAD) == m.LogIn(10.0)
    assert stage.lock().nonce not in {"", "nonce 1"}


def test_a_token_that_conflicts_every_time_is_logged_out() -> None:
    """With nothing there to conflict with; the last conflict is told."""
    stage = Stage()
    stage.start()
    conflicts = [VersionConflict(str(number)) for number in range(3)]
    stage.shelf.errors["create"] = [*conflicts]
    assert stage.tell(LOGGED_IN) == m.LogOut(Secret(NEW))
    end = stage.tell(None)
    assert end == m.Failed("unwritten", str(conflicts[-1]))


def test_each_call_gets_its_time_but_no_more_than_is_left() -> None:
    """Five seconds, or what the caller has left, but at least one to finish with."""
    shelf = shelf_with()
    shelf.errors["read"] = [StoreUnavailable("no", reason="busy")] * 2
    stage = Stage(shelf, deadline=104.0)
    stage.clock.jitters = 0.0
    stage.start()
    assert [deadline for *_, deadline in shelf.calls] == [104.0] * 3
    shelf.calls.clear()
    stage.clock.at = 103.5
    stage.tell(m.DEAD)
    assert [deadline for *_, deadline in shelf.calls] == [104.5] * len(shelf.calls)
    assert Stage(shelf_with()).start()
    plenty = Stage(shelf_with())
    plenty.start()
    assert plenty.shelf.calls == [("read", KEY, 105.0)]


# --- the store's clock ---------------------------------------------------------------------------


def failed_lock(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return a lock with a refusal that was to count for a minute, by a clock of its own."""
    lock = locks.Lock(locks.FAILED, since=70_000.0, status="NO", not_before=70_060.0)
    return lock._replace(published=fingerprint(Secret(OLD)), **fields)


def refusal(stage: Stage) -> m.Failed:
    """Walk to the refusal."""
    stage.start()
    failed = stage.tell(m.DEAD)
    assert isinstance(failed, m.Failed)
    assert failed.why == "refused"
    return failed


def test_a_locks_age_is_told_by_the_store() -> None:
    """Written at 5000, answered at 5010; two seconds later it is twelve seconds old."""
    stage = Stage(shelf_with(lock=failed_lock()))
    assert refusal(stage).not_before == 9000.0 + 50.0  # by the machine's clock, to wait by
    shelf = shelf_with(lock=failed_lock())
    shelf.now = None
    shelf.clock = 5020.0
    stage = Stage(shelf)
    assert refusal(stage).not_before == 9000.0 + 40.0
    assert stage.calls == ["read token", "read token.login", "server_now"]


def test_the_stores_clock_goes_on_while_nobody_asks() -> None:
    """What it said first counts, and the time since then."""
    shelf = shelf_with(lock=failed_lock())
    stage = Stage(shelf)
    stage.start()
    shelf.now = None
    stage.clock.at += 7.0
    failed = stage.tell(m.DEAD)
    assert failed == m.Failed("refused", not_before=9007.0 + 43.0)
    assert "server_now" not in stage.calls


@pytest.mark.parametrize("what", ["no modified", "no clock"])
def test_without_the_stores_clock_a_lock_has_no_age(what: str) -> None:
    """Its times are compared with the clock at hand."""
    lock = failed_lock(not_before=9010.0)
    shelf = shelf_with(lock=lock)
    if what == "no modified":
        shelf.modified, shelf.now = None, 9000.0
    else:
        shelf.now = None
    assert refusal(Stage(shelf)).not_before == 9010.0


# --- a store that turns out not to keep conditions ------------------------------------------------


def test_a_store_that_turns_out_not_to_keep_conditions_is_relied_on_no_more() -> None:
    """The write of the lock tells; what follows asks for none."""

    class Ignoring(Shelf):
        def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
            self.atomic = False
            return super().put(key, content, expect, deadline=deadline)

    stage = Stage(Ignoring())
    assert stage.start() == m.LogIn(10.0)
    stage.tell(LOGGED_IN)
    assert stage.calls[-1] == "replace token.login"


# --- what is told of it --------------------------------------------------------------------------


def test_a_login_is_told_with_the_time_its_write_took() -> None:
    """Nothing else is worth telling of it."""
    stage = Stage()
    stage.start()
    assert stage.told() == []
    put = stage.shelf._put

    def slowly(key: str, content: bytes) -> str:
        stage.clock.at += 0.5 if key == KEY else 2.0
        return put(key, content)

    vars(stage.shelf)["_put"] = slowly
    stage.tell(LOGGED_IN)
    assert stage.told() == [("written", 0.5, "")]
    assert stage.told() == []


def test_a_wait_is_told_once_with_all_its_time() -> None:
    """And for whom."""
    lock = locks.Lock(locks.HELD, "other", "another", 30.0, 5010.0, (5010.0,))
    shelf = Shelf()
    shelf.objects[LOCK] = (locks.encode(lock), "L0")
    shelf.now, shelf.clock = None, 5010.0
    stage = Stage(shelf)
    asked = stage.start()
    # Until it has outlived its time to live and a second: it was 10 s old.
    assert asked == m.LogIn(10.0)
    waited, taken = stage.told()
    assert waited == ("waited", sum(stage.clock.slept), "another")
    assert 21.0 <= sum(stage.clock.slept) < 24.0
    assert taken == ("lease taken over", 10.0 + sum(stage.clock.slept), "another")
    assert stage.told() == []


def test_a_wait_for_nobody_known_has_no_name() -> None:
    """A token was just published, and a lagging read does not show it; then the time is told."""
    lock = locks.Lock(locks.DONE, published="else")
    shelf = shelf_with(lock=lock)
    shelf.modified, shelf.now, shelf.clock = 5010.0, None, 5010.0
    stage = Stage(shelf)
    stage.start()
    assert stage.tell(m.DEAD) == m.LogIn(10.0)
    assert stage.told() == [("waited", sum(stage.clock.slept), "")]
    assert 4.0 < sum(stage.clock.slept) < 8.0
    assert stage.told() == []


def test_a_lock_without_an_age_is_taken_over_at_no_age() -> None:
    """It was watched for its time."""
    lock = locks.Lock(locks.HELD, "other", "another", 30.0, 5010.0, (5010.0,))
    shelf = Shelf()
    shelf.modified = None
    shelf.objects[LOCK] = (locks.encode(lock), "L0")
    stage = Stage(shelf)
    assert stage.start() == m.LogIn(10.0)
    assert stage.told()[1:] == [("lease taken over", 0.0, "another")]


def test_a_pause_is_no_wait_for_anybody() -> None:
    """Nothing is told of it."""
    shelf = shelf_with()
    shelf.errors["read"] = [StoreUnavailable("no", reason="busy")]
    stage = Stage(shelf)
    stage.start()
    assert stage.clock.slept == [0.25]
    assert stage.told() == []


# --- names and clocks ----------------------------------------------------------------------------


def test_fingerprints_tell_tokens_apart_and_nothing_else() -> None:
    """24 hexadecimal digits of a hash that is ours alone."""
    digest = hashlib.sha256(b"betfair-session " + OLD.encode()).hexdigest()
    assert fingerprint(Secret(OLD)) == digest[:24]
    assert fingerprint(None) == ""


def test_an_owner_is_a_host_and_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """In ASCII, also where there is no uname."""
    assert owner_name() == f"{os.uname().nodename} process {os.getpid()}"
    monkeypatch.setattr(os, "uname", lambda: type("Name", (), {"nodename": "h\u00f6st"}))
    assert owner_name() == f"h\\xf6st process {os.getpid()}"
    monkeypatch.delattr(os, "uname")
    monkeypatch.setenv("COMPUTERNAME", "WINDOWS")
    assert owner_name() == f"WINDOWS process {os.getpid()}"
    monkeypatch.delenv("COMPUTERNAME")
    assert owner_name() == f"? process {os.getpid()}"


def test_the_systems_clock_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time, waiting and randomness."""
    assert abs(Clock().mono() - time.monotonic()) < 60
    assert abs(Clock().now()[1] - time.time()) < 60
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    Clock().sleep(1.5)
    assert slept == [1.5]
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(0xFF, 0xFF - count, -1)))
    assert Clock().jitter() == 0xFFFEFDFC / 2**32
    assert Clock().nonce() == "fffefdfcfbfaf9f8"


# --- a machine whose clock is set ----------------------------------------------------------------


def local(**fields: Any) -> Shelf:  # noqa: ANN401 - any field's
    """Return a shelf of files with a lock that was written a moment ago on this machine."""
    lock = locks.Lock(
        locks.FAILED,
        since=9000.0,
        status="NO",
        not_before=10_200.0,
        boot="this boot",
        up=395.0,
        now=9000.0,
    )
    shelf = shelf_with(lock=lock._replace(published=fingerprint(Secret(OLD)), **fields))
    shelf.on_this_machine = True
    shelf.now, shelf.clock = None, 5000.0 + 86_400
    return shelf


def test_a_step_of_the_machines_clock_shortens_no_ban() -> None:
    """Files' times have moved by a day; the lock was written five seconds ago nevertheless."""
    stage = Stage(local())
    stage.start()
    assert stage.tell(m.DEAD) == m.Failed("refused", not_before=9000.0 + 1195.0)
    assert "server_now" not in stage.calls


def test_a_step_of_the_machines_clock_releases_no_brake() -> None:
    """Four logins in the last minute stay four in the last minute."""
    stage = Stage(local(state=locks.DONE, logins=(8990.0, 8993.0, 8996.0, 9000.0)))
    steady, _ = stage.clock.now()
    vars(stage.clock)["now"] = lambda: (steady, 9120.0)
    stage.start()
    assert stage.tell(m.DEAD) == m.Failed("brake", not_before=9120.0 + 45.0)


@pytest.mark.parametrize("fields", [{"boot": "another"}, {"boot": ""}, {"up": 401.0}])
def test_a_lock_from_another_machine_or_start_is_as_old_as_its_file(fields: object) -> None:
    """So is one of a version that notes no such clock, and one from the future."""
    stage = Stage(local(**fields))  # type: ignore[arg-type] # a parameter's dict
    stage.start()
    assert stage.tell(m.DEAD) == m.LogIn(10.0)
    assert "server_now" in stage.calls


def test_only_locks_in_files_note_the_machines_clock() -> None:
    """The formats of the clouds' locks stay as they are."""
    stage = Stage(Shelf())
    stage.start()
    assert b"boot" not in stage.shelf.objects[LOCK][0]
    shelf = Shelf()
    shelf.on_this_machine = True
    stage = Stage(shelf)
    stage.start()
    assert (stage.lock().boot, stage.lock().up, stage.lock().now) == ("this boot", 400.0, 9000.0)


# --- interruptions -------------------------------------------------------------------------------


class Betfair:
    """Logs in, and says that every other token is dead; the store's calls count with its own.

    Attributes:
        calls: how many there have been.
    """

    timeout = 10.0

    def __init__(self, stop: int, *, done: bool) -> None:
        """Interrupt the call of this number, before it or, if `done`, after it."""
        self._stop, self._done = stop, done
        self.calls = 0
        self.live: list[Secret] = []

    def around(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `work` returns
        """Do a call, unless it is the one to interrupt."""
        self.calls += 1
        interrupted = self.calls == self._stop
        if interrupted and not self._done:
            raise KeyboardInterrupt
        answer = work()
        if interrupted:
            raise KeyboardInterrupt
        return answer

    def certlogin(self, *_: Secret, timeout: float) -> Secret:
        """Make a session."""
        assert timeout > 0
        return cast("Secret", self.around(self._begin))

    def _begin(self) -> Secret:
        self.live.append(Secret(f"{len(self.live)}" * 44))
        return self.live[-1]

    def keep_alive(self, token: Secret, *, timeout: float) -> Secret | None:
        """Tell whether it lives."""
        assert timeout > 0
        return cast("Secret | None", self.around(lambda: token if token in self.live else None))

    def logout(self, token: Secret, *, timeout: float) -> None:
        """End a session."""
        assert timeout > 0
        self.around(lambda: self.live.remove(token))


class Interrupted(Shelf):
    """A shelf whose calls may be interrupted."""

    betfair: Betfair

    def _note(self, call: str, key: str, deadline: float) -> None:
        self.betfair.around(lambda: None)
        super()._note(call, key, deadline)

    def _put(self, key: str, content: bytes) -> str:
        if self.betfair._done and self.betfair.calls == self.betfair._stop - 1:
            self.betfair.calls += 1  # this very write is made, and its answer is lost
            super()._put(key, content)
            raise KeyboardInterrupt
        return super()._put(key, content)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("stop", range(1, 10))
def test_an_interruption_anywhere_leaves_no_lock_and_loses_no_session(
    stop: int, *, done: bool
) -> None:
    """It goes on when the lock is given back; what was logged in is stored, or ended."""
    shelf = Interrupted()
    shelf.objects = shelf_with().objects
    shelf.betfair = Betfair(stop, done=done)
    now = time.monotonic()
    stage = Stage(shelf, deadline=now + 50.0)
    stage.clock.at = now
    stage.runner._account = stage.runner._account._replace(client=cast("Any", shelf.betfair))
    try:
        stage.runner.find()
    except KeyboardInterrupt:
        assert shelf.betfair.calls >= stop
    else:
        assert shelf.betfair.calls < stop
    lock = stage.lock() if LOCK in shelf.objects else locks.Lock(locks.DONE)
    assert lock.state != locks.HELD
    stored = Secret(shelf.objects[KEY][0].decode())
    assert shelf.betfair.live in ([], [stored]) or lock.login_class == "unknown"


class LostTaking(Interrupted):
    """The answer to the write that takes the lock is lost."""

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """See TokenStore."""
        version = super().put(key, content, expect, deadline=deadline)
        if expect is not ABSENT:
            return version
        message = "lost"
        raise StoreUnavailable(message, reason="timeout", landed=True)


def test_an_interruption_after_a_lost_answer_leaves_no_lock() -> None:
    """Whether the lock was taken is looked at once more."""
    shelf = LostTaking()
    shelf.objects = shelf_with().objects
    shelf.betfair = Betfair(5, done=False)  # at the look at the lock that follows
    now = time.monotonic()
    stage = Stage(shelf, deadline=now + 50.0)
    stage.clock.at = now
    stage.runner._account = stage.runner._account._replace(client=cast("Any", shelf.betfair))
    with pytest.raises(KeyboardInterrupt):
        stage.runner.find()
    assert stage.lock().state == locks.DONE
    assert stage.lock().logins == ()


@pytest.mark.parametrize("held", ["taken", "renewing"])
def test_an_interruption_between_two_steps_gives_the_lock_back(
    held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the policy's own lines, where no call can be told of it."""

    def interrupt(*_: object, **__: object) -> Any:  # noqa: ANN401 - it never returns
        raise KeyboardInterrupt

    name = "_log_in" if held == "taken" else "_lease_leaves_time"
    monkeypatch.setattr(SharedLogin, name, interrupt)
    stage = Stage()
    with pytest.raises(KeyboardInterrupt):
        stage.runner.find()
    assert stage.lock().state == locks.DONE
    assert stage.lock().logins == ()
