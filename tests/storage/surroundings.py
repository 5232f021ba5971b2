"""The program around a store: caches, forks, event loops, filesystems of the caller's own."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from within import within

from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY
from storage.places import TIMEOUT, open_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.storage.contract import TokenStore
    from storage.places import Place

_PROGRAM = """
import json, sys, time
from betfair_session.storage.contract import ABSENT
from betfair_session.storage import open_store

url, options, ending = json.loads(sys.stdin.read())
store = open_store(url, options)
soon = time.monotonic() + 60
assert store.get("token", deadline=soon) is None
version = store.put("token", b"first", ABSENT, deadline=soon)
store.put("token", b"second", version, deadline=soon)
assert store.get("token", deadline=soon).content == b"second"
if ending == "closed":
    store.close()
elif ending == "dropped":
    del store
"""


class Surroundings:
    """For stores opened by URL."""

    def test_a_foreign_change_is_seen_at_once(self, place: Place, store: TokenStore) -> None:
        """No cache stands between a read and the store."""
        assert store.get("token", deadline=within(TIMEOUT)) is None
        for content in (b"one", b"two"):
            place.put("prefix/token", content)
            found = store.get("token", deadline=within(TIMEOUT))
            assert found is not None
            assert found.content == content
        place.delete("prefix/token")
        assert store.get("token", deadline=within(TIMEOUT)) is None

    def test_it_can_be_called_from_a_running_event_loop(self, store: TokenStore) -> None:
        """A coroutine may call the (blocking) methods."""

        async def work() -> bytes:
            store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
            await asyncio.sleep(0)
            found = store.get("token", deadline=within(TIMEOUT))
            assert found is not None
            return bytes(found.content)

        assert asyncio.run(work()) == b"first"

    @pytest.mark.parametrize("ending", ["closed", "dropped", "forgotten"])
    def test_a_short_program_ends_without_complaints(self, place: Place, ending: str) -> None:
        """Nothing is left open, whether the store is closed, dropped or still there at exit."""
        done = subprocess.run(
            [
                # Without -X dev: with it aiohttp takes offence at the S3 servers' headers.
                *(sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"),
                *("-W", "ignore::SyntaxWarning"),
                # Google's packages leave an old Python behind; we do not yet.
                *("-W", "ignore:You are using a:FutureWarning", "-c", _PROGRAM),
            ],
            input=json.dumps([place.url("prefix"), place.options, ending]),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class Forks:
    """For stores that outlive a fork (obstore's runtime does not)."""

    def test_it_works_in_a_forked_child(self, place: Place, store: TokenStore) -> None:
        """A store used by a parent serves its child, and the parent again afterwards."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))

        def work() -> object:
            found = store.get("token", deadline=within(TIMEOUT))
            store.put("child", b"written", ANY, deadline=within(TIMEOUT))
            again = store.get("child", deadline=within(TIMEOUT))
            return found and bytes(found.content), again and bytes(again.content)

        assert in_a_child(work) == (b"first", b"written")
        store.put("token", b"second", ANY, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"second"


def in_a_child(work: Callable[[], object]) -> object:
    """Fork, and return what `work` returns, or the text of what it raises, in the child."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()

    def run() -> None:
        try:
            theirs.send(work())
        except Exception as error:  # noqa: BLE001 - the parent looks at it
            theirs.send(repr(error))

    child = context.Process(target=run)
    with warnings.catch_warnings():
        # Newer Pythons warn of forking a process that has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    theirs.close()
    try:
        return mine.recv() if mine.poll(60) else "no answer"
    finally:
        child.kill()
        child.join()
        child.close()
        mine.close()


class OwnFilesystem:
    """For stores given as an fsspec filesystem of the caller's own."""

    @pytest.fixture
    def filesystem(self, place: Place) -> Iterator[Any]:
        """A caller's filesystem for the place, with all of fsspec's usual caches."""
        yield fsspec.core.url_to_fs(place.url("prefix"), **place.options)[0]
        fsspec.spec.AbstractFileSystem.clear_instance_cache()

    @pytest.fixture
    def root(self, place: Place) -> str:
        """The path of the prefix on that filesystem."""
        root: str = fsspec.core.url_to_fs(place.url("prefix"), **place.options)[1]
        return root

    def test_a_filesystem_and_its_root_are_a_store(
        self,
        place: Place,
        filesystem: Any,  # noqa: ANN401 - fsspec is untyped
        root: str,
    ) -> None:
        """All calls work through the caller's filesystem."""
        _walk_through(open_store((filesystem, root)), place)

    def test_a_directory_filesystem_is_a_store(
        self,
        place: Place,
        filesystem: Any,  # noqa: ANN401 - fsspec is untyped
        root: str,
    ) -> None:
        """All calls work through fsspec's DirFileSystem."""
        _walk_through(open_store(DirFileSystem(path=root, fs=filesystem)), place)

    def test_the_filesystem_stays_as_it_was(
        self,
        place: Place,
        filesystem: Any,  # noqa: ANN401 - fsspec is untyped
        root: str,
    ) -> None:
        """Its settings are not touched, and it still works when the store is closed."""
        filesystem.find(root)
        before = _settings(filesystem)
        store = open_store((filesystem, root))
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.get("token", deadline=within(TIMEOUT))
        store.close()
        assert _settings(filesystem) == before
        assert filesystem.cat_file(f"{root}/token") == b"first"
        place.put("prefix/more", b"second")
        assert filesystem.cat_file(f"{root}/more") == b"second"

    def test_its_listing_cache_misleads_nobody(
        self,
        place: Place,
        filesystem: Any,  # noqa: ANN401 - fsspec is untyped
        root: str,
    ) -> None:
        """A foreign write and a foreign delete are seen at once, also after a listing."""
        place.put("prefix/other", b"x")
        filesystem.ls(root)
        stores = [open_store((filesystem, root)), open_at(place, "prefix")]
        place.put("prefix/token", b"first")
        for store in stores:
            found = store.get("token", deadline=within(TIMEOUT))
            assert found is not None
            assert found.content == b"first"
        filesystem.ls(root)
        place.delete("prefix/token")
        for store in stores:
            assert store.get("token", deadline=within(TIMEOUT)) is None
            store.close()


def _walk_through(store: TokenStore, place: Place) -> None:
    assert store.get("token", deadline=within(TIMEOUT)) is None
    version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    version = store.put("token", b"second", version, deadline=within(TIMEOUT))
    found = store.get("token", deadline=within(TIMEOUT))
    assert found is not None
    assert (found.content, found.version) == (b"second", version)
    store.put("token", b"third", ANY, deadline=within(TIMEOUT))
    assert place.get("prefix/token") == b"third"
    assert place.keys() == ["prefix/token"]
    store.delete("token", deadline=within(TIMEOUT))
    assert place.keys() == []
    store.close()


def _settings(filesystem: Any) -> dict[str, str]:  # noqa: ANN401 - fsspec is untyped
    """Everything about a filesystem that could be set, as text."""
    kinds = (str, int, float, bool, dict, list, tuple, type(None))
    found = {name: value for name, value in vars(filesystem).items() if isinstance(value, kinds)}
    # What a driver notes down while it works.
    for name in ("_intrans", "_cache", "_s3creator", "_request_id"):
        found.pop(name, None)
    return {name: repr(value) for name, value in sorted(found.items())}
