"""What a worker process is told to do, and what it tells of it, as JSON on its pipes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

Stage: TypeAlias = Literal["before", "after"]
Signal: TypeAlias = Literal["KILL", "STOP"]


class Stop(NamedTuple):
    """Where a process ends or freezes, by its own hand.

    Attributes:
        at: the number of the point, counted from 0, or its name (see `Points`).
        stage: before or after the thing itself.
        signal: which it sends to itself.
    """

    at: int | str
    stage: Stage
    signal: Signal


class Job(NamedTuple):
    """One process's work.

    Attributes:
        url: the store.
        options: its storage options.
        key: the token's name.
        identity: the arguments of IdentityClient.
        username: whose account.
        password: its password. It travels on standard input, never as an argument.
        lease: the arguments of LeaseSettings.
        timeout: seconds that the call may take.
        calls: how many it makes, one each time that it is let go.
        forks: how many children, which make one call each, it forks when it is let go after that.
        warm: whether the store's connection is opened beforehand, so that a crowd meets.
        stop: where to end or freeze.
        inside: whether what the process does to files counts as points, too.
        clock_offset: seconds that the machine's clock is wrong.
        waits: which part of each wait is waited; see `shorten_waits`.
    """

    url: str
    options: dict[str, Any]
    key: str
    identity: dict[str, Any]
    username: str
    password: str
    lease: dict[str, float] = {}  # noqa: RUF012 - never changed
    timeout: float = 60.0
    calls: int = 1
    forks: int = 0
    warm: bool = False
    stop: Stop | None = None
    inside: bool = False
    clock_offset: float = 0.0
    waits: float = 1.0

    @staticmethod
    def decode(fields: dict[str, Any]) -> Job:
        """Make it from JSON's types."""
        return Job(**{**fields, "stop": Stop(*fields["stop"]) if fields["stop"] else None})


class Outcome(NamedTuple):
    """What became of one call.

    Attributes:
        token: what it returned, or "".
        error: the name of the error's class, or "".
        text: the error's text.
        status: Betfair's code in it.
        not_before: the time in it, or "".
        ended: when it ended, by the machine's monotonic clock.
        points: the things that the process did until then, in order.
        nonce: a nonce that the process drew afterwards.
    """

    token: str = ""
    error: str = ""
    text: str = ""
    status: str = ""
    not_before: str = ""
    ended: float = 0.0
    points: tuple[str, ...] = ()
    nonce: str = ""

    @property
    def store_calls(self) -> int:
        """How many calls the store got."""
        return sum(not point.startswith(("login", "logout")) for point in self.points)

    @staticmethod
    def decode(fields: dict[str, Any]) -> Outcome:
        """Make it from JSON's types."""
        return Outcome(**{**fields, "points": tuple(fields["points"])})
