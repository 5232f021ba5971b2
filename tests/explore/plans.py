"""The explorations: which worlds, with which faults.

Some thirty small adversaries rather than one that may do everything: faults meet in twos and
threes, and an exploration stays small enough to be finished, or to be walked far into.

What the model leaves out:

- Time goes on in jumps, and only so often; a process may sit out any of them (a freeze), at any
  call. Whether a call was late by more than its own time-out is therefore not told apart.
- A fault is something the adversary pays for; it has two to four. Reads are never stale, an
  object is never torn, Betfair never rotates a token, a logout never fails, and every store is
  one that is vouched for.
- A store that says a write failed (500) and carries it out later is looked at in plans of its own,
  in which a token may be stored that was logged out: that cannot be helped, only be survived.
- Names are the first that nobody uses any more; worlds that differ only in names are joined in most
  cases, not in all.
- Where `brake` is off, the lock's list of earlier logins is left out.
- A call's answer comes when the call is made: a process frozen between the two is one frozen
  before its next call. Only its idea of the server's time could differ; the "blur" fault stands
  for that, and the random histories do better.
- Waits take no time: whoever waits may look again at any moment. That everybody ends is shown
  separately, by leaving one world in 64 alone (finish.py), with time.
- Worlds are told apart by 64 bits of a digest. The chance that any two of n were taken for one, so
  that what follows the second went unseen, is about n² / 2⁶⁵.
"""

from __future__ import annotations

from dataclasses import replace

from betfair_session.login import lock as locks
from betfair_session.login.account import LeaseSettings

from .rules import Rules

_HELD = locks.Lock(locks.HELD, ttl=30.0)
_LONG = locks.Lock(locks.HELD, ttl=120.0)
_BANNED = locks.Lock(locks.FAILED, refusals=1, since=0.0, not_before=1200.0)

SUSPENDED = Rules("suspended", kinds=("crash", "delay", "death"), faults=2, times=2, still=True)

LATE_LANDING = Rules(
    "refused three times, lands", processes=2, spare=0, kinds=("lies",), faults=3, times=0
)
"""A login whose token is refused three times is undone, and one of the three lands later."""

