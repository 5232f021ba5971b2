"""Run all of tests/ many times in a row, every second time with all cores kept busy.

    python3 dev.py long rows             twenty times: hours
    python3 dev.py long rows --runs 2    one quiet run, and one beside other work

A failure, an error or a skip ends it with 1, after the last run; of a run that failed, all that
pytest said is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = [sys.executable, "-m", "pytest", "tests", "-q", "-n", "4", "--dist", "loadgroup"]


@contextlib.contextmanager
def busy() -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def passed(*, beside_work: bool) -> bool:
    began = time.monotonic()
    with busy() if beside_work else contextlib.nullcontext():
        done = subprocess.run(SUITE, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines() or [f"pytest ended with {done.returncode}"]
    said = lines if done.returncode else []
    how = "busy" if beside_work else "quiet"
    figure = lines[-1].strip("= ")
    print(*said, f"{how}: {figure}, {time.monotonic() - began:.0f} s", sep="\n", flush=True)
    return done.returncode == 0 and not re.search(r"\d+ skipped", figure)


def main() -> int:
    parser = argparse.ArgumentParser(description="run all tests many times in a row")
    parser.add_argument("--runs", type=int, default=20, help="how often (20)")
    runs = parser.parse_args().runs
    good = sum(passed(beside_work=bool(number % 2)) for number in range(runs))
    print(f"{good} of {runs} runs passed, {runs // 2} of them beside other work")
    return int(good < runs)


if __name__ == "__main__":
    sys.exit(main())
