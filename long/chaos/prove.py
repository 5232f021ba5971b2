"""Chaos: real processes share tokens while everything around them is killed, frozen and replaced.

    python3 dev.py long chaos
    python3 dev.py long chaos --store seaweed --generations 200 --keys 8

What is done to processes, sessions and objects is in long/chaos/conductor.py, what is allowed then
in ledger.py. The tokens are spread over keys, each with an account and a sandbox of its own, so
that generations run side by side; the leases are scaled down (stage.py). The seed decides what is
done, but not when. Ends with 1 when anything happened that must not.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack

from real_places import STORES

from chaos.stage import Plan, Stage


def main() -> int:
    parser = argparse.ArgumentParser(description="chaos among processes that share tokens")
    parser.add_argument("--store", choices=STORES, default="local")
    parser.add_argument("--generations", type=int, default=1000, help="in all, over all keys")
    parser.add_argument("--processes", type=int, default=64, help="at any time")
    parser.add_argument("--keys", type=int, default=16, help="how many tokens they share")
    parser.add_argument("--seed", type=int, default=None, help="what is done, but not when")
    options = parser.parse_args()
    seed = time.time_ns() % 1_000_000 if options.seed is None else options.seed
    random.seed(seed)
    logging.disable()  # it would say how often tokens die young
    plan = Plan(options.store, options.generations, options.processes, options.keys)
    print(f"seed {seed}, {plan}", flush=True)
    with ExitStack() as stack:
        stage = Stage(plan, stack)
        stage.run()
        figures = stage.figures(stage.finish())
    harm = 0
    for name, value in figures.items():
        if isinstance(value, list):
            harm += len(value)
            print(f"{name}: {len(value)}", *value[:40], sep="\n    ")
        elif isinstance(value, Counter):
            parts = [f"{count} x {what}" for what, count in value.most_common(40)]
            print(f"{name}: {value.total()}", *parts, sep="\n    ")
        else:
            print(f"{name}: {value}")
    told = ("generations", "calls", "logins", "kill", "freeze")
    done = ", ".join(f"{figures[name]} {name.removesuffix('s')}s" for name in told)
    print(f"{plan.store}: {done}, {harm} things that must not be")
    return int(harm > 0)


if __name__ == "__main__":
    sys.exit(main())
