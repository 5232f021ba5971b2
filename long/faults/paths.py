"""The ways through get_session, each as what it finds and what others do meanwhile."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from storage.places import LocalPlace, Place

from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox
from betfair_session.secret import Secret
from betfair_session.tokens import fingerprint


@dataclass
class Site:
    """Where one call is made."""

    place: Place  # the store, past any proxy
    sandbox: Sandbox  # Betfair
    key: str  # the token's name
    found: str = field(default="", repr=False)  # the token that was there at the beginning, or ""
    # The live token that another stored meanwhile, or "".
    foreign: str = field(default="", repr=False)
    window: timedelta | None = None  # the call's trust window, shared through the store, or None

    @property
    def lock(self) -> str:
        return self.key + ".login"

    def put_token(self, *, alive: bool) -> str:
        """Store a token that lives, or one that Betfair does not know."""
        token = self.sandbox.issue() if alive else b64encode(secrets.token_bytes(32)).decode()
        self.place.put(self.key, token.encode())
        return token

    def put_lock(self, state: str, *, token: str = "", ttl: float = 60.0) -> None:
        """Store a lock as another process leaves it; `token` is what it published."""
        lock = locks.Lock(
            state,
            nonce=secrets.token_hex(8),
            owner="another process",
            ttl=ttl,
            published=fingerprint(Secret(token)) if token else "",
        )
        self.place.put(self.lock, locks.encode(lock))

    def stored(self) -> str:
        """Return the stored token, or "" when there is none, or the blank of a taken-over login."""
        return (self.place.get(self.key) or b"").decode().strip()


def begin(
    site: Site,
    *,
    alive: bool,
    lock: str = "",
    whose: str = "",
    ttl: float = 60.0,
    window: float | None = None,
) -> None:
    """Store what a call finds: a token and a lock, which may name `whose` token was published.

    With a trust window in seconds, verifications are shared.
    """
    site.window = None if window is None else timedelta(seconds=window)
    site.found = site.put_token(alive=alive)
    if lock:
        site.put_lock(lock, token=site.found if whose == "the fleet's" else whose, ttl=ttl)


def other_ends(site: Site) -> None:
    """End the other process's login well."""
    site.foreign = site.put_token(alive=True)
    site.put_lock(locks.DONE, token=site.foreign)


def foreign_token(site: Site) -> None:
    """Let something that takes no part store a live token."""
    site.foreign = site.put_token(alive=True)


def full_store(site: Site) -> None:
    """Let the store fail as soon as a login is answered."""
    if isinstance(site.place, LocalPlace):
        site.sandbox.break_store(str(site.place.directory))


@dataclass(frozen=True)
class Path:
    """One way through get_session."""

    name: str  # for people
    prepare: Callable[[Site], None]  # makes what the call finds
    ends: str  # an event that it tells when nothing is broken, or the error that it raises
    logins: int = 0  # how many it makes then
    # What happens as soon as Betfair has answered a login.
    after_login: Callable[[Site], None] | None = None
    # What happens after some requests to the store.
    after_looks: Callable[[Site], None] | None = None
    ripe: float = 0.0  # seconds that what was prepared has to be old
    certificate: bool = False  # whether it logs in with one


DEAD_ONE = partial(begin, alive=False, lock=locks.DONE, whose="the fleet's")
FIRST = Path("first login", lambda _site: None, "logged in", 1)
RESUME = Path("resume", partial(begin, alive=True), "resumed")
DEAD = Path("dead token", DEAD_ONE, "logged in", 1)
CONFLICT = Path("conflict", DEAD_ONE, "resumed", 1, after_login=foreign_token)
# It was verified longer ago than it is trusted for.
OLD = Path("resume, shared", partial(begin, alive=True, window=0.001), "resumed", ripe=2.0)
BETFAIRS = [
    Path("certificate login", lambda _site: None, "logged in", 1, certificate=True),
    *(FIRST, RESUME, OLD, DEAD, CONFLICT),
    Path("the store fails", full_store, "StoreWriteError", 1),
]
_foreign = partial(begin, alive=False, lock=locks.DONE, whose="another")
_held = partial(begin, alive=False, lock=locks.HELD)
STORES = [
    *(FIRST, RESUME, OLD, DEAD, CONFLICT),
    Path("foreign dead token", _foreign, "logged in", 1, ripe=6.0),
    Path("abandoned login", partial(_held, ttl=0.5), "logged in", 1, ripe=4.0),
    Path("wait", _held, "adopted", after_looks=other_ends),
    Path("trusted", partial(begin, alive=True, window=600.0), "trusted"),
]
