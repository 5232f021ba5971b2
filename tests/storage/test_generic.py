"""Any fsspec filesystem: what happens when it raises, loses, hangs or keeps something."""

from __future__ import annotations

import asyncio
import errno
import ftplib
import os
import sys
import threading
import time
from asyncio import CancelledError
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import fsspec
import pytest
import requests
from botocore.exceptions import HTTPClientError
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.ftp import FTPFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from servers.listeners import Listener, answer, saying
from servers.process import HOST, poll
from urllib3.exceptions import ConnectTimeoutError

from betfair_session import ConfigurationError, StoreUnavailable, StoreWriteError
from betfair_session.process.threads import run_until
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, TokenStore
from betfair_session.storage.generic import GenericStore
from storage.contract import (
    CALLS,
    WRITES,
    Contract,
    OwnFilesystem,
    all_fail,
    assert_conflict,
    create,
    delete,
    failure,
    get,
    put,
    read,
)
from storage.places import TIMEOUT, LocalPlace
from storage.plain import Plain
from storage.surroundings import in_a_child


class TestPlain(Contract, OwnFilesystem):
    """A kind that is not known to be safe: one login per process."""

    atomic = False

    @pytest.fixture
    def place(self, tmp_path: Path, plain: type[Plain]) -> LocalPlace:
        del plain
        (tmp_path / "place").mkdir()
        return LocalPlace(tmp_path / "place", "plain")


def once(*errors: Exception) -> Mock:
    """Return a function that fails so the first times; see Plain.before."""
    return Mock(side_effect=chain(errors, repeat(None)))


def failing(
    error: BaseException, kind: type[Any] = MemoryFileSystem, root: str = "/"
) -> TokenStore:
    """Return a store on a filesystem of a kind on which everything fails so."""
    names = ("cat_file", "pipe_file", "rm_file", "makedirs", "ls")
    methods = dict.fromkeys(names, Mock(side_effect=error))
    return open_store((type("Failing", (kind,), methods)(skip_instance_cache=True), root))


class UnheardError(Exception):
    """An exception of a driver that does not exist, and that cannot even say anything."""

    status = "²"  # a digit to Python, and no number

    def __str__(self) -> str:
        raise ValueError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def paramikos(name: str, base: type[Exception] = Exception) -> Exception:
    """Return an error of fsspec's own driver for sftp."""
    error: Exception = type(name, (base,), {"__module__": "paramiko.ssh_exception"})("x")
    return error


def answered(status: int) -> Exception:
    """Return an HTTP answer without a code, as a WebDAV server gives it."""
    response: Any = SimpleNamespace(status_code=status, headers={})
    return requests.HTTPError(response=response)


WINDOWS = 10_065  # that of WSAEHOSTUNREACH there
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
ERRORS: list[tuple[Exception, str, bool]] = [
    (UnheardError("x"), "other", True),
    (OSError(errno.EACCES, "x"), "forbidden", False),
    (OSError(errno.EROFS, "x"), "read-only", False),
    (OSError(errno.ENOSPC, "x"), "full", False),
    (OSError(errno.EDQUOT, "x"), "full", False),
    (OSError(errno.EBUSY, "x"), "busy", False),
    (OSError(errno.EMFILE, "x"), "busy", False),
    (OSError(errno.ENOTDIR, "x"), "other", False),
    (OSError(WINDOWS, "x"), "unreachable", False),
    (OSError(errno.EIO, "x"), "server", True),
    (OSError(errno.ETIMEDOUT, "x"), "timeout", True),
    (OSError(errno.ECONNRESET, "x"), "unreachable", True),
    (OSError(errno.EHOSTUNREACH, "x"), "unreachable", False),
    (OSError("x"), "other", True),
    (TimeoutError(), "timeout", True),
    (EOFError(), "unreachable", True),
    (ftplib.error_temp("421 Timeout"), "unreachable", True),
    (ftplib.error_perm("550 Denied"), "other", False),
    (requests.ConnectionError(), "unreachable", True),
    (requests.ConnectionError(REFUSED), "unreachable", False),
    (caused(requests.ConnectionError(), REFUSED), "unreachable", False),
    (HTTPClientError(error=REFUSED), "unreachable", False),
    (paramikos("SSHException"), "unreachable", True),
    (paramikos("NoValidConnectionsError", OSError), "unreachable", False),
    (paramikos("AuthenticationException"), "forbidden", False),
    (OSError("Socket is closed"), "unreachable", True),
    (answered(401), "forbidden", False),
    (answered(405), "other", False),
    (answered(423), "busy", False),
    (answered(507), "full", False),
    (answered(502), "server", True),
    (ValueError("x"), "other", True),
]


