"""One call at a time, its outcome shared, unless it says nothing to the others."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from betfair_session import (
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    LoginTimeout,
    StoreUnavailable,
)
from betfair_session.process.single_flight import SingleFlight, _share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

FAR = time.monotonic() + 86_400


class Leader:
    """A call under way, in a thread of its own, until it is let go."""

    def __init__(
        self,
        flight: SingleFlight[str],
        error: BaseException | None = None,
        deadline: float = FAR,
    ) -> None:
        """Start it, and wait until it leads."""
        self._go, began = threading.Event(), threading.Event()

        def work() -> str:
            began.set()
            self._go.wait(60)
            if error:
                raise error
            return "the leader's"

        def lead() -> object:
            try:
                return flight.join(work, deadline=deadline)
            except BaseException as raised:  # noqa: BLE001 - a test looks at it
                return raised

        self._pool = ThreadPoolExecutor(1)
        self._outcome = self._pool.submit(lead)
        assert began.wait(60)

    def end(self) -> object:
        """Let it go; return what came of it."""
        self._go.set()
        self._pool.shutdown()
        return self._outcome.result()


@pytest.fixture
def flight() -> SingleFlight[str]:
    """Return one without a call."""
    return SingleFlight()


@pytest.fixture
def lead(flight: SingleFlight[str]) -> Iterator[Callable[..., Leader]]:
    """Return what makes leaders; they are ended when the test is over."""
    made = []

    def make(error: BaseException | None = None, deadline: float = FAR) -> Leader:
        made.append(Leader(flight, error, deadline))
        return made[-1]

    yield make
    for leader in made:
        leader.end()


def alone() -> str:
    """Return what nobody is to be given who could share."""
    return "alone"


def test_a_call_without_company_is_made(flight: SingleFlight[str]) -> None:
    """And the next one again: nothing is kept."""
    for _ in range(2):
        assert flight.join(alone, deadline=FAR) == ("alone", True)
        assert asyncio.run(flight.ajoin(alone, deadline=FAR)) == ("alone", True)


def test_who_does_not_wait_gets_nothing(
    flight: SingleFlight[str], lead: Callable[..., Leader]
) -> None:
    """While another is at it."""
    lead()
    assert flight.join(alone, deadline=FAR, wait=False) is None
    assert asyncio.run(flight.ajoin(alone, deadline=FAR, wait=False)) is None


def test_who_waits_too_long_is_told(flight: SingleFlight[str], lead: Callable[..., Leader]) -> None:
    """At the deadline, also one that is over already."""
    lead()
    for deadline in (time.monotonic() + 0.05, 0.0):
        with pytest.raises(LoginTimeout, match="another thread of this process is still at it"):
            flight.join(alone, deadline=deadline)
        with pytest.raises(LoginTimeout, match="another thread of this process is still at it"):
            asyncio.run(flight.ajoin(alone, deadline=deadline))


def followers(flight: SingleFlight[str], leader: Leader) -> tuple[object, list[object]]:
    """Let a thread and a task wait for a leader; return what came of all three."""
    entered = threading.Semaphore(0)
    enter: Callable[[Any], object] = flight._enter

    def noted(mine: object) -> object:
        found = enter(mine)
        entered.release()
        return found

    vars(flight)["_enter"] = noted

    def thread() -> object:
        return flight.join(alone, deadline=FAR)

    def task() -> object:
        return asyncio.run(flight.ajoin(alone, deadline=FAR))

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a test looks at it
            return error

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(outcome, call) for call in (thread, task)]
        for _ in waiting:
            assert entered.acquire(timeout=60)
        led = leader.end()
        return led, [each.result() for each in waiting]


def test_what_came_of_it_is_shared(flight: SingleFlight[str], lead: Callable[..., Leader]) -> None:
    """And each is told who did the work."""
    led, found = followers(flight, lead())
    assert led == ("the leader's", True)
    assert found == [("the leader's", False)] * 2


def test_an_error_is_shared_as_a_copy(
    flight: SingleFlight[str], lead: Callable[..., Leader]
) -> None:
    """With its cause; each raises its own, so that no traceback grows."""
    error = IdentityUnavailable("away", endpoint="certlogin")
    error.__cause__ = ValueError("why")
    led, found = followers(flight, lead(error))
    assert led is error
    for each in found:
        assert isinstance(each, IdentityUnavailable)
        assert each is not error
        assert str(each) == "away"
        assert each.__cause__ is error.__cause__


@pytest.mark.parametrize("error", [LoginTimeout("my own time"), KeyboardInterrupt()])
def test_what_concerns_the_leader_alone_is_not_shared(
    flight: SingleFlight[str], lead: Callable[..., Leader], error: BaseException
) -> None:
    """The end of its own time, or its being interrupted: the others go on, one of them leading."""
    led, found = followers(flight, lead(error))
    assert led is error
    assert {each[0] for each in found if isinstance(each, tuple)} == {"alone"}
    assert len(found) == 2


@pytest.mark.parametrize("error", [IdentityUnavailable("no answer"), StoreUnavailable("no answer")])
def test_a_failure_for_want_of_time_is_not_shared_with_those_who_have_more(
    flight: SingleFlight[str], lead: Callable[..., Leader], error: Exception
) -> None:
    """The leader gave Betfair, or the store, less time than they would."""
    led, found = followers(flight, lead(error, time.monotonic()))
    assert led is error
    assert {each[0] for each in found if isinstance(each, tuple)} == {"alone"}
    assert len(found) == 2


def test_other_failures_are_shared() -> None:
    """Or else each of a hundred threads would ask a service that is down."""
    now = time.monotonic()
    down, refused = IdentityUnavailable("down"), LoginRefused("no", status="ACTIONS_REQUIRED")
    for error, its, mine in (
        (down, now + 0.5, now + 1.5),  # hardly more time
        (down, now + 3600, FAR),  # it had time enough
        (refused, now, FAR),  # time is not why
    ):
        with pytest.raises(type(error)):
            _share(error, its, mine)
    _share(down, now + 0.5, FAR)


def test_what_comes_afterwards_keeps_nobody_waiting() -> None:
    """Others have the result meanwhile; whoever made the call returns when that is over, too."""
    began, go = threading.Event(), threading.Event()

    def afterwards() -> None:
        began.set()
        assert go.wait(60)

    mine: SingleFlight[str] = SingleFlight(afterwards)
    calls: list[Callable[[], object]] = [
        lambda: mine.join(work, deadline=FAR),
        lambda: asyncio.run(mine.ajoin(work, deadline=FAR)),
    ]
    for call in calls:
        working, finish = threading.Event(), threading.Event()

        def work(working: threading.Event = working, finish: threading.Event = finish) -> str:
            working.set()
            assert finish.wait(60)
            return "first"

        began.clear()
        go.clear()
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(call)
            assert working.wait(60)
            second = pool.submit(mine.join, alone, deadline=FAR)
            finish.set()
            assert began.wait(60)
            found = second.result(60)
            assert not first.done()
            go.set()
            # If the second came too late to share, it made a call of its own.
            assert found in {("first", False), ("alone", True)}
            assert first.result() == ("first", True)


def test_a_call_from_within_what_comes_afterwards_is_refused() -> None:
    """It would have an afterwards of its own, and so on."""
    refused = []

    def afterwards() -> None:
        calls: list[Callable[[], object]] = [
            lambda: mine.join(alone, deadline=FAR),
            lambda: asyncio.run(mine.ajoin(alone, deadline=FAR)),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="a hook may not ask for the token"):
                call()
            refused.append(call)

    mine: SingleFlight[str] = SingleFlight(afterwards)
    assert mine.join(alone, deadline=FAR) == ("alone", True)
    assert asyncio.run(mine.ajoin(alone, deadline=FAR)) == ("alone", True)
    assert len(refused) == 4


class Interrupting(dict[int, Any]):
    """A dict in the midst of whose steps Ctrl-C is pressed."""

    def setdefault(self, key: int, default: Any = None) -> Any:  # noqa: ANN401 - as a dict's
        """Take the call in, and be interrupted before anybody knows."""
        super().setdefault(key, default)
        raise KeyboardInterrupt


def test_an_interruption_at_any_step_leaves_nothing_behind(flight: SingleFlight[str]) -> None:
    """A call that nobody works on would hold up all others for ever."""
    flight._calls = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        flight.join(alone, deadline=FAR)
    assert flight._calls == {}
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(flight.ajoin(alone, deadline=FAR))
    assert flight._calls == {}


def test_a_call_that_was_interrupted_as_it_began_ends_all_the_same(
    flight: SingleFlight[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread finds that nobody waits for it."""
    started = []

    def start_and_be_interrupted(work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work)
        started.append(thread)
        thread.start()
        thread.join()
        raise KeyboardInterrupt

    began = threading.Event()

    def work() -> str:
        began.set()
        call = next(iter(flight._calls.values()))
        flight._leave(call)  # as the interruption does
        return "nobody's"

    monkeypatch.setattr("betfair_session.process.single_flight.start", start_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(flight.ajoin(work, deadline=FAR))
    assert began.is_set()
    assert flight._calls == {}


def test_a_thread_that_cannot_be_started_is_told_and_leaves_nothing_behind(
    flight: SingleFlight[str], no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """As with a limit on processes."""
    with (
        no_threads(),
        pytest.raises(IdentityUnavailable, match="no thread can be started") as caught,
    ):
        asyncio.run(flight.ajoin(alone, deadline=FAR))
    assert not caught.value.sent
    assert asyncio.run(flight.ajoin(alone, deadline=FAR)) == ("alone", True)


def test_a_signal_handler_cannot_wait_for_its_own_thread(flight: SingleFlight[str]) -> None:
    """It would until its time is over; another handle, or another thread, is free to ask."""

    def work() -> str:
        assert flight.join(alone, deadline=FAR, wait=False) is None
        with pytest.raises(ConfigurationError, match="a signal handler may not ask"):
            flight.join(alone, deadline=FAR)
        return "done"

    assert flight.join(work, deadline=FAR) == ("done", True)
    assert asyncio.run(flight.ajoin(work, deadline=FAR)) == ("done", True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_process_forked_by_a_hook_may_ask() -> None:
    """It has the hook's thread, but is another process."""

    def hook() -> None:
        child = os.fork()
        if child == 0:
            found = None
            try:
                found = forked.join(alone, deadline=FAR)
            finally:
                os._exit(0 if found == ("alone", True) else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    codes: list[int] = []
    forked: SingleFlight[str] = SingleFlight(hook)
    forked.join(alone, deadline=FAR)
    assert codes == [0]
