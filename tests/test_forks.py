"""What a forked child finds of its parent's locks and calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from storage.surroundings import in_a_child
from within import within

from betfair_session.process.forks import ForkSafeLock, reset_in_child
from betfair_session.process.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def busy() -> Iterator[tuple[ForkSafeLock, SingleFlight[str]]]:
    """A lock and a call that another thread has, and keeps until the end."""
    lock, flight = ForkSafeLock(), SingleFlight[str]()
    begun, over = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        over.wait(60)
        return "the parent's"

    def hold() -> None:
        with lock.mine():
            flight.join(work, deadline=within(60))

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(60)
    yield lock, flight
    over.set()
    holder.join()


def test_a_child_waits_for_no_thread_of_its_parent(
    busy: tuple[ForkSafeLock, SingleFlight[str]],
) -> None:
    """Which it does not have."""
    lock, flight = busy

    def work() -> object:
        with lock.mine():
            return flight.join(lambda: "the child's", deadline=within(30))

    assert in_a_child(work) == ("the child's", True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_cannot_begin_anew_keeps_no_other_from_it(
    busy: tuple[ForkSafeLock, SingleFlight[str]],
) -> None:
    """The interpreter tells of it."""

    class Failing:
        def after_fork(self) -> None:
            raise OSError

    some = [Failing() for _ in range(2)]
    reset_in_child(some[0])
    mine = ForkSafeLock()
    reset_in_child(some[1])

    def work() -> bool:
        with busy[0].mine(), mine.mine():
            return True

    assert in_a_child(work) is True
