"""Sections of RESULTS.md, each between its own marks, and the tables in them."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESULTS = Path(__file__).parents[1] / "RESULTS.md"


def machine(packages: Iterable[str]) -> str:
    """Return a sentence on what measures: day, machine, versions."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, CPython {platform.python_version()}"
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{day}. {os.cpu_count()} cores, {memory:.0f} GiB, {system}. {versions}."


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def put(name: str, maker: str, text: str) -> None:
    """Put a section into RESULTS.md, in the place of an older one of the same name.

    Args:
        name: of the section, in its marks.
        maker: the program that makes it.
        text: what it says.
    """
    start, end = f"<!-- {name}: made by {maker} -->", f"<!-- /{name} -->"
    old = RESULTS.read_text("utf-8") if RESULTS.exists() else "# Measured\n"
    before, found, rest = old.partition(start)
    after = rest.partition(end)[2] if found else "\n"
    before = before if found else before.rstrip("\n") + "\n\n"
    RESULTS.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", "utf-8")
