"""What the clouds' stores have in common: opening, bounding, translating and closing a driver."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from betfair_session.exceptions import ConfigurationError
from betfair_session.process.threads import Once
from betfair_session.tokens import blank

from .conditional import ConditionalWrite
from .contract import ANY, StoredObject, TokenStore
from .errors import Operation, attempt, verb_of
from .judging import NoCredentials, credentials_rejected, dropped, judge
from .location import LOCK_SUFFIX, check_driver_options, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

    from .contract import Expect

T = TypeVar("T")

Driver = Any
"""An fsspec filesystem or what else a store sends its requests with; none of them is typed."""

Soon: TypeAlias = "Coroutine[Any, Any, T] | T"
"""A result, from a driver that blocks, or a coroutine for it."""

_SEARCH_SECONDS = 3.0
"""After which a search for credentials has certainly asked what is near."""

CONNECT_SECONDS = 3
"""To connect, where a driver can be told: then it knows that nothing was sent."""


def seconds_of(date: str | datetime | None) -> float | None:
    """Return a header's date in seconds since the epoch; None where it is missing or none.

    Something between here and the store may leave it out, or write it in its own way.
    """
    if isinstance(date, str):
        from email.utils import parsedate_to_datetime

        try:
            date = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            return None
    return date.timestamp() if date else None


class CloudStore(TokenStore):
    """A store on a driver that speaks to a cloud.

    A subclass says how to open its driver and how to do each thing with it in one request; an
    object that is not there is an error to it, which this class turns into an answer.
    """

    atomic = True
    module: ClassVar[str]
    filesystem: ClassVar[str] = ""
    extra: ClassVar[str]
    hints: ClassVar[Mapping[str, str]] = {}
    # Whether an object can be deleted on the condition that it still has a version.
    deletes_versions: bool = True
    # Whether the driver of a caller's filesystem sends a request at most once.
    single: ClassVar[bool] = False

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        filesystem: Driver = None,
        root: str | None = None,
    ) -> None:
        """Prepare the store; nothing is sent before the first call.

        With a caller's own fsspec filesystem, and the store's root on it, that is used as it is;
        otherwise retries and time-outs among the options are ours.
        """
        self.label = redact(url)
        self._check_process()
        self._url = url
        self._options = dict(options or {})
        self._theirs = filesystem
        try:
            self._module = self._import()
        except ImportError as error:
            message = (
                f"{self.label} needs {error.name or self.module}: "
                f'pip install "betfair-session[{self.extra}]"'
            )
            raise ConfigurationError(message) from error
        if filesystem is not None and not isinstance(filesystem, self._kind):
            given = f"{type(filesystem).__module__}.{type(filesystem).__name__}"
            message = (
                f"{self.label}: {given} is no {self.module}.{self.filesystem} and cannot be told "
                "to write on a condition; give the store's URL instead"
            )
            raise ConfigurationError(message)
        self._bucket, self._prefix = self._place(url if root is None else root)
        if not self._bucket:
            message = f"{self.label} names no bucket or container"
            raise ConfigurationError(message)
        if self.filesystem:
            check_driver_options(self.label, self._options, self._kind)
        # fsspec's filesystems, and all that hangs on an event loop, do not survive a fork.
        self._ours: Once[Driver] = Once()

    def _check_process(self) -> None:
        """Refuse a process in which the driver cannot work; none by default."""

    @staticmethod
    @abstractmethod
    def _import() -> Any:  # noqa: ANN401 - a module
        """Import `module`, by a statement: what packs programs looks for those."""

    @property
    def _kind(self) -> Any:  # noqa: ANN401 - the drivers are untyped
        """The class of the driver's filesystems."""
        return getattr(self._module, self.filesystem)

    @abstractmethod
    def _place(self, path: str) -> tuple[str, str]:
        """Split a URL or a filesystem's path into the bucket and the prefix below it."""

    @abstractmethod
    def _open(self) -> Driver:
        """Open the driver by the options; it may block."""

    @abstractmethod
    def _read(self, driver: Driver, name: str, left: float) -> Soon[StoredObject]:
        """Read the bucket's object `name` within `left` seconds."""

    @abstractmethod
    def _write(
        self, driver: Driver, name: str, content: bytes, left: float, expect: Expect
    ) -> Soon[str]:
        """Write the bucket's object `name`, if it is as expected; return the new version."""

    @abstractmethod
    def _delete(self, driver: Driver, name: str, left: float, expect: Expect) -> Soon[None]:
        """Delete the bucket's object `name`, if it is as expected."""

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read one object; see TokenStore.get."""
        return self._call("read", key, self._look, deadline)

    def _look(self, driver: Driver, name: str, deadline: float) -> StoredObject | None:
        # A server closes idle connections, which shows only when one is used again. A caller's
        # driver sees to that by itself.
        again = self._theirs is None
        while True:
            try:
                return self._run(deadline, lambda left: self._read(driver, name, left))
            except Exception as error:
                if judge(error, cloud=True).reason == "missing":
                    return None
                if not (again and dropped(error)):
                    raise
                again = False

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write in one request, conditional unless ANY is expected; see TokenStore.put."""

        def work(driver: Driver, name: str, deadline: float) -> str:
            def write(expect: Expect) -> str:
                return self._run(
                    deadline, lambda left: self._write(driver, name, content, left, expect)
                )

            if expect is ANY:
                return write(ANY)

            def look() -> StoredObject | None:
                return self._look(driver, name, deadline)

            conditional = ConditionalWrite(self, write, look, content, expect)
            return conditional.send(lock=key.endswith(LOCK_SUFFIX))

        return self._call(verb_of(expect), key, work, deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove exactly this object; see TokenStore.delete."""
        if expect is not ANY and not self.deletes_versions:
            self.put(key, blank(), expect, deadline=deadline)
            return

        def work(driver: Driver, name: str, deadline: float) -> None:
            try:
                self._run(deadline, lambda left: self._delete(driver, name, left, expect))
            except Exception as error:
                if expect is not ANY or judge(error, cloud=True).reason != "missing":
                    raise

        verb = "delete" if expect is ANY else "delete if unchanged"
        self._call(verb, key, work, deadline)

    def _call(
        self, verb: str, key: str, work: Callable[[Driver, str, float], T], deadline: float
    ) -> T:
        """Do one thing until `deadline`, opening the driver included."""
        began = time.monotonic()
        driver = self._driver(deadline) if self._theirs is None else self._theirs
        name = f"{self._prefix}/{key}" if self._prefix else key

        def work_again() -> T:
            try:
                return work(driver, name, deadline)
            except Exception as error:
                if self._theirs is not None or not credentials_rejected(error):
                    raise
            # Drivers read key files once; tools rewrite them while the program runs.
            self._renew(driver)
            return work(self._driver(deadline), name, deadline)

        single = self.single or self._theirs is None
        operation = Operation(verb, self.label, key, self.hints, single, cloud=True)
        return attempt(lambda: self._search(work_again, driver, deadline - began), operation)

    def _renew(self, driver: Driver) -> Driver:
        """Have our driver opened anew by the next call; return one that is used no more."""
        return self._ours.renew(driver)

    @abstractmethod
    def _run(self, deadline: float, send: Callable[[float], Soon[T]]) -> T:
        """Send one request, until `deadline`; `send` takes the seconds that are left."""

    def _driver(self, deadline: float) -> Driver:
        """Return our own driver, opened once in each process."""
        seconds = deadline - time.monotonic()
        operation = Operation("open", self.label, hints=self.hints, cloud=True)

        def open_in_time() -> Driver:
            return self._ours.get(self._open, deadline=deadline)

        return attempt(lambda: self._search(open_in_time, None, seconds), operation)

    def _search(self, work: Callable[[], T], driver: Driver | None, seconds: float) -> T:
        """Do `work`; when its time ends while credentials are looked for, say that there are none.

        Drivers ask a metadata server last, and where there is none, packets to it may be swallowed.
        """
        try:
            return work()
        except Exception as error:
            late = seconds >= _SEARCH_SECONDS and judge(error, cloud=True).reason == "timeout"
            lacking = self._lacking(driver) if late and self._theirs is None else ""
            if not lacking:
                raise
        raise NoCredentials(lacking)

    def _lacking(self, driver: Driver | None) -> str:  # noqa: ARG002 - for those that can tell
        """Tell where no credentials are, if the driver (None: while it opens) looks for some."""
        return ""
