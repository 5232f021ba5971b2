"""What stores do in corners that no server leads to."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import os
import socket
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from obstore.fsspec import FsspecStore
from s3fs import S3FileSystem
from servers.process import poll
from within import within

from betfair_session import ConfigurationError, StoreUnavailable
from betfair_session.process import threads as onces
from betfair_session.process.threads import NoThreadError, Once, OutOfTime
from betfair_session.storage import local_files, loop as loops, obstore, open_store
from betfair_session.storage.azure import AzureStore
from betfair_session.storage.contract import ABSENT, ANY, VersionConflict
from betfair_session.storage.errors import Operation, _landed
from betfair_session.storage.judging import NoCredentials, Refusal, judge
from betfair_session.storage.loop import DaemonExecutor, LoopStore, background_loop, run
from betfair_session.storage.meanings import Sent
from betfair_session.storage.obstore import ObstoreStore
from betfair_session.storage.obstore_config import usual_endpoint
from betfair_session.storage.obstore_errors import understood
from storage.surroundings import in_a_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from servers.objects import Bucket


# --- local files ---------------------------------------------------------------------------------


def test_the_same_content_is_renewed_only_in_the_version_that_was_read(tmp_path: Path) -> None:
    """Replaced or gone meanwhile, it is a conflict, and what is there stays as it is."""
    store = open_store(tmp_path)
    version = store.put("token", b"content", ABSENT, deadline=within(5))
    before = (tmp_path / "token").stat().st_mtime_ns
    os.utime(tmp_path / "token", ns=(0, 0))
    assert store.put("token", b"content", version, deadline=within(5)) == version
    assert (tmp_path / "token").stat().st_mtime_ns >= before
    (tmp_path / "token").write_bytes(b"another")
    with pytest.raises(VersionConflict, match="is not what it was"):
        store.put("token", b"content", version, deadline=within(5))
    assert (tmp_path / "token").read_bytes() == b"another"
    (tmp_path / "token").unlink()
    with pytest.raises(VersionConflict, match="is not what it was"):
        store.put("token", b"content", version, deadline=within(5))
    assert not (tmp_path / "token").exists()


def test_a_rename_that_is_not_permitted_is_no_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except on Windows, where a reader may have the file open for a moment."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        local_files.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(local_files.FencedError):
        local_files.rename("a", "b")


def test_a_directory_that_cannot_be_opened_is_no_place_to_queue(tmp_path: Path) -> None:
    """The write itself says what is wrong."""
    reached = False
    with local_files.directory_lock(str(tmp_path / "missing"), 1.0):
        reached = True
    assert reached


# --- event loops ---------------------------------------------------------------------------------


def test_a_store_is_not_used_from_inside_its_own_loop() -> None:
    """It would wait for itself."""
    loop = background_loop()

    async def inside() -> str:
        with pytest.raises(ConfigurationError, match="from inside its own driver's event loop"):
            run(loop, asyncio.Event().wait, deadline=within(1))
        return "refused"

    assert asyncio.run_coroutine_threadsafe(inside(), loop).result(30) == "refused"


def test_what_is_made_once_has_a_time_to_be_made_in() -> None:
    """It goes on being made, for the next caller."""
    go: Once[str] = Once()
    gate = threading.Event()

    def make() -> str:
        gate.wait(60)
        return "made"

    with pytest.raises(OutOfTime):
        go.get(make, deadline=within(0.01))
    assert go.peek() is None
    gate.set()
    assert go.get(make, deadline=within(30)) == "made"


def test_what_could_not_be_made_is_not_there() -> None:
    """The next who asks has it made again."""
    go: Once[float] = Once()
    with pytest.raises(ZeroDivisionError):
        go.get(lambda: 1 / 0, deadline=within(30))
    assert go.peek() is None
    assert go.take() is None
    assert go.get(lambda: 1.0, deadline=within(30)) == 1


def test_what_could_not_be_begun_is_begun_by_the_next(
    no_threads: Callable[[], AbstractContextManager[None]],
) -> None:
    """A limit on threads may be reached for a moment; nothing waits for ever for what it hit."""
    made: Once[str] = Once()
    store = open_store("obstore+s3://bucket", {"key": "k", "secret": "s"})
    words = r"too many files or threads.*no thread"
    with no_threads():
        with pytest.raises(NoThreadError):
            made.get(lambda: "made", deadline=within(30))
        with pytest.raises(StoreUnavailable, match=words) as caught:
            store.put("token", b"content", ANY, deadline=within(30))
    assert (caught.value.reason, caught.value.landed) == ("busy", False)
    assert made.get(lambda: "made", deadline=within(30)) == "made"


def test_a_loop_without_a_thread_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """There may be few left."""
    made = []
    make = asyncio.new_event_loop

    def note() -> asyncio.AbstractEventLoop:
        made.append(make())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", note)
    with no_threads(), pytest.raises(NoThreadError):
        loops._start_loop()
    (loop,) = made
    assert loop.is_closed()


# --- what is given -------------------------------------------------------------------------------


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigurationError) as refused:
        open_store("s3://bucket")
    assert str(refused.value) == 's3://bucket needs s3fs: pip install "betfair-session[s3]"'


def test_an_open_filesystem_takes_no_options() -> None:
    """It has its own."""
    with pytest.raises(ConfigurationError, match="a filesystem that is open already"):
        open_store((MemoryFileSystem(), "/x"), {"anything": 1})


def test_a_filesystem_that_knows_no_conditions_is_refused() -> None:
    """Such as obstore's own for fsspec, which takes them and overwrites."""
    with pytest.raises(ConfigurationError) as refused:
        open_store((FsspecStore("s3"), "bucket"))
    assert str(refused.value) == (
        "s3://bucket: obstore.fsspec.FsspecStore is no s3fs.S3FileSystem and cannot be told to "
        "write on a condition; give the store's URL instead"
    )


