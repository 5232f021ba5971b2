"""A live token in a fresh process that gets an eighth of a core, as a small function does."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import cold
from bench.contenders import CONTENDERS
from bench.report import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.targets import Target

TITLE = "The same with an eighth of a core"
NAMES = ["python", "requests", "file/trusted", "file/verified", "file/by-hand"]
NAMES += [f"s3/{name}" for name in ("obstore-trusted", "obstore", "obstore-by-hand", "driver")]
NAMES += ["s3/client-by-hand"]
PERIOD, QUOTA = 100_000, 12_500  # microseconds
SIZES = (128, 256, 512, 1769)
"""Megabytes of a function on AWS Lambda: "At 1,769 MB, a function has the equivalent of one vCPU"
(its page on configuring a function's memory), and less has less, in proportion."""


@contextmanager
def an_eighth() -> Iterator[str]:
    """Make a control group that gets an eighth of one core; "" where none can be made.

    Of version 2 where cpu.max is there, else of version 1.
    """
    name, root = f"betfair-session-bench-{os.getpid()}", Path("/sys/fs/cgroup")
    old = (root / "cpu").is_dir()
    group = (root / "cpu" if old else root) / name
    try:
        group.mkdir()
    except OSError:
        yield ""
        return
    try:
        if old:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(QUOTA))
        else:
            (group / "cpu.max").write_text(f"{QUOTA} {PERIOD}")
    except OSError:
        group.rmdir()
        yield ""
        return
    try:
        yield str(group)
    finally:
        group.rmdir()


def measure(rounds: int, tell: Callable[[str], object]) -> dict[str, Any]:
    """Measure the main contenders in turn; the figures are as cold.measure's."""
    with an_eighth() as group:
        return cold.measure(rounds, tell, names=NAMES, group=group) | {"limited": bool(group)}


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return none: the ratios are those of processor time."""
    del figures
    return []


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what its columns mean."""
    rows = []
    for name in NAMES:
        cost, each = figures["costs"][name], CONTENDERS[name]
        whole = f"{1000 * cost['seconds']:,.0f}" if figures["limited"] else "-"
        sizes = [f"{1000 * cost['cpu'] * SIZES[-1] / size:,.0f}" for size in SIZES]
        rows.append([cold.PLACES[each.place], each.label, whole, *sizes])
    head = ["token in", "program", "an eighth of a core, ms"]
    return f"""{table([*head, *(f"{size:,} MB, ms" for size in SIZES)], rows)}

- *an eighth of a core*: from the start of Python to its end in a control group that gets 12.5 ms
  of every 100; medians of {figures["rounds"]} fresh processes each, all programs in turn. (A dash:
  this machine lets nobody make such a group.)
- *128 MB* and so on: the processor's time of the same processes, on this machine's processor,
  stretched as AWS Lambda gives processor time to a function of that size: all of one at 1,769 MB,
  in proportion below. What a module loads before the first call may run faster there.
"""
