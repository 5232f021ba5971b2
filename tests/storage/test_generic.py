"""The generic path on file systems of the tests' own, and its words; real ones: test_sftp.py."""

from __future__ import annotations

import errno
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import fsspec
import pytest
from fsspec.implementations.cached import SimpleCacheFileSystem
from fsspec.implementations.http import HTTPFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from within import within

from betfair_session import ConfigurationError, StoreUnavailable, StoreWriteError
from betfair_session.storage import loop as loops, open_store
from betfair_session.storage.contract import ABSENT, ANY, MAX_READ, VersionConflict
from betfair_session.storage.generic import GenericStore, _leave_at_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.exceptions import StoreError
    from betfair_session.storage.contract import TokenStore

KEY = "deep/token"

CALLS: dict[str, Callable[[TokenStore, float], object]] = {
    "read": lambda store, timeout: store.get(KEY, deadline=within(timeout)),
    "create": lambda store, timeout: store.put(KEY, b"content", ABSENT, deadline=within(timeout)),
    "replace if unchanged": lambda store, timeout: store.put(
        KEY, b"content", "version", deadline=within(timeout)
    ),
    "replace": lambda store, timeout: store.put(KEY, b"content", ANY, deadline=within(timeout)),
    "delete": lambda store, timeout: store.delete(KEY, deadline=within(timeout)),
}
"""Every call of a store, by what an error calls it."""


class Plain(LocalFileSystem):  # type: ignore[misc] # fsspec is untyped
    """A kind of store that the library has never heard of, and that fsspec opens by URL."""

    protocol = "plain"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # Older releases of fsspec know no other names here than a local file's.
        stripped: str = super()._strip_protocol(path.removeprefix("plain://"))
        return stripped


@pytest.fixture
def plain() -> type[Plain]:
    """Have fsspec know it by its scheme; return a class that counts how often it is opened."""

    class Counted(Plain):
        opened = 0

        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
            super().__init__(*arguments, **options)
            type(self).opened += 1

    fsspec.register_implementation("plain", Counted, clobber=True)
    return Counted


class Failing:
    """A file system on which nothing works, for one reason."""

    error: OSError

    def cat_file(self, *_: object, **__: object) -> None:
        """Fail."""
        raise self.error

    pipe_file = rm_file = cat_file


def failing(kind: type[Any], number: int, root: str) -> TokenStore:
    """Return a store on a file system of a kind that fails so."""
    error = OSError(number, os.strerror(number))
    filesystem = type("Failing", (Failing, kind), {"error": error})(skip_instance_cache=True)
    return open_store((filesystem, root))


# --- words --------------------------------------------------------------------------------------


def assert_says(error: StoreError, verb: str, store: TokenStore) -> None:
    """It says what could not be done, to what, and where; and programs can ask for it."""
    assert str(error).startswith(f"cannot {verb} '{KEY}' in {store.label}: ")
    assert (error.store, error.key) == (store.label, KEY)


@pytest.mark.parametrize("kind", [Plain, MemoryFileSystem])
@pytest.mark.parametrize("verb", CALLS)
def test_a_failure_says_what_could_not_be_done(tmp_path: Path, kind: type[Any], verb: str) -> None:
    """Whatever was called."""
    store = failing(kind, errno.EACCES, f"{tmp_path}/")
    assert store.label == f"{kind.protocol}://{str(tmp_path).lstrip('/')}/"
    expected = StoreUnavailable if verb == "read" else StoreWriteError
    with pytest.raises(expected) as caught:
        CALLS[verb](store, 30)
    assert_says(caught.value, verb, store)
    assert (caught.value.reason, caught.value.landed) == ("forbidden", False)


@pytest.mark.parametrize(("kind", "landed"), [(Plain, True), (MemoryFileSystem, False)])
def test_a_write_that_a_driver_may_have_repeated_may_have_landed(
    kind: type[Any], *, landed: bool
) -> None:
    """Only what is known to send one request is taken at its last word."""
    with pytest.raises(StoreWriteError) as caught:
        CALLS["replace"](failing(kind, errno.ENOSPC, "/x"), 30)
    assert (caught.value.reason, caught.value.landed) == ("full", landed)


@pytest.mark.parametrize("verb", [verb for verb in CALLS if verb != "create"])
def test_a_failure_with_local_files_says_it_too(tmp_path: Path, verb: str) -> None:
    """As where a directory has the token's name."""
    (tmp_path / KEY / "more").mkdir(parents=True)
    store = open_store(tmp_path)
    with pytest.raises((StoreUnavailable, StoreWriteError)) as caught:
        CALLS[verb](store, 30)
    assert_says(caught.value, verb, store)


