"""The explorations: which worlds, with which faults.

Some thirty small adversaries rather than one that may do everything: faults meet in twos and
threes, and an exploration stays small enough to be finished, or to be walked far into.

What the model leaves out:

- Time goes on in jumps, and only so often; a process may sit out any of them (a freeze), at any
  call. Whether a call was late by more than its own time-out is therefore not told apart.
- A fault is something the adversary pays for; it has two to four. Reads are never stale, an
  object is never torn, Betfair never rotates a token, a logout never fails, and every store is
  one that is vouched for.
- A store that says a write failed (500) and carries it out later has plans of its own. There a
  token that was logged out may be stored: this cannot be prevented, only survived.
- A new name is the first that is no longer in use; worlds that differ only in names are joined in
  most cases, not in all.
- The brake, a person's unlocking, and wall clocks that step are left to the random histories.
- A call's answer comes when the call is made: a process frozen between the two is one frozen
  before its next call. Only its idea of the server's time could differ, as in random histories.
- Waits take no time: a process that waits may look again at any moment. That every process ends
  is shown separately, by leaving one world in 64 alone (search.py), with time.
- Worlds are told apart by 64 bits of a digest. The chance that any two of n were taken for one, so
  that what follows the second went unseen, is about n² / 2⁶⁵.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from betfair_session.login import lock as locks
from betfair_session.login.account import LeaseSettings


@dataclass(frozen=True)
class Rules:
    """One exploration: how the world begins, and what its adversary may do."""

    name: str
    kinds: str = ""  # the faults that the adversary may choose from
    faults: int = 2  # how many it has in all
    times: int = 2  # how often time may go on
    processes: int = 3  # how many run at a time
    spare: int = 1  # how many begin when another has ended
    token: str = "dead"  # what is stored at first; or "missing", "live", "junk"
    lock: tuple[locks.Lock, float] | None = None  # the lock at first, and its true age
    jumps: tuple[float, ...] = (16.0, 32.0)  # seconds by which time goes on
    still: bool = False  # whether a process's monotonic clock may stand still meanwhile
    skews: tuple[float, ...] = (0.0,)  # how wrong the processes' wall clocks are, one by one
    deadlines: tuple[float, ...] = (float("inf"),)  # how long they may wait, likewise
    dates: bool = True  # whether each answer of the store has its time; else it is asked for once
    etags: bool = False  # whether a token's version is its content, as on S3 and in files
    share: bool = False  # whether a verified token is written anew
    refusals: tuple[str, ...] = ("temporary",)
    settings: LeaseSettings = field(default_factory=LeaseSettings)


_HELD = locks.Lock(locks.HELD, ttl=30.0)
_LONG = locks.Lock(locks.HELD, ttl=120.0)
_BANNED = locks.Lock(locks.FAILED, refusals=1, since=0.0, not_before=1200.0)
SUSPENDED = Rules("suspended", "crash delay death", 2, 2, still=True)
LATE_LANDING = Rules("refused three times, lands", "lies", 3, 0, processes=2, spare=0)
"""A login whose token is refused three times is undone, and one of the three lands later."""
# fmt: off
PLANS: tuple[Rules, ...] = (
    Rules("crash and delay", "crash delay lost", 3, 3, token="missing"),
    Rules("death in mid-login", "death crash lost", 3, 2, token="live"),
    Rules("every store fault", "reads writes disguise echo lost delay", 2, 2),
    Rules("store faults on S3", "writes delay death", 3, etags=True),
    Rules("a refused write lands", "lies crash", 4, 2),
    Rules("a refused write lands, etags", "lies death", 4, etags=True),
    Rules("foreign writer", "foreign crash delay", 3, token="missing"),
    Rules("foreign writer, etags", "foreign lost delete", 3, etags=True),
    Rules("deletions", "delete crash delay", 3, token="missing"),
    Rules("refusals", "refuse crash lost", 3, 3, refusals=("credentials", "temporary")),
    Rules("refused in between", "refuse delete foreign", 3, jumps=(16.0, 64.0),
        refusals=("ban", "credentials")),
    Rules("ban, until it ends", "refuse death crash", 3, 3, jumps=(32.0, 1201.0),
        refusals=("ban",)),
    Rules("ban found", "foreign delete lost", 3, 2, jumps=(600.0, 601.0), lock=(_BANNED, 0.0)),
    Rules("ban, wrong clocks", "refuse crash", 2, 3, token="missing", skews=(-3600.0,
        3600.0), jumps=(16.0, 1201.0), refusals=("ban", "temporary")),
    Rules("unclear answers", "unclear crash lost death", 3, 2),
    Rules("clocks off", "crash death delay", 3, token="missing", skews=(-60.0, 3600.0, 0.0)),
    SUSPENDED,
    Rules("no dates", "crash refuse death", 3, 2, dates=False, still=True, skews=(0.0,
        -60.0), refusals=("ban", "temporary")),
    Rules("short-lived callers", "crash lost reads", 3, 3, jumps=(5.0, 16.0),
        deadlines=(20.0, 10.0, float("inf"))),
    Rules("a dead holder", "crash delay", 2, 3, lock=(_HELD, 0.0), jumps=(16.0, 32.0)),
    Rules("a dead holder, long ttl", "crash delete", 2, 3, lock=(_LONG, 0.0), jumps=(32.0, 90.0)),
    Rules("junk all over", "writes lost crash", 2, 3, token="junk", lock=(locks.JUNK, 16.0)),
    Rules("shared verification", "death delay crash", 3, 3, token="live", share=True),
    Rules("shared verification, etags", "death delay foreign lost", 3, token="live",
        etags=True, share=True),
    Rules("shared verification, waiters", "delete foreign delay", 3, token="missing", share=True),
    Rules("four processes", "crash delay", 2, 2, processes=4, spare=0, token="missing"),
    Rules("four and a death", "death lost", 2, 2, processes=4, spare=0, token="live"),
)
# fmt: on

PAIRS: tuple[Rules, ...] = tuple(
    replace(plan, name=f"{plan.name}, 2", processes=2, spare=0, faults=2, times=1)
    for plan in PLANS
    if plan.processes == 3
)
"""The same with two processes, two faults and one jump, small enough to be seen to the end.

With two, those of four are others' again.
"""
