"""The straightforward port, for comparison: exists, read, keepAlive, log in, write.

The obvious program: right for one process, but every process of a fleet runs it at the same
moment. It uses the library's client, and fsspec as its documentation shows it.
"""

# ruff: noqa: INP001 - it is a program, no part of a package

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fsspec
from fleet.job import Outcome
from fleet.worker import main

from betfair_session import BetfairSessionError, IdentityClient

if TYPE_CHECKING:
    from fleet.job import Job


@dataclass
class Straightforward:
    """One process's work.

    Attributes:
        job: where the token is kept, and whose it is.
        calls: of the filesystem so far (each may be several requests).
    """

    job: Job
    calls: int = 0

    def __post_init__(self) -> None:
        """Connect, so that a crowd meets."""
        self._client = IdentityClient(**self.job.identity)
        self._filesystem, root = fsspec.core.url_to_fs(self.job.url, **self.job.options)
        self._path = f"{root}/{self.job.key}"
        self._filesystem.exists(f"{root}/nothing")

    def get_session(self) -> str:
        """Return a live token."""
        self.calls += 1
        if self._filesystem.exists(self._path):
            self.calls += 1
            token: str = self._filesystem.cat_file(self._path).decode()
            if self._client.keep_alive(token) is not None:
                return token
        token = self._client.certlogin(self.job.username, self.job.password).reveal()
        self.calls += 1
        self._filesystem.pipe_file(self._path, token.encode())
        return token

    def work(self) -> Outcome:
        """Make one call."""
        token, error = "", ""
        try:
            token = self.get_session()
        except (BetfairSessionError, OSError) as problem:
            error = type(problem).__name__
        points = tuple(f"call {number}" for number in range(self.calls))
        return Outcome(token=token, error=error, ended=time.monotonic(), points=points)


if __name__ == "__main__":
    main(Straightforward)
