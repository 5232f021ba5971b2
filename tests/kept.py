"""Servers that outlive a test session, for a program that forks one session for every change.

long/mutants/prove.py is that program: its first session starts them, its children inherit them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Callable, Iterator

from servers.objects import ObjectServer

from betfair_session.sandbox import Sandbox

KEEP = int(os.environ.get("BETFAIR_SESSION_KEEP_SERVERS") or "0")
"""How many sessions run at once and share the servers; 0 where each has its own."""

servers: dict[str, ObjectServer] = {}
"""Those that run, by kind."""

_sandboxes: list[Sandbox] = []


def at_the_end(stop: Callable[[], None]) -> None:
    """Let the process that started something stop it at its end, but none of its forks."""
    owner = os.getpid()
    atexit.register(lambda: stop() if os.getpid() == owner else None)


@contextlib.contextmanager
def one_sandbox() -> Iterator[Sandbox]:
    """Take a sandbox that no other session uses at the moment."""
    import fcntl

    while len(_sandboxes) < KEEP:
        _sandboxes.append(Sandbox())
        at_the_end(_sandboxes[-1].close)
    while True:
        for sandbox in _sandboxes:
            with open(sandbox.directory / "taken", "w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield sandbox
                return
        time.sleep(0.01)
