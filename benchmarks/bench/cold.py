"""A live token in a fresh process: this library, and what a user might write instead."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.contenders import CLOUDS, CONTENDERS, Stage
from bench.crowds import SERVERS
from bench.measure import Program, interleaved
from bench.report import table
from bench.targets import Target
from betfair_session.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TITLE = "A live token in a fresh process"
BY_HAND = "file/by-hand"
PLACES = {
    "": "no store",
    "file": "local file",
    "s3": "S3 (SeaweedFS)",
    "gs": "GCS (fake-gcs-server)",
    "abfs": "Azure (Azurite)",
}


def measure(
    rounds: int,
    tell: Callable[[str], object],
    *,
    names: Iterable[str] = tuple(CONTENDERS),
    group: str = "",
) -> dict[str, Any]:
    """Measure contenders in turn.

    Args:
        rounds: how often each is run.
        tell: told how far it is.
        names: which; all unless told otherwise.
        group: the directory of a control group to run them in; "" for none.

    Returns:
        The medians by the contender's name: see `measure.Cost`.
    """
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        # Every round logs in; Betfair's limit is measured elsewhere.
        sandbox.configure(logins_per_minute=1_000_000)
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        stage = Stage(sandbox, Path(directory))
        for cloud in CLOUDS:
            stage.add(cloud.place, stack.enter_context(SERVERS[cloud.server]()).new_bucket())
        more = {"BENCH_CGROUP": group} if group else {}
        programs = {
            name: Program(each.program, stage.variables(each) | more, stage.expected(each))
            for name, each in CONTENDERS.items()
            if name in names
        }
        found = interleaved(programs, rounds, tell)
    costs = {name: asdict(cost) for name, cost in found.items()}
    for cost in costs.values():
        del cost["token"]
    return {"rounds": rounds, "costs": costs}


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Hold the figures against what is wanted."""
    costs = figures["costs"]

    def ratio(what: str, ours: str, theirs: str, most: float) -> Target:
        whole, processor = (costs[ours][of] / costs[theirs][of] for of in ("seconds", "cpu"))
        return Target(what, whole, most, processor=processor)

    found = [
        ratio("local file, trusted / import requests", "file/trusted", "requests", 0.28),
        ratio("local file, verified / by hand with requests", "file/verified", BY_HAND, 1.05),
    ]
    for place, _, driver, client, _ in CLOUDS:
        ours, hand = f"{place}/obstore", f"{place}/client-by-hand"
        found += [
            ratio(f"obstore, ours / by hand, {place}", ours, f"{ours}-by-hand", 1.05),
            ratio(f"obstore / {driver}, both ours", ours, f"{place}/driver", 0.4),
            ratio(f"obstore, ours / {client} by hand", ours, hand, 1.0),
        ]
    for place, _, driver, *_ in CLOUDS:
        both = f"{place}/driver", f"{place}/port"
        found.append(ratio(f"{driver}, ours / straightforward port", *both, 1.0))
    return found


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what its columns mean."""
    rows = []
    for name, each in CONTENDERS.items():
        cost = figures["costs"][name]
        times = [f"{1000 * cost[kind]:.0f}" for kind in ("seconds", "token_seconds", "cpu")]
        least = "≥ " if each.program == "port" and each.reads else ""
        asked = f"{least}{each.reads} + {each.keep_alives + each.logins}"
        rows.append([PLACES[each.place], each.label, *times, f"{cost['rss']:.0f}", asked])
    head = ["token in", "program", "whole, ms", "token, ms", "processor, ms", "memory, MiB"]
    return f"""{table([*head, "requests"], rows)}

- Medians of {figures["rounds"]} fresh processes each, all programs in turn, after one run of each
  that does not count. The programs are in `bench/programs`.
- *whole*: from the start of Python to its end; *token*: until the token was printed; *memory*: the
  largest resident set; *requests*: to the store + to Betfair.
- Store and Betfair are servers on this machine, over plain HTTP and TLS: what a network's distance
  adds is one round trip for each request. The sandbox answers a login at once; Betfair does not.
- The library's programs trust (`share_verification=True`) or ask Betfair, as they say; those on
  a cloud's store ask. dogpile.cache trusts its file without asking anybody.
"""
