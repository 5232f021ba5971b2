"""dogpile.cache with a file lock, for comparison: one machine's processes share a file.

It cannot tell a dead token from a live one, so it serves only where there is none.
"""

# ruff: noqa: INP001 - it is a program, no part of a package

from __future__ import annotations

import fcntl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dogpile.cache import make_region
from fleet.job import Outcome
from fleet.worker import main

from betfair_session import BetfairSessionError, IdentityClient

if TYPE_CHECKING:
    from fleet.job import Job


@dataclass
class FileLock:
    """One process's work.

    Attributes:
        job: where the token is kept, and whose it is.
    """

    job: Job

    def __post_init__(self) -> None:
        """Open the file."""
        self._client = IdentityClient(**self.job.identity)
        self._points: list[str] = []
        directory = self.job.url.removeprefix("file://")
        arguments = {"filename": f"{directory}/dogpile"}
        with open(f"{directory}/made", "ab") as file:
            # One at a time: Python 3.13's dbm takes a half-made file for a broken one.
            fcntl.flock(file, fcntl.LOCK_EX)
            self._region = make_region().configure("dogpile.cache.dbm", 3600, arguments=arguments)

    def _log_in(self) -> str:
        self._points.append("login")
        return self._client.certlogin(self.job.username, self.job.password).reveal()

    def work(self) -> Outcome:
        """Make one call."""
        token, error = "", ""
        try:
            token = self._region.get_or_create(self.job.key, self._log_in)
        except (BetfairSessionError, OSError) as problem:
            error = type(problem).__name__
        points = tuple(self._points)
        return Outcome(token=token, error=error, ended=time.monotonic(), points=points)


if __name__ == "__main__":
    main(FileLock)
