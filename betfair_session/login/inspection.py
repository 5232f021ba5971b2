"""What lies in one place: read without changing anything, and without asking Betfair."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from betfair_session.process.clocks import Clock
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint, is_blank, parse_token

from . import lock as locks
from .settings import LeaseSettings

if TYPE_CHECKING:
    from betfair_session.storage.contract import StoredObject, TokenStore

    from .lock import Lock

    Readiness: TypeAlias = Literal["free", "held", "refused", "unanswered", "unstored", "braked"]


class Login(NamedTuple):
    """Whether the next call may log in, if it has to.

    Attributes:
        state: "free"; "held": somebody is logging in; "refused": Betfair refused the last login,
            and no other is tried yet; "unanswered": that one ended without an answer; "unstored":
            its token could not be stored, so the next is preceded by a write that shows that it
            can be; "braked": too many logins in the last minute.
        until: when that ends at the latest, seconds since the epoch by the store's clock; None
            when it is free or unstored.
        lock: what the lock object says; None when there is none.
        recent: the logins of the last minute, as times of the same clock.
        now: the store's time when it was read, as well as it is known.
    """

    state: Readiness
    until: float | None
    lock: Lock | None
    recent: tuple[float, ...]
    now: float


class Inspection(NamedTuple):
    """What was found in one place; it holds no secret.

    Attributes:
        token: "stored"; "missing", or blank; or "junk", which is no token and which a login
            replaces.
        written: when that object was last written, which is when its login or, where
            verifications are shared, its verification was; seconds since the epoch by the store's
            clock. None when it is missing, or the store does not tell.
        from_login: whether it is the token that the last login through this library stored.
        login: whether the next call may log in.
        now: the store's time when it was read, or this machine's where the store does not tell.
        clock: whether that is the store's.
    """

    token: Literal["stored", "missing", "junk"]
    written: float | None
    from_login: bool
    login: Login
    now: float
    clock: bool


def inspect(
    store: TokenStore, key: str, *, timeout: float, settings: LeaseSettings | None = None
) -> Inspection:
    """Look at a token and at its lock.

    Args:
        store: where they are kept.
        key: the token's name.
        timeout: seconds that each call of the store may take; there are at most three.
        settings: the shared login's times; None for the usual ones.

    Returns:
        What is there.

    Raises:
        NotATokenError: the object is somebody's data.
        StoreError: it cannot be read.
    """
    stored = store.get(key, deadline=time.monotonic() + timeout)
    locked = store.get(key + LOCK_SUFFIX, deadline=time.monotonic() + timeout)
    token = None
    if stored is not None:
        token = parse_token(stored.content, where=f"{key!r} in {store.label}")
    empty = stored is None or is_blank(stored.content)
    known = _server_time(store, stored, locked, timeout)
    now = time.time() if known is None else known
    login = _judge(store, locked, known, settings or LeaseSettings())
    published = login.lock.published if login.lock else ""
    return Inspection(
        token="stored" if token else "missing" if empty else "junk",
        written=stored.modified if stored else None,
        from_login=token is not None and published == fingerprint(token),
        login=login,
        now=now,
        clock=known is not None,
    )


def inspect_login(
    store: TokenStore, key: str, *, timeout: float, settings: LeaseSettings | None = None
) -> Login:
    """Look at a token's lock alone.

    Args:
        store: where it is kept.
        key: the token's name.
        timeout: as in `inspect`.
        settings: as in `inspect`.

    Returns:
        Whether the next call may log in.

    Raises:
        StoreError: it cannot be read.
    """
    locked = store.get(key + LOCK_SUFFIX, deadline=time.monotonic() + timeout)
    known = _server_time(store, locked, None, timeout)
    return _judge(store, locked, known, settings or LeaseSettings())


def _server_time(
    store: TokenStore, one: StoredObject | None, other: StoredObject | None, timeout: float
) -> float | None:
    """Return the store's own time: out of an answer, or asked for where the driver hides it."""
    told = next((each.now for each in (one, other) if each and each.now is not None), None)
    return store.server_now(deadline=time.monotonic() + timeout) if told is None else told


def _judge(
    store: TokenStore, locked: StoredObject | None, known: float | None, settings: LeaseSettings
) -> Login:
    """Tell what a call without a token would do now."""
    now = time.time() if known is None else known
    if locked is None:
        return Login("free", None, None, (), now)
    lock = locks.decode(locked.content)
    age = lock.age_here(Clock()) if store.on_this_machine else None
    if age is not None:
        now = lock.now + age
    elif locked.modified is not None and known is not None:
        age = known - locked.modified
    recent = lock.recent(now)
    refused = lock.refused_for(now, age)
    readiness: Readiness = "free"
    until = None
    if lock.state == locks.HELD and store.atomic and not lock.expired(age, watched=0.0):
        since = lock.since if age is None else now - age
        readiness, until = "held", since + lock.ttl + locks.MARGIN
    elif refused:
        readiness = "refused" if lock.status else "unanswered"
        until = now + refused
    elif len(recent) >= settings.logins_per_minute:
        readiness = "braked"
        until = recent[-settings.logins_per_minute] + locks.BRAKE_WINDOW
    elif lock.login_class == "store":
        readiness = "unstored"
    return Login(readiness, until, lock, recent, now)
