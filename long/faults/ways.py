"""The ways in which requests to a store, and to Betfair, are broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from servers.script import Answer

from faults.lane import FROM_THEN_ON, PATIENCE, Way

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
# From the error references of Amazon S3, Google Cloud Storage's JSON interface and Azure.
_S3 = {403: "AccessDenied", 409: "ConditionalRequestConflict", 412: "PreconditionFailed"}
_S3 |= {429: "TooManyRequests", 500: "InternalError", 502: "BadGateway", 503: "SlowDown"}
_GCS = {403: "forbidden", 412: "conditionNotMet", 429: "rateLimitExceeded"}
_GCS |= {500: "internalError", 502: "backendError", 503: "backendError"}
_AZURE = {403: "AuthorizationFailure", 409: "BlobAlreadyExists", 412: "ConditionNotMet"}
_AZURE |= {429: "TooManyRequests", 500: "InternalError", 502: "BadGateway", 503: "ServerBusy"}
_PAGE = b"<!DOCTYPE html><html><body><h1>Sorry</h1><p>token=abc</p></body></html>"


def _s3(status: int, code: str) -> Answer:
    text = f"<Error><Code>{code}</Code><Message>scripted</Message><RequestId>1</RequestId></Error>"
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})


def _gcs(status: int, code: str) -> Answer:
    detail = {"message": "scripted", "domain": "global", "reason": code}
    body = {"error": {"code": status, "message": "scripted", "errors": [detail]}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _azure(status: int, code: str) -> Answer:
    answer = _s3(status, code)
    return Answer(status, answer.body, {**answer.headers, "x-ms-error-code": code})


_WORDS: dict[str, tuple[Callable[[int, str], Answer], dict[int, str]]] = {
    "gcs": (_gcs, _GCS),
    "azure": (_azure, _AZURE),
}
"""How a cloud says no, where that is not S3's way."""


def at_betfair() -> list[Way]:
    """Return all ways that the sandbox knows, each for one request."""
    return [Way(f"{kind} {more}"[:60], kind, more) for kind, more in _BETFAIRS]


def at_store(kind: str) -> list[Way]:
    """Return all ways for a store, each for one request."""
    say, codes = _WORDS.get(kind, (_s3, _S3))
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
        *(
            Way(f"{status} {code}", say(status, code), doubtful=status >= 500)
            for status, code in codes.items()
        ),
        # It may come from something in front of the store that did not wait.
        *(Way(f"{each} page", Answer(each, _PAGE, html), doubtful=True) for each in pages),
    ]


def lasting(ways: list[Way]) -> list[Way]:
    """Return the same ways for all requests from one on."""
    return [each._replace(name=each.name + ", and on", times=FROM_THEN_ON) for each in ways]
