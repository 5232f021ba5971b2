"""The steps of a write to a local file: directories, temporary files, fencing, renaming, locks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCK_PATIENCE = 1.0  # seconds; a frozen process may hold the directory lock for ever
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_NONCE = 16  # hexadecimal digits in a temporary file's name
# Go's fileblob takes names that end so for its own side files, and leaves them out of its listings:
# its call would fail on a temporary file that it lists, and that is gone when it looks at it.
_ENDING = "attrs"
_ENDINGS = (_ENDING, "tmp")  # "tmp" is what earlier versions left behind

# FS_IOC_GETFLAGS and its flags, from Linux's include/uapi/linux/fs.h.
_LONG = struct.calcsize("l")
_GET_FLAGS = 2 << 30 | _LONG << 16 | ord("f") << 8 | 1
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
_EFFECTIVE = os.access in os.supports_effective_ids

_DISKS = frozenset(
    (
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "overlay"),
        *("tmpfs", "ramfs", "rootfs", "vfat", "exfat", "ntfs3"),
    )
)
_OCTAL = re.compile(rb"\\([0-7]{3})")  # how the kernel writes blanks and backslashes in a path


class FencedError(Exception):
    """Another writer took the temporary file away: start over."""


class ExistsError(Exception):
    """The name is taken."""


def make_directory(path: str) -> None:
    """Make a directory and its parents, each only for its owner."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        if os.stat(path).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(path, stat.S_IRWXU)  # a umask can take away what its owner needs, too
        if _is_root():
            # By a descriptor, so that no link in its place is followed.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _keep_owner(descriptor, os.path.dirname(path))
            finally:
                os.close(descriptor)
    if not os.path.isdir(path):  # it is, too, when another process was faster
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)


def time_of_a_new_file(directory: str) -> float:
    """Return the file system's time, seconds since the epoch, from a file that is removed again."""
    path = _beside(os.path.join(directory, "clock"))
    descriptor = os.open(path, _CREATE, 0o600)
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        remove(path)


