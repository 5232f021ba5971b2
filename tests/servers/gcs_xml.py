"""Google's XML interface in front of fake-gcs-server, which can only read through it.

obstore speaks XML. The gateway turns each PUT and DELETE into one call of the JSON interface, and
the answers back; the objects, their generations and the conditions on them are the server's.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import urllib.parse
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

from servers.gcs import GCSServer
from servers.process import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES = {403: "AccessDenied", 412: "PreconditionFailed"}
_END = "end-of-part"


class GCSXMLServer(GCSServer):
    """fake-gcs-server behind the gateway."""

    def _connect(self) -> None:
        super()._connect()
        handler = type("Handler", (_Gateway,), {"upstream": self.port})
        self._gateway = _Listener((HOST, 0), handler)
        self._thread = threading.Thread(target=self._gateway.serve_forever, args=(0.05,))
        self._thread.start()
        # The clients of the tests still go past the gateway.
        self._json, self.port = self.endpoint, self._gateway.server_address[1]

    def _base(self) -> str:
        return self._json

    def stop(self) -> None:
        """End the gateway, then the server."""
        if hasattr(self, "_gateway"):
            self._gateway.shutdown()
            self._thread.join()
            self._gateway.server_close()
        super().stop()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have gone; anything else shows in the tests."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)  # type: ignore[arg-type] # as it was called


class _Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: ClassVar[int]

    def _call(
        self, method: str, path: str, body: bytes | None = None, kind: str = "text/plain"
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(HOST, self.upstream)
        connection.request(method, path, body, {"Content-Type": kind})
        return connection, connection.getresponse()

    def _place(self) -> tuple[str, str]:
        bucket, _, key = urllib.parse.unquote(self.path.split("?")[0]).lstrip("/").partition("/")
        return bucket, key

    def do_GET(self) -> None:
        """Pass it on: reading is what the server can do by itself."""
        connection, answer = self._call("GET", self.path)
        with closing(connection):
            if answer.status >= 400:
                answer.read()
                self._refuse(answer.status)
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("date", "server", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            while block := answer.read(65536):
                self.wfile.write(block)

    def do_PUT(self) -> None:
        """Write by a multipart upload, the only one for which the server keeps conditions."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        bucket, key = self._place()
        query = {"uploadType": "multipart"}
        if "x-goog-if-generation-match" in self.headers:
            query["ifGenerationMatch"] = self.headers["x-goog-if-generation-match"]
        part = f"--{_END}\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': key})}\r\n"
        part += f"--{_END}\r\nContent-Type: application/octet-stream\r\n\r\n"
        connection, answer = self._call(
            "POST",
            f"/upload/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}",
            part.encode() + content + f"\r\n--{_END}--".encode(),
            f"multipart/related; boundary={_END}",
        )
        with closing(connection):
            body = answer.read()
            if answer.status >= 400:
                self._refuse(answer.status)
                return
            made = json.loads(body)
            self._say(200, {"ETag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]})

    def do_DELETE(self) -> None:
        """Remove an object."""
        bucket, key = self._place()
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"
        connection, answer = self._call("DELETE", path)
        with closing(connection):
            answer.read()
            if answer.status >= 400:
                self._refuse(answer.status)
            else:
                self._say(204)

    def _refuse(self, status: int) -> None:
        code = _CODES.get(status, "InternalError")
        if status == 404:
            connection, answer = self._call("GET", f"/storage/v1/b/{self._place()[0]}")
            with closing(connection):
                answer.read()
                code = "NoSuchKey" if answer.status == 200 else "NoSuchBucket"
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code></Error>"
        self._say(status, {"Content-Type": "application/xml"}, body.encode())

    def _say(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""
