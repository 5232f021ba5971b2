"""A process that makes many calls in every manner and prints what it holds on to.

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
from typing import Any, TypeAlias

from within import within

from betfair_session import BetfairSessionError, SessionManager, from_env

Place: TypeAlias = tuple[str, str, dict[str, Any]]
MANNERS = 20


def tell() -> None:
    gc.collect()
    targets = []
    for name in os.listdir("/proc/self/fd"):
        # The listing's own is closed by now, and another thread may just have closed one.
        with suppress(FileNotFoundError):
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    found = {
        "threads": sorted(each.name.rstrip("0123456789") for each in threading.enumerate()),
        "descriptors": len(targets),
        "sockets": sum(target.startswith("socket:") for target in targets),
        "loops": sum(isinstance(each, asyncio.AbstractEventLoop) for each in gc.get_objects()),
        "temporary files": len(os.listdir(tempfile.gettempdir())),
    }
    print(json.dumps(found), flush=True)


def call(manager: SessionManager, place: Place, number: int, pool: ThreadPoolExecutor) -> None:
    """Make one call: most are plain, others by tasks, threads, a new manager, or in vain."""

    async def tasks() -> None:
        await asyncio.gather(*(manager.aget_session(*place) for _ in range(4)))

    manner = number % MANNERS
    if manner == 3:
        asyncio.run(tasks())
    elif manner == 7:
        list(pool.map(lambda _: manager.get_session(*place), range(4)))
    elif manner == 11:
        with from_env(dotenv=None) as other:
            other.get_session(*place)
    elif manner == 13:
        manager.logout(*place)  # the next call logs in
        session = manager.session(*place)
        lock = session.key + ".login"
        session.store.delete(lock, deadline=within(20))  # else the brake stops it
    elif manner == 17:
        with suppress(BetfairSessionError):
            manager.get_session(*place, timeout=1e-6)
    else:
        manager.get_session(*place)


def main(count: str, url: str, key: str, options: str) -> None:
    logging.disable()  # what is refused or too late here is so on purpose
    number, place = int(count), (url, key, json.loads(options))
    with from_env(dotenv=None) as manager, ThreadPoolExecutor(4) as pool:
        list(pool.map(threading.Barrier(4).wait, [60] * 4))  # all its threads are there
        for each in range(number):
            if each and each % (number // 10) == 0:
                tell()
            call(manager, place, each, pool)
    tell()


if __name__ == "__main__":
    main(*sys.argv[1:])
