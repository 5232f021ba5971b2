"""What a worker process is told to do, and what it reports, as JSON on its pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

Stage: TypeAlias = Literal["before", "after"]
Signal: TypeAlias = Literal["KILL", "STOP"]


class Stop(NamedTuple):
    """Where a process ends or freezes, by its own hand."""

    at: int | str  # the number of the point, counted from 0, or its name (see `Points`)
    stage: Stage  # before or after the action itself
    signal: Signal  # which it sends to itself


class Job(NamedTuple):
    """One process's work."""

    url: str
    options: dict[str, Any]  # the store's
    key: str
    identity: dict[str, Any]  # the arguments of IdentityClient
    username: str
    password: str  # it travels on standard input, never as an argument
    lease: dict[str, float] = {}  # noqa: RUF012 - the arguments of LeaseSettings, never changed
    timeout: float = 60.0  # seconds that a call may take
    calls: int = 1  # how many it makes, one each time that it is released
    forks: int = 0  # how many children of one call each it forks at the next release
    warm: bool = False  # whether it opens the store's connection beforehand, so that a crowd meets
    stop: Stop | None = None
    inside: bool = False  # whether what the process does to files counts as points, too
    clock_offset: float = 0.0  # seconds that the machine's clock is wrong
    waits: float = 1.0  # which part of each wait is waited; see `waits_of`

    @staticmethod
    def decode(fields: dict[str, Any]) -> Job:
        return Job(**{**fields, "stop": Stop(*fields["stop"]) if fields["stop"] else None})


class Outcome(NamedTuple):
    token: str = ""
    error: str = ""  # the name of the error's class
    text: str = ""  # the error's
    ended: float = 0.0  # when, by the machine's monotonic clock
    points: Sequence[str] = ()  # the things that the process did until then, in order
    nonce: str = ""  # one that the process drew afterwards

    @property
    def store_calls(self) -> int:
        return sum(not point.startswith(("login", "logout")) for point in self.points)
