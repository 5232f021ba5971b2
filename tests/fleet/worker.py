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
from typing import TYPE_CHECKING, Protocol

from servers.s3 import read_models_once
from within import within

from betfair_session import BetfairSessionError, LeaseSettings, SessionManager
from betfair_session.login import runner as runner_module
from betfair_session.process.clocks import Clock, shorten_waits
from fleet.job import Job, Outcome
from fleet.observed import FleetClock, ObservedClient, ObservedStore, Points

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_MODULES = {
    "": ["requests", "certifi", "betfair_session.certificates.reading"],
    "s3": ["s3fs", "aiobotocore.httpsession", "botocore.handlers"],
    "gs": ["gcsfs.core"],
    "abfs": ["adlfs"],
    "obstore+s3": ["obstore.store"],
}
"""What all need, and what each store's scheme needs beside it."""


class Works(Protocol):
    """What does a job."""

    def work(self) -> Outcome:
        """Do it."""


def say(**fields: object) -> None:
    """Tell the test something, in one write, so that the lines of many processes stay whole."""
    os.write(1, (json.dumps(fields) + "\n").encode())


class Worker:
    """One process's manager and session, with everything observed."""

    def __init__(self, job: Job, tell: Callable[[str], object] = lambda _name: None) -> None:
        """Open what the job names; nothing is sent yet, unless its connection is to be warm."""
        self._job, self.points = job, Points(job.stop, tell)
        client = ObservedClient(**job.identity)
        client.points = self.points
        lease = LeaseSettings(**job.lease)  # type: ignore[arg-type] # JSON knows one kind of number
        self._manager = SessionManager(client, job.username, job.password, lease=lease)
        self._session = self._manager.session(job.url, job.key, job.options)
        if job.warm:
            self._session._store.get("nothing", deadline=within(60))
        self._session._store = ObservedStore(self._session._store, self.points)
        shorten_waits(job.waits)
        if job.clock_offset or (job.stop and job.stop.signal == "STOP"):
            run = runner_module.Runner
            clock = functools.partial(FleetClock, self.points, job.clock_offset, job.clock_stands)
            vars(runner_module)["Runner"] = lambda *given, **named: run(
                *given, **named, clock=clock()
            )
        if job.inside:
            self.points.watch_files(job.url.removeprefix("file://"))

    def work(self) -> Outcome:
        """Make one call."""
        token, failed = "", None
        try:
            token = self._session.token(timeout=self._job.timeout)
        except BetfairSessionError as error:
            failed = error
        return Outcome(
            token=token,
            error=type(failed).__name__ if failed else "",
            text=str(failed or ""),
            status=getattr(failed, "status", ""),
            not_before=str(getattr(failed, "not_before", None) or ""),
            ended=time.monotonic(),
            points=tuple(self.points.passed),
            nonce=Clock().nonce(),
        )


def end_with_parent() -> None:
    """Have the system end this process, frozen or not, when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def alone(line: str) -> None:
    """Do one job, telling every step."""
    job = Job.decode(json.loads(line))
    worker = Worker(job, lambda name: say(point=name))
    say(outcome=worker.work()._asdict())
    if job.forks:
        sys.stdin.readline()
        fork(job.forks, lambda _: worker)


def preload(scheme: str) -> None:
    """Import what the children will need, and keep it out of the way of their collectors."""
    for module in _MODULES[""] + _MODULES.get(scheme, []):
        with contextlib.suppress(ImportError):
            import_module(module)
    if scheme == "s3":
        read_models_once()
    gc.freeze()


def crowd(line: str, make: Callable[[Job], Works] = Worker) -> None:
    """Fork a child for each job; all begin when standard input says so.

    Args:
        line: the jobs.
        make: makes of a job what does it, in the child.
    """
    jobs = [Job.decode(fields) for fields in json.loads(line)]
    preload(jobs[0].url.split("://")[0])
    waiting, gate = os.pipe()

    def child(number: int) -> Works:
        os.close(gate)
        worker = make(jobs[number])
        say(ready=number)
        os.read(waiting, 1)  # returns when nobody holds the other end any more
        return worker

    def open_gate() -> None:
        sys.stdin.readline()
        os.close(gate)

    fork(len(jobs), child, open_gate)


def fork(
    count: int, make: Callable[[int], Works], meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Make a worker in each of `count` children at once, and tell what came of its work."""
    children = []
    for number in range(count):
        child = os.fork()
        if child:
            children.append(child)
            continue
        try:
            end_with_parent()
            say(number=number, outcome=make(number).work()._asdict())
        except BaseException as error:  # noqa: BLE001 - the test shows it
            say(number=number, crash=repr(error))
        finally:
            os._exit(0)
    meanwhile()
    for each in children:
        os.waitpid(each, 0)


if __name__ == "__main__":
    end_with_parent()
    (crowd if sys.argv[1:] == ["crowd"] else alone)(sys.stdin.readline())
