"""Fixtures: places for tokens, and scenes at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from storage.places import BucketPlace, LocalPlace
from within import within

from fleet.line import Line
from fleet.scene import SHORT, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy
    from storage.places import Place

    from betfair_session.sandbox import Sandbox


@pytest.fixture
def place_on(bucket_on: Callable[[str], Bucket], tmp_path: Path) -> Callable[[str], Place]:
    """Make an empty place: local, a server's kind, or "obstore+" and one."""

    def make(kind: str) -> Place:
        if kind == "local":
            directory = tmp_path / "store"
            directory.mkdir(mode=0o700, exist_ok=True)
            return LocalPlace(directory)
        driver, plus, server = kind.rpartition("+")
        return BucketPlace(bucket_on(server), driver + plus)

    return make


@pytest.fixture
def scene_on(sandbox: Sandbox, place_on: Callable[[str], Place]) -> Callable[[str], Scene]:
    """Set the scene at a fresh place of a kind."""
    return lambda kind: Scene.at(sandbox, place_on(kind))


@pytest.fixture
def line(
    scene_on: Callable[[str], Scene],
    server_of: Callable[[str], ObjectServer],
    proxy_to: Callable[[ObjectServer], Proxy],
) -> Iterator[Line]:
    """A session behind a proxy."""
    scene, proxy = scene_on("seaweed"), proxy_to(server_of("seaweed"))
    with scene.session(endpoint=proxy.endpoint, lease=SHORT) as session:
        # It opens its driver, so that a call has all of its time.
        session._store.get("nothing", deadline=within(30))
        proxy.clear()
        yield Line(scene, proxy, session)
