"""status: what is stored, and whether anything keeps the next call from logging in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.environment import Environment
from betfair_session.login.by_hand import inspect
from betfair_session.storage import open_store
from betfair_session.storage.location import check_key

from .output import rows, with_unlock
from .session import place_of, see_directory
from .words import ago, iso, login_document, login_words

if TYPE_CHECKING:
    from betfair_session.login.by_hand import Inspection
    from betfair_session.storage.contract import TokenStore

    from .output import Output

_INDENT = 10


def run(out: Output, *, store: str | None, key: str | None, timeout: float) -> int:
    """Look at the store alone; Betfair is not asked."""
    place = place_of(store, key, Environment())
    name = check_key(place.key)
    with open_store(place.store, place.storage_options) as opened:
        see_directory(opened)
        with out.progress(f"waiting for {opened.label} …"):
            found = inspect(opened, name, timeout=timeout)
        out.tell(_document(opened, name, found), _text(opened, name, found))
    return 0


def token_words(found: Inspection) -> str:
    """Say what the token object is."""
    if found.token == "missing":  # noqa: S105 - it is no password
        return "none; the next call logs in"
    written = f"written {ago(found.written, found.now)}" if found.written else "age unknown"
    if found.token == "junk":  # noqa: S105 - it is no password
        return f"no token but something else, {written}; the next call replaces it"
    return f"stored, {written}{' by the last login' if found.from_login else ''}"


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
    cells = [
        ("store", f"{store.label} ({once})"),
        ("key", key),
        ("token", token_words(found)),
        ("login", login_words(login)),
        ("", refusal_hint(found)),
        ("logins", f"{len(login.recent)} in the last minute"),
        ("refusals", f"{refusals} in a row" if refusals else "none"),
    ]
    if not found.clock and (found.written or login.lock):
        cells.append(("clock", "this machine's; the store does not tell its own"))
    colours = {"free": "", "held": "yellow"}
    alarm = {"login": colours.get(login.state, "red")}
    return rows([(name, text, alarm.get(name, "")) for name, text in cells if text], _INDENT)


def _document(store: TokenStore, key: str, found: Inspection) -> dict[str, object]:
    age = None if found.written is None else round(found.now - found.written, 3)
    return {
        "store": store.label,
        "key": key,
        "shared": store.atomic,
        "token": {
            "state": found.token,
            "written": iso(found.written),
            "age_seconds": age,
            "from_last_login": found.from_login,
        },
        "login": login_document(found.login),
        "now": iso(found.now),
        "clock": "store" if found.clock else "machine",
    }
