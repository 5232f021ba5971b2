"""Starting, watching, freezing and ending the processes of the fleet."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fleet.job import Job, Outcome

_TESTS = Path(__file__).parents[1]
_PROGRAM = Path(__file__).with_name("worker.py")


class Program:
    def __init__(self, *arguments: str, program: Path = _PROGRAM, library: str = "") -> None:
        """Start it; `library` is a directory whose package takes the place of this checkout's."""
        paths = [library, str(_TESTS), str(_TESTS.parent), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def tell(self, content: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:  # noqa: ANN401 - what JSON brings
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Member:
    """What one process of a crowd has reported, and what was seen of it."""

    pid: int = 0  # until it is ready
    points: list[str] = field(default_factory=list)  # reported if it will end or freeze at one
    outcomes: list[Outcome] = field(default_factory=list)  # its children's, too
    seen: str = ""  # "frozen", "killed" or "ended"


class Crowd(Program):
    """Processes forked from one that has only imported; each begins when it is released."""

    def __init__(self, jobs: Sequence[Job], program: Path = _PROGRAM) -> None:
        super().__init__(program=program)
        self.members = [Member() for _ in jobs]
        self.tell([job._asdict() for job in jobs])
        self.wait(lambda: all(member.pid for member in self.members))

    def wait(self, over: Callable[[], object]) -> None:
        """Listen until a condition holds."""
        while not over():
            line: dict[str, Any] = self.hear()
            assert "crash" not in line, line
            member = self.members[line.pop("number")]
            if "point" in line:
                member.points.append(line["point"])
            elif "outcome" in line:
                member.outcomes.append(Outcome(**line["outcome"]))
            else:
                vars(member).update(line)

    def go(self, *numbers: int) -> None:
        self.tell(numbers or [*range(len(self.members))])

    def _some(self, numbers: tuple[int, ...]) -> list[Member]:
        return [self.members[number] for number in numbers] or self.members

    def wait_until(self, seen: str, *numbers: int) -> None:
        """Wait until some, or all, are "frozen" or "killed"; none of them may end."""
        some = self._some(numbers)
        self.wait(lambda: all(member.seen for member in some))
        assert [member.seen for member in some] == [seen] * len(some), some

    def freeze(self, number: int) -> None:
        os.kill(self.members[number].pid, signal.SIGSTOP)
        self.wait_until("frozen", number)

    def thaw(self, *numbers: int) -> None:
        """Let some frozen processes go on, or all."""
        for member in self._some(numbers):
            member.seen = ""
            os.kill(member.pid, signal.SIGCONT)

    def outcomes(self, *numbers: int) -> list[Outcome]:
        """Return the outcomes of the last calls of some, or of all."""
        some = self._some(numbers)
        self.wait(lambda: all(each.outcomes or each.seen == "ended" for each in some))
        return [member.outcomes.pop() for member in some]


def run_crowd(jobs: Sequence[Job]) -> list[Outcome]:
    with Crowd(jobs) as crowd:
        crowd.go()
        return crowd.outcomes()
