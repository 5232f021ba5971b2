"""What every store promises, as tests; a backend's class inherits them, and says where."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from programs import run
from servers.objects import Bucket
from within import within

from betfair_session.exceptions import ConfigurationError, StoreError
from betfair_session.storage import open_store
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    MAX_READ,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)
from betfair_session.tokens import is_blank
from storage.places import TIMEOUT, Place, open_at
from storage.surroundings import in_a_child

KEYS = [
    "deep/er/with space",
    "ünïcödé-名前-🎾",
    "hash#1 percent%41%2F plus+plus ~tilde",
    "question?versionId=1&x at@colon:semi; star* bracket[a]{b} quote'\"`",
]
PREFIXES = ["a/b/", "with space", "ünï-名", "50%41+b=c~", "v#1", "", "/"]

CALLS: dict[str, Callable[[TokenStore, str, float], object]] = {
    "read": lambda store, _, end: store.get("token", deadline=end),
    "create": lambda store, _, end: store.put("fresh", b"mine", ABSENT, deadline=end),
    "replace_if_version": lambda store, seen, end: store.put("token", b"mine", seen, deadline=end),
    "replace": lambda store, _, end: store.put("token", b"mine", ANY, deadline=end),
    "delete": lambda store, _, end: store.delete("token", deadline=end),
}
"""Calls by name; each takes a store, the version of its "token" and a deadline."""

WRITES = [name for name in CALLS if name != "read"]
CONDITIONAL = ["create", "replace_if_version"]


def failure(call: str, store: TokenStore, version: str = '"1"', timeout: float = 30) -> StoreError:
    """Make a call that must fail, and return its error without traceback or context of ours."""
    with pytest.raises(StoreError) as caught:
        CALLS[call](store, version, within(timeout))
    return caught.value


def all_fail(
    store: TokenStore,
    reason: str,
    calls: Iterable[str] = CALLS,
    *,
    landed: bool = False,
    version: str = '"1"',
) -> None:
    """Make calls that must fail for a reason; return whether their writes may have landed."""
    for call in calls:
        error = failure(call, store, version)
        assert (error.reason, error.landed) == (reason, landed and call != "read"), call


def get(store: TokenStore, key: str = "token") -> StoredObject | None:
    return store.get(key, deadline=within(TIMEOUT))


def read(store: TokenStore, key: str = "token") -> StoredObject:
    found = get(store, key)
    assert found is not None
    return found


def put(store: TokenStore, content: bytes, expect: Expect = ANY, key: str = "token") -> str:
    return store.put(key, content, expect, deadline=within(TIMEOUT))


def create(store: TokenStore, content: bytes = b"first", key: str = "token") -> str:
    return put(store, content, ABSENT, key)


def delete(store: TokenStore, expect: Expect = ANY, key: str = "token") -> None:
    store.delete(key, expect, deadline=within(TIMEOUT))


def assert_conflict(work: Callable[[], object]) -> None:
    """Do what must be a conflict; the error names the store and the key."""
    with pytest.raises(VersionConflict) as caught:
        work()
    assert (caught.value.reason, caught.value.landed) == ("conflict", False)
    assert caught.value.store
    assert caught.value.key


class Contract:
    atomic: ClassVar[bool] = True
    deletes_on_a_condition: ClassVar[bool] = True
    unfit: ClassVar[frozenset[str]] = frozenset()
    """Prefixes that fsspec's driver reads as something else, and refuses."""

    def test_what_is_written_is_read_back(self, place: Place, store: TokenStore) -> None:
        """With its version, and its age by the store's clock; a closed store opens again."""
        content = bytes(range(256)) + b"\r\n\n\r\x00"
        assert get(store) is None
        version = create(store, content)
        found = read(store)
        assert (found.content, found.version) == (content, version)
        assert (place.keys(), place.get("prefix/token")) == (["prefix/token"], content)
        assert "\\r" not in repr(found), "it may be a token"
        assert store.atomic is self.atomic
        if found.modified is not None:
            now = found.now or store.server_now(deadline=within(TIMEOUT))
            assert now == pytest.approx(time.time(), abs=120)
            assert found.modified == pytest.approx(time.time(), abs=120)
        with open_at(place, "prefix") as other:
            assert read(other).version == version
        version = put(store, b"second", version)
        store.close()
        store.close()
        assert read(store).version == version

    def test_an_object_is_created_once(self, place: Place, store: TokenStore) -> None:
        """The second create changes nothing; nor does one in place of an empty object."""
        create(store)
        assert_conflict(lambda: create(store, b"second"))
        assert place.get("prefix/token") == b"first"
        place.put("prefix/token", b"")
        assert_conflict(lambda: create(store, b"second"))
        empty = read(store)
        assert empty.content == b""
        put(store, b"third", empty.version)
        assert place.get("prefix/token") == b"third"

    def test_the_same_content_again_says_nothing_of_a_store(
        self, place: Place, store: TokenStore
    ) -> None:
        """Some servers name versions by the content: the second write is not one too many."""
        create(store, b"a lock", "token.login")
        with open_at(place, "prefix") as other:
            put(other, b"a lock", read(other, "token.login").version, "token.login")
            assert other.atomic is self.atomic

    def test_a_version_serves_until_the_object_changes(
        self, place: Place, store: TokenStore
    ) -> None:
        """Whether it came from a create, a replacement or a read; each change is seen at once."""

        async def look() -> StoredObject | None:
            return get(store)  # inside a loop that runs

        versions = [create(store)]
        for content in (b"second", b"third"):
            versions.append(put(store, content, versions[-1]))
        versions.append(put(store, b"fourth", read(store).version))
        assert len(set(versions)) == 4
        for change in (
            lambda: put(store, b"by us"),
            lambda: place.put("prefix/token", b"by another"),
            lambda: place.delete("prefix/token"),
        ):
            stale = read(store).version
            change()
            before, found = place.get("prefix/token"), asyncio.run(look())
            assert (found and bytes(found.content)) == before
            assert_conflict(lambda stale=stale: put(store, b"late", stale))  # type: ignore[misc]
            assert place.get("prefix/token") == before
        put(store, b"anew")
        assert place.get("prefix/token") == b"anew"

    def test_delete_removes_one_object(self, place: Place, store: TokenStore) -> None:
        """No pattern is expanded, and none need be there; with a version only that one."""
        version = create(store)
        for pattern in ("t*", "toke?", "[t]oken", "**"):
            delete(store, key=pattern)
        assert place.keys() == ["prefix/token"]
        if self.deletes_on_a_condition:
            newer = put(store, b"second", version)
            assert_conflict(lambda: delete(store, version))
            assert place.get("prefix/token") == b"second"
            delete(store, newer)
            found = get(store)
            assert found is None or is_blank(found.content)
            assert_conflict(lambda: delete(store, newer))
        for _ in range(2):
            delete(store)
            assert place.keys() == []

    def test_a_large_object_is_cut(self, place: Place, store: TokenStore) -> None:
        """One byte more than the limit is read, so that too much is noticed."""
        for size in (MAX_READ, MAX_READ + 1, MAX_READ + 2, 100_000):
            place.put("prefix/token", b"x" * size)
            found = read(store)
            assert len(found.content) == min(size, MAX_READ + 1)
        put(store, b"small", found.version)
        assert place.get("prefix/token") == b"small"

    def test_names_are_taken_literally(self, place: Place, store: TokenStore) -> None:
        for key in KEYS:
            version = create(store, b"first", key)
            assert place.keys() == [f"prefix/{key}"]
            put(store, b"second", version, key)
            assert place.get(f"prefix/{key}") == b"second"
            place.put(f"prefix/{key}", b"foreign")
            assert read(store, key).content == b"foreign"
            delete(store, key=key)
            assert place.keys() == []
        for prefix in PREFIXES:
            if prefix in self.unfit:
                with pytest.raises(ConfigurationError):
                    open_at(place, prefix)
                continue
            with open_at(place, prefix) as other:
                create(other)
                name = f"{prefix}/token".replace("//", "/").lstrip("/")
                assert place.keys() == [name]
                delete(other)

    def test_threads_share_a_store_and_one_wins(self, place: Place, store: TokenStore) -> None:
        version = create(store, b"first", "race")
        line = Barrier(6)

        def work(number: int) -> tuple[bytes, bool]:
            mine, own = b"%d" % number, stores[number]
            seen = create(store, b"first", f"t{number}")
            put(store, mine, seen, f"t{number}")
            line.wait(TIMEOUT)
            won = False
            with suppress(VersionConflict):
                won = bool(put(own, mine, version, "race"))
            return read(store, f"t{number}").content, won

        with ExitStack() as stack, ThreadPoolExecutor(6) as pool:
            # Outside the atomic stores only those of one process fence each other.
            one = store if not self.atomic else None
            stores = [one or stack.enter_context(open_at(place, "prefix")) for _ in range(6)]
            done = list(pool.map(work, range(6)))
        assert [content for content, _ in done] == [b"%d" % number for number in range(6)]
        (winner,) = (number for number, (_, won) in enumerate(done) if won)
        assert place.get("prefix/race") == b"%d" % winner
        assert place.keys() == ["prefix/race", *(f"prefix/t{number}" for number in range(6))]


