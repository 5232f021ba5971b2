"""A process of the fleet. Its work comes on standard input, its story goes to standard output.

    worker.py          one process: a job in one line; tells what it does, then each outcome
    worker.py crowd    a process that has imported everything and forks one child for each of the
                       jobs in the line, says when all are ready, and lets them go together

Neither opens a store before the fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import signal
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from servers.s3 import read_models_once
from within import within

from betfair_session import BetfairSessionError, LeaseSettings, SessionManager
from betfair_session.login import runner as runner_module
from betfair_session.process.clocks import SYSTEM_CLOCK, shorten_waits
from fleet.job import Job, Outcome
from fleet.observed import FleetClock, ObservedClient, ObservedStore, Points

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session import Session

_PR_SET_PDEATHSIG = 1
_EVERYWHERE = [
    "requests",
    "certifi",
    "betfair_session.certificates.reading",
    "betfair_session.certificates.fitness",
    "cryptography.hazmat.primitives.serialization.pkcs12",
]
_DRIVERS = {
    "s3": ["s3fs", "aiobotocore.httpsession", "botocore.handlers"],
    "gs": ["gcsfs.core"],
    "abfs": ["adlfs"],
    "obstore+s3": ["obstore.store"],
}


class Works(Protocol):
    """What does a job."""

    def work(self) -> list[Outcome]:
        """Do it."""


def say(**fields: object) -> None:
    """Tell the test something, in one write, so that the lines of many processes stay whole."""
    os.write(1, (json.dumps(fields) + "\n").encode())


class Worker:
    """One process's manager and session, with everything observed."""

    def __init__(self, job: Job, tell: Callable[[str], object] = lambda _name: None) -> None:
        """Open what the job names; nothing is sent yet, unless its connection is to be warm."""
        self._job = job
        self.points = Points(job.stop, tell)
        client = ObservedClient(**job.identity)
        client.points = self.points
        lease = LeaseSettings(**job.lease)  # type: ignore[arg-type] # JSON knows one kind of number
        self._manager = SessionManager(client, job.username, job.password, lease=lease)
        self._session = self._open()
        shorten_waits(job.waits)
        if job.clock_offset or (job.stop and job.stop.signal == "STOP"):
            run = runner_module.Runner
            clock = functools.partial(FleetClock, self.points, job.clock_offset, job.clock_stands)
            vars(runner_module)["Runner"] = lambda *given, **named: run(
                *given, **named, clock=clock()
            )
        if job.inside:
            self.points.watch_files(job.url.removeprefix("file://"))

    def _open(self) -> Session:
        job = self._job
        session = self._manager.session(job.url, job.key, job.options)
        if job.warm:
            session._store.get("nothing", deadline=within(60))
        session._store = ObservedStore(session._store, self.points, job.stale)
        return session

    def work(self) -> list[Outcome]:
        """Make the call."""
        return [self.call()]

    def call(self) -> Outcome:
        """Make one call."""
        token, failed = "", None
        try:
            token = self._session.token(timeout=self._job.timeout)
        except BetfairSessionError as error:
            failed = error
        not_before = getattr(failed, "not_before", None)
        return Outcome(
            token=token,
            error=type(failed).__name__ if failed else "",
            text=str(failed or ""),
            status=getattr(failed, "status", ""),
            not_before=not_before.isoformat() if not_before else "",
            ended=time.monotonic(),
            points=tuple(self.points.passed),
            nonce=SYSTEM_CLOCK.nonce(),
        )


def end_with_parent() -> None:
    """Have the system end this process, frozen or not, when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def alone(line: str) -> None:
    """Do one job, telling every step."""
    job = Job.decode(json.loads(line))
    worker = Worker(job, lambda name: say(point=name))
    say(ready=0)
    for outcome in worker.work():
        say(outcome=json.loads(outcome.encode()))
    if job.forks:
        sys.stdin.readline()
        fork(job.forks, lambda _: worker.call())


def crowd(line: str, make: Callable[[Job], Works] = Worker) -> None:
    """Fork a child for each job; all begin when standard input says so.

    Args:
        line: the jobs.
        make: makes of a job what does it, in the child.
    """
    jobs = [Job.decode(fields) for fields in json.loads(line)]
    scheme = jobs[0].url.split("://")[0]
    for module in (*_EVERYWHERE, *_DRIVERS.get(scheme, [])):
        with contextlib.suppress(ImportError):
            import_module(module)
    if scheme == "s3":
        read_models_once()
    gc.freeze()
    waiting, gate = os.pipe()

    def child(number: int) -> list[Outcome]:
        os.close(gate)
        worker = make(jobs[number])
        say(ready=number)
        os.read(waiting, 1)  # returns when nobody holds the other end any more
        return worker.work()

    def open_gate() -> None:
        sys.stdin.readline()
        os.close(gate)

    fork(len(jobs), child, open_gate)


def fork(
    count: int,
    work: Callable[[int], Outcome | list[Outcome]],
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Do `work` in `count` children at once and tell what came of it."""
    children = []
    for number in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        status = 1
        end_with_parent()
        try:
            found = work(number)
            outcomes = found if isinstance(found, list) else [found]
            for outcome in outcomes:
                say(number=number, outcome=json.loads(outcome.encode()))
            status = 0
        except BaseException as error:  # noqa: BLE001 - the test shows it
            say(number=number, crash=repr(error))
        finally:
            os._exit(status)
    if meanwhile:
        meanwhile()
    for each in children:
        os.waitpid(each, 0)


def main(arguments: list[str]) -> None:
    """Do what the arguments and standard input say."""
    end_with_parent()
    tasks: dict[str, Any] = {"alone": alone, "crowd": crowd}
    tasks[arguments[0] if arguments else "alone"](sys.stdin.readline())


if __name__ == "__main__":
    main(sys.argv[1:])
