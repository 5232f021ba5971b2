"""The long walk through the shipped login machine's worlds, and many random histories.

    python3 dev.py long explore                        10,000,000 worlds and 1,000,000 histories
    python3 dev.py long explore --states 300000
    python3 dev.py long explore --histories 20000 --seed 94000000

In tests/explore, plans.py, truth.py and histories.py say what is explored, what is checked and what
the model leaves out. The plans with three and four processes share so many worlds; those with
two are walked to their end, or to a twentieth of that, besides. Ends with 1 when an invariant
fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from explore.histories import run
from explore.plans import PAIRS, PLANS, Rules
from explore.search import Count, explore
from explore.truth import Violation

CHUNK = 5_000  # histories that a worker runs at a time
COLLISION = 2.0**65  # n different worlds are mistaken with a chance of n² / 2⁶⁵


def walk(task: tuple[Rules, int]) -> Count | None:
    """Walk through one plan's worlds and print what was seen; None for a failure."""
    plan, most = task
    began = time.monotonic()
    try:
        found = explore(plan, most)
    except Violation as violation:
        print(f"{plan.name}: {violation}", *violation.trace, sep="\n    ", flush=True)
        return None
    end = "all" if found.complete else "so far"
    print(
        f"{plan.name:26} {found.worlds:>10,} worlds {end:6} {found.moves:>12,} steps"
        f" {found.locals:>8,} process states {time.monotonic() - began:7.0f} s",
        flush=True,
    )
    return found


def states(most: int, workers: int) -> str:
    """Walk through all plans; return the result, ending with the number of violations."""
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        small = pool.map(walk, [(plan, most // 20) for plan in PAIRS], 1)
        large: list[Count | None] = []
        waiting, left = list(PLANS), most
        while waiting and left > 0:
            share = -(-left // len(waiting))
            tasks, waiting = [(plan, share) for plan in waiting[:workers]], waiting[workers:]
            large += pool.map(walk, tasks, 1)
            left = most - sum(each.worlds for each in large if each)
    counts = [each for each in small + large if each]
    odds = sum(each.worlds**2 for each in counts) / COLLISION
    print(
        f"{sum(each.moves for each in counts):,} steps; {sum(each.complete for each in counts)} "
        f"plans to their end, {sum(each.finished for each in counts):,} worlds left alone to end; "
        f"the odds that any two worlds of a plan were taken for one: {odds:.1e}"
    )
    worlds = sum(each.worlds for each in counts)
    crowded = f"{most - left:,} of them with three and four processes"
    return f"{worlds:,} worlds, {crowded}, {len(small + large) - len(counts)} violations"


def some(task: tuple[int, int]) -> int:
    """Run some histories; return how many calls were made, -1 for a failure, which is printed."""
    try:
        return run(*task)
    except Violation as violation:
        print(violation, flush=True)
        return -1


def histories(first: int, number: int, workers: int) -> str:
    """Run histories; return the result, ending with the number of violations."""
    end = first + number
    tasks = [(seed, min(CHUNK, end - seed)) for seed in range(first, end, CHUNK)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        made = pool.map(some, tasks, 1)
    calls = f"{sum(each for each in made if each > 0):,} calls"
    return f"{number:,} histories from seed {first}, {calls}, {made.count(-1)} violations"


def main() -> int:
    parser = argparse.ArgumentParser(description="explore the shared login")
    parser.add_argument("--states", type=int, default=0, help="different worlds to walk through")
    parser.add_argument("--histories", type=int, default=0, help="random histories to run")
    parser.add_argument("--seed", type=int, default=0, help="the first history's seed")
    parser.add_argument("--workers", type=int, default=2, help="processes to use")
    options = parser.parse_args()
    if not options.states and not options.histories:
        options.states, options.histories = 10_000_000, 1_000_000
    told = [states(options.states, options.workers)] if options.states else []
    if options.histories:
        told.append(histories(options.seed, options.histories, options.workers))
    print("; ".join(told))
    return int(any(not each.endswith(" 0 violations") for each in told))


if __name__ == "__main__":
    sys.exit(main())
