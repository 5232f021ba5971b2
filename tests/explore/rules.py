"""What one exploration is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from betfair_session.login.account import LeaseSettings

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock


@dataclass(frozen=True)
class Rules:
    """One exploration: how the world begins, what its adversary may do, and what is broken in it.

    Attributes:
        name: for people.
        processes: how many run at a time.
        brake: whether logins are counted; else no brake is ever met, and I5 is not looked at.
        spare: how many more begin when one has ended.
        token: what is stored at first: "missing", "dead", "live" or "junk".
        lock: the lock at first, its true age, or None.
        faults: how many faults the adversary has in all.
        kinds: the faults that it may choose from.
        jumps: the seconds by which time may go on.
        times: how often it may.
        still: whether a process's monotonic clock may stand still meanwhile.
        skews: how wrong the processes' wall clocks are; the first for the first, and so on.
        deadlines: how long the processes may wait; likewise.
        dates: whether each answer of the store tells its time (else it is asked for once).
        etags: whether a token's version is its content, as on S3 and in files.
        share: whether a verified token is written anew.
        refusals: the kinds of refusal.
        settings: the lease's.
        broken: a part of the harness that is taken away, as a negative control.
    """

    name: str
    processes: int = 3
    brake: bool = False
    spare: int = 1
    token: str = "dead"
    lock: tuple[Lock, float] | None = None
    faults: int = 2
    kinds: tuple[str, ...] = ()
    jumps: tuple[float, ...] = (16.0, 32.0)
    times: int = 2
    still: bool = False
    skews: tuple[float, ...] = (0.0,)
    deadlines: tuple[float, ...] = (float("inf"),)
    dates: bool = True
    etags: bool = False
    share: bool = False
    refusals: tuple[str, ...] = ("temporary",)
    settings: LeaseSettings = field(default_factory=LeaseSettings)
    broken: str = ""
