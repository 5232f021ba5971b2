"""Break every request of every way through get_session in every way, on every store.

    python3 dev.py long faults                     all stores, and Betfair
    python3 dev.py long faults seaweed betfair

Stores: seaweed, moto, gcs, azure and obstore+seaweed, real servers on loopback behind a proxy;
"betfair" is the sandbox with its own faults and local files. The requests of each way are recorded
first; then the first is broken in each way, then the second, and so on; each break hits one
request, or all from that one on. What must be so afterwards is in lane.py. Ends with 1
when something was not.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from chaos.plan import SERVERS

from faults.lane import lanes_in, run
from faults.paths import BETFAIRS, STORES
from faults.ways import DIALECTS, at_betfair, at_store, lasting

LANES = 12
HEAD = "| broken | faults enumerated | survived | a token | a typed error | s |"


def row(name: str) -> tuple[str, list[str]]:
    """Break all of one kind; return its line of a table with that head, and what was wrong."""
    began = time.monotonic()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        driver, plus, server = name.rpartition("+")
        bucket = None
        if name != "betfair":
            bucket = stack.enter_context(SERVERS[server]()).new_bucket()
        ways = at_store(name) if bucket else at_betfair()
        lanes = stack.enter_context(lanes_in(directory, bucket, driver + plus, LANES))
        calls = run(lanes, STORES if bucket else BETFAIRS, [*ways, *lasting(ways)])
    ends = Counter(call.end for call in calls)
    survived = sum(not call.problems for call in calls)
    took = round(time.monotonic() - began)
    print(f"{name}: {dict(ends)}; slowest {max(call.seconds for call in calls):.1f} s")
    cells = [name, len(calls), survived, ends["token"], len(calls) - ends["token"], took]
    problems = [f"{name}, {call}: {problem}" for call in calls for problem in call.problems]
    return "| " + " | ".join(map(str, cells)) + " |", problems


def main() -> int:
    """Break what the command line names, or everything."""
    every = [*DIALECTS, "betfair"]
    parser = argparse.ArgumentParser(description="break every request in every way")
    parser.add_argument("what", nargs="*", help=", ".join(every))
    chosen = parser.parse_args().what or every
    if not set(chosen) <= set(every):
        parser.error(f"what can be broken is {', '.join(every)}")
    logging.disable()  # it would tell of each fault
    rows, problems = [HEAD, "|" + "---|" * (HEAD.count("|") - 1)], []
    for name in chosen:
        line, wrong = row(name)
        rows.append(line)
        problems += wrong
        print(line, *wrong, sep="\n", flush=True)
    print("\n".join([*rows, f"problems: {len(problems)}"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
