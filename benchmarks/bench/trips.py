"""How many requests the library makes of the store and of Betfair."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rare_servers.proxy import Proxy

from bench.contenders import KEY, Contender, Stage
from bench.crowds import Crowds
from bench.measure import Program
from bench.report import table
from bench.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TITLE = "Requests"
CROWD = 16
SLOW_LOGIN = 8.0
"""Seconds; by default a login may take 10."""

KINDS = {
    "seaweed": "S3 (SeaweedFS), s3fs",
    "obstore+seaweed": "S3 (SeaweedFS), obstore",
    "gcs": "GCS (fake-gcs-server), gcsfs",
    "obstore+gcs-xml": "GCS (fake-gcs-server), obstore",
    "azure": "Azure (Azurite), adlfs",
    "obstore+azure": "Azure (Azurite), obstore",
}


def measure(rounds: int, tell: Callable[[str], object]) -> dict[str, Any]:
    """Count the requests of a first login, of a resume, and of the waiters in a stampede.

    Args:
        rounds: not used: counts are the same in every round.
        tell: told how far it is.

    Returns:
        By the kind of store: "login", "resume" and "trusted", each the requests to the store and to
        Betfair, and the store calls of the waiters, "quick" and "slow" by how long the login takes.
    """
    del rounds
    found = {}
    with Crowds() as crowds:
        for kind, label in KINDS.items():
            tell(label)
            found[kind] = {**_alone(crowds, kind), **_waiting(crowds, kind)}
    return found


def _alone(crowds: Crowds, kind: str) -> dict[str, Any]:
    """Count one process's requests: to log in, then to resume, then to trust."""
    driver, plus, server = kind.rpartition("+")
    contender = Contender("", "library", kind, driver=driver + plus)
    crowds.sandbox.reset()
    bucket = crowds.server(server).new_bucket()
    found = {}
    with Proxy(bucket.server.port) as proxy, tempfile.TemporaryDirectory() as directory:
        stage = Stage(crowds.sandbox, Path(directory))
        stage.add(kind, bucket, bucket.server.options(proxy.endpoint))
        bucket.delete(KEY)
        for what in ("login", "resume", "trusted"):
            proxy.clear()
            crowds.sandbox.clear_journal()
            way = replace(contender, trusts=what == "trusted")
            Program(contender.program, stage.variables(way), None).run()
            found[what] = [len(proxy.requests), sum(crowds.sandbox.counts().values())]
    return found


def _waiting(crowds: Crowds, kind: str) -> dict[str, Any]:
    """Count the store calls of the waiters."""
    runs = {
        "quick": crowds.run(kind, CROWD, "library", dead=True),
        "slow": crowds.run(kind, CROWD, "library", dead=True, login_seconds=SLOW_LOGIN),
    }
    return {name: sorted(run.waiters) for name, run in runs.items()}


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Hold the figures against what is wanted; the worst of all stores counts."""
    each = list(figures.values())
    most = max(found["quick"][-1] for found in each)
    tried_out = [figures[kind] for kind in figures if "seaweed" in kind]
    others = [found for found in each if found not in tried_out]
    return [
        Target("resume: store", max(found["resume"][0] for found in each), 1, ""),
        Target("resume: Betfair", max(found["resume"][1] for found in each), 1, ""),
        Target("trusted: store", max(found["trusted"][0] for found in each), 1, ""),
        Target("trusted: Betfair", max(found["trusted"][1] for found in each), 0, ""),
        Target("first login: store", max(found["login"][0] for found in others), 6, ""),
        Target("first login: the S3 server", max(found["login"][0] for found in tried_out), 10, ""),
        Target("a waiter, login of 1 s: store", most, 15, ""),
    ]


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what its columns mean."""
    rows = []
    for kind, label in KINDS.items():
        found = figures[kind]
        alone = [" + ".join(map(str, found[name])) for name in ("resume", "trusted", "login")]
        spread = [
            f"{found[name][0]} / {median(found[name]):g} / {found[name][-1]}"
            for name in ("quick", "slow")
        ]
        rows.append([label, *alone, *spread])
    head = [
        "store",
        "resume",
        "trusted",
        "first login",
        "a waiter, 1 s",
        f"a waiter, {SLOW_LOGIN:g} s",
    ]
    return f"""{table(head, rows)}

- *resume*, *trusted*, *first login*: requests of one fresh process to the store + to Betfair,
  counted between them. The S3 server is not Amazon's, so each condition is tried out with one more
  write and one more read, and the lock is read before it is made. obstore writes to Google by XML,
  which fake-gcs-server does not take: a gateway of ours (`long/rare_servers/gcs_xml.py`) turns each
  PUT and DELETE into a JSON call.
- *a waiter*: store calls of each process that waits in a stampede of {CROWD} with a dead token,
  smallest / median / largest, when the login takes that long. The target is for an ordinary login;
  who waits for a slow one looks on every 0.75 to 1.5 s.
"""
