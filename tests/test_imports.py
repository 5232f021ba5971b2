"""What each way to a token imports, and that a trusted one waits for nothing.

A function pays for every module of a cold start.
"""

from __future__ import annotations

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from bench.contenders import CONTENDERS, Stage
from bench.measure import PROGRAMS, file_of, python

from betfair_session import SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket

    from betfair_session import IdentityClient
    from betfair_session.sandbox import Sandbox

    Load = Callable[..., set[str]]

SERVERS = {"s3": "moto", "gs": "gcs", "abfs": "azure"}
DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs"}.items()
NEVER = {
    "betfair_session.cli",
    "betfair_session.integrations",
    "betfair_session.sandbox",
    "rich",
}
NETWORK = {"asyncio", "email", "http", "socket", "ssl", "subprocess", "urllib"}
OWN = {"betfair_session"}


@pytest.fixture
def load(sandbox: Sandbox, tmp_path: Path, bucket_on: Callable[[str], Bucket]) -> Load:
    """Run a contender's program in a fresh process; return what it imported, `after` some."""
    stage = Stage(sandbox, tmp_path)

    def run(name: str, after: str = "") -> set[str]:
        contender = CONTENDERS[name]
        if not stage.has(contender):
            stage.add(contender.place, bucket_on(SERVERS[contender.place]))
        file = str(file_of(contender.program))
        code = (
            f"import sys\n{after}\nbefore = {{*sys.modules}} if {after!r} else ()\n"
            f"exec(open({file!r}).read())\nprint(*sys.modules.keys() - before)"
        )
        done = python("-c", code, PYTHONPATH=str(PROGRAMS), **stage.variables(contender))
        assert done.returncode == 0, done.stderr
        *printed, modules = done.stdout.splitlines()
        assert printed == [line for line in [stage.expected(contender)] if line]
        return set(modules.split())

    return run


def top(modules: set[str]) -> set[str]:
    """Return the packages that modules belong to, without what Python 3.15 names in no list."""
    return {name.partition(".")[0] for name in modules} - {"_missing_stdlib_info"}


def test_a_trusted_token_in_a_file_imports_nothing_of_the_network(load: Load) -> None:
    """Neither requests nor fsspec, nor anything else from outside of the standard library."""
    ours = load("file/trusted")
    added = top(ours) - top(load("python"))
    assert added - set(sys.stdlib_module_names) == OWN
    assert added & NETWORK == set()
    assert ours & NEVER == set()


def test_a_verified_token_in_a_file_imports_neither_requests_nor_a_driver(load: Load) -> None:
    """Only the authorities, nothing else from outside of the standard library."""
    ours = load("file/verified")
    added = top(ours) - top(load("python"))
    assert added - set(sys.stdlib_module_names) == OWN | {"certifi"}
    assert ours & NEVER == set()


@pytest.mark.parametrize(("place", "driver"), DRIVERS)
def test_a_driver_is_imported_and_nothing_beside_it(load: Load, place: str, driver: str) -> None:
    """Beyond what the driver and requests import by themselves: only this library."""
    ours = load(f"{place}/driver", after=f"import requests, {driver}")
    assert top(ours) <= OWN | {"azure"}  # adlfs takes parts of it late
    assert ours & NEVER == set()


@pytest.mark.parametrize("place", SERVERS)
def test_obstore_is_imported_and_no_event_loop(load: Load, place: str) -> None:
    """Nor requests; from outside of the standard library nothing else but the authorities."""
    ours = load(f"{place}/obstore")
    never = {"aiohttp", "asyncio", "cryptography", "fsspec", "requests", "urllib3"}
    assert ours & (NEVER | never) == set()
    added = load(f"{place}/obstore", after="import certifi, obstore")
    assert top(added) - set(sys.stdlib_module_names) <= OWN


def locks_below(*roots: object) -> Iterator[Any]:
    """Find every lock that is reachable from objects, without looking into code."""
    locks = (type(threading.Lock()), type(threading.RLock()))
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | FunctionType):
            continue
        seen.add(id(found))
        if isinstance(found, locks):
            yield found
        waiting += gc.get_referents(found)


def test_a_call_inside_the_trust_window_takes_no_lock(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It returns while every lock of manager and handle is held by another thread."""
    hour = timedelta(hours=1)
    with (
        SessionManager(client, sandbox.username, sandbox.password, verify_every=hour) as manager,
        ThreadPoolExecutor(1) as pool,
        ExitStack() as held,
    ):
        session = manager.session(tmp_path, "session.token")
        token = session.token()
        locks = list(locks_below(manager, session))
        for lock in locks:
            held.enter_context(lock)
        assert locks
        assert pool.submit(session.token).result(30) == token
        assert pool.submit(manager.get_session, tmp_path, "session.token").result(30) == token
