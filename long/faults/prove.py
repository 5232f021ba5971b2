"""Break every request of every way through get_session in every way, on every store.

    python3 dev.py long faults                       all stores, and Betfair: an hour
    python3 dev.py long faults seaweed betfair
    python3 dev.py long faults --every 10            one break of ten

Stores: real servers on loopback behind a proxy; "betfair" is the sandbox with its own faults and
local files. The requests of each way are recorded first; then the first is broken in each way, then
the second, and so on; each break hits one request, or all from that one on. What must hold
afterwards is in lane.py. Ends with 1 when something did not.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from real_places import SERVED, place_for

from faults.lane import Lane, run
from faults.paths import BETFAIRS, STORES, at_betfair, at_store, lasting

LANES = 12
KINDS = [*SERVED, "betfair"]


def broken(kind: str, every: int) -> tuple[int, list[str]]:
    """Break all of one kind; return how many calls were made, and what was wrong."""
    began = time.monotonic()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = None if kind == "betfair" else place_for(kind, directory, stack)
        ways = at_store(kind) if place else at_betfair()
        lanes = [Lane(stack, directory / str(number), place) for number in range(LANES)]
        calls = run(lanes, STORES if place else BETFAIRS, [*ways, *lasting(ways)], every)
    ends = Counter(call.end for call in calls)
    wrong = [f"{kind}, {call}: {problem}" for call in calls for problem in call.problems]
    slowest, took = max(call.seconds for call in calls), time.monotonic() - began
    print(*wrong, f"{kind}: {len(calls)} calls, {dict(ends)}", sep="\n")
    print(f"    slowest {slowest:.1f} s, {len(wrong)} problems, {took:.0f} s", flush=True)
    return len(calls), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="break every request in every way")
    parser.add_argument("what", nargs="*", default="all", choices=["all", *KINDS])
    parser.add_argument("--every", type=int, default=1, help="of so many breaks one")
    options = parser.parse_args()
    chosen = KINDS if "all" in options.what else options.what
    logging.disable()  # it would log each fault
    found = [broken(kind, options.every) for kind in chosen]
    problems = sum(len(wrong) for _, wrong in found)
    print(f"{sum(calls for calls, _ in found)} calls broken, {problems} problems")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
