"""The contract on the servers that the tests do not start, and races on every one there is."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hidden import test_drivers
from hidden.conftest import Said, planted, said  # noqa: F401 - fixtures
from hidden.planted import Planted
from rare_servers.sftp import SFTPServer
from servers.objects import Bucket, ProgramServer
from servers.process import poll
from storage import test_contract as shared
from storage.contract import (
    CALLS,
    Contract,
    Credentials,
    Forks,
    ObjectStore,
    OwnFilesystem,
    create,
    failure,
    put,
    read,
)
from storage.places import LocalPlace, Place, open_at
from storage.surroundings import in_a_child
from within import within

from betfair_session import StoreUnavailable
from betfair_session.storage.contract import ABSENT, TokenStore, VersionConflict

LANES = [
    *("moto", "seaweed", "gcs", "azure"),
    *("obstore+moto", "obstore+seaweed", "obstore+gcs-xml", "obstore+azure"),
]
"""Every server, through every driver that reaches it."""
PATIENCE = 120.0
"""Seconds that sixteen processes are given to open their drivers on two cores."""


@pytest.fixture
def place(
    request: pytest.FixtureRequest, bucket_on: Callable[[str], Bucket], tmp_path: Path
) -> Place:
    """A fresh bucket of the lane that a class or a parameter names."""
    lane: str = getattr(request.cls, "lane", None) or request.getfixturevalue("lane")
    if lane == "local":
        return LocalPlace(tmp_path)
    return bucket_on(lane)


@pytest.fixture
def store(place: Place) -> Iterator[TokenStore]:
    """The store under test, at a prefix of its place."""
    with open_at(place, "prefix") as store:
        yield store


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("lane", ["local", *LANES])
@pytest.mark.parametrize("replacing", [False, True], ids=["create", "replace"])
def test_of_sixteen_processes_one_wins(place: Place, lane: str, *, replacing: bool) -> None:
    """In each of twenty races that create an object, or replace the version that each has read.

    Ten run side by side: SeaweedFS lets a loser wait for a second or more. It comes first: after
    the others this process has used obstore, and cannot be forked for it any more.
    """
    keys, fork = [f"t{turn}" for turn in range(20)], multiprocessing.get_context("fork")
    lines = [fork.Barrier(16) for _ in range(10)]
    for key in keys if replacing else []:
        place.put(f"prefix/{key}", b"first")

    def race(number: int) -> list[str]:
        def run(side: int) -> list[str]:
            won = []
            for key in keys[side::10]:
                lines[side].wait(PATIENCE)
                with suppress(VersionConflict):
                    put(store, b"%d" % number, versions[key], key)
                    won.append(key)
            return won

        with open_at(place, "prefix") as store, ThreadPoolExecutor(10) as pool:
            store.get(keys[0], deadline=within(PATIENCE))  # it is connected, so that writes meet
            versions = {key: read(store, key).version if replacing else ABSENT for key in keys}
            return [key for won in pool.map(run, range(10)) for key in won]

    with ThreadPoolExecutor(16) as pool:
        told: Any = list(pool.map(lambda n: in_a_child(lambda: race(n), 2 * PATIENCE), range(16)))
    winners = sorted((key, number) for number, won in enumerate(told) for key in won)
    assert [key for key, _ in winners] == sorted(keys), (lane, told)
    for key, number in winners:
        assert place.get(f"prefix/{key}") == b"%d" % number
    assert len(place.keys()) == 20


class TestSeaweed(ObjectStore, Credentials, Forks, OwnFilesystem):
    """S3 through s3fs, on SeaweedFS."""

    driver, lane = "s3fs", "seaweed"
    test_a_deleted_object = shared.TestS3.test_a_deleted_object_in_a_versioned_bucket_is_missing


class TestObstoreSeaweed(ObjectStore, Credentials):
    """S3 through obstore, on SeaweedFS."""

    driver, lane = "obstore", "obstore+seaweed"
    test_a_deleted_object = shared.TestS3.test_a_deleted_object_in_a_versioned_bucket_is_missing


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
        """Sshfs itself never connects again, and fsspec gives every caller the dead one."""
        with SFTPServer() as server, open_at(server.new_bucket()) as store:
            version = create(store)
            server.process.stop()
            for _ in range(2):
                assert isinstance(failure("read", store, ""), StoreUnavailable)
            server._begin()  # on the same port
            put(store, b"second", version)
            assert read(store).content == b"second"


@pytest.mark.parametrize("lane", LANES)
def test_a_reader_sees_no_part(lane: str, store: TokenStore) -> None:
    """While contents of unequal length replace each other, every read is one of them."""
    del lane
    shared.Whole().test_a_reader_sees_no_part(store)


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("call", CALLS)
def test_a_frozen_server_holds_nobody(
    lane: str, place: Bucket, store: TokenStore, call: str
) -> None:
    """With the server frozen the call ends; a write lands later only if its error said so."""
    del lane
    version = create(store, b"present")
    server = place.server
    assert isinstance(server, ProgramServer)
    os.kill(server.process.pid, signal.SIGSTOP)
    os.waitpid(server.process.pid, os.WUNTRACED)  # until its last thread has stopped
    try:
        error = failure(call, store, version, timeout=1)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert isinstance(error, StoreUnavailable)
    assert error.reason == "timeout"
    if not error.landed:
        assert all(place.get("prefix/token") == b"present" for _ in poll(1))


@pytest.mark.parametrize(
    "kind", ["seaweed", "sftp", "obstore+seaweed", "obstore+azure", "obstore+gcs-xml"]
)
def test_no_driver_logs_a_token(
    planted: Planted,  # noqa: F811
    said: Said,  # noqa: F811
    bucket_on: Callable[[str], Bucket],
    kind: str,
) -> None:
    """A login, a resumption, a rejection, a logout: each reads or writes the token."""
    test_drivers.live_a_life(planted, said, bucket_on(kind))
