"""Requests by Python's own http.client: what a server sends, and what the environment says."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hidden.listeners import saying
from programs import run

from betfair_session import IdentityUnavailable

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from hidden.listeners import Listener, Stranger

    from betfair_session.sandbox import Sandbox

BODY = b'{"token":"t","status":"SUCCESS","error":""}'
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKS = (
    OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + BODY[:9] + b"\r\n%x\r\n" % (len(BODY) - 9)
)

ANSWERS = {
    "whole": (WHOLE, True),
    "in chunks": (CHUNKS + BODY[9:] + b"\r\n0\r\n\r\n", True),
    "until the connection ends": (OK + b"\r\n" + BODY, True),
    "after another that goes before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, True),
    "cut off": (WHOLE.replace(b"Length: 4", b"Length: 5"), False),
    "cut off in a chunk": (CHUNKS + BODY[9:-1], False),
    "cut off between chunks": (CHUNKS + BODY[9:] + b"\r\n", False),
    "cut off in its head": (OK + b"Content-Le", False),
    "empty": (b"", False),
    "no HTTP": (b"220 smtp.example.com ESMTP\r\n", False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_a_whole_answer_is_one(stranger: Stranger, name: str) -> None:
    """Half of one may be valid JSON, too; and the login that it was for may have been made."""
    answer, whole = ANSWERS[name]
    with stranger.serving(saying(answer)) as listener, stranger.client(listener) as client:
        if whole:
            assert client.login("u", "p").reveal() == "t"
        else:
            with pytest.raises(IdentityUnavailable) as caught:
                client.login("u", "p")
            assert caught.value.sent
        assert (listener.connections, listener.heard.count(b"POST /api/login ")) == (1, 1)


def test_a_connection_that_the_server_closed_is_not_used_again(stranger: Stranger) -> None:
    """So nothing is sent in vain, nor twice."""
    closed = threading.Event()

    def serve(listener: Listener, connection: socket.socket) -> None:
        saying(WHOLE)(listener, connection)
        connection.close()
        closed.set()

    with stranger.serving(serve) as listener, stranger.client(listener) as client:
        for count in (1, 2, 3):
            assert client.keep_alive("t")
            assert closed.wait(60)
            closed.clear()
            assert (listener.connections, listener.heard.count(b"POST ")) == (count, count)


@pytest.mark.parametrize(
    ("variable", "imports"), [("https_proxy", True), ("ALL_PROXY", True), ("http_proxy", False)]
)
def test_only_a_proxy_needs_requests(
    sandbox: Sandbox, tmp_path: Path, variable: str, *, imports: bool
) -> None:
    """A function pays for every import."""
    program = (
        "import sys; from betfair_session import IdentityClient\n"
        f"client = IdentityClient('key', identity_url={sandbox.identity_url!r},"
        f" verify={sandbox.ca_bundle!r})\n"
        "print(client.keep_alive('token'), 'requests' in sys.modules)"
    )
    variables = {variable: "http://127.0.0.1:9", "no_proxy": "localhost,127.0.0.1"}
    done = run(sys.executable, "-c", program, variables=variables, directory=tmp_path)
    assert (done.stdout.split(), done.stderr) == (["None", str(imports)], "")
