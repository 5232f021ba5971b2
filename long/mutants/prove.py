"""Change the library in small ways, and see whether the tests notice.

    python3 dev.py long mutants            all groups, hours on two cores
    python3 dev.py long mutants login      one group
    python3 dev.py long mutants --show login

Needs mutmut (3.8 was used). Works in a copy of the checkout. Prints for each group how many changes
were made and noticed, and with --show those that were not. The tests that are asked are few and
quick, so what they miss others may yet notice. Ends with 1 unless 90 % of the changes in each group
are noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTMUT = Path(sys.executable).with_name("mutmut")
AT_ONCE = 2
ENOUGH = 0.9
SLOW = "short_program of_four_processes ends_in_time nowhere huge"
QUICK = " and ".join(f"not {name}" for name in SLOW.split())
"""Which tests are asked: not those that wait for seconds."""

KILLED, SURVIVED, UNTESTED = "noticed", "not noticed", "not reached"
VERDICTS = {0: SURVIVED, 33: UNTESTED, 5: UNTESTED}
"""By the exit code of pytest, or mutmut's own; any other says that something failed."""


def _modules(names: str) -> list[str]:
    return [f"storage/{name}.py" for name in names.split()]


_CALLS = [
    *("tests/test_arguments.py", "tests/test_session.py"),
    *("tests/test_trust.py", "tests/test_events.py"),
    *("tests/test_http.py", "tests/test_values.py", "tests/test_flight.py"),
]

GROUPS = {
    "login": (
        ["login/*"],
        ["tests/login"],
    ),
    "manager": (["manager.py", "login/account.py"], _CALLS),
    "session": (["session.py", "process/trust.py", "login/by_hand.py"], _CALLS),
    "identity": (
        ["betfair/*"],
        [
            *("tests/test_arguments.py", "tests/test_answers.py", "tests/test_identity.py"),
            *("tests/test_http.py", "tests/hidden/test_network.py"),
        ],
    ),
    "storage": (
        _modules("__init__ contract errors generic judging local local_files location"),
        [
            *("tests/storage/test_local.py", "tests/storage/test_generic.py"),
            *("tests/storage/test_choice.py", "tests/storage/test_contract.py"),
            "tests/storage/test_unkind.py",
        ],
    ),
    "clouds": (
        _modules("azure cloud gcs loop obstore obstore_config s3"),
        [
            *("tests/storage/test_clouds.py", "tests/storage/test_contract.py"),
            *("tests/storage/test_s3_compatible.py", "tests/storage/test_unkind.py"),
        ],
    ),
}
"""What is changed, below betfair_session, and the tests that are asked."""


def settings(changed: list[str], tests: list[str]) -> str:
    """Return mutmut's settings."""
    copied = [path.name for path in ROOT.iterdir() if not path.name.startswith(".")]
    return f"""
[tool.mutmut]
source_paths = ["betfair_session"]
only_mutate = {json.dumps([f"betfair_session/{name}" for name in changed])}
also_copy = {json.dumps([name for name in copied if name not in {"betfair_session", "tests"}])}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", "{QUICK}"]
pytest_add_cli_args_test_selection = {json.dumps(tests)}
timeout_multiplier = 4.0
timeout_constant = 10.0
track_dependencies = false
"""


def verdicts(directory: Path) -> dict[str, str]:
    """Return what came of each change, by its name."""
    found = {}
    for path in directory.glob("mutants/**/*.meta"):
        codes = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        found |= {name: VERDICTS.get(code, KILLED) for name, code in codes.items()}
    return found


def measure(group: str, *, show: bool) -> tuple[str, float]:
    """Change one group; return its line of the table, and the part that was noticed."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory) / "work"
        hidden = shutil.ignore_patterns(".*", "__pycache__", "mutants")
        shutil.copytree(ROOT, work, ignore=hidden)
        with (work / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(settings(*GROUPS[group]))
        command = [str(MUTMUT), "run", "--max-children", str(AT_ONCE)]
        # Each change is tried in a fork, which inherits the servers: see tests/kept.py.
        kept = {**os.environ, "BETFAIR_SESSION_KEEP_SERVERS": str(AT_ONCE)}
        subprocess.run(command, cwd=work, env=kept, check=True)
        found = verdicts(work)
        missed = [name for name, verdict in found.items() if verdict != KILLED]
        for name in missed if show else []:
            subprocess.run([str(MUTMUT), "show", name], cwd=work, check=True)
    counts = Counter(found.values())
    cells = [group, len(found), counts[KILLED], counts[SURVIVED], counts[UNTESTED]]
    part = counts[KILLED] / len(found)
    cells.append(f"{100 * part:.1f} %")
    return "| " + " | ".join(map(str, cells)) + " |", part


def main() -> int:
    """Change what the command line names."""
    parser = argparse.ArgumentParser(description="change the library, and see who notices")
    parser.add_argument("group", nargs="*", help=", ".join(GROUPS))
    parser.add_argument("--show", action="store_true", help="also print what was not noticed")
    options = parser.parse_args()
    if not set(options.group) <= set(GROUPS):
        parser.error(f"the groups are {', '.join(GROUPS)}")
    lines = [measure(group, show=options.show) for group in options.group or GROUPS]
    head = "| group | changes | noticed | not noticed | not reached | noticed |"
    print(head, "|---" * 6 + "|", *(line for line, _ in lines), sep="\n")
    least = min(part for _, part in lines)
    print(f"{100 * least:.1f} % noticed in the worst of {len(lines)} groups")
    return 0 if least >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
