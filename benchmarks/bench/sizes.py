"""What each extra puts on the disk, and what its peers do."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import betfair_session
from bench.report import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bench.targets import Target

TITLE = "Installed size"
ROOTS = {
    "betfair-session": "betfair-session",
    "betfair-session[obstore]": "betfair-session[obstore]",
    "betfair-session[s3]": "betfair-session[s3]",
    "betfair-session[gcs]": "betfair-session[gcs]",
    "betfair-session[azure]": "betfair-session[azure]",
    "requests": "requests",
    "boto3, requests": "boto3 requests",
    "google-cloud-storage, requests": "google-cloud-storage requests",
    "azure-storage-blob, requests": "azure-storage-blob requests",
    "betfairlightweight": "betfairlightweight",
    "dogpile.cache, requests": "dogpile.cache requests",
}


def measure(rounds: int, tell: Callable[[str], object]) -> dict[str, Any]:
    """Add up the files of every distribution that is needed, in this environment.

    Returns:
        By what is installed: how many distributions, and their MiB.
    """
    del rounds, tell
    found = {}
    for label, roots in ROOTS.items():
        names = closure(roots.split())
        size = sum(size_of(distribution(name)) for name in names)
        found[label] = {"distributions": len(names), "mib": size / 2**20}
    return found


def closure(roots: Iterable[str]) -> set[str]:
    """Return the names of all distributions that the requirements need here, themselves included.

    Args:
        roots: such as "betfair-session[s3]".
    """
    names: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        names.add(name)
        for extra in ("", *wanted.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needs = map(Requirement, distribution(name).requires or [])
            waiting += [
                need
                for need in needs
                if need.marker is None or need.marker.evaluate({"extra": extra})
            ]
    return names


def size_of(package: Distribution) -> int:
    """Return the bytes of a distribution's files, compiled modules not counted."""
    if canonicalize_name(package.metadata["Name"]) == "betfair-session":
        # It may be installed as a link to its source.
        source = Path(betfair_session.__file__).parent
        files: Iterable[Path] = source.rglob("*")
    elif package.files is None:
        raise PackageNotFoundError(package.metadata["Name"])
    else:
        files = (Path(str(file.locate())) for file in package.files)
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file())


def targets(figures: Mapping[str, Any]) -> list[Target]:
    """Return none: sizes are only listed."""
    del figures
    return []


def section(figures: Mapping[str, Any]) -> str:
    """Return the table and what it counts."""
    rows = [
        [label, str(figures[label]["distributions"]), f"{figures[label]['mib']:.1f}"]
        for label in ROOTS
    ]
    return f"""{table(["installed", "distributions", "MiB"], rows)}

- The files of all distributions that are needed, Python itself and compiled modules (`.pyc`) not
  counted.
"""
