"""What the cloud stores have in common; a subclass sends single requests.

`_call` opens the driver, opens a new one when credentials have expired, and turns its errors into
ours. Where `probe` is True, `put` tests whether the server keeps the conditions of writes. If it
does not, `atomic` becomes False, and a conditional write reads, compares and then writes.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from betfair_session.arguments import check_driver_options, refuse
from betfair_session.exceptions import ConfigurationError
from betfair_session.process import NamedTuple
from betfair_session.process.log import DEBUG, WARNING, Log
from betfair_session.process.threads import Once
from betfair_session.secret import SecretBytes
from betfair_session.tokens import blank

from .contract import ABSENT, ANY, MAX_READ, StoredObject, TokenStore, seconds_of
from .errors import Operation, attempt, contained, verb_of
from .judging import judge
from .location import LOCK_SUFFIX, redact
from .meanings import Known, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

    from betfair_session.process import T

    from .contract import Expect

_log = Log("betfair_session.storage")

Driver = Any
"""An fsspec filesystem, or another object that sends a store's requests; none is typed."""

MaybeAsync: TypeAlias = "Coroutine[Any, Any, T] | T"
"""The result of a request if the driver blocks, else a coroutine for it."""

CONNECT_SECONDS = 3
"""Time for a driver to connect; when it runs out, nothing was sent."""


def _version(value: object) -> str:
    if value:
        return str(value)
    message = "the answer has no version, so something between here and the store sent it"
    raise Known(message, "server", Sent.MAYBE)


def stored(
    content: bytes | bytearray, version: object, modified: str | datetime | None, now: str | None
) -> StoredObject:
    """Return an answer as a StoredObject; `content` becomes secret here: asyncio logs results."""
    held = SecretBytes(content[: MAX_READ + 1])
    return StoredObject(held, _version(version), seconds_of(modified), seconds_of(now))


class Target(NamedTuple):
    """The object of one call: its `name` in the bucket, the driver to use, and the deadline."""

    driver: Driver
    name: str
    deadline: float


