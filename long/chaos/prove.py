"""Chaos: real processes share tokens while everything around them is killed, frozen and replaced.

    python3 dev.py long chaos --store local --generations 10000 --keys 16
    python3 dev.py long chaos --store seaweed --generations 200

Stores: local, seaweed, moto, gcs, azure and
obstore+seaweed, each a real server on loopback. What is done to processes, sessions and objects is
in long/chaos/conductor.py, what is allowed then in long/chaos/ledger.py. The tokens are spread
over keys, each with an account and a sandbox of its own, so that generations run side by side; the
leases are scaled down (long/chaos/plan.py). The seed decides what is done, but not when. Ends
with 1 when anything happened that must not.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time

# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from chaos.plan import STORES, Plan
from chaos.stage import run


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="chaos among processes that share tokens")
    parser.add_argument("--store", choices=STORES, default="local")
    parser.add_argument("--generations", type=int, default=10_000, help="in all, over all keys")
    parser.add_argument("--processes", type=int, default=64, help="at any time")
    parser.add_argument("--keys", type=int, default=8, help="how many tokens they share")
    parser.add_argument("--seed", type=int, default=None, help="what is done, but not when")
    options = parser.parse_args()
    seed = time.time_ns() % 1_000_000 if options.seed is None else options.seed
    random.seed(seed)
    logging.disable()  # it would say how often tokens die young
    plan = Plan(options.store, options.generations, options.processes, options.keys)
    print(f"seed {seed}, {plan}", flush=True)
    figures = run(plan, lambda text: print(text, flush=True))
    print("\n".join(figures.lines()))
    blows = ", ".join(f"{count} {blow}s" for blow, count in figures.blows.items())
    print(
        f"{plan.store}: {figures.generations} generations, {figures.calls} calls, "
        f"{figures.logins} logins, {blows}, {figures.harm} things that must not be"
    )
    return int(figures.harm > 0)


if __name__ == "__main__":
    sys.exit(main())
