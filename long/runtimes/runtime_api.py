"""A Lambda Runtime API for one instance: it hands out invocations and takes what comes of them.

The paths and headers are those of AWS's page on the Lambda runtime API, version 2018-06-01.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from servers.process import HOST

_BASE = "/2018-06-01/runtime"
_ARN = "arn:aws:lambda:us-east-1:000000000000:function:betfair"


@dataclass(frozen=True)
class Reply:
    """What came of one invocation.

    Attributes:
        failed: whether the runtime reported an error, of the invocation or of its start.
        text: what it sent.
    """

    failed: bool
    text: str


class RuntimeAPI:
    """A running Runtime API.

    Attributes:
        address: host and port, as AWS_LAMBDA_RUNTIME_API names them.
    """

    def __init__(self) -> None:
        """Start it."""
        self._replies: queue.Queue[Reply] = queue.Queue()
        self._server = _Listener(self._replies)
        self.address = f"{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether the instance waits for an invocation."""
        return self._server.idle.is_set()

    def invoke(self, event: Any, seconds: float, patience: float) -> Reply:  # noqa: ANN401 - JSON
        """Hand out one invocation and return what comes of it.

        Args:
            event: the function's argument.
            seconds: how long the function may run, as its context tells it.
            patience: seconds to wait for the reply.
        """
        self._server.idle.clear()
        deadline = int((time.time() + seconds) * 1000)
        self._server.invocations.put((json.dumps(event).encode(), deadline))
        return self._replies.get(timeout=patience)

    def close(self) -> None:
        """Stop it."""
        self._server.invocations.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, replies: queue.Queue[Reply]) -> None:
        self.replies = replies
        self.invocations: queue.Queue[tuple[bytes, int] | None] = queue.Queue()
        self.idle = threading.Event()
        super().__init__((HOST, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        """Answer "next" when there is an invocation."""
        assert self.path == f"{_BASE}/invocation/next"
        self.server.idle.set()
        invocation = self.server.invocations.get()
        if invocation is None:  # the end
            self.close_connection = True
            return
        body, deadline = invocation
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", str(uuid4()))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", _ARN)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Take a response, or an error."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.replies.put(Reply(self.path.endswith("/error"), text))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""
