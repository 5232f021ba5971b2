"""The ways through get_session, each as what it finds and what others do meanwhile."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

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


def live(site: Site) -> None:
    """Begin with a live token."""
    site.found = site.put_token(alive=True)


def dead(site: Site) -> None:
    """Begin with a dead one that a login of the fleet brought."""
    site.found = site.put_token(alive=False)
    site.put_lock(locks.DONE, token=site.found)


def foreign_dead(site: Site) -> None:
    """Begin with a dead one that something else stored."""
    site.found = site.put_token(alive=False)
    site.put_lock(locks.DONE, token="another")


def abandoned(site: Site) -> None:
    """Begin with a login that nobody goes on with."""
    site.found = site.put_token(alive=False)
    site.put_lock(locks.HELD, ttl=0.5)


def under_way(site: Site) -> None:
    """Begin while another process logs in for a dead token."""
    site.found = site.put_token(alive=False)
    site.put_lock(locks.HELD)


def shared(site: Site) -> None:
    """Begin with a live token that was verified just now."""
    site.window = timedelta(minutes=10)
    live(site)


def shared_and_old(site: Site) -> None:
    """Begin with a live one that was verified too long ago."""
    site.window = timedelta(milliseconds=1)
    live(site)


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


FIRST = Path("first login", lambda _site: None, "logged in", 1)
RESUME = Path("resume", live, "resumed")
DEAD = Path("dead token", dead, "logged in", 1)
CONFLICT = Path("conflict", dead, "resumed", 1, after_login=foreign_token)
OLD = Path("resume, shared", shared_and_old, "resumed", ripe=2.0)
BETFAIRS = [
    Path("certificate login", lambda _site: None, "logged in", 1, certificate=True),
    *(FIRST, RESUME, OLD, DEAD, CONFLICT),
    Path("the store fails", full_store, "StoreWriteError", 1),
]
STORES = [
    *(FIRST, RESUME, OLD, DEAD, CONFLICT),
    Path("foreign dead token", foreign_dead, "logged in", 1, ripe=6.0),
    Path("abandoned login", abandoned, "logged in", 1, ripe=4.0),
    Path("wait", under_way, "adopted", after_looks=other_ends),
    Path("trusted", shared, "trusted"),
]
