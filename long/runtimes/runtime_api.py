"""A Lambda Runtime API for one instance: it hands out invocations and takes what comes of them.

The paths and headers are those of AWS's page on the Lambda runtime API, version 2018-06-01.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import NamedTuple
from uuid import uuid4

from servers.process import HOST
from servers.script import Answer, Exchange
from servers.web import Listener

_ARN = "arn:aws:lambda:us-east-1:000000000000:function:betfair"


class Reply(NamedTuple):
    """What came of one invocation: whether it failed, and what the runtime sent."""

    failed: bool
    text: str


class RuntimeAPI:
    """A running Runtime API.

    Attributes:
        address: host and port, as AWS_LAMBDA_RUNTIME_API names them.
        idle: set while the instance waits for an invocation.
    """

    def __init__(self) -> None:
        self._invocations: queue.Queue[int | None] = queue.Queue()  # when each has to end, in ms
        self._replies: queue.Queue[Reply] = queue.Queue()
        self.idle = threading.Event()
        self._listener = Listener(self._serve)
        self.address = f"{HOST}:{self._listener.server_address[1]}"

    def invoke(self, seconds: float, patience: float) -> Reply:
        """Hand out one invocation, which may run for `seconds`; wait `patience` for its end."""
        self.idle.clear()
        self._invocations.put(int((time.time() + seconds) * 1000))
        return self._replies.get(timeout=patience)

    def close(self) -> None:
        self._invocations.put(None)
        self._listener.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        """Answer "next" when there is an invocation; take a response, or an error."""
        if exchange.method == "POST":
            self._replies.put(Reply(exchange.path.endswith("/error"), exchange.body.decode()))
            return Answer(202).encode("POST")
        assert exchange.path == "/2018-06-01/runtime/invocation/next"
        self.idle.set()
        deadline = self._invocations.get()
        if deadline is None:  # the end
            return None
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": str(uuid4()),
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        }
        return Answer(200, b"{}", headers).encode("GET")
