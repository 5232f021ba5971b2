"""What servers answer: Betfair's, and the stores' by way of their drivers' errors."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st

from betfair_session.betfair.answers import (
    Answer,
    Endpoint,
    read_login,
    read_session,
)
from betfair_session.exceptions import BetfairSessionError, IdentityError
from betfair_session.exchange.calls import session_is_invalid
from betfair_session.secret import Secret
from betfair_session.storage.errors import Operation, attempt, explain
from betfair_session.storage.obstore import translated_errors
from betfair_session.tokens import is_token

TOKEN = "PlantedToken+0/1=2"
PASSWORD = "planted-pass word9"

_CERTLOGIN = Endpoint("certlogin", "https://identity.example/api/")
_ENDPOINT = Endpoint("keepAlive", "https://identity.example/api/")
_STATUSES = (200, 200, 200, 200, 200, 200, 204, 301, 400, 403, 404, 429, 500, 503, 0, 999)


def answers(data: bytes) -> None:
    """An answer is a token, "dead", a refusal, or "cannot tell"; it never shows what was sent."""
    status = _STATUSES[(data + b"\0")[0] % len(_STATUSES)]
    answer = Answer(status, data[1:], (Secret(TOKEN), Secret(PASSWORD)))
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
            assert len(str(error)) < 500
        else:
            assert status == 200
            assert found is None or is_token(found.reveal())


def betting(data: bytes) -> None:
    """Any answer of the betting API says "invalid session", or it does not."""
    text = data.decode("utf-8", "surrogateescape")
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
_BASES = (Exception, OSError, ValueError, ConnectionError, KeyError)
_VERBS = ("open", "read", "write", "create", "replace", "replace if unchanged", "delete")
_CODES = ("NoSuchBucket", "SlowDown", "PreconditionFailed", "ContainerNotFound", "", "Odd", None)
_ODD: tuple[Any, ...] = (
    *(None, 404, 503, 0, -1, "409", "²", "nonsense", b"409", [], {}, 10**30, 3.5, True),
)
_TEXT = (
    "https://u:p@h/?sig=1 Bearer plantedsecret9",
    "PUT https://s3.x/b/k - status code: 404, <Code>NoSuchBucket</Code> kind: Connect (code: 404)",
)

_odd = st.sampled_from([*_ODD, *_CODES])
_answers: st.SearchStrategy[Any] = st.sampled_from([{}, None, "text"]) | st.fixed_dictionaries(
    {
        "ResponseMetadata": _odd | st.fixed_dictionaries({"HTTPStatusCode": _odd}),
        "Error": _odd | st.fixed_dictionaries({"Code": _odd}),
    }
)
_fields = ("status", "status_code", "code", "errno", "error_code")
_one = st.tuples(
    st.tuples(*map(st.sampled_from, (_NAMES, _BASES, _MODULES))),
    st.fixed_dictionaries({}, optional={**dict.fromkeys(_fields, _odd), "response": _answers}),
    st.sampled_from(_TEXT) | st.text() | _odd,
)


@hypothesis.settings(database=None)
@hypothesis.given(st.lists(_one, min_size=1, max_size=5), st.sampled_from(_VERBS), st.booleans())
def errors(chain: list[Any], verb: str, through_obstore: bool) -> None:  # noqa: FBT001 - drawn
    """Any error of a driver becomes one of ours, in one line without credentials."""
    operation, error = Operation(verb, "s3://b", "k" if len(chain) % 2 else None, {}), Exception()
    for number, ((name, base, module), fields, said) in enumerate(chain):
        inner, error = error, type(name, (base,), {"__module__": module})(said)
        error.__cause__, error.__context__ = (inner, None) if number % 2 else (None, inner)
        for field, value in fields.items():
            # Some are read-only, such as a KeyError's.
            with contextlib.suppress(AttributeError, TypeError):
                setattr(error, field, value)

    def fail() -> None:
        with translated_errors("bucket") if through_obstore else contextlib.nullcontext():
            raise error

    ours = explain(error, operation)
    assert isinstance(ours, BetfairSessionError)
    assert len(str(ours)) < 700
    assert "\n" not in str(ours)
    assert "Bearer plantedsecret9" not in str(ours)
    with contextlib.suppress(BetfairSessionError):
        attempt(operation, fail)
