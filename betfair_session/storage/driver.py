"""What the object stores have in common: opening, bounding, translating and closing a driver."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from betfair_session.exceptions import ConfigurationError

from .contract import StoredObject, TokenStore
from .errors import Operation, attempt
from .location import redact
from .once import Once
from .verdict import Unmet, dropped, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from datetime import datetime

T = TypeVar("T")

Driver = Any
"""An fsspec filesystem or what else a store sends its requests with; none of them is typed."""

Soon: TypeAlias = "Coroutine[Any, Any, T] | T"
"""A result, from a driver that blocks, or a coroutine for it."""

CONNECT_TIMEOUT = 3
"""Seconds to connect, where a driver can be told: then it knows that nothing was sent."""


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


class DriverStore(TokenStore):
    """A store on a driver that speaks to a cloud.

    A subclass says how to open its driver and how to do each thing with it in one request; an
    object that is not there is an error to it, which this class turns into an answer.
    """

    atomic = True
    module: ClassVar[str]
    filesystem: ClassVar[str] = ""
    extra: ClassVar[str]
    hints: ClassVar[Mapping[str, str]] = {}
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

        Args:
            url: the store as the caller wrote it, such as "s3://bucket/prefix/".
            options: fsspec's storage options; retries and time-outs among them are ours.
            filesystem: the caller's own fsspec filesystem, used as it is instead of `options`.
            root: the store's path on `filesystem`.

        Raises:
            ConfigurationError: the driver is not installed, or the URL names no bucket.
        """
        self.label = redact(url)
        self._url = url
        self._options = dict(options or {})
        self._theirs = filesystem
        try:
            self._module = import_module(self.module)
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
        self._processes: dict[int, Once[Driver]] = {}

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
    def _read(self, driver: Driver, name: str, timeout: float) -> Soon[StoredObject]:
        """Read the bucket's object `name`."""

    @abstractmethod
    def _write(
        self,
        driver: Driver,
        name: str,
        content: bytes,
        timeout: float,
        *,
        absent: bool,
        version: str | None,
    ) -> Soon[str]:
        """Write the bucket's object `name`, if it is `absent` or has `version`; return the new."""

    @abstractmethod
    def _delete(self, driver: Driver, name: str, timeout: float) -> Soon[None]:
        """Delete the bucket's object `name`."""

    def read(self, key: str, *, timeout: float) -> StoredObject | None:
        """Read one object; see TokenStore.read."""

        def work(driver: Driver, name: str, deadline: float) -> StoredObject | None:
            # A server closes idle connections, which shows only when one is used again. A caller's
            # driver sees to that by itself.
            again = self._theirs is None
            while True:
                try:
                    return self._run(driver, deadline, lambda left: self._read(driver, name, left))
                except Exception as error:  # noqa: PERF203 - it loops at most once
                    if judge(error, cloud=True).reason == "missing":
                        return None
                    if not (again and dropped(error)):
                        raise
                    again = False

        return self._call("read", key, work, timeout)

    def create(self, key: str, content: bytes, *, timeout: float) -> str:
        """Write an object that must not exist: a conditional request; see TokenStore.create."""
        return self._put("create", key, content, timeout, absent=True)

    def replace_if_version(self, key: str, content: bytes, version: str, *, timeout: float) -> str:
        """Overwrite an object that still has `version`: a conditional request; see TokenStore."""
        return self._put("replace if unchanged", key, content, timeout, version=version)

    def replace(self, key: str, content: bytes, *, timeout: float) -> str:
        """Write an object whatever is there, in one request; see TokenStore.replace."""
        return self._put("replace", key, content, timeout)

    def delete(self, key: str, *, timeout: float) -> None:
        """Remove exactly this object; see TokenStore.delete."""

        def work(driver: Driver, name: str, deadline: float) -> None:
            try:
                self._run(driver, deadline, lambda left: self._delete(driver, name, left))
            except Exception as error:
                if judge(error, cloud=True).reason != "missing":
                    raise

        self._call("delete", key, work, timeout)

    def _put(
        self,
        verb: str,
        key: str,
        content: bytes,
        timeout: float,
        *,
        absent: bool = False,
        version: str | None = None,
    ) -> str:
        def work(driver: Driver, name: str, deadline: float) -> str:
            def write(left: float) -> Soon[str]:
                return self._write(driver, name, content, left, absent=absent, version=version)

            try:
                return self._run(driver, deadline, write)
            except Exception as error:
                unconditional = not absent and version is None
                if unconditional or judge(error, cloud=True).reason != "doubtful":
                    raise
                refusal = error
            # Outside, so that no error of the look has the driver's as its context.
            if self._changed(key, version, deadline):
                raise Unmet(str(refusal))
            raise refusal

        return self._call(verb, key, work, timeout)

    def _changed(self, key: str, version: str | None, deadline: float) -> bool:
        """Look whether an object is not what a write's condition says: present, or not `version`.

        The store refused that write, in words that are not known to be about the condition.
        """
        found = self.read(key, timeout=deadline - time.monotonic())
        return (found and found.version) != version

    def _call(
        self, verb: str, key: str, work: Callable[[Driver, str, float], T], timeout: float
    ) -> T:
        """Do one thing within `timeout` seconds, opening the driver included."""
        deadline = time.monotonic() + timeout
        driver = self._driver(timeout) if self._theirs is None else self._theirs
        name = f"{self._prefix}/{key}" if self._prefix else key
        single = self.single or self._theirs is None
        operation = Operation(verb, self.label, key, self.hints, single, cloud=True)
        return attempt(lambda: work(driver, name, deadline), operation)

    @abstractmethod
    def _run(self, driver: Driver, deadline: float, send: Callable[[float], Soon[T]]) -> T:
        """Send one request, until `deadline`; `send` takes the seconds that are left."""

    def _driver(self, timeout: float) -> Driver:
        """Return our own driver, opened once in each process."""
        # fsspec's filesystems, and all that hangs on an event loop, do not survive a fork.
        once = self._processes.setdefault(os.getpid(), Once())
        operation = Operation("open", self.label, hints=self.hints, cloud=True)
        return attempt(lambda: once.get(self._open, timeout=timeout), operation)
