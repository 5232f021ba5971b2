"""Instances of the functions: real processes of the clouds' own runtimes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from programs import scrubbed
from servers import process
from servers.process import HOST, free_ports, poll

from runtimes.runtime_api import Reply, RuntimeAPI

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 120.0
"""Seconds after which an instance that does not answer is given up."""

_GUARD = Path(process.__file__).with_name("guard.py")
_AZURE_PROGRAM = Path(__file__).with_name("azure_program.py")
_given: set[int] = set()


class Instance(ABC):
    """One instance of a function: a process, and the children it may have."""

    folder: str

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        """Start it in the example's folder; all that it prints goes to `log`."""
        self.log = log
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(_GUARD), str(os.getpid()), *command],
                cwd=EXAMPLES / self.folder,
                env={**scrubbed(variables), "PYTHONWARNINGS": "default"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self.folder == "azure_functions" else sink,
                stderr=sink,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @abstractmethod
    def wait_until_loaded(self) -> None:
        """Wait until it has loaded the example, and could be invoked."""

    @abstractmethod
    def invoke(self) -> Reply:
        """Invoke the function once."""

    def freeze(self) -> None:
        """Stop all its processes, as the cloud does between two invocations."""
        os.killpg(self.pid, signal.SIGSTOP)
        for _ in poll(PATIENCE):
            threads = [stat for each in self._processes() for stat in each.glob("task/*/stat")]
            if {_fields(stat)[0] for stat in threads} == {"T"}:
                return
        message = "it did not freeze"
        raise AssertionError(message)

    def thaw(self) -> None:
        """Let them go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def environment(self) -> str:
        """Return the variables of all its processes."""
        return "".join((each / "environ").read_text() for each in self._processes())

    def _processes(self) -> list[Path]:
        """Return where the system tells about each of its processes."""
        everybody = Path("/proc").glob("[0-9]*/stat")
        return [stat.parent for stat in everybody if _fields(stat)[2] == str(self.pid)]

    def stop(self) -> None:
        """End it at once, as the cloud does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


class LambdaInstance(Instance):
    """The runtime of AWS Lambda, at a Runtime API of its own."""

    folder = "aws_lambda"

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        """Start it."""
        self.api = RuntimeAPI()
        command = [sys.executable, "-m", "awslambdaric", "handler.handler"]
        variables = {**variables, "AWS_LAMBDA_RUNTIME_API": self.api.address}
        super().__init__(command, variables, log)

    def wait_until_loaded(self) -> None:
        """Wait until it asks for an invocation."""
        for _ in poll(PATIENCE, 0.05):
            if self.api.idle:
                return
            assert self._process.poll() is None, self.log.read_text()
        message = "it never asked for an invocation"
        raise AssertionError(message)

    def invoke(self, seconds: float = 60) -> Reply:
        """Invoke the function, which may run for `seconds`."""
        return self.api.invoke({}, seconds, PATIENCE)

    def stop(self) -> None:
        """End it, and its Runtime API."""
        super().stop()
        self.api.close()


class CloudRunInstance(Instance):
    """Google's Functions Framework, with the server that it starts in production."""

    folder = "google_cloud_run"

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        """Start it."""
        self._port = _new_port()
        command = [sys.executable, "-m", "functions_framework", "--target=event_types"]
        command += [f"--host={HOST}", f"--port={self._port}"]
        super().__init__(command, variables, log)

    def wait_until_loaded(self) -> None:
        """Wait until it listens, which it does after it has loaded the example."""
        for _ in poll(PATIENCE, 0.05):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self._port)) == 0:
                    return
            assert self._process.poll() is None, self.log.read_text()
        message = "it never listened"
        raise AssertionError(message)

    def invoke(self) -> Reply:
        """Send it a request."""
        answer = requests.get(f"http://{HOST}:{self._port}/", timeout=PATIENCE)
        return Reply(not answer.ok, answer.text)


class AzureInstance(Instance):
    """Azure's FunctionApp, in a process of the tests' own; its worker cannot be installed."""

    folder = "azure_functions"

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        """Start it."""
        super().__init__([sys.executable, str(_AZURE_PROGRAM)], variables, log)

    def wait_until_loaded(self) -> None:
        """Wait until it names its functions."""
        assert self._line() == ["event_types"]

    def invoke(self) -> Reply:
        """Send it a request."""
        assert self._process.stdin is not None
        self._process.stdin.write('"event_types"\n')
        self._process.stdin.flush()
        failed, text = self._line()
        return Reply(failed=failed, text=text)

    def _line(self) -> list[Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        found: list[Any] = json.loads(line)
        return found


def _new_port() -> int:
    """Return a free port that no other instance was given: many start before the first listens."""
    while (port := free_ports(1)[0]) in _given:
        pass
    _given.add(port)
    return port


def _fields(stat: Path) -> list[str]:
    """Return the state of a process or thread, its parent and its process group."""
    try:
        return stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:  # it has ended meanwhile
        return ["", "", ""]
