"""Every request that get_session makes to Betfair, broken by the sandbox in every way it knows."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from faults.betfair_lane import Call, Lane
from faults.result import Result
from faults.routes import ROUTES, kinds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faults.routes import Kind

__all__ = ["kinds", "run"]

_LANES = 4
_TRIES = 3


def run(ways: Sequence[Kind]) -> Result[Call]:
    """Make all calls: each request of each route, broken in each way."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lanes = []
        for number in range(_LANES):
            (directory / str(number)).mkdir(mode=0o700)
            lanes.append(Lane(directory / str(number), stack))
        rehearsed = {route: Call(route) for route in ROUTES}
        requests = {route: lanes[0].make(call) for route, call in rehearsed.items()}
        for route, call in rehearsed.items():
            ends = [*call.events, type(call.error).__name__]
            call.check(route.ends in ends, f"it ended with {ends}")
        calls = [
            Call(route, endpoint, endpoints[:number].count(endpoint), way)
            for route, endpoints in requests.items()
            for number, endpoint in enumerate(endpoints)
            for way in ways
            if way.kind != "rotate" or endpoint == "keepAlive"
        ]
        done = _make(calls, lanes)
        with ThreadPoolExecutor(len(lanes)) as pool:
            stray = list(pool.map(Lane.heal, lanes))
        lost = sum(call.lost for call in [*done, *rehearsed.values()])
        every = [*rehearsed.values(), *done]
        problems = [f"{call}: {problem}" for call in every for problem in call.problems]
        if sum(stray) > lost:
            problems.append(f"{sum(stray)} sessions that nobody has, {lost} explained")
        named = {route.name: endpoints for route, endpoints in requests.items()}
        return Result(named, done, problems)


def _make(calls: Sequence[Call], lanes: Sequence[Lane]) -> list[Call]:
    """Make the calls; those that ended before the request came are made anew."""
    done: list[Call] = []
    waiting = list(calls)
    for _ in range(_TRIES):
        shares = [waiting[number :: len(lanes)] for number in range(len(lanes))]

        def work(number: int, shares: list[list[Call]] = shares) -> None:
            for call in shares[number]:
                lanes[number].make(call)

        with ThreadPoolExecutor(len(lanes)) as pool:
            list(pool.map(work, range(len(lanes))))
        done += [call for call in waiting if call.met]
        waiting = [
            Call(call.route, call.endpoint, call.skip, call.kind)
            for call in waiting
            if not call.met
        ]
    for call in waiting:
        call.problems.append("the request was never made")
    return done + waiting
