"""Sixteen operating system processes that write to one store at the same moment."""

from __future__ import annotations

import contextlib
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from within import within

from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, TokenStore, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier
    from typing import Self

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
        """Start them."""
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
        self, url: str, options: Mapping[str, Any], versions: Mapping[str, str | None]
    ) -> dict[str, list[str]]:
        """Let all write every key at once: create (its version is None) or replace that version.

        Returns:
            For each key and each racer WON, LOST (a VersionConflict) or what else it met.
        """
        for end in self._ends:
            end.send((url, dict(options), list(versions.items())))
        silent = ["no answer"] * len(versions)
        results = [end.recv() if end.poll(2 * _TIMEOUT) else silent for end in self._ends]
        return {key: [each[turn] for each in results] for turn, key in enumerate(versions)}

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
    content = content_of(number)
    with ThreadPoolExecutor(len(lines)) as pool:
        while True:
            try:
                url, options, races = end.recv()
            except EOFError:
                return
            with open_store(url, options) as store:
                _warm_up(store, races[0][0])

                def run(lane: int, store: TokenStore = store, races: Any = races) -> list[str]:  # noqa: ANN401 - as sent
                    return [
                        _from_the_line(lines[lane], store, key, content, version)
                        for key, version in races[lane :: len(lines)]
                    ]

                by_lane = list(pool.map(run, range(len(lines))))
            count = range(len(races))
            end.send([by_lane[turn % len(lines)][turn // len(lines)] for turn in count])


def _from_the_line(
    line: Barrier, store: TokenStore, key: str, content: bytes, version: str | None
) -> str:
    line.wait(_TIMEOUT)
    return attempt(store, key, content, version)


def _warm_up(store: TokenStore, key: str) -> None:
    """Connect before the start, so that the writes meet."""
    with contextlib.suppress(Exception):  # the race itself will tell
        store.get(key, deadline=within(_TIMEOUT))


def attempt(store: TokenStore, key: str, content: bytes, version: str | None) -> str:
    """Create (`version` is None) or replace, and say how it went."""
    try:
        if version is None:
            store.put(key, content, ABSENT, deadline=within(_TIMEOUT))
        else:
            store.put(key, content, version, deadline=within(_TIMEOUT))
    except VersionConflict:
        return LOST
    except Exception as error:  # noqa: BLE001 - the test shows it
        return repr(error)
    return WON