@pytest.mark.parametrize(("error", "reason", "landed"), ERRORS, ids=repr)
def test_what_a_driver_raises_becomes_ours(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch, *, landed: bool
) -> None:
    """A write may have landed; if the driver may repeat, after all but certain refusals."""
    monkeypatch.setitem(errno.errorcode, WINDOWS, "WSAEHOSTUNREACH")
    certain = reason == "forbidden"
    for kind, may in ((MemoryFileSystem, landed), (Plain, not certain)):
        store = failing(error, kind)
        for call in CALLS:
            ours = failure(call, store, "1")
            told = (ours.reason, ours.landed, ours.key, ours.store)
            key = "fresh" if call == "create" else "token"
            assert told == (reason, may and call != "read", key, store.label), (call, kind)
            refusal = reason in {"forbidden", "read-only", "full", "other"} and call != "read"
            assert type(ours) is (StoreWriteError if refusal else StoreUnavailable)


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, CancelledError])
def test_what_ends_a_drivers_thread_ends_no_other(kind: type[BaseException]) -> None:
    """It comes from no signal handler, and cancels no task: it is an error like an unknown one."""
    all_fail(failing(kind("x"), Plain), "other", landed=True)


class OddOSError(OSError):
    """As smbprotocol's: no FileNotFoundError in spite of its number."""


