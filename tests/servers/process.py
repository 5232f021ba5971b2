"""One server process: started in a directory of its own, waited for, paused, and always ended."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"

GUARD = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""Ends a server with the process that started it; a part of util-linux."""

_ADDRESS = re.compile(r"127\.0\.0\.1:([1-9]\d*)")


class ServerMissing(Exception):
    """This machine cannot run a server; the text says why."""


class ServerFailed(Exception):
    """A server did not start; the text ends with its log."""


def free_ports(count: int) -> list[int]:
    """Return ports that are free at the moment, for programs that cannot choose one."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def poll(seconds: float, pause: float = 0.02) -> Iterator[None]:
    """Yield until that many seconds are over: for loops that wait for a condition."""
    end = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(pause)


class ServerProcess:
    """A running server; `log` is the file with all that it printed."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start `command` in `directory`; the process ends at the latest when this one does."""
        self.log = directory / "server.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*GUARD, *command],
                cwd=directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_until(self, ready: Callable[[], object], seconds: float = 60) -> None:
        """Wait until `ready` returns true.

        Raises:
            ServerFailed: it ended before, or the time ran out.
        """
        for _ in poll(seconds, 0.05):
            if self._process.poll() is not None:
                break
            if ready():
                return
        status = self._process.poll()
        self.stop()
        state = "was not ready in time" if status is None else f"ended with {status}"
        text = self.log.read_text(errors="replace")[-4000:]
        message = f"the server {state}; its log ends with:\n{text}"
        raise ServerFailed(message)

    def port(self) -> int:
        """Wait until it listens, and return the port that the system gave it."""
        found: list[int] = []

        def listens() -> bool:
            said = _ADDRESS.search(self.log.read_text(errors="replace"))
            found.extend([int(said[1])] if said else _listening(self.pid))
            return bool(found)

        self.wait_until(listens)
        return found[0]

    def stop(self) -> None:
        """End it at once: it keeps nothing that is needed later."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _listening(pid: int) -> list[int]:
    """Return the ports that a process listens on, from Linux: fake-gcs-server does not print it."""
    try:
        mine = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()}
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and f"socket:[{row[9]}]" in mine
    ]
