"""The requests for lock and token: how many there are, and what the network does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from servers.cloudlike import Cloud
from servers.cloudlike_wire import Order, Says
from servers.objects import Bucket
from within import within

from betfair_session import BetfairSessionError, Session
from betfair_session.sandbox import Sandbox
from fleet.scene import KEY, LOCK, Scene

pytestmark = pytest.mark.usefixtures("short_waits")


def writes(name: str) -> Callable[[Order], bool]:
    return lambda order: (order.verb, order.name) == ("PUT", name)


s3 = pytest.mark.parametrize("cloud_lane", ["s3"])


@pytest.fixture
def scene(sandbox: Sandbox, cloud_place: Bucket) -> Scene:
    """A place in a cloud that makes faults by script."""
    return Scene.at(sandbox, cloud_place)


@pytest.fixture
def session(cloud: Cloud, scene: Scene) -> Iterator[Session]:
    """A handle with its driver open, for calls of the store that take a second and a half."""
    with scene.session(lease={"ttl": 30.0, "login_deadline": 10.0, "store_deadline": 1.5}) as made:
        made._store.get("nothing", deadline=within(30))
        cloud.orders.clear()
        yield made


def test_calls_cost_what_the_table_in_backends_md_says(
    cloud: Cloud, scene: Scene, session: Session
) -> None:
    """An S3 server that is not Amazon's gets four more, two for each of its conditions."""

    def cost() -> tuple[int, int]:
        session.token()
        # A look at the server's clock, which obstore hides, asks for no object.
        verbs = [each.verb for each in cloud.orders if each.verb != "LOOK"]
        cloud.orders.clear()
        return verbs.count("GET"), len(verbs) - verbs.count("GET")

    tried = cloud.kind == "s3"
    assert cost() == (3 + 2 * tried, 3 + 2 * tried)
    assert cost() == (1, 0)
    scene.sandbox.expire_all()
    assert cost() == (3, 3)


TWICE: dict[str, Any] = {"lands": "now", "answer": Says(412, "PreconditionFailed")}
WRONG: list[dict[str, Any]] = [
    {"lands": "now", "answer": "reset"},
    TWICE,
    {"answer": "stall"},
    {"answer": Says(409, "ConditionalRequestConflict")},
    {"answer": Says(412, "PreconditionFailed")},
]


@s3
@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize(("name", "dead"), [(LOCK, False), (KEY, True)])
def test_a_write_whose_answer_is_lost_or_wrong_is_looked_at(
    cloud: Cloud, scene: Scene, session: Session, fault: dict[str, Any], name: str, *, dead: bool
) -> None:
    """If it landed, it is found by its nonce or content; if not, it is made again."""
    if dead:
        scene.store_dead_token()
    cloud.fail(writes(name), times=1, **fault)
    assert session.token() == scene.stored()
    assert scene.logins() == 1
    assert "logout" not in scene.sandbox.counts()
    assert len(cloud.orders) <= 12  # it waited for no other process, which takes twenty looks
    scene.assert_quiet()


@s3
def test_a_lock_that_lands_late_holds_nobody_longer_than_its_time_to_live(
    cloud: Cloud, scene: Scene, session: Session
) -> None:
    fault = cloud.fail(writes(LOCK), lands="later", answer="silence")
    with pytest.raises(BetfairSessionError):
        session.token(timeout=4)
    cloud.heal()
    assert any(fault.land())
    assert scene.lock()["state"] == "held"
    with scene.session() as other:
        assert other.token(timeout=50) == scene.stored()
    assert scene.logins() == 1
    scene.assert_quiet()


@s3
def test_a_token_write_that_comes_twice_or_late_is_rejected(
    cloud: Cloud, scene: Scene, session: Session
) -> None:
    """The first attempt is still under way when the second one has landed."""
    scene.store_dead_token()
    cloud.fail(writes(KEY), times=1, **TWICE)
    fault = cloud.fail(writes(KEY), lands="later", answer="silence", times=1)
    token = session.token()
    assert fault.land() == [False]
    assert token == scene.stored()
    assert scene.logins() == 1
    scene.assert_quiet()


@s3
def test_a_store_that_ignores_conditions_is_found_out_before_a_login(
    cloud: Cloud, scene: Scene, session: Session
) -> None:
    """A second create of the lock shows it; then each process logs in by itself."""
    cloud.ignores = lambda _: True
    scene.sandbox.hold("certlogin")
    with scene.session() as other, ThreadPoolExecutor() as pool:
        calls = [pool.submit(session.token) for _ in range(4)]
        scene.sandbox.wait_for("certlogin")
        assert [each.name for each in cloud.orders if each.verb == "PUT"] == [LOCK, LOCK]
        calls.append(pool.submit(other.token))
        # The other process does not wait for the first one's lock.
        scene.sandbox.wait_for("certlogin", 2)
        scene.sandbox.release("certlogin")
        tokens = [call.result() for call in calls]
    assert len(set(tokens[:4])) == 1
    assert scene.logins() == 2
    assert set(tokens) <= set(scene.live())
