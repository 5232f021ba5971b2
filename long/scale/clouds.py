"""A store that keeps to the clouds' published rates, on a virtual clock.

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

from collections import Counter
from typing import NamedTuple

from betfair_session.exceptions import StoreUnavailable
from betfair_session.secret import SecretBytes
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)


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
        """Tell whether one more can be served; 0 a second stands for no limit."""
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
    def requests(self) -> int:
        return self.calls["read"] + self.calls["write"]

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
        return found._replace(now=float(int(self.now))) if found else None

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
        """Put something there, at no one's cost."""
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
