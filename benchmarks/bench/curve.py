"""How much later than the first the last process of a stampede is served, as the crowd grows."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from bench.crowds import LOGIN_SECONDS, Crowds
from bench.report import table
from bench.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TITLE = "A stampede that grows"
COUNTS = (8, 64, 256)
MOST_SECONDS = {"local": 1.0, "s3": 1.5}
"""How much later than the first the last process may be served: on files, on object stores."""

SERIES = {
    "local": ("local files", "library", False),
    "local, dead": ("local files, a dead token", "library", True),
    "s3": ("S3 (SeaweedFS, obstore)", "library", False),
    "s3, dead": ("S3 (SeaweedFS, obstore), a dead token", "library", True),
    "dogpile": ("dogpile.cache with a file lock", "dogpile", False),
}
KINDS = {"s3": "obstore+seaweed"}


def most_seconds(series: str) -> float:
    """Return how much later than the first the last process of a series may be served."""
    return MOST_SECONDS[series.partition(",")[0]]


def measure(rounds: int, tell: Callable[[str], object]) -> dict[str, Any]:
    """Make every stampede `rounds` times, all of them in turn.

    Args:
        rounds: how often.
        tell: told how far it is.

    Returns:
        By series and count: the medians of the first's and the last's seconds, and of the time
        between them; the most store calls of a waiter, and the most logins.
    """
    runs: dict[tuple[str, int], list[Any]] = {}
    with Crowds() as crowds:
        for number in range(rounds):
            for name, (_, program, dead) in SERIES.items():
                place = name.partition(",")[0]
                for count in COUNTS:
                    tell(f"round {number + 1} of {rounds}: {name}, {count} processes")
                    kind = KINDS.get(place, "local")
                    run = crowds.run(kind, count, program, dead=dead)
                    runs.setdefault((name, count), []).append(run)
    found: dict[str, Any] = {name: {} for name in SERIES}
    for (name, count), each in runs.items():
        found[name][str(count)] = {
            "first": median(run.first for run in each),
            "last": median(run.seconds for run in each),
            "spread": median(run.seconds - run.first for run in each),
            "calls": max(max(run.waiters, default=0) for run in each),
            "logins": max(run.logins for run in each),
            "unserved": max(run.unserved for run in each),
        }
    return {"rounds": rounds, "series": found}


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Hold the figures against what is wanted."""
    return [
        Target(f"{label}, {count}: last after first", cost["spread"], most_seconds(name), "s")
        for name, (label, program, _) in SERIES.items()
        if program == "library"
        for count, cost in figures["series"][name].items()
    ]


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what its columns mean."""
    rows = []
    for name, (label, _, _) in SERIES.items():
        for count, cost in figures["series"][name].items():
            times = [f"{cost[kind]:.2f}" for kind in ("first", "last", "spread")]
            counts = [str(cost[kind]) for kind in ("logins", "unserved", "calls")]
            rows.append([label, count, *times, *counts])
    head = ["store", "processes", "first, s", "last, s", "between, s", "logins", "unserved"]
    return f"""{table([*head, "most calls of a waiter"], rows)}

- Medians of the stampedes, {figures["rounds"]} of each, all in turn; of logins, unserved processes
  and store calls the most. All processes begin at the same moment, their imports done and their
  stores open.
- The sandbox takes {LOGIN_SECONDS:g} s for a login. The last is to be served at most
  {MOST_SECONDS["s3"]:g} s after the first, on files {MOST_SECONDS["local"]:g} s.
- A dead token is asked about by every process, so Betfair gets as many keepAlives at once;
  dogpile.cache cannot tell that a token is dead.
"""
