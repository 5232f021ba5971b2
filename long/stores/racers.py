"""Sixteen operating system processes that write to one store at the same moment."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, Self

from within import within

from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, Expect, TokenStore, VersionConflict

WON = "won"
LOST = "lost"

_TIMEOUT = 60.0
_LANES = 10
_DRIVERS = ["s3fs", "gcsfs.core", "adlfs", "obstore.store", "betfair_session.storage"]


class Racers:
    """Processes that stand at a starting line together, race after race.

    They are forked from one process that has only imported the drivers (and started no thread),
    so that sixteen of them cost one import. Some races run side by side, each with a line of its
    own: SeaweedFS lets a loser wait for a second or more.
    """

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_DRIVERS)
        # Kept: a barrier ends with its last reference, and the racers are slow to start.
        self._lines = [context.Barrier(count) for _ in range(_LANES)]
        self._processes = []
        self._ends: list[Connection[Any, Any]] = []
        for number in range(count):
            mine, theirs = context.Pipe()
            arguments = (theirs, self._lines, number)
            process = context.Process(target=_take_part, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._ends.append(mine)

    def race(
        self, url: str, options: Mapping[str, Any], keys: list[str], *, replacing: bool
    ) -> dict[str, list[str]]:
        """Let all write every key at once: create it, or replace the version that each has read.

        Returns:
            For each key and each racer WON, LOST (a VersionConflict) or what else it met.
        """
        for end in self._ends:
            end.send((url, dict(options), keys, replacing))
        silent = ["no answer"] * len(keys)
        results = [end.recv() if end.poll(2 * _TIMEOUT) else silent for end in self._ends]
        return {key: [each[turn] for each in results] for turn, key in enumerate(keys)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def content_of(number: int) -> bytes:
    """Return what a racer writes; no two write the same."""
    return f"racer-{number}".encode()


def _take_part(end: Connection[Any, Any], lines: list[Barrier], number: int) -> None:
    content, lanes = content_of(number), len(lines)
    with ThreadPoolExecutor(lanes) as pool, contextlib.suppress(EOFError):
        while True:
            url, options, keys, replacing = end.recv()
            with open_store(url, options) as store:
                versions = [_version(store, key) if replacing else ABSENT for key in keys]
                _version(store, keys[0])  # it is connected, so that the writes meet
                races = list(zip(keys, versions, strict=True))

                def run(lane: int, store: TokenStore = store, races: Any = races) -> list[str]:  # noqa: ANN401 - as sent
                    mine = races[lane::lanes]
                    return [_write(lines[lane], store, content, *race) for race in mine]

                by_lane = list(pool.map(run, range(lanes)))
            end.send([by_lane[turn % lanes][turn // lanes] for turn in range(len(keys))])


def _version(store: TokenStore, key: str) -> str:
    found = store.get(key, deadline=within(_TIMEOUT))
    return found.version if found else ""


def _write(line: Barrier, store: TokenStore, content: bytes, key: str, expect: Expect) -> str:
    """Write when all are there, and say how it went."""
    line.wait(_TIMEOUT)
    try:
        store.put(key, content, expect, deadline=within(_TIMEOUT))
    except VersionConflict:
        return LOST
    except Exception as error:  # noqa: BLE001 - the test shows it
        return repr(error)
    return WON
