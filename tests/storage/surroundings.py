"""What surrounds a store: processes that a program forks."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable


def in_a_child(work: Callable[[], object], seconds: float = 60) -> object:
    """Fork, and return what `work` returns, or the text of what it raises, in the child."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()

    def run() -> None:
        try:
            theirs.send(work())
        except Exception as error:  # noqa: BLE001 - the parent looks at it
            theirs.send(repr(error))

    child = context.Process(target=run)
    with warnings.catch_warnings():
        # Newer Pythons warn of forking a process that has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    theirs.close()
    try:
        return mine.recv() if mine.poll(seconds) else "no answer"
    finally:
        child.kill()
        child.join()
        child.close()
        mine.close()
