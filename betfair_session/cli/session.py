"""token, check, logout and unlock: what the library is for, all settings from the environment."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from getpass import getpass
from typing import TYPE_CHECKING, Any

from betfair_session.environment import Environment, Place
from betfair_session.exceptions import (
    BetfairSessionError,
    CertificateError,
    LoginBrake,
    StoreUnavailable,
)
from betfair_session.login.account import LeaseSettings
from betfair_session.login.by_hand import inspect_login
from betfair_session.login.runner import owner_name
from betfair_session.secret import SecretBytes
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.local import LocalStore
from betfair_session.tokens import parse_token

from .words import moment, span, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.secret import Secret
    from betfair_session.session import Session
    from betfair_session.storage.contract import TokenStore

    from .output import Output

_STORE_SECONDS = 5.0
_LOOK_SECONDS = 2.0
_TYPING = LeaseSettings(ttl=60.0, login_deadline=45.0)  # typing a code is a part of the login

# The variable of a certificate, and the one of its key, in words.
_KEYS = {
    "BETFAIR_CERT_FILE": ("BETFAIR_KEY_FILE", "the file that holds the private key"),
    "BETFAIR_CERT_PEM": ("BETFAIR_KEY_PEM", "the text of the private key"),
}


def token(
    out: Output, *, store: str | None, key: str | None, timeout: float, interactive: bool
) -> int:
    """Print a live token."""
    login: dict[str, Any] = {}
    if interactive:
        login = {"interactive": True, "two_step": _code, "lease": _TYPING}
    with _session(store, key, logs_in=not interactive, **login) as session:
        # A line about progress would stand in the way of what is typed.
        with nullcontext() if interactive else out.progress(login_of(session)):
            found = session.token(timeout=timeout)
        out.tell({**_place(session), "token": found}, found)
    return 0


def _code() -> str:
    """Ask for the two-step code on the terminal, without echo, or read it from a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass("two-step code, or nothing if the account has none: ").strip()


def logout(out: Output, *, store: str | None, key: str | None, timeout: float) -> int:
    """End the stored session."""
    with _session(store, key, seconds=timeout) as session:
        with out.progress("waiting for the store and Betfair …"):
            session.logout()
        text = f"logged out: there is no session {session.key!r} in {session.store.label} any more"
        out.tell({**_place(session), "logged_out": True}, "" if out.quiet else text)
    return 0


def unlock(out: Output, *, store: str | None, key: str | None, timeout: float) -> int:
    """Forget a refusal; the logins of the last minute stay counted."""
    with _session(store, key, seconds=timeout) as session:
        with out.progress("waiting for the store …"):
            session.unlock()
            login = inspect_login(session.store, session.key, timeout=timeout)
        what = f"{session.key!r} in {session.store.label}"
        if login.state == "braked":
            until = login.until or login.now
            message = (
                f"{what} is unlocked, but there were too many logins in the last minute; the next "
                f"is allowed at {moment(until)} (in {span(until - login.now)})"
            )
            raise LoginBrake(message, not_before=utc(until))
        # Any other state is newer than the unlock: another process has used the lock since.
        text = f"unlocked: the next call for {what} may log in at once"
        out.tell({**_place(session), "unlocked": True}, "" if out.quiet else text)
    return 0


def check(out: Output, *, store: str | None, key: str | None, timeout: float) -> int:
    """Ask whether the stored session lives; never log in."""
    with _session(store, key) as session:
        see_directory(session.store)
        with out.progress("waiting for the store and Betfair …"):
            state, _ = ask_about(session.client, session.store, session.key, timeout)
        what = f"{session.key!r} in {session.store.label}"
        length = session.client.jurisdiction.session_length
        lasts = f" for another {span(length.total_seconds())} or so" if length else ""
        ends = datetime.now(UTC) + length if length and state == "alive" else None
        text = {
            "alive": f"alive: the session of {what}, now extended{lasts}",
            "dead": f"dead: Betfair has ended the session of {what}; `betfair-session token` "
            "logs in anew",
            "missing": f"missing: there is no token {what}; `betfair-session token` logs in",
        }[state]
        document = {
            **_place(session),
            "state": state,
            "expires_about": ends.isoformat(timespec="seconds") if ends else None,
        }
        out.tell(document, text)
    return 0 if state == "alive" else 1


