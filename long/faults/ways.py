"""The ways in which requests to a store, and to Betfair, are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faults import dialects
from faults.lane import FROM_THEN_ON, PATIENCE, Way

if TYPE_CHECKING:
    from faults.dialects import Dialect

DIALECTS: dict[str, Dialect] = {
    "seaweed": dialects.S3,
    "moto": dialects.S3,
    "gcs": dialects.GCS,
    "azure": dialects.AZURE,
    "obstore+seaweed": dialects.S3,
}

_STATUSES = [400, 401, 403, 404, 408, 409, 412, 429, 500, 502, 503, 504]
_BETFAIRS: list[tuple[str, dict[str, Any]]] = [
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


def at_betfair() -> list[Way]:
    """Return all ways that the sandbox knows, each for one request."""
    return [Way(f"{kind} {more}"[:60], kind, more) for kind, more in _BETFAIRS]


def at_store(kind: str) -> list[Way]:
    """Return all ways for a store, each for one request."""
    dialect = DIALECTS[kind]
    # To a store reached by http, an emulator of Google's, a bare 404 is one of its own.
    pages = (200, 403, 503) if kind == "gcs" else (200, 403, 404, 503)
    codes: dict[int, str] = {}
    for status, code in (
        *dialect.forbidden,
        *dialect.conflicts,
        *dialect.throttled,
        *dialect.broken,
    ):
        codes.setdefault(status, code)
    return [
        Way("delayed", "delay", doubtful=True),
        Way("reset", "reset", doubtful=True),
        Way("answer lost", "lost", doubtful=True),
        Way("answer truncated", "truncate", doubtful=True),
        Way("sent twice", "duplicate", doubtful=True),
        Way("held, lands afterwards", "hold", doubtful=True),
        Way("held, lands after the healing", "hold", doubtful=True, late=True),
        Way("landed, never answered", "hold-answer", doubtful=True),
        *(
            Way(f"{status} {code}", dialect.say(status, code), doubtful=status >= 500)
            for status, code in sorted(codes.items())
        ),
        # It may come from something in front of the store that did not wait.
        *(Way(f"{status} page", dialects.page(status), doubtful=True) for status in pages),
    ]


def lasting(ways: list[Way]) -> list[Way]:
    """Return the same ways for all requests from one on."""
    return [each._replace(name=each.name + ", and on", times=FROM_THEN_ON) for each in ways]
