"""The steps of a write to a local file: directories, temporary files, fencing, renaming, locks."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from betfair_session.process.causes import interruption, quietly, unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.process import T

_LOCK_PATIENCE_SECONDS = 1.0  # a frozen process may hold the directory lock for ever
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Go's fileblob skips names that end in .attrs, its own side files, when it lists a directory; with
# any other name it would fail when a temporary file disappears meanwhile.
_TEMPORARY = r"[0-9a-f]{16}\.attrs"

_OBSTACLES = {
    errno.EROFS: ("read-only", "is on a read-only mount: use a place that can be written"),
    errno.EACCES: ("forbidden", "is in a directory that this user cannot write: change its mode"),
    errno.EPERM: ("read-only", "or its directory is immutable or append-only (chattr -i -a)"),
}
_STICKY = (
    "forbidden",
    "belongs to another user, in a sticky directory: change its owner, or use another directory",
)
_MOUNTED = ("read-only", "is a mount of its own: mount the directory that holds it, not the file")

_DISKS = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "overlay"),
        *("tmpfs", "ramfs", "rootfs", "vfat", "exfat", "ntfs3"),
    )
)
_ACL = "system.posix_acl_access"  # acl(5)


def make_directory(path: str) -> None:
    """Make a directory and its parents with mode 0700."""
    if os.path.isdir(path):
        return
    if os.path.dirname(path) != path:  # a drive or share that is not there
        make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):  # another process was faster
        os.mkdir(path, 0o700)
        if os.stat(path).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path, stat.S_IRWXU)  # the umask may have removed the owner's own rights
        if _is_root():
            # By a descriptor, so that a link put in its place is not followed.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _keep_owner(descriptor, path)
            finally:
                os.close(descriptor)


def tells_missing(error: OSError, path: str) -> bool:
    """Return whether an error means a missing file; Windows says so of a whole share, too."""
    return os.path.exists(os.path.splitdrive(path)[0] + os.sep) and not interruption(error)


def time_of_a_new_file(directory: str) -> float:
    """Return the file system's time, seconds since the epoch: make a file, and remove it."""
    path = write_temporary(os.path.join(directory, "clock"), b"")
    try:
        return os.stat(path).st_mtime
    finally:
        remove(path)