PLANS: tuple[Rules, ...] = (
    Rules("crash and delay", kinds=("crash", "delay", "lost"), faults=3, times=3, token="missing"),
    Rules("death in mid-login", kinds=("death", "crash", "lost"), faults=3, times=2, token="live"),
    Rules(
        "every store fault", kinds=("reads", "writes", "disguise", "echo", "lost", "delay"), times=2
    ),
    Rules("store faults on S3", kinds=("writes", "delay", "death"), faults=3, etags=True),
    Rules("a refused write lands", kinds=("lies", "crash"), faults=4, times=2),
    Rules("a refused write lands, etags", kinds=("lies", "death"), faults=4, etags=True),
    Rules("foreign writer", kinds=("foreign", "crash", "delay"), faults=3, token="missing"),
    Rules("foreign writer, etags", kinds=("foreign", "lost", "delete"), faults=3, etags=True),
    Rules("deletions", kinds=("delete", "crash", "delay"), faults=3, token="missing"),
    Rules("unlocked by a person", kinds=("unlock", "crash", "delay", "death"), faults=3, times=3),
    Rules(
        "refusals",
        kinds=("refuse", "crash", "lost"),
        faults=3,
        times=3,
        refusals=("credentials", "temporary"),
    ),
    Rules(
        "refused in between",
        kinds=("refuse", "delete", "foreign"),
        faults=3,
        jumps=(16.0, 64.0),
        refusals=("ban", "credentials"),
    ),
    Rules(
        "ban, until it ends",
        kinds=("refuse", "death", "crash"),
        faults=3,
        times=3,
        jumps=(32.0, 1201.0),
        refusals=("ban",),
    ),
    Rules(
        "ban found",
        kinds=("foreign", "delete", "lost"),
        faults=3,
        times=2,
        jumps=(600.0, 601.0),
        lock=(_BANNED, 0.0),
    ),
    Rules(
        "ban, wrong clocks",
        kinds=("refuse", "crash"),
        faults=2,
        times=3,
        token="missing",
        skews=(-3600.0, 3600.0),
        jumps=(16.0, 1201.0),
        refusals=("ban", "temporary"),
    ),
    Rules("unclear answers", kinds=("unclear", "crash", "lost", "death"), faults=3, times=2),
    Rules(
        "clocks off",
        kinds=("crash", "death", "delay"),
        faults=3,
        token="missing",
        skews=(-60.0, 3600.0, 0.0),
    ),
    Rules("wall clock steps", kinds=("wall", "crash", "delay"), faults=3, times=2),
    SUSPENDED,
    Rules(
        "no dates",
        kinds=("blur", "crash", "refuse", "death"),
        faults=3,
        times=2,
        dates=False,
        still=True,
        skews=(0.0, -60.0),
        refusals=("ban", "temporary"),
    ),
    Rules(
        "short-lived callers",
        kinds=("crash", "lost", "reads"),
        faults=3,
        times=3,
        jumps=(5.0, 16.0),
        deadlines=(20.0, 10.0, float("inf")),
    ),
    Rules(
        "a dead holder", kinds=("crash", "delay"), lock=(_HELD, 0.0), times=3, jumps=(16.0, 32.0)
    ),
    Rules(
        "a dead holder, long ttl",
        kinds=("crash", "delete"),
        lock=(_LONG, 0.0),
        times=3,
        jumps=(32.0, 90.0),
    ),
    Rules(
        "junk all over",
        kinds=("writes", "lost", "crash"),
        token="junk",
        lock=(locks.JUNK, 16.0),
        times=3,
    ),
    Rules(
        "brake at two",
        kinds=("death", "crash"),
        faults=4,
        times=3,
        jumps=(16.0, 46.0),
        brake=True,
        settings=LeaseSettings(logins_per_minute=2),
    ),
    Rules(
        "brake at one",
        kinds=("death", "lost", "unclear"),
        faults=3,
        times=3,
        jumps=(16.0, 61.0),
        brake=True,
        dates=False,
        settings=LeaseSettings(logins_per_minute=1),
    ),
    Rules(
        "shared verification",
        kinds=("death", "delay", "crash"),
        faults=3,
        times=3,
        token="live",
        share=True,
    ),
    Rules(
        "shared verification, etags",
        kinds=("death", "delay", "foreign", "lost"),
        faults=3,
        token="live",
        etags=True,
        share=True,
    ),
    Rules(
        "shared verification, waiters",
        kinds=("delete", "foreign", "delay"),
        faults=3,
        token="missing",
        share=True,
    ),
    Rules(
        "four processes", processes=4, spare=0, kinds=("crash", "delay"), times=2, token="missing"
    ),
    Rules("four and a death", processes=4, spare=0, kinds=("death", "lost"), times=2, token="live"),
)

PAIRS: tuple[Rules, ...] = tuple(
    replace(plan, name=f"{plan.name}, 2", processes=2, spare=0, faults=2, times=1) for plan in PLANS
)
"""The same with two processes, two faults and one jump, small enough to be seen to the end."""

CONTROLS: dict[str, tuple[Rules, str]] = {
    "nonce": (Rules("no nonce", processes=2, token="missing", broken="nonce"), "I1"),
    "server age": (Rules("held is expired", processes=2, broken="server age"), "I1"),
    "re-read": (Rules("no second look", processes=2, kinds=("delete",), broken="re-read"), "I1"),
    "lock condition": (Rules("lock condition ignored", processes=2, broken="lock condition"), "I1"),
    "token condition": (
        Rules("token condition ignored", processes=2, broken="token condition"),
        "I2",
    ),
    "rewrite condition": (
        Rules(
            "rewrite condition ignored",
            processes=2,
            token="live",
            kinds=("death",),
            share=True,
            broken="rewrite condition",
        ),
        "I2",
    ),
}
"""Negative controls: what is broken, and the invariant that must then fail."""
