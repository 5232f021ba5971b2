"""What the network does to the lock's and the token's requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from servers.proxy import Proxy
from storage import dialects
from storage.places import BucketPlace

from betfair_session import (
    BetfairSessionError,
    PublishUncertain,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from fleet.line import LOCK, Line, reads, writes
from fleet.scene import KEY, SHORT, TAKEOVER, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket
    from servers.script import Answer, Exchange, Fault

    from betfair_session.sandbox import Sandbox

CONFLICT = dialects.s3(409, "ConditionalRequestConflict")
FAILED_CONDITION = dialects.s3(412, "PreconditionFailed")
SLOW_DOWN = dialects.s3(503, "SlowDown")
TOO_MANY = dialects.s3(429, "TooManyRequests")
FORBIDDEN = dialects.s3(403, "AccessDenied")


@pytest.mark.parametrize("fault", ["lost", "truncate"])
def test_a_lock_whose_answer_was_lost_is_known_by_its_nonce(line: Line, fault: Fault) -> None:
    """Scenario 8: the write landed; the owner finds its own nonce and goes on at once."""
    line.proxy.fail(writes(LOCK), fault)
    assert line.session.token() == line.scene.stored()
    assert line.scene.logins() == 1
    line.scene.assert_quiet()
    assert len(line.proxy.requests) <= 9  # it did not wait


def test_a_lock_that_lands_late_holds_nobody_longer_than_the_ttl(line: Line) -> None:
    """Scenario 9: its writer has long given up and will never release it."""
    rule = line.proxy.fail(writes(LOCK), "hold")
    with pytest.raises(BetfairSessionError):
        line.session.token(timeout=1.2)
    line.late(rule)
    assert line.scene.lock()["state"] == "held"
    with line.scene.session(lease=SHORT) as other:
        assert other.token(timeout=TAKEOVER) == line.scene.stored()
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize("answer", [CONFLICT, FAILED_CONDITION], ids=["409", "412"])
@pytest.mark.parametrize("name", [LOCK, KEY])
def test_a_conflict_that_nobody_caused_is_asked_again(
    line: Line, name: str, answer: Answer, *, dead: bool
) -> None:
    """Scenarios 10 and 11: read back, and, since nothing is there, written again."""
    if dead:
        line.scene.store_dead_token()
    line.proxy.fail(writes(name), answer)
    assert line.session.token() == line.scene.stored()
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


@pytest.mark.parametrize("answer", [CONFLICT, TOO_MANY, FORBIDDEN], ids=["409", "429", "403"])
def test_a_token_that_is_never_taken_costs_one_session(line: Line, answer: Answer) -> None:
    """Scenarios 10 and 29: it was definitely not published, so its session is ended."""
    line.proxy.fail(writes(KEY), answer, times=99)
    with pytest.raises(StoreWriteError):
        line.session.token()
    assert line.scene.live() == []
    assert line.scene.sandbox.counts() == {"certlogin": 1, "logout": 1}
    with pytest.raises(StoreError):
        line.session.token()
    assert line.scene.logins() == 1  # a blank has to be written before the next
    with line.scene.session() as other:  # one that can write it waits for nobody
        assert other.token() == line.scene.stored()
    assert line.scene.logins() == 2


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize("fault", ["lost", "truncate"])
def test_a_token_whose_answer_was_lost_is_found_by_reading_back(
    line: Line, fault: Fault, *, dead: bool
) -> None:
    """Scenario 12: an error was seen, the write had landed: success, and nobody is logged out."""
    if dead:
        line.scene.store_dead_token()
    line.proxy.fail(writes(KEY), fault)
    assert line.session.token() == line.scene.stored()
    assert line.scene.logins() == 1
    assert "logout" not in line.scene.sandbox.counts()
    line.scene.assert_quiet()


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
def test_a_token_write_that_comes_twice_or_late_is_rejected(line: Line, *, dead: bool) -> None:
    """Scenario 13: the first attempt is still under way when the second one has landed."""
    if dead:
        line.scene.store_dead_token()
    late = line.proxy.fail(writes(KEY), "hold")
    line.proxy.fail(writes(KEY), "duplicate")
    token = line.session.token()
    assert token == line.scene.stored()
    line.late(late)
    assert line.scene.stored() == token
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


def test_a_late_token_write_does_not_replace_a_successors(line: Line) -> None:
    """Scenario 13: nor that of another process, which logged in meanwhile."""
    line.scene.store_dead_token()
    late = line.proxy.fail(writes(KEY), "hold", times=3)
    with pytest.raises(PublishUncertain):
        line.session.token()
    foreign = line.scene.sandbox.issue()
    line.scene.place.put(KEY, foreign.encode())
    line.late(late)
    assert line.scene.stored() == foreign
    assert "logout" not in line.scene.sandbox.counts()


def test_a_token_that_may_still_land_is_not_logged_out(line: Line) -> None:
    """Scenarios 9 and 12: nobody knows if it was stored; it replaces no later one either."""
    rule = line.proxy.fail(writes(KEY), "hold", times=3)
    with pytest.raises(PublishUncertain):
        line.session.token()
    assert line.scene.stored() == ""
    with line.scene.session() as other:
        token = other.token()
        line.late(rule)
        assert other.token() == token == line.scene.stored()
    assert line.scene.sandbox.counts() == {"certlogin": 2, "keepAlive": 1}


@pytest.mark.parametrize("name", [KEY, LOCK])
def test_forbidden_in_place_of_missing_is_explained(line: Line, name: str) -> None:
    """Scenario 27: without the right to list, S3 says 403 for 404; that is no missing token."""
    if name == LOCK:
        line.scene.store_dead_token()
    line.proxy.fail(reads(name), FORBIDDEN, times=99)
    with pytest.raises(StoreUnavailable, match="ListBucket") as caught:
        line.session.token()
    assert caught.value.reason == "forbidden"
    assert line.scene.logins() == 0
    assert [each.method for each in line.proxy.requests if each.method != "GET"] == []


@pytest.mark.parametrize("answer", [TOO_MANY, SLOW_DOWN], ids=["429", "503"])
@pytest.mark.parametrize("match", [reads(KEY), writes(LOCK), reads(LOCK), writes(KEY)])
def test_a_throttled_request_is_made_again(
    line: Line, match: Callable[[Exchange], bool], answer: Answer
) -> None:
    """Scenario 29: a store that asks to slow down gets its time; there is still one login."""
    line.scene.store_dead_token()
    line.proxy.fail(match, answer, times=2)
    assert line.session.token() == line.scene.stored()
    assert line.scene.logins() == 1
    line.scene.assert_quiet()


# --- a store that does not listen ----------------------------------------------------------------


def test_a_store_that_ignores_conditions_is_found_out_before_a_login(
    sandbox: Sandbox, bucket_on: Callable[[str], Bucket], caplog: pytest.LogCaptureFixture
) -> None:
    """Scenario 24: the lock is created a second time; then each process logs in by itself."""
    bucket = bucket_on("moto")  # it checks no signature, which covers the conditions
    scene = Scene.at(sandbox, BucketPlace(bucket))
    sandbox.hold("certlogin")
    with (
        Proxy(bucket.server.port, deaf=True) as proxy,
        scene.session(endpoint=proxy.endpoint) as session,
        scene.session(endpoint=proxy.endpoint) as other,
        ThreadPoolExecutor() as pool,
    ):
        calls = [pool.submit(session.token) for _ in range(4)]
        sandbox.wait_for("certlogin")
        assert "conditions" in caplog.text
        assert len([each for each in proxy.requests if writes(LOCK)(each)]) == 2
        calls.append(pool.submit(other.token))
        # The other process does not wait for the first one's lock.
        sandbox.wait_for("certlogin", 2)
        sandbox.release("certlogin")
        tokens = [call.result() for call in calls]
    assert len(set(tokens[:4])) == 1
    assert scene.logins() == 2
    assert set(tokens) <= set(scene.live())
    assert caplog.text.count("conditions") == 2
