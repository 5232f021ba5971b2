"""Any fsspec filesystem, and memory, through the calls that all of them have.

fsspec promises no atomic operation, so a conditional write here reads, compares and then writes,
under a lock of this process. That is atomic only for memory, which no other process can see: of
these stores, MemoryStore alone says `atomic = True`.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING, Any

from betfair_session.exceptions import ConfigurationError, StoreError
from betfair_session.process import ForkSafeLock
from betfair_session.process.causes import unless_interrupted
from betfair_session.process.threads import Once, run_until
from betfair_session.secret import SecretBytes

from .contract import ABSENT, ANY, MAX_READ, StoredObject, TokenStore, version_of
from .errors import Operation, attempt, contained, verb_of
from .judging import judge
from .meanings import NO_FILE, Known, Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.process import T

    from .contract import Expect


_HINTS = {
    "no-file": "create it, or correct the setting that names it; if it is the token, is the URL "
    "(or base_url) right, and can its driver list that directory?",
}


class GenericStore(TokenStore):
    """Objects below `root` on an fsspec filesystem; its writes are not atomic between processes."""

    _shared_lock: ForkSafeLock | None = None

    def __init__(
        self,
        filesystem: Any,  # noqa: ANN401 - fsspec is untyped
        root: str,
        *,
        label: str,
        reopen: Callable[[], Any] | None = None,
    ) -> None:
        """Use a filesystem below `root`; `reopen` makes another one, None if the caller made it."""
        self._root = root.rstrip("/")
        self._reopen = reopen
        self.label = label
        self._lock = self._shared_lock or ForkSafeLock()
        arrow = sys.modules.get("fsspec.implementations.arrow")
        in_streams = arrow and isinstance(filesystem, arrow.ArrowFSWrapper)  # also hdfs's
        self._more = {"seekable": True} if in_streams else {}  # or it can read no part of a file
        self._ours = Once(filesystem)  # fsspec's event loop does not survive a fork
        _leave_at_fork(filesystem, self.label)

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read with one `cat_file`; see TokenStore.get."""
        return self._run(lambda: self._read(key), "read", key, deadline)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Compare, then write with one `pipe_file`; atomic in this process only; see TokenStore."""

        def put() -> str:
            with self._lock.mine():
                self._check(key, expect)
                path, filesystem = f"{self._root}/{key}", self._opened()
                directory = path.rpartition("/")[0]
                try:
                    filesystem.pipe_file(path, content)
                except unless_interrupted(Exception) as error:
                    # Drivers have many words for a missing directory, and for a missing file.
                    if judge(error).sent is not Sent.ANSWERED or filesystem.isdir(directory):
                        raise
                    filesystem.makedirs(directory, exist_ok=True)
                    filesystem.pipe_file(path, content)
                return version_of(content)

        return self._run(put, verb_of(expect), key, deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove with `rm_file`, which expands no wildcards; see TokenStore.delete."""

        def delete() -> None:
            with self._lock.mine():
                self._check(key, expect)
                try:
                    self._opened().rm_file(f"{self._root}/{key}")
                except unless_interrupted(Exception) as error:
                    if judge(error).sent is not Sent.ANSWERED or self._read(key):
                        raise

        self._run(delete, "delete", key, deadline)

    def _check(self, key: str, expect: Expect) -> None:
        if expect is not ANY:
            present = self._read(key)
            if (present.version if present else ABSENT) != expect:
                raise self.conflict(key)

    def _read(self, key: str) -> StoredObject | None:
        path = f"{self._root}/{key}"
        # Twice: some drivers, such as fsspec's ftp, call a file missing when the connection broke.
        for again in (True, False):
            filesystem = self._opened()
            try:
                content: bytes = filesystem.cat_file(path, start=0, end=MAX_READ + 1, **self._more)
            except unless_interrupted(OSError) as error:
                if not _tells_missing(error):
                    raise
                if _is_missing(filesystem, path):
                    return None
                if not again:
                    raise
            else:
                content = content[: MAX_READ + 1]  # some drivers ignore the range
                break
        return StoredObject(SecretBytes(content), version_of(content))

    def _run(self, work: Callable[[], T], verb: str, key: str, deadline: float) -> T:
        lock, before = self._lock, self._ours.made()

        def apart() -> T:
            try:
                return contained(work)
            except unless_interrupted(FileNotFoundError) as error:  # another one than the object
                raise Known(f"{type(error).__name__}: {error}", *NO_FILE) from error

        try:
            operation = Operation(verb, self.label, key, _HINTS, single=False)
            return attempt(operation, lambda: run_until(deadline, apart))
        except StoreError as error:
            if error.reason in {"timeout", "unreachable"} and self._lock is lock:
                # An abandoned thread may never release it. From here on its write may overlap with
                # the next one, as a write by another process always may.
                self._lock = self._shared_lock or ForkSafeLock()
                # Some drivers, such as sshfs's, never connect again by themselves. What was opened
                # since this call began may be good.
                if self._reopen and self._ours.made() is before:
                    self._ours.forget()
            raise

    def _opened(self) -> Any:  # noqa: ANN401 - fsspec is untyped
        opening = Operation("reopen" if self._ours.again else "open", self.label, cloud=True)
        filesystem = attempt(opening, lambda: self._ours.get(self._open, deadline=None))
        filesystem.invalidate_cache()  # some drivers read from a cached listing
        return filesystem

    def _open(self) -> Any:  # noqa: ANN401 - fsspec is untyped
        if self._reopen is None:
            raise ConfigurationError(
                f"the filesystem given for {self.label} was made before this process was forked; "
                "make it in the process that uses it, or give a URL instead"
            )
        filesystem = self._reopen()
        _leave_at_fork(filesystem, self.label)
        self._ours.offer(filesystem)  # it may have taken longer than the call that began it
        return filesystem


