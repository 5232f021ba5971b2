"""The ways through get_session, each as what it finds and what others do meanwhile."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from betfair_session.login import lock as locks
from betfair_session.secret import Secret
from betfair_session.tokens import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.places import Place

    from betfair_session.sandbox import Sandbox

Aim: TypeAlias = Literal["token", "lock", "clock"]
OTHER = "another process"


@dataclass
class Site:
    """Where one call is made.

    Attributes:
        place: the store, past the proxy.
        sandbox: Betfair.
        username: whose token it is.
        key: the token's name.
        found: the token that was there at the beginning, or "".
        foreign: the live token that another stored meanwhile, or "".
        window: the call's trust window, shared through the store, or None.
    """

    place: Place
    sandbox: Sandbox
    username: str
    key: str
    found: str = ""
    foreign: str = ""
    window: timedelta | None = None

    @property
    def lock(self) -> str:
        """The lock's name."""
        return self.key + ".login"

    def put_token(self, *, alive: bool) -> str:
        """Store a token."""
        token = self.sandbox.issue(self.username) if alive else _dead_token()
        self.place.put(self.key, token.encode())
        return token

    def put_lock(self, state: str, *, token: str = "", ttl: float = 60.0) -> None:
        """Store a lock as another process leaves it; `token` is what it published."""
        lock = locks.Lock(
            state,
            nonce=secrets.token_hex(8),
            owner=OTHER,
            ttl=ttl,
            published=fingerprint(Secret(token)) if token else "",
        )
        self.place.put(self.lock, locks.encode(lock))

    def stored(self) -> str:
        """Return the stored token, or "" when there is none."""
        return (self.place.get(self.key) or b"").decode()


def _dead_token() -> str:
    """Make up a token that Betfair does not know."""
    return b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Path:
    """One way through get_session.

    Attributes:
        name: for people.
        prepare: makes what the call finds.
        ends: the event with which it ends when nothing is broken.
        logins: how many it makes then.
        meanwhile: what another process does, or None.
        due: whether the time for that has come: told how many requests came before, the aim and
            whether it is a write.
        ripe: seconds that what was prepared has to be old.
        waits: whether the call waits for the other process, which ends then in any case.
    """

    name: str
    prepare: Callable[[Site], None]
    ends: str
    logins: int = 0
    meanwhile: Callable[[Site], None] | None = None
    due: Callable[[int, Aim, bool], bool] = lambda _number, _aim, _writes: False
    ripe: float = 0.0
    waits: bool = False

    @property
    def contested(self) -> bool:
        """Whether another's token is stored while the call has one of its own to store."""
        return self.meanwhile is not None and not self.waits


def _nothing(site: Site) -> None:
    del site


def _live(site: Site) -> None:
    site.found = site.put_token(alive=True)


def _dead(site: Site) -> None:
    site.found = site.put_token(alive=False)


def _dead_after_a_login(site: Site) -> None:
    _dead(site)
    site.put_lock(locks.DONE, token=site.found)


def _dead_after_a_foreign_one(site: Site) -> None:
    _dead(site)
    site.put_lock(locks.DONE, token=_dead_token())


def _abandoned(site: Site) -> None:
    _dead(site)
    site.put_lock(locks.HELD, ttl=0.5)


def _login_under_way(site: Site) -> None:
    site.put_lock(locks.HELD)


def _login_under_way_for_a_dead_one(site: Site) -> None:
    _dead(site)
    _login_under_way(site)


def _other_ends(site: Site) -> None:
    """The other process's login ends well."""
    site.foreign = site.put_token(alive=True)
    site.put_lock(locks.DONE, token=site.foreign)


def _foreign_token(site: Site) -> None:
    """Something that takes no part stores a live token."""
    site.foreign = site.put_token(alive=True)


def _foreign_dead_token(site: Site) -> None:
    """Something that takes no part stores a dead token."""
    site.put_token(alive=False)


def _shared(site: Site) -> None:
    site.window = timedelta(minutes=10)
    _live(site)


def _shared_and_old(site: Site) -> None:
    site.window = timedelta(milliseconds=1)
    _live(site)


def _shared_and_dead(site: Site) -> None:
    site.window = timedelta(milliseconds=1)
    _dead_after_a_login(site)


def _at(position: int) -> Callable[[int, Aim, bool], bool]:
    return lambda number, _aim, _writes: number >= position


def _publication(number: int, aim: Aim, writes: bool) -> bool:  # noqa: FBT001 - one of three facts
    del number
    return aim == "token" and writes


PATHS = [
    Path("first login", _nothing, "logged in", 1),
    Path("resume", _live, "resumed"),
    Path("dead token", _dead, "logged in", 1),
    Path("dead token after a login", _dead_after_a_login, "logged in", 1),
    Path("foreign dead token", _dead_after_a_foreign_one, "logged in", 1, ripe=6.0),
    Path("abandoned login", _abandoned, "logged in", 1, ripe=4.0),
    Path("wait", _login_under_way, "adopted", 0, _other_ends, _at(4), waits=True),
    Path(
        "wait, dead", _login_under_way_for_a_dead_one, "adopted", 0, _other_ends, _at(4), waits=True
    ),
    Path("conflict", _dead_after_a_login, "resumed", 1, _foreign_token, _publication),
    Path("conflict, dead", _nothing, "logged in", 2, _foreign_dead_token, _publication),
    Path("shared, old", _shared_and_old, "resumed", ripe=2.0),
    Path("shared, verified", _shared, "trusted"),
    Path("shared, dead", _shared_and_dead, "logged in", 1),
]


def identity(sandbox: Sandbox) -> dict[str, Any]:
    """Return what an IdentityClient needs."""
    return {
        "app_key": sandbox.app_key,
        "certificate": sandbox.certificate,
        "identity_url": sandbox.identity_url,
        "identity_cert_url": sandbox.identity_cert_url,
        "verify": sandbox.ca_bundle,
        "timeout": 30,
    }
