"""The ways through get_session, and the ways in which its requests are broken.

Each path through it says what a call finds, and what others do meanwhile.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path as Directory
from typing import Any, NamedTuple

from rare_servers.proxy import Fault
from servers.cloudlike_wire import Says, refusal
from servers.script import Answer
from storage.places import LocalPlace, Place

from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox
from betfair_session.secret import Secret
from betfair_session.tokens import fingerprint

PATIENCE = 2.0  # seconds for one question to Betfair or the store
FROM_THEN_ON = 10**6


@dataclass
class Site:
    """Where one call is made."""

    place: Place  # the store, past any proxy
    sandbox: Sandbox  # Betfair
    key: str  # the token's name
    found: str = field(default="", repr=False)  # the token that was there at the beginning, or ""
    # The live token that another stored meanwhile, or "".
    foreign: str = field(default="", repr=False)
    aside: Directory | None = None  # where a store is while a file is in its place
    window: timedelta | None = None  # the call's trust window, shared through the store, or None

    @property
    def lock(self) -> str:
        return self.key + ".login"

    def mend(self) -> None:
        """Put back what `full_store` moved away."""
        if self.aside and isinstance(self.place, LocalPlace):
            self.place.directory.unlink()
            self.aside.rename(self.place.directory)

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
    """Let the other process's login succeed."""
    site.foreign = site.put_token(alive=True)
    site.put_lock(locks.DONE, token=site.foreign)


def foreign_token(site: Site) -> None:
    """Let something outside the fleet store a live token."""
    site.foreign = site.put_token(alive=True)


def full_store(site: Site) -> None:
    """Put a file in the store's place."""
    if isinstance(site.place, LocalPlace):
        directory = site.place.directory
        site.aside = directory.rename(f"{directory}.aside")
        directory.touch()


@dataclass(frozen=True)
class Path:
    """One way through get_session."""

    name: str  # for people
    prepare: Callable[[Site], None]  # makes what the call finds
    ends: str  # an event that it sends when nothing is broken, or the error that it raises
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
    Path("the store fails", lambda _site: None, "StoreWriteError", 1, after_login=full_store),
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


class Way(NamedTuple):
    """One way to break requests."""

    name: str
    kind: Fault | Answer | str  # what the proxy does, or the name of the sandbox's fault
    parameters: dict[str, Any] = {}  # noqa: RUF012 - the sandbox's; never changed
    times: int = 1  # how many requests it hits
    doubtful: bool = False  # whether a write that met this may have landed
    late: bool = False  # whether what was held arrives only after others have healed everything


_STATUSES = [400, 401, 403, 404, 408, 409, 412, 429, 500, 502, 503, 504]
_PLAIN = (
    *("reset", "lost", "stall", "truncated", "cut", "blocked", "html200"),
    *("internal_error", "non_object", "redirect", "empty", "huge", "rotate"),
)
_BETFAIRS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in _PLAIN),
    ("stall", {"effect": True}),
    ("delay", {"seconds": 0.3}),
    ("delay", {"seconds": PATIENCE + 1.5}),
    ("drip", {"part": "head", "seconds": 0.001}),
    ("drip", {"part": "head", "seconds": 0.2}),
    ("drip", {"part": "body", "seconds": 0.2}),
    *((f"status:{status}", {"body": "html"}) for status in _STATUSES),
    *((f"status:{status}", {"body": "json"}) for status in (403, 429, 500, 503)),
    ("status:429", {"body": "plain"}),
    ("status:503", {"body": "html", "effect": True}),
    ("non_object", {"body": "null"}),
    ("redirect", {"location": "https://localhost:1/", "status": 307}),
    *(("token", {"value": value}) for value in ("", "two words", "x" * 600)),
]
# From the error references of Amazon S3, Google Cloud Storage's JSON interface and Azure.
_S3 = {403: "AccessDenied", 409: "ConditionalRequestConflict", 412: "PreconditionFailed"}
_S3 |= {429: "TooManyRequests", 500: "InternalError", 502: "BadGateway", 503: "SlowDown"}
_GCS = {403: "forbidden", 412: "conditionNotMet", 429: "rateLimitExceeded"}
_GCS |= {500: "internalError", 502: "backendError", 503: "backendError"}
_AZURE = {403: "AuthorizationFailure", 409: "BlobAlreadyExists", 412: "ConditionNotMet"}
_AZURE |= {429: "TooManyRequests", 500: "InternalError", 502: "BadGateway", 503: "ServerBusy"}
_WORDS = {"s3": _S3, "gcs": _GCS, "azure": _AZURE}
_PAGE = b"<!DOCTYPE html><html><body><h1>Sorry</h1><p>token=abc</p></body></html>"


def at_betfair() -> list[Way]:
    """Return all ways that the sandbox knows, each for one request."""
    return [Way(f"{kind} {more}"[:60], kind, more) for kind, more in _BETFAIRS]


def at_store(kind: str) -> list[Way]:
    """Return all ways for a store, each for one request."""
    cloud = kind if kind in _WORDS else "s3"
    refusals = [
        (status, refusal(cloud, Says(status, code), by_json=cloud == "gcs"))
        for status, code in _WORDS[cloud].items()
    ]
    # To a store reached by http, an emulator of Google's, a bare 404 is one of its own.
    pages = (200, 403, 503) if kind == "gcs" else (200, 403, 404, 503)
    html = {"Content-Type": "text/html"}
    return [
        Way("delayed", "delay", doubtful=True),
        Way("reset", "reset", doubtful=True),
        Way("answer lost", "lost", doubtful=True),
        Way("answer truncated", "truncate", doubtful=True),
        Way("sent twice", "duplicate", doubtful=True),
        Way("held, lands afterwards", "hold", doubtful=True),
        Way("held, lands after the healing", "hold", doubtful=True, late=True),
        Way("landed, never answered", "hold-answer", doubtful=True),
        *(Way(f"refusal {each}", said, doubtful=each >= 500) for each, said in refusals),
        # It may come from something in front of the store that did not wait.
        *(Way(f"{each} page", Answer(each, _PAGE, html), doubtful=True) for each in pages),
    ]


def lasting(ways: list[Way]) -> list[Way]:
    """Return the same ways for all requests from one on."""
    return [each._replace(name=each.name + ", and on", times=FROM_THEN_ON) for each in ways]
