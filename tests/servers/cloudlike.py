"""A stub of a cloud, S3, Google or Azure, with the faults of real ones by script.

Emulators are gentle: they neither throttle, nor refuse by policy, nor let a write land late. This
stub does, on the loopback address, in threads of the test's own process. It looks at no
credentials.
"""

from __future__ import annotations

import hashlib
import itertools
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, TypeAlias

from servers.cloudlike_wire import ABSENT, Order, Outcome, Says, Stored, order_of, said
from servers.objects import ObjectServer
from servers.process import HOST
from servers.s3 import read_models_once
from servers.script import Answer, Exchange
from servers.web import Listener, reset

Kind: TypeAlias = Literal["s3", "gcs", "azure"]

SLOW_DOWN = {
    "s3": Says(503, "SlowDown", "Please reduce your request rate."),
    "gcs": Says(429, "rateLimitExceeded", "The object exceeded the rate limit for mutations."),
    "azure": Says(503, "ServerBusy", "The server is busy."),
}
"""A cloud's answer to too many requests."""

EXPIRED = {
    "s3": Says(400, "ExpiredToken", "The provided token has expired."),
    "gcs": Says(401, "authError", "Invalid Credentials"),
    "azure": Says(401, "InvalidAuthenticationInfo", "Lifetime validation failed."),
}
"""A cloud's answer to credentials that have expired."""

_NO_OBJECT = {
    "s3": Says(404, "NoSuchKey", "The specified key does not exist."),
    "gcs": Says(404, "notFound", "No such object: {}/{}"),
    "azure": Says(404, "BlobNotFound", "The specified blob does not exist."),
}
_NO_BUCKET = {
    "s3": Says(404, "NoSuchBucket", "The specified bucket does not exist"),
    "gcs": Says(404, "notFound", "The specified bucket does not exist."),
    "azure": Says(404, "ContainerNotFound", "The specified container does not exist."),
}
_UNMET = {
    "s3": Says(412, "PreconditionFailed", "A pre-condition did not hold"),
    "gcs": Says(412, "conditionNotMet", "A pre-condition did not hold."),
    "azure": Says(412, "ConditionNotMet", "The condition was not met."),
}
_EXISTS = {**_UNMET, "azure": Says(409, "BlobAlreadyExists", "The blob already exists.")}
_CARRIED_OUT = ("usual", "hold", "stall")
_generations = itertools.count(1_790_000_000_000_000)


@dataclass
class Fault:
    """What happens to some requests."""

    match: Callable[[Order], bool]
    # Whether they are carried out, or put off for `land`. The usual answer carries them out.
    lands: Literal["now", "never", "later"] = "never"
    # The usual one comes at once or ("hold") at its release. Silence or a stall, a byte before the
    # end, last until then, when the connection breaks; words are the cloud's own.
    answer: Answer | Says | Literal["usual", "hold", "drop", "reset", "silence", "stall"] = "usual"
    times: int | None = None  # how many requests it is for
    seconds: float | None = None  # from the first one on
    met: list[Order] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    late: list[Callable[[], Outcome]] = field(default_factory=list)
    began: float | None = None

    def takes(self, order: Order) -> bool:
        """Return whether it is for this order, and count it."""
        now = time.monotonic()
        began = now if self.began is None else self.began
        spent = self.times is not None and len(self.met) >= self.times
        over = self.seconds is not None and now - began >= self.seconds
        if spent or over or not self.match(order):
            return False
        self.began = began
        self.met.append(order)
        return True

    def land(self) -> list[bool]:
        """Carry out what was put off; return of each whether its condition still held."""
        late, self.late = self.late, []
        return [not isinstance(each(), Says) for each in late]


def _break(exchange: Exchange, fault: Fault) -> None:
    """Break a connection, now or when its fault is released."""
    if fault.answer == "reset":
        reset(exchange.connection)
    elif fault.answer != "drop":
        fault.release.wait()