@pytest.mark.parametrize(
    "error",
    [OddOSError(errno.ENOENT, "gone"), ftplib.error_perm("550 No such file or directory.")],
    ids=["smb", "ftp"],
)
def test_drivers_have_other_words_for_what_is_missing(tmp_path: Path, error: Exception) -> None:
    class Worded(Plain):
        def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
            try:
                return super().cat_file(path, **options)
            except FileNotFoundError:  # which ftp's driver says, too
                raise error if isinstance(error, OSError) else FileNotFoundError from None

        def pipe_file(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
            try:
                super().pipe_file(*arguments, **options)
            except FileNotFoundError:
                raise error from None

        def rm_file(self, path: str) -> None:
            try:
                super().rm_file(path)
            except FileNotFoundError:
                raise error from None

    store = open_store((Worded(skip_instance_cache=True), str(tmp_path / "new" / "place")))
    assert get(store) is None
    delete(store)
    create(store)
    assert read(store).content == b"first"
    delete(store)
    assert get(store) is None


def test_with_no_descriptor_left_the_error_is_still_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no module can be loaded, not even those that have the texts of errors."""
    store = failing(OSError(errno.EIO, "x"))
    crowded = Mock(find_spec=Mock(side_effect=OSError(errno.EMFILE, "too many open files")))
    monkeypatch.delitem(sys.modules, "betfair_session.storage.judging", raising=False)
    monkeypatch.setattr(sys, "meta_path", [crowded])
    all_fail(store, "busy", landed=True)


@pytest.mark.parametrize("kind", [OSError, requests.Timeout, UnheardError])
def test_what_the_caller_handles_is_no_part_of_an_error(kind: type[Exception]) -> None:
    """Inside its `except` block each error of a store has the caller's as its context."""
    store = failing(kind())
    try:
        raise ConnectTimeoutError  # noqa: TRY301 - as in a caller's program
    except ConnectTimeoutError:
        error = failure("create", store)
    assert error.landed
    assert error.reason != "timeout" or kind is requests.Timeout


class Hanging:
    """Hangs the first time, as on a connection that is only half open."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.reached, self.gate = threading.Event(), threading.Event()

    def __call__(self, name: str) -> None:
        """Hang, or not."""
        if name in self.names and not self.reached.is_set():
            self.reached.set()
            self.gate.wait(60)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_has_a_time_to_end_in(tmp_path: Path, plain: type[Plain], call: str) -> None:
    hang = plain.before = Hanging("read", "write", "delete")
    store = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    error = failure(call, store, "1", timeout=0.05)
    assert (error.reason, error.landed) == ("timeout", call in WRITES)
    assert hang.reached.wait(60)  # the abandoned thread, before the next call
    put(store, b"x", key="second")
    assert read(store, "second").content == b"x"
    hang.gate.set()


def test_of_two_threads_that_meet_one_creates(tmp_path: Path, plain: type[Plain]) -> None:
    hang = plain.before = Hanging("write")
    store = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(create, store)
        assert hang.reached.wait(60)
        second = pool.submit(assert_conflict, lambda: create(store, b"second"))
        assert not wait([second], 0.3).done
        hang.gate.set()
        assert first.result()
        second.result()
    assert read(store).content == b"first"


def test_a_lost_connection_is_no_missing_token(tmp_path: Path, plain: type[Plain]) -> None:
    """Fsspec's ftp says FileNotFoundError, once; what is really missing is missing twice."""
    store = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    create(store)
    plain.before = once(FileNotFoundError(), BrokenPipeError())
    assert failure("read", store).reason == "unreachable"
    plain.before = once(FileNotFoundError())
    assert read(store).content == b"first"
    assert get(store, "other") is None


@pytest.mark.parametrize(
    ("listing", "reason"),
    [
        (ftplib.error_temp("425 Can't open data connection."), "unreachable"),
        (ftplib.error_perm("550 Permission denied."), "other"),
        (["11-30-26  05:00PM                   24 token"], "forbidden"),
        (["-rw-r--r-- 1 u g 24 Nov 30 17:00 other"], ""),
        ([], ""),
    ],
    ids=["busy", "no-right", "windows", "another", "empty"],
)
def test_ftp_lists_nothing_where_it_could_not_list(listing: Any, reason: str) -> None:  # noqa: ANN401 - an error or lines
    """Fsspec's driver hides the server's refusal: a live token would be replaced."""

    def lines(path: str, tell: Callable[[str], object]) -> None:
        assert path.startswith("/")  # as the driver itself names it, from the root
        if isinstance(listing, Exception):
            raise listing
        for line in listing:
            tell(line)

    class Ftp(FTPFileSystem):  # type: ignore[misc] # fsspec is untyped
        def _connect(self) -> None:
            no_mlsd = Mock(side_effect=ftplib.error_perm("500 Unknown command."))
            self.ftp = Mock(mlsd=no_mlsd, dir=lines)

    store = open_store((Ftp("host", skip_instance_cache=True), "tokens"))
    if reason:
        assert failure("read", store).reason == reason
    else:
        assert get(store) is None


def test_a_web_server_that_finds_nothing_at_all_is_no_wrong_setting() -> None:
    """So a gateway answers while the server behind it starts; the next call may find it."""
    with Listener(saying(answer(b"", status="404 Not Found"))) as server:
        all_fail(open_store(f"http://{HOST}:{server.port}/tokens"), "forbidden", ["read", "create"])


def test_it_is_opened_anew_when_its_connection_is_lost(tmp_path: Path, plain: type[Plain]) -> None:
    """Not for every call, and not for every failure; a filesystem that was given never is."""
    store = open_store(f"plain://{tmp_path}", {"auto_mkdir": True})
    opened = [plain.opened]
    for error in (PermissionError(errno.EACCES, "x"), ConnectionResetError(errno.ECONNRESET, "x")):
        plain.before = once(error)
        failure("read", store)
        for _ in range(2):
            assert get(store) is None
        opened.append(plain.opened)
    put(store, b"x", ABSENT, "deep/token")  # with the options that were given
    assert [each - opened[0] for each in opened] == [0, 0, 1]
    # What was right once is no wrong setting when the driver finds nothing to connect to.
    plain.before = once(ConnectionResetError())
    failure("read", store)
    make = plain.__init__
    plain.__init__ = Mock(side_effect=RuntimeError("not now"))  # type: ignore[method-assign]
    assert failure("read", store).landed is False
    plain.__init__ = make  # type: ignore[method-assign]
    assert get(store) is None
    # One that hangs while it is opened keeps no other from it.
    plain.before = once(ConnectionResetError())
    failure("read", store)
    hang = Hanging("open")

    def slow(self: Plain, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        hang("open")
        make(self, *arguments, **options)

    plain.__init__ = slow  # type: ignore[method-assign]
    assert failure("read", store, timeout=0.05).reason == "timeout"
    assert hang.reached.wait(60)
    assert get(store) is None
    hang.gate.set()


def test_an_opening_that_takes_longer_than_a_call_serves_a_later_one(
    tmp_path: Path, plain: type[Plain]
) -> None:
    """A server that is slow to let it in would else never be reached again."""
    store = open_store(f"plain://{tmp_path}")
    assert isinstance(store, GenericStore)
    plain.before = once(ConnectionResetError())
    failure("read", store)
    hangs, make = [Hanging("open"), Hanging("open")], plain.__init__
    left = iter(hangs)

    def slow(self: Plain, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        next(left)("open")
        make(self, *arguments, **options)

    plain.__init__ = slow  # type: ignore[method-assign]
    assert failure("read", store, timeout=0.05).reason == "timeout"
    assert hangs[0].reached.wait(60)
    with ThreadPoolExecutor() as pool:
        late = pool.submit(failure, "read", store, timeout=1)
        assert hangs[1].reached.wait(60)
        hangs[0].gate.set()
        assert any(store._ours.made() for _ in poll(60))
        assert late.result().reason == "timeout"
    plain.__init__ = Mock(side_effect=RuntimeError("as slow again"))  # type: ignore[method-assign]
    assert get(store) is None
    hangs[1].gate.set()


def test_arrows_files_are_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its wrapper opens a stream for a start of 0, which cannot seek: nothing was ever read."""

    class Arrow(Plain):
        def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
            if not options.pop("seekable", False):
                raise OSError("only valid on seekable files")
            return super().cat_file(path, **options)

    monkeypatch.setitem(sys.modules, "fsspec.implementations.arrow", Mock(ArrowFSWrapper=Arrow))
    store = open_store((Arrow(skip_instance_cache=True), str(tmp_path)))
    create(store)
    assert read(store).content == b"first"


def test_a_filesystem_without_a_loop_is_refused() -> None:
    """With asynchronous=True only its coroutines work."""
    with pytest.raises(ConfigurationError):
        open_store((AsyncFileSystem(asynchronous=True, skip_instance_cache=True), "/x"))


def test_a_loop_that_begins_to_run_in_a_moment_will_do() -> None:
    """Fsspec does not wait for the thread that runs its own: a cold start may be faster."""
    loop = asyncio.new_event_loop()
    filesystem = AsyncFileSystem(loop=loop, skip_instance_cache=True)
    open_store((filesystem, "/x"))
    loop.close()
    with pytest.raises(ConfigurationError):
        open_store((filesystem, "/x"))


def test_the_import_of_a_driver_takes_no_time_from_its_opening(
    tmp_path: Path, plain: type[Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many processes that start at once may need more than a call's seconds for it."""
    now, ahead, left = time.monotonic, [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now() + ahead[0])

    def load(_: str) -> type[Plain]:
        ahead[0] += 1000
        return plain

    def connect(deadline: float, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - a driver's
        left.append(deadline - time.monotonic())
        return run_until(deadline, work)

    monkeypatch.setattr(fsspec, "get_filesystem_class", load)
    monkeypatch.setattr("betfair_session.storage.run_until", connect)
    open_store(f"plain://{tmp_path}", timeout=TIMEOUT)
    assert 0 < left[0] <= TIMEOUT < ahead[0]


def test_a_forked_child_opens_its_own(tmp_path: Path, plain: type[Plain]) -> None:
    """One that was opened by its URL, and once; a filesystem that was given cannot be."""
    store = open_store(f"plain://{tmp_path}")
    given = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    create(store)
    before = plain.opened

    def work() -> object:
        seen = [bytes(read(store).content) for _ in range(2)]
        return seen, plain.opened - before

    assert in_a_child(work) == ([b"first"] * 2, 1)
    assert str(in_a_child(lambda: read(given))).startswith("ConfigurationError")
    assert read(given).content == read(store).content == b"first"


def test_a_key_file_that_is_missing_is_no_missing_token(tmp_path: Path, plain: type[Plain]) -> None:
    """The driver is opened again, after a fork or a lost connection, and finds no key."""
    store = open_store(f"plain://{tmp_path}")
    plain.before = once(BrokenPipeError())
    failure("read", store)
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/keys/id_ed25519")
    plain.__init__ = Mock(side_effect=missing)  # type: ignore[method-assign]
    all_fail(store, "forbidden")
    assert "/keys/id_ed25519" in str(failure("read", store))


def gone(name: Any) -> FileNotFoundError:  # noqa: ANN401 - a driver's
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


@pytest.mark.parametrize("listed", [False, True])
def test_a_file_that_goes_missing_during_a_call_is_no_missing_token(
    tmp_path: Path, plain: type[Plain], *, listed: bool
) -> None:
    """A driver may read its credentials anew for each call: a live token would be replaced.

    The listing tells, if the driver can make one; the error may hold any name, or none.
    """
    store = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    for key in ("token", "fresh"):
        put(store, b"live", key=key)
    lost = Mock(side_effect=gone(str(tmp_path / "token")))
    for name in ("cat_file", "pipe_file", "rm_file", "makedirs", "ls")[: -1 if listed else None]:
        setattr(plain, name, lost)
    all_fail(store, "forbidden")
    assert "token" in str(failure("read", store))


@pytest.mark.parametrize("root", ["{here}/new/place", "new", ".", "..", "./my dir", "x/..", ""])
def test_a_token_is_missing_below_any_root(
    tmp_path: Path, plain: type[Plain], monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store((plain(skip_instance_cache=True), root.format(here=tmp_path)))
    assert get(store, "no such token") is None


def test_a_driver_may_list_names_in_lower_case(tmp_path: Path, plain: type[Plain]) -> None:
    """A connection that broke is no missing token there either."""
    plain.ls = Mock(return_value=[f"{tmp_path}/token/".lower()])
    store = open_store((plain(skip_instance_cache=True), str(tmp_path)))
    put(store, b"live", key="Token")
    plain.before = once(FileNotFoundError())
    assert read(store, "Token").content == b"live"


def test_a_directory_is_made_whatever_a_driver_names_in_its_place(tmp_path: Path) -> None:
    """Some write a temporary file first, with a name of their own, and rename it."""

    class Renaming(Plain):
        def pipe_file(self, path: str, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
            if not os.path.isdir(os.path.dirname(path)):
                raise gone(f"{os.path.dirname(path)}/.tmp-1")
            super().pipe_file(path, *arguments, **options)

    store = open_store((Renaming(skip_instance_cache=True), str(tmp_path / "new")))
    create(store)
    assert read(store).content == b"first"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "unreachable"),
        (TimeoutError(), "timeout"),
        (TypeError("hunter2"), ""),
        (SystemExit("hunter2"), ""),
        (ImportError("cannot import hunter2"), ""),
    ],
)
def test_an_opening_that_fails(plain: type[Plain], given: BaseException, reason: str) -> None:
    """Some drivers connect when they are made; the next call may find the server well again."""
    plain.__init__ = Mock(side_effect=given)  # type: ignore[method-assign]
    with pytest.raises((StoreUnavailable, ConfigurationError)) as caught:
        open_store("plain://user:hunter2@host/x")
    error = caught.value
    assert "hunter2" not in str(error)
    assert getattr(error, "reason", "") == reason
    if isinstance(error, StoreUnavailable):
        assert (error.landed, error.store) == (False, "plain://host/x")
