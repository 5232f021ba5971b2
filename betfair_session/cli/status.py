"""status: what is stored, and whether anything keeps the next call from logging in."""

from __future__ import annotations

import os
from pathlib import Path

from betfair_session.environment import Environment
from betfair_session.exceptions import StoreUnavailable
from betfair_session.login import lock as locks
from betfair_session.login.by_hand import Inspection, Login, inspect
from betfair_session.login.errors import in_words, moment
from betfair_session.storage import open_store
from betfair_session.storage.contract import TokenStore
from betfair_session.storage.local import LocalStore
from betfair_session.storage.location import check_key

from .commands import command, environment, place, timeout
from .output import Output, rows, with_unlock

_INDENT = 10


@command(*place(), timeout(5, "for each answer of the store"))
def status(out: Output, *, store: str | None, key: str | None, timeout: float) -> int:
    """Show what is stored and who is logging in.

    What the store says: how old the token is, who is logging in, which login was refused and how
    long that counts. Betfair is not asked, so no variable of the account is needed.

    Examples:
      betfair-session status
      betfair-session status --json | jq -r .login.state

    login.state is free, held (a process is logging in), refused (by Betfair), unanswered or
    unstored (the last login ended so), or braked (too many in a minute). Times are the store's own.

    exit code 0: it could be looked at, whatever was found
    """
    opened, name = open_place(environment(store, key))
    with opened:
        see_directory(opened)
        with out.progress(lambda: f"waiting for {opened.label} …"):
            found = inspect(opened, name, timeout=timeout)
        out.tell(_document(opened, name, found), _text(opened, name, found))
    return 0


def open_place(given: Environment) -> tuple[TokenStore, str]:
    place = given.place()
    key = check_key(place.key)
    return open_store(place.store, place.storage_options), key


def see_directory(store: TokenStore) -> None:
    """Refuse a file as a local store: reading below it finds nothing, as in a new directory."""
    path = Path(store.label) if isinstance(store, LocalStore) else Path()
    found = next(each for each in (path, *path.parents) if os.path.exists(each))
    if not os.path.isdir(found):
        message = f"{found} is a file, not a directory; STORE has to name a directory or a URL"
        raise StoreUnavailable(message, store=store.label, reason="other")


def token_words(found: Inspection) -> str:
    if found.token == "missing":  # noqa: S105 - it is no password
        return "none; the next call logs in"
    written = f"written {_ago(found.written, found.now)}" if found.written else "age unknown"
    if found.token == "junk":  # noqa: S105 - it is no password
        return f"no token but something else, {written}; the next call replaces it"
    return f"stored, {written}{' by the last login' if found.from_login else ''}"


def login_words(login: Login) -> str:
    lock = login.lock
    if lock is None:
        return "free; there was no login through this library yet"
    end = f"{in_words(login.until)} (in {span((login.until or 0) - login.now)})"
    since = _ago(lock.since, login.now)
    return {
        "free": f"free; {_before(lock, login.now)}",
        "held": f"taken: {lock.owner} is logging in since {since}; others may take over at {end}"
        if lock.owner
        else f"taken by an unknown process; others may take it over at {end}",
        "refused": f"refused by Betfair: {_refusal(lock)}; no other is tried before {end}",
        "unanswered": f"the last one ended without an answer; no other is tried before {end}",
        "unstored": "free; the new token of the last one could not be stored, so the next call "
        "first makes sure that it can write it",
        "braked": f"too many in the last minute ({len(login.recent)}); no other is tried before "
        f"{end}",
    }[login.state]


def _before(lock: locks.Lock, now: float) -> str:
    """Say how the last login went, of a lock that is free."""
    if lock.state == locks.HELD:
        who = lock.owner or "a process"
        return f"{who} took it at {_ago(lock.since, now)} and never finished"
    if lock.state == locks.FAILED:
        told = {"unknown": "ended without an answer", "store": "could not be stored"}
        how = told.get(lock.login_class, f"was refused: {_refusal(lock)}")
        return f"the last login, at {_ago(lock.since, now)}, {how}"
    if not lock.logins:
        return "no login is on record"
    return f"the last login began at {_ago(max(lock.logins), now)}"


def _refusal(lock: locks.Lock) -> str:
    times = f", {lock.refusals} times in a row" if lock.refusals > 1 else ""
    return f"{lock.status}{times}"


def refusal_hint(found: Inspection) -> str:
    """Return what to do about a refused login, or ""."""
    lock = found.login.lock
    if found.login.state != "refused" or lock is None:
        return ""
    from betfair_session.betfair.login_status import describe

    return with_unlock(describe(lock.status).hint, lock.login_class)


def _text(store: TokenStore, key: str, found: Inspection) -> str:
    login = found.login
    once = "one login for all who share it" if store.atomic else "each process logs in by itself"
    refusals = login.lock.refusals if login.lock else 0
    own_clock = found.clock or not (found.written or login.lock)
    cells = {
        "store": f"{store.label} ({once})",
        "key": key,
        "token": token_words(found),
        "login": login_words(login),
        "": refusal_hint(found),
        "logins": f"{len(login.recent)} in the last minute",
        "refusals": f"{refusals} in a row" if refusals else "none",
        "clock": "" if own_clock else "this machine's; the store does not tell its own",
    }
    alarm = {"login": {"free": "", "held": "yellow"}.get(login.state, "red")}
    return rows(
        [(name, text, alarm.get(name, "")) for name, text in cells.items() if text], _INDENT
    )


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
        "login": login_document(found.login),
        "now": moment(found.now),
        "clock": "store" if found.clock else "machine",
    }


def login_document(login: Login) -> dict[str, object]:
    """Return the state of the shared login for programs."""
    lock = login.lock or locks.Lock(locks.DONE)
    held = login.state == "held"
    return {
        "state": login.state,
        "until": moment(login.until),
        "owner": lock.owner if held else None,
        "since": moment(lock.since) if held else None,
        "ttl_seconds": lock.ttl if held else None,
        "last_login": moment(max(lock.logins, default=None)),
        "logins_in_last_minute": len(login.recent),
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
    return f"{in_words(then)} ({span(now - then)} ago)"
