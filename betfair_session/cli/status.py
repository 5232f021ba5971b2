"""status: what is stored, and whether anything keeps the next call from logging in."""

from __future__ import annotations

import os

from betfair_session.login import lock as locks
from betfair_session.login.by_hand import Inspection, inspect
from betfair_session.login.errors import in_words, moment, with_unlock
from betfair_session.storage import open_store
from betfair_session.storage.contract import TokenStore
from betfair_session.storage.local import LocalStore
from betfair_session.storage.location import check_key

from .commands import command, place, timeout
from .output import ERROR, REFUSED, Finding, Output, in_rows


@command(*place(), timeout(5, "for each answer of the store"))
def status(out: Output, *, timeout: float) -> None:
    """Show what is stored and who is logging in.

    What the store says: how old the token is, who is logging in, which login was refused and how
    long that counts. Betfair is not asked, so the account's variables are not needed.

    Examples:
      betfair-session status
      betfair-session status --json | jq -r .login.state

    login.state is free, held (a process is logging in), refused (by Betfair), unanswered or
    unstored (the last login ended so), or braked (too many in a minute). Times are the store's own.

    exit codes: 0 the store could be read; 2 the object is other data than a token (over 1 KiB)
    """
    opened, name = open_place(out)
    with opened:
        with out.progress(lambda: f"waiting for {opened.label} …"):
            found = inspect(opened, name, timeout=timeout)
        once = "one login for all who share it" if opened.atomic else "each process logs in alone"
        if opened.atomic and opened.probe:
            once += ", if the server keeps conditions: `doctor` tests that"
        shared = Finding("shared login", "ok", once)
        shown = (what_is_stored(opened, name, found), shared, next_login(found, out))
        out.tell(_document(opened, name, found), "\n".join(map(in_rows, shown)))


def open_place(out: Output) -> tuple[TokenStore, str]:
    place = out.environment().place()
    key = check_key(place.key)
    return open_store(place.store, place.storage_options), key


def what_is_stored(store: TokenStore, key: str, found: Inspection) -> Finding:
    new = isinstance(store, LocalStore) and not os.path.isdir(store.label)
    where = f"{store.label}, a directory that does not exist yet" if new else store.label
    by = "" if found.clock else " by this machine's clock, since the store does not show its own"
    written = f"written at {_ago(found.written, found.now)}{by}" if found.written else "age unknown"
    words = {
        "missing": "no token; the next call logs in",
        "junk": f"something that is not a token, {written}; the next login replaces it",
        "stored": f"stored, {written}{', by the last login' if found.from_login else ''}",
    }
    return Finding("store", "ok", f"{key!r} in {where}: {words[found.token]}")


def next_login(login: Inspection, out: Output) -> Finding:
    """Say how the last login went, and whether that keeps the next one back."""
    name, lock = "next login", login.lock
    since = max(lock.logins, default=0.0) if lock.state == locks.DONE else lock.since
    told = {"unknown": "ended without a clear answer", "store": "could not be stored"}
    times = f" {lock.refusals} times in a row, the last time" if lock.refusals > 1 else ""
    refused = f"was refused{times}: {lock.status}"
    how = {
        locks.DONE: "is over",
        locks.HELD: "has not finished",
        locks.FAILED: told.get(lock.login_class, refused),
    }[lock.state]
    last = f"the login of {lock.owner or 'another process'} at {_ago(since, login.now)} {how}"
    if lock.state == locks.DONE and not since:
        last = "no login is on record"
    until = f"{in_words(login.until)} (in {span((login.until or 0) - login.now)})"
    end = {
        "free": "the next call may log in at once",
        "held": f"others may take over at {until}",
        "unstored": "the next call first checks that it can write",
    }.get(login.state, f"no other login is made before {until}")
    if login.state == "free":
        return Finding(name, "ok", f"{last}; {end}")
    if login.state == "refused":
        from betfair_session.betfair.login_status import describe

        hint = describe(lock.status).hint
        hint = with_unlock(hint, lock.login_class, out.command("unlock"))
        return Finding(name, "problem", f"{last}; {end}", hint, REFUSED)
    if login.state == "braked":
        many = f"there were {len(lock.recent(login.now))} logins in the last minute; {end}"
        advice = (
            "find out what ends each new session: an egress address that changes between calls, a "
            "wrong jurisdiction, or another program that logs out"
        )
        return Finding(name, "problem", many, advice, ERROR)
    return Finding(name, "warning", f"{last}; {end}", "wait, and look again")


def _document(store: TokenStore, key: str, found: Inspection) -> dict[str, object]:
    age = None if found.written is None else round(found.now - found.written, 3)
    return {
        "store": store.label,
        "key": key,
        "shared": store.atomic,
        "token": {
            "state": found.token,
            "written": moment(found.written),
            "age_seconds": age,
            "from_last_login": found.from_login,
        },
        "login": login_document(found),
        "now": moment(found.now),
        "clock": "store" if found.clock else "machine",
    }


def login_document(login: Inspection) -> dict[str, object]:
    """Return the state of the shared login for programs."""
    lock = login.lock
    held = login.state == "held"
    return {
        "state": login.state,
        "until": moment(login.until),
        "owner": lock.owner if held else None,
        "since": moment(lock.since) if held else None,
        "ttl_seconds": lock.ttl if held else None,
        "last_login": moment(max(lock.logins, default=None)),
        "logins_in_last_minute": len(lock.recent(login.now)),
        "refusals": lock.refusals,
        "status": lock.status or None,
        "login_class": lock.login_class or None,
    }


def span(seconds: float) -> str:
    """Write a number of seconds, not below 0, with its largest unit: "90 s", "2 h", "3 days"."""
    seconds = max(seconds, 0)
    for unit, length_seconds, below in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below:
            return f"{seconds / length_seconds:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _ago(then: float, now: float) -> str:
    return f"{in_words(then)} ({span(now - then)} ago)" if then else in_words(None)
