"""A call inside the trust window, against a dictionary and against dogpile.cache's memory."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.contenders import CONTENDERS, Stage
from bench.measure import ProgramFailed, file_of, python
from bench.report import table
from bench.targets import Target
from betfair_session.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TITLE = "A call inside the trust window"
LOOPS = 20_000
LABELS = {
    "token": "betfair_session, `session.token()`",
    "token by hand": "dictionary look-up and `time.monotonic()`, a method as well",
    "get_session": "betfair_session, `manager.get_session(store, key)`",
    "get_session by hand": "dictionary look-up and `time.monotonic()`, with these two arguments",
    "dogpile get": "dogpile.cache, memory region, `region.get(key)`",
    "dogpile get_or_create": "dogpile.cache, memory region, `region.get_or_create(key, create)`",
}


def measure(rounds: int, tell: Callable[[str], object], loops: int = LOOPS) -> dict[str, Any]:
    """Measure all calls, in a few fresh processes.

    Args:
        rounds: how many processes.
        tell: told how far it is.
        loops: how often each call is made in one repeat.

    Returns:
        Nanoseconds by the call's name, medians of the processes' own medians of 25 repeats.
    """
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as directory:
        stage = Stage(sandbox, Path(directory))
        variables = {**stage.variables(CONTENDERS["file/trusted"]), "BENCH_LOOPS": str(loops)}
        found = []
        for number in range(rounds):
            tell(f"process {number + 1} of {rounds}")
            done = python(str(file_of("hot_path")), **variables)
            if done.returncode:
                raise ProgramFailed(done.stderr[-2000:])
            found.append(json.loads(done.stdout))
    return {"rounds": rounds, "ns": {name: median(each[name] for each in found) for name in LABELS}}


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Hold the figures against what is wanted."""
    ns = figures["ns"]

    def ratio(what: str, ours: str, theirs: str, most: float) -> Target:
        return Target(what, ns[ours] / ns[theirs], most)

    return [
        ratio("token() / look-up and clock", "token", "token by hand", 1.5),
        ratio("get_session() / look-up and clock", "get_session", "get_session by hand", 2.5),
        # Its get alone would not log in where nothing is, or where it has expired.
        ratio("token() / dogpile.cache's memory region", "token", "dogpile get_or_create", 0.1),
        ratio("get_session() / the same", "get_session", "dogpile get_or_create", 0.1),
    ]


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what it holds."""
    rows = [[label, f"{figures['ns'][name]:.0f}"] for name, label in LABELS.items()]
    return f"""{table(["call", "ns"], rows)}

- Medians of {figures["rounds"]} fresh processes, each with the median of 25 repeats, all calls in
  turn, by the processor's clock (`bench/programs/hot_path.py`). dogpile.cache is held to
  `get_or_create`, which makes what is missing, as `get_session` does.
"""
