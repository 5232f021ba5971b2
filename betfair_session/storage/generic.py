"""Any fsspec filesystem, and memory, through the calls that all of them have.

fsspec promises no atomic operation, so a conditional write here reads, compares and then writes,
under a lock of this process. That is atomic only for memory, which no other process can see: of
these stores, MemoryStore alone says `atomic = True`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
from functools import partial
from posixpath import normpath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from betfair_session.exceptions import ConfigurationError, StoreError
from betfair_session.process import ForkSafeLock
from betfair_session.process.causes import interruption
from betfair_session.process.threads import Once, run_until
from betfair_session.secret import SecretBytes

from .contract import ABSENT, ANY, MAX_READ, StoredObject, TokenStore
from .errors import Operation, attempt, contained, verb_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.process import T

    from .contract import Expect


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
        self._ours = Once(filesystem)  # fsspec's event loop does not survive a fork
        _leave_at_fork(filesystem)

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
                except Exception as error:
                    # Under any name: some drivers write a temporary file first, and rename it.
                    if not _is_missing(error, None, lambda: not filesystem.isdir(directory)):
                        raise
                    try:
                        filesystem.makedirs(directory, exist_ok=True)
                        filesystem.pipe_file(path, content)
                    except Exception as again:
                        _is_missing(again, path)  # raises if it is a file that the driver needs
                        raise
                return _version(content)

        return self._run(put, verb_of(expect), key, deadline)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove with `rm_file`, which expands no wildcards; see TokenStore.delete."""

        def delete() -> None:
            with self._lock.mine():
                self._check(key, expect)
                path = f"{self._root}/{key}"
                try:
                    self._opened().rm_file(path)
                except Exception as error:
                    if not _is_missing(error, path, lambda: self._read(key) is None):
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
        for _ in range(2):
            filesystem = self._opened()
            filesystem.invalidate_cache()  # some drivers read from a cached listing
            try:
                content: bytes = filesystem.cat_file(path, start=0, end=MAX_READ + 1)
            except OSError as error:
                if not _is_missing(error, path):
                    raise
            else:
                content = content[: MAX_READ + 1]  # some drivers ignore the range
                return StoredObject(SecretBytes(content), _version(content))
        return None

    def _run(self, work: Callable[[], T], verb: str, key: str, deadline: float) -> T:
        lock = self._lock
        try:
            operation = Operation(verb, self.label, key, single=False)
            return attempt(operation, lambda: run_until(deadline, partial(contained, work)))
        except StoreError as error:
            if error.reason in {"timeout", "unreachable"} and self._lock is lock:
                # An abandoned thread may never release it. From here on its write may overlap with
                # the next one, as a write by another process always may.
                self._lock = self._shared_lock or ForkSafeLock()
                if self._reopen:  # some drivers, such as sshfs's, never connect again by themselves
                    self._ours.forget()
            raise

    def _opened(self) -> Any:  # noqa: ANN401 - fsspec is untyped
        # An operation of its own: a missing key file is not a missing object.
        opening = Operation("reopen" if self._ours.again else "open", self.label, cloud=True)
        return attempt(opening, lambda: self._ours.get(self._open, deadline=None))

    def _open(self) -> Any:  # noqa: ANN401 - fsspec is untyped
        if self._reopen is None:
            raise ConfigurationError(
                f"the filesystem given for {self.label} was made before this process was forked; "
                "make it in the process that uses it, or give a URL instead"
            )
        filesystem = self._reopen()
        _leave_at_fork(filesystem)
        return filesystem


class MemoryStore(GenericStore):
    """fsspec's memory filesystem: one process, so its lock makes every call atomic."""

    atomic = True
    _shared_lock = ForkSafeLock()  # fsspec keeps one memory for the whole process

    def _run(self, work: Callable[[], T], verb: str, key: str, deadline: float) -> T:
        del deadline  # nothing here waits
        return attempt(Operation(verb, self.label, key), work)


def _is_missing(
    error: Exception, path: str | None, look: Callable[[], bool] = lambda: False
) -> bool:
    """Return whether an error says "no such file", or is a refusal and `look` finds no such file.

    smbprotocol's error for it is of a class of its own, and ftplib's is that of other refusals.
    A missing file that is neither at `path`, if that is given, nor above it is one that the driver
    needs.
    """
    from .judging import judge
    from .meanings import NO_FILE, Known, Sent, clean

    if interruption(error):  # fsspec's memory is asked in the caller's own thread
        return False
    if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.ENOENT:
        name = getattr(error, "filename", None)
        if path and isinstance(name, str) and not _leads_to(name, path):
            raise Known(f"{type(error).__name__}: {clean(error)}", *NO_FILE) from error
        return True
    return judge(error).sent is Sent.ANSWERED and look()


def _leads_to(name: str, path: str) -> bool:
    """Return whether a driver's name for a file may mean `path` or a directory above it.

    It may lack the first parts of the path, or have others in their place: a host, or a root of the
    driver's own. So only the last two are compared, or one if there are no more.
    """
    parts = _parts(path)
    mine = [parts[:end] for end in range(1, len(parts) + 1)]
    for named in (_parts(name), _parts(unquote(name))):
        counts = [(min(2, len(named), len(each)), each) for each in mine]
        if not named or any(named[-count:] == each[-count:] for count, each in counts):
            return True
    return False


def _parts(path: str) -> list[str]:
    """Return a path's parts, or those of a URL after its host; some drivers lower their case.

    Without "." and "..", in whose place an absolute path has other parts.
    """
    path = normpath(re.sub(r"^[^/]+://[^/]*", "", path.replace("\\", "/")))
    return [part for part in path.casefold().split("/") if part not in {"", ".", ".."}]


def _leave_at_fork(filesystem: Any) -> None:  # noqa: ANN401 - fsspec is untyped
    if not getattr(filesystem, "async_impl", False):
        return
    from .loop import leave_at_fork

    with contextlib.suppress(RuntimeError):  # the filesystem was made before a fork
        if filesystem.loop is not None:
            leave_at_fork(filesystem.loop)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
