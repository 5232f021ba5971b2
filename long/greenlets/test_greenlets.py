"""gevent and eventlet, patched before anything is imported, and uvloop's policy for all loops."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from programs import run
from servers.objects import Bucket

from betfair_session.sandbox import Sandbox

PROGRAM = Path(__file__).with_name("program.py")


def ask(sandbox: Sandbox, library: str, store: str, options: dict[str, object]) -> list[str]:
    """Let a hundred greenlets or tasks of a fresh process ask; return what each got."""
    done = run(
        *(sys.executable, str(PROGRAM), library, store, json.dumps(options)),
        variables={**sandbox.environment(), "PYTHONWARNINGS": "default"},
        directory=PROGRAM.parent,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    assert len(found) == 100
    return found


@pytest.mark.parametrize(
    ("library", "place"),
    [
        *product(["gevent", "eventlet"], ["files", "memory", "obstore+moto"]),
        *product(["uvloop"], ["files", "moto", "gcs", "azure", "obstore+moto"]),
    ],
)
def test_a_hundred_greenlets_or_tasks_share_one_login(
    sandbox: Sandbox,
    bucket_on: Callable[[str], Bucket],
    tmp_path: Path,
    library: str,
    place: str,
) -> None:
    """Threads of gevent and eventlet share one real thread, which nothing may block for ever."""
    store, options = {"memory": "memory://greenlets"}.get(place, str(tmp_path)), {}
    driver, plus, server = place.rpartition("+")
    if server not in {"files", "memory"}:
        bucket = bucket_on(server)
        store, options = driver + plus + bucket.url(), bucket.options
    found = ask(sandbox, library, store, options)
    (session,) = sandbox.sessions()
    assert set(found) == {session.token}
    assert sandbox.counts()["certlogin"] == 1


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_a_driver_with_an_event_loop_is_refused(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket], library: str
) -> None:
    """It would wait for ever for a thread that never runs; the error comes at once."""
    bucket = bucket_on("moto")
    assert set(ask(sandbox, library, bucket.url(), bucket.options)) == {"ConfigurationError"}
    assert sandbox.counts() == {}
