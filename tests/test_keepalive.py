"""Long-running programs: the session is kept alive, and a hook hears when it is not."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import SimpleQueue
from unittest.mock import Mock

import pytest
from front import KEY, LOCK, Front, Watched
from hand_clocks import HandClocks
from programs import SECONDS, start
from storage.surroundings import in_a_child

from betfair_session import (
    Blocked,
    LoginRefused,
    LoginTimeout,
    Session,
    StoreUnavailable,
)
from betfair_session.betfair.jurisdictions import JURISDICTIONS
from betfair_session.keepalive import KeepAlive, Report, keep_alive_interval
from betfair_session.process import clocks
from betfair_session.sandbox import Sandbox

SOON = timedelta(milliseconds=20)


@pytest.fixture
def session(front: Front) -> Session:
    """A handle, before any login."""
    return front.session()


class Reports(SimpleQueue[Report]):
    """Collects reports, and lets a test wait for them."""

    def more(self, number: int) -> list[Report]:
        """Return the reports so far, and wait for so many more."""
        return [self.get(timeout=60) for _ in range(self.qsize() + number)]


def test_the_thread_keeps_a_session_alive_whatever_happens(
    session: Session, sandbox: Sandbox
) -> None:
    """A session that dies, errors of ours, a hook that fails; until it is stopped."""
    reports = Reports()

    def hook(report: Report) -> None:
        reports.put(report)
        raise RuntimeError("a hook's own error")

    with KeepAlive(session, every=SOON, on_report=hook) as keeping:
        told = reports.more(3)
        at_work = keeping.running
        sandbox.expire_all()
        told += reports.more(2)
        assert all(report.ok for report in told)
        assert sandbox.counts()["certlogin"] == 2
        assert sandbox.counts()["keepAlive"] >= 3
        sandbox.fault("keepAlive", "blocked", times=None)
        assert not reports.more(2)[-1].ok
        sandbox.clear_faults()
        told = reports.more(2)
        assert told[-1].ok
    assert (at_work, keeping.running) == (True, False)
    assert keeping.last == [*told, *reports.more(0)][-1]
    assert len(sandbox.sessions()) == 1
    keeping.stop()
    assert reports.empty()


def test_a_failure_is_reported_and_tried_again(
    session: Session, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Sooner than usual, and less often as failures repeat; the log has its text once."""
    token = session.token()
    sandbox.fault("keepAlive", "blocked", times=None)
    keeping = KeepAlive(session)
    assert round(keeping.run_once().again_in) == 15
    report = keeping.last
    assert report is not None
    assert isinstance(report.error, Blocked)
    assert caplog.text.count(str(report.error)) == 1  # by the event
    assert [round(keeping.run_once().again_in) for _ in range(3)] == [30, 60, 60]
    assert token not in caplog.text + repr(report)
    sandbox.clear_faults()
    assert keeping.run_once().again_in == 3600
    assert keeping.run_once().ok