def test_a_renewal_that_fails_says_it_too(tmp_path: Path) -> None:
    """Where the same content is written again."""
    store = open_store(tmp_path)
    version = store.put(KEY, b"content", ABSENT, deadline=within(30))
    (tmp_path / KEY).unlink()
    (tmp_path / KEY).mkdir()
    with pytest.raises(StoreWriteError) as caught:
        store.put(KEY, b"content", version, deadline=within(30))
    assert_says(caught.value, "replace if unchanged", store)


@pytest.mark.parametrize("how", ["created twice", "of another version", "renewed"])
@pytest.mark.parametrize("where", ["plain://{}", "memory://{}", "{}"])
@pytest.mark.usefixtures("plain")
def test_a_conflict_says_where(tmp_path: Path, where: str, how: str) -> None:
    """And that it is one."""
    store = open_store(where.format(tmp_path))
    version = store.put(KEY, b"content", ABSENT, deadline=within(30))
    again = store.put(KEY, b"another", ANY, deadline=within(30))
    assert again != version
    content = b"content" if how == "renewed" else b"third"
    with pytest.raises(VersionConflict) as caught:  # noqa: PT012 - one of two calls
        if how == "created twice":
            store.put(KEY, content, ABSENT, deadline=within(30))
        else:
            store.put(KEY, content, version, deadline=within(30))
    assert str(caught.value) == f"'{KEY}' in {store.label} is not what it was"
    error = caught.value
    assert (error.store, error.key, error.reason) == (store.label, KEY, "conflict")
    store.delete(KEY, deadline=within(30))


# --- what is opened -------------------------------------------------------------------------------


def test_a_url_is_opened_with_its_options(tmp_path: Path, plain: type[Plain]) -> None:
    """Also when it is opened anew."""
    url = f"plain://{tmp_path}"
    store = open_store(url, {"auto_mkdir": True})
    assert isinstance(store, GenericStore)
    assert (store.label, store.atomic) == (url, False)
    first = store._opened()
    store._renew()
    second = store._opened()
    assert (first.auto_mkdir, second.auto_mkdir, plain.opened) == (True, True, 2)
    assert second is not first


def test_a_url_that_its_driver_cannot_read_is_refused() -> None:
    """A port that is no number; the URL's password is not shown."""
    with pytest.raises(ConfigurationError) as refused:
        open_store("ftp://user:hunter2@host:x/")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "given", [OSError(errno.ECONNREFUSED, "x"), TimeoutError(), TypeError("hunter2")]
)
def test_a_server_that_cannot_be_reached_at_the_opening_is_no_wrong_url(
    monkeypatch: pytest.MonkeyPatch, given: Exception
) -> None:
    """Some drivers connect when they are made; the next call may find it well again."""

    def fail(*_: object, **__: object) -> None:
        raise given

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    label = "sftp://host/x"
    if isinstance(given, TypeError):
        with pytest.raises(ConfigurationError) as refused:
            open_store("sftp://user:hunter2@host/x")
        assert str(refused.value) == f"'{label}' cannot be opened: TypeError"
        return
    with pytest.raises(StoreUnavailable, match=f"^cannot open {label}: ") as caught:
        open_store("sftp://user:hunter2@host/x")
    assert caught.value.reason == ("timeout" if isinstance(given, TimeoutError) else "unreachable")
    assert (caught.value.store, caught.value.landed) == (label, False)


@pytest.mark.parametrize(
    "url",
    [
        "simplecache::s3://bucket",
        "filecache::memory://x",
        "blockcache://x",
        "dir::simplecache::memory://x",
    ],
)
def test_a_cache_is_no_place_for_a_token(url: str) -> None:
    """It would go on serving a dead one."""
    with pytest.raises(ConfigurationError) as refused:
        open_store(url)
    assert str(refused.value) == (
        f"{url!r} reads through a cache, which would go on serving a dead token; "
        "name the store itself"
    )


@pytest.mark.parametrize("protocol", ["simplecache", "own"])
def test_a_cache_that_is_given_is_found(protocol: str) -> None:
    """Also one whose name says nothing; older releases of fsspec have the target's protocol."""
    kind = type("Own", (SimpleCacheFileSystem,), {"protocol": protocol})
    filesystem = kind(target_protocol="memory", skip_instance_cache=True)
    with pytest.raises(
        ConfigurationError, match=f"^'({protocol}|memory)://x' reads through a cache, "
    ):
        open_store((filesystem, "x"))