class Cloud(ObjectServer):
    """One cloud, with its usual ways until a test changes them."""

    def __init__(self, kind: Kind, *, pace: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        """Serve, until it is stopped; with `tls`, speak it."""
        if kind == "s3":
            read_models_once()
        self.kind: Kind = kind
        self.scheme = {"gcs": "gs", "azure": "abfs"}.get(kind, "s3")
        self.pace = pace  # seconds between two changes of one object; Google takes one a second
        self.headers: dict[str, str | None] = {}  # of usual answers; None leaves one out
        self.etag = '"{}"'  # its form
        self.ignores: Callable[[Order], bool] = lambda _: False  # whose conditions
        self.expired: set[str] = set()  # parts of an Authorization
        self.pages: dict[str, Answer] = {}  # what it says at other paths
        self.orders: list[Order] = []  # what it was asked, in order
        self.requests: list[Exchange] = []  # the same as sent, with those that asked for nothing
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._buckets: dict[str, dict[str, Stored]] = {}
        self._changed: dict[tuple[str, str], float] = {}
        self._listener = Listener(self._serve, tls)
        self.port = self._listener.server_address[1]
        self._base = f"http{'s' if tls else ''}://{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        return self._base

    def fail(self, match: str | Callable[[Order], bool] = "*", **what: Any) -> Fault:  # noqa: ANN401 - a Fault's
        """Have something happen to some requests; of several faults the newest counts.

        A match is a function, "PUT", or "* token", where the name holds that.
        """
        if isinstance(match, str):
            verb, _, part = match.partition(" ")
            fault = Fault(lambda each: verb in ("*", each.verb) and part in each.name, **what)
        else:
            fault = Fault(match, **what)
        with self._lock:
            self._faults.insert(0, fault)
        return fault

    def heal(self) -> None:
        """Forget every fault; what was put off goes on to wait for `land`."""
        with self._lock:
            faults, self._faults = self._faults, []
        for fault in faults:
            fault.release.set()

    def _serve(self, exchange: Exchange) -> bytes | None:
        order = order_of(self.kind, exchange)
        with self._lock:
            self.requests.append(exchange)
        answer: Answer | None = self.pages.get(exchange.path)
        shown = exchange.headers.get("authorization", "")
        if answer is None and order is None:
            answer = Answer(400, b"", {"Date": formatdate(usegmt=True)})
        elif answer is None and order and any(each in shown for each in self.expired):
            self.orders.append(order)
            answer = self._usual(exchange, order, EXPIRED[self.kind])
        elif answer is None and order:
            answer = self._answer(exchange, order)
        return None if answer is None else answer.encode(exchange.method)

    def _answer(self, exchange: Exchange, order: Order) -> Answer | None:
        """Return what to say; None breaks the connection."""
        with self._lock:
            self.orders.append(order)
            fault = next((each for each in self._faults if each.takes(order)), None)
            if fault is None or fault.lands == "now" or fault.answer in _CARRIED_OUT:
                outcome = self._carry_out(order)
            elif fault.lands == "later":
                fault.late.append(lambda: self._carry_out(order))
        if fault is None:
            return self._usual(exchange, order, outcome)
        fault.reached.set()
        if fault.answer == "hold":
            fault.release.wait()
        if isinstance(fault.answer, Answer):
            return fault.answer
        if isinstance(fault.answer, Says) or fault.answer in _CARRIED_OUT:
            outcome = fault.answer if isinstance(fault.answer, Says) else outcome
            usual = self._usual(exchange, order, outcome)
            if fault.answer != "stall":
                return usual
            longer = Answer(usual.status, usual.body + b" ", usual.headers)
            exchange.connection.sendall(longer.encode(exchange.method)[:-1])
        _break(exchange, fault)
        return None

    def _usual(self, exchange: Exchange, order: Order, outcome: Outcome) -> Answer:
        answer = said(self.kind, exchange, order, outcome)
        headers: dict[str, str | None] = {**answer.headers, "Date": formatdate(usegmt=True)}
        if isinstance(outcome, Stored):
            headers["ETag"] = self.etag.format(outcome.version)
            headers["Last-Modified"] = formatdate(outcome.modified, usegmt=True)
        headers |= self.headers
        kept = {name: value for name, value in headers.items() if value is not None}
        return Answer(answer.status, answer.body, kept)

    def _carry_out(self, order: Order) -> Outcome:
        with self._lock:
            objects = self._buckets.get(order.bucket)
            if objects is None:
                return _NO_BUCKET[self.kind]
            if order.verb == "LOOK":
                return None
            found = objects.get(order.name)
            missing = _NO_OBJECT[self.kind]
            missing = missing._replace(message=missing.message.format(order.bucket, order.name))
            if order.verb == "GET":
                return found or missing
            unmet = None if self.ignores(order) else self._unmet(order, found, missing)
            refusal = unmet or self._too_fast(order)
            if refusal:
                return refusal
            if order.verb == "DELETE":
                objects.pop(order.name, None)
                return None
            self.put(order.bucket, order.name, order.content)
            return objects[order.name]

    def _unmet(self, order: Order, found: Stored | None, missing: Says) -> Says | None:
        """Return the answer to a write whose condition does not hold."""
        if order.expect == ABSENT and found:
            return _EXISTS[self.kind]
        if order.expect and not found:
            return missing if self.kind == "s3" else _UNMET[self.kind]
        if order.expect and found and order.expect != found.version:
            return _UNMET[self.kind]
        return missing if order.verb == "DELETE" and not found and self.kind != "s3" else None

    def _too_fast(self, order: Order) -> Says | None:
        """Return the answer to a change too soon after another, and note the time of this one."""
        place, now = (order.bucket, order.name), time.monotonic()
        if now - self._changed.get(place, now - self.pace) < self.pace:
            return SLOW_DOWN[self.kind]
        self._changed[place] = now
        return None

    def options(self, endpoint: str) -> dict[str, Any]:
        if self.kind == "gcs":
            return {"endpoint_url": endpoint, "token": "anon", "project": "test"}
        if self.kind == "azure":
            secret = "AccountKey=a2V5T2ZUaGVTdHViMDEyMzQ1Njc4OWFiY2RlZg=="
            parts = ["DefaultEndpointsProtocol=http", "AccountName=stub", secret]
            return {"connection_string": f"{';'.join(parts)};BlobEndpoint={endpoint}/stub;"}
        return {
            "endpoint_url": endpoint,
            "key": "KEYIDOFTHESTUB000001",
            "secret": "secretKeyOfTheStub/0123456789abcdefghijk",
            "client_kwargs": {"region_name": "us-east-1"},
        }

    def make_bucket(self, name: str) -> None:
        self._buckets[name] = {}

    def put(self, bucket: str, key: str, content: bytes) -> None:
        number = next(_generations)
        version = {"gcs": str(number), "azure": f"0x{number:X}"}.get(self.kind)
        # On S3 equal contents have equal ETags.
        version = version or hashlib.md5(content, usedforsecurity=False).hexdigest()
        self._buckets[bucket][key] = Stored(content, version, time.time())

    def get(self, bucket: str, key: str) -> bytes | None:
        found = self._buckets[bucket].get(key)
        return found.content if found else None

    def delete(self, bucket: str, key: str) -> None:
        self._buckets[bucket].pop(key, None)

    def keys(self, bucket: str) -> list[str]:
        return sorted(self._buckets[bucket])

    def stop(self) -> None:
        self.heal()
        self._listener.close()
