"""Local files: what cannot be asked of every store."""

from __future__ import annotations

import builtins
import contextlib
import errno
import fcntl
import io
import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from within import within

from betfair_session.exceptions import (
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY, VersionConflict
from storage.contract import assert_conflict, create, read
from storage.surroundings import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from betfair_session.storage.contract import TokenStore

_NOBODY = 65534
LOCK = "k.login"


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    """A store in an empty directory."""
    return open_store(tmp_path)


def put(store: TokenStore, content: bytes, expect: Any = ANY, key: str = "k") -> str:  # noqa: ANN401 - an Expect
    """Write."""
    return store.put(key, content, expect, deadline=within(10))


def content(store: TokenStore, key: str = "k") -> bytes | None:
    """Return what is stored."""
    stored = store.get(key, deadline=within(10))
    return None if stored is None else bytes(stored.content)


def mode(path: Path) -> int:
    """Return a file's mode."""
    return stat.S_IMODE(path.stat().st_mode)


def run(program: str, *arguments: str, unshared: bool = False) -> list[str]:
    """Run a program, with mounts of its own if it needs some; return the lines that it prints."""
    command = ["unshare", "-Urm"] if unshared else []
    done = subprocess.run(
        [*command, sys.executable, "-c", _BEGIN + program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


_BEGIN = """
import os, signal, subprocess, sys, threading, time
from betfair_session.exceptions import StoreError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY, VersionConflict
soon = time.monotonic() + 50
store = open_store(sys.argv[1])

def put(key, content, expect=ANY):
    try:
        return store.put(key, content, expect, deadline=soon)
    except StoreError as error:
        print(type(error).__name__, error.reason, error.landed, error.key)

def content(key):
    return bytes(store.get(key, deadline=soon).content)
"""


# --- writers that stop half-way -------------------------------------------------------------------

WRITER = """
rename = os.replace
def stop_first(*arguments, **more):
    os.replace = rename
    print("compared", flush=True)
    # This very thread: one that the process is sent may come to another, and later.
    signal.pthread_kill(threading.get_ident(), getattr(signal, sys.argv[2]))
    rename(*arguments, **more)
os.replace = stop_first
if put("k", b"late", store.get("k", deadline=soon).version):
    print("written", flush=True)
"""


def start_writer(root: Path, signal_name: str) -> subprocess.Popen[str]:
    """Start a process that stops between comparing and renaming, and wait until it has."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGIN + WRITER, str(root), signal_name],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "compared\n"
    if signal_name == "SIGSTOP":
        os.waitpid(process.pid, os.WUNTRACED)
    return process


@pytest.mark.parametrize("seconds", [10, 0.8, None])
def test_a_frozen_writer_neither_blocks_nor_overwrites(
    tmp_path: Path, store: TokenStore, seconds: float | None
) -> None:
    """It has compared and holds the directory's lock; if nothing changed meanwhile, it writes."""
    version = create(store, b"old", "k")
    process = start_writer(tmp_path, "SIGSTOP")
    try:
        if seconds:
            store.put("k", b"new", version, deadline=within(seconds))
    finally:
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=60)
    assert said == ("VersionConflict conflict False k\n" if seconds else "written\n")
    assert content(store) == (b"new" if seconds else b"late")
    assert os.listdir(tmp_path) == ["k"]


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path, store: TokenStore) -> None:
    """The next write of the same key does it, and touches nobody else's files."""
    create(store, b"old", "k")
    start_writer(tmp_path, "SIGKILL").communicate(timeout=60)
    assert len(os.listdir(tmp_path)) == 2
    others = (".k.tmp", ".k.0123456789abcdef.txt", ".kk.0123456789abcdef.tmp", ".k.x.attrs")
    for name in (*others, ".k.0123456789abcdef.tmp"):  # the last as earlier versions leave it
        (tmp_path / name).touch(0o600)
    put(store, b"new")
    assert sorted(os.listdir(tmp_path)) == sorted(["k", *others])


def test_a_child_forked_during_a_write_keeps_nobody_waiting(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the directory open, too, and with it the lock that its parent took."""
    waiting, ending = os.pipe()
    children: list[int] = []
    fsync = os.fsync

    def fork_first(descriptor: int) -> None:
        children.append(os.fork())
        if children[-1] == 0:
            os.close(ending)
            os.read(waiting, 1)  # returns when nobody holds the other end any more
            os._exit(0)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fork_first)
    put(store, b"content")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is taken
    finally:
        for each in (ending, waiting, descriptor):
            os.close(each)
        os.waitpid(children[0], 0)


@pytest.mark.parametrize(("stolen", "expect"), [("link", ABSENT), ("replace", ANY)])
def test_a_write_whose_file_is_always_taken_away_ends(
    tmp_path: Path,
    store: TokenStore,
    monkeypatch: pytest.MonkeyPatch,
    stolen: str,
    expect: Any,  # noqa: ANN401 - an Expect
) -> None:
    """Each time by somebody who came first; in time, with an error that says so."""

    def lose(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError

    monkeypatch.setattr(os, stolen, lose)
    with pytest.raises(StoreUnavailable) as caught:
        store.put("k", b"x", expect, deadline=within(1))
    assert (caught.value.reason, caught.value.landed) == ("busy", False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("lacking", "number"), [((os, "link"), errno.EPERM), ((fcntl, "flock"), errno.ENOLCK)]
)
def test_a_mount_that_lacks_something_still_has_one_winner(
    tmp_path: Path,
    store: TokenStore,
    monkeypatch: pytest.MonkeyPatch,
    lacking: tuple[object, str],
    number: int,
) -> None:
    """FAT and some network mounts have no hard links, others no locks."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, "not here")

    def write(writer: int) -> bytes | None:
        line.wait()
        with contextlib.suppress(VersionConflict):
            store.put("k", b"%d" % writer, seen, deadline=within(30))
            return b"%d" % writer
        return None

    monkeypatch.setattr(*lacking, refuse)
    create(store, b"first", "k")
    assert_conflict(lambda: create(store, b"x", "k"))
    line = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            seen = read(store, "k").version
            written = set(pool.map(write, range(10 * turn, 10 * turn + 8))) - {None}
            assert written == {content(store)}
    assert os.listdir(tmp_path) == ["k"]


def test_the_same_content_is_renewed_only_in_the_version_that_was_read(
    tmp_path: Path, store: TokenStore
) -> None:
    """It gets a new time; replaced or gone meanwhile, it is a conflict, and stays as it is."""
    version = create(store, b"content", "k")
    before = (tmp_path / "k").stat().st_mtime_ns
    os.utime(tmp_path / "k", ns=(0, 0))
    assert put(store, b"content", version) == version
    assert (tmp_path / "k").stat().st_mtime_ns >= before
    (tmp_path / "k").write_bytes(b"another")
    assert_conflict(lambda: put(store, b"content", version))
    assert (tmp_path / "k").read_bytes() == b"another"
    (tmp_path / "k").unlink()
    assert_conflict(lambda: put(store, b"content", version))
    assert os.listdir(tmp_path) == []


# --- names, modes and owners ----------------------------------------------------------------------


def test_nothing_of_it_confuses_the_go_library(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Go's fileblob lists no name that ends in .attrs, and keeps such files about its objects."""
    seen: set[str] = set()
    fsync = os.fsync

    def look(descriptor: int) -> None:
        seen.update(os.listdir(tmp_path))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    create(store, b"old", "k")
    put(store, b"new")
    vanished = seen - set(os.listdir(tmp_path))
    assert len(vanished) == 2
    assert all(name.endswith(".attrs") for name in vanished)
    for call in (
        lambda: store.get("k.attrs", deadline=within(5)),
        lambda: create(store, b"x", "k.attrs"),
        lambda: store.get("k.attrs.login", deadline=within(5)),
    ):
        with pytest.raises(ConfigurationError):
            call()
    assert os.listdir(tmp_path) == ["k"]


@pytest.mark.parametrize("umask", [0, 0o177], ids=oct)
def test_files_and_new_directories_are_only_for_their_owner(tmp_path: Path, umask: int) -> None:
    """0600 and 0700, whatever the umask; directories that exist are left as they are."""
    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        store = open_store(tmp_path / "a" / "b")
        version = create(store, b"x", "c/k")
        put(store, b"y", version, "c/k")
        put(store, b"z", ANY, "c/other")
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    assert (mode(tmp_path / "a"), mode(tmp_path)) == (0o700, 0o755)


def test_what_root_writes_stays_the_services(tmp_path: Path) -> None:
    """Token, lock and new directories, made or replaced; group and the group's rights, too."""
    home, owner = tmp_path / "service", (_NOBODY, _NOBODY)
    home.mkdir(mode=0o700)
    try:
        os.chown(home, *owner)
    except OSError:  # not root, or root of a container that has no such user
        owner = (os.geteuid(), (os.getgroups() or [os.getegid()])[-1])
        os.chown(home, *owner)
    store = open_store(home)
    for key in ("k", "new/k", LOCK):
        version = create(store, b"one", key)
        os.chown(home / key, *owner)  # for a user who is not root
        os.chmod(home / key, 0o664)
        put(store, b"two", version, key)
        found = (home / key).stat()
        assert (found.st_uid, found.st_gid, mode(home / key)) == (*owner, 0o660)
        put(store, b"three", ANY, key)
        assert mode(home / key) == 0o660
    create(store, b"one", "other/k")
    if os.geteuid() == 0:
        assert {(path.stat().st_uid, path.stat().st_gid) for path in home.rglob("*")} == {owner}


def test_a_group_that_is_not_mine_to_give_gets_no_rights(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were another group's; and where everybody may write, the old file says nothing."""

    def refuse(*_: object) -> None:
        raise PermissionError

    create(store, b"one", "k")
    (tmp_path / "k").chmod(0o660)
    status = os.stat

    def of_another(path: Any, **more: Any) -> Any:  # noqa: ANN401 - os.stat's
        found = status(path, **more)
        other = os.stat_result((*found[:4], _NOBODY, _NOBODY, *found[6:]))
        return other if path == str(tmp_path / "k") else found

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", of_another)
        patch.setattr(os, "fchown", refuse)
        put(store, b"two")
    assert mode(tmp_path / "k") == 0o600
    (tmp_path / "k").chmod(0o660)
    tmp_path.chmod(0o1777)
    put(store, b"three")
    assert mode(tmp_path / "k") == 0o600


def test_a_mount_without_modes_is_found_before_anything_is_stored(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later call would read what is written there; no lock stays behind to be waited for."""
    status = os.fstat

    def without_modes(descriptor: int) -> os.stat_result:
        found = status(descriptor)
        return os.stat_result((found.st_mode | 0o777, *found[1:]))

    monkeypatch.setattr(os, "fstat", without_modes)
    with pytest.raises(StoreWriteError) as caught:
        create(store, b"held", LOCK)
    assert (caught.value.reason, caught.value.landed) == ("forbidden", False)
    assert os.listdir(tmp_path) == []
    allowed = open_store(tmp_path, {"allow_world_writable": True})
    create(allowed, b"held", LOCK)
    assert content(allowed, LOCK) == b"held"


def test_a_file_that_everybody_may_change_or_read_is_noticed(
    tmp_path: Path, store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone could have put the token there, or it is no secret; some mounts cannot do better."""
    file = tmp_path / "k"
    file.write_bytes(b"token")
    file.chmod(0o666)
    with pytest.raises(StoreUnavailable) as caught:
        content(store)
    told = (caught.value.store, caught.value.reason, caught.value.landed)
    assert told == (str(tmp_path), "forbidden", False)
    assert content(open_store(tmp_path, {"allow_world_writable": True})) == b"token"
    file.chmod(0o640)
    assert content(store) == b"token"
    assert caplog.records == []
    file.chmod(0o644)
    assert [content(store), content(store)] == [b"token", b"token"]
    (record,) = caplog.records
    assert (record.levelno, str(file) in record.getMessage()) == (logging.WARNING, True)


def test_a_link_is_followed(tmp_path: Path, store: TokenStore) -> None:
    """The file that it points to is replaced, not the link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "k").symlink_to(tmp_path / "elsewhere" / "real")
    assert content(store) is None
    version = create(store, b"one", "k")
    put(store, b"two", version)
    assert (tmp_path / "k").is_symlink()
    assert (tmp_path / "elsewhere" / "real").read_bytes() == b"two"
    assert os.listdir(tmp_path / "elsewhere") == ["real"]


@pytest.mark.parametrize("what", ["directory", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, store: TokenStore, what: str) -> None:
    """A directory in the token's place, or a pipe that would block its reader; none stays open."""
    (tmp_path / "k").mkdir() if what == "directory" else os.mkfifo(tmp_path / "k", 0o600)
    open_files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0
    for call, landed in (
        (lambda: store.get("k", deadline=within(5)), False),
        (lambda: put(store, b"x", "version"), True),
    ):
        with pytest.raises(StoreError) as caught:
            call()
        assert (caught.value.reason, caught.value.landed) == ("other", landed)
        assert (caught.value.store, caught.value.key) == (str(tmp_path), "k")
    if open_files:
        assert len(os.listdir("/proc/self/fd")) == open_files


def test_a_store_below_a_file_reads_as_empty_and_cannot_be_written(tmp_path: Path) -> None:
    """There is no such object; the write says why there cannot be one."""
    (tmp_path / "file").touch()
    store = open_store(tmp_path / "file")
    assert content(store) is None
    store.delete("k", deadline=within(5))
    with pytest.raises(StoreWriteError) as caught:
        create(store)
    assert not caught.value.landed


def test_a_directory_that_another_makes_just_then_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence was seen, and a moment later it is there."""
    make = os.mkdir

    def be_late(path: str, *arguments: Any) -> None:  # noqa: ANN401 - os.mkdir's
        make(path, *arguments)
        make(path, *arguments)

    monkeypatch.setattr(os, "mkdir", be_late)
    store = open_store(tmp_path / "a")
    put(store, b"first")
    assert content(store) == b"first"


# --- what cannot be written -----------------------------------------------------------------------

FILL = """
place, kind = sys.argv[1:]
size = "size=16k" if kind == "full" else "size=1m"
subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", place], check=True)
version = put("token", b"old", ABSENT)
if kind == "full":
    try:
        open(os.path.join(place, "ballast"), "wb", 0).write(b"x" * 1_000_000)
    except OSError:
        pass
else:
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
put("other", b"x" * 4000, ABSENT)
put("token", b"x" * 4000)
put("token", b"x" * 4000, version)
print(content("token").decode(), len(os.listdir(place)))
"""

UNREPLACEABLE = """
for key in ("a k", "a k.login"):
    put(key, b"x", ABSENT)
subprocess.run(["sh", "-c", sys.argv[2]], cwd=sys.argv[1], check=True)
put("a k.login", b"held", store.get("a k.login", deadline=soon).version)
put("a k", b"y")
print(*(content(key).decode() for key in ("a k", "a k.login")))
put("other.login", b"held", ABSENT)
"""


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_that_takes_no_write_is_told(tmp_path: Path, kind: str) -> None:
    """A real file system of its own; the old content stays, and nothing half-written."""
    said = [f"StoreWriteError {kind} False {key}" for key in ("other", "token", "token")]
    lines = run(FILL, str(tmp_path), kind, unshared=True)
    assert lines == [*said, f"old {2 if kind == 'full' else 1}"]


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
    said = ["StoreWriteError read-only False a k"] * 2
    assert run(UNREPLACEABLE, str(tmp_path), then, unshared=True) == [*said, "x x"]


@pytest.mark.parametrize(
    ("number", "flag", "mode", "reason"),
    [
        *((errno.EPERM, flag, 0o700, "read-only") for flag in ("i k", "a k", "i .", "a .")),
        (errno.EPERM, "", 0o1777, "forbidden"),
        (errno.EACCES, "", 0o755, "forbidden"),
    ],
)
def test_what_may_not_be_replaced_keeps_the_lock_from_being_taken(
    monkeypatch: pytest.MonkeyPatch, number: int, flag: str, mode: int, reason: str
) -> None:
    """Immutable, append-only, or another user's; where root alone can try, the answer is given."""

    def take() -> object:
        if not flag and os.geteuid() == 0:
            os.setuid(_NOBODY)
        with pytest.raises(StoreWriteError) as caught:
            create(open_store(root), b"held", LOCK)
        return caught.value.reason, caught.value.landed, caught.value.key

    def refuse(_: str) -> NoReturn:
        raise OSError(number, "no")

    def change(sign: str) -> bool:
        command = ["chattr", sign + flag[0], flag[2:]]
        return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0

    with tempfile.TemporaryDirectory() as root, monkeypatch.context() as patch:
        create(open_store(root), b"x", "k")
        os.chmod(root, mode)
        tried = change("+") if flag else os.geteuid() == 0
        if not tried:
            patch.setattr(os, "rmdir", refuse)
        told = in_a_child(take)
        patch.undo()
        if tried and flag:
            change("-")
        assert told == (reason, False, "k")
        assert os.listdir(root) == ["k"]


# --- mounts that hang, threads, descriptors, clocks -----------------------------------------------


def mounted_as(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Have the system tell that everything is on a mount of a kind."""
    real = builtins.open
    told = f"1 1 0:1 / / rw - nfs x rw\n2 1 0:2 / / rw shared:1 - {kind} x rw\n".encode()

    def open_mounts(path: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - open's
        return (
            io.BytesIO(told) if path == "/proc/self/mountinfo" else real(path, *arguments, **more)
        )

    monkeypatch.setattr(builtins, "open", open_mounts)


class Mount:
    """Stands in for a network mount that hangs: every file below it opens when it is back."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin in good health."""
        self.waiting = 0
        self.reached, self.back = threading.Event(), threading.Event()
        self._root, self._open = str(root), os.open
        self.back.set()
        mounted_as(monkeypatch, "nfs4")
        monkeypatch.setattr(os, "open", self._wait)

    def _wait(self, path: Any, *arguments: Any, **more: Any) -> int:  # noqa: ANN401 - os.open's
        if str(path).startswith(self._root) and not self.back.is_set():
            self.waiting += 1
            self.reached.set()
            self.back.wait(60)
            self.waiting -= 1
        return self._open(path, *arguments, **more)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Hang for the time of a block."""
        self.back.clear()
        self.reached.clear()
        try:
            yield
        finally:
            self.back.set()


def test_a_mount_that_hangs_holds_no_call_and_takes_one_thread(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried; when it is back, all goes on, and nothing is written late."""
    mount = Mount(tmp_path, monkeypatch)
    seen = create(store, b"old", "k")
    for key, expect in (("k", ANY), ("k", seen), ("new", ABSENT)):
        with mount.hanging():
            with pytest.raises(StoreUnavailable) as caught:
                store.put(key, b"late", expect, deadline=within(0.1))
            assert (caught.value.reason, caught.value.landed) == ("timeout", True)
            assert mount.reached.wait(60)
            for _ in range(3):
                with pytest.raises(StoreUnavailable) as caught:
                    store.get("k", deadline=within(0.01))
                assert (caught.value.reason, caught.value.landed) == ("timeout", False)
            assert mount.waiting == 1
        assert (content(store), content(store, "new")) == (b"old", None)
        assert os.listdir(tmp_path) == ["k"]


def test_a_forked_child_does_not_wait_for_its_parents_call(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That hangs in a thread which the child does not have."""
    mount = Mount(tmp_path, monkeypatch)
    create(store, b"old", "k")

    def work() -> object:
        mount.back.set()
        return content(store)

    with mount.hanging():
        with pytest.raises(StoreUnavailable):
            store.put("k", b"late", ANY, deadline=within(0.1))
        assert in_a_child(work) == b"old"


def test_where_no_thread_can_be_started_a_local_call_is_made_without_one(
    store: TokenStore, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """As at the exit of the interpreter; most mounts never hang."""
    with no_threads():
        create(store, b"content", "k")
        assert content(store) == b"content"


@pytest.mark.parametrize(("kind", "threads"), [("ext4", 1), ("nfs4", 3)])
def test_a_disk_is_known_and_costs_no_thread(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, kind: str, threads: int
) -> None:
    """After the first call for a key; a mount of any other kind keeps its thread."""
    started = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    mounted_as(monkeypatch, kind)
    monkeypatch.setattr(threading.Thread, "start", note)
    for _ in range(3):
        assert content(store) is None
    assert len(started) == threads


CROWDED = """
import resource
put("k", b"x", ABSENT)
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.dup(0)
os.close(free)

def read_in_a_crowd():
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
    try:
        store.get("k", deadline=soon)
    except StoreError as error:
        found = error
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    print(type(found).__name__, found.reason, found.landed)

read_in_a_crowd()
os.mkdir(os.path.join(sys.argv[1], "d"))
try:
    store.get("d", deadline=soon)
except StoreError:
    read_in_a_crowd()
print(content("k").decode())
"""


def test_with_no_descriptor_left_the_error_is_still_ours(tmp_path: Path) -> None:
    """Not even a module can be loaded then, as those that know the words for other errors are."""
    assert run(CROWDED, str(tmp_path)) == ["StoreUnavailable busy False"] * 2 + ["x"]


def test_the_time_is_the_file_systems_own(tmp_path: Path, store: TokenStore) -> None:
    """It agrees with that of a file just written, and leaves nothing behind; it may be unknown."""
    create(store, b"x", "k")
    modified = read(store, "k").modified
    now = store.server_now(deadline=within(5))
    assert modified is not None
    assert now is not None
    assert 0 <= now - modified < 60
    assert os.listdir(tmp_path) == ["k"]
    assert store.on_this_machine
    assert open_store(tmp_path / "none").server_now(deadline=within(5)) is None


def test_the_clock_is_that_of_the_tokens_own_directory() -> None:
    """The root above it may be nobody's to write to."""

    def look() -> object:
        if os.geteuid() == 0:  # whom no mode keeps out
            os.setuid(_NOBODY)
        store = open_store(root)
        before = store.server_now(deadline=within(30))
        store.get("bot/token", deadline=within(30))
        return before, store.server_now(deadline=within(30))

    with tempfile.TemporaryDirectory() as root:
        home = os.path.join(root, "bot")
        os.mkdir(home)
        create(open_store(root), b"x", "bot/token")
        if os.geteuid() == 0:
            for path in (home, os.path.join(home, "token")):
                os.chown(path, _NOBODY, -1)
        os.chmod(root, 0o555)
        written = os.stat(os.path.join(home, "token")).st_mtime
        before, now = cast("tuple[float | None, float]", in_a_child(look))
        os.chmod(root, 0o700)
    assert before is None
    assert abs(now - written) < 60
