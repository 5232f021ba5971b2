"""Whatever a server sends after the handshake, a call ends with a token or one of our errors."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from hidden.listeners import Listener
from hypothesis import HealthCheck, given, settings, strategies as st

from betfair_session import IdentityClient, IdentityError
from betfair_session.tokens import is_token

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

PASSWORD = "planted-pass words"  # of the kind that an excerpt of a page may show

_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"HTTP/1.1 100 Go on", b"HTTP/1.1 204 No", b"HTTP/9 200",
     b"HTTP/1.1 302 Found", b"HTTP/1.1 999 x", b"HTTP/1.1 -1 x", b"HTTP/1.1 \xff\xfe", b"ICY 200",
     b"HTTP/1.1 403 Forbidden"]
) | st.binary(max_size=20)  # fmt: skip
_HEADERS = st.sampled_from(
    [b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
     b"Content-Length: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
     b"Content-Encoding: gzip", b"Content-Encoding: br", b"Connection: close", b": no name",
     b"Location: https://\xff.example/", b"Set-Cookie: \x00=\xff; expires=never", b" folded",
     b"Content-Type: text/html; charset=\xff", b"Date: tomorrow", b"Retry-After: -1",
     b"X: " + b"y" * 70_000]
) | st.binary(max_size=20)  # fmt: skip
_BODIES = st.sampled_from(
    [b'{"token":"abc","status":"SUCCESS"}', b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"\x1f\x8b\x08",
     b'{"status": "FAIL", "error": "planted-pass words"}', b"<p>planted-pass words</p>",
     b"password=planted-pass+words", b"[" * 60_000, b"\0" * 70_000]
) | st.binary(max_size=60)  # fmt: skip


@st.composite
def _answers(draw: st.DrawFn) -> bytes:
    head = [draw(_LINES), *draw(st.lists(_HEADERS, max_size=5))]
    return b"\r\n".join([*head, b"", draw(_BODIES)])


class Server:
    """A server that says what it is told to."""

    def __init__(self) -> None:
        """Begin with nothing to say."""
        self.answer = b""

    def serve(self, listener: Listener, connection: socket.socket) -> None:
        """Read a request, and answer."""
        listener.read_request(connection)
        connection.sendall(self.answer)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, IdentityClient]]:
    """A server with real TLS, and a client that trusts it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    server = Server()
    with Listener(server.serve, context) as listener:
        base = f"https://localhost:{listener.port}/api/"
        with IdentityClient("k", identity_url=base, verify=bundle, timeout=5) as client:
            yield server, client


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(answer=_answers() | st.binary(max_size=200))
def test_any_answer_is_a_token_or_one_of_our_errors(
    served: tuple[Server, IdentityClient], answer: bytes
) -> None:
    """Broken heads, odd lengths and encodings, bombs and nonsense."""
    server, client = served
    server.answer = answer
    try:
        token = client.login("user", PASSWORD)
    except IdentityError as error:
        assert "planted-pass" not in str(error)
        assert str(error).isprintable()
    else:
        assert is_token(token.reveal())
        assert b"SUCCESS" in answer