class Forks:
    """For stores that outlive a fork (obstore's runtime does not)."""

    def test_a_forked_child_is_served_and_its_parent_after_it(
        self, place: Place, store: TokenStore
    ) -> None:
        """The child is cut off from its parent's connections, and does no harm with its copies."""
        create(store)

        def work() -> object:
            found = read(store).content
            put(store, b"written", key="child")
            again = read(store, "child").content
            store.close()
            return bytes(found), bytes(again)

        assert in_a_child(work) == (b"first", b"written")
        put(store, b"second")
        assert place.get("prefix/token") == b"second"


class OwnFilesystem:
    """For stores given as an fsspec filesystem of the caller's own, with its usual caches."""

    def _given(self, place: Place) -> tuple[Any, str]:
        filesystem, root = fsspec.core.url_to_fs(place.url("prefix"), **place.options)
        return filesystem, root

    def test_a_callers_filesystem_is_used_as_it_is(self, place: Place) -> None:
        """Its settings stay, its cached listings mislead no call, and it works after the store."""
        filesystem, root = self._given(place)
        place.put("prefix/other", b"x")
        filesystem.find(root)
        before = _settings(filesystem)
        for given in ((filesystem, root), DirFileSystem(path=root, fs=filesystem)):
            store = open_store(given)
            assert get(store) is None
            version = put(store, b"second", create(store))
            filesystem.ls(root)
            assert (read(store).content, read(store).version) == (b"second", version)
            place.put("prefix/token", b"third")
            assert read(store).content == b"third"
            delete(store)
            assert place.keys() == ["prefix/other"]
            store.close()
        filesystem.invalidate_cache()
        assert _settings(filesystem) == before
        assert filesystem.cat_file(f"{root}/other") == b"x"
        fsspec.spec.AbstractFileSystem.clear_instance_cache()


