"""A session that talks to its store through a proxy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers.process import poll

from fleet.scene import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.proxy import Proxy
    from servers.script import Exchange, Rule

    from betfair_session import Session
    from fleet.scene import Scene

LOCK = KEY + ".login"


def reads(name: str) -> Callable[[Exchange], bool]:
    """Match the reads of one object."""
    return lambda exchange: exchange.method == "GET" and exchange.path.endswith(name)


def writes(name: str) -> Callable[[Exchange], bool]:
    """Match the writes of one object."""
    return lambda exchange: exchange.method == "PUT" and exchange.path.endswith(name)


@dataclass(frozen=True)
class Line:
    """A scene on SeaweedFS, and a proxy in front of it.

    Attributes:
        scene: as seen past the proxy.
        proxy: what the session talks through.
        session: a handle whose calls of the store take a second at most.
    """

    scene: Scene
    proxy: Proxy
    session: Session

    def late(self, rule: Rule) -> None:
        """Let what was held go on, and wait until the server has answered it."""
        rule.release.set()
        held = [each for each in self.proxy.requests if each.fault == "hold"]
        assert held
        assert any(all(each.status for each in held) for _ in poll(10))