def _beside(path: str) -> str:
    """Return a new name for a temporary file beside `path`."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.{os.urandom(_NONCE // 2).hex()}.{_ENDING}")


def write_temporary(
    path: str, content: bytes, check: Callable[[os.stat_result], None] = lambda _: None
) -> str:
    """Write a new file beside `path`, wholly on the disk, and return its name.

    Owner, group and the group's rights of what it is to replace are kept. `check` raises if the
    file, as it was made, may not hold the content.
    """
    temporary = _beside(path)
    descriptor = os.open(temporary, _CREATE, 0o600)
    try:
        with open(descriptor, "wb") as file:
            check(os.fstat(descriptor))
            _keep_owner(descriptor, os.path.dirname(path), path)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except Exception:
        remove(temporary)
        raise
    return temporary


def _keep_owner(descriptor: int, directory: str, replaced: str | None = None) -> None:
    """Give a new file the owner and group of what it replaces, and the rights of that group.

    Where there is nothing yet, what root makes belongs to the owner of the directory: one run as
    root would lock out the service that lives there. In a directory that everybody may write,
    anyone could have put the old file there, so that it says nothing.
    """
    if os.name != "posix":
        return
    model = os.stat(directory)
    if model.st_mode & stat.S_IWOTH:
        return
    rights, known = 0, _is_root()
    if replaced:
        with contextlib.suppress(FileNotFoundError):
            model, known = os.stat(replaced), True
            rights = model.st_mode & 0o060
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


def obstacles(path: str) -> Iterator[tuple[str, str]]:
    """Tell what keeps a file from being replaced, as far as that can be seen without trying.

    Yields "read-only" or "forbidden", and what is the matter and what to do.
    """
    directory = os.path.dirname(path)
    if os.name != "posix" or not os.path.isdir(directory):
        return  # it is made, or the write says what is wrong
    around, status = os.stat(directory), None
    with contextlib.suppress(OSError):
        status = os.lstat(path)
    if _is_frozen(directory, around) or (status and _is_frozen(path, status)):
        what = "or its directory is immutable or append-only: take that off (chattr -i -a)"
        yield "read-only", f"{path} {what}"
    if os.statvfs(directory).f_flag & os.ST_RDONLY:
        yield "read-only", f"{directory} is on a read-only mount: name a place that can be written"
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        yield "forbidden", f"this user may not write in {directory}: change its owner or mode"
    # A file may be mounted by itself, as containers do; st_dev would not tell it.
    if status and path in dict(_mounts()):
        what = "is a mount of its own: mount the directory that holds it, not the file"
        yield "read-only", f"{path} {what}"
    sticky = around.st_mode & stat.S_ISVTX
    if status and sticky and os.geteuid() not in {0, around.st_uid, status.st_uid}:
        what = (
            "belongs to another user, who alone may replace it in a sticky directory: change its "
            "owner, or name a directory of this user's"
        )
        yield "forbidden", f"{path} {what}"


def is_on_disk(directory: str) -> bool:
    """Tell whether a directory, links resolved, is certainly on a disk of this machine.

    A network mount, or one that a program serves, may hang for hours.
    """
    kind = ""
    deepest = -1
    for point, found in _mounts():  # of two on one point the later one is seen
        below = os.path.join(point, "")
        if (directory == point or directory.startswith(below)) and len(below) >= deepest:
            deepest, kind = len(below), found
    return kind in _DISKS


def _mounts() -> list[tuple[str, str]]:
    """Return this process's mounts, in order: where each is, and the kind of file system.

    Nothing where the system does not tell, as others than Linux.
    """
    found = []
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            fields, _, kind = line.partition(b" - ")
            point = _OCTAL.sub(lambda octal: bytes([int(octal[1], 8)]), fields.split()[4])
            found.append((os.fsdecode(point), os.fsdecode(kind.split()[0])))
    return found


def _is_frozen(path: str, status: os.stat_result) -> bool:
    """Tell whether a file or directory carries a flag that forbids changes, even to root."""
    own = getattr(status, "st_flags", 0)  # on macOS and the BSDs
    if own & (stat.UF_IMMUTABLE | stat.UF_APPEND | stat.SF_IMMUTABLE | stat.SF_APPEND):
        return True
    import fcntl

    with contextlib.suppress(OSError):  # not every file system has flags
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            found = fcntl.ioctl(descriptor, _GET_FLAGS, b"\0" * _LONG)
        finally:
            os.close(descriptor)
        return bool(struct.unpack_from("i", found)[0] & (_IMMUTABLE | _APPEND_ONLY))
    return False


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def fence(path: str, but: str = "") -> None:
    """Remove the temporary files of the other writers of `path`, living, frozen or dead."""
    directory, name = os.path.split(path)
    prefix = f".{name}."
    with os.scandir(directory) as entries:
        for entry in entries:
            nonce, _, ending = entry.name[len(prefix) :].partition(".")
            if (
                entry.name.startswith(prefix)
                and len(nonce) == _NONCE
                and ending in _ENDINGS
                and entry.path != but
            ):
                remove(entry.path)


def rename(temporary: str, path: str) -> None:
    """Put the temporary file in the place of what is there."""
    try:
        os.replace(temporary, path)
    except FileNotFoundError:
        raise FencedError from None
    except PermissionError:
        # Windows: a reader has the file open for a moment.
        if os.name != "nt":
            raise
        raise FencedError from None


def link(temporary: str, path: str) -> None:
    """Give the temporary file its name, if nothing has that name yet."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise ExistsError from None
    except FileNotFoundError:
        raise FencedError from None
    except (OSError, NotImplementedError, AttributeError):
        # No hard links here (FAT, some network mounts): reserve the name, then fill it. A reader
        # in between sees an empty file, which is no token, and a lock that is held.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise ExistsError from None
        rename(temporary, path)
    fence(path)  # sweep away what a killed process left; the living see that they lost


def remove(path: str) -> None:
    """Remove a file if it is there and may be removed."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def patience(deadline: float) -> float:
    """Return until when to queue up, so that time is left for the write itself."""
    now = time.monotonic()
    return now + min((deadline - now) / 4, _LOCK_PATIENCE)


def sleep_up_to(seconds: float) -> None:
    """Wait for a random time, so that those who met do not meet again."""
    import random

    time.sleep(random.uniform(0.001, seconds))


@contextlib.contextmanager
def directory_lock(directory: str, give_up: float) -> Iterator[None]:
    """Queue up with the other writers of a directory until `give_up`, by `time.monotonic`."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows: nothing to queue at
        yield
        return
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        yield  # the write itself will say what is wrong
        return
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    break
                sleep_up_to(0.02)
            except OSError:
                break  # a mount without locks
        yield
    finally:
        # A child that was forked meanwhile has it open, too.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
