"""Put each defect that was ever found back into the code, one at a time: do the tests notice?

    python3 dev.py long defects                 all: hours, where the first tests do not notice
    python3 dev.py long defects ban-clock …     these alone
    python3 dev.py long defects --first         only the tests that each names

defects.tsv has them: what was wrong, and the lines that make it wrong again. A copy of the
checkout is changed, and its tests run against it in an environment of their own; the tests that a
defect names go first, and all of tests/ where these notice nothing. A defect whose lines are not
found any more, or that is no Python, has to be written anew, and counts as missed. Ends with 1
unless at least 90 % are noticed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("defects.tsv")
ENOUGH = 0.9
_COPIED = shutil.ignore_patterns(".*", "__pycache__", "mutants")


def environment(place: Path, work: Path) -> Path:
    """Make an environment that has this one's packages, but the package as it is in `work`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (found,) = place.glob("lib/python3*/site-packages")
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # Ahead of this one's, and known to every process that a test starts.
    (found / "defects.pth").write_text(f"{work}\nimport site; site.addsitedir({here!r})\n")
    for program in Path(sys.executable).parent.iterdir():
        if not (place / "bin" / program.name).exists():
            (place / "bin" / program.name).symlink_to(program)
    return place / "bin" / "python"


def noticed(python: Path, work: Path, tests: list[str]) -> str:
    """Return the first test that fails, or ""."""
    given = [test for test in tests if (work / test.partition("::")[0]).exists()]
    if not given:
        return ""
    command = [str(python), "-m", "pytest", "-q", "-x", "-n", "2", "-p", "no:cacheprovider"]
    variables = {name: value for name, value in os.environ.items() if "REQUIRE_WHEEL" not in name}
    done = subprocess.run(
        [*command, *given], cwd=work, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return failed[1] if failed else f"pytest ended with {done.returncode}"


def outcome(defect: dict[str, str], python: Path, work: Path, *, first: bool) -> str:
    """Put one defect back; return the test that noticed, "stale" or ""."""
    path = work / "betfair_session" / defect["file"]
    good = path.read_text("utf-8") if path.exists() else ""
    find, put = json.loads(defect["find"]), json.loads(defect["put"])
    if good.count(find) != 1:
        return "stale"
    bad = good.replace(find, put)
    try:
        compile(bad, path, "exec")
    except SyntaxError:  # which every test would notice
        return "stale"
    path.write_text(bad, "utf-8")
    try:
        return noticed(python, work, defect["tests"].split()) or (
            "" if first else noticed(python, work, ["tests"])
        )
    finally:
        path.write_text(good, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="put old defects back, and see who notices")
    parser.add_argument("defects", nargs="*", help="their names")
    parser.add_argument("--first", action="store_true", help="only the tests that each names")
    options = parser.parse_args()
    with LIST.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        known = {each["defect"]: each for each in rows}
    if unknown := set(options.defects) - known.keys():
        parser.error(f"no such defect: {', '.join(sorted(unknown))}")
    chosen = [known[name] for name in options.defects or known]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place, "work")
        shutil.copytree(ROOT, work, ignore=_COPIED)
        python = environment(Path(place, "environment"), work)
        print("| defect | what was wrong | noticed by |\n|---|---|---|")
        for each in chosen:
            found[each["defect"]] = result = outcome(each, python, work, first=options.first)
            print(
                f"| {each['defect']} | {each['what was wrong']} | {result or 'none'} |", flush=True
            )
        tests = sorted({test.partition("[")[0] for test in found.values()} - {"", "stale"})
        if failed := noticed(python, work, tests):
            print(f"the code as it is fails {failed} as well, so that nothing can be told")
            return 1
    caught = sum(result not in ("", "stale") for result in found.values())
    stale = sum(result == "stale" for result in found.values())
    print(f"{caught} of {len(found)} defects noticed, {stale} to be written anew")
    return 0 if caught >= ENOUGH * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
