"""A fleet of thousands begins at once: what does it ask of the store and of Betfair?

    python3 dev.py long scale                    writes the table into benchmarks/RESULTS.md
    python3 dev.py long scale s3 --functions 500

The shipped policy and its runner on a virtual clock, against stores that keep to the clouds'
published rates (fleet.py). It holds when every function gets a live token by one login, or by none
where the token lives.
"""

from __future__ import annotations

import argparse
import sys

from bench import report

from scale.fleet import CLOUDS, SCENES, Fleet

HEAD = ["store", "token", "served", "logins", "keepAlives", "most in 1 s", "reads", "writes"]
HEAD += ["turned away", "most in 1 s", "US$", "half after, s", "last after, s"]


def row(kind: str, token: str, functions: int, seed: int) -> tuple[list[str], bool]:
    """Run one fleet; return its line of the table, and whether it held."""
    fleet, logins = Fleet(CLOUDS[kind], token, seed=seed), int(token in {"missing", "dead"})
    fleet.run(functions)
    store, served = fleet.store, sorted(fleet.served) or [0.0]
    calls, asked = store.calls, fleet.asked
    cells = [
        *(CLOUDS[kind].name, token, f"{len(fleet.served):,}", str(fleet.logins)),
        *(f"{asked.total():,}", f"{max(asked.values(), default=0):,}"),
        *(f"{calls[each]:,}" for each in ("read", "write", "turned away")),
        *(f"{max(store.arrivals.values()):,}", f"{store.dollars:.2f}"),
        *(f"{served[len(served) // 2]:.1f}", f"{served[-1]:.1f}"),
    ]
    print(*cells, *fleet.errors.items(), sep=" | ", flush=True)
    return cells, len(fleet.served) == functions and fleet.logins == logins


def main() -> int:
    parser = argparse.ArgumentParser(description="simulate a fleet that begins at once")
    parser.add_argument("cloud", nargs="*", default="all", choices=["all", *CLOUDS])
    parser.add_argument("--functions", type=int, default=10_000, help="how many begin")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    options = parser.parse_args()
    chosen = CLOUDS if "all" in options.cloud else options.cloud
    rows = [
        row(kind, token, options.functions, options.seed) for kind in chosen for token in SCENES
    ]
    if chosen is CLOUDS:
        report.put("scale", "prove.py", report.table(HEAD, [cells for cells, _ in rows]))
    fell = sum(not held for _, held in rows)
    print(f"{len(rows)} fleets of {options.functions:,}, {fell} not all served by one login")
    return int(fell > 0)


if __name__ == "__main__":
    sys.exit(main())
