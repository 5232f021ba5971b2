"""What each way to a token imports, and that a trusted one waits for nothing.

A function pays for every module of a cold start.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from bench.contenders import CONTENDERS, Stage
from bench.measure import PROGRAMS, file_of, python
from front import KEY, Front
from servers.objects import Bucket

from betfair_session.sandbox import Sandbox

SERVERS = {"s3": "moto", "gs": "gcs", "abfs": "azure"}
NEVER = {"betfair_session.cli", "betfair_session.integrations", "betfair_session.sandbox", "rich"}
NETWORK = {"asyncio", "email", "http", "socket", "ssl", "subprocess", "urllib"}
STANDARD = sys.stdlib_module_names - NETWORK
FOREIGN = {"aiohttp", "asyncio", "cryptography", "fsspec", "requests", "urllib3"}


@pytest.mark.parametrize(
    ("name", "after", "allowed", "never"),
    [
        # Neither requests nor fsspec, nor anything else from outside of the standard library.
        # Nor modules that would cost it a tenth or a quarter more.
        ("file/trusted", "", STANDARD, {"enum", "logging", "re", "typing"}),
        ("file/verified", "", sys.stdlib_module_names, {*FOREIGN, "typing"}),
        *(
            (f"{place}/driver", f"import requests, {driver}", {"azure", "gc"}, set())
            for place, driver in (("s3", "s3fs"), ("gs", "gcsfs"), ("abfs", "adlfs"))
        ),
        *(
            (f"{place}/obstore{trusted}", "", {*sys.stdlib_module_names, "obstore"}, never)
            for place in SERVERS
            for trusted, never in (("", FOREIGN), ("-trusted", {*FOREIGN, "ssl"}))
        ),
    ],
)
def test_each_way_to_a_token_imports_what_it_needs(
    sandbox: Sandbox,
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    *,
    name: str,
    after: str,
    allowed: set[str],
    never: set[str],
) -> None:
    """Besides what the program has imported: this library, and what is allowed."""
    stage, contender = Stage(sandbox, tmp_path), CONTENDERS[name]
    if not stage.has(contender):
        stage.add(contender.place, bucket_on(SERVERS[contender.place]))
    program = file_of(contender.program)
    code = (
        f"import sys\n{after}\nbefore = {{*sys.modules}}\n"
        f"exec(open({str(program)!r}).read())\nprint(*sys.modules.keys() - before)"
    )
    done = python("-c", code, PYTHONPATH=str(PROGRAMS), **stage.variables(contender))
    assert done.returncode == 0, done.stderr
    *printed, modules = done.stdout.splitlines()
    assert printed == [line for line in [stage.expected(contender)] if line]
    ours = set(modules.split())
    assert ours & (NEVER | never) == set()
    top = {module.partition(".")[0] for module in ours}
    # Python 3.15 names this one in no list.
    assert top <= {"betfair_session", "_missing_stdlib_info", *allowed}


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


def test_a_call_inside_the_trust_window_takes_no_lock(front: Front) -> None:
    """It returns while every lock of manager and handle is held by another thread."""
    manager = front.manager(verify_every=timedelta(hours=1))
    session = manager.session(front.path, KEY)
    token = session.token()
    locks = [*locks_below(manager, session)]
    assert locks
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        assert pool.submit(session.token).result(30) == token
        assert pool.submit(manager.get_session, front.path, KEY).result(30) == token
