"""Fuzzes everything that the library takes from outside, with atheris.

    python3 dev.py long fuzz --seconds 3600              # all targets, one after another
    python3 dev.py long fuzz --seconds 600 lock dotenv   # these alone

The targets are in targets.py; they start from a few good inputs, and those that once found a bug.
A bug is an exception that a target lets through, or more than SLOW seconds of work for one input:
it is printed with the input, and the search goes on. Ends with 1 when there was a bug.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

SLOW = 3.0
"""Seconds of work for one input that count as hanging."""

_LONGEST = 4500
_HANGS = 120  # seconds by the clock, for what never comes back; other programs may be running


def main() -> int:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=3600, help="in all (3600)")
    chosen = parser.parse_args()
    names = chosen.targets or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    bugs = [_fuzz(name, chosen.seconds // len(names)) for name in names]
    print(f"{len(names)} targets, {sum(bugs)} bugs")
    return int(any(bugs))


def _fuzz(target: str, seconds: int) -> int:
    """Fuzz one target in a process of its own; return how many bugs it found."""
    from fuzz.seeds import seeds

    with tempfile.TemporaryDirectory() as place:
        found, bugs = Path(place, "found"), Path(place, "bugs")
        for directory in (found, bugs):
            directory.mkdir()
        for number, each in enumerate(seeds(target)):
            Path(found, str(number)).write_bytes(each)
        limits = (f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_HANGS}")
        limits = (*limits, "-rss_limit_mb=2048", "-print_final_stats=1")
        command = [sys.executable, os.path.abspath(__file__), "--child", target, str(bugs)]
        command += [str(found), *limits, f"-artifact_prefix={bugs}/"]
        code = subprocess.run(command, check=False).returncode
        shown = sorted(bugs.iterdir())
        print(f"{target}: exit {code}, {len(shown)} bugs", flush=True)
        for bug in shown:
            print(f"  {bug.name}: {base64.b64encode(bug.read_bytes()).decode()}", flush=True)
        return len(shown) or int(code != 0)


def child(target: str, bugs: Path, arguments: list[str]) -> None:
    """Be the process that atheris runs in."""
    import atheris

    with atheris.instrument_imports(include=["betfair_session", "fuzz"]):
        from fuzz.targets import TARGETS

        _import_all()

    known: set[str] = set()

    def run(data: bytes) -> None:
        began = time.process_time()
        try:
            TARGETS[target](data)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__}-{Path(frame.filename).stem}-{frame.lineno}"
            if where not in known:
                traceback.print_exc()
        else:
            if time.process_time() - began < SLOW:
                return
            where = f"slow-{target}"
        if where not in known:
            known.add(where)
            Path(bugs, where).write_bytes(data)
            print(f"BUG {target} {where}", flush=True)

    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


def _import_all() -> None:
    import importlib
    import pkgutil

    import betfair_session

    for module in pkgutil.walk_packages(betfair_session.__path__, "betfair_session."):
        if not module.name.startswith(
            ("betfair_session.sandbox", "betfair_session.integrations", "betfair_session.__main__")
        ):
            importlib.import_module(module.name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        sys.exit(main())
