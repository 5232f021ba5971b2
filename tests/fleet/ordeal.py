"""What happens to one process at one point, and what the others make of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fleet.job import Stop
from fleet.processes import Worker, run_crowd
from fleet.scene import SHORT, TAKEOVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Self

    from fleet.job import Outcome, Signal, Stage
    from fleet.scene import Scene


@dataclass
class Ordeal:
    """One process that ends or freezes at one point, at a scene of its own.

    Attributes:
        scene: where.
        at: the number of the point.
        stop: the same, and how.
        path: the points of a process that nothing happens to.
        victim: the process.
        successors: what became of those who came later.
    """

    scene: Scene
    at: int
    stop: Stop
    path: Sequence[str]
    victim: Worker
    successors: list[Outcome] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.stop.signal} {self.stop.stage} #{self.at} {self.path[self.at]}"

    @property
    def in_between(self) -> bool:
        """Whether it happened after the login was answered and before the token was stored."""
        login = self.path.index("login")
        return self._over(login) and not self._over(self._publication)

    @property
    def before_the_send(self) -> bool:
        """Whether it happened when all was decided and the login not yet sent."""
        return (self.at, self.stop.stage) == (self.path.index("login"), "before")

    @property
    def _publication(self) -> int:
        writes = [
            number
            for number, name in enumerate(self.path)
            if name.startswith(("create ", "swap ")) and name.endswith("token")
        ]
        return writes[0]

    def _over(self, number: int) -> bool:
        return self.at > number or (self.at, self.stop.stage) == (number, "after")

    @property
    def logins(self) -> int:
        """How many logins were sent in all, by their own account."""
        sent = self.victim.points.count("login")
        if self.stop.signal == "KILL" and self.before_the_send:
            sent -= 1
        return sent + sum(outcome.points.count("login") for outcome in self.successors)


def rehearse(scene: Scene, *, dead: bool, inside: bool = False) -> list[str]:
    """Let a process do all undisturbed; return its points."""
    if dead:
        scene.store_dead_token()
    with Worker(scene.job(warm=True, inside=inside)) as worker:
        return list(worker.outcome().points)


class Ordeals:
    """One for each point, with a dead token and with none, all at the same time."""

    def __init__(
        self, scene: Scene, signal: Signal, *, stages: Sequence[Stage], inside: bool = False
    ) -> None:
        """Start every victim.

        Args:
            scene: whose place all share.
            signal: "KILL" or "STOP".
            stages: of each point: "before", "after" or both.
            inside: whether file operations are points.
        """
        self._victims = ExitStack()
        self._scene = scene
        self.all: list[Ordeal] = []
        paths = {
            dead: rehearse(scene.aside(number), dead=dead, inside=inside)
            for number, dead in enumerate((True, False))
        }
        self._rehearsed = scene.logins()
        with self._victims:
            for dead, path in paths.items():
                for at in range(len(path)):
                    for stage in stages:
                        stop = Stop(at, stage, signal)
                        self.all.append(self._start(at, stop, path, dead=dead, inside=inside))
            self._victims = self._victims.pop_all()

    def _start(self, at: int, stop: Stop, path: list[str], *, dead: bool, inside: bool) -> Ordeal:
        scene = self._scene.aside(len(self.all) + 2)
        if dead:
            scene.store_dead_token()
        job = scene.job(stop=stop, warm=True, inside=inside, lease=SHORT)
        victim = self._victims.enter_context(Worker(job))
        return Ordeal(scene, at, stop, path, victim)

    def succeed(self, successors: int) -> None:
        """Let so many others come to each scene, as long as a takeover may take."""
        jobs = [
            ordeal.scene.job(warm=True, lease=SHORT, timeout=TAKEOVER)
            for ordeal in self.all
            for _ in range(successors)
        ]
        outcomes = iter(run_crowd(jobs))
        for ordeal in self.all:
            ordeal.successors = [next(outcomes) for _ in range(successors)]

    def logins(self) -> int:
        """Return how many logins all of them sent, by Betfair's count."""
        return self._scene.logins() - self._rehearsed

    def __iter__(self) -> Iterator[Ordeal]:
        return iter(self.all)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._victims.close()
