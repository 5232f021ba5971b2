"""The inputs that are kept: one text file per target, one input a line, in base64.

The keys and certificates in them were made for this, and are of no use for anything else.
"""

from __future__ import annotations

import base64
from pathlib import Path

DIRECTORY = Path(__file__).with_name("corpus")

MOST = 60
"""Inputs that are kept of a target."""

LARGEST = 4500
"""Bytes of an input that is kept."""


def load(target: str) -> list[bytes]:
    """Return a target's inputs; none when there is no file."""
    path = DIRECTORY / f"{target}.txt"
    if not path.exists():
        return []
    return [base64.b64decode(line) for line in path.read_text("ascii").split("\n")]


def save(target: str, inputs: list[bytes]) -> int:
    """Keep the shortest of some inputs; return how many that are."""
    short = sorted({each for each in inputs if len(each) <= LARGEST}, key=lambda e: (len(e), e))
    # Evenly from short to long: the long ones reach further.
    kept = short if len(short) <= MOST else short[:: -(-len(short) // MOST)]
    DIRECTORY.mkdir(exist_ok=True)
    lines = [base64.b64encode(each).decode() for each in kept]
    (DIRECTORY / f"{target}.txt").write_text("\n".join(lines), "ascii")
    return len(kept)