def test_slashes_after_a_root_mean_nothing(tmp_path: Path) -> None:
    """What is asked for is below it all the same."""
    asked = []

    class Noting(Plain):
        def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
            asked.append((path, options))
            return b"x" * (2 * MAX_READ)  # it does not know ranges

    for root in (f"{tmp_path}/boX", f"{tmp_path}/boX//"):
        found = open_store((Noting(skip_instance_cache=True), root)).get(KEY, deadline=within(30))
        assert found is not None
        assert len(found.content) == MAX_READ + 1
    assert asked == [(f"{tmp_path}/boX/{KEY}", {"start": 0, "end": MAX_READ + 1})] * 2


@pytest.mark.parametrize("made", ["by nobody else", "by another just then"])
def test_a_directory_that_a_filesystem_does_not_make_is_made(tmp_path: Path, made: str) -> None:
    """Some make them by themselves, others do not."""

    class Filesystem(Plain):
        def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's
            if made == "by another just then":
                os.makedirs(path)
            super().makedirs(path, exist_ok=exist_ok)

    filesystem = Filesystem(auto_mkdir=False, skip_instance_cache=True)
    store = open_store((filesystem, str(tmp_path / "below")))
    store.put(KEY, b"content", ANY, deadline=within(5))
    found = store.get(KEY, deadline=within(5))
    assert found is not None
    assert found.content == b"content"


# --- time-outs, losses and forks ------------------------------------------------------------------


class Hanging:
    """Something that hangs once, as on a connection that is only half open."""

    def __init__(self) -> None:
        """Hang the first time."""
        self.calls = 0
        self.gate = threading.Event()

    def __call__(self) -> None:
        """Hang, or not."""
        self.calls += 1
        if self.calls == 1:
            self.gate.wait(60)


@pytest.mark.parametrize("verb", CALLS)
def test_every_call_has_a_time_to_end_in(tmp_path: Path, verb: str) -> None:
    """A driver may have none."""
    hang = Hanging()

    class Filesystem(Plain):
        def cat_file(self, *_: object, **__: object) -> None:
            hang()

        pipe_file = rm_file = cat_file

    store = open_store((Filesystem(skip_instance_cache=True), str(tmp_path)))
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[verb](store, 0.01)
    assert caught.value.reason == "timeout"
    hang.gate.set()


