"""What backends.md says that calls cost, counted by a proxy before each real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from within import within

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import ObjectServer
    from servers.proxy import Proxy

    from fleet.scene import Scene

# An S3 server that is not Amazon's is tried out by one more write: does it keep conditions?
COSTS = {"moto": (3, 4), "obstore+moto": (3, 4), "gcs": (2, 3), "azure": (2, 3)}


@pytest.mark.parametrize("kind", COSTS)
def test_calls_cost_what_the_table_says(
    kind: str,
    scene_on: Callable[[str], Scene],
    server_of: Callable[[str], ObjectServer],
    proxy_to: Callable[[ObjectServer], Proxy],
) -> None:
    """A first login costs five requests (seven there), a resume one, a later login six."""
    proxy = proxy_to(server_of(kind.rpartition("+")[2]))
    scene = scene_on(kind)

    def cost() -> tuple[int, int]:
        session.token()
        methods = [each.method for each in proxy.requests]
        proxy.clear()
        # A look at the server's clock, which obstore hides, is neither a read nor a write.
        looks = methods.count("HEAD")
        assert looks <= kind.startswith("obstore")
        return methods.count("GET"), len(methods) - methods.count("GET") - looks

    with scene.session(endpoint=proxy.endpoint) as session:
        session._store.get("nothing", deadline=within(30))  # it opens its driver
        proxy.clear()
        assert cost() == COSTS[kind]
        assert cost() == (1, 0)
        scene.sandbox.expire_all()
        assert cost() == (3, 3)
