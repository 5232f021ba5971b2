"""token, check, logout and unlock: the library's own work, set by the environment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from getpass import getpass
from typing import Any

from betfair_session.betfair.answers import Check
from betfair_session.betfair.identity import IdentityClient
from betfair_session.environment import ACCOUNT, PLACE
from betfair_session.exceptions import BetfairSessionError, LoginBrake
from betfair_session.login import by_hand
from betfair_session.login.account import LeaseSettings
from betfair_session.login.errors import moment
from betfair_session.secret import SecretBytes
from betfair_session.session import Session
from betfair_session.storage.contract import TokenStore, VersionConflict

from .commands import command, option, place, timeout
from .output import Output
from .status import next_login, open_place, span

_WAITING = "waiting for the store or Betfair …"
_STORE_SECONDS = 5.0
_LOOK_SECONDS = 2.0
_USUAL = LeaseSettings()
_TYPING = LeaseSettings(ttl=60.0, login_deadline=45.0)  # typing a code is a part of the login
_TYPED = "log in as the website does, without a certificate; it asks for a two-step code"
_EACH = "for each answer of the store (5 at most), or of Betfair"


@command(*place(), option("--interactive", _TYPED, is_flag=True), timeout(60))
def token(out: Output, *, timeout: float, interactive: bool) -> None:
    """Print a live session token, and nothing else.

    The stored token is verified with Betfair by one keepAlive. Only if it is dead, or there is
    none, this logs in, once for all who share the store, so it may wait for another process.

    Examples:
      TOKEN=$(betfair-session token) || exit
      betfair-session token s3://bucket/betfair session.token --timeout 20

    exit code 1: another process is still logging in, or there were too many logins
    """
    login: dict[str, Any] = {}
    if interactive:
        login = {"interactive": True, "two_step": _code, "lease": _TYPING}
    with _session(out, timeout, logs_in=not interactive, **login) as session:
        out.quiet |= interactive  # progress would overwrite what is typed
        with out.progress(login_of(session, out)):
            found = session.token(timeout=timeout)
        _tell(out, session, found, token=found)


def _code() -> str:
    """Ask for the two-step code on the terminal, without echo, or read it from a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass("two-step code, or nothing if the account has none: ").strip()


@command(*place(), timeout(15))
def check(out: Output, *, timeout: float) -> int:
    """Ask Betfair whether the stored session is alive.

    Sends one keepAlive for the stored token, which also extends its session; never logs in. Needs
    no certificate.

    Examples:
      betfair-session check && echo "the session is alive"
      betfair-session check --json | jq -r .state

    exit codes: 0 alive; 1 dead, or no token is stored (a plain "no", as with grep and test); 4
    Betfair cannot tell, so it may well be alive
    """
    with _session(out, timeout) as session:
        with out.progress(lambda: _WAITING):
            found = ask_about(session.client, session.store, session.key, timeout)
        what = f"{session.key!r} in {session.store.label}"
        state, ends = (found.state, found.expires_at) if found else ("missing", None)
        length = session.client.jurisdiction.session_length
        lasts = f" for another {span(length.total_seconds())} or so" if length else ""
        text = {
            "alive": f"alive: the session of {what}, now extended{lasts}",
            "dead": f"dead: Betfair has ended the session of {what}; {out.command('token')} "
            "logs in anew",
            "missing": f"missing: there is no token {what}; {out.command('token')} logs in",
        }[state]
        _tell(out, session, text, state=state, expires_about=ends)
    return 0 if state == "alive" else 1