@pytest.mark.parametrize("given", ["by its URL", "open"])
def test_a_write_that_hangs_keeps_no_other_from_writing(tmp_path: Path, given: str) -> None:
    """Its thread is abandoned, with the lock in its hand."""
    hang = Hanging()

    class Filesystem(Plain):
        protocol = "plain"

        def pipe_file(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
            hang()
            super().pipe_file(*arguments, **options)

    fsspec.register_implementation("plain", Filesystem, clobber=True)
    opened = (Filesystem(skip_instance_cache=True), str(tmp_path))
    store = open_store(opened if given == "open" else f"plain://{tmp_path}")
    with pytest.raises(StoreUnavailable) as caught:
        store.put("token", b"first", ANY, deadline=within(0.01))
    assert caught.value.reason == "timeout"
    store.put("token", b"second", ANY, deadline=within(30))
    found = store.get("token", deadline=within(30))
    assert found is not None
    assert found.content == b"second"
    hang.gate.set()


def test_an_opening_that_hangs_keeps_no_other_from_opening(tmp_path: Path) -> None:
    """Nor does its abandoned thread."""
    hang = Hanging()

    def reopen() -> Plain:
        hang()
        return Plain(skip_instance_cache=True)

    store = GenericStore(None, str(tmp_path), label="plain", reopen=reopen)
    with pytest.raises(StoreUnavailable):
        store.get("token", deadline=within(0.01))
    assert store.get("token", deadline=within(30)) is None
    hang.gate.set()


def test_a_lost_connection_is_no_missing_token(tmp_path: Path) -> None:
    """Fsspec's ftp says FileNotFoundError, once; what is really missing is missing twice."""
    said: list[type[Exception]] = []

    class Filesystem(Plain):
        def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
            if said:
                raise said.pop()
            content: bytes = super().cat_file(path, **options)
            return content

    store = open_store((Filesystem(skip_instance_cache=True), str(tmp_path)))
    store.put("token", b"content", ANY, deadline=within(30))
    said = [BrokenPipeError, FileNotFoundError]
    with pytest.raises(StoreUnavailable) as caught:
        store.get("token", deadline=within(30))
    assert caught.value.reason == "unreachable"
    said = [FileNotFoundError]
    found = store.get("token", deadline=within(30))
    assert found is not None
    assert found.content == b"content"
    assert store.get("other", deadline=within(30)) is None


def test_no_listing_stands_between_a_read_and_the_store(tmp_path: Path) -> None:
    """Some drivers look up in one what they then read, and how much of it."""

    class Filesystem(Plain):
        def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
            known = self.dircache.setdefault("known", set(os.listdir(tmp_path)))
            if os.path.basename(path) not in known:
                raise FileNotFoundError(path)
            content: bytes = super().cat_file(path, **options)
            return content

        def invalidate_cache(self, path: str | None = None) -> None:
            del path
            self.dircache.clear()

    store = open_store((Filesystem(skip_instance_cache=True), str(tmp_path)))
    assert store.get("token", deadline=within(30)) is None
    (tmp_path / "token").write_bytes(b"content")
    found = store.get("token", deadline=within(30))
    assert found is not None
    assert found.content == b"content"


def test_it_is_opened_anew_only_when_its_connection_is_lost(
    tmp_path: Path, plain: type[Plain]
) -> None:
    """Not for every call, and not for every failure."""
    reopen = functools.partial(plain, skip_instance_cache=True)
    store = GenericStore(None, str(tmp_path), label="plain", reopen=reopen)
    fails = [None, OSError(errno.EACCES, "x"), OSError(errno.ECONNRESET, "x"), None, None]
    opened = []
    for error in fails:
        if error is not None:
            store._opened().cat_file = Failing.cat_file.__get__(type("", (), {"error": error})())
            with pytest.raises(StoreUnavailable):
                store.get("token", deadline=within(30))
            if store._filesystem is not None:
                del store._filesystem.cat_file
        assert store.get("token", deadline=within(30)) is None
        opened.append(plain.opened)
    assert opened == [1, 1, 2, 2, 2]


def test_it_is_opened_anew_in_another_process(tmp_path: Path, plain: type[Plain]) -> None:
    """One that was opened by its URL, and once; a filesystem that was given cannot be."""
    store = open_store(f"plain://{tmp_path}")
    given = open_store((Plain(skip_instance_cache=True), str(tmp_path)))
    store.put("token", b"content", ANY, deadline=within(5))
    before = plain.opened
    for each in (store, given):
        assert isinstance(each, GenericStore)
        each.after_fork()
    for _ in range(2):
        found = store.get("token", deadline=within(5))
        assert found is not None
        assert found.content == b"content"
    assert plain.opened == before + 1
    with pytest.raises(ConfigurationError) as refused:
        given.get("token", deadline=within(5))
    assert str(refused.value) == (
        f"the filesystem given for {given.label} was made before this process was forked; "
        "make it in the process that uses it, or give a URL instead"
    )


@pytest.mark.parametrize("opened", ["by its caller", "here"])
def test_an_event_loop_of_fsspecs_is_left_at_a_fork(opened: str) -> None:
    """The child would end its parent's connections."""
    filesystem = HTTPFileSystem(skip_instance_cache=True)
    if opened == "here":
        GenericStore(None, "", label="http", reopen=lambda: filesystem)._opened()
    else:
        open_store((filesystem, "http://host"))
    assert filesystem.loop is not None
    assert filesystem.loop in loops._loops.others


@pytest.mark.parametrize("loop", ["none", "of a parent"])
def test_a_filesystem_without_a_loop_has_nothing_to_leave(loop: str) -> None:
    """It runs on its caller's, or says that it was made before a fork."""

    class Asynchronous:
        async_impl = True

        @property
        def loop(self) -> None:
            if loop == "of a parent":
                raise RuntimeError

    before = set(loops._loops.others)
    _leave_at_fork(Asynchronous())
    assert set(loops._loops.others) == before


@pytest.mark.parametrize("verb", CALLS)
def test_a_key_file_that_is_missing_is_no_missing_token(verb: str) -> None:
    """The driver is opened again, after a fork or a lost connection, and finds no key."""

    def reopen() -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/keys/id_ed25519")

    store = GenericStore(None, "/x", label="plain", reopen=reopen)
    with pytest.raises(StoreUnavailable) as caught:
        CALLS[verb](store, 30)
    assert caught.value.reason == "forbidden"
    assert "/keys/id_ed25519" in str(caught.value)
