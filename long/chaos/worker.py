"""The processes of the chaos run: one that has only imported, and forks and ends all others.

Its orders come on standard input, one JSON object a line; its own words and its children's go to
standard output, so that a kill has its place in the order of what the killed one said.

A child reports that the lock is about to be taken ("take"), was taken ("took"), was another's
("missed") or is given back ("released"), that a login is about to be sent ("login"), what it
brought ("session", "unclear") or that it was not sent ("unsent"), and that a token is about to be
written ("publish"), was ("published") or was not, since another was there ("unpublished").
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from fleet.job import Job
from fleet.observed import ObservedStore, Points
from fleet.worker import end_with_parent, preload, say

from betfair_session import (
    BetfairSessionError,
    IdentityClient,
    LeaseSettings,
    Session,
    SessionManager,
)
from betfair_session.login import lock as locks
from betfair_session.secret import Secret
from betfair_session.storage.contract import ANY, Expect, TokenStore, VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank

_LONGEST = 300  # characters of an error's text, so that a line is written in one piece
_A_MOMENT = timedelta(milliseconds=1)
_PAUSE = 4.0  # seconds that a process waits at most between two calls


def tell(number: int, event: str, **details: object) -> None:
    """Say what the process of that number is about to do, or has done, and when."""
    say(n=number, e=event, t=time.monotonic(), **details)


class TellingStore(ObservedStore):
    """The real store; reports the writes that take the lock, publish, and give it back."""

    def __init__(self, store: TokenStore, tell: Callable[..., None]) -> None:
        super().__init__(store, Points(None, lambda _: None))
        self._tell = tell

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write; a blank, which shows that the token can be written, is not reported."""
        if expect is ANY or is_blank(content):
            return super().put(key, content, expect, deadline=deadline)
        details: dict[str, str] = {}
        if not key.endswith(LOCK_SUFFIX):
            details = {"token": content.decode()}
            before, done, lost = "publish", "published", "unpublished"
        elif locks.decode(content).state == locks.HELD:
            before, done, lost = "take", "took", "missed"
        else:
            before, done, lost = "", "released", "released"
        if before:
            self._tell(before, **details)
        try:
            version = super().put(key, content, expect, deadline=deadline)
        except VersionConflict:  # another is there
            self._tell(lost, **details)
            raise
        self._tell(done, **details)
        return version


class TellingClient(IdentityClient):
    """The real client; reports each login before it is sent, and its outcome."""

    tell: Callable[..., None]

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        self.tell("login")
        try:
            token = super().certlogin(username, password, timeout=timeout)
        except BetfairSessionError as error:
            self.tell("unclear" if getattr(error, "sent", True) else "unsent")
            raise
        self.tell("session")
        return token


class Worker:
    """One process: it asks for the token again and again.

    Its task names a `job`, the `bell` (a named pipe: a byte wakes one of those who wait at it, "q"
    ends it), and whether it begins each call `anew`, as a function that is started for it, and then
    shares its verifications.
    """

    def __init__(self, number: int, task: dict[str, Any]) -> None:
        """Prepare; the store is opened by the first call."""
        self._tell = partial(tell, number)
        self._job = Job.decode(task["job"])
        self._anew = bool(task["anew"])
        self._bell = os.open(task["bell"], os.O_RDWR | os.O_NONBLOCK)

    def work(self) -> None:
        while True:
            with self._opened() as session:
                while self._wait():
                    self._call(session)
                    if self._anew:
                        break
                else:
                    return

    def _wait(self) -> bool:
        """Wait for the bell, or until the pause is over; return False to end."""
        ready, _, _ = select.select([self._bell], [], [], random.uniform(0, _PAUSE))
        if not ready:
            return True
        try:
            return os.read(self._bell, 1) != b"q"
        except BlockingIOError:
            return True  # another process was faster

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Session]:
        job = self._job
        settings: dict[str, Any] = {}
        if self._anew:
            # A window too short to trust in: each verified token is written anew.
            settings = {"verify_every": _A_MOMENT, "share_verification": True}
        lease = LeaseSettings(**job.lease)  # type: ignore[arg-type] # JSON knows one kind of number
        with (
            TellingClient(**job.identity) as client,
            SessionManager(client, job.username, job.password, lease=lease, **settings) as manager,
        ):
            client.tell = self._tell
            session = manager.session(job.url, job.key, job.options)
            session._store = TellingStore(session._store, self._tell)
            yield session

    def _call(self, session: Session) -> None:
        began, token, error = time.monotonic(), "", None
        self._tell("call")
        try:
            token = session.token(timeout=self._job.timeout)
        except BetfairSessionError as failed:
            error = failed
        self._tell(
            "end",
            began=began,
            token=token,
            error=type(error).__name__ if error else "",
            text=str(error or "")[:_LONGEST],
        )


def start(number: int, task: dict[str, Any]) -> int:
    """Fork a process that does a task; return its system's number."""
    child = os.fork()
    if child:
        return child
    try:
        end_with_parent()
        random.seed()
        Worker(number, task).work()
        tell(number, "left")
    except BaseException as error:  # noqa: BLE001 - the run counts it
        tell(number, "crash", text=repr(error)[:_LONGEST])
    finally:
        os._exit(0)


def serve() -> None:
    """Start processes, send them signals and reap them, as standard input orders until its end."""
    signals = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}
    signals["show"] = signal.SIGUSR2  # it writes to the error output where it is
    children: dict[int, int] = {}
    for line in sys.stdin:
        order, number, task = json.loads(line)
        if order == "start":
            children[number] = start(number, task)
            continue
        if order in signals:
            os.kill(children[number], signals[order])
        if order == "freeze":
            os.waitid(os.P_PID, children[number], os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        elif order in {"kill", "bury"}:
            os.waitpid(children.pop(number), 0)
        if order == "kill":
            tell(number, "killed")


if __name__ == "__main__":
    end_with_parent()
    faulthandler.register(signal.SIGUSR2)
    logging.disable()  # their warnings are reported as events
    preload(sys.argv[1])  # all that they need is imported once
    serve()
