"""Break every request of every way through get_session in every way, on every store.

    python3 dev.py long faults                     all stores, and Betfair
    python3 dev.py long faults seaweed betfair

Stores: seaweed, moto, gcs, azure and
obstore+seaweed, real servers on loopback behind a proxy; "betfair" is the sandbox with its own
faults and local files. The requests of each way are recorded first; then the first is broken in
each way, then the second, and so on; each break hits one request, or all from that one on. What
must be so afterwards is in tests/faults/case.py and betfair.py. Ends with 1 when something was not.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from chaos.plan import SERVERS
from faults import betfair
from faults.breaking import DIALECTS, ways
from faults.matrix import Matrix
from storage.places import BucketPlace

from betfair_session.sandbox import Sandbox

if TYPE_CHECKING:
    from faults.case import Case
    from faults.result import Result

HEAD = "| broken | requests | faults enumerated | survived | a token | a typed error | s |"


def on_a_store(kind: str) -> Result[Case]:
    """Break all that goes to a store."""
    driver, plus, server = kind.rpartition("+")
    with SERVERS[server]() as running, Sandbox() as sandbox:
        place = BucketPlace(running.new_bucket(), driver + plus)
        with closing(Matrix(sandbox, place)) as matrix:
            return matrix.run(ways(kind))


def row(name: str) -> tuple[str, list[str]]:
    """Break all of one kind; return its line of a table with that head, and what was wrong."""
    began = time.monotonic()
    found = betfair.run(betfair.kinds()) if name == "betfair" else on_a_store(name)
    requests = sum(map(len, found.requests.values()))
    tokens = found.ends["token"]
    cells = [name, requests, len(found.cases), found.survived, tokens, len(found.cases) - tokens]
    cells.append(round(time.monotonic() - began))
    print(f"{name}: {dict(found.ends)}; slowest {max(each.seconds for each in found.cases):.1f} s")
    return "| " + " | ".join(map(str, cells)) + " |", found.problems


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
        problems += [f"{name}: {problem}" for problem in wrong]
        print(line, *wrong, sep="\n", flush=True)
    print("\n".join([*rows, f"problems: {len(problems)}"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
