"""Google's XML interface in front of fake-gcs-server, which can only read through it.

obstore speaks XML. The gateway turns each PUT and DELETE into one call of the JSON interface, and
the answers back; the objects, their generations and the conditions on them are the server's.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from contextlib import closing
from email.utils import formatdate

from servers.gcs import GCSServer
from servers.process import HOST
from servers.script import Answer, Exchange
from servers.web import Listener

_CODES = {403: "AccessDenied", 412: "PreconditionFailed"}
_END = "end-of-part"
_OWN = ("date", "server", "connection", "transfer-encoding", "content-length")


class GCSXMLServer(GCSServer):
    """fake-gcs-server behind the gateway."""

    def _begin(self) -> None:
        super()._begin()
        # The client of the tests still goes past the gateway.
        self._json = self.endpoint
        self._gateway = Listener(_Gateway(self.port).serve)
        self.port = self._gateway.server_address[1]

    def _base(self) -> str:
        return getattr(self, "_json", self.endpoint)

    def stop(self) -> None:
        if hasattr(self, "_gateway"):
            self._gateway.close()
        super().stop()


class _Gateway:
    """Turns one interface into the other."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream

    def serve(self, exchange: Exchange) -> bytes:
        work = {"GET": self._get, "PUT": self._put, "DELETE": self._delete}.get(exchange.method)
        answer = work(exchange) if work else Answer(501)
        answer.headers["Date"] = formatdate(usegmt=True)
        return answer.encode(exchange.method)

    def _call(
        self, method: str, path: str, body: bytes | None = None, kind: str = "text/plain"
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection(HOST, self._upstream)) as connection:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _get(self, exchange: Exchange) -> Answer:
        """Pass it on: reading is what the server can do by itself."""
        status, headers, body = self._call("GET", exchange.target)
        if status >= 400:
            return self._refusal(exchange, status)
        kept = {name: headers[name] for name in headers if name.lower() not in _OWN}
        return Answer(status, body, kept)

    def _put(self, exchange: Exchange) -> Answer:
        """Write by a multipart upload, the only one for which the server keeps conditions."""
        bucket, key = _place(exchange)
        query = {"uploadType": "multipart"}
        if "x-goog-if-generation-match" in exchange.headers:
            query["ifGenerationMatch"] = exchange.headers["x-goog-if-generation-match"]
        part = f"--{_END}\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': key})}\r\n"
        part += f"--{_END}\r\nContent-Type: application/octet-stream\r\n\r\n"
        status, _, body = self._call(
            "POST",
            f"/upload/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}",
            part.encode() + exchange.body + f"\r\n--{_END}--".encode(),
            f"multipart/related; boundary={_END}",
        )
        if status >= 400:
            return self._refusal(exchange, status)
        made = json.loads(body)
        return Answer(
            200, b"", {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}
        )

    def _delete(self, exchange: Exchange) -> Answer:
        bucket, key = _place(exchange)
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"
        status, _, _ = self._call("DELETE", path)
        return self._refusal(exchange, status) if status >= 400 else Answer(204)

    def _refusal(self, exchange: Exchange, status: int) -> Answer:
        code = _CODES.get(status, "InternalError")
        if status == 404:
            found, _, _ = self._call("GET", f"/storage/v1/b/{_place(exchange)[0]}")
            code = "NoSuchKey" if found == 200 else "NoSuchBucket"
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
        return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def _place(exchange: Exchange) -> tuple[str, str]:
    bucket, _, key = exchange.path.lstrip("/").partition("/")
    return bucket, key
