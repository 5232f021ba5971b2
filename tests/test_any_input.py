"""What comes from outside ends in a value or in one of our errors; long/fuzz goes on for hours."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from servers.listeners import Listener, Stranger

from betfair_session import IdentityClient
from betfair_session.betfair import answers
from betfair_session.certificates import Certificate
from betfair_session.environment import read_dotenv
from betfair_session.exceptions import (
    BetfairSessionError,
    CertificateError,
    ConfigurationError,
    IdentityError,
)
from betfair_session.login import lock as locks
from betfair_session.storage.contract import MAX_READ
from betfair_session.storage.errors import Operation, explain
from betfair_session.storage.location import redact
from betfair_session.tokens import is_token

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PLANTED = "PLANTED9"

_TEXT = st.text(max_size=12)
_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_ANY = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)
_NUMBER = st.floats() | st.integers() | st.sampled_from([0, 1, 1e308, -1e308, 2**70, 1.8e9])


def _nearly(**right: Any) -> st.SearchStrategy[dict[str, Any]]:  # noqa: ANN401 - strategies
    """Make dicts with these keys; now and then one is missing, or holds something else."""
    return st.fixed_dictionaries(
        {}, optional={name: value | _ANY for name, value in right.items()}
    ) | st.fixed_dictionaries(right)


_LOCKS = _nearly(
    v=st.just(1),
    state=st.sampled_from(["held", "done", "failed"]),
    nonce=_TEXT,
    owner=_TEXT,
    ttl=_NUMBER,
    since=_NUMBER,
    logins=st.lists(_NUMBER, max_size=30) | st.just([1] * 1900),
    published=_TEXT,
    refusals=_NUMBER,
    status=_TEXT,
    login_class=_TEXT | st.sampled_from(["unknown", "store", "ban"]),
    not_before=_NUMBER,
)


@FEW
@given(fields=_LOCKS, now=_NUMBER.map(float), age=st.none() | st.floats())
def test_a_lock_of_any_content_is_read_and_never_grows(
    fields: dict[str, Any], now: float, age: float | None
) -> None:
    """It can be written again and stays the same; it forbids logins for a ban's time at most."""
    content = json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass")
    read = locks.decode(content)
    for written in (locks.encode(read), locks.cleared(content), locks.withdrawn(content)):
        assert written is None or len(written) <= MAX_READ
    assert locks.decode(locks.encode(read)) == read
    assert read.refused_for(now, age) <= 2 * locks.BAN
    assert read.expired(None, watched=121.0)
    assert len(read.recent(now)) <= 4


_STATUSES: st.SearchStrategy[object] = st.sampled_from(
    [None, 404, 503, 0, -1, "409", "²", "x", b"409", [], {}, 10**30, True]
)
_ANSWERS_OF_DRIVERS: st.SearchStrategy[object] = st.sampled_from([{}, None, "text", 5]) | st.builds(
    lambda status, code: {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": code}},
    _STATUSES,
    _STATUSES,
)


@FEW
@example(base=Exception, module="aiohttp", fields={"status": "²"}, response=None)
@given(
    base=st.sampled_from([Exception, OSError, ValueError, KeyError]),
    module=st.sampled_from(["botocore.exceptions", "aiohttp", "azure.core", "gcsfs.retry", ""]),
    fields=st.dictionaries(st.sampled_from(["status", "status_code", "code"]), _STATUSES),
    response=_ANSWERS_OF_DRIVERS,
)
def test_any_error_of_a_driver_becomes_one_of_ours(
    base: type[Exception], module: str, fields: dict[str, Any], response: object
) -> None:
    """Whatever is where an HTTP status or a code should be; credentials are not repeated."""
    made = type("ClientError", (base,), {"__module__": module})
    error = made("https://u:p@h/?sig=1 Bearer plantedsecret9")
    for name, value in {**fields, "response": response}.items():
        setattr(error, name, value)
    ours = explain(error, Operation("read", "s3://b", "k", {}))
    assert isinstance(ours, BetfairSessionError)
    assert "plantedsecret9" not in str(ours)
    assert "sig=1" not in str(ours)


@pytest.mark.parametrize("part", ["token:", "?", " ", "-----BEGIN A-----", "<", "://a:", "A='"])
def test_long_input_takes_no_longer_than_in_proportion(tmp_path: Path, part: str) -> None:
    """A hundred thousand characters, by the work of this thread, whatever else is running."""
    text = part * (100_000 // len(part)) + "x"
    (tmp_path / ".env").write_text(text)
    began = time.thread_time()
    redact(text)
    answers.Answer(200, text.encode()).excerpt()
    with contextlib.suppress(ConfigurationError):
        read_dotenv(str(tmp_path / ".env"))
    with contextlib.suppress(CertificateError):
        Certificate.of(text.encode()).check()
    assert time.thread_time() - began < 5


_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/1.1 100 Go on", b"HTTP/9 200", b"ICY 200",
     b"HTTP/1.1 302 Found", b"HTTP/1.1 -1 x", b"HTTP/1.1 \xff\xfe", b"HTTP/1.1 403 Forbidden"]
) | st.binary(max_size=20)  # fmt: skip
_HEADERS = st.sampled_from(
    [b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
     b"Content-Length: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
     b"Content-Encoding: gzip", b"Content-Encoding: br", b"Connection: close", b": no name",
     b"Location: https://\xff.example/", b"Set-Cookie: \x00=\xff; expires=never", b" folded",
     b"Content-Type: text/html; charset=\xff", b"Retry-After: -1", b"X: " + b"y" * 70_000]
) | st.binary(max_size=20)  # fmt: skip
_BODIES = st.sampled_from(
    [b'{"token":"abc","status":"SUCCESS"}', b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"\x1f\x8b\x08",
     b'{"status": "FAIL", "error": "PLANTED9"}', b"<p>planted9</p>", b"[" * 60_000]
) | st.binary(max_size=60)  # fmt: skip
_SENT = st.tuples(_LINES, st.lists(_HEADERS, max_size=5), _BODIES).map(
    lambda parts: b"\r\n".join([parts[0], *parts[1], b"", parts[2]])
)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[bytes], IdentityClient]]:
    """What a server with real TLS is to answer, and a client that trusts it."""
    stranger, answer = Stranger(tmp_path_factory.mktemp("authority") / "ca.pem"), [b""]

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        connection.sendall(answer[0])

    with stranger.serving(serve) as listener, stranger.client(listener, timeout=5) as client:
        yield answer, client


@settings(FEW, max_examples=60)
@example(sent=b'HTTP/1.1 200 OK\r\n\r\n{"status": "FAIL", "error": "PLANTED9"}')
@given(sent=_SENT | st.binary(max_size=200))
def test_whatever_a_server_sends_is_a_token_or_one_of_our_errors(
    served: tuple[list[bytes], IdentityClient], sent: bytes
) -> None:
    """Broken heads, odd lengths and encodings, bombs and nonsense."""
    answer, client = served
    answer[0] = sent
    try:
        token = client.login("user", PLANTED)
    except IdentityError as error:
        assert PLANTED.lower() not in str(error).lower()
        assert str(error).isprintable()
    else:
        assert is_token(token.reveal())
        assert b"SUCCESS" in sent
