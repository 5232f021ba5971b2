"""All cases of a store: each request of each path, broken in each way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from faults.case import Case
from faults.lane import Bench, Lanes
from faults.paths import PATHS, Site
from faults.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from storage.places import BucketPlace

    from betfair_session.sandbox import Sandbox
    from faults.breaking import Break
    from faults.paths import Path

_THREADS = 16
_TRIES = 3


class Matrix:
    """The cases of one store."""

    def __init__(self, sandbox: Sandbox, place: BucketPlace) -> None:
        """Prepare.

        Args:
            sandbox: Betfair, with nothing on.
            place: an empty bucket.
        """
        # Betfair would ban an account that logs in so often.
        sandbox.configure(logins_per_minute=1e9)
        self._sandbox = sandbox
        self._bench = Bench(sandbox, place)
        self._lanes = Lanes(self._bench)
        self._pool = ThreadPoolExecutor(_THREADS)
        self._cases: list[Case] = []

    def run(self, ways: Sequence[Break], paths: Sequence[Path] = PATHS) -> Result[Case]:
        """Run everything.

        Args:
            ways: how requests are broken.
            paths: of which calls.

        Returns:
            What came of it.
        """
        rehearsed = [self._case(path) for path in paths]
        self._call(rehearsed)
        for case in rehearsed:
            self._check_rehearsal(case)
        broken = [
            self._case(case.path, number, way)
            for case in rehearsed
            for number in range(len(case.requests))
            for way in ways
        ]
        broken = self._met(broken)
        live = self._live()
        self._each(broken, lambda case: case.judge(live))
        live = self._live()
        self._each(broken, lambda case: case.heal(self._bench, live))
        problems = [f"{case}: {problem}" for case in self._cases for problem in case.problems]
        requests = {case.path.name: [str(each) for each in case.requests] for case in rehearsed}
        return Result(requests, broken, self._reckon() + problems)

    def close(self) -> None:
        """Close everything that was opened."""
        self._pool.shutdown()
        self._lanes.close()
        self._bench.close()

    def _case(self, path: Path, number: int = 0, way: Break | None = None) -> Case:
        key = f"{len(self._cases):05}/session.token"
        site = Site(self._bench.place, self._sandbox, self._sandbox.username, key)
        case = Case(path, site, number, way)
        self._cases.append(case)
        return case

    def _met(self, cases: list[Case]) -> list[Case]:
        """Make the calls; those that ended before the request came are made anew elsewhere."""
        self._call(cases)
        for _ in range(_TRIES):
            missed = [case for case in cases if not case.met]
            again = [self._case(case.path, case.number, case.way) for case in missed]
            self._call(again)
            cases = [case for case in cases if case.met] + again
        for case in cases:
            if not case.met:
                case.problems.append("the request was never made")
        return cases

    def _each(self, cases: Iterable[Case], work: Callable[[Case], object]) -> None:
        list(self._pool.map(work, cases))

    def _call(self, cases: Sequence[Case]) -> None:
        """Make the calls, first those that find what has just been stored."""
        aged = sorted((case for case in cases if case.path.ripe), key=lambda case: case.path.ripe)
        self._each(aged, lambda case: case.path.prepare(case.site))
        prepared = time.monotonic()

        def call(case: Case) -> None:
            if case.path.ripe:
                # Its objects have to be so old by the store's clock.
                time.sleep(max(0.0, prepared + case.path.ripe - time.monotonic()))
            else:
                case.path.prepare(case.site)
            case.call(self._bench, self._lanes.mine())

        fresh = [case for case in cases if not case.path.ripe]
        self._each([*fresh, *aged], call)

    @staticmethod
    def _check_rehearsal(case: Case) -> None:
        """See to it that the path is the one that its name says."""
        ends = [event.kind for event in case.events]
        if case.path.ends not in ends or case.logins != case.path.logins or case.error:
            case.problems.append(f"{ends} after {case.requests}, {case.logins} logins")

    def _live(self) -> set[str]:
        return {session.token for session in self._sandbox.sessions()}

    def _reckon(self) -> list[str]:
        """Compare with what Betfair and the store say in the end."""
        live = self._live()
        known = set().union(*(case.settle(live) for case in self._cases))
        keys = {name for case in self._cases for name in (case.site.key, case.site.lock)}
        sent = sum(case.logins for case in self._cases)
        unanswered = sum(case.unanswered for case in self._cases)
        seen = self._sandbox.counts().get("login", 0)
        checks = {
            f"{len(live - known)} sessions that nobody accounts for": len(live - known)
            <= unanswered,
            f"{seen} logins seen, {sent} sent": sent - unanswered <= seen <= sent,
            "objects are left": set(self._bench.place.keys()) <= keys,
        }
        return [what for what, fine in checks.items() if not fine]
