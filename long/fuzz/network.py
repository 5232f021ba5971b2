"""What servers answer: Betfair's, and the stores' by way of their drivers' errors."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from betfair_session.betfair.answers import (
    EXCERPT_CHARACTERS,
    Answer,
    Endpoint,
    read_login,
    read_session,
)
from betfair_session.exceptions import BetfairSessionError, IdentityError
from betfair_session.exchange.answers import session_is_invalid
from betfair_session.secret import Secret
from betfair_session.storage.errors import Operation, attempt, explain
from betfair_session.storage.obstore import understanding
from betfair_session.tokens import is_token

from .feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "PlantedToken+0/1=2"
PASSWORD = "planted-pass word9"

_CERTLOGIN = Endpoint("certlogin", "https://identity.example/api/")
_ENDPOINT = Endpoint("keepAlive", "https://identity.example/api/")
_STATUSES = (200, 200, 200, 200, 200, 200, 204, 301, 400, 403, 404, 429, 500, 503, 0, 999)


def answers(data: bytes) -> None:
    """An answer is a token, "dead", a refusal, or "cannot tell"; it never shows what was sent."""
    feed = Feed(data)
    status = feed.pick(_STATUSES)
    answer = Answer(status, feed.rest(), (Secret(TOKEN), Secret(PASSWORD)))
    sent = Secret(TOKEN)
    readers: tuple[Callable[[], Secret | None], ...] = (
        lambda: read_login(_CERTLOGIN, answer)[0],
        lambda: read_login(_ENDPOINT, answer)[0],
        lambda: read_session(_ENDPOINT, answer, sent),
    )
    for read in readers:
        try:
            found = read()
        except IdentityError as error:
            assert TOKEN not in str(error)
            assert PASSWORD not in str(error)
            assert str(error).isprintable()
            assert len(str(error)) < 500 + EXCERPT_CHARACTERS
        else:
            assert status == 200
            assert found is None or is_token(found.reveal())


def betting(data: bytes) -> None:
    """Whatever the betting API answers, it says "invalid session", or it does not."""
    text = Feed(data).text()
    told = session_is_invalid(data)
    assert told in {True, False}
    assert session_is_invalid(text) in {True, False}
    if told:
        assert b"SESSION" in data.replace(b"\0", b"") or b"\\u" in data


_MODULES = (
    "builtins", "botocore.exceptions", "aiohttp.client_exceptions", "azure.core.exceptions",
    "gcsfs.retry", "google.auth.exceptions", "obstore.exceptions", "requests.exceptions",
    "asyncssh.misc", "betfair_session.storage.meanings", "socket", "ssl", "",
)  # fmt: skip
_NAMES = (
    "ClientError", "HttpError", "HttpProcessingError", "GenericError", "BaseError", "Error",
    "TimeoutError", "Known", "Refusal", "InvalidURL", "ResourceExistsError", "Mine",
)  # fmt: skip
_VERBS = ("open", "read", "write", "create", "replace", "replace if unchanged", "delete")
_CODES = ("NoSuchBucket", "SlowDown", "PreconditionFailed", "ContainerNotFound", "", "Odd", None)


def errors(data: bytes) -> None:
    """Whatever a driver raises becomes one of ours, in one line without credentials."""
    feed = Feed(data)
    operation = Operation(feed.pick(_VERBS), "s3://b", feed.pick(("k", None)), {})
    error = _error(feed, 0)

    def fail() -> None:
        if feed.byte() % 2:
            with understanding("bucket"):
                raise error
        raise error

    ours = explain(error, operation)
    assert isinstance(ours, BetfairSessionError)
    assert len(str(ours)) < 700
    assert "\n" not in str(ours)
    assert "Bearer plantedsecret9" not in str(ours)
    with contextlib.suppress(BetfairSessionError):
        attempt(fail, operation)


def _error(feed: Feed, depth: int) -> Exception:
    """Make an exception as a driver might raise it, or one that nobody expects."""
    names: dict[str, Any] = {"__module__": feed.pick(_MODULES)}
    base: type[Exception] = feed.pick((Exception, OSError, ValueError, ConnectionError, KeyError))
    made = type(feed.pick(_NAMES), (base,), names)
    shape = feed.byte()
    values: tuple[Any, ...] = (
        None,
        404,
        503,
        0,
        -1,
        "409",
        "²",
        "nonsense",
        b"409",
        [],
        {},
        10**30,
        3.5,
        True,
    )
    inner = _error(feed, depth + 1) if shape & 1 and depth < 4 else None
    attributes: dict[str, Any] = {}
    for bit, name in enumerate(("status", "status_code", "code", "errno"), start=1):
        if shape & 1 << bit:
            attributes[name] = feed.pick(values)
    if shape & 32:
        attributes["response"] = feed.pick(
            (
                {},
                None,
                "text",
                {"ResponseMetadata": {"HTTPStatusCode": feed.pick(values)}},
                {"Error": {"Code": feed.pick(_CODES)}, "ResponseMetadata": {}},
                {"Error": feed.pick(values), "ResponseMetadata": feed.pick(values)},
            )
        )
    if shape & 64:
        attributes["error_code"] = feed.pick((*_CODES, *values))
    error: Exception = made(*([feed.text()] if depth == 0 or shape & 128 else [feed.pick(values)]))
    for name, value in attributes.items():
        # Some are read-only, such as a KeyError's.
        with contextlib.suppress(AttributeError, TypeError):
            setattr(error, name, value)
    if inner is not None:
        if depth % 2:
            error.__context__ = inner
        else:
            error.__cause__ = inner
    return error
