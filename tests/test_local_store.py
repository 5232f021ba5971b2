"""Local files: what the conformance suite cannot ask of every store."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from within import within

from betfair_session.exceptions import (
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.storage import local_files, open_store
from betfair_session.storage.contract import ABSENT, ANY, VersionConflict
from betfair_session.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

_NOBODY = 65534

WRITER = """
import time, os, signal, sys
from betfair_session.storage import local, local_files
from betfair_session.storage.contract import VersionConflict
rename = local_files.rename
def stop_first(temporary, path):
    local_files.rename = rename
    print("compared", flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    rename(temporary, path)
local_files.rename = stop_first
from betfair_session.storage.contract import ABSENT, ANY
def soon():
    return time.monotonic() + 30
store = local.LocalStore(sys.argv[1])
try:
    store.put("k", b"late", store.get("k", deadline=soon()).version, deadline=soon())
except VersionConflict:
    print("conflict", flush=True)
else:
    print("written", flush=True)
"""


def start_writer(root: Path, signal_name: str) -> subprocess.Popen[str]:
    """Start a process that stops between comparing and renaming, and wait until it has."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), signal_name], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "compared\n"
    if signal_name == "SIGSTOP":
        os.waitpid(process.pid, os.WUNTRACED)
    return process


def content(store: LocalStore, key: str = "k") -> bytes | None:
    """Return what is stored."""
    stored = store.get(key, deadline=within(5))
    return None if stored is None else bytes(stored.content)


def version(store: LocalStore, key: str = "k") -> str:
    """Return the stored object's version."""
    stored = store.get(key, deadline=within(5))
    assert stored is not None
    return stored.version


def test_a_writer_that_thaws_after_another_wrote_does_not_overwrite(tmp_path: Path) -> None:
    """It was frozen after comparing and before renaming, with the directory lock in its hand."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"old", ABSENT, deadline=within(5))
    process = start_writer(tmp_path, "SIGSTOP")
    try:
        store.put("k", b"new", version(store), deadline=within(10))
    finally:
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=60)
    assert said == "conflict\n"
    assert content(store) == b"new"
    assert os.listdir(tmp_path) == ["k"]


def test_a_frozen_writer_keeps_nobody_from_writing_in_a_short_time(tmp_path: Path) -> None:
    """It holds the directory lock; a part of the time is spent on queueing for it, no more."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"old", ABSENT, deadline=within(5))
    process = start_writer(tmp_path, "SIGSTOP")
    try:
        store.put("k", b"new", version(store), deadline=within(0.8))
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=60)
    assert content(store) == b"new"


def test_a_writer_that_thaws_undisturbed_writes(tmp_path: Path) -> None:
    """Being slow is no fault."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"old", ABSENT, deadline=within(5))
    process = start_writer(tmp_path, "SIGSTOP")
    os.kill(process.pid, signal.SIGCONT)
    said, _ = process.communicate(timeout=60)
    assert said == "written\n"
    assert content(store) == b"late"


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    """The next write of the same key does it, and touches nobody else's files."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"old", ABSENT, deadline=within(5))
    start_writer(tmp_path, "SIGKILL").communicate(timeout=60)
    assert len(os.listdir(tmp_path)) == 2
    others = (".k.tmp", ".k.0123456789abcdef.txt", ".kk.0123456789abcdef.tmp", ".k.x.attrs")
    for name in (*others, ".k.0123456789abcdef.tmp"):  # the last as earlier versions leave it
        (tmp_path / name).touch(0o600)
    store.put("k", b"new", ANY, deadline=within(5))
    assert sorted(os.listdir(tmp_path)) == sorted(["k", *others])


