"""token, check, logout and unlock: what the library is for, all settings from the environment."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from betfair_session.environment import Environment, Place
from betfair_session.exceptions import CertificateError, LoginBrake, StoreUnavailable
from betfair_session.login.inspection import inspect_login
from betfair_session.login.settings import LeaseSettings
from betfair_session.secret import SecretBytes
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.local import LocalStore
from betfair_session.tokens import parse_token

from .output import tell
from .progress import login_of, progress
from .words import moment, span, utc

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.secret import Secret
    from betfair_session.session import Session
    from betfair_session.storage.contract import TokenStore

_STORE_SECONDS = 5.0


def token(chosen: Namespace) -> int:
    """Print a live token."""
    with _session(chosen, logs_in=True) as session:
        with progress(chosen, login_of(session)):
            found = session.token(timeout=chosen.timeout)
        tell(chosen, {**_place(session), "token": found}, found)
    return 0


def logout(chosen: Namespace) -> int:
    """End the stored session."""
    with _session(chosen, bounded=True) as session:
        with progress(chosen, "waiting for the store and Betfair …"):
            session.logout()
        text = f"logged out: there is no session {session.key!r} in {session.store.label} any more"
        tell(chosen, {**_place(session), "logged_out": True}, "" if chosen.quiet else text)
    return 0


def unlock(chosen: Namespace) -> int:
    """Forget a refusal; the logins of the last minute stay counted."""
    with _session(chosen, bounded=True) as session:
        with progress(chosen, "waiting for the store …"):
            session.unlock()
            login = inspect_login(session.store, session.key, timeout=chosen.timeout)
        what = f"{session.key!r} in {session.store.label}"
        if login.state == "braked":
            until = login.until or login.now
            message = (
                f"{what} is unlocked, but there were too many logins in the last minute; the next "
                f"is allowed at {moment(until)} (in {span(until - login.now)})"
            )
            raise LoginBrake(message, not_before=utc(until))
        # Whatever else is there by now is news: somebody has used the lock since.
        text = f"unlocked: the next call for {what} may log in at once"
        tell(chosen, {**_place(session), "unlocked": True}, "" if chosen.quiet else text)
    return 0


def check(chosen: Namespace) -> int:
    """Ask whether the stored session lives; never log in."""
    with _session(chosen) as session:
        see_directory(session.store)
        with progress(chosen, "waiting for the store and Betfair …"):
            state, _ = ask_about(session.client, session.store, session.key, chosen.timeout)
        what = f"{session.key!r} in {session.store.label}"
        length = session.client.jurisdiction.session_length
        lasts = f" for another {span(length.total_seconds())} or so" if length else ""
        ends = datetime.now(timezone.utc) + length if length and state == "alive" else None
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
        tell(chosen, document, text)
    return 0 if state == "alive" else 1


def ask_about(
    client: IdentityClient, store: TokenStore, key: str, timeout: float
) -> tuple[str, Secret | None]:
    """Send one keepAlive for the stored token, if there is one.

    Args:
        client: speaks to Betfair.
        store: where the token is kept.
        key: the token's name.
        timeout: seconds in all.

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


def see_directory(store: TokenStore) -> None:
    """See that a local store is no file, below which reading finds nothing, as in a new directory.

    Raises:
        StoreUnavailable: it is one, or lies below one.
    """
    if not isinstance(store, LocalStore):
        return
    place = store.label
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    if os.path.exists(place) and not os.path.isdir(place):
        message = f"{place} is a file, not a directory; STORE has to name a directory or a URL"
        raise StoreUnavailable(message, store=store.label, reason="other")


def _place(session: Session) -> dict[str, object]:
    return {"store": session.store.label, "key": session.key}


def place_of(chosen: Namespace, environment: Environment) -> Place:
    """Return where the token is kept: by the arguments, or by the variables."""
    if chosen.store is None:
        return environment.place()
    return Place(chosen.store, chosen.key, environment.storage_options())


@contextmanager
def _session(
    chosen: Namespace, *, logs_in: bool = False, bounded: bool = False
) -> Iterator[Session]:
    """Make the session's handle; `bounded` by the time given, where its calls take none.

    Only what `logs_in` needs the certificate: a stolen token can be ended where there is none.
    """
    environment = Environment()
    environment.require(certificate=logs_in, place=chosen.store is None)
    place = place_of(chosen, environment)
    with environment.client(certificate=logs_in) as client:
        lease = LeaseSettings()
        if bounded:
            client.timeout = min(client.timeout, chosen.timeout)
            lease = lease._replace(store_deadline=min(lease.store_deadline, chosen.timeout))
        with environment.manager(client, lease=lease) as manager:
            try:
                yield manager.session(place.store, place.key, place.storage_options)
            except CertificateError as error:
                from .doctor.settings import Settings

                hint = Settings().key_hint(error)
                if not hint:
                    raise
                message = f"{error}; {hint}"
                raise CertificateError(message, reason=error.reason) from None
