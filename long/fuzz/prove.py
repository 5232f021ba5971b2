"""Fuzzes everything that the library takes from outside, with atheris.

    pip install atheris
    python3 dev.py long fuzz --seconds 3600              # all targets, one after another
    python3 dev.py long fuzz --seconds 600 lock dotenv   # these alone

Needs a Python that atheris has a wheel for. The
targets are long/fuzz/targets.py; they start from long/fuzz/corpus and a few good inputs. A bug is
an exception that a target lets through, or more than SLOW seconds of work for one input: it is
printed with the input, and the search goes on. At the end the corpus is reduced to inputs that
each reach something new, and kept; `pytest long/fuzz` replays it. Ends with 1 when there was a
bug.
"""

from __future__ import annotations

import argparse
import base64
import os
import shlex
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
    """Run what the command line says."""
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=3600, help="in all (3600)")
    chosen = parser.parse_args()
    names = chosen.targets or list(TARGETS)
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    return max([_fuzz(name, chosen.seconds // len(names)) for name in names])


def _fuzz(target: str, seconds: int) -> int:
    """Fuzz one target in a process of its own, and keep what is new."""
    from fuzz import corpus
    from fuzz.seeds import seeds

    with tempfile.TemporaryDirectory() as place:
        found, fewer, bugs = (Path(place, name) for name in ("found", "fewer", "bugs"))
        for directory in (found, fewer, bugs):
            directory.mkdir()
        for number, each in enumerate([*seeds(target), *corpus.load(target)]):
            Path(found, str(number)).write_bytes(each)
        code = _child(
            target,
            bugs,
            str(found),
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST}",
            f"-timeout={_HANGS}",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={bugs}/",
        )
        _child(target, bugs, "-merge=1", str(fewer), str(found))
        kept = corpus.save(target, [each.read_bytes() for each in fewer.iterdir()])
        shown = sorted(bugs.iterdir())
        print(f"{target}: exit {code}, {kept} inputs kept, {len(shown)} bugs", flush=True)
        for bug in shown:
            print(f"  {bug.name}: {base64.b64encode(bug.read_bytes()).decode()}", flush=True)
    return 1 if code or shown else 0


def _child(target: str, bugs: Path, *arguments: str) -> int:
    command = [sys.executable, os.path.abspath(__file__), "--child", target, str(bugs)]
    # libFuzzer starts itself again to merge, by the program's name.
    again = bugs.with_name("again")
    again.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', "utf-8")
    again.chmod(0o700)
    return subprocess.run([*command, *arguments], check=False).returncode


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

    atheris.Setup([str(bugs.with_name("again")), *arguments], run)
    atheris.Fuzz()


def _import_all() -> None:
    """Import what the library imports late, so that it is instrumented, too."""
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
