"""A type checker catches what people get wrong: every mistake that `misuses.py` plants."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).with_name("misuses.py")


def test_mypy_catches_every_planted_misuse_and_nothing_else() -> None:
    """In strict mode, by the line."""
    config = FILE.parents[1] / "pyproject.toml"
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", str(config), str(FILE))
    told = subprocess.run(mypy, capture_output=True, text=True, check=False, cwd=config.parent)
    caught = {int(line) for line in re.findall(rf"{FILE.name}:(\d+): error", told.stdout)}
    lines = FILE.read_text("utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) >= 50, told.stderr
    assert caught == wrong
