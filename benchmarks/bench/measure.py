"""Fresh processes, measured in turn: A B C A B C …, so that a slow machine is slow for all."""

from __future__ import annotations

import os
import subprocess
import sys
from ast import literal_eval
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SECONDS = 120
"""How long a program may take before it is given up."""


class ProgramFailed(Exception):
    """A measured program failed; the text is what it said."""


@dataclass(frozen=True)
class Cost:
    """What one process cost.

    Attributes:
        seconds: from its start to its end.
        token_seconds: from its start until it printed its token (or ended without).
        cpu: the processor's seconds, the kernel's included.
        rss: the largest resident memory, MiB.
        token: what it printed.
    """

    seconds: float
    token_seconds: float
    cpu: float
    rss: float
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Program:
    """A program that prints a token, or nothing.

    Attributes:
        name: of its file in programs/, without .py.
        variables: its environment.
        token: what it has to print; None for any token.
    """

    name: str
    variables: Mapping[str, str] = field(repr=False)
    token: str | None = field(default="", repr=False)

    def run(self) -> Cost:
        """Run it once in a fresh interpreter.

        Raises:
            ProgramFailed: it ended with an error, or printed something else than the token.
        """
        launch = str(HERE / "launch.py")
        done = python("-I", "-S", launch, str(file_of(self.name)), **self.variables)
        found = literal_eval(done.stdout or "{}")
        token = found.pop("token", "")
        right = bool(token) if self.token is None else token == self.token
        if done.returncode or found.pop("status", 1) or not right:
            message = f"{self.name} printed {'a' if right else 'no'} token; {done.stderr[-2000:]}"
            raise ProgramFailed(message)
        return Cost(**{**found, "rss": found["rss"] / 1024}, token=token)


def file_of(name: str) -> Path:
    """Return a program's file."""
    return PROGRAMS / f"{name}.py"


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in an environment that holds nothing of the user's but the path."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return subprocess.run(  # noqa: S603 - this interpreter, with programs of ours
        [sys.executable, *arguments],
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def interleaved(
    programs: Mapping[str, Program], rounds: int, tell: Callable[[str], object]
) -> dict[str, Cost]:
    """Run all programs `rounds` times in turn; return the medians by the same names.

    Each is run once before that counts, so that its files are in the system's cache, and its
    compiled modules on the disk.
    """
    for program in programs.values():
        program.run()
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for name, program in programs.items():
            costs[name].append(program.run())
    return {name: middle(found) for name, found in costs.items()}


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.token_seconds for cost in costs),
        median(cost.cpu for cost in costs),
        median(cost.rss for cost in costs),
    )
