"""What people ask for by hand: to inspect one place, to log out, and to clear its lock."""

from __future__ import annotations

import contextlib
import time

from betfair_session.exceptions import NotATokenError, StoreError, StoreUnavailable
from betfair_session.process import NamedTuple, T, clocks
from betfair_session.process.clocks import Clock
from betfair_session.process.trust import NOTHING
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint, is_blank, parse_token

from . import lock as locks
from .account import LeaseSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal, TypeAlias

    from betfair_session.process.log import Reporter
    from betfair_session.process.trust import Trust
    from betfair_session.secret import Secret
    from betfair_session.storage.contract import StoredObject, TokenStore

    from .account import Account
    from .lock import Lock

    Readiness: TypeAlias = Literal["free", "held", "refused", "unanswered", "unstored", "braked"]

_TRIES = 5  # at a change of an object that others change meanwhile
_CONFLICT_SECONDS = 0.2  # between two tries: a conflict may also come from two writers that meet
_THROTTLED_SECONDS = 1.1  # Google takes one write of an object a second


class Inspection(NamedTuple):
    """What was found in one place; it holds no secret.

    Attributes:
        state: whether the next call may log in, if it has to: "free"; "held": a process is logging
            in; "refused": Betfair refused the last login, and no other is tried yet; "unanswered":
            that login got no answer; "unstored": its token could not be stored, so a write is tried
            before the next login; "braked": too many logins in the last minute.
        until: when that ends at the latest; None when it is free or unstored.
        lock: what the lock object says; locks.NONE when there is none.
        now: when it was read. All times are the store's, or this machine's where the store does not
            tell.
        clock: whether `now` is the store's time.
        token: "stored", "missing" (or blank), or "junk", which a login replaces; "" if only the
            lock was read.
        written: when that object was last written, by its login or a shared verification; None
            when it is missing, or the store does not tell.
        from_login: whether it is the token that the last login through this library stored.
    """

    state: Readiness
    until: float | None
    lock: Lock
    now: float
    clock: bool
    token: Literal["", "stored", "missing", "junk"] = ""
    written: float | None = None
    from_login: bool = False


def inspect(store: TokenStore, key: str, *, timeout: float) -> Inspection:
    """Look at a token and its lock: at most three calls of the store, of `timeout` seconds each."""
    stored = store.get(key, deadline=time.monotonic() + timeout)
    found = inspect_login(store, key, timeout=timeout, beside=stored)
    token = token_in(stored, store, key)
    empty = stored is None or is_blank(stored.content)
    return found._replace(
        token="stored" if token else "missing" if empty else "junk",
        written=stored.modified if stored else None,
        from_login=token is not None and found.lock.published == fingerprint(token),
    )


def inspect_login(
    store: TokenStore, key: str, *, timeout: float, beside: StoredObject | None = None
) -> Inspection:
    """Look at a token's lock alone: could a call with the usual settings log in now?"""
    locked = store.get(key + LOCK_SUFFIX, deadline=time.monotonic() + timeout)
    # The store's time: from an answer, or by a request where the driver hides it.
    told = next((each.now for each in (beside, locked) if each and each.now is not None), None)
    known = store.server_now(deadline=time.monotonic() + timeout) if told is None else told
    now = time.time() if known is None else known
    lock = locks.decode(locked.content) if locked else locks.NONE
    age = lock.age_here(Clock()) if store.on_this_machine else None
    if age is not None:  # the clock may have been set since the lock was written
        lock = lock.moved(now - lock.now - age)
    elif locked and locked.modified is not None and known is not None:
        age = known - locked.modified
    readiness: Readiness = "unstored" if lock.login_class == "store" else "free"
    until = None
    why, left = lock.forbids(now, age, LeaseSettings().logins_per_minute)
    if lock.state == locks.HELD and store.atomic and not lock.expired(age, watched=0.0):
        readiness, until = "held", (lock.since if age is None else now - age) + lock.ttl
        until += locks.MARGIN
    elif why:
        readiness, until = "unanswered" if why == "refused" and not lock.status else why, now + left
    return Inspection(readiness, until, lock, now, known is not None)


def token_in(stored: StoredObject | None, store: TokenStore, key: str) -> Secret | None:
    """Return the token that an object holds; None if there is no object, or no token in it."""
    where = f"{key!r} in {store.label}"
    return parse_token(stored.content, where=where) if stored else None


def log_out(
    account: Account, store: TokenStore, key: str, *, trust: Trust, reporter: Reporter
) -> None:
    """End the stored session and remove the object; see `Session.logout`."""
    seconds = account.lease.store_deadline
    trust.held = NOTHING  # another process may have replaced or removed the token that it held
    stored = store.get(key, deadline=time.monotonic() + seconds)
    if stored is None:
        return
    token = token_in(stored, store, key)
    if token is None and not is_blank(stored.content):
        raise NotATokenError(
            f"{key!r} in {store.label} holds something that is not a session token, so it is "
            "left untouched, and no session is logged out. Is the key mistyped?"
        )
    if token is not None:
        trust.forget(token)
        began = time.monotonic()
        account.client.logout(token)
        trust.forget(token)  # another thread may have verified it meanwhile
        reporter.tell("logged out", time.monotonic() - began, "the stored session")
    # Another process may have noticed at once and logged in: its token is not ours to remove.
    try:
        for _ in range(_TRIES):
            with contextlib.suppress(VersionConflict):
                patiently(store.delete, key, stored.version, seconds=seconds)
                break
            # It may be the same token, whose verification another process has shared.
            stored = store.get(key, deadline=time.monotonic() + seconds)
            if not (stored and token and stored.content.strip() == token.reveal().encode()):
                return
            clocks.pause(_CONFLICT_SECONDS)
        else:
            raise _busy(f"{key!r}", store, key)
        with contextlib.suppress(VersionConflict):
            # The lock must not vouch for the token that was published there.
            _change_lock(store, key, locks.withdrawn, seconds)
    except StoreError as error:
        if token is not None:
            error.args = (f"the session was ended at Betfair, but {error}",)
        raise
    finally:
        reporter.hand_over()


def unlock(store: TokenStore, key: str, seconds: float) -> None:
    """Clear the lock beside a token; each call of the store may take `seconds`."""
    for _ in range(_TRIES):
        with contextlib.suppress(VersionConflict):
            _change_lock(store, key, locks.cleared, seconds)
            return
        clocks.pause(_CONFLICT_SECONDS)
    raise _busy(f"the lock beside {key!r}", store, key)


def _busy(what: str, store: TokenStore, key: str) -> StoreUnavailable:
    message = f"{what} in {store.label} keeps changing; try again in a moment"
    return StoreUnavailable(message, store=store.label, key=key, reason="busy")


def _change_lock(
    store: TokenStore, key: str, change: Callable[[bytes], bytes | None], seconds: float
) -> None:
    """Rewrite the lock object, if there is one and it has to change."""
    lock = key + LOCK_SUFFIX
    stored = store.get(lock, deadline=time.monotonic() + seconds)
    content = None if stored is None else change(stored.content)
    if stored is not None and content not in {None, stored.content}:
        patiently(store.put, lock, content, stored.version, seconds=seconds)


def patiently(change: Callable[..., T], *how: object, seconds: float) -> T:
    """Change an object; if the store throttles that, try once more after a pause."""
    try:
        return change(*how, deadline=time.monotonic() + seconds)
    except StoreError as error:
        if error.reason != "throttled":
            raise
    clocks.pause(_THROTTLED_SECONDS)
    return change(*how, deadline=time.monotonic() + seconds)
