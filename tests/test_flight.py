"""One call at a time for threads, tasks and forks; its outcome is shared if others can use it."""

from __future__ import annotations

import asyncio
import gc
import math
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn, cast
from unittest.mock import Mock

import pytest
from front import KEY, Front, joined
from programs import run
from storage.plain import Plain
from storage.surroundings import in_a_child
from within import within

from betfair_session import (
    ConfigurationError,
    Exchange,
    IdentityUnavailable,
    KeepAlive,
    LeaseSettings,
    LoginRefused,
    LoginTimeout,
    StoreUnavailable,
)
from betfair_session.process import ForkSafeLock, T, clocks, reset_in_child, single_flight, threads
from betfair_session.process.single_flight import SingleFlight, await_for, wait_for
from betfair_session.process.threads import Lane, Once, Outcome, OutOfTime

FAR = within(86_400)
Found = tuple[str, bool] | BaseException | None


def alone() -> str:
    return "alone"


def join(
    flight: SingleFlight[T],
    work: Callable[[], T],
    **how: Any,  # noqa: ANN401 - as SingleFlight.join's
) -> tuple[T, bool] | None:
    return wait_for(flight.join(work, **how))


async def ajoin(
    flight: SingleFlight[T],
    work: Callable[[], T],
    **how: Any,  # noqa: ANN401
) -> tuple[T, bool] | None:
    return await await_for(flight.join(work, task=True, **how))


def ways(flight: SingleFlight[str], deadline: float = FAR) -> list[Callable[[], Found]]:
    """Return how a thread asks, and how a task does."""
    return [
        lambda: join(flight, alone, deadline=deadline),
        lambda: asyncio.run(ajoin(flight, alone, deadline=deadline)),
    ]


def outcome(future: Future[Found]) -> Found:
    """Return what a call has found, which may be an error."""
    return future.exception(60) or future.result()


def led(
    flight: SingleFlight[str],
    callers: list[Callable[[], Found]],
    error: BaseException | None = None,
    *,
    deadline: float = FAR,
    left: float = math.inf,
    then: Callable[[], object] = lambda: None,
) -> tuple[Found, list[Found]]:
    """Let callers join a call that ends as told, after `then`; return its outcome, and theirs."""
    began, waiting = threading.Event(), joined(flight)

    def work() -> str:
        began.set()
        for _ in callers:
            waiting.get(timeout=60)
        then()
        if error:
            raise error
        return "the leader's"

    def lead() -> Found:
        lefts = [left]
        try:
            with clocks.bounded(lambda: lefts[0]):
                return join(flight, work, deadline=deadline)
        finally:
            lefts[0] = 0.0

    with ThreadPoolExecutor(len(callers) + 1) as pool:
        leading = pool.submit(lead)
        assert began.wait(60)
        asking = [pool.submit(call) for call in callers]
        return outcome(leading), [outcome(each) for each in asking]


def test_what_came_of_it_is_shared_and_not_kept() -> None:
    """Each also learns who did the work; an error is shared as a copy, with its cause."""
    flight: SingleFlight[str] = SingleFlight()
    assert led(flight, ways(flight)) == (("the leader's", True), [("the leader's", False)] * 2)
    assert [call() for call in ways(flight) * 2] == [("alone", True)] * 4
    error = IdentityUnavailable("away", endpoint="certlogin")
    error.__cause__ = ValueError("why")
    its, found = led(flight, ways(flight), error)
    assert its is error
    for each in found:
        assert isinstance(each, IdentityUnavailable)
        assert each is not error  # or each one's traceback would grow
        assert (each.endpoint, each.__cause__) == ("certlogin", error.__cause__)


