"""What the sandbox can do to a request, and the ways through get_session as Betfair sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from storage.places import LocalPlace

from betfair_session.login import lock as locks
from faults.breaking import AFTER, FROM_THEN_ON, ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.paths import Site

PATIENCE = 2.0
"""Seconds that the client of a disturbed call gives one operation."""


@dataclass(frozen=True)
class Kind:
    """One way in which the sandbox breaks requests: a kind of its own, with its parameters."""

    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    times: int = ONCE

    def __str__(self) -> str:
        set_to = "".join(f", {name} {value!r}"[:40] for name, value in self.parameters.items())
        return self.kind + set_to + (AFTER if self.times != ONCE else "")


_STATUSES = [400, 401, 403, 404, 408, 409, 412, 429, 500, 502, 503, 504]
_KINDS: list[tuple[str, dict[str, Any]]] = [
    ("reset", {}),
    ("lost", {}),
    ("stall", {}),
    ("stall", {"effect": True}),
    ("delay", {"seconds": 0.3}),
    ("delay", {"seconds": PATIENCE + 1.5}),
    ("drip", {"part": "head", "seconds": 0.001}),
    ("drip", {"part": "head", "seconds": 0.2}),
    ("drip", {"part": "body", "seconds": 0.2}),
    ("truncated", {}),
    ("cut", {}),
    *((f"status:{status}", {"body": "html"}) for status in _STATUSES),
    *((f"status:{status}", {"body": "json"}) for status in (403, 429, 500, 503)),
    ("status:429", {"body": "plain", "retry_after": 1}),
    ("status:503", {"body": "html", "effect": True}),
    ("blocked", {}),
    ("html200", {}),
    ("png200", {}),
    ("internal_error", {}),
    ("non_object", {}),
    ("non_object", {"body": "null"}),
    ("redirect", {}),
    ("redirect", {"location": "https://localhost:1/", "status": 307}),
    ("empty", {}),
    ("huge", {}),
    ("rotate", {}),
    ("token", {"value": ""}),
    ("token", {"value": "two words"}),
    ("token", {"value": "x" * 600}),
]


def kinds() -> list[Kind]:
    """Return all ways: each for one request, and for all to that endpoint from there on."""
    return [Kind(*each, times) for times in (ONCE, FROM_THEN_ON) for each in _KINDS]


@dataclass(frozen=True)
class Route:
    """One way through get_session, as Betfair sees it.

    Attributes:
        name: for people.
        prepare: makes what the call finds.
        logins: how many logins it makes at most.
        ends: an event that it tells when nothing is broken, or the error that it raises.
        meanwhile: what happens while the login is on its way, or None.
        certificate: whether it logs in with one.
        breaks: whether the store is broken meanwhile.
    """

    name: str
    prepare: Callable[[Site], None]
    logins: int
    ends: str
    meanwhile: Callable[[Site], None] | None = None
    certificate: bool = False
    breaks: bool = False


def _nothing(site: Site) -> None:
    del site


def _live(site: Site) -> None:
    site.found = site.put_token(alive=True)


def _live_and_shared(site: Site) -> None:
    site.window = timedelta(milliseconds=1)
    _live(site)


def _dead(site: Site) -> None:
    site.found = site.put_token(alive=False)
    site.put_lock(locks.DONE, token=site.found)


def _foreign_token(site: Site) -> None:
    site.foreign = site.put_token(alive=True)


def _full_store(site: Site) -> None:
    """Have the store fail as soon as the login is answered."""
    _nothing(site)
    assert isinstance(site.place, LocalPlace)
    site.sandbox.break_store(str(site.place.directory))


ROUTES = [
    Route("certificate login", _nothing, 1, "logged in", certificate=True),
    Route("first login", _nothing, 1, "logged in"),
    Route("resume", _live, 0, "resumed"),
    Route("resume, shared", _live_and_shared, 0, "resumed"),
    Route("dead token", _dead, 1, "logged in"),
    Route("conflict", _dead, 1, "resumed", _foreign_token),
    Route("the store fails", _full_store, 1, "StoreWriteError", breaks=True),
]
