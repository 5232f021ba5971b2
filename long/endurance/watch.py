"""Start the program, and compare what it told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage.places import Place

    from betfair_session.sandbox import Sandbox

_PROGRAM = Path(__file__).with_name("program.py")
_TENTHS = 9
_LOOSE = 3  # connections come and go; of 200 calls ten make a manager of their own, or log in


@dataclass(frozen=True)
class Told:
    """What one run told.

    Attributes:
        during: what the process held after each tenth of its calls.
        after: what it held when its manager was closed.
        complaints: what it wrote on standard error, and how it ended otherwise than well.
    """

    during: list[dict[str, Any]]
    after: dict[str, Any]
    complaints: str

    @property
    def growth(self) -> dict[str, tuple[object, object]]:
        """What there was more of after nine tenths than after the second: names, both figures."""
        early, late = self.during[1], self.during[-1]
        grown = {
            name: (early[name], late[name])
            for name in ("descriptors", "sockets")
            if late[name] > early[name] + _LOOSE
        }
        grown |= {
            name: (early[name], late[name])
            for name in ("threads", "loops", "temporary files")
            if late[name] != early[name]
        }
        return grown


def watch(sandbox: Sandbox, place: Place, calls: int) -> Told:
    """Run the program on a place.

    Args:
        sandbox: Betfair; it must allow as many logins as there are.
        place: where the token is kept.
        calls: how many calls, at least 100.

    Returns:
        What it told.
    """
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [
                *(sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"),
                *("-W", "ignore::SyntaxWarning", str(_PROGRAM)),
                *(str(calls), place.url("endurance"), "session.token", json.dumps(place.options)),
            ],
            env={**os.environ, **sandbox.environment(), "TMPDIR": directory},
            capture_output=True,
            text=True,
            check=False,
        )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    complaints = done.stderr
    if done.returncode or len(told) != _TENTHS + 1:
        complaints += f"\nexit code {done.returncode} after {len(told)} tenths"
    return Told(told[:-1], told[-1] if told else {}, complaints)