def write_temporary(
    path: str, content: bytes, check: Callable[[os.stat_result], None] = lambda _: None
) -> str:
    """Write and sync a new file beside `path`; `check` raises if it may not be kept."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.attrs")
    descriptor = os.open(temporary, _CREATE, 0o600)
    try:
        with open(descriptor, "wb") as file:
            status = os.fstat(descriptor)
            if ~status.st_mode & 0o600:  # the umask may have removed the owner's own rights
                os.fchmod(descriptor, 0o600)
            check(status)
            _keep_owner(descriptor, path)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:  # Ctrl-C included: leave no token behind
        remove(temporary)
        raise
    return temporary


def _keep_owner(descriptor: int, path: str) -> None:
    """Give a new file the owner, the group and the group's rights of the file at `path`.

    Where there is none yet, a file that root makes gets the owner of the directory, since otherwise
    one run as root would lock out the service that uses it. In a directory that every user may
    write, anyone could have put the old file there: it is ignored.
    """
    if os.name != "posix":
        return
    model = os.stat(os.path.dirname(path))
    if model.st_mode & stat.S_IWOTH:
        return
    rights, known = 0, _is_root()
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(path, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            model, rights, known = found, found.st_mode & 0o060, True
    mine = os.fstat(descriptor)
    if known and (model.st_uid, model.st_gid) != (mine.st_uid, mine.st_gid):
        # Without root the group alone may be set.
        owners = (model.st_uid, -1)
        known = any(quietly(os.fchown, descriptor, owner, model.st_gid) for owner in owners)
    # The file has the group for which these rights are meant.
    if known and rights and _keep_acl(descriptor, path):
        quietly(os.fchmod, descriptor, 0o600 | rights)


def _keep_acl(descriptor: int, path: str) -> bool:
    """Give a new file the access control list of an old one, or none; return False if that failed.

    With such a list, the group's bits of a mode are not the group's rights but their mask.
    """
    old, new = _acl(path), _acl(descriptor)
    if old:
        return quietly(os.setxattr, descriptor, _ACL, old)
    return not new or quietly(os.removexattr, descriptor, _ACL)  # inherited from the directory


def _acl(file: str | int) -> bytes:
    with contextlib.suppress(OSError, AttributeError):  # it has none; not on this system
        return os.getxattr(file, _ACL)
    return b""


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def obstacle(path: str) -> tuple[str, str] | None:
    """Return why a file cannot be replaced (a reason, then words with what to do), or None.

    `rmdir` never removes a file, but its error shows whether the file could be removed, except on
    Windows, where another program may just have it open.
    """
    if os.name == "nt":
        return None
    if path in dict(_mounts()):  # a file as a mount, as in containers; st_dev does not show it
        return _MOUNTED
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.rmdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return None  # a removable file, no file, or no directory yet
    except OSError as error:
        sticky = os.stat(os.path.dirname(path)).st_mode & stat.S_ISVTX
        if sticky and error.errno == errno.EPERM and not _is_root():
            return _STICKY
        return _OBSTACLES.get(error.errno or 0)
    return None


def is_on_disk(directory: str) -> bool:
    """Return whether a directory (links resolved) is certainly on a disk of this machine."""
    above = [
        (len(point), number, kind)  # of two mounts on one point the later one counts
        for number, (point, kind) in enumerate(_mounts())
        if f"{directory}/".startswith(os.path.join(point, ""))
    ]
    return bool(above) and max(above)[2] in _DISKS


def _mounts() -> list[tuple[str, str]]:
    """Return each mount's path and file system type, in order; an empty list except on Linux."""
    found = []
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields, _, kind = line.partition(b" - ")
            # The kernel writes blanks and backslashes in octal, as Python does.
            point = fields.split()[4].decode("unicode_escape").encode("latin-1")
            found.append((os.fsdecode(point), os.fsdecode(kind.split()[0])))
    return found


def fence(path: str, but: str = "") -> None:
    """Remove the temporary files of all other writers of `path`: running, frozen or dead.

    On Windows PermissionError: another program has one open, so that its writer could go on.
    """
    import re  # not needed to read a file

    directory, name = os.path.split(path)
    prefix = f".{name}."
    with os.scandir(directory) as entries:
        for entry in entries:
            theirs = entry.name.startswith(prefix) and entry.path != but
            if theirs and re.fullmatch(_TEMPORARY, entry.name[len(prefix) :]):
                with contextlib.suppress(FileNotFoundError):
                    (os.unlink if os.name == "nt" else remove)(entry.path)


def remove(path: str) -> None:
    """Remove a file; ignore errors."""
    quietly(os.unlink, path)


def sleep_up_to(seconds: float) -> None:
    """Wait for a random time, so that two writers that collided do not collide again."""
    import random

    time.sleep(random.uniform(min(0.001, seconds), seconds))


def retry_on_windows(work: Callable[[], T], deadline: float) -> T:
    """Do `work`; retry on Windows, where a file cannot be replaced while a reader has it open."""
    give_up = (time.monotonic() + deadline) / 2  # leave time for the error message
    while True:
        try:
            return work()
        except PermissionError:
            if os.name != "nt" or time.monotonic() > give_up:
                raise
        sleep_up_to(0.02)


@contextlib.contextmanager
def directory_lock(directory: str, deadline: float) -> Iterator[None]:
    """Wait for the other writers of a directory; go on without the lock well before `deadline`."""
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)  # a pipe would block
            stack.callback(quietly, os.close, descriptor)
            now = time.monotonic()
            # Leave time for the write itself.
            give_up = now + min((deadline - now) / 4, _LOCK_PATIENCE_SECONDS)
            while True:  # try at least once, even if it is late
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Closing is not enough: a child forked meanwhile has the descriptor open, too.
                    stack.callback(quietly, fcntl.flock, descriptor, fcntl.LOCK_UN)
                    break
                if time.monotonic() >= give_up:
                    break
                sleep_up_to(0.02)
        except unless_interrupted(ImportError, OSError):
            pass  # Windows, or a mount without locks; the write itself reports any other error
        yield
