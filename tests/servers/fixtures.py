"""Fixtures: every server once per test process, a bucket of its own for every test."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import kept
import pytest

from servers.azure import AzureServer
from servers.cloudlike import Cloud
from servers.gcs import GCSServer
from servers.objects import Bucket, ObjectServer
from servers.process import ServerMissing
from servers.s3 import MotoServer


def _rare(kind: str) -> ObjectServer:
    module, name = kind.split(".")
    server: ObjectServer = getattr(importlib.import_module(f"rare_servers.{module}"), name)()
    return server


_KINDS: dict[str, Callable[[], ObjectServer]] = {
    "moto": MotoServer,
    "gcs": GCSServer,
    "azure": AzureServer,
    "cloud-s3": partial(Cloud, "s3"),
    "cloud-gcs": partial(Cloud, "gcs", pace=1.0),  # as at Google itself
    "cloud-azure": partial(Cloud, "azure"),
    "seaweed": partial(_rare, "seaweed.SeaweedServer"),
    "gcs-xml": partial(_rare, "gcs_xml.GCSXMLServer"),
    "sftp": partial(_rare, "sftp.SFTPServer"),
}


@pytest.fixture
def one_crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One crowd of processes at a time, over all workers: two would starve each other."""
    with open(tmp_path_factory.getbasetemp().parent / "crowd.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def server_of() -> Iterator[Callable[[str], ObjectServer]]:
    """Return the running server of a kind: moto, gcs, azure, or cloud-s3, -gcs or -azure.

    A machine that lacks a server skips the tests that need it, with the reason; with
    BETFAIR_SESSION_REQUIRE_SERVERS=1 (continuous integration) that is a failure instead.
    """
    running = kept.servers if kept.KEEP else {}
    missing: dict[str, str] = {}
    session = contextlib.ExitStack()
    at_the_end = kept.at_the_end if kept.KEEP else session.callback
    lack = pytest.fail if os.environ.get("BETFAIR_SESSION_REQUIRE_SERVERS") == "1" else pytest.skip

    def find(kind: str) -> ObjectServer:
        if kind not in running and kind not in missing:
            try:
                running[kind] = _KINDS[kind]()
                at_the_end(running[kind].stop)
            except ServerMissing as reason:
                missing[kind] = str(reason)
        if kind in missing:
            lack(f"no {kind} server: {missing[kind]}")
        return running[kind]

    with session:
        yield find


@pytest.fixture(scope="session")
def bucket_on(server_of: Callable[[str], ObjectServer]) -> Callable[[str], Bucket]:
    """Make a fresh bucket on the server of a kind, for the driver that "obstore+" names."""

    def make(kind: str) -> Bucket:
        driver, plus, server = kind.rpartition("+")
        return server_of(server).new_bucket(driver + plus)

    return make


CLOUD_LANES = ("s3", "gcs", "azure", "obstore+s3", "obstore+gcs", "obstore+azure")
"""Each cloud as the stub, through fsspec's driver and through obstore."""


@pytest.fixture(params=CLOUD_LANES)
def cloud_lane(request: pytest.FixtureRequest) -> str:
    """The name of a lane; to choose some, parametrize this fixture."""
    lane: str = request.param
    return lane


@pytest.fixture
def cloud(cloud_lane: str) -> Iterator[Cloud]:
    """A cloud that behaves like one, with faults by script; a new one for each test."""
    kind: Any = cloud_lane.rpartition("+")[2]
    with Cloud(kind) as cloud:
        yield cloud


@pytest.fixture
def cloud_place(cloud_lane: str, cloud: Cloud) -> Bucket:
    """A fresh bucket there, and the way to it that the lane names."""
    return cloud.new_bucket(cloud_lane.removesuffix(cloud.kind))