@pytest.mark.parametrize(
    ("error", "how", "shared"),
    [  # the seconds of the leader and of the others; of the leader's bound, and of a freeze
        (LoginTimeout("my own time"), {}, False),
        (KeyboardInterrupt(), {}, False),
        (IdentityUnavailable("no answer"), {"its": 0}, False),  # it had too little time
        (StoreUnavailable("no answer"), {"its": 0}, False),
        (IdentityUnavailable("no answer"), {"its": 0.5, "theirs": 1.5}, True),  # hardly more
        (IdentityUnavailable("down"), {}, True),  # or a hundred threads would ask
        (StoreUnavailable("down"), {}, True),
        (LoginRefused("no", status="ACTIONS_REQUIRED"), {"its": 0}, True),  # time is no help
        # Nothing is tried again for one who has given up; another may have time for it.
        (StoreUnavailable("one hiccup", reason="server"), {"left": 0.0}, False),
        (StoreUnavailable("one hiccup", reason="server"), {"left": 1.0}, True),
        # A result may be out of date after a freeze, and a failure come from it.
        (None, {"its": 60, "frozen": 3600}, False),
        (IdentityUnavailable("no answer"), {"its": 60, "frozen": 3600}, False),
    ],
)
def test_what_concerns_the_leader_alone_is_not_shared(
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | None,
    how: dict[str, float],
    *,
    shared: bool,
) -> None:
    flight: SingleFlight[str] = SingleFlight()

    def freeze() -> None:
        monkeypatch.setattr(clocks, "wall", lambda: time.time() + how.get("frozen", 0.0))

    its, found = led(
        flight,
        ways(flight, within(how.get("theirs", 86_400))),
        error,
        deadline=within(how.get("its", 3600)),
        left=how.get("left", math.inf),
        then=freeze,
    )
    assert its == (error or ("the leader's", True))
    if shared:
        assert all(isinstance(each, type(error) | LoginTimeout) for each in found)
    else:
        assert [each[0] for each in found if isinstance(each, tuple)] == ["alone"] * 2


@pytest.mark.parametrize("task", [False, True])
def test_what_comes_afterwards_keeps_only_the_call_that_did_the_work(*, task: bool) -> None:
    began, go = threading.Event(), threading.Event()

    def afterwards() -> None:
        began.set()
        assert go.wait(60)

    flight: SingleFlight[str] = SingleFlight(afterwards)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ways(flight)[task])
        assert began.wait(60)
        flight._afterwards = lambda: None
        assert join(flight, alone, deadline=FAR) == ("alone", True)
        assert not first.done()
        go.set()
        assert first.result() == ("alone", True)


def test_what_comes_afterwards_has_time_of_its_own() -> None:
    """A hook may ask another handle for a token when its caller has given up."""
    left: list[float] = []
    flight: SingleFlight[str] = SingleFlight(lambda: left.append(clocks.left()))
    with clocks.bounded(lambda: 1.0):
        assert join(flight, alone, deadline=FAR) == ("alone", True)
    assert left == [math.inf]


def test_an_iterator_that_ends_in_a_signal_handler_is_no_answer() -> None:
    """The wait itself is a generator's, whose end has the answer."""
    stopped = Mock(wait=Mock(side_effect=StopIteration))

    def waits() -> Iterator[Any]:
        yield stopped, within(1)

    with pytest.raises(StopIteration):
        wait_for(cast("Any", waits()))


def test_a_signal_handler_may_not_ask_for_its_own_threads_call() -> None:
    """It would wait for itself; it may check whether there is one."""

    def work() -> str:
        assert join(flight, alone, deadline=FAR, wait=False) is None
        with pytest.raises(ConfigurationError):
            join(flight, alone, deadline=within(5))
        return "done"

    flight: SingleFlight[str] = SingleFlight()
    assert join(flight, work, deadline=FAR) == ("done", True)
    assert asyncio.run(ajoin(flight, work, deadline=FAR)) == ("done", True)


class Interrupting(dict[int, Any]):
    """A dict during whose operations Ctrl-C is pressed."""

    def setdefault(self, key: int, default: Any = None) -> Any:  # noqa: ANN401 - as a dict's
        super().setdefault(key, default)
        raise KeyboardInterrupt


def test_an_interruption_of_a_task_leaves_nothing_behind() -> None:
    """A call that no thread works on would block all others for ever."""
    flight: SingleFlight[str] = SingleFlight()
    flight._calls = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        ways(flight)[1]()
    assert flight._calls == {}


