"""A fleet of thousands begins at once: what does it ask of the store and of Betfair?

    python3 dev.py long scale                    writes the table into benchmarks/RESULTS.md
    python3 dev.py long scale s3 --functions 500

The shipped policy and its runner on a virtual clock, against stores that keep to the clouds'
published rates (clouds.py). It holds when every function gets a live token by one login, or by none
where the token lives.
"""

from __future__ import annotations

import argparse
import sys

from bench import report

from scale.clouds import CLOUDS
from scale.fleet import KEEP_ALIVE, LATENCY, LOGIN_SECONDS, SCENES, Fleet

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


def section(rows: list[list[str]], functions: int) -> str:
    """Return the section of RESULTS.md."""
    login, store, betfair = f"{LOGIN_SECONDS:g} s", LATENCY, KEEP_ALIVE
    return f"""## {functions:,} functions begin at once, on one key

Made by `python3 dev.py long scale`: the shipped policy and its runner, one of each for every
function, on a virtual clock. No figure depends on the machine.

{report.table(HEAD, rows)}

- All begin within a tenth of a second, without a token and with 60 s each. A login takes {login}, a
  request to the store {store[0] * 1000:.0f} to {store[1] * 1000:.0f} ms, a keepAlive \
{betfair[0] * 1000:.0f} to {betfair[1] * 1000:.0f} ms.
- Each store keeps to what its cloud publishes, see `long/scale/clouds.py`: S3 5,500 reads and 3,500
  writes a second of one prefix; Google 5,000 and 1,000 of a bucket that is not used to more, and
  one write a second of one object name; Azure 20,000 of an account and 500 of one blob. What is
  beyond is turned away with 503 or 429 (*turned away*). *Most in 1 s* is what is sent, not served.
- *live*: every function asks Betfair (the default). *trusted*: the token was verified ten minutes
  ago, and the functions share verifications for fifteen (`verify_every`, `share_verification`).
- *keepAlives*: Betfair publishes no limit for them (an old guide asked for one in 15 minutes), and
  does for logins: 100 a minute. A fleet that verifies at each cold start sends one for every
  function, thousands in a second when thousands begin at once; a fleet that shares verifications
  sends those of the functions whose first look was turned away. Above some hundred cold starts a
  minute, share them.
- *US$*: list prices for requests in US regions, what was turned away included, which S3 and Google
  do not bill: {CLOUDS["s3"].write_price} for 10,000 writes and {CLOUDS["s3"].read_price} for \
10,000 reads.
- What holds Azure up is its 500 requests a second of one blob: {functions:,} first reads alone take
  {functions / 500:.0f} s.
- Before waits were stretched in a crowd, each call gave up after three refusals. Of 10,000
  functions 3,262 (missing) and 2,560 (dead) were served on S3, 4,368 and 2,395 on Google, 541 and
  436 on Azure, and with a live token all, 9,462 and 966.
"""


def main() -> int:
    """Run what the command line names, or all."""
    parser = argparse.ArgumentParser(description="simulate a fleet that begins at once")
    parser.add_argument("cloud", nargs="*", help=", ".join(CLOUDS))
    parser.add_argument("--functions", type=int, default=10_000, help="how many begin")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    options = parser.parse_args()
    if not set(options.cloud) <= set(CLOUDS):
        parser.error(f"the clouds are {', '.join(CLOUDS)}")
    rows = [
        row(kind, token, options.functions, options.seed)
        for kind in options.cloud or CLOUDS
        for token in SCENES
    ]
    if not options.cloud:
        report.put("scale", "prove.py", section([cells for cells, _ in rows], options.functions))
    fell = sum(not held for _, held in rows)
    print(f"{len(rows)} fleets of {options.functions:,}, {fell} not all served by one login")
    return int(fell > 0)


if __name__ == "__main__":
    sys.exit(main())