def ask_about(client: IdentityClient, store: TokenStore, key: str, timeout: float) -> Check | None:
    """Send one keepAlive for a stored token; return its result, or None if none is stored."""
    end = time.monotonic() + timeout
    stored = store.get(key, deadline=min(end, time.monotonic() + _STORE_SECONDS))
    token = by_hand.token_in(stored, store, key)
    if stored is None or token is None:
        return None
    # Never 0, which would mean the client's own timeout.
    found = client.check(token, timeout=max(end - time.monotonic(), 0.1))
    if found.error:
        raise found.error
    if found.token and found.token != token:
        # Betfair has never been seen to rotate a token; if it does, the others need the new one.
        content = SecretBytes(found.token.reveal().encode())
        with suppress(VersionConflict):
            soon = time.monotonic() + _STORE_SECONDS
            store.put(key, content, stored.version, deadline=soon)
    return found


@command(*place(), timeout(10, _EACH))
def logout(out: Output, *, timeout: float) -> None:
    """End the stored session and remove its object.

    Ends the session at Betfair, for all who share it, and removes the object. It is no error if
    there is none. Needs no certificate. With --quiet, success is silent.

    Example:
      betfair-session logout ~/.betfair session.token

    exit codes: 0 there is no session any more; 4 Betfair cannot tell, and the token stays; 5 the
    store failed, and the error says whether the session had ended by then
    """
    with _session(out, timeout) as session:
        session.client.timeout = timeout  # above the usual time, too
        with out.progress(lambda: _WAITING):
            session.logout()
        text = f"logged out: there is no session {session.key!r} in {session.store.label} any more"
        _tell(out, session, "" if out.quiet else text, logged_out=True)


@command(*place(), timeout(10, "for each answer of the store (5 at most)"))
def unlock(out: Output, *, timeout: float) -> None:
    """Let the next call log in at once, after you have put the cause of a refusal right.

    After Betfair refused a login, all who share the store wait for 15 seconds to 20 minutes, so
    that the account is not locked. The logins of the last minute stay counted: this library makes
    at most 4 a minute, since many more get the account banned. Betfair is not asked, so the
    account's variables are not needed. With --quiet, success is silent.

    Example:
      betfair-session unlock && betfair-session token

    exit code 1: unlocked, but there were too many logins in the last minute; the message says when
    the next is allowed
    """
    store, key = open_place(out)
    with store:
        with out.progress(lambda: _WAITING):
            by_hand.unlock(store, key, min(timeout, _STORE_SECONDS))
            login = by_hand.inspect_login(store, key, timeout=timeout)
        what = f"{key!r} in {store.label}"
        if login.state == "braked":
            message = f"{what} is unlocked, but {next_login(login, out).text}"
            raise LoginBrake(message, not_before=moment(login.until))
        # Any other state is newer than the unlock: another process has used the lock since.
        text = f"unlocked: the next call for {what} may log in at once"
        told = {"store": store.label, "key": key, "unlocked": True}
        out.tell(told, "" if out.quiet else text)


def login_of(session: Session, out: Output) -> Callable[[], str]:
    """Return a function that reads the session's lock and says what the call waits for."""

    def look() -> str:
        try:
            login = by_hand.inspect_login(session.store, session.key, timeout=_LOOK_SECONDS)
        except BetfairSessionError:
            return ""  # the call itself will say what is wrong
        return f"{next_login(login, out).text} …" if login.state == "held" else _WAITING

    return look


def _tell(out: Output, session: Session, text: str, **facts: object) -> None:
    out.tell({"store": session.store.label, "key": session.key, **facts}, text)


@contextmanager
def _session(
    out: Output,
    seconds: float,
    *,
    logs_in: bool = False,
    lease: LeaseSettings = _USUAL,
    **settings: Any,  # noqa: ANN401 - the manager's
) -> Iterator[Session]:
    """Make the session's handle; no answer may take more than `seconds`."""
    given = out.environment()
    given.require(*ACCOUNT, *PLACE, certificate=logs_in)
    lease = lease._replace(store_deadline=min(lease.store_deadline, seconds))
    with given.client(certificate=logs_in) as client:
        client.timeout = min(client.timeout, seconds)
        with given.manager(client, lease=lease, **settings) as manager:
            yield manager.session(*given.place())