class CloudStore(TokenStore):
    """A store on a driver for a cloud; a subclass sends one request for each operation."""

    atomic = True
    kind: ClassVar[Any] = None  # fsspec's class of filesystems for it, if it uses one
    hints: ClassVar[Mapping[str, str]] = {}
    deletes_versions: bool = True  # whether a delete can have a condition
    single: ClassVar[bool] = False  # whether a caller's filesystem sends a request at most once

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        filesystem: Driver = None,
        root: str | None = None,
    ) -> None:
        """Prepare the store, on the caller's filesystem if one is given; nothing is sent yet."""
        self.label = redact(url)
        self._check_process()
        self._url = url
        self._options = dict(options or {})
        self._theirs = filesystem
        if filesystem is not None and not isinstance(filesystem, self.kind):
            given, wanted = (
                f"{kind.__module__}.{kind.__name__}" for kind in (type(filesystem), self.kind)
            )
            raise ConfigurationError(
                f"{self.label}: {given} is not {wanted}, so it cannot write conditionally; give "
                "the store's URL instead"
            )
        self._bucket, self._prefix = self._place(url if root is None else root)
        if not self._bucket:
            refuse("store", f"{self.label} names no bucket or container")
        if self.kind:
            check_driver_options(self.label, self._options, self.kind)
        # fsspec's filesystems, and everything on an event loop, do not survive a fork.
        self._ours: Once[Driver] = Once()
        self._proven: set[bool] = set()  # what was tried: True for ABSENT, False for versions

    def _check_process(self) -> None:
        """Raise ConfigurationError where the driver cannot work in this process."""

    @abstractmethod
    def _place(self, path: str) -> tuple[str, str]:
        """Split a URL or a filesystem's path into the bucket and the prefix below it."""

    @abstractmethod
    def _open(self) -> Driver:
        """Return the driver, made with the options; this may block."""

    @abstractmethod
    def _read(self, driver: Driver, name: str) -> MaybeAsync[StoredObject]:
        """Read the bucket's object `name`."""

    @abstractmethod
    def _write(
        self, driver: Driver, name: str, expect: Expect, content: bytes
    ) -> MaybeAsync[object]:
        """Write the bucket's object `name` if it is as expected; return the new version."""

    @abstractmethod
    def _delete(self, driver: Driver, name: str, expect: Expect) -> MaybeAsync[None]:
        """Delete the bucket's object `name` if it is as expected."""

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read one object; see TokenStore.get."""
        return self._call("read", key, self._look, deadline)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write in one request, conditional unless ANY is expected; see TokenStore.put."""
        lock = key.endswith(LOCK_SUFFIX)

        def work(target: Target) -> str:
            if expect is ANY:
                return self._write_once(target, content, ANY)
            if not self.atomic:  # two writers that meet may both succeed
                self._check_unchanged(target, expect)
                return self._write_once(target, content, ANY)
            version = self._write_if(target, content, expect)
            if lock and self.probe and (expect is ABSENT) not in self._proven:
                return self._probe_write(target, content, expect, version)
            return version

        return self._call(verb_of(expect), key, work, deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove the object, or overwrite it with a blank; see TokenStore.delete."""
        if expect is not ANY and not self.deletes_versions:
            self.put(key, blank(), expect, deadline=deadline)
            return

        def work(target: Target) -> None:
            try:
                self._request(target, self._delete, expect)
            except Exception as error:
                if expect is not ANY or judge(error, cloud=True).reason != "missing":
                    raise

        verb = "delete" if expect is ANY else "delete if unchanged"
        self._call(verb, key, work, deadline)

    def _look(self, target: Target) -> StoredObject | None:
        """Read the object; try once more when our connection broke."""
        # A server closes idle connections, which shows only when one is used again. A filesystem
        # that the caller made repeats the request by itself.
        again = self._theirs is None
        while True:
            try:
                return self._request(target, self._read)
            except Exception as error:
                judged = judge(error, cloud=True)
                if judged.reason == "missing":
                    return None
                if not (again and judged.dropped):
                    raise
                again = False

    def _write_once(self, target: Target, content: bytes, expect: Expect) -> str:
        return _version(self._request(target, self._write, expect, content))

    def _check_unchanged(self, target: Target, expect: Expect) -> None:
        """Raise a conflict unless the object is as expected now."""
        found = self._look(target)
        if (found.version if found else ABSENT) != expect:
            raise Known("another write was first", "conflict", Sent.ANSWERED)

    def _write_if(self, target: Target, content: bytes, expect: Expect) -> str:
        """Write on a condition; stop using conditions on a server that refuses them.

        A 412 may also mean that the condition does not hold. So a server supports none if it
        refuses twice while the condition holds.
        """
        for _ in range(2):
            try:
                return self._write_once(target, content, expect)
            except Exception as error:
                judged = judge(error, cloud=True)
                tried = (expect is ABSENT) in self._proven
                doubted = not tried and (self.probe or not self.atomic)  # `_send` may set these
                refused = doubted and judged.may_know_no_conditions
                # After a 409 or 412 without a known code, read whether the condition holds.
                if not (refused or judged.reason == "doubtful"):
                    raise
                failed = error.with_traceback(None)  # or it would hold this frame, and the driver
            self._check_unchanged(target, expect)
            if not refused:
                raise failed  # the condition holds, so the server refused for another reason
        version = self._write_once(target, content, ANY)
        self._distrust(f"answers {judged.status} {judged.code}".strip() + " to them")
        return version

    def _probe_write(self, target: Target, content: bytes, expect: Expect, version: str) -> str:
        """Repeat a lock's write, which must now fail, and read back what was written."""
        if version == expect:  # the same content, by which S3 names versions: it would not fail
            return version
        ignored = False
        try:
            try:
                version = self._write_once(target, content, expect)
                ignored = True
            except Exception as error:
                if judge(error, cloud=True).reason != "conflict":
                    raise
            found = self._look(target)
        except Exception as error:  # noqa: BLE001 - the write succeeded; the next one is probed
            told = judge(error, cloud=True).detail
            _log.tell(DEBUG, "%s: conditional writes not tested: %s", self.label, told)
            return version
        if found is not None and found.version == version and found.content != content:
            message = (
                "the server stored other content than was written, most likely with a checksum "
                "frame around it; set the storage option "
                "config_kwargs={'request_checksum_calculation': 'when_required'}"
            )
            raise Known(message, "configuration", Sent.MAYBE)
        self._proven.add(expect is ABSENT)  # some keep that condition and not the other
        self.probe = len(self._proven) < 2  # noqa: PLR2004 - the two
        if ignored:
            self._distrust("ignores them")
        return version

    def _distrust(self, why: str) -> None:
        self.atomic = self.probe = False
        _log.tell(
            WARNING,
            "%s does not honour conditional writes (it %s), so each process logs in by itself; "
            "see backends.md for stores that share one login",
            self.label,
            why,
        )

    def _call(self, verb: str, key: str, work: Callable[[Target], T], deadline: float) -> T:
        """Do one operation until `deadline`, which includes opening the driver."""
        driver = self._driver(deadline) if self._theirs is None else self._theirs
        name = f"{self._prefix}/{key}" if self._prefix else key

        def work_again() -> T:
            try:
                return work(Target(driver, name, deadline))
            except Exception as error:
                judged = judge(error, cloud=True)
                if self._theirs is not None or not judged.rejects_credentials:
                    raise
                # Drivers read a key file only once, and tools rewrite it while the program runs.
                self._ours.forget(driver)
                if not judged.status:  # a search for credentials may take the rest of the time
                    raise
            return work(Target(self._driver(deadline), name, deadline))

        single = self.single or self._theirs is None
        operation = Operation(verb, self.label, key, self.hints, single, cloud=True)
        try:
            return attempt(operation, work_again)
        finally:
            driver = None  # an error holds this frame for as long as it is kept itself

    @abstractmethod
    def _request(self, target: Target, send: Callable[..., MaybeAsync[T]], *given: object) -> T:
        """Send one request by `_read`, `_write` or `_delete`, until the target's deadline."""

    def close(self) -> None:
        """Close the connections that this store opened; the next call opens new ones."""
        self._ours.forget()

    def _driver(self, deadline: float) -> Driver:
        """Return our own driver, which each process opens once."""
        # What is wrong with a setting that was right before may pass: a tool rewrites its file.
        verb = "reopen" if self._ours.again else "open"
        operation = Operation(verb, self.label, hints=self.hints, cloud=True)
        make = partial(contained, self._open)
        return attempt(operation, lambda: self._ours.get(make, deadline=deadline))