def ask_about(
    client: IdentityClient, store: TokenStore, key: str, timeout: float
) -> tuple[str, Secret | None]:
    """Send one keepAlive for the stored token, if there is one, within `timeout` seconds.

    Returns:
        "alive" and the token to use; or "dead" or "missing", and None.
    """
    end = time.monotonic() + timeout
    stored = store.get(key, deadline=min(end, time.monotonic() + _STORE_SECONDS))
    token = parse_token(stored.content, where=f"{key!r} in {store.label}") if stored else None
    if stored is None or token is None:
        return "missing", None
    # Never 0, which would stand for the client's own time.
    alive = client.keep_alive(token, timeout=max(end - time.monotonic(), 0.1))
    if alive is None:
        return "dead", None
    if alive != token:
        # Betfair has never been seen to rotate a token; if it does, the others need the new one.
        content = SecretBytes(alive.reveal().encode())
        with suppress(VersionConflict):
            soon = time.monotonic() + _STORE_SECONDS
            store.put(key, content, stored.version, deadline=soon)
    return "alive", alive


def login_of(session: Session) -> Callable[[], str]:
    """Return what tells how a session's token is coming on, by a look at the lock beside it."""

    def look() -> str:
        try:
            login = inspect_login(session.store, session.key, timeout=_LOOK_SECONDS)
        except BetfairSessionError:
            return ""  # the call itself will say what is wrong
        lock = login.lock
        if login.state != "held" or lock is None:
            return "waiting for the store and Betfair …"
        if lock.owner == owner_name():
            return "logging in at Betfair …"
        return (
            f"waiting for {lock.owner or 'another process'}, logging in since "
            f"{moment(lock.since)}; if it does not finish, others take over at "
            f"{moment(login.until)} …"
        )

    return look


def see_directory(store: TokenStore) -> None:
    """Refuse a file as a local store: reading below it finds nothing, as in a new directory."""
    if not isinstance(store, LocalStore):
        return
    place = store.label
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    if os.path.exists(place) and not os.path.isdir(place):
        message = f"{place} is a file, not a directory; STORE has to name a directory or a URL"
        raise StoreUnavailable(message, store=store.label, reason="other")


def place_of(store: str | None, key: str | None, environment: Environment) -> Place:
    """Return where the token is kept: by the arguments, or by the variables."""
    if store is None or key is None:
        return environment.place()
    return Place(store, key, environment.storage_options())


def key_hint(error: CertificateError, environment: Environment) -> str:
    """Return which variable would name the key that a certificate lacks, or ""."""
    if error.reason == "no-key":
        for main, (other, what) in _KEYS.items():
            if environment.get(main) and not environment.get(other):
                return f"{other} is not set: set it to {what}"
    return ""


def _place(session: Session) -> dict[str, object]:
    return {"store": session.store.label, "key": session.key}


@contextmanager
def _session(
    store: str | None,
    key: str | None,
    *,
    logs_in: bool = False,
    seconds: float | None = None,
    **settings: Any,  # noqa: ANN401 - the manager's
) -> Iterator[Session]:
    """Make the session's handle.

    Args:
        store: as given, or None.
        key: likewise.
        logs_in: whether a certificate is needed; a stolen token can be ended without.
        seconds: the limit of each answer, for calls that take no time-out of their own.
        settings: the manager's.
    """
    environment = Environment()
    environment.require(certificate=logs_in, place=store is None)
    place = place_of(store, key, environment)
    with environment.client(certificate=logs_in) as client:
        if seconds is not None:
            client.timeout = min(client.timeout, seconds)
            usual = LeaseSettings()
            settings["lease"] = usual._replace(store_deadline=min(usual.store_deadline, seconds))
        with environment.manager(client, **settings) as manager:
            try:
                yield manager.session(place.store, place.key, place.storage_options)
            except CertificateError as error:
                hint = key_hint(error, environment)
                if not hint:
                    raise
                message = f"{error}; {hint}"
                raise CertificateError(message, reason=error.reason) from None
