"""The clouds' interfaces: a request read into an order, an outcome said in the cloud's own way.

Sources: the reference pages of Amazon S3 (PutObject, DeleteObjects, Error responses), of Google
Cloud Storage (JSON API, XML API, HTTP status and error codes) and of Azure Blob Storage (Put Blob,
Blob Batch, Blob service error codes).
"""

from __future__ import annotations

import html
import json
import re
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from servers.script import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

ABSENT = ""
_JSON = re.compile(r"(?:/download|/upload)?/storage/v1/b/([^/?]+)(?:/o(?:/(.*))?)?")
_GOOGLES_XML = {
    "conditionNotMet": "PreconditionFailed",
    "rateLimitExceeded": "SlowDown",
    "forbidden": "AccessDenied",
    "authError": "AuthenticationRequired",
}
_DONE = {"s3": {"DELETE": 204}, "gcs": {"DELETE": 204}, "azure": {"PUT": 201, "DELETE": 202}}


class Says(NamedTuple):
    """A refusal in a cloud's words; each interface has its own way to send it."""

    status: int
    code: str
    message: str = "scripted"


class Order(NamedTuple):
    """What a request asks for, in whichever interface.

    Attributes:
        verb: "GET", "PUT", "DELETE", or "LOOK" at the bucket.
        expect: the version that a write names, ABSENT for no object, None for no condition.
    """

    verb: str
    bucket: str
    name: str = ""
    expect: str | None = None
    content: bytes = b""


@dataclass
class Stored:
    """An object; `modified` is in seconds since the epoch."""

    content: bytes
    version: str
    modified: float


Outcome = Says | Stored | None
"""A refusal, the object that was read or written, or nothing more to say."""


@dataclass
class Request:
    """A request as it came.

    Attributes:
        send: sends bytes before the answer, for one that stalls.
    """

    kind: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    send: Callable[[bytes], object]

    @cached_property
    def path(self) -> str:
        """The path with its escapes."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """The query."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @cached_property
    def in_json(self) -> bool:
        """Whether it is for Google's JSON interface."""
        return self.kind == "gcs" and "/storage/v1/" in self.path

    @cached_property
    def order(self) -> Order | None:
        """What it asks for; None for nothing about a bucket."""
        if self.method == "POST" and self.query.keys() & {"delete", "comp"}:
            return self._batched()
        content, expect = self.body, self.query.get("ifGenerationMatch")
        found = _JSON.fullmatch(self.path) if self.in_json else None
        if found:
            bucket, name = found[1], unquote(found[2] or "")
            if self.method == "POST":
                name, content = _parts(self.body)
        else:
            skipped = 2 if self.kind == "azure" else 1  # Azure's account comes first
            bucket, _, name = unquote("/".join(self.path.split("/")[skipped:])).partition("/")
            expect = self.headers.get("x-goog-if-generation-match") or self.headers.get("if-match")
            expect = ABSENT if self.headers.get("if-none-match") == "*" else expect
        expect = ABSENT if expect == "0" and self.kind == "gcs" else expect
        expect = expect.removeprefix("W/").strip('"') if expect else expect
        verb = "PUT" if self.method == "POST" else self.method
        return Order(verb if name else "LOOK", bucket, name, expect, content) if bucket else None

    def _batched(self) -> Order | None:
        """One deletion in the form of many, as obstore sends it."""
        text = self.body.decode()
        if self.kind == "s3":
            key = re.search(r"<Key>(.*?)</Key>", text)
            return Order("DELETE", self.path.strip("/"), html.unescape(key[1])) if key else None
        path = re.search(r"^DELETE /[^/]+/(\S+) HTTP", text, re.MULTILINE)
        bucket, _, name = unquote(path[1]).partition("/") if path else ("", "", "")
        return Order("DELETE", bucket, name) if path else None


def _parts(body: bytes) -> tuple[str, bytes]:
    """Take a multipart upload apart: the name in its first part, the content in its second."""
    end = b"\r\n" + body.partition(b"\r\n")[0]
    about, content = body.split(end, 2)[:2]
    return json.loads(about.partition(b"\r\n\r\n")[2])["name"], content.partition(b"\r\n\r\n")[2]


def said(request: Request, order: Order, outcome: Outcome) -> Answer:
    """Return what the cloud answers, but for the headers that all its answers have."""
    kind = request.kind
    if request.method == "POST" and order.verb == "DELETE" and not isinstance(outcome, Stored):
        return _batch(request, order, outcome)
    if isinstance(outcome, Says):
        return _refusal(request, outcome)
    status, body = _DONE[kind].get(order.verb, 200), b""
    headers = {"Content-Type": "application/octet-stream"}
    if outcome is None:
        return Answer(status, body, headers)
    if order.verb == "GET":
        body = outcome.content
        headers |= {"x-ms-blob-type": "BlockBlob"} if kind == "azure" else {}
    elif request.in_json:
        body = json.dumps({"name": order.name, "generation": outcome.version}).encode()
    if kind == "gcs":
        headers["X-Goog-Generation"] = outcome.version
    return Answer(status, body, headers)


def _refusal(request: Request, says: Says) -> Answer:
    status, code, message = says
    if request.in_json and request.query.get("alt") == "media" and status == 404:
        return Answer(status, message.encode(), {"Content-Type": "text/html; charset=UTF-8"})
    if request.in_json:
        detail = {"message": message, "domain": "global", "reason": code}
        error = {"error": {"code": status, "message": message, "errors": [detail]}}
        return Answer(status, json.dumps(error).encode(), {"Content-Type": "application/json"})
    if request.kind == "gcs":
        policy = "constraints/" in message and "OrgPolicyConstraintFailed"
        missing = "NoSuchKey" if "No such object" in message else "NoSuchBucket"
        code = policy or (missing if code == "notFound" else _GOOGLES_XML.get(code, code))
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    text += f"<Message>{html.escape(message)}</Message></Error>"
    headers = {"Content-Type": "application/xml"}
    headers |= {"x-ms-error-code": code} if request.kind == "azure" else {}
    return Answer(status, text.encode(), headers)


def _batch(request: Request, order: Order, says: Says | None) -> Answer:
    if says and (says.status >= 500 or says.code in ("NoSuchBucket", "ContainerNotFound")):
        return _refusal(request, says)  # of the call as a whole
    if request.kind == "s3":
        text = f"<Key>{html.escape(order.name)}</Key>"
        told = f"<Code>{says.code}</Code><Message>{says.message}</Message>" if says else ""
        text = f"<Error>{text}{told}</Error>" if says else f"<Deleted>{text}</Deleted>"
        text = (
            f"<DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{text}</DeleteResult>"
        )
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})
    line = f"{says.status} {says.message}" if says else "202 Accepted"
    code = f"x-ms-error-code: {says.code}\r\n" if says else ""
    part = f"Content-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 {line}\r\n{code}\r\n"
    text = f"--batchresponse_1\r\n{part}\r\n--batchresponse_1--\r\n"
    return Answer(202, text.encode(), {"Content-Type": "multipart/mixed; boundary=batchresponse_1"})


class Listener(ThreadingHTTPServer):
    """Serves on a free port of the loopback address until it is closed."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, kind: str, answer: Callable[[Request], Answer | None]) -> None:
        """Serve: `answer` returns what to say, or None to break the connection."""
        self.kind, self.answer = kind, answer
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and break every connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have gone; anything else shows in the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)  # type: ignore[arg-type] # as it was called


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length") or 0))
        request = Request(
            self.server.kind, self.command, self.path, headers, body, self.wfile.write
        )
        answer = self.server.answer(request)
        if answer is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(answer.encode(self.command))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names
