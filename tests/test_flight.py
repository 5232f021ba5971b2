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
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    LoginTimeout,
    StoreUnavailable,
)
from betfair_session.process.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

FAR = time.monotonic() + 86_400
Found = tuple[str, bool] | BaseException | None


def alone() -> str:
    """Return what nobody is to be given who could share."""
    return "alone"


def ways(
    flight: SingleFlight[str], deadline: float = FAR, *, wait: bool = True
) -> list[Callable[[], Found]]:
    """Return a thread's and a task's way to ask; an error is what came of it."""

    def outcome(call: Callable[[], Found]) -> Callable[[], Found]:
        def asked() -> Found:
            try:
                return call()
            except BetfairSessionError as error:
                return error

        return asked

    return [
        outcome(lambda: flight.join(alone, deadline=deadline, wait=wait)),
        outcome(lambda: asyncio.run(flight.ajoin(alone, deadline=deadline, wait=wait))),
    ]


def led(
    flight: SingleFlight[str],
    callers: list[Callable[[], Found]],
    error: BaseException | None = None,
    *,
    deadline: float = FAR,
    wait: bool = True,
) -> tuple[Found, list[Found]]:
    """Let callers meet a call that ends as told; return what came of it, and of theirs.

    With `wait`, that call goes on until all have joined it, else until they have an answer.
    """
    go, began, entered = threading.Event(), threading.Event(), threading.Semaphore(0)
    enter: Callable[[Any], object] = flight._enter

    def noted(mine: object) -> object:
        found = enter(mine)
        entered.release()
        return found

    def work() -> str:
        vars(flight)["_enter"] = noted  # only to know when they have joined
        began.set()
        assert go.wait(60)
        if error:
            raise error
        return "the leader's"

    def lead() -> Found:
        try:
            return flight.join(work, deadline=deadline)
        except BaseException as raised:  # noqa: BLE001 - a test looks at it
            return raised

    with ThreadPoolExecutor(len(callers) + 1) as pool:
        leading = pool.submit(lead)
        assert began.wait(60)
        asking = [pool.submit(call) for call in callers]
        for each in asking:
            if wait:
                assert entered.acquire(timeout=60)
            else:
                each.result(60)
        go.set()
        return leading.result(60), [each.result(60) for each in asking]


def test_a_call_without_company_is_made_and_nothing_is_kept() -> None:
    """By threads and tasks."""
    flight: SingleFlight[str] = SingleFlight()
    assert [call() for call in ways(flight) * 2] == [("alone", True)] * 4


def test_what_came_of_it_is_shared() -> None:
    """And each is told who did the work; an error is shared as a copy, with its cause."""
    flight: SingleFlight[str] = SingleFlight()
    assert led(flight, ways(flight)) == (("the leader's", True), [("the leader's", False)] * 2)
    error = IdentityUnavailable("away", endpoint="certlogin")
    error.__cause__ = ValueError("why")
    flight = SingleFlight()
    its, found = led(flight, ways(flight), error)
    assert its is error
    for each in found:
        assert isinstance(each, IdentityUnavailable)
        assert each is not error  # or each one's traceback would grow
        assert (each.endpoint, each.__cause__) == ("certlogin", error.__cause__)


def test_those_who_do_not_wait_get_nothing_and_those_without_time_an_error() -> None:
    """While another is at it."""
    flight: SingleFlight[str] = SingleFlight()
    late = [
        *ways(flight, wait=False),
        *ways(flight, time.monotonic() + 0.05),
        *ways(flight, time.monotonic() - 1),
    ]
    _, found = led(flight, late, wait=False)
    assert found[:2] == [None, None]
    assert [type(each) for each in found[2:]] == [LoginTimeout] * 4


now = time.monotonic


@pytest.mark.parametrize(
    ("error", "its_time", "shared"),
    [
        (LoginTimeout("my own time"), 3600, False),
        (KeyboardInterrupt(), 3600, False),
        (IdentityUnavailable("no answer"), 0, False),  # it had too little time
        (StoreUnavailable("no answer"), 0, False),
        (IdentityUnavailable("down"), 3600, True),  # or a hundred threads would ask
        (StoreUnavailable("down"), 3600, True),
        (LoginRefused("no", status="ACTIONS_REQUIRED"), 0, True),  # time is not why
    ],
)
def test_what_concerns_the_leader_alone_is_not_shared(
    error: BaseException, its_time: float, *, shared: bool
) -> None:
    """The others go on, one of them leading."""
    flight: SingleFlight[str] = SingleFlight()
    its, found = led(flight, ways(flight), error, deadline=now() + its_time)
    assert its is error
    if shared:
        assert [type(each) for each in found] == [type(error)] * 2
    else:
        assert {each[0] for each in found if isinstance(each, tuple)} == {"alone"}
        assert len(found) == 2


