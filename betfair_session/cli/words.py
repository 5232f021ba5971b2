"""Times and the state of the shared login, in words and for JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from betfair_session.login.by_hand import Login

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def moment(seconds: float | None) -> str:
    """Write a time, in seconds since the epoch, for people."""
    time = utc(seconds)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else "an unknown time"


def iso(seconds: float | None) -> str | None:
    """Write a time, in seconds since the epoch, for programs."""
    time = utc(seconds)
    return time.isoformat(timespec="seconds") if time else None


def span(seconds: float) -> str:
    """Write a number of seconds, not below 0, with its largest unit: "90 s", "2 h", "3 days"."""
    seconds = max(seconds, 0)
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def ago(then: float, now: float) -> str:
    """Write a past time: the moment and how long ago that is."""
    return f"{moment(then)} ({span(now - then)} ago)"


def login_words(login: Login) -> str:
    """Say whether the next call may log in, and why not."""
    lock = login.lock
    if lock is None:
        return "free; there was no login through this library yet"
    if login.state == "free":
        return f"free; {_before(lock, login.now)}"
    if login.state == "unstored":
        return (
            "free; the new token of the last one could not be stored, so the next call first "
            "makes sure that it can write it"
        )
    end = f"{moment(login.until)} (in {span((login.until or 0) - login.now)})"
    if login.state == "held":
        if not lock.owner:
            return f"taken by an unknown process; others may take it over at {end}"
        since = ago(lock.since, login.now)
        return f"taken: {lock.owner} is logging in since {since}; others may take over at {end}"
    why = {
        "refused": f"refused by Betfair: {lock.status}{_times(lock)}",
        "unanswered": "the last one ended without an answer",
        "braked": f"too many in the last minute ({len(login.recent)})",
    }[login.state]
    return f"{why}; no other is tried before {end}"


def login_document(login: Login) -> dict[str, object]:
    """Return the same for programs."""
    lock = login.lock or locks.Lock(locks.DONE)
    held = login.state == "held"
    return {
        "state": login.state,
        "until": iso(login.until),
        "owner": lock.owner if held else None,
        "since": iso(lock.since) if held else None,
        "ttl_seconds": lock.ttl if held else None,
        "last_login": iso(max(lock.logins, default=None)),
        "logins_in_last_minute": len(login.recent),
        "refusals": lock.refusals,
        "status": lock.status or None,
        "login_class": lock.login_class or None,
    }


def _before(lock: locks.Lock, now: float) -> str:
    """Say how the last login went, of a lock that is free."""
    if lock.state == locks.HELD:
        who = lock.owner or "a process"
        return f"{who} took it at {ago(lock.since, now)} and never finished"
    if lock.state == locks.FAILED:
        how = {
            "unknown": "ended without an answer",
            "store": "could not be stored",
        }.get(lock.login_class, f"was refused: {lock.status}{_times(lock)}")
        return f"the last login, at {ago(lock.since, now)}, {how}"
    if not lock.logins:
        return "no login is on record"
    return f"the last login began at {ago(max(lock.logins), now)}"


def _times(lock: locks.Lock) -> str:
    return f", {lock.refusals} times in a row" if lock.refusals > 1 else ""


def utc(seconds: float | None) -> datetime | None:
    """Return a time, in seconds since the epoch; None when there is no such time."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
