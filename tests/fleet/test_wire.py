"""The requests for lock and token: how many there are, and what the network does to them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.proxy import Proxy
from servers.s3 import refusal
from within import within

from betfair_session import (
    BetfairSessionError,
    PublishUncertain,
)
from fleet.fixtures import writes
from fleet.scene import KEY, LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import ObjectServer
    from servers.script import Answer, Fault

    from fleet.fixtures import Line
    from fleet.scene import Scene

pytestmark = pytest.mark.usefixtures("short_waits")

CONFLICT = refusal(409, "ConditionalRequestConflict")
FAILED_CONDITION = refusal(412, "PreconditionFailed")
SLOW_DOWN = refusal(503, "SlowDown")
FORBIDDEN = refusal(403, "AccessDenied")


# An S3 server that is not Amazon's is tried out by one more write: does it keep conditions?
COSTS = {"moto": (3, 4), "obstore+moto": (3, 4), "gcs": (2, 3), "azure": (2, 3)}


@pytest.mark.parametrize("kind", COSTS)
def test_calls_cost_what_the_table_in_backends_md_says(
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


@pytest.fixture
def line(line_to: Callable[[str], Line]) -> Line:
    """A session behind a proxy, before an S3 server."""
    return line_to("moto")


@pytest.mark.parametrize("fault", ["lost", "truncate", CONFLICT, FAILED_CONDITION])
@pytest.mark.parametrize(("name", "dead"), [(LOCK, False), (KEY, True)])
def test_a_write_whose_answer_is_lost_or_wrong_is_looked_at(
    line: Line, name: str, fault: Fault | Answer, *, dead: bool
) -> None:
    """It landed, and is found by its nonce or content; or it did not, and is made again."""
    if dead:
        line.scene.store_dead_token()
    line.proxy.fail(writes(name), fault)
    assert line.session.token() == line.scene.stored()
    assert line.scene.logins() == 1
    assert "logout" not in line.scene.sandbox.counts()
    assert len(line.proxy.requests) <= 12  # it waited for nobody, which takes twenty looks
    line.scene.assert_quiet()


def test_a_lock_that_lands_late_holds_nobody_longer_than_its_time_to_live(line: Line) -> None:
    """Its writer has long given up and will never release it."""
    rule = line.proxy.fail(writes(LOCK), "hold", times=99)
    with pytest.raises(BetfairSessionError):
        line.session.token(timeout=4)
    line.late(rule)
    assert line.scene.lock()["state"] == "held"
    with line.scene.session() as other:
        assert other.token(timeout=50) == line.scene.stored()
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


def test_a_token_write_that_comes_twice_or_late_is_rejected(line: Line) -> None:
    """The first attempt is still under way when the second one has landed."""
    line.scene.store_dead_token()
    late = line.proxy.fail(writes(KEY), "hold")
    line.proxy.fail(writes(KEY), "duplicate")
    token = line.session.token()
    assert token == line.scene.stored()
    line.late(late)
    assert line.scene.stored() == token
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


def test_a_token_that_may_still_land_is_not_logged_out_and_replaces_no_later_one(
    line: Line,
) -> None:
    """Nobody knows whether it was stored; a newcomer's comes first."""
    late = line.proxy.fail(writes(KEY), "hold", times=3)
    with pytest.raises(PublishUncertain):
        line.session.token()
    assert line.scene.stored() == ""
    with line.scene.session() as other:
        token = other.token()
        line.late(late)
        assert other.token() == token == line.scene.stored()
    counts = line.scene.sandbox.counts()
    assert (counts["certlogin"], "logout" in counts) == (2, False)


def test_a_store_that_ignores_conditions_is_found_out_before_a_login(
    scene_on: Callable[[str], Scene], server_of: Callable[[str], ObjectServer]
) -> None:
    """The lock is created a second time; then each process logs in by itself."""
    scene = scene_on("moto")  # it checks no signature, which covers the conditions
    scene.sandbox.hold("certlogin")
    with (
        Proxy(server_of("moto").port, deaf=True) as proxy,
        scene.session(endpoint=proxy.endpoint) as session,
        scene.session(endpoint=proxy.endpoint) as other,
        ThreadPoolExecutor() as pool,
    ):
        calls = [pool.submit(session.token) for _ in range(4)]
        scene.sandbox.wait_for("certlogin")
        assert len([each for each in proxy.requests if writes(LOCK)(each)]) == 2
        calls.append(pool.submit(other.token))
        # The other process does not wait for the first one's lock.
        scene.sandbox.wait_for("certlogin", 2)
        scene.sandbox.release("certlogin")
        tokens = [call.result() for call in calls]
    assert len(set(tokens[:4])) == 1
    assert scene.logins() == 2
    assert set(tokens) <= set(scene.live())
