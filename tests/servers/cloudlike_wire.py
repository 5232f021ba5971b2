"""The clouds' interfaces: a request parsed into an order, an outcome put in the cloud's own words.

Sources: the reference pages of Amazon S3 (PutObject, DeleteObjects, Error responses), of Google
Cloud Storage (JSON API, XML API, HTTP status and error codes) and of Azure Blob Storage (Put Blob,
Blob Batch, Blob service error codes).
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from servers.script import Answer, Exchange

ABSENT = ""
_JSON = re.compile(r"(?:/download|/upload)?/storage/v1/b/([^/?]+)(?:/o(?:/(.*))?)?")
_GOOGLES_XML = {
    "conditionNotMet": "PreconditionFailed",
    "rateLimitExceeded": "SlowDown",
    "forbidden": "AccessDenied",
    "authError": "AuthenticationRequired",
}
OF_ONE_OBJECT = {
    "s3": {"AccessDenied", "OperationAborted", "PreconditionFailed"},
    "azure": {
        *("AuthorizationPermissionMismatch", "BlobNotFound", "ConditionNotMet", "LeaseIdMissing"),
        *("BlobImmutableDueToPolicy", "BlobArchived", "TargetConditionNotMet"),
    },
}
"""The answer for one of many objects that one call deletes."""
_DONE = {"s3": {"DELETE": 204}, "gcs": {"DELETE": 204}, "azure": {"PUT": 201, "DELETE": 202}}


class Says(NamedTuple):
    """A refusal in a cloud's words; each interface has its own way to send it."""

    status: int
    code: str
    message: str = "scripted"


class Order(NamedTuple):
    """What a request asks for, in whichever interface."""

    verb: str  # "GET", "PUT", "DELETE", or "LOOK" at the bucket
    bucket: str
    name: str = ""
    expect: str | None = None  # the version that a write names, or ABSENT
    content: bytes = b""


@dataclass
class Stored:
    """An object; `modified` is in seconds since the epoch."""

    content: bytes
    version: str
    modified: float


Outcome = Says | Stored | None
"""A refusal, the object that was read or written, or nothing more to say."""


def in_json(kind: str, exchange: Exchange) -> bool:
    """Return whether a request is for Google's JSON interface."""
    return kind == "gcs" and "/storage/v1/" in exchange.target


def order_of(kind: str, exchange: Exchange) -> Order | None:
    """Read what a request asks for; None for nothing about a bucket."""
    path = exchange.target.partition("?")[0]
    if exchange.method == "POST" and exchange.query.keys() & {"delete", "comp"}:
        return _batched(kind, path, exchange.body.decode())
    content, expect = exchange.body, exchange.query.get("ifGenerationMatch")
    found = _JSON.fullmatch(path) if in_json(kind, exchange) else None
    if found:
        bucket, name = found[1], unquote(found[2] or "")
        if exchange.method == "POST":
            name, content = _parts(exchange.body)
    else:
        skipped = 2 if kind == "azure" else 1  # Azure's account comes first
        bucket, _, name = unquote("/".join(path.split("/")[skipped:])).partition("/")
        headers = exchange.headers
        expect = headers.get("x-goog-if-generation-match") or headers.get("if-match")
        expect = ABSENT if headers.get("if-none-match") == "*" else expect
    expect = ABSENT if expect == "0" and kind == "gcs" else expect
    expect = expect.removeprefix("W/").strip('"') if expect else expect
    verb = "PUT" if exchange.method == "POST" else exchange.method
    return Order(verb if name else "LOOK", bucket, name, expect, content) if bucket else None


def _batched(kind: str, path: str, text: str) -> Order | None:
    """Read one deletion in the form of many, as obstore sends it."""
    if kind == "s3":
        key = re.search(r"<Key>(.*?)</Key>", text)
        return Order("DELETE", path.strip("/"), html.unescape(key[1])) if key else None
    found = re.search(r"^DELETE /[^/]+/(\S+) HTTP", text, re.MULTILINE)
    bucket, _, name = unquote(found[1]).partition("/") if found else ("", "", "")
    return Order("DELETE", bucket, name) if found else None


def _parts(body: bytes) -> tuple[str, bytes]:
    """Take a multipart upload apart: the name in its first part, the content in its second."""
    end = b"\r\n" + body.partition(b"\r\n")[0]
    about, content = body.split(end, 2)[:2]
    return json.loads(about.partition(b"\r\n\r\n")[2])["name"], content.partition(b"\r\n\r\n")[2]


def said(kind: str, exchange: Exchange, order: Order, outcome: Outcome) -> Answer:
    """Return the cloud's answer, except the headers that all its answers have."""
    if exchange.method == "POST" and order.verb == "DELETE" and not isinstance(outcome, Stored):
        return _batch(kind, exchange, order, outcome)
    if isinstance(outcome, Says):
        return _refusal(kind, exchange, outcome)
    status, body = _DONE[kind].get(order.verb, 200), b""
    headers = {"Content-Type": "application/octet-stream"}
    if outcome is None:
        return Answer(status, body, headers)
    if order.verb == "GET":
        body = outcome.content
        headers |= {"x-ms-blob-type": "BlockBlob"} if kind == "azure" else {}
    elif in_json(kind, exchange):
        body = json.dumps({"name": order.name, "generation": outcome.version}).encode()
    if kind == "gcs":
        headers["X-Goog-Generation"] = outcome.version
    return Answer(status, body, headers)


def _refusal(kind: str, exchange: Exchange, says: Says) -> Answer:
    by_json = in_json(kind, exchange)
    if by_json and exchange.query.get("alt") == "media" and says.status == 404:
        page = {"Content-Type": "text/html; charset=UTF-8"}
        return Answer(says.status, says.message.encode(), page)
    return refusal(kind, says, by_json=by_json)


def refusal(kind: str, says: Says, *, by_json: bool) -> Answer:
    """Put a refusal in a cloud's own form; Google has one in JSON and one in XML."""
    status, code, message = says
    if by_json:
        detail = {"message": message, "domain": "global", "reason": code}
        error = {"error": {"code": status, "message": message, "errors": [detail]}}
        return Answer(status, json.dumps(error).encode(), {"Content-Type": "application/json"})
    if kind == "gcs":
        policy = "constraints/" in message and "OrgPolicyConstraintFailed"
        missing = "NoSuchKey" if "No such object" in message else "NoSuchBucket"
        code = policy or (missing if code == "notFound" else _GOOGLES_XML.get(code, code))
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    text += f"<Message>{html.escape(message)}</Message></Error>"
    headers = {"Content-Type": "application/xml"}
    headers |= {"x-ms-error-code": code} if kind == "azure" else {}
    return Answer(status, text.encode(), headers)


def _batch(kind: str, exchange: Exchange, order: Order, says: Says | None) -> Answer:
    if says and says.code not in OF_ONE_OBJECT[kind]:
        return _refusal(kind, exchange, says)  # of the call as a whole
    if kind == "s3":
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