class Strikes:
    """Interrupts a thread at one of the places where the interpreter runs signal handlers.

    They are where a function begins, and where a function written in C has returned.
    """

    def __init__(self, place: int) -> None:
        self.left = place

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        watched = {single_flight.__file__, threads.__file__, threading.__file__}
        # The end of a thread concerns nobody. A look at whether one is alive, on Python 3.11 and
        # 3.12, takes it for ended when interrupted, and for the main thread that would last.
        spared = frame.f_code.co_name in {"_delete", "_wait_for_tstate_lock"}
        if event in {"call", "c_return"} and frame.f_code.co_filename in watched and not spared:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt


def struck_at(place: int, struck: str) -> list[Found]:
    """Interrupt the leader or the caller who waits; return what both got, and the next."""
    flight, strikes, begun = SingleFlight[str](), Strikes(place), threading.Event()
    waiting = joined(flight)

    def work() -> str:
        sys.setprofile(None)  # the test's own steps are not struck
        begun.set()
        waiting.get(timeout=60)
        sys.setprofile(strikes if struck == "leading" else None)
        return "led"

    def ask(work: Callable[[], str], who: str) -> Callable[[], Found]:
        answers: SimpleQueue[Found] = SimpleQueue()

        def asked() -> None:
            found: Found
            sys.setprofile(strikes if struck == who else None)
            try:
                found = join(flight, work, deadline=FAR)
            except KeyboardInterrupt as error:
                found = error
            finally:
                sys.setprofile(None)
            begun.set()  # also if it was struck before this
            waiting.put(None)
            answers.put(found)

        threading.Thread(target=asked, daemon=True).start()  # it may hang
        return partial(answers.get, timeout=60)

    leader = ask(work, "leading")
    assert begun.wait(60)
    other = ask(alone, "waiting")
    return [leader(), other(), ask(alone, "next")()]


def test_a_signal_handler_wherever_it_may_come_does_not_wait_for_its_own_thread() -> None:
    """It is refused, or gets an answer of its own, before or after the call that it interrupts."""
    found = set[object]()
    for place in range(1, 1000):
        flight, handled, left = SingleFlight[str](), list[Found](), iter(range(place))

        def handle(
            frame: FrameType,
            event: str,
            _: object,
            flight: SingleFlight[str] = flight,
            handled: list[Found] = handled,
            left: Iterator[int] = left,
        ) -> None:
            watched = frame.f_code.co_filename == single_flight.__file__
            if event in {"call", "c_return"} and watched and next(left, None) is None:
                sys.setprofile(None)
                with suppress(ConfigurationError):  # and not LoginTimeout
                    handled.append(join(flight, alone, deadline=time.monotonic()))

        sys.setprofile(handle)
        try:
            assert join(flight, alone, deadline=FAR) == ("alone", True)
        finally:
            ended = sys.getprofile()
            sys.setprofile(None)
        found.update(handled or ["refused"])
        if ended:
            break
    assert found == {("alone", True), "refused"}
    assert 5 < place < 999


