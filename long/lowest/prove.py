"""The suite with the lowest versions that pyproject.toml allows, as uv resolves them.

Usage: prove.py [arguments for pytest]. What these need in turn is the newest that goes with them;
so are the tests' own tools, which may raise no version of what a user installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".venv" / "lowest"
PYTHON = PLACE / "bin" / "python"
LOWEST, LIST = PLACE / "lowest.txt", PLACE / "requirements.txt"
UV = str(Path(sys.executable).with_name("uv"))
EXTRAS = ("--extra", "all", "--extra", "cli")
SHOWN = ("adlfs", "cryptography", "fsspec", "gcsfs", "obstore", "requests", "s3fs", "urllib3")


def uv(*arguments: object) -> None:
    subprocess.run(
        [UV, "--quiet", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "VIRTUAL_ENV": str(PLACE)},
        check=True,
    )


def main(arguments: list[str]) -> int:
    """Resolve, install, print what was used, and test; the last line is pytest's."""
    uv("venv", "--clear", "--python", sys.executable, PLACE)
    resolve = ("pip", "compile", *EXTRAS, "--python", PYTHON, "pyproject.toml", "--output-file")
    uv(*resolve, LOWEST, "--resolution", "lowest-direct")
    uv(*resolve, LIST, "--group", "test", "--constraint", LOWEST)
    uv("pip", "sync", LIST)
    uv("pip", "install", "--no-deps", ".")
    uv("pip", "check")
    lines = LIST.read_text("utf-8").splitlines()
    versions = [line for line in lines if line.partition("==")[0] in SHOWN]
    print(f"with {', '.join(versions)}", flush=True)
    tests = arguments or ["-n", "2", "--dist", "loadgroup", "tests"]
    command = [str(PYTHON), "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    # What is tested is what was installed, not the directory.
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "PYTHONSAFEPATH": "1"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
