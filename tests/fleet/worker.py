"""The processes of the fleet: one that has only imported, and forks one child for each job.

The jobs come as the first line of standard input; it opens no store before the fork. Its own words
and its children's go to standard output: which is ready, what they did, how each call ended, and
which was frozen or killed. Each further line names the children to release.
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
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

from servers.s3 import read_models_once
from within import waits_of, within

from betfair_session import BetfairSessionError, LeaseSettings, SessionManager
from betfair_session.login import runner as runner_module
from betfair_session.process.clocks import Clock
from fleet.job import Job, Outcome
from fleet.observed import FleetClock, ObservedClient, ObservedStore, Points

_PR_SET_PDEATHSIG = 1
_MODULES = {
    "": ["requests", "certifi", "betfair_session.certificates.reading"],
    "s3": ["s3fs", "aiobotocore.httpsession", "botocore.handlers"],
    "gs": ["gcsfs.core"],
    "abfs": ["adlfs"],
    "obstore+s3": ["obstore.store"],
}
"""What all need, and what each store's scheme needs beside it."""

Make: TypeAlias = Callable[[Job], Any]
"""Makes from a job the object whose `work()` does it."""


def say(**fields: object) -> None:
    """Tell the test something, in one write, so that the lines of many processes stay whole."""
    os.write(1, (json.dumps(fields) + "\n").encode())


class Worker:
    def __init__(self, job: Job, tell: Callable[[str], object]) -> None:
        """Open what the job names; nothing is sent yet, unless the job wants a warm connection."""
        self._job, self.points = job, Points(job.stop, tell)
        client = ObservedClient(**job.identity)
        client.points = self.points
        lease = LeaseSettings(**job.lease)  # type: ignore[arg-type] # JSON knows one kind of number
        self._manager = SessionManager(client, job.username, job.password, lease=lease)
        self._session = self._manager.session(job.url, job.key, job.options)
        if job.warm:
            self._session._store.get("nothing", deadline=within(60))
        self._session._store = ObservedStore(self._session._store, self.points)
        self._waits = waits_of(job.waits)
        self._waits.__enter__()
        if job.clock_offset or (job.stop and job.stop.signal == "STOP"):
            run = runner_module.Runner
            vars(runner_module)["Runner"] = lambda *given, **named: run(
                *given, **named, clock=FleetClock(self.points, job.clock_offset)
            )
        if job.inside:
            self.points.watch_files(job.url.removeprefix("file://"))

    def work(self) -> Outcome:
        token, failed, before = "", None, len(self.points.passed)
        try:
            token = self._session.token(timeout=self._job.timeout)
        except BetfairSessionError as error:
            failed = error
        return Outcome(
            token=token,
            error=type(failed).__name__ if failed else "",
            text=str(failed or ""),
            ended=time.monotonic(),
            points=tuple(self.points.passed[before:]),
            nonce=Clock().nonce(),
        )


def end_with_parent() -> None:
    """Have the system end this process, frozen or not, when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def preload(scheme: str) -> None:
    """Import what the children will need, and keep it out of the way of their collectors."""
    for module in _MODULES[""] + _MODULES.get(scheme, []):
        with contextlib.suppress(ImportError):
            import_module(module)
    if scheme == "s3":
        read_models_once()
    gc.freeze()


def child(number: int, job: Job, make: Make | None, gate: int) -> None:
    """Do a job when the gate opens, and report; then fork, and let the children do it again."""

    def tell(point: str) -> None:
        if job.stop:
            say(number=number, point=point)

    worker = make(job) if make else Worker(job, tell)
    say(number=number, pid=os.getpid())
    for _ in range(job.calls):
        os.read(gate, 1)
        say(number=number, outcome=worker.work()._asdict())
    if job.forks:
        os.read(gate, 1)
        for _ in range(job.forks):
            fork(number, lambda: say(number=number, outcome=worker.work()._asdict()))
        for _ in range(job.forks):
            os.wait()


def fork(number: int, doing: Callable[[], object]) -> int:
    """Do something in a child, which reports a failure; return the child's process number."""
    pid = os.fork()
    if not pid:
        try:
            end_with_parent()
            doing()
        except BaseException as error:  # noqa: BLE001 - the test shows it
            say(number=number, crash=repr(error))
        finally:
            os._exit(0)
    return pid


def main(make: Make | None = None) -> None:
    """Do the jobs on standard input; in the child, `make` makes the object that does one."""
    end_with_parent()
    jobs = [Job.decode(fields) for fields in json.loads(sys.stdin.readline())]
    preload(jobs[0].url.split("://")[0])
    pipes = [os.pipe() for _ in jobs]
    numbers = {
        fork(number, functools.partial(child, number, job, make, pipes[number][0])): number
        for number, job in enumerate(jobs)
    }

    def open_gates() -> None:
        for line in sys.stdin:
            for number in json.loads(line):
                os.write(pipes[number][1], b"g")

    threading.Thread(target=open_gates, daemon=True).start()
    while numbers:
        pid, status = os.waitpid(-1, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            say(number=numbers[pid], seen="frozen")
        else:
            say(number=numbers.pop(pid), seen="killed" if os.WIFSIGNALED(status) else "ended")
    os._exit(0)  # the thread still listens


if __name__ == "__main__":
    main()
