"""Local files, without fsspec.

A conditional write is atomic, without a lock that a dead or frozen process could keep. A writer

1. writes the new content to a temporary file of its own,
2. removes ("fences") the temporary files of all other writers of the same key,
3. compares the present content, or that there is none, with what is expected,
4. renames its temporary file into place. If another writer fenced it, that fails: back to 1.

Of two writers that expect the same only one succeeds. If the other renamed before our step
2, step 3 sees its content; if not, step 2 removed its file, and its rename fails. So we also stop a
writer that froze between 3 and 4, and remove what a killed one left. Nothing here needs POSIX. (The
directory lock, where there is one, only keeps running processes from fencing each other forever.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from functools import partial
from itertools import count

from betfair_session.arguments import check_options, checked_flag
from betfair_session.exceptions import ConfigurationError, StoreUnavailable, StoreWriteError
from betfair_session.process.causes import unless_interrupted
from betfair_session.process.log import WARNING, Log
from betfair_session.process.threads import Lane, OutOfTime
from betfair_session.secret import SecretBytes

from . import local_files as files
from .contract import ABSENT, ANY, MAX_READ, StoredObject, TokenStore, version_of
from .errors import Operation, attempt, verb_of
from .location import LOCK_SUFFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from betfair_session.exceptions import StoreError
    from betfair_session.process import T

    from .contract import Expect

_log = Log("betfair_session.storage")

_GRACE_SECONDS = 0.5  # a write that does not hang ends by itself with a better error
_GO_FILE = ".attrs"  # Go's side file for each object
_OPTIONS = ("allow_world_writable", "auto_mkdir")  # the latter is fsspec's: we always do
_HINTS = {
    "forbidden": "let the user that runs this read and write the directory and its files",
    "other": "the store must be a directory on a mount that can rename files, and the key the name "
    "of a file in it",
    "timeout": "does its mount hang? Mount it again, or allow more time",
}


class LocalStore(TokenStore):
    """A directory of files; conditional writes are atomic between processes.

    New files have mode 0600, new directories 0700. A symbolic link is followed: its target is
    replaced, not the link. A file that every user may write is refused, since anyone could have put
    the token there. The option `allow_world_writable` accepts it, for mounts that cannot do better.
    """

    atomic = True
    on_this_machine = True

    def __init__(self, root: str, options: Mapping[str, Any] | None = None) -> None:
        """Keep objects in files below the directory `root`."""
        options = options or {}
        check_options("a local store", options, _OPTIONS)
        name = "allow_world_writable"
        allowed = checked_flag(options.get(name, False), name)
        self.label = _absolute(root)
        self._near = "token"  # the key read last: `server_now` makes its file beside it
        watched = os.name == "posix" and not allowed
        self._foreign_rights = stat.S_IROTH | stat.S_IWOTH if watched else 0
        self._warned: set[str] = set()
        self._lane = Lane()
        self._on_disk: dict[str, bool] = {}  # by key: is its file on a disk that cannot hang

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Open the file once and read it; see TokenStore.get."""
        return self._attempt("read", key, deadline, self._read, key)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Rename a finished temporary file into place; see the module and TokenStore.put."""
        version = version_of(content)

        def work() -> str:
            if expect == version:
                # Another user's file may be replaced, but not given another time.
                with contextlib.suppress(PermissionError):
                    self._compare(key, self._path(key), expect, renew=True)
                    return version
            if key.endswith(LOCK_SUFFIX):  # a login may follow, whose token has to be stored
                self._check_replaceable(key.removesuffix(LOCK_SUFFIX))
            try:
                self._write(key, content, expect, deadline)
            except OSError as error:
                if isinstance(error, PermissionError) or error.errno == errno.EBUSY:
                    self._check_replaceable(key)  # its message says more
                raise
            return version

        return self._attempt(verb_of(expect), key, deadline + _GRACE_SECONDS, work)

    def _write(self, key: str, content: bytes, expect: Expect, deadline: float) -> None:
        """Write a temporary file, fence other writers, compare, and rename it into place."""
        path = self._path(key)
        directory = os.path.dirname(path)
        files.make_directory(directory)
        check = partial(self._check_rights, path, kind=StoreWriteError)
        with files.directory_lock(directory, deadline):
            for tries in count():
                temporary = files.write_temporary(path, content, check)
                try:
                    files.fence(path, but=temporary)
                    self._compare(key, path, expect)
                    if time.monotonic() >= deadline:  # one that hung must not appear after all
                        raise OutOfTime
                    os.replace(temporary, path)
                except unless_interrupted(FileNotFoundError):
                    # Another writer fenced us; with equal waits a crowd might go on for ever.
                    left = max(deadline - time.monotonic(), 0)
                    files.sleep_up_to(min(0.02 * 2 ** min(tries, 6), left))
                else:
                    return
                finally:
                    files.remove(temporary)

    def _compare(self, key: str, path: str, expect: Expect, *, renew: bool = False) -> None:
        """Raise VersionConflict unless the file at the resolved `path` is as expected.

        `renew` also sets its time to now, without writing: another writer's content stays intact.
        """
        if expect is ABSENT:
            try:
                os.lstat(path)  # it may be no file that can be read
            except unless_interrupted(FileNotFoundError):  # any other error proves nothing
                return
            raise self.conflict(key)
        if isinstance(expect, str):
            found = self._read(key, path, expect if renew else "")
            if found is None or found.version != expect:
                raise self.conflict(key)

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove the file and its writers' temporary files; see TokenStore.delete."""

        def work() -> None:
            path = self._path(key)
            try:
                with files.directory_lock(os.path.dirname(path), deadline):
                    files.fence(path)
                    self._compare(key, path, expect)
                    os.unlink(path)
            except FileNotFoundError as error:
                if not files.tells_missing(error, self.label):
                    raise
                if expect is not ANY:
                    raise self.conflict(key) from None

        self._attempt("delete", key, deadline, work)

    def server_now(self, *, deadline: float) -> float | None:
        """Return the time of a new file: on a network mount that is the server's time."""

        def work() -> float | None:
            try:
                return files.time_of_a_new_file(os.path.dirname(self._path(self._near)))
            except unless_interrupted(OSError):
                return None

        return self._attempt("read", self._near, deadline, work)

    def _attempt(
        self,
        verb: str,
        key: str,
        deadline: float,
        work: Callable[..., T],
        *given: str,
    ) -> T:
        """Do `work` here if the file is on a disk, else in a thread that can be abandoned."""
        operation = Operation(verb, self.label, key, _HINTS)
        if self._on_disk.get(key):
            return attempt(operation, work, *given)

        def apart() -> T:
            done = files.retry_on_windows(partial(work, *given), deadline)
            if key not in self._on_disk:
                self._on_disk[key] = files.is_on_disk(os.path.dirname(self._path(key)))
            return done

        return attempt(operation, lambda: self._lane.run(deadline, apart))

    def _path(self, key: str) -> str:
        if key.removesuffix(LOCK_SUFFIX).endswith(_GO_FILE):
            message = f"the key {key!r} ends with {_GO_FILE!r}, reserved for the Go library's files"
            raise ConfigurationError(message)
        token = os.path.join(self.label, *key.removesuffix(LOCK_SUFFIX).split("/"))
        if _is_planted(token):
            message = f"{token} is a link that another user made: remove it, or make it anew"
            raise StoreUnavailable(message, store=self.label, key=key, reason="forbidden")
        # The lock is beside the file that a link leads to, so that all links to it share one.
        return os.path.realpath(token) + (LOCK_SUFFIX if key.endswith(LOCK_SUFFIX) else "")

    def _read(self, key: str, path: str = "", renew: str = "") -> StoredObject | None:
        try:
            path = path or self._path(key)
            with open(path, "rb", opener=_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                if status.st_mode & self._foreign_rights:
                    self._check_rights(path, status)
                content = file.read(MAX_READ + 1)
                self._near, version = key, version_of(content)
                if version == renew:
                    # Windows needs the path, which is safe: an open file cannot be replaced there.
                    os.utime(file.fileno() if os.utime in os.supports_fd else path)
        except FileNotFoundError as error:
            if not files.tells_missing(error, self.label):
                raise
            return None
        return StoredObject(SecretBytes(content), version, status.st_mtime)

    def _check_rights(
        self, path: str, status: os.stat_result, kind: type[StoreError] = StoreUnavailable
    ) -> None:
        """Refuse a file that every user may write; warn about one that every user may read."""
        rights = status.st_mode & self._foreign_rights
        if rights & stat.S_IWOTH:
            message = (
                f"{path} can be written by every user of this machine, so a token there cannot be "
                "trusted: chmod 600 it, or set the storage option allow_world_writable if only "
                "trusted users reach the mount (WSL, CIFS, Kubernetes)"
            )
            raise kind(message, store=self.label, reason="forbidden")
        if rights and path not in self._warned:
            self._warned.add(path)
            _log.tell(WARNING, "%s can be read by every user of this machine; chmod 600 it", path)

    def _check_replaceable(self, key: str) -> None:
        """Raise StoreWriteError if it is already clear that the object cannot be replaced."""
        path = self._path(key)
        found = files.obstacle(path)
        if found:
            message = f"{key!r} in {self.label} cannot be replaced: {path} {found[1]}"
            raise StoreWriteError(message, store=self.label, key=key, reason=found[0]) from None


def _is_planted(path: str) -> bool:
    """Return whether this is a link of a user who is not root, this one or the directory's owner.

    The kernel's own rule (protected_symlinks) does not hold for a path that `realpath` resolved.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        found = os.lstat(path)
        if os.name == "posix" and stat.S_ISLNK(found.st_mode):
            home = os.stat(os.path.dirname(path)).st_uid
            return found.st_uid not in {0, os.geteuid(), home}
    return False


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a named pipe waits for a writer


def _absolute(path: str) -> str:
    """Return an absolute path, which stays the same when the working directory changes."""
    expanded = os.path.expanduser(path)
    try:
        if not expanded.startswith("~"):
            return os.path.abspath(expanded)
        unknown = "home"
    except FileNotFoundError:
        unknown = "working"
    message = f"the store {path!r}: the {unknown} directory is not known; give an absolute path"
    raise ConfigurationError(message)
