"""What comes from outside ends in a value or in one of our errors; long/fuzz goes on for hours."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from fuzz import network
from fuzz.seeds import seeds
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, example, given, settings, strategies as st
from servers.listeners import Listener, Stranger

from betfair_session import IdentityClient
from betfair_session.exceptions import IdentityError
from betfair_session.tokens import is_token

FEW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PLANTED = "PLANTED9"


@pytest.mark.parametrize("name", sorted(TARGETS.keys() - {"command_line", "errors"}))
def test_good_input_and_what_is_nearly_good(name: str) -> None:
    """Each of the fuzzer's targets takes it, in proportionate processor time."""
    target = TARGETS[name]

    @FEW
    @given(st.sampled_from(seeds(name)), st.integers(0, 4500), st.integers(0, 20), st.binary())
    def look(seed: bytes, cut: int, lost: int, more: bytes) -> None:
        target(seed[: cut % (len(seed) + 1)] + more + seed[cut % (len(seed) + 1) + lost :])

    began = time.thread_time()
    for seed in seeds(name):
        target(seed)
    look()
    assert time.thread_time() - began < 60


def test_any_error_of_a_driver_becomes_one_of_ours() -> None:
    """With anything in place of an HTTP status or a code; credentials are not repeated."""
    network.errors()


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
    """A list for what a server with real TLS will answer, and a client that trusts it."""
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
