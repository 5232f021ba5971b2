"""Thousands of calls of the shipped policy, each with its runner, on one virtual clock.

Their store keeps to its cloud's published rates:

| | reads/s | writes/s | more | beyond |
|---|---|---|---|---|
| S3 | 5,500 a prefix | 3,500 a prefix | | 503 SlowDown |
| Google | 5,000 a bucket | 1,000 a bucket, at first | one write a second of one object name | 429 |
| Azure | 20,000 an account | with the reads | 500 requests a second of one blob | 503 ServerBusy |

Sources: "Best practices design patterns: optimizing Amazon S3 performance"; "Request rate and
access distribution guidelines" and "Quotas & limits" of Cloud Storage; "Scalability and performance
targets" for standard storage accounts and for Blob storage (a target there, a limit here). What is
unused of a second is kept, but for one second only. What is turned away does not count.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, cast

from explore.actors import KEY, Caller, VirtualClock

from betfair_session.exceptions import BetfairSessionError, StoreError, StoreUnavailable
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.lock import Memory
from betfair_session.login.runner import HANDLERS
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint

LOGIN_SECONDS = 1.0
LATENCY = (0.02, 0.06)  # seconds from a request to the store to its answer
KEEP_ALIVE = (0.05, 0.15)  # likewise, to Betfair
START = 1_000_000.0
WITHIN = 0.1  # seconds, in which all begin
PATIENCE = 60.0  # seconds that each has, the default
SCENES = {"missing": 0.0, "dead": 86_400.0, "live": 86_400.0, "trusted": 600.0}
"""How the token is at the start, and how many seconds ago it was written."""


class Cloud(NamedTuple):
    """What a cloud serves, per second, and what a request costs."""

    name: str
    reads: int  # of one bucket; of both kinds where `writes` is 0
    writes: int  # of one bucket
    of_one: int  # requests of one object; 0 for any number
    writes_of_one: int  # of one object; 0 for any number
    read_price: float  # US dollars for 10,000
    write_price: float


CLOUDS = {
    "s3": Cloud("S3", 5_500, 3_500, 0, 0, 0.004, 0.05),
    "gcs": Cloud("Google", 5_000, 1_000, 0, 1, 0.004, 0.05),
    "azure": Cloud("Azure", 20_000, 0, 500, 0, 0.004, 0.05),
}


class Rate:
    """So many a second; what a second left over may be used in the next."""

    def __init__(self, each_second: float) -> None:
        self._each_second = self._left = each_second
        self._at = 0.0

    def has(self, now: float) -> bool:
        """Return whether one more can be served; 0 a second stands for no limit."""
        passed, self._at = now - self._at, now
        self._left = min(self._left + passed * self._each_second, self._each_second)
        return not self._each_second or self._left >= 1

    def take(self) -> None:
        self._left -= 1


class CloudStore(TokenStore):
    """One bucket.

    Attributes:
        now: the true time.
        calls: requests, by "read" or "write", and those of them that were turned away.
        arrivals: requests in each second.
    """

    label = "cloud"
    atomic = True

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.now = 0.0
        self.calls: Counter[str] = Counter()
        self.arrivals: Counter[int] = Counter()
        self._objects: dict[str, StoredObject] = {}
        self._versions = 0
        self._rates: dict[object, Rate] = {}

    @property
    def dollars(self) -> float:
        """What they cost; what was turned away counts, though S3 and Google do not bill that."""
        cloud = self._cloud
        reads, writes = self.calls["read"], self.calls["write"]
        return (reads * cloud.read_price + writes * cloud.write_price) / 10_000

    def get(self, key: str, *, deadline: float) -> StoredObject | None:  # noqa: ARG002 - it answers at once
        """See TokenStore."""
        self._serve("read", key)
        found = self._objects.get(key)
        now = float(int(self.now))
        return StoredObject(found.content, found.version, found.modified, now) if found else None

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:  # noqa: ARG002 - likewise
        """See TokenStore."""
        self._serve("write", key)
        found = self._objects.get(key)
        if expect is not ANY and expect != (found.version if found else ABSENT):
            message = "another was faster"
            raise VersionConflict(message, store=self.label, key=key, reason="conflict")
        if self._cloud.writes_of_one:
            self._rate((key, "write"), self._cloud.writes_of_one).take()
        return self.place(key, content)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        raise NotImplementedError

    def place(self, key: str, content: bytes) -> str:
        """Put something there, without counting it."""
        self._versions += 1
        version = str(self._versions)
        self._objects[key] = StoredObject(SecretBytes(content), version, float(int(self.now)))
        return version

    def _serve(self, verb: str, key: str) -> None:
        cloud = self._cloud
        self.calls[verb] += 1
        self.arrivals[int(self.now)] += 1
        each_second = cloud.writes if verb == "write" and cloud.writes else cloud.reads
        rates = [self._rate(verb if cloud.writes else "", each_second)]
        rates.append(self._rate(key, cloud.of_one))
        held = [*rates]
        if verb == "write":  # counted when it is done
            held.append(self._rate((key, verb), cloud.writes_of_one))
        if not all(rate.has(self.now) for rate in held):
            self.calls["turned away"] += 1
            message = "slow down"
            raise StoreUnavailable(
                message, store=self.label, key=key, reason="throttled", landed=False
            )
        for rate in rates:
            rate.take()

    def _rate(self, what: object, each_second: float) -> Rate:
        return self._rates.setdefault(what, Rate(each_second))


class Function(Caller):
    """One function; nothing looks into it."""

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
        """Read the token once, as a handle that shares verifications does first."""
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
            event = HANDLERS[type(function.effect)](function.runner, function.effect)
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
