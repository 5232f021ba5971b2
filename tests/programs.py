"""Runs the package's own program as a person would, without this machine's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CLI = (sys.executable, "-m", "betfair_session")
SECONDS = 120
"""How long a program may take before a test gives up on it."""


def scrubbed(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with the user's path, what coverage needs, and nothing else."""
    names = ("PATH", "SYSTEMROOT")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in names or name.startswith("COVERAGE_")
    }
    return {**kept, "PYTHONWARNINGS": "error", **(variables or {})}


def run(
    *command: str,
    variables: Mapping[str, str] | None = None,
    directory: Path,
    text: str = "",
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=scrubbed({"HOME": str(directory), **(variables or {})}),
        input=text,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def start(
    *command: str, directory: Path, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command, in a process group of its own, whose output goes to pipes."""
    return subprocess.Popen(
        command,
        cwd=directory,
        env=scrubbed(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def cli(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    directory: Path,
    text: str = "",
) -> subprocess.CompletedProcess[str]:
    return run(*CLI, *arguments, variables=variables, directory=directory, text=text)
