"""The proxy: it passes everything on unchanged, except what it is told to break."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import requests

from servers.process import poll
from servers.proxy import Proxy
from servers.script import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.script import Fault


class _Echo(BaseHTTPRequestHandler):
    """Answer with the request's body; note what came."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.command, self.path, self.headers["Host"]))
        body = body or b"x" * 1000
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif self.path == "/endless":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = _answer  # noqa: N815 - http.server calls them so

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def seen() -> list[tuple[str, str, str]]:
    """What reached the server: method, path and Host header."""
    return []


@pytest.fixture
def proxy(seen: list[tuple[str, str, str]]) -> Iterator[Proxy]:
    """A proxy in front of a server that echoes."""
    handler = type("Handler", (_Echo,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def test_a_kept_connection_carries_many_requests(
    proxy: Proxy, seen: list[tuple[str, str, str]]
) -> None:
    """Bodies, methods and the Host header pass unchanged over one connection, and are counted."""
    content = bytes(range(256)) * 3000
    host = f"127.0.0.1:{proxy.port}"
    with requests.Session() as session:
        for _ in range(3):
            answer = session.put(f"{proxy.endpoint}/a%20b?q=1", data=content, timeout=5)
            assert answer.content == content
            assert (
                session.head(f"{proxy.endpoint}/h", timeout=5).headers["Content-Length"] == "1000"
            )
            assert session.get(f"{proxy.endpoint}/chunked", timeout=5).content == b"x" * 1000
            assert session.get(f"{proxy.endpoint}/endless", timeout=5).content == b"x" * 1000
    assert seen[:2] == [("PUT", "/a%20b?q=1", host), ("HEAD", "/h", host)]
    assert len(seen) == len(proxy.requests) == 12
    first = proxy.requests[0]
    assert (first.method, first.path, first.status) == ("PUT", "/a b", 200)
    assert first.delivered == len(content)


def test_conditions_are_noted(proxy: Proxy) -> None:
    """A request's conditions are seen, whether in a header or in the query."""
    url = f"{proxy.endpoint}/o?ifGenerationMatch=0"
    requests.put(url, data=b"x", headers={"If-None-Match": "*"}, timeout=5)
    assert proxy.requests[0].conditions == {"if-none-match": "*", "ifgenerationmatch": "0"}


@pytest.mark.parametrize(
    ("fault", "arrived"), [("reset", 0), ("lost", 1), ("truncate", 1), ("duplicate", 2)]
)
def test_a_fault_reaches_the_server_as_often_as_it_says(
    proxy: Proxy, seen: list[tuple[str, str, str]], fault: Fault, arrived: int
) -> None:
    """Each fault spoils one request, the next one passes."""
    proxy.fail("PUT", fault, skip=1)
    requests.put(proxy.endpoint, data=b"first", timeout=5)
    seen.clear()
    if fault == "duplicate":
        assert requests.put(proxy.endpoint, data=b"12345678", timeout=5).content == b"12345678"
    else:
        with pytest.raises(requests.RequestException):
            requests.put(proxy.endpoint, data=b"12345678", timeout=5)
    assert len(seen) == arrived
    assert requests.put(proxy.endpoint, data=b"later", timeout=5).content == b"later"
    assert [each.fault for each in proxy.requests] == [None, fault, None]


def test_the_proxy_answers_by_itself(proxy: Proxy, seen: list[tuple[str, str, str]]) -> None:
    """A scripted answer does not reach the server, and the connection lives on."""
    proxy.fail("GET secret", Answer(403, b"<html>", {"X-Why": "test"}))
    with requests.Session() as session:
        assert session.get(f"{proxy.endpoint}/open", timeout=5).ok
        answer = session.get(f"{proxy.endpoint}/secret", timeout=5)
        assert (answer.status_code, answer.content, answer.headers["X-Why"]) == (
            403,
            b"<html>",
            "test",
        )
        assert session.get(f"{proxy.endpoint}/secret", timeout=5).ok
    assert len(seen) == 2


def test_a_held_request_arrives_after_its_client_has_gone(
    proxy: Proxy, seen: list[tuple[str, str, str]]
) -> None:
    """A held request is forwarded on release, as a slow network would."""
    rule = proxy.fail("PUT", "hold")
    with pytest.raises(requests.Timeout):
        requests.put(proxy.endpoint, data=b"late", timeout=0.2)
    assert seen == []
    rule.release.set()
    assert any(len(seen) == 1 for _ in poll(10))


def test_what_a_forgotten_rule_holds_stays_held(
    proxy: Proxy, seen: list[tuple[str, str, str]]
) -> None:
    """Later requests pass by; the held one goes on when it is released, not before."""
    rule = proxy.fail("PUT", "hold", times=9)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(requests.put, proxy.endpoint, data=b"held", timeout=10)
        assert rule.reached.wait(10)
        proxy.forget(rule)
        assert requests.put(proxy.endpoint, data=b"later", timeout=10).content == b"later"
        assert not held.done()
        assert len(seen) == 1
        rule.release.set()
        assert held.result(10).content == b"held"
    assert len(seen) == 2


def test_a_held_answer_comes_on_release(proxy: Proxy, seen: list[tuple[str, str, str]]) -> None:
    """The server has the request while the client waits."""
    rule = proxy.fail("PUT", "hold-answer")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(requests.put, proxy.endpoint, data=b"held", timeout=10)
        assert rule.reached.wait(10)
        assert not answer.done()
        rule.release.set()
        assert answer.result(10).content == b"held"
    assert len(seen) == 1