class MemoryStore(GenericStore):
    """fsspec's memory filesystem: one process, so its lock makes every call atomic."""

    atomic = True
    _shared_lock = ForkSafeLock()  # fsspec keeps one memory for the whole process

    def _run(self, work: Callable[[], T], verb: str, key: str, deadline: float) -> T:
        del deadline  # nothing here waits
        return attempt(Operation(verb, self.label, key), work)


def _tells_missing(error: OSError) -> bool:
    """Return whether an error says "no such file"; smbprotocol's has a class of its own."""
    return isinstance(error, FileNotFoundError) or error.errno == errno.ENOENT


def _is_missing(filesystem: Any, path: str) -> bool:  # noqa: ANN401 - fsspec is untyped
    """Return whether a listing lacks a file: the one of the nearest directory above that is there.

    An error alone may speak of another file that is missing, such as one with the driver's
    credentials. Some drivers list names in lower case.
    """
    directory, _, name = path.rpartition("/")
    if directory.endswith(":/"):  # above a URL's host there is nothing to list
        return False
    try:
        listed: list[str] = filesystem.ls(directory or "/", detail=False)
    except unless_interrupted(OSError) as error:
        if not (directory and _tells_missing(error)):
            raise
        return _is_missing(filesystem, directory)
    names = {each.rstrip("/").rpartition("/")[2].casefold() for each in listed}
    ftp = sys.modules.get("fsspec.implementations.ftp")
    if ftp and isinstance(filesystem, ftp.FTPFileSystem):
        # Its listing lacks all that the server did not list, or listed in the way of Windows.
        filesystem.ftp.dir(f"/{directory.strip('/')}", lambda line: names.add(line.casefold()))
        return not any(f" {each}".endswith(f" {name.casefold()}") for each in names)
    return name.casefold() not in names


def _leave_at_fork(filesystem: Any, label: str) -> None:  # noqa: ANN401 - fsspec is untyped
    """Make forked children leave the connections of an asynchronous driver alone."""
    if getattr(filesystem, "async_impl", False):
        from .loop import loop_of

        loop_of(filesystem, label)
