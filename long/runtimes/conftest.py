"""Fixtures: the clouds, each with the example that is for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rare_servers.proxy import Proxy
from servers.objects import Bucket, ObjectServer

from betfair_session.sandbox import Sandbox
from runtimes.clouds import Cloud, amazon, azure, google
from runtimes.outside import Outside


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    """Google's and Azure's services around a function."""
    outside = Outside(tmp_path_factory.mktemp("outside"))
    yield outside
    outside.close()


@pytest.fixture
def cloud_of(
    sandbox: Sandbox,
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    outside: Outside,
    tmp_path: Path,
) -> Iterator[Callable[[str], Cloud]]:
    """Deploy the example of a cloud: amazon, google or azure."""
    if sys.platform != "linux":
        pytest.skip("instances are watched through /proc, and awslambdaric has wheels for Linux")
    made: list[Cloud] = []

    def deploy(name: str) -> Cloud:
        if name == "amazon":
            bucket = bucket_on("moto")
            made.append(amazon(sandbox, bucket, tmp_path, proxy_to(bucket.server)))
        elif name == "google":
            made.append(google(sandbox, bucket_on("gcs-xml"), tmp_path, outside))
        else:
            made.append(azure(sandbox, bucket_on("azure"), tmp_path, outside))
        return made[-1]

    yield deploy
    for instance in (each for cloud in made for each in cloud.instances):
        instance.stop()