def test_a_file_that_vanishes_is_none_that_go_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go's fileblob leaves out what ends in .attrs; on another it would look, and fail."""
    store = LocalStore(str(tmp_path))
    seen: set[str] = set()
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.update(os.listdir(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    store.put("k", b"old", ABSENT, deadline=within(5))
    store.put("k", b"new", ANY, deadline=within(5))
    vanished = seen - set(os.listdir(tmp_path))
    assert len(vanished) == 2
    assert all(name.endswith(".attrs") for name in vanished)


def test_a_key_of_gos_own_files_is_refused(tmp_path: Path) -> None:
    """On files it would be what the Go library keeps about another token."""
    store = LocalStore(str(tmp_path))
    for call in (
        lambda: store.get("k.attrs", deadline=within(5)),
        lambda: store.put("k.attrs", b"x", ABSENT, deadline=within(5)),
        lambda: store.get("k.attrs.login", deadline=within(5)),
    ):
        with pytest.raises(ConfigurationError):
            call()
    assert os.listdir(tmp_path) == []


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """Short and long content in turn; every read is one of the two, whole."""
    store = LocalStore(str(tmp_path))
    values = [b"a" * 10, b"b" * 1000]
    store.put("k", values[0], ANY, deadline=within(5))
    over = threading.Event()

    def write() -> None:
        for number in range(300):
            store.put("k", values[number % 2], ANY, deadline=within(5))
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = set()
    while not over.is_set():
        seen.add(content(store))
    thread.join()
    assert seen <= set(values)


@pytest.mark.parametrize("umask", [0, 0o177], ids=oct)
def test_files_and_new_directories_are_only_for_their_owner(tmp_path: Path, umask: int) -> None:
    """0600 and 0700, whatever the umask; directories that exist are left as they are."""
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        LocalStore(str(tmp_path / "a" / "b")).put("c/k", b"x", ABSENT, deadline=within(5))
    finally:
        os.umask(before)
    for path in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a/b/c/k").stat().st_mode) == 0o600
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_what_root_writes_stays_the_services(tmp_path: Path) -> None:
    """Token, lock and new directories, made or replaced; group and the group's rights, too."""
    home, owner = tmp_path / "service", (_NOBODY, _NOBODY)
    home.mkdir(mode=0o700)
    try:
        os.chown(home, *owner)
    except OSError:  # not root, or root of a container that has no such user
        owner = (os.geteuid(), (os.getgroups() or [os.getegid()])[-1])
        os.chown(home, *owner)
    store = LocalStore(str(home))
    for key in ("k", "new/k", "k.login"):
        store.put(key, b"one", ABSENT, deadline=within(5))
        os.chown(home / key, *owner)  # for a user who is not root
        os.chmod(home / key, 0o664)
        store.put(key, b"two", version(store, key), deadline=within(5))
        found = (home / key).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (*owner, 0o660)
        store.put(key, b"three", ANY, deadline=within(5))
        assert stat.S_IMODE((home / key).stat().st_mode) == 0o660
    store.put("other/k", b"one", ABSENT, deadline=within(5))
    if os.geteuid() == 0:
        assert {(path.stat().st_uid, path.stat().st_gid) for path in home.rglob("*")} == {owner}


def test_a_group_that_is_not_mine_to_give_gets_no_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were another group's; and where everybody may write, the old file says nothing."""

    def refuse(*_: object) -> None:
        raise PermissionError

    store = LocalStore(str(tmp_path))
    store.put("k", b"one", ABSENT, deadline=within(5))
    (tmp_path / "k").chmod(0o660)
    status = os.stat

    def of_another(path: Any, **more: Any) -> Any:  # noqa: ANN401 - os.stat's
        found = status(path, **more)
        other = os.stat_result((*found[:4], _NOBODY, _NOBODY, *found[6:]))
        return other if path == str(tmp_path / "k") else found

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", of_another)
        patch.setattr(os, "fchown", refuse)
        store.put("k", b"two", ANY, deadline=within(5))
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    (tmp_path / "k").chmod(0o660)
    tmp_path.chmod(0o1777)
    store.put("k", b"three", ANY, deadline=within(5))
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600


def test_a_mount_without_modes_is_found_before_anything_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later call would read what is written there; no lock stays behind to be waited for."""
    status = os.fstat

    def without_modes(descriptor: int) -> os.stat_result:
        found = status(descriptor)
        return os.stat_result((found.st_mode | 0o777, *found[1:]))

    monkeypatch.setattr(os, "fstat", without_modes)
    store = LocalStore(str(tmp_path))
    with pytest.raises(StoreWriteError, match="allow_world_writable") as caught:
        store.put("k.login", b"held", ABSENT, deadline=within(5))
    assert (caught.value.reason, caught.value.landed) == ("forbidden", False)
    assert os.listdir(tmp_path) == []
    allowed = LocalStore(str(tmp_path), {"allow_world_writable": True})
    allowed.put("k.login", b"held", ABSENT, deadline=within(5))
    assert content(allowed, "k.login") == b"held"


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Anyone could have put the token there; a mount that cannot do better may be allowed."""
    (tmp_path / "k").write_bytes(b"token")
    (tmp_path / "k").chmod(0o666)
    with pytest.raises(StoreUnavailable) as caught:
        LocalStore(str(tmp_path)).get("k", deadline=within(5))
    assert str(caught.value) == (
        f"{tmp_path}/k can be written by every user of this machine, so its token cannot be "
        "trusted: chmod 600 it, or set the storage option allow_world_writable if the mount "
        "(WSL, CIFS, Kubernetes) cannot do better"
    )
    assert (caught.value.store, caught.value.reason) == (str(tmp_path), "forbidden")
    assert content(LocalStore(str(tmp_path), {"allow_world_writable": True})) == b"token"


def test_a_file_that_everybody_may_read_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It works, but the token is no secret."""
    (tmp_path / "k").write_bytes(b"token")
    (tmp_path / "k").chmod(0o644)
    store = LocalStore(str(tmp_path))
    assert [content(store), content(store)] == [b"token", b"token"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    said = f"{tmp_path}/k can be read by every user of this machine; chmod 600 it"
    assert record.getMessage() == said
    (tmp_path / "k").chmod(0o640)
    assert content(LocalStore(str(tmp_path))) == b"token"
    assert len(caplog.records) == 1


def test_a_link_is_followed(tmp_path: Path) -> None:
    """The file that it points to is replaced, not the link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "k").symlink_to(tmp_path / "elsewhere" / "real")
    store = LocalStore(str(tmp_path))
    assert content(store) is None
    store.put("k", b"one", ABSENT, deadline=within(5))
    store.put("k", b"two", version(store), deadline=within(5))
    assert (tmp_path / "k").is_symlink()
    assert (tmp_path / "elsewhere" / "real").read_bytes() == b"two"
    assert os.listdir(tmp_path / "elsewhere") == ["real"]


@pytest.mark.parametrize("what", ["directory", "pipe"])
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A directory in the token's place, or a pipe that would block its reader; none stays open."""
    if what == "directory":
        (tmp_path / "k").mkdir()
    else:
        os.mkfifo(tmp_path / "k", 0o600)
    opened = []
    real = os.open

    def note(*arguments: Any) -> int:  # noqa: ANN401 - os.open's
        opened.append(real(*arguments))
        return opened[-1]

    monkeypatch.setattr(os, "open", note)
    with pytest.raises(StoreError, match=r"\(OSError: not a regular file\)"):
        LocalStore(str(tmp_path)).get("k", deadline=within(5))
    (descriptor,) = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_store_below_a_file_reads_as_empty_and_cannot_be_written(tmp_path: Path) -> None:
    """There is no such object; the write says why there cannot be one."""
    (tmp_path / "file").write_text("x")
    store = LocalStore(str(tmp_path / "file"))
    assert content(store) is None
    store.delete("k", deadline=within(5))
    with pytest.raises(StoreWriteError) as caught:
        store.put("k", b"x", ABSENT, deadline=within(5))
    assert not caught.value.landed


def test_without_hard_links_a_name_is_still_taken_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network mounts have none."""

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = LocalStore(str(tmp_path))
    store.put("k", b"one", ABSENT, deadline=within(5))
    with pytest.raises(VersionConflict):
        store.put("k", b"two", ABSENT, deadline=within(5))
    assert content(store) == b"one"
    assert os.listdir(tmp_path) == ["k"]


def test_without_directory_locks_writers_still_fence_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some mounts have no locks: of many threads that saw one version one succeeds."""
    import fcntl

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    store = LocalStore(str(tmp_path))
    store.put("k", b"0", ABSENT, deadline=within(5))
    for number in range(20):
        seen = version(store)
        start = threading.Barrier(8)
        won: list[int] = []

        def write(writer: int, seen: str = seen, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                store.put("k", b"%d-%d" % (number, writer), seen, deadline=within(30))  # noqa: B023 - joined below
            except VersionConflict:
                return
            won.append(writer)  # noqa: B023 - joined below

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert content(store) == b"%d-%d" % (number, won[0])
    assert os.listdir(tmp_path) == ["k"]


MOUNTED = """
import time, os, sys
from betfair_session.exceptions import StoreError
from betfair_session.storage.local import LocalStore
from betfair_session.storage.contract import ABSENT, ANY
def soon():
    return time.monotonic() + 30
store = LocalStore(sys.argv[1])
store.put("k", b"x" * 100, ABSENT, deadline=soon())
os.system(sys.argv[2])
try:
    store.put("k", b"y" * 4000, ANY, deadline=soon())
except StoreError as error:
    print(type(error).__name__, error.reason, error.landed)
same = bytes(store.get("k", deadline=soon()).content) == b"x" * 100
print(same, sorted(os.listdir(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("dd if=/dev/zero of={0}/filler bs=4096 2>/dev/null", "full"),
        ("mount -o remount,ro {0}", "read-only"),
    ],
    ids=["full", "read-only"],
)
def test_a_disk_that_is_full_or_read_only_keeps_the_old_content(
    tmp_path: Path, then: str, reason: str
) -> None:
    """A real file system of its own that says so; nothing half-written stays behind."""
    mount = tmp_path / "mount"
    mount.mkdir()
    command = then.format(mount)
    script = f'mount -t tmpfs -o size=64k tmpfs {mount} && exec {sys.executable} -c "$0" "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, MOUNTED, str(mount), command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"StoreWriteError {reason} False"
    assert lines[1] in ("True ['filler', 'k']", "True ['k']")


UNREPLACEABLE = """
import time, os, subprocess, sys
from betfair_session.exceptions import StoreError
from betfair_session.storage.local import LocalStore
from betfair_session.storage.contract import ABSENT, ANY
def soon():
    return time.monotonic() + 30
store = LocalStore(sys.argv[1])
for key in ("a k", "a k.login"):
    store.put(key, b"x", ABSENT, deadline=soon())
subprocess.run(["sh", "-c", sys.argv[2]], cwd=sys.argv[1], check=True)
version = store.get("a k.login", deadline=soon()).version
for write in (
    lambda: store.put("a k.login", b"held", version, deadline=soon()),
    lambda: store.put("a k", b"y", ANY, deadline=soon()),
):
    try:
        write()
    except StoreError as error:
        print(type(error).__name__, error.reason, error.landed, error.key)
print(*(bytes(store.get(key, deadline=soon()).content).decode() for key in ("a k", "a k.login")))
store.put("other.login", b"held", ABSENT, deadline=soon())
"""


@pytest.mark.parametrize(
    "then",
    [
        "mount --bind 'a k' 'a k'",
        "mkdir ro; mv 'a k' ro; ln -s ro/* .; mount --bind ro ro; mount -o remount,bind,ro ro",
    ],
    ids=["a file that is mounted by itself", "a link to a read-only mount"],
)
def test_a_token_that_cannot_be_replaced_keeps_the_lock_from_being_taken(
    tmp_path: Path, then: str
) -> None:
    """It would be logged in for nothing, again and again; the other keys go on."""
    done = subprocess.run(
        [*("unshare", "-Urm", sys.executable, "-c", UNREPLACEABLE), str(tmp_path), then],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "StoreWriteError read-only False a k",
        "StoreWriteError read-only False a k",
        "x x",
    ]


@pytest.mark.parametrize("where", ["k", "."])
@pytest.mark.parametrize("flag", ["i", "a"])
def test_an_immutable_token_keeps_the_lock_from_being_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, where: str
) -> None:
    """Or an append-only one, or such a directory; where root alone may set it, the flag is told."""
    store = LocalStore(str(tmp_path))
    for key in ("k", "k.login"):
        store.put(key, b"x", ABSENT, deadline=within(5))
    seen = version(store, "k.login")
    target = str(tmp_path / where)
    command = ["chattr", f"+{flag}", target]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        number = {"i": 0x10, "a": 0x20}[flag]
        monkeypatch.setattr("fcntl.ioctl", lambda *_: struct.pack("l", number))
    try:
        with pytest.raises(StoreWriteError) as caught:
            store.put("k.login", b"held", seen, deadline=within(5))
    finally:
        subprocess.run(["chattr", f"-{flag}", target], capture_output=True, check=False)
    assert (caught.value.reason, caught.value.landed, caught.value.key) == ("read-only", False, "k")
    assert content(store, "k.login") == b"x"


def test_another_users_token_in_a_sticky_directory_keeps_the_lock_from_being_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As below /tmp; the owner of the file or of the directory may replace it, and root."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"x", ABSENT, deadline=within(5))
    tmp_path.chmod(0o1777)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
        with pytest.raises(StoreWriteError) as caught:
            store.put("k.login", b"held", ABSENT, deadline=within(5))
        store.put("other.login", b"held", ABSENT, deadline=within(5))
    assert (caught.value.reason, caught.value.landed, caught.value.key) == ("forbidden", False, "k")
    assert content(store, "k.login") is None
    store.put("k.login", b"held", ABSENT, deadline=within(5))


class Mount:
    """Stands in for a network mount that hangs: every file below it opens when it is back."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin in good health."""
        self.waiting = 0
        self.reached = threading.Event()
        self._root = str(root)
        self._back = threading.Event()
        self._back.set()
        self._open = os.open
        monkeypatch.setattr(os, "open", self._wait)
        monkeypatch.setattr(local_files, "_DISKS", frozenset())

    def _wait(self, path: Any, *arguments: Any, **more: Any) -> int:  # noqa: ANN401 - os.open's
        if str(path).startswith(self._root) and not self._back.is_set():
            self.waiting += 1
            self.reached.set()
            self._back.wait(60)
            self.waiting -= 1
        return self._open(path, *arguments, **more)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Hang for the time of a block."""
        self._back.clear()
        self.reached.clear()
        try:
            yield
        finally:
            self._back.set()


def test_a_mount_that_hangs_holds_no_call_and_takes_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried; when it is back, all goes on, and nothing is written late."""
    mount = Mount(tmp_path, monkeypatch)
    store = LocalStore(str(tmp_path))
    store.put("k", b"old", ABSENT, deadline=within(5))
    seen = version(store)
    writes: list[Callable[[], object]] = [
        lambda: store.put("k", b"late", ANY, deadline=within(0.1)),
        lambda: store.put("k", b"late", seen, deadline=within(0.1)),
        lambda: store.put("new", b"late", ABSENT, deadline=within(0.1)),
    ]
    for write in writes:
        with mount.hanging():
            with pytest.raises(StoreUnavailable) as caught:
                write()
            assert (caught.value.reason, caught.value.landed) == ("timeout", True)
            assert mount.reached.wait(60)
            for _ in range(3):
                with pytest.raises(StoreUnavailable) as caught:
                    store.get("k", deadline=within(0.01))
                assert (caught.value.reason, caught.value.landed) == ("timeout", False)
            assert mount.waiting == 1
        assert (content(store), content(store, "new")) == (b"old", None)
        assert os.listdir(tmp_path) == ["k"]


def test_where_no_thread_can_be_started_a_local_call_is_made_without_one(
    tmp_path: Path, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """As at the exit of the interpreter; most mounts never hang."""
    store = LocalStore(str(tmp_path))
    with no_threads():
        store.put("k", b"content", ABSENT, deadline=within(5))
        assert content(store) == b"content"


def test_a_disk_is_known_and_costs_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first call for a key; a mount of any other kind keeps its thread."""
    started = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    for kind, threads in (("ext4", 1), ("nfs4", 3)):
        monkeypatch.setattr(local_files, "_mounts", lambda kind=kind: [("/", "nfs"), ("/", kind)])
        store = LocalStore(str(tmp_path))
        started.clear()
        for _ in range(3):
            assert content(store) is None
        assert len(started) == threads


def test_the_time_is_the_file_systems_own(tmp_path: Path) -> None:
    """It agrees with the time of a file just written, and leaves nothing behind."""
    store = LocalStore(str(tmp_path))
    store.put("k", b"x", ABSENT, deadline=within(5))
    stored = store.get("k", deadline=within(5))
    now = store.server_now(deadline=within(5))
    assert stored is not None
    assert stored.modified is not None
    assert now is not None
    assert now >= stored.modified
    named = store._time_of_named_file()
    assert named is not None
    assert named >= now
    assert os.listdir(tmp_path) == ["k"]
    assert LocalStore(str(tmp_path / "none")).server_now(deadline=within(5)) is None


def test_a_path_may_be_a_url_or_start_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them name the same directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store(tmp_path / "d").put("k", b"x", ABSENT, deadline=within(5))
    for place in (str(tmp_path / "d"), f"file://{tmp_path}/d", f"local://{tmp_path}/d/", "~/d"):
        stored = open_store(place).get("k", deadline=within(5))
        assert stored is not None
        assert stored.content == b"x"


def test_a_home_that_is_not_known_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory named "~" wherever the program happens to run would be a login of its own."""
    with pytest.raises(ConfigurationError, match="the home directory is not known"):
        open_store("~nobody-of-this-name/x")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # in a container: nobody's
    with pytest.raises(ConfigurationError, match=r"'~/tokens': .* or write \./~/tokens"):
        open_store("~/tokens")
    open_store("./~/tokens")


def test_a_relative_path_needs_a_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been removed under the program."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError, match="'tokens': the working directory is gone"):
        open_store("tokens")
    assert isinstance(open_store(tmp_path), LocalStore)


CROWDED = """
import time, os, resource, sys
from betfair_session.exceptions import StoreUnavailable
from betfair_session.storage.local import LocalStore
from betfair_session.storage.contract import ABSENT, ANY
def soon():
    return time.monotonic() + 30
store = LocalStore(sys.argv[1])
store.put("k", b"x", ABSENT, deadline=soon())
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.dup(0)
os.close(free)
def read_in_a_crowd():
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
    try:
        store.get("k", deadline=soon())
    except StoreUnavailable as error:
        message = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    print(error_words(message))
def error_words(message):
    return [words for words in ("Too many open files", "ulimit") if words in message]
read_in_a_crowd()
os.mkdir(os.path.join(sys.argv[1], "d"))
try:
    store.get("d", deadline=soon())
except StoreUnavailable:
    read_in_a_crowd()
print(store.get("k", deadline=soon()) is not None)
"""


def test_with_no_descriptor_left_the_error_is_still_ours(tmp_path: Path) -> None:
    """Not even a module can be loaded then, as those that know the words for other errors are."""
    done = subprocess.run(
        [sys.executable, "-c", CROWDED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['Too many open files']",
        "['Too many open files', 'ulimit']",
        "True",
    ]


def test_a_directory_that_another_makes_just_then_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence was seen, and a moment later it is there."""
    look = os.path.isdir

    def look_and_be_late(path: str) -> bool:
        there = look(path)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        return there

    monkeypatch.setattr("betfair_session.storage.local.os.path.isdir", look_and_be_late)
    store = LocalStore(str(tmp_path / "a"))
    store.put("k", b"first", ABSENT, deadline=within(5))
    assert content(store) == b"first"