def test_the_text_of_what_no_event_tells_is_logged_here(
    session: Session,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of a defect, and of a wrong configuration, whose event has the level of debugging."""
    front.token.write_text("x" * 1025)
    report = KeepAlive(session).run_once()
    assert caplog.text.count(str(report.error)) == 1
    monkeypatch.setattr(session, "verify", Mock(side_effect=RuntimeError("a defect")))
    assert not KeepAlive(session).run_once().ok
    assert "a defect" in caplog.text


def test_a_refused_login_is_respected(session: Session, sandbox: Sandbox) -> None:
    """No attempt before the time from which another login may be tried, nor beyond a ban's."""
    sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS")
    keeping = KeepAlive(session)
    report = keeping.run_once()
    assert isinstance(report.error, LoginRefused)
    assert report.error.not_before is not None
    assert 60 < report.again_in <= 1200
    left = (report.error.not_before - report.at).total_seconds()
    assert report.again_in == pytest.approx(left, abs=10)


def test_stopping_waits_for_the_attempt_under_way(session: Session, sandbox: Sandbox) -> None:
    """No login is cut off. One that never ran, or was stopped, can be stopped again."""
    KeepAlive(session).stop()
    sandbox.hold("certlogin")
    keeping = KeepAlive(session).start()
    sandbox.wait_for("certlogin")
    stopping = threading.Thread(target=keeping.stop)
    stopping.start()
    assert keeping.start() is keeping  # at work still: no second thread
    sandbox.release("certlogin")
    stopping.join()
    keeping.close()
    assert not keeping.running
    assert keeping.last is not None
    assert keeping.last.ok


def test_stopping_does_not_wait_for_another_process(
    front: Front, session: Session, sandbox: Sandbox
) -> None:
    """Soon the attempt neither waits for a login nor begins one: nobody needs the token."""
    watched = Watched(session)
    with front.under_way("certlogin", front.session().token):
        with KeepAlive(session) as keeping:
            watched.wait_for_read(LOCK)
        assert keeping.last is not None
        assert isinstance(keeping.last.error, LoginTimeout)
    assert sandbox.counts()["certlogin"] == 1


def test_its_end_blocks_no_event_loop(session: Session) -> None:
    """A hook may wait for what it has the loop do."""
    heard = list[bool]()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def note(report: Report) -> None:
            heard.append(report.ok)

        def tell(report: Report) -> None:
            asyncio.run_coroutine_threadsafe(note(report), loop).result(60)

        async with KeepAlive(session, on_report=tell) as keeping:
            assert keeping.running
        assert not keeping.running

    asyncio.run(main())
    assert heard == [True]


def test_it_starts_again_after_an_interrupted_stop(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program goes on, and so does its thread, which has an attempt under way."""
    sandbox.hold("certlogin")
    reports = Reports()
    keeping = KeepAlive(session, every=SOON, on_report=reports.put).start()
    sandbox.wait_for("certlogin")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            keeping.stop()
    keeping.start()
    sandbox.release("certlogin")
    went_on = reports.more(3)
    keeping.stop()
    assert len(went_on) >= 3


@pytest.mark.parametrize("whose", ["the session's", "the request's"])
def test_it_outlives_the_call_whose_hook_has_started_it(front: Front, whose: str) -> None:
    """Within a betting call, which has an end; or its thread would log nobody in from then on."""
    reports, left = Reports(), [10.0]
    keeping: list[KeepAlive] = []

    def hook(_: object) -> None:
        if not keeping:
            keeping.append(KeepAlive(handle, every=SOON, on_report=reports.put).start())

    ours = whose == "the session's"
    handle = front.session(on_event=hook if ours else None)
    with clocks.bounded(lambda: left[0]):
        assert handle.token()
        hook(None)
    left[0] = 0.0
    reports.more(1)
    front.sandbox.expire_all()
    assert all(report.ok for report in reports.more(3))
    keeping[0].stop()


def test_it_starts_again_while_its_thread_is_ending(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That thread was told to end, and is alive still."""
    reports = Reports()

    def ending(keeping: KeepAlive) -> bool:
        monkeypatch.undo()
        keeping.start()
        return keeping._ended()

    monkeypatch.setattr(KeepAlive, "_ended", ending)
    keeping = KeepAlive(session, every=SOON, on_report=reports.put).start()
    keeping._stopping.set()
    assert len(reports.more(3)) >= 3
    keeping.stop()


def test_it_has_one_thread_whoever_starts_it(session: Session) -> None:
    """Several threads at once; or its own, in a report, after it has stopped it there."""
    reports, line = Reports(), threading.Barrier(8)

    def report(told: Report) -> None:
        keeping.stop()
        keeping.start()
        reports.put(told)

    def begin(_: int) -> None:
        line.wait()
        keeping.start()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            keeping = KeepAlive(session, every=SOON, on_report=report)
            list(pool.map(begin, range(8)))
            threads = [each.name for each in threading.enumerate()]
            assert threads.count("betfair-keepalive") == 1
            reports.more(3)
            keeping.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("how", ["stopped", "ended"])
def test_a_report_may_stop_it(
    session: Session, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """It does not wait for itself. An unwanted end is logged."""

    def report(_report: object) -> None:
        if how == "ended":
            raise SystemExit
        keeping.stop()

    keeping = KeepAlive(session, on_report=report).start()
    thread = keeping._thread
    assert thread is not None
    thread.join(60)
    assert not keeping.running
    assert sandbox.counts() == {"certlogin": 1}
    critical = [each for each in caplog.records if each.levelname == "CRITICAL"]
    assert len(critical) == (how == "ended")
    keeping.stop()


@pytest.fixture
def outage(session: Session, sandbox: Sandbox) -> Watched:
    """A store that cannot be read from now on, after a login; the journal is empty."""
    session.token()
    sandbox.clear_journal()
    watched, down = Watched(session), StoreUnavailable("503", key=KEY, reason="server")
    watched.after_read = Mock(side_effect=down)
    return watched


def test_a_store_that_is_down_ends_no_session(
    session: Session, front: Front, outage: Watched
) -> None:
    """The token at hand is kept alive by itself, also for a handle without a trust window."""
    (token,) = front.live()
    keeping = KeepAlive(session)
    assert [keeping.run_once().ok for _ in range(3)] == [True, True, True]
    assert {session.verify(), session.token(), session.renew(token)} == {token}
    assert front.sandbox.counts() == {"keepAlive": 6}
    outage.after_read = lambda _key: None
    assert keeping.run_once().ok
    assert front.live() == [token]


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("what", ["dead", "cannot tell", "logged out"])
def test_nobody_logs_in_while_the_store_is_down(
    session: Session, sandbox: Sandbox, outage: Watched, what: str
) -> None:
    """The fleet may have another token, unread. One that Betfair calls dead is given up."""
    if what == "dead":
        sandbox.expire_all()
    elif what == "cannot tell":
        sandbox.fault("keepAlive", "blocked", times=None)
    else:
        with pytest.raises(StoreUnavailable):
            session.logout()
    keeping = KeepAlive(session)
    for _ in range(2):
        assert isinstance(keeping.run_once().error, StoreUnavailable)
    # A token of which Betfair could not tell is kept, and asked about again and again.
    asked = {"dead": 1, "cannot tell": 2, "logged out": 0}[what]
    assert sandbox.counts() == ({"keepAlive": asked} if asked else {})
    sandbox.clear_faults()
    outage.after_read = lambda _key: None
    assert keeping.run_once().ok
    assert sandbox.counts().get("certlogin", 0) == (what == "dead")


@pytest.mark.parametrize("outcome", ["alive", "failed"])
def test_a_sleep_of_the_machine_counts(
    session: Session, sandbox: Sandbox, hands: HandClocks, outcome: str
) -> None:
    """An attempt that came due meanwhile is made within seconds, wherever the sleep began."""
    session.token()
    if outcome == "failed":
        sandbox.fault("keepAlive", "blocked", times=None)
    waits: list[float] = []
    attempts: list[list[float]] = []

    def wait(seconds: float) -> None:
        """Wait by the steady clock; from the third time on in a machine that is suspended."""
        waits.append(seconds)
        hands.go(seconds)
        if len(waits) == 3:
            hands.sleep(8 * 3600)

    def hook(report: Report) -> None:
        assert report.ok is (outcome == "alive")
        attempts.append(list(waits))
        if len(attempts) == 2 and report.ok:
            hands.sleep(8 * 3600)  # after Betfair has answered
        elif len(attempts) > 1:
            keeping.stop()

    keeping = KeepAlive(session, on_report=hook)
    vars(keeping._stopping)["wait"] = wait
    keeping._run()
    assert waits == [5.0, 5.0, 5.0]
    assert [len(each) for each in attempts] == ([0, 3, 3] if outcome == "alive" else [0, 3])


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_the_interval_leaves_time_for_another_try_everywhere(name: str) -> None:
    """Three attempts fit before the session's end, and the interval is never under 15 minutes."""
    place = JURISDICTIONS[name]
    every = keep_alive_interval(place)
    assert every >= timedelta(minutes=15)
    assert every + timedelta(seconds=15 + 30 + 60) < (place.session_length or timedelta(minutes=20))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_child_starts_a_thread_of_its_own(session: Session) -> None:
    """It has none before that, and says so."""

    def run() -> bool:
        before = keeping.running
        with keeping:
            return not before and keeping.running

    with KeepAlive(session, every=timedelta(minutes=1)) as keeping:
        assert in_a_child(run)


FORKING = """
import os, sys, threading, time
from betfair_session import KeepAlive, from_env
from concurrent.futures import ThreadPoolExecutor

importing, forking, reported = threading.Event(), threading.Event(), threading.Event()


class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "requests":
            importing.set()
            forking.wait(60)


pool = ThreadPoolExecutor()
session = from_env(dotenv=None).session(sys.argv[1], "session.token")
sys.meta_path.insert(0, Slow())
KeepAlive(session, on_report=lambda report: pool.submit(reported.set).result()).start()
os.register_at_fork(before=forking.set)
assert importing.wait(60)
child = os.fork()
if child == 0:
    session.token(20)
    os._exit(not reported.is_set())
for _ in range(3000):
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        os._exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.01)
os.kill(child, 9)
os._exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_child_forked_during_the_first_attempt_gets_its_token(front: Front) -> None:
    """Its parent's thread may be importing just what the child needs as well.

    And the attempt ends before the fork, though its hook uses what has a hook for forks.
    """
    front.session().token()  # so that both have to ask about it
    needs_requests = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "*"}
    variables = {**front.sandbox.environment(), **needs_requests}
    command = (sys.executable, "-c", FORKING, str(front.path))
    with start(*command, directory=front.path, variables=variables) as program:
        assert program.wait(SECONDS) == 0
