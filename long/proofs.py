"""Run long proofs; each ends with one line, and the whole with a table.

    python3 dev.py long                      all of them: many hours
    python3 dev.py long NAME [arguments]     one, with arguments of its own

A folder here is a proof: the program prove.py, whose last line of output is its figure and whose
exit code says whether it held, or modules of pytest, all of whose tests have to pass.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent
FLUMINE = ROOT / ".venv" / "flumine" / "bin" / "python"


class Outcome(NamedTuple):
    """The result of one proof."""

    name: str
    how: str  # "held" or "fell short"
    figure: str
    seconds: float


def names() -> list[str]:
    found = [*HERE.glob("*/prove.py"), *HERE.glob("*/test_*.py")]
    return sorted({path.parent.name for path in found})


def command(name: str, given: list[str]) -> list[str]:
    program = HERE / name / "prove.py"
    if program.exists():
        return [sys.executable, str(program), *given]
    python = str(FLUMINE) if name == "bots" else sys.executable
    return [python, "-m", "pytest", "-q", f"long/{name}", *given]


def prove(name: str, given: list[str]) -> Outcome:
    """Run one proof; what it prints is shown as it comes."""
    places = os.pathsep.join(str(ROOT / place) for place in ("tests", "long", "benchmarks"))
    began, last = time.monotonic(), ""
    with subprocess.Popen(
        command(name, given),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": places, "BETFAIR_SESSION_REQUIRE_SERVERS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    # A test that was skipped has proven nothing.
    held = process.returncode == 0 and not re.search(r"\d+ skipped", last)
    how = "held" if held else "fell short"
    return Outcome(name, how, last.strip("= "), time.monotonic() - began)


def main(arguments: list[str]) -> int:
    """Run what the command line names; return 1 if anything fell short."""
    known = names()
    if arguments and arguments[0] not in known:
        print(f"no such proof; there are {', '.join(known)}")
        return 2
    outcomes = []
    for name in arguments[:1] or known:
        outcomes.append(each := prove(name, arguments[1:]))
        print(f"{name}: {each.how}, {each.figure}, {each.seconds:.0f} s", flush=True)
    print("\n| proof | outcome | figure | seconds |\n|---|---|---|---|")
    for each in outcomes:
        print(f"| {each.name} | {each.how} | {each.figure} | {each.seconds:.0f} |")
    return 0 if all(each.how == "held" for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