def test_hardly_more_time_is_no_reason_to_ask_again() -> None:
    """A follower whose time ends just after the leader's takes its failure."""
    flight: SingleFlight[str] = SingleFlight()
    soon = now() + 1.5
    _, found = led(flight, ways(flight, soon), IdentityUnavailable("no"), deadline=now() + 0.5)
    assert all(isinstance(each, BetfairSessionError) for each in found)


@pytest.mark.parametrize("task", [False, True])
def test_what_comes_afterwards_keeps_nobody_waiting(*, task: bool) -> None:
    """Others have the result meanwhile; the call that did the work returns after it."""
    began, go = threading.Event(), threading.Event()

    def afterwards() -> None:
        began.set()
        assert go.wait(60)

    flight: SingleFlight[str] = SingleFlight(afterwards)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ways(flight)[task])
        assert began.wait(60)
        flight._afterwards = lambda: None
        assert flight.join(alone, deadline=FAR) == ("alone", True)
        assert not first.done()
        go.set()
        assert first.result() == ("alone", True)


def test_a_hook_or_a_signal_handler_may_not_ask_for_its_own_call() -> None:
    """It would wait for itself; it may look whether there is one."""
    refused: list[Found] = []
    flight: SingleFlight[str] = SingleFlight(
        lambda: refused.extend(call() for call in ways(flight))
    )
    assert [call() for call in ways(flight)] == [("alone", True)] * 2
    assert [type(each) for each in refused] == [ConfigurationError] * 4

    def work() -> str:
        assert other.join(alone, deadline=FAR, wait=False) is None
        with pytest.raises(ConfigurationError):
            other.join(alone, deadline=FAR)
        return "done"

    other: SingleFlight[str] = SingleFlight()
    assert other.join(work, deadline=FAR) == ("done", True)
    assert asyncio.run(other.ajoin(work, deadline=FAR)) == ("done", True)


class Interrupting(dict[int, Any]):
    """A dict in the midst of whose steps Ctrl-C is pressed."""

    def setdefault(self, key: int, default: Any = None) -> Any:  # noqa: ANN401 - as a dict's
        """Take the call in, and be interrupted before anybody knows."""
        super().setdefault(key, default)
        raise KeyboardInterrupt


def test_an_interruption_at_any_step_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that nobody works on would hold up all others for ever."""
    flight: SingleFlight[str] = SingleFlight()
    flight._calls = Interrupting()
    for call in ways(flight):
        with pytest.raises(KeyboardInterrupt):
            call()
    assert flight._calls == {}
    flight = SingleFlight()

    def start_and_be_interrupted(work: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        raise KeyboardInterrupt

    threads: list[threading.Thread] = []
    with monkeypatch.context() as patch:
        name = "betfair_session.process.single_flight.start"
        patch.setattr(name, start_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(flight.ajoin(alone, deadline=FAR))
    threads[0].join(60)
    assert [call() for call in ways(flight)] == [("alone", True)] * 2


def test_a_thread_that_cannot_be_started_is_told_and_leaves_nothing_behind(
    no_threads: Callable[[], AbstractContextManager[None]],
) -> None:
    """As with a limit on processes."""
    flight: SingleFlight[str] = SingleFlight()
    with no_threads(), pytest.raises(IdentityUnavailable) as caught:
        asyncio.run(flight.ajoin(alone, deadline=FAR))
    assert not caught.value.sent
    assert asyncio.run(flight.ajoin(alone, deadline=FAR)) == ("alone", True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_process_may_ask() -> None:
    """In a hook, whose thread it has, or while its parent's call is under way."""
    codes: list[int] = []
    parent = os.getpid()

    def fork() -> str:
        if os.getpid() != parent:  # the child's own hook
            return "child"
        child = os.fork()
        if child == 0:
            found = None
            try:
                found = flight.join(alone, deadline=FAR)
            finally:
                os._exit(0 if found == ("alone", True) else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return "parent"

    flight: SingleFlight[str] = SingleFlight(fork)
    assert flight.join(fork, deadline=FAR) == ("parent", True)
    assert codes == [0, 0]