def test_a_thread_is_not_taken_for_one_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is given to the next, while the work of a caller that gave up goes on."""
    flight, goes_on = SingleFlight[str](), threading.Event()

    def work() -> str:
        assert goes_on.wait(60)
        return "led"

    gone = threading.Thread(target=lambda: next(flight.join(work, deadline=FAR)), daemon=True)
    alike = {gone, threading.current_thread()}

    def number() -> int:
        return 1 if threading.current_thread() in alike else threading.get_ident()

    monkeypatch.setattr(single_flight, "threading", Mock(wraps=threading, get_ident=number))
    gone.start()
    gone.join(60)
    waits = flight.join(alone, deadline=FAR)
    outcome, _ = next(waits)
    goes_on.set()
    assert outcome.wait(FAR)
    with pytest.raises(StopIteration) as end:
        next(waits)
    assert end.value.value == ("led", False)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Collect no garbage meanwhile: a finalizer of an earlier test's would be struck."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("struck", ["leading", "waiting"])
def test_an_interruption_wherever_it_may_come_holds_nobody_up(struck: str) -> None:
    """The other caller gets an answer, and so does the next."""
    for place in range(1, 1000):
        found = struck_at(place, struck)
        mine, other = found[:2] if struck == "leading" else found[1::-1]
        assert other in {("led", True), ("led", False), ("alone", True)}
        assert found[2] == ("alone", True)
        if not isinstance(mine, KeyboardInterrupt):
            break
    assert 5 < place < 999


def test_whoever_ends_a_call_again_wakes_those_whom_an_interruption_left() -> None:
    outcome, waiting = Outcome[str](), threading.Event()
    outcome.then(Mock(side_effect=[KeyboardInterrupt, None]))
    outcome.then(waiting.set)
    with pytest.raises(KeyboardInterrupt):
        outcome.end("led")
    assert not waiting.is_set()
    outcome.end(error=KeyboardInterrupt())
    assert (waiting.is_set(), outcome.result()) == (True, "led")


@pytest.mark.parametrize(("alone", "begun"), [(False, True), (False, False), (True, False)])
def test_an_interruption_while_a_thread_starts_loses_no_work_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, *, alone: bool, begun: bool
) -> None:
    """What has begun is waited for by what comes next; what has not begun never does.

    Python then raises a RuntimeError, as if it could start no thread.
    """
    start, lane, made = threading.Thread.start, Lane(), list[threading.Thread]()
    at_work, goes_on, done = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        at_work.set()
        assert goes_on.wait(60)
        done.append("first")

    def interrupted(thread: threading.Thread) -> None:
        made.append(thread)
        if begun:
            start(thread)
            assert at_work.wait(60)
        try:
            raise KeyboardInterrupt
        finally:
            threading.Lock().release()

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            (threads.run_until if alone else lane.run)(FAR, work)
    if begun:
        with pytest.raises(OutOfTime):
            lane.run(time.monotonic(), lambda: done.append("too early"))
    goes_on.set()
    lane.run(FAR, lambda: done.append("next"))
    if not begun:
        start(made[0])
        made[0].join()
    assert done == (["first", "next"] if begun else ["next"])


# --- forks ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_waits_for_no_thread_of_its_parent() -> None:
    """The child does not have it. One forked in a hook has the hook's thread, and may ask.

    A reset that fails, which Python reports, stops no other.
    """
    some = [Mock(after_fork=Mock(side_effect=OSError)) for _ in range(2)]
    reset_in_child(some[0])
    lock, flight = ForkSafeLock(), SingleFlight[str]()
    reset_in_child(some[1])
    begun, over = threading.Event(), threading.Event()

    def stay() -> str:
        begun.set()
        over.wait(60)
        return "the parent's"

    def use(work: Callable[[], str]) -> object:
        with lock.mine():
            return join(flight, work, deadline=within(20))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(use, stay)
        assert begun.wait(60)
        child = in_a_child(lambda: use(alone))
        over.set()
    assert child == ("alone", True)
    found: list[object] = []

    def hook() -> None:
        hooked._afterwards = lambda: None  # the child's own hook
        found.append(in_a_child(lambda: join(hooked, alone, deadline=within(20))))

    hooked: SingleFlight[str] = SingleFlight(hook)
    assert join(hooked, alone, deadline=FAR) == ("alone", True)
    assert found == [("alone", True)]


def test_who_can_do_without_a_result_waits_only_a_moment_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The work goes on, so that the next caller has its result."""
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)
    flight, go_on = SingleFlight[str](), threading.Event()

    def work() -> str:
        go_on.wait(60)
        return "late"

    asks: list[Callable[[], Found]] = [
        lambda: join(flight, work, deadline=FAR, wait=False),
        lambda: asyncio.run(ajoin(flight, work, deadline=FAR, wait=False)),
    ]
    for ask in asks:
        go_on.clear()
        callers = joined(flight)
        assert [ask(), ask()] == [None, None]
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(lambda: join(flight, alone, deadline=FAR))
            for _ in range(2):
                callers.get(timeout=60)
            go_on.set()
            assert asked.result(60) == ("late", False)
        monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 60.0)
        assert ask() == ("late", True)
        monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)


