"""An end to work that has none of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class OverrunError(TimeoutError):
    """The work did not end in time; it goes on, unobserved, in its own thread."""


def run_within(seconds: float, work: Callable[[], _T]) -> _T:
    """Do `work` in a thread of its own and wait at most `seconds` for it.

    Read time-outs start anew with every byte, and some drivers have none at all, so only another
    thread can promise an end.

    Args:
        seconds: how long to wait.
        work: what to do; it must bear being abandoned.

    Returns:
        What `work` returned.

    Raises:
        OverrunError: it did not end in time.
        Exception: whatever `work` raised.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="betfair-session")
    thread.start()
    thread.join(max(seconds, 0))
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise OverrunError
