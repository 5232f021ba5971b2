"""A process that makes many calls in every manner and tells what it holds on to.

    program.py CALLS URL KEY OPTIONS

It is run with warnings as errors. It prints one line of JSON before each call that is a tenth of
all, and one after its manager is closed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from within import within

from betfair_session import BetfairSessionError, SessionManager, from_env

MANNERS = 20


def held() -> dict[str, object]:
    """Return what this process holds."""
    gc.collect()
    targets = _open_files()
    return {
        "threads": sorted(each.name.rstrip("0123456789") for each in threading.enumerate()),
        "descriptors": len(targets),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "loops": sum(isinstance(each, asyncio.AbstractEventLoop) for each in gc.get_objects()),
        "temporary files": len(os.listdir(tempfile.gettempdir())),
    }


def tell(found: dict[str, object]) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def _open_files() -> list[str]:
    """Return what the open descriptors are for."""
    targets = []
    for name in os.listdir("/proc/self/fd"):
        # The directory's own is closed by now; another thread may just have closed one of its own.
        with suppress(FileNotFoundError):
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    return targets


class Calls:
    """One manager, and calls in turn in every manner."""

    def __init__(self, url: str, key: str, options: dict[str, Any]) -> None:
        self._place = (url, key, options)
        self._manager = from_env(dotenv=None)

    def make(self, number: int, pool: ThreadPoolExecutor) -> None:
        """Make one call: most are plain, others by tasks, threads, a new manager, or in vain."""
        manner = number % MANNERS
        if manner == 3:
            asyncio.run(self._tasks())
        elif manner == 7:
            list(pool.map(lambda _: self._ask(self._manager), range(4)))
        elif manner == 11:
            with from_env(dotenv=None) as other:
                self._ask(other)
        elif manner == 13:
            self._manager.logout(*self._place)  # the next call logs in
            session = self._manager.session(*self._place)
            session.store.delete(
                session.key + ".login", deadline=within(20)
            )  # else the brake stops it
        elif manner == 17:
            try:
                self._manager.get_session(*self._place, timeout=1e-6)
            except BetfairSessionError:
                return
        else:
            self._ask(self._manager)

    def close(self) -> None:
        self._manager.close()

    def _ask(self, manager: SessionManager) -> str:
        return manager.get_session(*self._place)

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._manager.aget_session(*self._place) for _ in range(4)))


def main(count: str, url: str, key: str, options: str) -> None:
    """Make the calls."""
    logging.disable()  # what is refused or too late here is so on purpose
    calls, number = Calls(url, key, json.loads(options)), int(count)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(threading.Barrier(4).wait, [60] * 4))  # all its threads are there
        for each in range(number):
            if each and each % (number // 10) == 0:
                tell(held())
            calls.make(each, pool)
    calls.close()
    tell(held())


if __name__ == "__main__":
    main(*sys.argv[1:])
