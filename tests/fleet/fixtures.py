"""Fixtures: places for tokens, and scenes at them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from servers.process import poll
from storage.places import BucketPlace, LocalPlace
from within import within

from fleet.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy
    from servers.script import Exchange, Rule
    from storage.places import Place

    from betfair_session import Session
    from betfair_session.sandbox import Sandbox


HASTY = {"ttl": 30.0, "login_deadline": 10.0, "store_deadline": 1.5}
"""A lease for those whose requests are held."""


@dataclass(frozen=True)
class Line:
    """A scene on a server, and a session that talks to it through a proxy."""

    scene: Scene  # as seen past the proxy
    proxy: Proxy
    session: Session

    def late(self, rule: Rule) -> None:
        """Let what was held go on, and wait until the server has answered it."""
        rule.release.set()
        held = [each for each in self.proxy.requests if each.fault == "hold"]
        assert held
        assert any(all(each.status for each in held) for _ in poll(10))


def writes(name: str) -> Callable[[Exchange], bool]:
    """Match the writes of one object."""
    return lambda exchange: exchange.method == "PUT" and exchange.path.endswith(name)


@pytest.fixture
def scene_on(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket], tmp_path: Path
) -> Callable[[str], Scene]:
    """Set the scene at an empty place: local, on a server's kind, or on "obstore+" and one."""

    def place_on(kind: str) -> Place:
        if kind == "local":
            directory = tmp_path / "store"
            directory.mkdir(mode=0o700, exist_ok=True)
            return LocalPlace(directory)
        driver, plus, server = kind.rpartition("+")
        return BucketPlace(bucket_on(server), driver + plus)

    return lambda kind: Scene.at(sandbox, place_on(kind))


@pytest.fixture
def line_to(
    scene_on: Callable[[str], Scene],
    server_of: Callable[[str], ObjectServer],
    proxy_to: Callable[[ObjectServer], Proxy],
) -> Iterator[Callable[[str], Line]]:
    """Put a session behind a proxy to a server."""
    with ExitStack() as sessions:

        def make(kind: str) -> Line:
            scene, proxy = scene_on(kind), proxy_to(server_of(kind))
            session = sessions.enter_context(scene.session(endpoint=proxy.endpoint, lease=HASTY))
            # It opens its driver, so that a call has all of its time.
            session._store.get("nothing", deadline=within(30))
            proxy.clear()
            return Line(scene, proxy, session)

        yield make
