"""Stampedes: real processes that find the token missing, or dead, at the same moment."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.processes import Crowd
from fleet.scene import GENEROUS, Scene
from fleet.worker import __file__ as library
from rare_servers.gcs_xml import GCSXMLServer
from rare_servers.seaweed import SeaweedServer
from servers.azure import AzureServer
from servers.gcs import GCSServer
from servers.s3 import MotoServer
from storage.places import LocalPlace

from betfair_session.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from fleet.job import Outcome
    from servers.objects import ObjectServer
    from storage.places import Place

HERE = Path(__file__).parents[1]
LOGIN_SECONDS = 1.0
"""How long the sandbox takes for a login, unless told otherwise."""

PROGRAMS = {
    "library": Path(library),
    "straightforward": HERE / "straightforward.py",
    "dogpile": HERE / "file_lock.py",
}
SERVERS: dict[str, type[ObjectServer]] = {
    "seaweed": SeaweedServer,
    "moto": MotoServer,
    "gcs": GCSServer,
    "gcs-xml": GCSXMLServer,
    "azure": AzureServer,
}


@dataclass(frozen=True)
class Run:
    """One stampede.

    Attributes:
        logins: requests to certlogin.
        unserved: processes that got an error.
        tokens: how many different tokens the processes got.
        sessions: how many sessions lived afterwards.
        calls: store calls of each process.
        waiters: store calls of each process that did not log in.
        first: seconds from the start until the first process had its answer.
        seconds: from the start until the last one had.
    """

    logins: int
    unserved: int
    tokens: int
    sessions: int
    calls: Sequence[int]
    waiters: Sequence[int]
    first: float
    seconds: float


def stampede(scene: Scene, count: int, program: str) -> Run:
    """Let `count` processes go at once."""
    with Crowd([scene.job(lease=GENEROUS, warm=True)] * count, PROGRAMS[program]) as crowd:
        start = time.monotonic()
        crowd.go()
        outcomes: list[Outcome] = crowd.outcomes()
    ended = [outcome.ended - start for outcome in outcomes]
    return Run(
        logins=scene.logins(),
        unserved=sum(bool(outcome.error) for outcome in outcomes),
        tokens=len({outcome.token for outcome in outcomes if outcome.token}),
        sessions=len(scene.live()),
        calls=[outcome.store_calls for outcome in outcomes],
        waiters=[each.store_calls for each in outcomes if "login" not in each.points],
        first=min(ended),
        seconds=max(ended),
    )


class Crowds:
    """The sandbox and the servers, started when they are first needed."""

    def __init__(self) -> None:
        """Start the sandbox."""
        # Google's driver would ask a control plane that no emulator has.
        os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
        self._stack = ExitStack()
        self.sandbox = self._stack.enter_context(Sandbox())
        self._servers: dict[str, ObjectServer] = {}

    def server(self, kind: str) -> ObjectServer:
        """Return the running server of a kind."""
        if kind not in self._servers:
            self._servers[kind] = self._stack.enter_context(SERVERS[kind]())
        return self._servers[kind]

    def _place(self, kind: str) -> Place:
        if kind == "local":
            directory = self._stack.enter_context(tempfile.TemporaryDirectory())
            return LocalPlace(Path(directory))
        driver, plus, server = kind.rpartition("+")
        return self.server(server).new_bucket(driver + plus)

    def run(
        self,
        kind: str,
        count: int,
        program: str,
        *,
        dead: bool,
        login_seconds: float = LOGIN_SECONDS,
    ) -> Run:
        """Make one stampede at a fresh place.

        Args:
            kind: "local", or a server, with "obstore+" before it if the driver is to be obstore.
            count: how many processes.
            program: which of PROGRAMS.
            dead: whether a token is there that has died; otherwise there is none.
            login_seconds: how long the sandbox takes for a login.
        """
        self.sandbox.reset()
        self.sandbox.configure(login_seconds=login_seconds)
        scene = Scene.at(self.sandbox, self._place(kind))
        if dead:
            scene.store_dead_token()
        return stampede(scene, count, program)

    def middle(self, kind: str, count: int, program: str, runs: int, *, dead: bool) -> Run:
        """Make some stampedes and return the middle one by time."""
        found = [self.run(kind, count, program, dead=dead) for _ in range(runs)]
        return sorted(found, key=lambda run: run.seconds)[runs // 2]

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
