"""The steps of a write to a local file: directories, temporary files, fencing, renaming, locks."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from betfair_session.process.threads import interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    _T = TypeVar("_T")

_LOCK_PATIENCE_SECONDS = 1.0  # a frozen process may hold the directory lock for ever
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Go's fileblob takes names that end in .attrs for its own side files, and leaves them out of its
# listings: its call would fail on a temporary file that is gone when it looks at it. "tmp" is what
# earlier versions left behind.
_TEMPORARY = r"[0-9a-f]{16}\.(attrs|tmp)"

_OBSTACLES = {
    errno.EROFS: ("read-only", "is on a read-only mount: name a place that can be written"),
    errno.EACCES: ("forbidden", "is in a directory where this user may not write: change its mode"),
    errno.EPERM: ("read-only", "or its directory is immutable or append-only (chattr -i -a)"),
}
_STICKY = (
    "forbidden",
    "is another user's in a sticky directory: change its owner, or name another",
)
_MOUNTED = ("read-only", "is a mount of its own: mount the directory that holds it, not the file")

_DISKS = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "overlay"),
        *("tmpfs", "ramfs", "rootfs", "vfat", "exfat", "ntfs3"),
    )
)
_OCTAL = rb"\\([0-7]{3})"  # how the kernel writes blanks and backslashes in a path


def make_directory(path: str) -> None:
    """Make a directory and its parents, each only for its owner."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):  # another process was faster
        os.mkdir(path, 0o700)
        if os.stat(path).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path, stat.S_IRWXU)  # a umask can take away what its owner needs, too
        if _is_root():
            # By a descriptor, so that no link in its place is followed.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _keep_owner(descriptor, path)
            finally:
                os.close(descriptor)


def time_of_a_new_file(directory: str) -> float:
    """Return the file system's time, seconds since the epoch, from a file that is removed again."""
    path = write_temporary(os.path.join(directory, "clock"), b"")
    try:
        return os.stat(path).st_mtime
    finally:
        remove(path)


def write_temporary(
    path: str, content: bytes, check: Callable[[os.stat_result], None] = lambda _: None
) -> str:
    """Write a new file beside `path`, wholly on the disk; `check` raises if it may not be."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.attrs")
    descriptor = os.open(temporary, _CREATE, 0o600)
    try:
        with open(descriptor, "wb") as file:
            check(os.fstat(descriptor))
            _keep_owner(descriptor, path)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:  # Ctrl-C, too, is to leave no token behind
        remove(temporary)
        raise
    return temporary


def _keep_owner(descriptor: int, path: str) -> None:
    """Give what is new the owner and group of what is at `path`, and the rights of that group.

    Where there is nothing yet, what root makes belongs to the owner of the directory: one run as
    root would lock out the service that lives there. In a directory that everybody may write,
    anyone could have put the old file there, so that it says nothing.
    """
    if os.name != "posix":
        return
    model = os.stat(os.path.dirname(path))
    if model.st_mode & stat.S_IWOTH:
        return
    rights, known = 0, _is_root()
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            model, rights, known = found, found.st_mode & 0o060, True
    mine = os.fstat(descriptor)
    if known and (model.st_uid, model.st_gid) != (mine.st_uid, mine.st_gid):
        known = _give(descriptor, model.st_uid, model.st_gid)
    if known and rights:  # another group was not given them
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o600 | rights)


def _give(descriptor: int, owner: int, group: int) -> bool:
    """Give a file away, which takes root, or to a group alone; tell whether it has the group."""
    for user in (owner, -1):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, user, group)
            return True
    return False


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def obstacle(path: str) -> tuple[str, str] | None:
    """Tell what keeps a file from being replaced: a reason, and what is the matter and what to do.

    The system is asked to remove it as a directory. That never removes a file, and says first
    whether it might be removed.
    """
    if path in dict(_mounts()):  # by itself, as containers do; st_dev would not tell it
        return _MOUNTED
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            os.rmdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return None  # a file that may be removed, none, or no directory yet
    except OSError as error:
        sticky = os.stat(os.path.dirname(path)).st_mode & stat.S_ISVTX
        if sticky and error.errno == errno.EPERM and not _is_root():
            return _STICKY
        return _OBSTACLES.get(error.errno or 0)
    return None


def is_on_disk(directory: str) -> bool:
    """Tell whether a directory, links resolved, is certainly on a disk of this machine."""
    above = [
        (len(point), number, kind)  # of two on one point the later one is seen
        for number, (point, kind) in enumerate(_mounts())
        if f"{directory}/".startswith(os.path.join(point, ""))
    ]
    return bool(above) and max(above)[2] in _DISKS


def _mounts() -> list[tuple[str, str]]:
    """Return where each mount is and of which kind, in order; nothing elsewhere than on Linux."""
    found = []
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields, _, kind = line.partition(b" - ")
            point = fields.split()[4]
            if b"\\" in point:
                import re  # rarely needed

                point = re.sub(_OCTAL, lambda octal: bytes([int(octal[1], 8)]), point)
            found.append((os.fsdecode(point), os.fsdecode(kind.split()[0])))
    return found


def fence(path: str, but: str = "") -> None:
    """Remove the temporary files of the other writers of `path`, living, frozen or dead."""
    import re  # to read a file needs none

    directory, name = os.path.split(path)
    prefix = f".{name}."
    with os.scandir(directory) as entries:
        for entry in entries:
            theirs = entry.name.startswith(prefix) and entry.path != but
            if theirs and re.fullmatch(_TEMPORARY, entry.name[len(prefix) :]):
                remove(entry.path)


def link(temporary: str, path: str) -> None:
    """Give the temporary file its name, or raise FileExistsError."""
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):
        raise
    except (OSError, NotImplementedError, AttributeError) as error:
        if interruption(error):
            raise
        # No hard links here (FAT, some network mounts): reserve the name, then fill it. A reader
        # in between sees an empty file, which is no token, and a lock that is held.
        os.close(os.open(path, _CREATE, 0o600))
        os.replace(temporary, path)
    fence(path)  # sweep away what a killed process left; the living see that they lost


def remove(path: str) -> None:
    """Remove a file if it is there and may be removed."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def sleep_up_to(seconds: float) -> None:
    """Wait for a random time, so that those who met do not meet again."""
    import random

    time.sleep(random.uniform(0.001, seconds))


def patiently(work: Callable[[], _T], deadline: float) -> _T:
    """Do `work`; on Windows, which lets nobody replace what a reader has open, soon once more."""
    give_up = (time.monotonic() + deadline) / 2  # leave time to say what is wrong
    while True:
        try:
            return work()
        except PermissionError:
            if os.name != "nt" or time.monotonic() > give_up:
                raise
        sleep_up_to(0.02)


@contextlib.contextmanager
def directory_lock(directory: str, deadline: float) -> Iterator[None]:
    """Queue up with the other writers of a directory; go on without the lock before `deadline`."""
    with contextlib.ExitStack() as stack:
        try:
            import fcntl

            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)  # a pipe would block
            stack.callback(os.close, descriptor)
            now = time.monotonic()
            # Leave time for the write itself.
            give_up = now + min((deadline - now) / 4, _LOCK_PATIENCE_SECONDS)
            while True:  # once at least, however late it is
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # A child that was forked meanwhile has it open, too.
                    stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
                    break
                if time.monotonic() >= give_up:
                    break
                sleep_up_to(0.02)
        except (ImportError, OSError) as error:
            # Windows, a mount without locks, or the write itself will say what is wrong.
            if interruption(error):
                raise
        yield
