"""Instances of the functions: real processes of the clouds' own runtimes."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple
from uuid import uuid4

import requests
from programs import scrubbed
from servers.process import GUARD, HOST, free_ports, poll
from servers.script import Answer, Exchange
from servers.web import Listener

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 120.0
"""Seconds after which an instance that does not answer is given up."""

_ARN = "arn:aws:lambda:us-east-1:000000000000:function:betfair"
_AZURE_PROGRAM = Path(__file__).with_name("azure_program.py")
_given: set[int] = set()


class Reply(NamedTuple):
    """The result of one invocation: whether it failed, and what the runtime sent."""

    failed: bool
    text: str


class Instance(ABC):
    """One instance of a function: a process, and the children it may have."""

    folder: ClassVar[str]

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        """Start it in the example's folder; all that it prints goes to `log`."""
        self.log = log
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [*GUARD, *command],
                cwd=EXAMPLES / self.folder,
                env={**scrubbed(variables), "PYTHONWARNINGS": "default"},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @abstractmethod
    def _is_loaded(self) -> bool:
        """Return whether it has loaded the example, and could be invoked."""

    @abstractmethod
    def invoke(self) -> Reply:
        """Invoke the function once."""

    def wait_until_loaded(self) -> None:
        for _ in poll(PATIENCE, 0.05):
            if self._is_loaded() or self._process.poll() is not None:
                break
        assert self._is_loaded(), self.log.read_text()

    def freeze(self) -> None:
        """Stop all its processes, as the cloud does between two invocations."""
        os.killpg(self.pid, signal.SIGSTOP)
        for _ in poll(PATIENCE):
            threads = [stat for each in self._processes() for stat in each.glob("task/*/stat")]
            if {_fields(stat)[0] for stat in threads} == {"T"}:
                return
        raise AssertionError("it did not freeze")

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def environment(self) -> str:
        return "".join((each / "environ").read_text() for each in self._processes())

    def _processes(self) -> list[Path]:
        """Return the directory in /proc of each of its processes."""
        everybody = Path("/proc").glob("[0-9]*/stat")
        return [stat.parent for stat in everybody if _fields(stat)[2] == str(self.pid)]

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class LambdaInstance(Instance):
    """The runtime of AWS Lambda, at a Runtime API of its own.

    The paths and headers are those of AWS's page on the Lambda runtime API, version 2018-06-01.
    """

    folder = "aws_lambda"

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        self._invocations: queue.Queue[int | None] = queue.Queue()  # when each has to end, in ms
        self._replies: queue.Queue[Reply] = queue.Queue()
        self._idle = threading.Event()  # while it waits for an invocation
        self._api = Listener(self._serve)
        command = [sys.executable, "-m", "awslambdaric", "handler.handler"]
        address = f"{HOST}:{self._api.port}"
        super().__init__(command, {**variables, "AWS_LAMBDA_RUNTIME_API": address}, log)

    def _is_loaded(self) -> bool:
        return self._idle.is_set()

    def invoke(self, seconds: float = 60) -> Reply:
        self._idle.clear()
        self._invocations.put(int((time.time() + seconds) * 1000))
        return self._replies.get(timeout=PATIENCE)

    def stop(self) -> None:
        super().stop()
        self._invocations.put(None)
        self._api.close()

    def _serve(self, exchange: Exchange) -> bytes | None:
        """Answer "next" when there is an invocation; take a response, or an error."""
        if exchange.method == "POST":
            self._replies.put(Reply(exchange.path.endswith("/error"), exchange.body.decode()))
            return Answer(202).encode("POST")
        assert exchange.path == "/2018-06-01/runtime/invocation/next"
        self._idle.set()
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


class WebInstance(Instance):
    """One that serves its function by HTTP, and listens only after it has loaded the example."""

    command: ClassVar[tuple[str, ...]]
    path = "/"

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        # Not a port that another instance was given: many start before the first listens.
        while (port := free_ports(1)[0]) in _given:
            pass
        _given.add(port)
        self._port = port
        command = [part.format(port=port) for part in (sys.executable, *self.command)]
        super().__init__(command, variables, log)

    def _is_loaded(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self._port)) == 0

    def invoke(self) -> Reply:
        answer = requests.get(f"http://{HOST}:{self._port}{self.path}", timeout=PATIENCE)
        return Reply(not answer.ok, answer.text)


class CloudRunInstance(WebInstance):
    """Google's Functions Framework, with the server that it starts in production."""

    folder = "google_cloud_run"
    command = (
        *("-m", "functions_framework", "--target=event_types"),
        *(f"--host={HOST}", "--port={port}"),
    )


class AzureInstance(WebInstance):
    """Azure's FunctionApp, in a process of the tests' own; its worker cannot be installed."""

    folder = "azure_functions"
    command = (str(_AZURE_PROGRAM), "{port}")
    path = "/event_types"


def _fields(stat: Path) -> list[str]:
    """Return the state of a process or thread, its parent and its process group."""
    try:
        return stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:  # it has ended meanwhile
        return ["", "", ""]
