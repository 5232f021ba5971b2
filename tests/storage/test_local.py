"""Local files: what only they can do wrong."""

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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import DEFAULT, Mock

import pytest
from programs import run
from within import within

from betfair_session.exceptions import (
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.storage import local, local_files, open_store
from betfair_session.storage.contract import ABSENT, ANY, TokenStore, VersionConflict
from storage.contract import assert_conflict, create, delete, failure, get, put, read
from storage.surroundings import in_a_child

_NOBODY = 65534
LOCK = "token.login"


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return open_store(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write the directory could have the token, or the lock, overwrite any file."""
    precious, (token, lock) = tmp_path / "precious", (tmp_path / name for name in ("token", LOCK))
    store = open_store(tmp_path)
    precious.write_text("precious")
    lock.symlink_to(precious)
    put(store, b"held", key=LOCK)
    assert not lock.is_symlink()
    token.symlink_to(precious)
    other, lstat = os.geteuid() + 1, os.lstat

    def by_another(path: Any) -> Any:  # noqa: ANN401 - os.lstat's
        found = lstat(path)
        planted = path == str(token)
        return os.stat_result((*found[:4], other, *found[5:])) if planted else found

    monkeypatch.setattr(os, "lstat", by_another)
    for call in ("read", "replace"):
        assert failure(call, store).reason == "forbidden"
    assert precious.read_text() == "precious"


def test_all_links_to_a_token_share_its_lock(tmp_path: Path) -> None:
    for name in ("real", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "token").symlink_to(tmp_path / "real" / "token")
    for name in ("real", "other"):
        put(open_store(tmp_path / name), name.encode(), key=LOCK)
    assert (tmp_path / "real" / LOCK).read_text() == "other"


# --- writers that stop half-way -------------------------------------------------------------------


def start_writer(store: TokenStore, number: signal.Signals) -> int:
    """Fork a writer that a signal stops between comparing and renaming; return its process id."""
    process = os.fork()
    if process == 0:
        ended, rename = 2, os.replace

        def stop_first(*paths: str) -> None:
            os.replace = rename
            # To this thread: a signal to the process may reach another one, and later.
            signal.pthread_kill(threading.get_ident(), number)
            rename(*paths)

        os.replace = stop_first  # type: ignore[assignment]
        try:
            put(store, b"late", read(store).version)
            ended = 0
        except VersionConflict:
            ended = 1
        finally:
            os._exit(ended)
    os.waitpid(process, os.WUNTRACED)
    return process


@pytest.mark.parametrize("changed", [True, False])
def test_a_frozen_writer_neither_blocks_nor_overwrites(
    tmp_path: Path, store: TokenStore, *, changed: bool
) -> None:
    """It has compared and holds the directory's lock; if nothing changed meanwhile, it writes."""
    version = create(store, b"old")
    process = start_writer(store, signal.SIGSTOP)
    try:
        if changed:
            store.put("token", b"new", version, deadline=within(4))
    finally:
        os.kill(process, signal.SIGCONT)
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == changed, "it met a conflict, or wrote"
    assert read(store).content == (b"new" if changed else b"late")
    assert os.listdir(tmp_path) == ["token"]


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path, store: TokenStore) -> None:
    """The next write of the same key does it, and touches no other files."""
    create(store)
    start_writer(store, signal.SIGKILL)
    assert len(os.listdir(tmp_path)) == 2
    tail = ".0123456789abcdef"
    others = [".token.attrs", f".token{tail}.txt", f".tokens{tail}.attrs", ".token.x.attrs"]
    for name in (*others, f".token{tail}.attrs"):
        (tmp_path / name).touch(0o600)
    put(store, b"new")
    assert sorted(os.listdir(tmp_path)) == sorted(["token", *others])


def test_a_child_forked_during_a_write_keeps_nobody_waiting(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the directory open, too, and so holds the lock that its parent took."""
    waiting, ending = os.pipe()
    children: list[int] = []
    fsync = os.fsync

    def fork_first(descriptor: int) -> None:
        children.append(os.fork())
        if children[-1] == 0:
            os.close(ending)
            os.read(waiting, 1)  # returns when no process holds the other end any more
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


def test_a_delete_that_comes_late_still_keeps_writers_out(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a frozen process: between its comparison and its removal no other may write."""
    version = create(store)
    unlink = os.unlink

    def look(path: str) -> None:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        unlink(path)

    monkeypatch.setattr(os, "unlink", look)
    store.delete("token", version, deadline=within(0))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["create", "replace"])
def test_a_write_that_ctrl_c_interrupts_leaves_no_token(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, "fsync", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        failure(call, store)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["create", "replace"])
def test_a_write_whose_file_is_always_taken_away_ends(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, "replace", Mock(side_effect=FileNotFoundError()))
    monkeypatch.setattr(local, "_GRACE_SECONDS", 60)  # that a busy machine may need
    error = failure(call, store, timeout=1)
    assert (error.reason, error.landed) == ("timeout", False)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_file_that_cannot_be_looked_at_is_not_taken_for_a_missing_one(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on a network mount for a moment: it would be replaced."""
    create(store, b"theirs")

    def lost(path: str, **named: Any) -> os.stat_result:  # noqa: ANN401 - as the original's
        if str(path).endswith("token"):
            raise OSError(number, "not now", path)
        return look(path, **named)

    look = os.lstat
    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lost)
        with pytest.raises(StoreError):
            create(store, b"mine")
    assert read(store).content == b"theirs"


def test_a_writer_that_is_fenced_waits_no_longer_than_its_call(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that never happened would be told as one that may have landed."""
    waits = list[float]()
    monkeypatch.setattr(os, "replace", Mock(side_effect=FileNotFoundError))
    monkeypatch.setattr(local_files, "sleep_up_to", waits.append)
    assert not failure("create", store, timeout=0.5).landed
    assert max(waits) <= 0.5


def test_a_writer_that_is_fenced_waits_longer_each_time(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a crowd on a mount without locks would fence each other until their time ends."""
    fenced, waits = [*[FileNotFoundError()] * 8, DEFAULT], list[float]()
    monkeypatch.setattr(os, "replace", Mock(wraps=os.replace, side_effect=fenced))
    monkeypatch.setattr(local_files, "sleep_up_to", waits.append)
    create(store, b"mine")
    assert waits == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 1.28]


@pytest.mark.parametrize("locks", [True, False])
def test_of_writers_that_meet_one_wins(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch, *, locks: bool
) -> None:
    """Some network mounts have no locks; no mount needs hard links."""

    def write(writer: int) -> bytes | None:
        line.wait()
        with contextlib.suppress(VersionConflict):
            content = b"%d" % writer
            put(store, content, found.version) if found else create(store, content)
            return content
        return None

    monkeypatch.setattr(os, "link", Mock(side_effect=OSError(errno.EPERM, "not here")))
    if not locks:
        monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "not here")))
    line = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            if turn % 2 == 0:
                delete(store)
            found = get(store)
            assert (found is None) == (turn % 2 == 0)
            written = set(pool.map(write, range(10 * turn, 10 * turn + 8))) - {None}
            assert written == {read(store).content}
    assert os.listdir(tmp_path) == ["token"]


@pytest.mark.parametrize("late", [False, True])
def test_an_absent_object_is_made_by_one_writer(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """Another may write while the first is frozen, just before its rename or before its fence."""
    won = list[bytes]()

    def write_theirs(step: Callable[..., None], *given: str, **named: str) -> None:
        monkeypatch.undo()
        with contextlib.suppress(VersionConflict):
            create(store, b"theirs")
            won.append(b"theirs")
        step(*given, **named)

    module, name = (os, "replace") if late else (local_files, "fence")
    monkeypatch.setattr(module, name, partial(write_theirs, getattr(module, name)))
    with contextlib.suppress(VersionConflict):
        create(store, b"mine")
        won.append(b"mine")
    assert won == [b"theirs"] == [read(store).content]


@pytest.mark.parametrize("call", [create, put])
def test_what_fails_after_a_write_does_not_undo_it(
    store: TokenStore, monkeypatch: pytest.MonkeyPatch, call: Callable[..., str]
) -> None:
    """Such as the sweep of a directory that may not be listed, or the end of a network mount."""
    if call is put:
        create(store, b"old")
    placed = False

    def fails_later(known: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: object) -> object:
            if placed:
                raise PermissionError
            return known(*given)

        return step

    def place(*paths: str, known: Callable[..., None]) -> None:
        nonlocal placed
        known(*paths)
        placed = True

    for module, name in ((os, "scandir"), (os, "unlink"), (fcntl, "flock")):
        monkeypatch.setattr(module, name, fails_later(getattr(module, name)))
    monkeypatch.setattr(os, "replace", partial(place, known=os.replace))
    version = call(store, b"new")
    monkeypatch.undo()
    found = read(store)
    assert (found.content, found.version) == (b"new", version)


def test_the_same_content_is_renewed_in_place_and_only_in_the_version_that_was_read(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that knows no fences may come at any time, and its file stays as it is."""
    version, file = create(store, b"content"), tmp_path / "token"
    before = file.stat()
    os.utime(file, ns=(0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", Mock(side_effect=AssertionError("it may be another by now")))
        assert put(store, b"content", version) == version
    after = file.stat()
    assert after.st_mtime_ns >= before.st_mtime_ns
    assert after.st_ino == before.st_ino
    file.write_bytes(b"another")
    assert_conflict(lambda: put(store, b"content", version))
    assert file.read_bytes() == b"another"
    file.unlink()
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
    create(store)
    put(store, b"new")
    vanished = seen - set(os.listdir(tmp_path))
    assert len(vanished) == 2
    assert all(name.endswith(".attrs") for name in vanished)
    for key in ("k.attrs", "k.attrs.login"):
        for call in (get, delete):
            with pytest.raises(ConfigurationError):
                call(store, key=key)
    assert os.listdir(tmp_path) == ["token"]


@pytest.mark.parametrize("umask", [0, 0o177, 0o777], ids=oct)
def test_files_and_new_directories_are_only_for_their_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """0600 and 0700 with any umask, even if another process has just made the directory."""
    make = os.mkdir

    def be_late(path: str, *arguments: Any) -> None:  # noqa: ANN401 - os.mkdir's
        make(path, *arguments)
        make(path, *arguments)

    tmp_path.chmod(0o755)
    before = os.umask(umask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "mkdir", make if umask else be_late)
            store = open_store(tmp_path / "a" / "b")
            put(store, b"y", create(store, b"x", "c/k"), "c/k")
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
    for key in ("token", "new/token", LOCK):
        version = create(store, b"one", key)
        os.chown(home / key, *owner)  # for a user who is not root
        os.chmod(home / key, 0o664)
        put(store, b"two", version, key)
        found = (home / key).stat()
        assert (found.st_uid, found.st_gid, mode(home / key)) == (*owner, 0o660)
    create(store, b"one", "other/token")
    if os.geteuid() == 0:
        assert {(path.stat().st_uid, path.stat().st_gid) for path in home.rglob("*")} == {owner}


def test_a_group_that_is_not_mine_to_give_gets_no_rights(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were another group's; and where everyone may write, the old file proves nothing."""
    file, status, others = tmp_path / "token", os.stat, (os.geteuid() + 1, os.getegid() + 1)
    create(store)
    file.chmod(0o660)

    def of_another(path: Any, **more: Any) -> Any:  # noqa: ANN401 - os.stat's
        found = status(path, **more)
        other = os.stat_result((*found[:4], *others, *found[6:]))
        return other if path == str(file) else found

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", of_another)
        patch.setattr(os, "fchown", Mock(side_effect=PermissionError()))
        put(store, b"two")
    assert mode(file) == 0o600
    file.chmod(0o660)
    tmp_path.chmod(0o1777)
    put(store, b"three")
    assert mode(file) == 0o600


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="only where Linux keeps such lists")
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("old", [b"a list", b""], ids=["its own", "the directory's"])
def test_the_list_of_who_may_read_a_file_is_kept(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch, old: bytes, *, kept: bool
) -> None:
    """With one, the group's bits of its mode are a mask; without it they would be its rights.

    A new file may inherit one of the directory's, which the old file does not have.
    """
    create(store)
    (tmp_path / "token").chmod(0o640)
    done = Mock(side_effect=None if kept else OSError(errno.ENOTSUP, "no"))
    found = Mock(side_effect=lambda file, _: old if isinstance(file, str) else b"inherited")
    monkeypatch.setattr(os, "getxattr", found)
    monkeypatch.setattr(os, "setxattr" if old else "removexattr", done)
    put(store, b"two")
    ((_, *given),) = (call.args for call in done.call_args_list)
    assert given == ["system.posix_acl_access", *([old] if old else [])]
    assert mode(tmp_path / "token") == (0o640 if kept else 0o600)


def test_a_file_whose_time_is_not_mine_to_set_is_replaced(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user's in a group's directory: so its verification is shared, too."""
    version = create(store)
    os.utime(tmp_path / "token", ns=(0, 0))
    monkeypatch.setattr(os, "utime", Mock(side_effect=PermissionError(errno.EPERM, "no")))
    assert put(store, b"first", version) == version
    assert (tmp_path / "token").stat().st_mtime > 0


def test_a_mount_without_modes_is_found_before_anything_is_stored(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later call would read what is written there; no lock is left for others to wait for."""
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
    assert read(allowed, LOCK).content == b"held"


def test_a_file_that_everybody_may_change_or_read_is_noticed(
    tmp_path: Path, store: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone could have put the token there, or can read it; some mounts cannot do better."""
    file = tmp_path / "token"
    file.write_bytes(b"token")
    file.chmod(0o666)
    error = failure("read", store)
    assert (error.store, error.reason, error.landed) == (str(tmp_path), "forbidden", False)
    assert read(open_store(tmp_path, {"allow_world_writable": True})).content == b"token"
    file.chmod(0o640)
    assert read(store).content == b"token"
    assert caplog.records == []
    file.chmod(0o644)
    assert [read(store).content for _ in range(2)] == [b"token"] * 2
    (record,) = caplog.records
    assert (record.levelno, str(file) in record.getMessage()) == (logging.WARNING, True)


def test_a_link_is_followed(tmp_path: Path, store: TokenStore) -> None:
    real = tmp_path / "elsewhere" / "real"
    real.parent.mkdir()
    (tmp_path / "token").symlink_to(real)
    assert get(store) is None
    put(store, b"two", create(store))
    assert (tmp_path / "token").is_symlink()
    assert real.read_bytes() == b"two"
    assert os.listdir(real.parent) == ["real"]


@pytest.mark.parametrize(
    "write", [lambda store, version: put(store, b"late", version), delete], ids=["put", "delete"]
)
def test_a_link_that_moves_during_a_write_hides_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[TokenStore, str], object]
) -> None:
    """As with a directory of releases: the file that is locked is compared and replaced."""
    link, old, new = (tmp_path / name for name in ("link", "old", "new"))
    for place in (old, new):
        place.mkdir(mode=0o700)
        (place / "token").write_bytes(b"one")
        (place / "token").chmod(0o600)
    link.symlink_to(old)
    store = open_store(link)
    version = read(store).version
    (old / "token").write_bytes(b"changed")
    lock = local_files.directory_lock

    def locked(*given: Any) -> AbstractContextManager[None]:  # noqa: ANN401 - passed on
        link.unlink()
        link.symlink_to(new)
        return lock(*given)

    monkeypatch.setattr(local_files, "directory_lock", locked)
    with pytest.raises(VersionConflict):
        write(store, version)
    assert (old / "token").read_bytes() == b"changed"


@pytest.mark.parametrize("what", ["directory", "pipe"])
def test_what_is_no_file_is_refused(tmp_path: Path, store: TokenStore, what: str) -> None:
    """A directory in the token's place, or a pipe that would block its reader; none stays open."""
    path = tmp_path / "token"
    path.mkdir() if what == "directory" else os.mkfifo(path, 0o600)
    open_files = os.listdir("/proc/self/fd")
    for call in ("read", "replace_if_version"):
        error = failure(call, store, "version")
        assert (error.reason, error.landed) == ("other", False)
        assert (error.store, error.key) == (str(tmp_path), "token")
    assert len(os.listdir("/proc/self/fd")) == len(open_files)


def test_a_pipe_in_the_place_of_the_directory_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    store = open_store(str(tmp_path / "pipe"))
    assert failure("create", store, timeout=30).reason == "other"
    with pytest.raises(StoreUnavailable):
        get(store)
    with pytest.raises(StoreWriteError):
        store.delete("token", deadline=within(30))


# --- what cannot be written -----------------------------------------------------------------------

UNWRITABLE = """
import os, subprocess, sys, time
from betfair_session.exceptions import StoreWriteError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY
place, *commands = sys.argv[1:]
soon, store = time.monotonic() + 50, open_store(place)

def put(key, content, expect=ANY):
    try:
        return store.put(key, content, expect, deadline=soon)
    except StoreWriteError as error:
        print(error.reason, error.key, *["landed"] * error.landed)

def shell(command):
    subprocess.run(["sh", "-c", command], cwd=place, check=True)

shell(commands[0])
version = put("a k", b"x", ABSENT)
put("a k.login", b"x", ABSENT)
shell(commands[1])
put("other", b"x" * 4000, ABSENT)
put("a k.login", b"held" * 1000)
put("a k", b"y" * 4000)
put("a k", b"y" * 4000, version)
kept = [bytes(store.get(key, deadline=soon).content) for key in ("a k", "a k.login")]
print(kept, [each for each in os.listdir(place) if each[0] == "."])
"""
_DISK = "mount -t tmpfs -o size=16k none ."
_FILL = "cat /dev/zero > ballast 2> /dev/null || true"
_ITSELF = "mount --bind 'a k' 'a k'"
_LINK = "mkdir ro; mv 'a k'* ro; ln -s ro/'a k' .; mount --bind ro ro; mount -o remount,bind,ro ro"
_THE_TOKEN = ["read-only a k"] * 3


@pytest.mark.parametrize(
    ("before", "then", "told"),
    [
        (_DISK, _FILL, ["full other", "full a k.login", "full a k", "full a k"]),
        (_DISK, "mount -o remount,bind,ro .", ["read-only other", *_THE_TOKEN]),
        ("true", _ITSELF, _THE_TOKEN),
        ("true", _LINK, _THE_TOKEN),
    ],
)
def test_what_cannot_be_written_is_told(
    tmp_path: Path, before: str, then: str, told: list[str]
) -> None:
    """The old content stays; a token that cannot be replaced keeps the lock from being taken."""
    program = ("unshare", "-Urm", sys.executable, "-c", UNWRITABLE)
    done = run(*program, str(tmp_path), before, then, directory=tmp_path)
    assert (done.stderr, done.stdout.splitlines()) == ("", [*told, "[b'x', b'x'] []"])


@pytest.mark.parametrize(
    ("number", "flag", "mode", "reason"),
    [
        *((errno.EPERM, flag, 0o700, "read-only") for flag in ("i token", "a .")),
        (errno.EPERM, "", 0o1777, "forbidden"),
        (errno.EACCES, "", 0o755, "forbidden"),
    ],
)
def test_what_may_not_be_replaced_keeps_the_lock_from_being_taken(
    monkeypatch: pytest.MonkeyPatch, number: int, flag: str, mode: int, reason: str
) -> None:
    """Immutable, append-only, or another user's; where only root can make one, it is simulated."""

    def take() -> object:
        if not flag and os.geteuid() == 0:
            os.setuid(_NOBODY)
        with pytest.raises(StoreWriteError) as caught:
            create(open_store(root), b"held", LOCK)
        return caught.value.reason, caught.value.landed, caught.value.key

    def change(sign: str) -> bool:
        command = ["chattr", sign + flag[0], flag[2:]]
        return subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == 0

    with tempfile.TemporaryDirectory() as root, monkeypatch.context() as patch:
        create(open_store(root))
        os.chmod(root, mode)
        tried = change("+") if flag else os.geteuid() == 0
        if not tried:
            patch.setattr(os, "rmdir", Mock(side_effect=OSError(number, "no")))
        told = in_a_child(take)
        patch.undo()
        if tried and flag:
            change("-")
        assert told == (reason, False, "token")
        assert os.listdir(root) == ["token"]


# --- mounts that hang, threads, descriptors, clocks -----------------------------------------------


def mounted_as(monkeypatch: pytest.MonkeyPatch, kind: str, place: Path) -> None:
    """Make the system say that a place is a mount of a kind, and all around it a disk.

    Another mount in that place has a name with which those of test directories begin.
    """
    real = builtins.open
    named = str(place).replace("t", r"\164").replace(" ", r"\040")  # as Linux shows a blank
    disk = "1 1 0:1 / / rw - nfs x rw\n2 1 0:2 / / rw shared:1 - ext4 x rw\n"
    told = f"{disk}3 2 0:3 / {named} rw - {kind} x rw\n4 3 0:4 / {named}/t rw - nfs x rw\n".encode()

    def open_mounts(path: Any, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - open's
        return (
            io.BytesIO(told) if path == "/proc/self/mountinfo" else real(path, *arguments, **more)
        )

    monkeypatch.setattr(builtins, "open", open_mounts)


def test_a_mount_that_hangs_holds_no_call_and_takes_one_thread(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is back, all goes on and nothing is written late; no forked child waits for it."""
    reached, back, waiting = threading.Event(), threading.Event(), list[str]()
    really = os.open

    def wait_for_it(path: Any, *arguments: Any, **more: Any) -> int:  # noqa: ANN401 - os.open's
        if str(path).startswith(str(tmp_path)) and not back.is_set():
            waiting.append(path)
            reached.set()
            back.wait(60)
        return really(path, *arguments, **more)

    def work() -> object:
        back.set()
        return bytes(read(store).content)

    mounted_as(monkeypatch, "nfs4", tmp_path)
    seen = create(store, b"old")
    monkeypatch.setattr(os, "open", wait_for_it)
    for key, expect in (("token", ANY), ("token", seen), ("new", ABSENT)):
        for each in (reached, back):
            each.clear()
        waiting.clear()
        try:
            with pytest.raises(StoreUnavailable) as caught:
                store.put(key, b"late", expect, deadline=within(0.3))
            assert (caught.value.reason, caught.value.landed) == ("timeout", True)
            assert reached.wait(60)
            for _ in range(3):
                error = failure("read", store, timeout=0)
                assert (error.reason, error.landed) == ("timeout", False)
            assert len(waiting) == 1
            if expect is ANY:
                assert in_a_child(work) == b"old"
        finally:
            back.set()
        assert (read(store).content, get(store, "new")) == (b"old", None)
        assert os.listdir(tmp_path) == ["token"]


def test_where_no_thread_can_be_started_a_local_call_is_made_without_one(
    store: TokenStore, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    with no_threads():
        create(store)
        assert read(store).content == b"first"


# --- Windows, as its documentation says that it is -----------------------------------------------


def test_a_share_that_is_gone_is_no_missing_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows tells of both by FileNotFoundError; a logout must not report success."""
    store = open_store(tmp_path / "tokens")
    assert get(store) is None
    delete(store, ANY)
    monkeypatch.setattr(os.path, "splitdrive", lambda path: (f"{tmp_path}/Z:", path))
    works: list[Callable[[], object]] = [lambda: get(store), lambda: delete(store, ANY)]
    for work in works:
        with pytest.raises(StoreUnavailable) as caught:
            work()
        assert (caught.value.reason, caught.value.landed) == ("no-bucket", False)


def test_a_drive_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its root has no parent to be made in."""
    monkeypatch.setattr(os.path, "isdir", lambda _: False)
    monkeypatch.setattr(os, "mkdir", Mock(side_effect=FileNotFoundError))
    with pytest.raises(FileNotFoundError):
        local_files.make_directory("/tokens")


def test_what_another_program_has_open_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be removed: a writer whose file that is could still rename it."""
    token, other = tmp_path / "token", tmp_path / f".token.{16 * 'a'}.attrs"
    for each in (token, other):
        each.touch()
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        windows.setattr(os, "rmdir", Mock(side_effect=PermissionError(errno.EACCES, "open")))
        assert local_files.obstacle(str(token)) is None
        local_files.fence(str(token))
        assert not other.exists()
        other.touch()
        windows.setattr(os, "unlink", Mock(side_effect=PermissionError))
        with pytest.raises(PermissionError):
            local_files.fence(str(token))


@pytest.mark.parametrize(("kind", "threads"), [("ext4", 1), ("nfs4", 6)])
def test_a_disk_is_known_and_costs_no_thread(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch, kind: str, threads: int
) -> None:
    """After the first call for a key; a mount of any other kind keeps its thread."""
    started: list[threading.Thread] = []
    run = threading.Thread.run
    mounted_as(monkeypatch, kind, tmp_path.parent)
    monkeypatch.setattr(threading.Thread, "run", lambda each: started.append(each) or run(each))  # type: ignore[func-returns-value]
    for _ in range(3):
        assert store.server_now(deadline=within(30))
    for _ in range(3):
        assert get(store) is None
    assert len(started) == threads


def test_the_time_is_the_file_systems_own(
    tmp_path: Path, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the token's own directory: the root above it may not be writable."""
    create(store)
    modified = read(store).modified
    monkeypatch.chdir(tmp_path)
    deep = open_store("/proc")
    assert deep.server_now(deadline=within(30)) is None
    assert read(deep, "self/cwd/token").modified == modified
    for each in (store, deep):
        now = each.server_now(deadline=within(30))
        assert modified is not None
        assert now is not None
        assert 0 <= now - modified < 60
    assert os.listdir(tmp_path) == ["token"]
    assert store.on_this_machine
    assert open_store(tmp_path / "none").server_now(deadline=within(30)) is None