def test_who_is_given_up_waits_for_nobody() -> None:
    """Each of many short calls would leave a thread in the wait for one slow answer."""
    flight, over = SingleFlight[str](), threading.Event()

    def ask() -> None:
        with clocks.bounded(lambda: 0.0), pytest.raises(LoginTimeout):
            join(flight, alone, deadline=FAR)
        over.set()

    found = led(flight, [ask], then=lambda: over.wait(5))  # or else its result is shared
    assert found == (("the leader's", True), [None])


def test_work_that_has_not_begun_is_not_its_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that went on without it, and asks again, is no signal handler in its middle."""
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(single_flight, "_begin_lasting", lambda _: Outcome[None]())
    flight: SingleFlight[str] = SingleFlight()
    assert join(flight, alone, deadline=FAR, wait=False) is None
    with pytest.raises(LoginTimeout):
        join(flight, alone, deadline=within(0.05))


@pytest.mark.parametrize("task", [False, True])
def test_what_comes_afterwards_holds_its_caller_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, *, task: bool
) -> None:
    """A hook in another thread may wait for a lock that the caller has."""
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)
    over = threading.Event()
    flight = SingleFlight[str](lambda: over.wait(60))
    answers: SimpleQueue[Found] = SimpleQueue()
    way = ways(flight)[task]
    threading.Thread(target=lambda: answers.put(way()), daemon=True).start()
    try:
        assert answers.get(timeout=30) == ("alone", True)
    finally:
        over.set()


def test_work_that_begins_after_the_programs_end_does_not_prolong_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Daemon threads go on while Python waits: without an end, if it waited for all they begin."""
    for alive in (True, False):
        monkeypatch.setattr(threading, "main_thread", lambda: Mock(is_alive=lambda: alive))  # noqa: B023
        flight = SingleFlight[bool]()
        found = asyncio.run(ajoin(flight, lambda: threading.current_thread().daemon, deadline=FAR))
        assert found == (not alive, True)


PROGRAM = """
import asyncio, sys, threading
from betfair_session import KeepAlive, from_env
from betfair_session.sandbox import Controls

manager, sandbox = from_env(dotenv=None), Controls.running()
way, *place = sys.argv[1:]

def go_on():
    sandbox.wait_for("certlogin")
    sandbox.release("certlogin")

async def main(ask, then):
    task = asyncio.create_task(ask)
    await asyncio.to_thread(then)

if way == "task":
    asyncio.run(main(manager.aget_session(*place), go_on))
elif way == "run":
    asyncio.run(main(manager.session(*place).atoken(), lambda: None))
elif way == "loop":  # which cancels nothing
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main(manager.session(*place).atoken(), lambda: None))
elif way == "kept alive":
    KeepAlive(manager.session(*place), on_report=lambda report: print(report.ok)).start()
    go_on()
else:
    threading.Thread(target=manager.get_session, args=place, daemon=True).start()
    go_on()
"""


