"""What each way to a token imports: a function pays for every module of a cold start.

The yardstick are programs that do the same by hand: benchmarks/bench/programs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from bench.contenders import CLOUDS, CONTENDERS, Stage
from bench.measure import PROGRAMS, file_of, python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox

    Load: TypeAlias = Callable[[str], set[str]]

SERVERS = {cloud.place: cloud.server for cloud in CLOUDS}
NEVER = {
    "betfair_session.cli",
    "betfair_session.integrations",
    "betfair_session.sandbox",
    "rich",
}
NETWORK = {"asyncio", "email", "http", "socket", "ssl", "subprocess", "urllib"}
OWN = {"betfair_session"}
THREADS = {"concurrent", "contextvars", "_contextvars"}  # what hands work to them
"""Threads that ask at the same time share one answer."""


@pytest.fixture
def load(sandbox: Sandbox, tmp_path: Path, bucket_on: Callable[[str], Bucket]) -> Load:
    """Run a contender's program in a fresh process and return the names of what it imported."""
    stage = Stage(sandbox, tmp_path)

    def run(name: str) -> set[str]:
        contender = CONTENDERS[name]
        if not stage.has(contender):
            stage.add(contender.place, bucket_on(SERVERS[contender.place]))
        file = str(file_of(contender.program))
        code = f"exec(open({file!r}).read())\nimport sys\nprint(*sys.modules)"
        done = python("-c", code, PYTHONPATH=str(PROGRAMS), **stage.variables(contender))
        assert done.returncode == 0, done.stderr
        *printed, modules = done.stdout.splitlines()
        assert printed == [line for line in [stage.expected(contender)] if line]
        return set(modules.split())

    return run


def top(modules: set[str]) -> set[str]:
    """Return the packages that modules belong to."""
    return {name.partition(".")[0] for name in modules}


def test_a_trusted_token_in_a_file_imports_nothing_of_the_network(load: Load) -> None:
    """Neither requests nor fsspec, nor anything else from outside of the standard library."""
    ours = load("file/trusted")
    added = top(ours) - top(load("python"))
    assert added - set(sys.stdlib_module_names) == OWN
    assert added & NETWORK == set()
    assert ours & NEVER == set()


def test_a_verified_token_in_a_file_imports_requests_and_no_driver(load: Load) -> None:
    """Beyond `import requests`: only this library, and a little of the standard library."""
    ours = load("file/verified")
    assert "requests" in ours
    assert top(ours) - top(load("requests")) <= OWN | THREADS
    assert ours & NEVER == set()


@pytest.mark.parametrize("place", SERVERS)
def test_a_driver_is_imported_and_nothing_beside_it(load: Load, place: str) -> None:
    """Beyond what the driver and requests import by themselves: only this library."""
    ours = load(f"{place}/driver")
    assert top(ours) - top(load(f"{place}/driver-by-hand")) <= OWN
    assert ours & NEVER == set()


@pytest.mark.parametrize("place", SERVERS)
def test_obstore_is_imported_and_no_event_loop(load: Load, place: str) -> None:
    """Beyond what obstore and requests import: only this library; fsspec and asyncio never."""
    ours = load(f"{place}/obstore")
    added = top(ours) - top(load(f"{place}/obstore-by-hand"))
    assert added <= OWN | THREADS
    assert ours & (NEVER | {"aiohttp", "asyncio", "cryptography", "fsspec"}) == set()
