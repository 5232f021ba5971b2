"""What a worker process puts around the real store, the real client and the real clock."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from betfair_session import IdentityClient
from betfair_session.process.clocks import Clock
from betfair_session.secret import Secret
from betfair_session.storage.contract import ABSENT, ANY, Expect, StoredObject, TokenStore
from fleet.job import Stop

_FILE_EVENTS = {"open", "os.rename", "os.remove", "os.scandir", "os.mkdir"}


class Points:
    """The things that a process does, counted, and the one at which it ends or freezes."""

    def __init__(self, stop: Stop | None, tell: Callable[[str], object]) -> None:
        self._stop, self._tell = stop, tell
        self.passed: list[str] = []
        self.frozen = 0.0  # seconds, by its own clocks: a minute, however short it was

    @contextlib.contextmanager
    def around(self, name: str) -> Iterator[None]:
        here = (len(self.passed), name)
        self.passed.append(name)
        self._tell(name)
        self._meet(here, "before")
        try:
            yield
        finally:
            self._meet(here, "after")

    def watch_files(self, directory: str) -> None:
        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _FILE_EVENTS and str(arguments[0]).startswith(directory):
                with self.around(f"{event} {os.path.basename(str(arguments[0]))}"):
                    pass

        sys.addaudithook(hook)

    def _meet(self, here: tuple[int, str], stage: str) -> None:
        stop = self._stop
        if stop and stop.at in here and stop.stage == stage:
            self._stop = None
            os.kill(os.getpid(), signal.SIGKILL if stop.signal == "KILL" else signal.SIGSTOP)
            self.frozen = 60.0


class ObservedStore(TokenStore):
    """The real store, each call of it a point."""

    def __init__(self, store: TokenStore, points: Points) -> None:
        self._store, self._points = store, points
        self.label, self.atomic, self.probe = store.label, store.atomic, store.probe
        self.on_this_machine = store.on_this_machine

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        with self._points.around(f"read {key}"):
            return self._store.get(key, deadline=deadline)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        verb = "create" if expect is ABSENT else "replace" if expect is ANY else "swap"
        with self._points.around(f"{verb} {key}"):
            return self._store.put(key, content, expect, deadline=deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        with self._points.around(f"delete {key}"):
            self._store.delete(key, expect, deadline=deadline)

    def server_now(self, *, deadline: float) -> float | None:
        with self._points.around("server time"):
            return self._store.server_now(deadline=deadline)

    def close(self) -> None:
        self._store.close()


class ObservedClient(IdentityClient):
    """The real client, each login and logout a point."""

    points: Points

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        with self.points.around("login"):
            return super().certlogin(username, password, timeout=timeout)

    def logout(self, token: str | Secret, *, timeout: float | None = None) -> None:
        with self.points.around("logout"):
            super().logout(token, timeout=timeout)


class FleetClock(Clock):
    """One call's clock that is off, and goes on while the process is frozen."""

    def __init__(self, points: Points, offset: float) -> None:
        self._points, self._wrong = points, offset

    def mono(self) -> float:
        return super().mono() + self._points.frozen

    def boot(self) -> str:
        """Return no name: locks in files are as old as their files."""
        return ""

    def now(self) -> tuple[float, float]:
        return self.mono(), super().now()[1] + self._wrong + self._points.frozen
