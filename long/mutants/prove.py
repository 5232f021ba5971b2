"""Change the library in small ways, and see whether the tests notice.

    python3 dev.py long mutants            all groups, hours on two cores
    python3 dev.py long mutants login      one group
    python3 dev.py long mutants login --sample 150 --show

Needs mutmut (3.8 was used). Works in a copy of the checkout. Prints for each group how many changes
there are, were tried and noticed, and with --show those that were not. Only few and quick tests are
run, so others may still notice what these miss. Ends with 1 unless 90 % of the changes tried
in each group are noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
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
SLOW = "short_program answer_ends_in_time huge_object"
QUICK = " and ".join(f"not {name}" for name in SLOW.split())
"""Which tests are run: not those that wait for seconds."""

KILLED, SURVIVED, UNTESTED, UNTRIED = "noticed", "not noticed", "not reached", "not tried"
VERDICTS = {0: SURVIVED, 33: UNTESTED, 5: UNTESTED, None: UNTRIED}
"""By the exit code of pytest, or mutmut's own; any other says that something failed."""


def _modules(room: str, names: str) -> list[str]:
    return [f"{room}/{name}.py" for name in names.split()]


_CALLS = [
    *("tests/test_arguments.py", "tests/test_session.py"),
    *("tests/test_trust.py", "tests/test_events.py"),
    *("tests/test_http.py", "tests/test_values.py", "tests/test_flight.py"),
    *("tests/test_cli.py", "tests/login/test_runner.py"),
]

GROUPS = {
    "login": (
        _modules("login", "call effects errors lock policy runner"),
        ["tests/login", "tests/test_session.py", "tests/test_cli.py"],
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
        _modules("storage", "__init__ contract errors generic judging local local_files location"),
        [
            *("tests/storage/test_local.py", "tests/storage/test_generic.py"),
            *("tests/storage/test_choice.py", "tests/storage/test_unkind.py"),
            *("tests/storage/test_contract.py::Test" + place for place in ("Local", "Memory")),
            "tests/test_trust.py",
        ],
    ),
    "clouds": (
        _modules("storage", "azure cloud gcs loop obstore obstore_config s3"),
        [
            *("tests/storage/test_clouds.py", "tests/storage/test_contract.py"),
            *("tests/storage/test_s3_compatible.py", "tests/storage/test_unkind.py"),
        ],
    ),
}
"""What is changed, below betfair_session, and the tests that are run."""


def settings(changed: list[str], tests: list[str]) -> str:
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
    found = {}
    for path in directory.glob("mutants/**/*.meta"):
        codes = json.loads(path.read_text("utf-8"))["exit_code_by_key"]
        found |= {name: VERDICTS.get(code, KILLED) for name, code in codes.items()}
    return found


def reads_otherwise(name: str, work: Path) -> bool:
    """Return whether a change is one of wording, which the file of all messages shows.

    Its test reads the modules as they stand, where mutmut writes all changes side by side.
    """
    package = work / "betfair_session"
    before = shutil.copytree(package, work / "before")
    subprocess.run([str(MUTMUT), "apply", name], cwd=work, check=True)
    asked = [sys.executable, "-m", "pytest", "-q", "tests/test_messages.py"]
    code = subprocess.run(asked, cwd=work, check=False, stdout=subprocess.DEVNULL).returncode
    shutil.rmtree(package)
    before.rename(package)
    return code == 1


def measure(group: str, options: argparse.Namespace) -> tuple[str, float]:
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
        if options.sample:  # mutmut writes all changes before it finds none of this name
            subprocess.run(
                [*command, "-"], check=False, cwd=work, env=kept, stderr=subprocess.DEVNULL
            )
            names = sorted(verdicts(work))
            random.Random(options.seed).shuffle(names)
            command += names[: options.sample]
        subprocess.run(command, cwd=work, env=kept, check=True)
        found = verdicts(work)
        for name in [name for name in found if found[name] in {SURVIVED, UNTESTED}]:
            if reads_otherwise(name, work):
                found[name] = KILLED
            elif options.show:
                subprocess.run([str(MUTMUT), "show", name], cwd=work, check=True)
    counts = Counter(found.values())
    tried = len(found) - counts[UNTRIED]
    cells = [group, len(found), tried, counts[KILLED], counts[SURVIVED], counts[UNTESTED]]
    part = counts[KILLED] / tried
    cells.append(f"{100 * part:.1f} %")
    return "| " + " | ".join(map(str, cells)) + " |", part


def main() -> int:
    parser = argparse.ArgumentParser(description="change the library, and see who notices")
    parser.add_argument("group", nargs="*", help=", ".join(GROUPS))
    parser.add_argument("--show", action="store_true", help="also print what was not noticed")
    parser.add_argument("--sample", type=int, metavar="N", help="try N changes of each group")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: 1)")
    options = parser.parse_args()
    if not set(options.group) <= set(GROUPS):
        parser.error(f"the groups are {', '.join(GROUPS)}")
    lines = [measure(group, options) for group in options.group or GROUPS]
    head = "| group | changes | tried | noticed | not noticed | not reached | noticed |"
    print(head, "|---" * 7 + "|", *(line for line, _ in lines), sep="\n")
    least = min(part for _, part in lines)
    print(f"{100 * least:.1f} % noticed in the worst of {len(lines)} groups")
    return 0 if least >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
