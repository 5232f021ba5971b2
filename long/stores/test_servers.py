"""The contract on the servers that the tests do not start, and races on every one there is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rare_servers.sftp import SFTPServer
from servers.objects import Bucket, ObjectServer, ProgramServer
from servers.process import poll
from servers.proxy import Proxy
from storage.contract import (
    CALLS,
    WRITES,
    Contract,
    Credentials,
    Forks,
    ObjectStore,
    OwnFilesystem,
    assert_conflict,
    create,
    failure,
    read,
)
from storage.places import TIMEOUT, BucketPlace, LocalPlace, Place, open_at
from within import within

from betfair_session import StoreUnavailable
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY, TokenStore
from stores.racers import LOST, WON, Racers, content_of

LANES = [
    *("moto", "seaweed", "gcs", "azure"),
    *("obstore+moto", "obstore+seaweed", "obstore+gcs-xml", "obstore+azure"),
]
"""Every server, through every driver that reaches it."""


@pytest.fixture
def place(
    request: pytest.FixtureRequest, bucket_on: Callable[[str], Bucket], tmp_path: Path
) -> Place:
    """A fresh bucket of the lane that a class or a parameter names."""
    lane: str = getattr(request.cls, "lane", None) or request.getfixturevalue("lane")
    if lane == "local":
        return LocalPlace(tmp_path)
    driver, plus, kind = lane.rpartition("+")
    return BucketPlace(bucket_on(kind), driver + plus)


class Versions:
    """For buckets that can keep every version."""

    def test_a_deleted_object_is_missing(self, place: BucketPlace, store: TokenStore) -> None:
        """A delete marker reads as nothing, conflicts with the old version, and can be filled."""
        server: Any = place.bucket.server
        server.version_bucket(place.bucket.name)
        stale = create(store)
        store.delete("token", deadline=within(TIMEOUT))
        assert store.get("token", deadline=within(TIMEOUT)) is None
        assert_conflict(lambda: store.put("token", b"2", stale, deadline=within(TIMEOUT)))
        create(store, b"third")
        assert_conflict(lambda: create(store, b"fourth"))


class TestSeaweed(ObjectStore, Credentials, Forks, OwnFilesystem, Versions):
    """S3 through s3fs, on SeaweedFS."""

    driver, lane = "s3fs", "seaweed"


class TestObstoreSeaweed(ObjectStore, Credentials, Versions):
    """S3 through obstore, on SeaweedFS."""

    driver, lane = "obstore", "obstore+seaweed"


class TestObstoreGCS(ObjectStore):
    """Google Cloud Storage through obstore, on fake-gcs-server behind a gateway for its XML."""

    driver, lane = "obstore", "obstore+gcs-xml"


class TestObstoreAzure(ObjectStore, Credentials):
    """Azure Blob Storage through obstore, on Azurite."""

    driver, lane = "obstore", "obstore+azure"


class TestSFTP(Contract, Forks, OwnFilesystem):
    """A directory behind sftp, through sshfs: the generic path."""

    lane = "sftp"
    atomic: ClassVar[bool] = False
    unfit: ClassVar[frozenset[str]] = frozenset({"v#1"})

    def test_it_survives_its_server(self) -> None:
        """Sshfs itself never connects again, and fsspec hands the dead one to all who ask."""
        with SFTPServer() as server, open_at(BucketPlace(server.new_bucket())) as store:
            version = create(store)
            server.process.stop()
            for _ in range(2):
                assert isinstance(failure("read", store, ""), StoreUnavailable)
            server.start_again()
            store.put("token", b"second", version, deadline=within(TIMEOUT))
            assert read(store).content == b"second"


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("lane", ["local", *LANES])
@pytest.mark.parametrize("replacing", [False, True], ids=["create", "replace"])
def test_of_sixteen_processes_one_wins(
    place: Place, lane: str, racers: Racers, *, replacing: bool
) -> None:
    """In each of twenty races that create an object, or replace one version."""
    del lane
    keys = [f"t{turn}" for turn in range(20)]
    for key in keys if replacing else []:
        place.put(f"prefix/{key}", b"first")
    outcomes = racers.race(place.url("prefix"), place.options, keys, replacing=replacing)
    for key, results in outcomes.items():
        assert sorted(results) == [LOST] * 15 + [WON]
        assert place.get(f"prefix/{key}") == content_of(results.index(WON))
    assert len(place.keys()) == len(outcomes) == 20


@pytest.mark.parametrize("lane", LANES)
def test_a_reader_sees_no_part(lane: str, store: TokenStore) -> None:
    """While contents of unequal length replace each other, every read is one of them."""
    del lane
    contents = {b"a" * 17, b"b" * 4000, b"c" * 400}
    create(store, b"a" * 17)
    done = threading.Event()
    seen: set[bytes] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(bytes(read(store).content))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for _ in range(20):
            for content in sorted(contents):
                store.put("token", content, ANY, deadline=within(TIMEOUT))
    finally:
        done.set()
        reader.join()
    assert seen
    assert seen <= contents


@pytest.mark.parametrize("lane", LANES)
def test_a_huge_object_is_not_fetched_whole(lane: str, place: BucketPlace) -> None:
    """Of 50 MB only the start is kept, and the call ends long before all could have come."""
    del lane
    place.put("prefix/huge", b"x" * 50_000_000)
    with open_at(place, "prefix") as store:
        assert len(read(store, "huge").content) == 4097


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("call", CALLS)
def test_a_frozen_server_holds_nobody(
    lane: str, place: BucketPlace, store: TokenStore, call: str
) -> None:
    """With the server frozen the call ends; a write lands later only if it said so."""
    del lane
    version = create(store, b"present")
    server = place.bucket.server
    assert isinstance(server, ProgramServer)
    server.process.pause()
    try:
        error = failure(call, store, version, timeout=1)
    finally:
        server.process.resume()
    assert isinstance(error, StoreUnavailable)
    assert error.reason == "timeout"
    if not error.landed:
        assert all(place.get("prefix/token") == b"present" for _ in poll(1))


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("fault", ["reset", "lost", "truncate", "hold", "hold-answer"])
def test_a_broken_connection_to_a_real_server_is_told(
    lane: str,
    place: BucketPlace,
    fault: Any,  # noqa: ANN401 - a kind of the proxy's
    proxy_to: Callable[[ObjectServer], Proxy],
) -> None:
    """A write may have landed, now or when what was held arrives, and is not sent twice."""
    del lane
    proxy = proxy_to(place.bucket.server)
    options = place.bucket.server.options(proxy.endpoint)
    with open_at(place, "prefix") as direct:
        create(direct, b"present")
    with open_store(place.url("prefix"), options) as store:
        version = read(store).version
        for call in WRITES:
            proxy.clear()
            rule = proxy.fail("*", fault, times=9)
            error = failure(call, store, version, timeout=2)
            assert (error.landed, len(proxy.requests)) == (True, 1), call
            assert error.reason == ("timeout" if "hold" in fault else "unreachable")
            rule.release.set()
            proxy.clear()
            if fault != "reset":
                there = {"create": "prefix/fresh"}.get(call, "prefix/token")
                wanted = None if call == "delete" else b"mine"
                assert any(place.get(there) == wanted for _ in poll(20))
            place.delete("prefix/fresh")
            place.put("prefix/token", b"present")
            version = read(store).version