def _settings(filesystem: Any) -> dict[str, str]:  # noqa: ANN401 - fsspec is untyped
    kinds = (str, int, float, bool, dict, list, tuple, type(None))
    noted = {"_intrans", "_cache", "_s3creator", "_request_id"}  # while a driver works
    found = {name: each for name, each in vars(filesystem).items() if isinstance(each, kinds)}
    return {name: repr(found[name]) for name in found.keys() - noted}


_PROGRAM = """
import json, sys, threading, time
before = set(sys.modules)  # a *.pth file of some package's may have imported its namespace
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT

url, options = json.loads(sys.stdin.read())
soon = time.monotonic() + 60

def use(key):
    store = open_store(url, options)
    version = store.put(key, b"first", ABSENT, deadline=soon)
    store.put(key, b"second", version, deadline=soon)
    assert store.get(key, deadline=soon).content == b"second"
    return store

use("closed").close()
use("dropped")
forgotten, late = use("forgotten"), open_store(url, options)

# Before 3.12.3 Python 3.12 starts no thread once the main one has ended: python/cpython#113964.
outlive = not (3, 12) <= sys.version_info < (3, 12, 3)

def bot():
    if outlive:
        threading.main_thread().join()
    late.put("late", b"content", ABSENT, deadline=soon)  # it looks up a name first
    assert forgotten.get("late", deadline=soon).content == b"content"
    roots = {name.partition(".")[0] for name in set(sys.modules) - before}
    print(*sorted(roots & {"adlfs", "gcsfs", "obstore", "s3fs"}))

thread = threading.Thread(target=bot)
thread.start()
if not outlive:
    thread.join()
"""


class ObjectStore(Contract):
    driver: ClassVar[str]

    def test_a_store_that_is_dropped_leaves_nothing(self, place: Place) -> None:
        """Drivers' own finalizers would keep a filesystem for ever."""

        def filesystems() -> set[int]:
            gc.collect()
            kind = fsspec.AbstractFileSystem
            kept = set(map(id, kind._cache.values()))  # fsspec's own
            return {id(each) for each in gc.get_objects() if isinstance(each, kind)} - kept

        before = filesystems()
        with open_at(place, "prefix") as store:
            create(store)
        del store
        assert filesystems() - before == set()

    def test_a_short_program_ends_without_complaints(self, place: Bucket, tmp_path: Path) -> None:
        """With one driver, and stores that are closed, dropped, forgotten, or used late."""
        # Google's packages leave an old Python behind; we do not yet.
        leave = ("ignore::DeprecationWarning", "ignore::SyntaxWarning", "ignore:You are using")
        warnings = [part for each in ("error", *leave) for part in ("-W", each)]
        endpoint = place.server.endpoint.replace("127.0.0.1", "localhost")
        given = json.dumps([place.url("prefix"), place.server.options(endpoint)])
        program = (sys.executable, *warnings, "-c", _PROGRAM)
        done = run(*program, directory=tmp_path, text=given)
        assert (done.stdout, done.stderr) == (f"{self.driver}\n", "")
        assert place.get("prefix/late") == b"content"


class Credentials:
    """For stores on servers that look at credentials."""

    def test_wrong_credentials_are_told(self, place: Bucket) -> None:
        server: Any = place.server
        place.put("prefix/token", b"present")
        reader = server.reader_options(server.endpoint, place.name)
        for options in (server.wrong_options(server.endpoint), reader):
            with open_store(place.url("prefix"), options) as store:
                if options is reader:
                    assert read(store).content == b"present"
                all_fail(store, "forbidden", WRITES)
        assert place.get("prefix/token") == b"present"
        assert place.keys() == ["prefix/token"]
