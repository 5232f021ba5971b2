"""Many calls in one process: does it hold on to anything?

    python3 dev.py long endurance
    python3 dev.py long endurance --calls 2000 local seaweed

Stores: real servers on loopback. What each call does is in long/endurance/program.py. Ends with 1
when something grew from the second tenth of the calls to the ninth, or the program wrote an error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from real_places import STORES, place_for

from betfair_session.sandbox import Sandbox

PROGRAM = Path(__file__).with_name("program.py")
COMMAND = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"]
COMMAND += ["-W", "ignore::SyntaxWarning", str(PROGRAM)]
TENTHS = 9
# Connections come and go; of 200 calls ten make a manager of their own, or log in.
LOOSE = {"descriptors": 3, "sockets": 3}
EXACT = ("threads", "loops", "temporary files")


def grown(kind: str, calls: int) -> bool:
    """Make calls on one store and print the result; return whether anything grew."""
    began = time.monotonic()
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sandbox.configure(logins_per_minute=1e9)
        store, temporary = (
            Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)
        )
        place = place_for(kind, store, stack)
        given = [str(calls), place.url("endurance"), "session.token", json.dumps(place.options)]
        done = subprocess.run(
            [*COMMAND, *given],
            env={**os.environ, **sandbox.environment(), "TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            check=False,
        )
        logins = sandbox.counts()["certlogin"]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"{kind}: {logins} logins, {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode or done.stderr or len(told) != TENTHS + 1:
        print(f"    exit code {done.returncode} after {len(told)} tenths: {done.stderr}")
        return True
    early, late = told[1], told[-2]
    print(f"    {early}\n  → {late}\n  → {told[-1]} when closed", flush=True)
    more = any(late[name] > early[name] + most for name, most in LOOSE.items())
    return more or any(late[name] != early[name] for name in EXACT)


def main() -> int:
    parser = argparse.ArgumentParser(description="many calls in one process")
    parser.add_argument("stores", nargs="*", default="all", choices=["all", *STORES])
    parser.add_argument("--calls", type=int, default=10_000, help="at least 100")
    options = parser.parse_args()
    chosen = STORES if "all" in options.stores else options.stores
    bad = sum(grown(kind, options.calls) for kind in chosen)
    print(f"{options.calls} calls on each of {len(chosen)} stores, something grew on {bad}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