@pytest.mark.parametrize("url", ["s3://", "gs://", "abfs://", "obstore+s3://"])
def test_a_url_without_a_bucket_is_refused(url: str) -> None:
    """There is nowhere to keep the token."""
    options = {"account_name": "name"} if url == "abfs://" else {}
    with pytest.raises(ConfigurationError) as refused:
        open_store(url, options)
    assert str(refused.value) == f"{url} names no bucket or container"


@pytest.mark.parametrize(
    ("cloud", "config", "endpoint"),
    [
        ("s3", {}, "https://s3.us-east-1.amazonaws.com"),
        ("s3", {"region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com"),
        ("s3", {"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ("gs", {}, "https://storage.googleapis.com"),
        ("az", {"account_name": "name"}, "https://name.blob.core.windows.net"),
    ],
)
def test_each_cloud_has_its_endpoint(
    monkeypatch: pytest.MonkeyPatch, cloud: str, config: dict[str, str], endpoint: str
) -> None:
    """Where neither options nor variables name another."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    assert usual_endpoint(cloud, config) == endpoint


# --- what only forks, exits and odd drivers lead to -----------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("whose", ["ours", "fsspec's"])
def test_a_forked_child_is_cut_off_from_its_parents_connections(
    monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Whatever it does with its copies, the parent's go on."""
    loop = loops._start_loop()
    other = type("Other", (), {})()  # as a loop that is not asyncio's own
    monkeypatch.setattr(loops._loops, "others", [other] if whose == "ours" else [other, loop])
    monkeypatch.setattr(loops._loops, "ours", loop if whose == "ours" else None)
    mine, theirs = socket.socketpair()
    heard = threading.Event()

    def hear() -> None:
        theirs.recv(1)
        heard.set()

    async def listen() -> None:
        loop.add_reader(theirs, hear)

    loops.run(loop, listen, deadline=within(30))

    def work() -> object:
        seen = os.fstat(theirs.fileno()).st_rdev == os.stat(os.devnull).st_rdev
        handler = loop.get_exception_handler()
        with contextlib.suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)  # it is no socket any more
        return (
            seen,
            os.get_inheritable(theirs.fileno()),
            len(loop._selector.get_map()),  # type: ignore[attr-defined] # there is no public way
            handler is not None and handler(loop, {}) is None,
        )

    assert in_a_child(work) == (True, False, 0, True)
    mine.send(b"x")
    assert heard.wait(30)
    loop.call_soon_threadsafe(loop.stop)
    assert any(not loop.is_running() for _ in poll(30))
    loop.close()
    mine.close()
    theirs.close()


def test_a_loop_that_was_never_made_is_not_left() -> None:
    """A fork while the parent's was being made."""
    made = loops._Loops()
    made.after_fork()
    assert made.ours is None


def test_a_call_that_has_no_time_left_sends_nothing() -> None:
    """It says so, in terms that tell that nothing was sent."""
    asked: list[str] = []

    async def work() -> None:
        asked.append("sent")

    with pytest.raises(OutOfTime):
        run(background_loop(), work, deadline=within(0))
    store = open_store("obstore+s3://bucket")
    assert isinstance(store, ObstoreStore)
    with pytest.raises(OutOfTime):
        store._run(0.0, lambda _left: asked.append("sent"))
    assert asked == []


def test_a_driver_is_given_back_from_inside_its_loop_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The collector may run anywhere, and the loop cannot wait for itself."""
    monkeypatch.setattr(loops, "_CLOSING_SECONDS", None)  # it would be for ever
    loop = background_loop()
    closed = threading.Event()
    once: Once[str] = Once()
    assert once.get(lambda: "driver", deadline=within(30)) == "driver"

    async def shut(driver: str) -> None:
        assert driver == "driver"
        closed.set()

    async def inside() -> None:
        loops.release(once, shut)

    asyncio.run_coroutine_threadsafe(inside(), loop).result(30)
    assert closed.wait(30)
    assert once.peek() is None


def test_a_driver_is_given_back_whoever_is_at_the_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector may run in a thread that starts a loop, or that such a thread waits for."""
    closed = threading.Event()
    once: Once[str] = Once()
    once.get(lambda: "driver", deadline=within(30))
    background_loop()

    async def shut(_: str) -> None:
        closed.set()

    def collect() -> None:
        loops.release(once, shut)

    collector = threading.Thread(target=collect, daemon=True)
    with loops._loops._lock:
        collector.start()
        collector.join(30)
        assert not collector.is_alive()
    assert closed.wait(30)

    def start(work: Callable[[], object]) -> None:
        assert other.take() is None
        work()

    other: Once[str] = Once()
    monkeypatch.setattr(onces, "start", start)
    assert other.get(lambda: "made", deadline=within(30)) == "made"


@pytest.mark.parametrize("given", ["before a fork", "none", "stopped"])
def test_a_filesystem_given_without_a_loop_that_runs_is_refused(given: str) -> None:
    """Its calls would wait for ever."""

    class Kind(S3FileSystem):  # type: ignore[misc] # s3fs is untyped
        @property
        def loop(self) -> asyncio.AbstractEventLoop | None:
            if given == "before a fork":
                raise RuntimeError
            return None if given == "none" else stopped

    stopped = asyncio.new_event_loop()
    store = open_store((Kind(anon=True, skip_instance_cache=True), "bucket"))
    with pytest.raises(ConfigurationError) as caught:
        store.get("token", deadline=within(5))
    stopped.close()
    assert str(caught.value) == (
        "the filesystem given for s3://bucket was made before this process was forked; make it in "
        "the process that uses it, or give a URL instead"
        if given == "before a fork"
        else "the filesystem given for s3://bucket has no event loop of its own "
        "(asynchronous=True?); make it without that, or give a URL instead"
    )


@pytest.mark.parametrize("kind", ["moto", "gcs", "azure"])
def test_a_driver_is_closed_by_its_store_alone(
    bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """Its own finalizer would wait for a loop that is gone, or keep it for ever."""
    bucket = bucket_on(kind)
    with open_store(bucket.url(), bucket.options) as store:
        assert isinstance(store, LoopStore)
        driver = store._driver(within(60))
        known = [each.peek() for each in weakref.finalize._registry]  # type: ignore[attr-defined]
        assert store in [each[0] for each in known]
        assert driver not in [each[0] for each in known]
        held = weakref.ref(driver)
        del driver, known
    del store
    gc.collect()
    assert held() is None


def test_blocking_work_is_given_all_its_arguments() -> None:
    """As by any executor."""
    assert DaemonExecutor().submit(int, "11", base=2).result(30) == 3


def test_credentials_that_adlfs_found_by_itself_are_closed() -> None:
    """They hold connections of their own; those that a caller gave are the caller's."""
    store = open_store("abfs://container", {"account_name": "name", "anon": False})
    assert isinstance(store, AzureStore)
    driver = store._driver(within(60))
    assert driver.sync_credential is not None
    closed: list[str] = []
    close = driver.credential.close

    async def watched() -> None:
        closed.append("credential")
        await close()

    driver.credential.close = watched
    store.close()
    assert closed == ["credential"]


@pytest.mark.parametrize(
    ("reason", "sent", "landed"),
    [
        ("forbidden", Sent.ANSWERED, False),
        ("other", Sent.ANSWERED, True),
        ("forbidden", Sent.MAYBE, True),
        ("forbidden", Sent.NEVER, False),
    ],
)
def test_a_write_of_several_requests_may_have_landed(
    reason: str, sent: Sent, *, landed: bool
) -> None:
    """Unless the store certainly refused it: an error in the middle says nothing of the start."""
    verdict = judge(ValueError())._replace(reason=reason, sent=sent)
    assert _landed(verdict, Operation("replace", "s", "k", single=False)) is landed


def test_an_error_that_cannot_say_anything_is_judged_all_the_same() -> None:
    """Drivers have had such."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert judge(Mute()).reason == judge(Exception()).reason


# --- obstore --------------------------------------------------------------------------------------


def test_obstore_is_not_used_after_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads do not survive it, and it would wait for them without end."""
    monkeypatch.setattr(obstore._use, "before", True)
    with pytest.raises(ConfigurationError, match="was forked after obstore had been used"):
        open_store("obstore+s3://bucket").get("token", deadline=within(5))


def test_an_endpoint_without_tls_in_obstores_own_words(bucket_on: Callable[[str], Bucket]) -> None:
    """Named where only obstore knows how to read it."""
    bucket = bucket_on("moto")
    options = bucket.server.options(bucket.server.endpoint)
    config = {
        "aws_endpoint": bucket.server.endpoint,
        "aws_access_key_id": options["key"],
        "aws_secret_access_key": options["secret"],
        "aws_region": "us-east-1",
    }
    with open_store(f"obstore+{bucket.url()}", {"config": config}) as store:
        assert store.get("token", deadline=within(30)) is None


@pytest.mark.parametrize(
    ("url", "options", "config"),
    [
        (
            "s3://bucket",
            {"config_kwargs": {"s3": {"addressing_style": "virtual"}}},
            {"virtual_hosted_style_request": True},
        ),
        ("s3://bucket", {"config_kwargs": {"s3": {"addressing_style": "path"}}}, {}),
        (
            "abfs://container",
            {"account_name": "name", "account_host": "host.example:1"},
            {"account_name": "name", "endpoint": "https://host.example:1"},
        ),
    ],
)
def test_options_become_obstores(url: str, options: dict[str, Any], config: dict[str, Any]) -> None:
    """Those of fsspec's drivers, as far as obstore has the like; the caller's stay as they are."""
    before = copy.deepcopy(options)
    store = open_store(f"obstore+{url}", options)
    assert options == before
    assert isinstance(store, ObstoreStore)
    assert {name: store._config.get(name) for name in config} == config
    assert "virtual_hosted_style_request" not in store._config or config


def test_a_token_that_obstore_cannot_take_is_refused() -> None:
    """An object that gcsfs would take, say."""
    with pytest.raises(ConfigurationError, match="token"):
        open_store("obstore+gs://bucket", {"token": 5})


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("Error performing token request: Connect", NoCredentials, None),
        (
            "Error performing GET https://host/bucket/x in 1s - Received redirect without LOCATION",
            Refusal,
            "WrongRegion",
        ),
    ],
)
def test_what_obstore_says_is_understood(text: str, kind: type, code: str | None) -> None:
    """By its text, which is all there is."""
    found = understood(Exception(text), "bucket")
    assert type(found) is kind
    assert getattr(found, "error_code", None) == code


def test_a_scheme_whose_driver_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fsspec knows, and that nothing else here is for."""

    def missing(*_: object, **__: object) -> NoReturn:
        raise ImportError(name="paramiko")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigurationError) as caught:
        open_store("sftp://host/x")
    assert str(caught.value) == (
        "the driver for 'sftp://host/x' is not installed (no module 'paramiko')"
    )


@pytest.mark.parametrize("fails", ["at its making", "at its look"])
def test_a_clock_that_cannot_be_read_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """On a file system without unnamed files, and in a directory that is full or gone."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError

    store = open_store(tmp_path)
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if fails == "at its making":
        monkeypatch.setattr(local_files, "write_temporary", refuse)
    else:
        monkeypatch.setattr(os, "stat", refuse)
    assert store.server_now(deadline=within(5)) is None
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("stolen", ["before a link", "before a rename"])
def test_a_write_whose_file_is_always_taken_away_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stolen: str
) -> None:
    """Each time by somebody who came first; in time, with an error that says so."""
    make = local_files.write_temporary

    def lose(path: str, content: bytes, check: Callable[[os.stat_result], None]) -> str:
        temporary = make(path, content, check)
        os.unlink(temporary)
        return temporary

    store = open_store(tmp_path)
    monkeypatch.setattr(local_files, "write_temporary", lose)
    expect = ABSENT if stolen == "before a link" else ANY
    with pytest.raises(StoreUnavailable, match="written by others all the time") as caught:
        store.put("token", b"x", expect, deadline=within(0.1))
    assert (caught.value.reason, caught.value.landed) == ("busy", False)
    assert os.listdir(tmp_path) == []
