"""Starting, watching, freezing and ending the processes of the fleet."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.process import poll

from fleet.job import Job, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_TESTS = Path(__file__).parents[1]
_PROGRAM = Path(__file__).with_name("worker.py")
PATIENCE = 120.0
"""Seconds after which a process that should have said something is given up."""


class Program:
    """The worker program, its lines read as they come."""

    def __init__(self, *arguments: str, program: Path = _PROGRAM) -> None:
        """Start it in a process group of its own."""
        paths = [str(_TESTS), str(_TESTS.parent), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self.process.pid
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def tell(self, content: object) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()

    def heard(self) -> dict[str, Any] | None:
        """Return its next line, None at the end."""
        return self._lines.get(timeout=PATIENCE)

    def close(self) -> None:
        """End it and its children, whatever they are doing."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Worker(Program):
    """One process, started from nothing.

    Attributes:
        points: what it has said that it did.
        outcomes: of its call, and of those of its children.
    """

    def __init__(self, job: Job) -> None:
        """Start it with its job."""
        super().__init__()
        self.points: list[str] = []
        self.outcomes: list[Outcome] = []
        self.tell(job._asdict())

    def listen(self, outcomes: int = 1000) -> list[Outcome]:
        """Read what it says, until its end or until there are so many outcomes."""
        while len(self.outcomes) < outcomes and (line := self.heard()) is not None:
            assert "crash" not in line, line
            if "point" in line:
                self.points.append(line["point"])
            else:
                self.outcomes.append(Outcome.decode(line["outcome"]))
        return self.outcomes

    def outcome(self) -> Outcome:
        """Return the outcome of its only call."""
        self.listen()
        assert len(self.outcomes) == 1, self.process.wait()
        return self.outcomes[0]

    def wait_until_killed(self) -> None:
        """Wait until it has killed itself."""
        self.listen()
        assert self.process.wait(PATIENCE) == -signal.SIGKILL

    def wait_until_frozen(self) -> None:
        """Wait until it has frozen itself."""
        for _ in poll(PATIENCE):
            options = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT
            change = os.waitid(os.P_PID, self.pid, options)
            if change is not None and change.si_pid:
                assert change.si_code == os.CLD_STOPPED, self.listen()
                return
        message = "it did not freeze"
        raise AssertionError(message)

    def freeze(self) -> None:
        """Freeze it."""
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_until_frozen()

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class Crowd(Program):
    """Processes forked from one that has only imported, and let go together."""

    def __init__(self, jobs: Sequence[Job], program: Path = _PROGRAM) -> None:
        """Start them and wait until all are ready."""
        super().__init__("crowd", program=program)
        self._outcomes: dict[int, Outcome | None] = dict.fromkeys(range(len(jobs)))
        self.tell([job._asdict() for job in jobs])
        waiting = set(self._outcomes)
        while waiting:
            line = self.heard()
            assert line is not None
            assert "ready" in line, line
            waiting.discard(line["ready"])

    def go(self) -> None:
        """Let them go."""
        self.tell("go")

    def outcomes(self) -> list[Outcome]:
        """Return what became of each one's call, when all have ended."""
        while (line := self.heard()) is not None:
            assert "outcome" in line, line
            self._outcomes[line["number"]] = Outcome.decode(line["outcome"])
        found = [outcome for outcome in self._outcomes.values() if outcome]
        assert len(found) == len(self._outcomes)
        return found


def run_crowd(jobs: Sequence[Job]) -> list[Outcome]:
    """Let a crowd make one call each."""
    with Crowd(jobs) as crowd:
        crowd.go()
        return crowd.outcomes()