def ended(front: Front, way: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", PROGRAM, way, str(front.path), KEY)
    return run(*command, directory=front.path, variables=front.sandbox.environment())


@pytest.mark.parametrize("way", ["task", "daemon", "kept alive"])
def test_the_end_of_a_program_cuts_no_login_off(front: Front, way: str) -> None:
    """Or Betfair has a session that nobody knows, and the next login waits for the lock.

    KeepAlive reports the attempt, too.
    """
    front.sandbox.hold("certlogin")
    done = ended(front, way)
    told = "True\n" if way == "kept alive" else ""
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
    assert [front.token.read_text()] == front.live()
    assert front.read_lock().state == "done"


@pytest.mark.parametrize("way", ["run", "loop"])
def test_a_program_that_has_ended_begins_no_login(front: Front, way: str) -> None:
    """Its task had waited for another process, whose lock ends before the task's time."""
    lock = front.locked(ttl=2.0)
    done = ended(front, way)
    assert (done.returncode, done.stdout) == (0, "")  # asyncio may tell of a task that is pending
    assert front.sandbox.counts() == {}
    assert front.read_lock() == lock


def test_a_task_that_has_left_is_kept_by_no_call() -> None:
    """Nor is its loop, by a call that goes on for long."""
    flight, going = SingleFlight[str](), threading.Event()

    async def leave() -> None:
        asked = asyncio.create_task(ajoin(flight, lambda: str(going.wait(60)), deadline=within(60)))
        await asyncio.sleep(0)  # until it waits
        assert flight._calls[0].wanted
        asked.cancel()

    asyncio.run(leave())
    assert [call.wanted for call in flight._calls.values()] == [False]
    going.set()


def test_an_isolated_interpreter_has_no_daemon_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """So work has a thread for which the interpreter's end waits."""

    class Isolated(threading.Thread):
        def __init__(self, *given: Any, daemon: bool | None = None, **more: Any) -> None:  # noqa: ANN401 - a thread's
            if daemon:
                raise RuntimeError("daemon threads are disabled in this (sub)interpreter")
            super().__init__(*given, **more)

        @property
        def daemon(self) -> bool:
            return False

        @daemon.setter
        def daemon(self, value: bool) -> None:
            self.__init__(daemon=value)  # type: ignore[misc] # refuses it

    monkeypatch.setattr(threading, "Thread", Isolated)
    assert threads.run_until(within(60), alone) == "alone"


# --- tasks ----------------------------------------------------------------------------------------


def test_many_tasks_share_one_answer_and_one_thread(front: Front) -> None:
    """Also with another loop's tasks and with threads; a cancelled one takes it from no other."""
    idle = threading.active_count()  # of other tests' servers
    manager, sandbox = front.manager(), front.sandbox

    def ask() -> Coroutine[Any, Any, str]:
        return manager.aget_session(front.path, KEY)

    async def main() -> set[str]:
        await asyncio.to_thread(sandbox.hold, "certlogin")
        first = asyncio.create_task(ask())
        await asyncio.to_thread(sandbox.wait_for, "certlogin")
        asking = [asyncio.create_task(ask()) for _ in range(200)]
        await asyncio.sleep(0)
        assert threading.active_count() - idle < 20
        others = [
            pool.submit(manager.get_session, front.path, KEY),
            pool.submit(lambda: asyncio.run(ask())),
        ]
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        for _ in range(1000):  # the loop goes on
            await asyncio.sleep(0)
        assert not any(task.done() for task in asking)
        await asyncio.to_thread(sandbox.release, "certlogin")
        return {*await asyncio.gather(*asking, *map(asyncio.wrap_future, others))}

    with ThreadPoolExecutor(2) as pool:
        assert asyncio.run(main()) == {front.token.read_text()}
    assert sandbox.counts()["certlogin"] == 1


def test_a_task_that_is_cancelled_as_its_answer_comes_ends() -> None:
    """However many turns of the loop lie between the two."""

    async def wait(turns: int) -> tuple[bool, bool]:
        outcome = Outcome[None]()
        task = asyncio.create_task(single_flight._wait_in_loop(outcome, FAR))
        await asyncio.sleep(0)
        outcome.end()
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled = task.cancel()
        await asyncio.wait({task})
        return cancelled, task.cancelled()

    ends = [asyncio.run(wait(turns)) for turns in range(6)]
    assert {*ends} == {(True, True), (False, False)}


def test_without_threads_each_caller_is_told_and_nothing_is_sent(
    front: Front, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """As with a limit on processes; and nothing is left behind."""
    sandbox, manager, flight = front.sandbox, front.manager(), SingleFlight[str]()
    keeping = KeepAlive(manager.session(front.path, KEY))
    calls: list[Callable[[], object]] = [
        lambda: front.client.certlogin(sandbox.username, sandbox.password),
        lambda: asyncio.run(ajoin(flight, alone, deadline=FAR)),
        lambda: asyncio.run(manager.aget_session(front.path, KEY)),
        lambda: keeping.start().running,
    ]
    for call in calls:
        with no_threads(), pytest.raises(IdentityUnavailable) as caught:
            call()
        assert caught.value.sent is False
    with no_threads():  # who can do without an answer does
        assert asyncio.run(ajoin(flight, alone, deadline=FAR, wait=False)) is None
    assert (sandbox.counts(), keeping.running) == ({}, False)
    keeping.close()
    for call in calls:
        assert call()
    keeping.close()


def test_a_task_of_another_library_is_told_so_and_begins_nothing(front: Front) -> None:
    """As of trio, whose event loop runs no task of asyncio's."""
    session = front.session()
    for call in (session.atoken, session.averify, session.alogout, session.aclose):
        with pytest.raises(ConfigurationError):
            call().send(None)
    assert front.sandbox.counts() == {}


@pytest.mark.usefixtures("program_ended")
def test_without_threads_a_program_that_ends_still_asks_by_itself(
    front: Front, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """As under Python 3.12 in an atexit function, by which a bot cancels orders and logs out."""
    session = front.session()
    with Exchange(session) as exchange, no_threads():
        assert session.verify() == session.token()
        assert exchange.call("listEventTypes", {"filter": {}})
        session.logout()
    assert front.live() == []
    assert front.sandbox.counts()["certlogin"] == 1


# --- stores whose driver connects when it is made -------------------------------------------------


def test_an_opening_ends_in_time_and_the_loop_goes_on(front: Front, plain: type[Plain]) -> None:
    """In the call's time; a handle's opening has the lease's store_deadline."""
    url, met, enough = f"plain://{front.path}", threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> NoReturn:
        met.set()
        enough.wait(60)
        raise ConnectionResetError

    plain.__init__ = hang  # type: ignore[method-assign]
    quick = front.manager(lease=LeaseSettings(ttl=20, store_deadline=0.3))
    patient = front.manager(lease=LeaseSettings(ttl=120, store_deadline=50), login_timeout=1000)
    calls: list[Callable[[], object]] = [
        lambda: patient.get_session(url, KEY, timeout=0.3),
        lambda: asyncio.run(patient.aget_session(url, KEY, timeout=0.3)),
        lambda: quick.session(url, KEY),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert (caught.value.reason, caught.value.landed) == ("timeout", False)
    met.clear()

    async def main() -> None:
        asking = asyncio.create_task(patient.aget_session(f"{url}/more", KEY))
        assert await asyncio.to_thread(met.wait, 60)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(main())
    enough.set()


LATE = """
import atexit, sys
from betfair_session import IdentityClient, SessionManager, StoreUnavailable

manager = SessionManager(IdentityClient("key"), "user", "password")

def ask():
    for url in sys.argv[1:]:
        for call in (manager.get_session, manager.logout):
            try:
                call(url, "session.token")
            except StoreUnavailable as error:
                print(error.reason, error.landed)

atexit.register(ask)
"""


def test_a_first_call_while_python_shuts_down_is_an_error_of_ours(tmp_path: Path) -> None:
    """The drivers' event loops want threads and executors, which Python refuses by then."""
    urls = ["memory://late", "s3://b/p", "gs://b/p", "abfs://c/p"]
    done = run(sys.executable, "-c", LATE, *urls, directory=tmp_path)
    assert (done.stdout, done.stderr) == ("busy False\n" * 8, "")


def test_what_is_opened_while_its_store_is_closed_is_let_go() -> None:
    once, go, gone = Once[object](), threading.Event(), threading.Event()

    def make() -> object:
        go.wait(60)
        made = threading.Event()
        weakref.finalize(made, gone.set)
        return made

    with pytest.raises(OutOfTime):
        once.get(make, deadline=within(0))
    once.forget()
    go.set()
    assert gone.wait(60)
