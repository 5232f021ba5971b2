"""The long walk through the shipped login machine's worlds, and many random histories.

    python3 dev.py long explore --states 10000000
    python3 dev.py long explore --histories 1000000

What is explored, what is checked and what the
model leaves out is told in tests/explore: plans.py, world.py and histories.py. The plans with
three and four processes share so many worlds; those with two are walked to their end, or to a
twentieth of that, besides. Ends with 1 when an invariant fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from explore.histories import run
from explore.plans import PAIRS, PLANS, Rules
from explore.processes import Violation
from explore.search import Count, explore

CHUNK = 5_000  # histories that a worker runs at a time
COLLISION = 2.0**65  # n different worlds are mistaken with a chance of n² / 2⁶⁵


def walk(task: tuple[Rules, int]) -> tuple[str, float, Count | str]:
    """Walk through one plan's worlds; return its name, the seconds, and the count or failure."""
    plan, most = task
    began = time.monotonic()
    try:
        found: Count | str = explore(plan, most)
    except Violation as violation:
        found = "\n    ".join([str(violation), *violation.trace])
    return plan.name, time.monotonic() - began, found


class Sum:
    """What some plans have come to."""

    def __init__(self) -> None:
        self.worlds = self.moves = self.finished = self.complete = self.failures = 0
        self.odds = 0.0

    def take(self, other: Sum) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def add(self, name: str, seconds: float, found: Count | str) -> None:
        if isinstance(found, str):
            self.failures += 1
            print(f"{name}: {found}", flush=True)
            return
        self.worlds += found.worlds
        self.moves += found.moves
        self.finished += found.finished
        self.complete += found.complete
        self.odds += found.worlds**2 / COLLISION
        end = "all" if found.complete else "so far"
        print(
            f"{name:26} {found.worlds:>10,} worlds {end:6} {found.moves:>12,} steps"
            f" {found.locals:>8,} process states {seconds:7.0f} s",
            flush=True,
        )


def states(most: int, workers: int) -> bool:
    """Walk through all plans; return whether every invariant held."""
    began, total, large = time.monotonic(), Sum(), Sum()
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for found in pool.imap_unordered(walk, [(plan, most // 20) for plan in PAIRS]):
            total.add(*found)
        waiting = list(PLANS)
        while waiting and large.worlds < most:
            share = -(-(most - large.worlds) // len(waiting))
            tasks, waiting = [(plan, share) for plan in waiting[:workers]], waiting[workers:]
            for found in pool.map(walk, tasks, 1):
                large.add(*found)
    total.take(large)
    print(
        f"in all {total.worlds:,} different worlds, {large.worlds:,} of them with three and four "
        f"processes, and {total.moves:,} steps; {total.complete} plans to their end, "
        f"{total.finished:,} worlds left alone to end; {total.failures} violations; "
        f"{time.monotonic() - began:.0f} s with {workers} workers; the odds that any two worlds of "
        f"a plan were taken for one: {total.odds:.1e}"
    )
    return not total.failures


def some(task: tuple[int, int]) -> tuple[int, str]:
    """Run some histories; return how many calls were made, and what failed."""
    try:
        return run(*task), ""
    except Violation as violation:
        return 0, str(violation)


def histories(first: int, number: int, workers: int) -> bool:
    """Run histories; return whether every invariant held."""
    began, calls, failures = time.monotonic(), 0, 0
    end = first + number
    tasks = [(seed, min(CHUNK, end - seed)) for seed in range(first, end, CHUNK)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for made, failure in pool.imap_unordered(some, tasks):
            calls += made
            failures += bool(failure)
            if failure:
                print(failure, flush=True)
    print(
        f"{number:,} histories from seed {first}, {calls:,} calls, {failures} violations; "
        f"{time.monotonic() - began:.0f} s with {workers} workers"
    )
    return not failures


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="explore the shared login")
    parser.add_argument("--states", type=int, default=0, help="different worlds to walk through")
    parser.add_argument("--histories", type=int, default=0, help="random histories to run")
    parser.add_argument("--seed", type=int, default=0, help="the first history's seed")
    parser.add_argument("--workers", type=int, default=2, help="processes to use")
    options = parser.parse_args()
    well = not options.states or states(options.states, options.workers)
    if options.histories:
        well = histories(options.seed, options.histories, options.workers) and well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
