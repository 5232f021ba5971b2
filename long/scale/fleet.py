"""Thousands of calls of the shipped policy, each with its runner, on one virtual clock."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from explore.actors import KEY, Caller, VirtualClock

from betfair_session.exceptions import BetfairSessionError, StoreError
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.lock import Memory
from betfair_session.login.runner import DOINGS
from betfair_session.secret import Secret
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint

from .clouds import Cloud, CloudStore

LOGIN_SECONDS = 1.0
LATENCY = (0.02, 0.06)  # seconds from a request to the store to its answer
KEEP_ALIVE = (0.05, 0.15)  # likewise, to Betfair
START = 1_000_000.0
WITHIN = 0.1  # seconds, in which all begin
PATIENCE = 60.0  # seconds that each has, the default
SCENES = {"missing": 0.0, "dead": 86_400.0, "live": 86_400.0, "trusted": 600.0}
"""How the token is at the start, and how many seconds ago it was written."""


class Function(Caller):
    """One function; nobody looks into it."""

    def _look(self) -> Any:  # noqa: ANN401 - what it would be is not used
        return None


class Fleet:
    """One run."""

    def __init__(self, cloud: Cloud, token: str, *, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self.store = CloudStore(cloud)
        self.store.now = START - SCENES[token]
        self._trusting = token == "trusted"
        self._live = set() if token in {"missing", "dead"} else {"old"}
        if token != "missing":
            self.store.place(KEY, b"old")
            known = locks.Lock(locks.DONE, "before", published=fingerprint(Secret("old")))
            self.store.place(KEY + LOCK_SUFFIX, locks.encode(known))
        self.served: list[float] = []  # when each function had its token, seconds after START
        self.errors: Counter[str] = Counter()  # how the others ended
        self.asked: Counter[int] = Counter()  # keepAlives in each second
        self.logins = 0
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._turn = 0

    def run(self, functions: int) -> None:
        """Let functions begin, and go on until all have ended."""
        for _ in range(functions):
            way = self._way()
            begin = partial(self._glance, way) if self._trusting else self._begin
            self._at(START + self._rng.random() * WITHIN + way * self._trusting, begin)
        while self._queue:
            now, _, doing = heapq.heappop(self._queue)
            doing(now)

    def _at(self, time: float, doing: Callable[[float], None]) -> None:
        self._turn += 1
        heapq.heappush(self._queue, (time, self._turn, doing))

    def _way(self) -> float:
        return self._rng.uniform(*LATENCY) / 2

    def _glance(self, way: float, now: float) -> None:
        """Read the token once, as a handle that shares verifications does before all else."""
        self.store.now = now
        with suppress(StoreError):
            self.store.get(KEY, deadline=now)
            self.served.append(now + way - START)
            return
        self._at(now + way, self._begin)

    def _begin(self, now: float) -> None:
        clock, lease = VirtualClock(self._rng, skew=0.0), LeaseSettings()
        clock.at, deadline = now, now + PATIENCE
        share, store = self._trusting, cast("Any", self.store)
        function = Function(0, store, lease, clock, Memory(), deadline, share=share)
        self._go_on(function, now)

    def _go_on(self, function: Function, now: float) -> None:
        effect = function.effect
        if isinstance(effect, do.Done):
            assert effect.token.reveal() in self._live
            self.served.append(now - START)
        elif isinstance(effect, BetfairSessionError):
            self.errors[type(effect).__name__] += 1
        elif isinstance(effect, do.Wait):
            self._at(now + effect.seconds, lambda now: self._tell(function, None, now))
        elif isinstance(effect, do.Ask | do.LogIn | do.LogOut):
            takes = LOGIN_SECONDS
            if not isinstance(effect, do.LogIn):
                takes = self._rng.uniform(*KEEP_ALIVE)
            event = self._betfair(effect, now)
            self._at(now + takes, lambda now: self._tell(function, event, now))
        else:
            way = self._way()
            self._at(now + way, lambda now: self._call(function, now, way))

    def _call(self, function: Function, now: float, way: float) -> None:
        """Carry out what a function asks of the store, when it arrives there."""
        self.store.now = function.clock.at = now
        try:
            event = DOINGS[type(function.effect)](function.runner, function.effect)
        except BetfairSessionError as error:
            event = error
        self._at(now + way, lambda now: self._tell(function, event, now))

    def _tell(self, function: Function, event: object, now: float) -> None:
        function.clock.at = now
        function.tell(event)
        self._go_on(function, now)

    def _betfair(self, effect: do.Ask | do.LogIn | do.LogOut, now: float) -> object:
        if isinstance(effect, do.Ask):
            self.asked[int(now)] += 1
            alive = effect.token.reveal() in self._live
            return do.LiveToken(effect.token, fingerprint(effect.token)) if alive else None
        if isinstance(effect, do.LogOut):
            self._live.discard(effect.token.reveal())
            return None
        self.logins += 1
        token = f"new-{self.logins}"
        self._live.add(token)
        return do.LiveToken(Secret(token), fingerprint(Secret(token)))
