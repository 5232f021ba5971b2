"""What every store promises, as tests; a backend's class says where, and inherits them all."""

from __future__ import annotations

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import pytest
from within import within

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY, MAX_READ, VersionConflict
from betfair_session.tokens import is_blank
from storage.places import TIMEOUT, open_at
from storage.racers import LOST, WON, attempt, content_of

if TYPE_CHECKING:
    from betfair_session.storage.contract import TokenStore
    from storage.places import Place
    from storage.racers import Racers

_NAMES = [
    "token",
    "deep/er/token",
    "with space",
    "ünïcödé-名前-🎾",
    "hash#1",
    "percent%41%2F",
    "plus+plus",
    "question?versionId=1",
    "equals=1&x",
    "~tilde",
    "at@colon:semi;",
    "star*",
    "bracket[a]{b}",
    "quote'\"`",
]


class Basics:
    """One caller at a time."""

    def test_a_missing_object_reads_as_none(self, store: TokenStore) -> None:
        """No object is no error."""
        assert store.get("token", deadline=within(TIMEOUT)) is None

    def test_what_was_created_is_read_back(self, place: Place, store: TokenStore) -> None:
        """The content arrives as given, below the prefix, with the version that was returned."""
        version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert (found.content, found.version) == (b"first", version)
        assert place.keys() == ["prefix/token"]
        assert place.get("prefix/token") == b"first"

    def test_an_object_is_created_once(self, place: Place, store: TokenStore) -> None:
        """The second create is a conflict and changes nothing."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        with pytest.raises(VersionConflict) as caught:
            store.put("token", b"second", ABSENT, deadline=within(TIMEOUT))
        assert (caught.value.reason, caught.value.landed) == ("conflict", False)
        assert place.get("prefix/token") == b"first"

    def test_the_named_version_is_replaced(self, place: Place, store: TokenStore) -> None:
        """Versions from create, from read and from the last replacement all serve."""
        version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        version = store.put("token", b"second", version, deadline=within(TIMEOUT))
        version = store.put("token", b"third", version, deadline=within(TIMEOUT))
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert found.version == version
        store.put("token", b"fourth", found.version, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"fourth"

    def test_a_stale_version_is_a_conflict(self, place: Place, store: TokenStore) -> None:
        """An object that changed since is not overwritten."""
        stale = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.put("token", b"second", ANY, deadline=within(TIMEOUT))
        with pytest.raises(VersionConflict) as caught:
            store.put("token", b"third", stale, deadline=within(TIMEOUT))
        assert (caught.value.reason, caught.value.landed) == ("conflict", False)
        assert place.get("prefix/token") == b"second"

    def test_a_foreign_write_is_a_conflict(self, place: Place, store: TokenStore) -> None:
        """What somebody else wrote meanwhile is not overwritten."""
        stale = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        place.put("prefix/token", b"foreign")
        with pytest.raises(VersionConflict):
            store.put("token", b"third", stale, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"foreign"

    def test_a_deleted_object_is_a_conflict(self, place: Place, store: TokenStore) -> None:
        """An object that is gone is not brought back."""
        stale = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        place.delete("prefix/token")
        with pytest.raises(VersionConflict) as caught:
            store.put("token", b"second", stale, deadline=within(TIMEOUT))
        assert (caught.value.reason, caught.value.landed) == ("conflict", False)
        assert place.keys() == []

    def test_replace_writes_whatever_is_there(self, place: Place, store: TokenStore) -> None:
        """Replacing works on a missing object, a present one and a foreign one."""
        for content in (b"first", b"second"):
            version = store.put("token", content, ANY, deadline=within(TIMEOUT))
            assert place.get("prefix/token") == content
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert found.version == version
        place.put("prefix/token", b"foreign")
        store.put("token", b"third", ANY, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"third"

    def test_the_version_changes_with_the_content(self, place: Place, store: TokenStore) -> None:
        """No two contents share a version, whoever wrote them."""
        versions = [store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))]
        versions.append(store.put("token", b"second", ANY, deadline=within(TIMEOUT)))
        place.put("prefix/token", b"third!")
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        versions.append(found.version)
        assert len(set(versions)) == 3

    def test_delete_removes_and_does_not_mind(self, place: Place, store: TokenStore) -> None:
        """A second delete of the same object is no error."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.delete("token", deadline=within(TIMEOUT))
        assert place.keys() == []
        assert store.get("token", deadline=within(TIMEOUT)) is None
        store.delete("token", deadline=within(TIMEOUT))
        store.put("token", b"again", ABSENT, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"again"

    @pytest.mark.parametrize("pattern", ["t*", "toke?", "[t]oken", "**"])
    def test_delete_expands_no_pattern(self, place: Place, store: TokenStore, pattern: str) -> None:
        """A key that looks like a pattern removes only itself."""
        place.put("prefix/token", b"stays")
        store.delete(pattern, deadline=within(TIMEOUT))
        assert place.keys() == ["prefix/token"]

    def test_any_bytes_are_kept(self, place: Place, store: TokenStore) -> None:
        """All byte values, line ends among them, pass unchanged both ways."""
        content = bytes(range(256)) + b"\r\n\n\r\x00"
        store.put("token", content, ANY, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == content
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert found.content == content

    def test_an_empty_object_is_an_object(self, place: Place, store: TokenStore) -> None:
        """Empty is not missing: it is read, conflicts with a create, and can be replaced."""
        place.put("prefix/token", b"")
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert found.content == b""
        with pytest.raises(VersionConflict):
            store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.put("token", b"second", found.version, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"second"

    @pytest.mark.parametrize("size", [MAX_READ - 1, MAX_READ, MAX_READ + 1, MAX_READ + 2, 100_000])
    def test_a_large_object_is_cut(self, place: Place, store: TokenStore, size: int) -> None:
        """One byte more than the limit is read, so that too much can be told."""
        place.put("prefix/token", b"x" * size)
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert len(found.content) == min(size, MAX_READ + 1)

    def test_a_cut_object_still_has_its_version(self, place: Place, store: TokenStore) -> None:
        """The version of a large object is that of the whole."""
        place.put("prefix/token", b"x" * 100_000)
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        store.put("token", b"small", found.version, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"small"

    def test_a_closed_store_opens_again(self, store: TokenStore) -> None:
        """Closing gives connections back and is no end."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        store.close()
        store.close()
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        assert found.content == b"first"

    def test_each_store_has_connections_of_its_own(self, place: Place, store: TokenStore) -> None:
        """Closing one leaves another of the same URL as it is."""
        version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        with open_at(place, "prefix") as other:
            assert other.get("token", deadline=within(TIMEOUT)) is not None
        store.put("token", b"second", version, deadline=within(TIMEOUT))


class Deletions:
    """What is deleted on a condition."""

    def test_delete_removes_the_version_that_is_named_and_no_other(
        self, place: Place, store: TokenStore
    ) -> None:
        """What another wrote meanwhile stays; what is removed is no token any more."""
        version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        newer = store.put("token", b"second", version, deadline=within(TIMEOUT))
        with pytest.raises(VersionConflict):
            store.delete("token", version, deadline=within(TIMEOUT))
        assert place.get("prefix/token") == b"second"
        store.delete("token", newer, deadline=within(TIMEOUT))
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is None or is_blank(found.content)
        with pytest.raises(VersionConflict):
            store.delete("token", newer, deadline=within(TIMEOUT))


class Names:
    """Keys and prefixes mean what they say, character by character."""

    @pytest.mark.parametrize("key", _NAMES)
    def test_a_key_is_taken_literally(self, place: Place, store: TokenStore, key: str) -> None:
        """Every call finds the object under exactly the name that others see."""
        version = store.put(key, b"first", ABSENT, deadline=within(TIMEOUT))
        assert place.keys() == [f"prefix/{key}"]
        store.put(key, b"second", version, deadline=within(TIMEOUT))
        assert place.get(f"prefix/{key}") == b"second"
        place.put(f"prefix/{key}", b"foreign")
        found = store.get(key, deadline=within(TIMEOUT))
        assert found is not None
        assert found.content == b"foreign"
        store.delete(key, deadline=within(TIMEOUT))
        assert place.keys() == []

    unfit: ClassVar[frozenset[str]] = frozenset()
    """Prefixes that fsspec's driver reads as something else, and refuses."""

    @pytest.mark.parametrize("prefix", ["a/b", "with space", "ünï-名", "50%41", "a+b=c~", "v#1"])
    def test_a_prefix_is_taken_literally(self, place: Place, prefix: str) -> None:
        """The prefix in the URL is the prefix that others see."""
        if prefix in self.unfit:
            with pytest.raises(ConfigurationError):
                open_at(place, prefix)
            return
        with open_at(place, prefix) as store:
            store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        assert place.keys() == [f"{prefix}/token"]

    def test_a_trailing_slash_means_nothing(self, place: Place) -> None:
        """A store is the same with and without a slash at its end."""
        with open_at(place, "a/b/") as store:
            store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        assert place.keys() == ["a/b/token"]
        with open_at(place, "a/b") as store:
            assert store.get("token", deadline=within(TIMEOUT)) is not None

    @pytest.mark.parametrize("end", ["", "/"])
    def test_the_root_is_a_store(self, place: Place, end: str) -> None:
        """A store may be a whole bucket or directory."""
        with open_store(place.url() + end, place.options) as store:
            version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
            store.put("token", b"second", version, deadline=within(TIMEOUT))
        assert place.keys() == ["token"]
        assert place.get("token") == b"second"


class Whole:
    """For stores that promise whole contents (those on the generic path do not)."""

    turns: ClassVar[int] = 10

    def test_a_reader_sees_no_torn_content(self, store: TokenStore) -> None:
        """While contents of unequal length replace each other, every read is one of them."""
        contents = {b"a" * 17, b"b" * 4000, b"c" * 400}
        store.put("token", b"a" * 17, ABSENT, deadline=within(TIMEOUT))
        done = threading.Event()
        seen: list[bytes | None] = []

        def read() -> None:
            while not done.is_set():
                found = store.get("token", deadline=within(TIMEOUT))
                seen.append(found.content if found else None)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(20):
                for content in sorted(contents):
                    store.put("token", content, ANY, deadline=within(TIMEOUT))
        finally:
            done.set()
            reader.join()
        assert seen
        assert set(seen) <= contents

    def test_a_reader_sees_no_half_created_object(self, store: TokenStore) -> None:
        """While an object is created, every read sees nothing or all of it."""
        content = b"x" * MAX_READ
        for turn in range(self.turns):
            key = f"t{turn}"
            seen: list[bytes | None] = []

            def read(key: str = key, seen: list[bytes | None] = seen) -> None:
                while not seen or seen[-1] is None:
                    found = store.get(key, deadline=within(TIMEOUT))
                    seen.append(found.content if found else None)

            reader = threading.Thread(target=read)
            reader.start()
            store.put(key, content, ABSENT, deadline=within(TIMEOUT))
            reader.join()
            assert seen[-1] == content


class Concurrency:
    """Many callers at the same moment."""

    def test_many_threads_share_one_store(self, place: Place, store: TokenStore) -> None:
        """Sixteen threads create, replace and read through one store, each its own object."""

        def work(number: int) -> bytes | None:
            version = store.put(f"t{number}", b"first", ABSENT, deadline=within(TIMEOUT))
            store.put(f"t{number}", content_of(number), version, deadline=within(TIMEOUT))
            found = store.get(f"t{number}", deadline=within(TIMEOUT))
            return found.content if found else None

        with ThreadPoolExecutor(16) as pool:
            seen = list(pool.map(work, range(16)))
        assert seen == [content_of(number) for number in range(16)]
        assert len(place.keys()) == 16


class ThreadRaces:
    """For stores that are atomic within a process, whatever they are between processes."""

    @pytest.mark.parametrize("conditional", ["create", "replace_if_version"])
    def test_one_thread_wins(self, store: TokenStore, conditional: str) -> None:
        """Of sixteen threads that create, or replace one version, one succeeds."""
        for turn in range(5):
            key = f"t{turn}"
            version = None
            if conditional == "replace_if_version":
                version = store.put(key, b"first", ABSENT, deadline=within(TIMEOUT))
            with ThreadPoolExecutor(16) as pool:
                race = functools.partial(_race, store, key, version, threading.Barrier(16))
                assert sorted(pool.map(race, range(16))) == [LOST] * 15 + [WON]


def _race(
    store: TokenStore, key: str, version: str | None, line: threading.Barrier, number: int
) -> str:
    line.wait(TIMEOUT)
    return attempt(store, key, content_of(number), version)


class Races:
    """What `atomic` means: sixteen processes, one winner."""

    def test_it_says_that_it_is_atomic(self, store: TokenStore) -> None:
        """Only a store that passes the races below says so."""
        assert store.atomic

    def test_it_tells_an_objects_age(self, store: TokenStore) -> None:
        """By its own clock, with the answer or when asked: a lock's age is judged so."""
        store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
        found = store.get("token", deadline=within(TIMEOUT))
        assert found is not None
        now = found.now if found.now is not None else store.server_now(deadline=within(TIMEOUT))
        assert now == pytest.approx(time.time(), abs=120)
        assert found.modified == pytest.approx(time.time(), abs=120)

    @pytest.mark.usefixtures("one_crowd")
    @pytest.mark.parametrize("conditional", ["create", "replace_if_version"])
    def test_one_process_wins(self, place: Place, racers: Racers, conditional: str) -> None:
        """Of sixteen processes that create, or replace one version, exactly one succeeds."""
        versions: dict[str, str | None] = {f"t{turn}": None for turn in range(20)}
        if conditional == "replace_if_version":
            with open_at(place, "prefix") as store:
                for key in versions:
                    versions[key] = store.put(key, b"first", ABSENT, deadline=within(TIMEOUT))
        outcomes = racers.race(place.url("prefix"), place.options, versions)
        for key, results in outcomes.items():
            assert sorted(results) == [LOST] * 15 + [WON]
            assert place.get(f"prefix/{key}") == content_of(results.index(WON))
        assert len(place.keys()) == len(outcomes) == 20
