"""Many calls in one process: does it hold on to anything?

    python3 dev.py long endurance
    python3 dev.py long endurance --calls 10000 local seaweed

Stores: local, seaweed, moto, gcs, azure and
obstore+seaweed, real servers on loopback. What each call does is in long/endurance/program.py.
Ends with 1 when something grew.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from chaos.plan import SERVERS, STORES
from storage.places import BucketPlace, LocalPlace

from betfair_session.sandbox import Sandbox
from endurance.watch import watch

if TYPE_CHECKING:
    from storage.places import Place

NAMES = ("threads", "descriptors", "sockets", "loops", "temporary files")
HEAD = "| store | calls | logins | " + " | ".join(NAMES) + " | closed | grown | s |"


def row(kind: str, calls: int) -> tuple[str, bool]:
    """Run one store's; return its line of a table with that head, and whether all was well."""
    driver, plus, server = kind.rpartition("+")
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sandbox.configure(logins_per_minute=1e9)
        place: Place = LocalPlace(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        if server != "local":
            bucket = stack.enter_context(SERVERS[server]()).new_bucket()
            place = BucketPlace(bucket, driver + plus)
        began = time.monotonic()
        told = watch(sandbox, place, calls)
        seconds = round(time.monotonic() - began)
        logins = sandbox.counts()["certlogin"]
    print(told.complaints, end="")

    def count(content: object) -> object:
        return len(content) if isinstance(content, list) else content

    early, late = told.during[1], told.during[-1]
    cells = [kind, calls, logins, *(f"{count(early[n])} → {count(late[n])}" for n in NAMES)]
    cells += [f"{count(told.after['threads'])}, {told.after['descriptors']}", len(told.growth)]
    well = not told.growth and not told.complaints
    return "| " + " | ".join(map(str, [*cells, seconds])) + " |", well


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="many calls in one process")
    parser.add_argument("stores", nargs="*", help=", ".join(STORES))
    parser.add_argument("--calls", type=int, default=10_000)
    options = parser.parse_args()
    if not set(options.stores) <= set(STORES) or options.calls < 100:
        parser.error(f"stores are {', '.join(STORES)}, and calls at least 100")
    lines = [row(kind, options.calls) for kind in options.stores or STORES]
    grown = sum(not well for _, well in lines)
    print("\n".join([HEAD, *(line for line, _ in lines)]))
    print(f"{options.calls} calls on each of {len(lines)} stores, something grew on {grown}")
    return int(grown > 0)


if __name__ == "__main__":
    sys.exit(main())
