"""A crowd in bad circumstances: refusals, wrong clocks, stale reads, forks and threads."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fleet.job import Stop
from fleet.processes import Crowd, Worker, run_crowd
from fleet.scene import GENEROUS, SHORT
from fleet.test_stampede import assert_one_for_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.scene import Scene

WRONG_CLOCKS = [-3600.0, -60.0, 0.0, 60.0, 3600.0]


@pytest.mark.parametrize("kind", ["local", "seaweed"])
def test_wrong_clocks_cost_no_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Scenario 14: machines a minute or an hour off share one login, and wait while it lasts."""
    scene = scene_on(kind)
    scene.store_dead_token()
    scene.sandbox.hold("certlogin")
    first = scene.job(lease=GENEROUS, warm=True)
    jobs = [replace(first, clock_offset=offset) for offset in WRONG_CLOCKS * 2]
    with Crowd(jobs) as crowd:
        crowd.go()
        scene.sandbox.wait_for("certlogin")
        scene.sandbox.release("certlogin")
        assert_one_for_all(scene, crowd.first_outcomes())


@pytest.mark.parametrize("kind", ["local", "seaweed", "obstore+seaweed"])
@pytest.mark.parametrize("holder", [-3600.0, 3600.0])
def test_nobody_takes_a_living_holders_lock_because_of_a_clock(
    scene_on: Callable[[str], Scene], kind: str, holder: float
) -> None:
    """Scenario 14: the holder's clock is an hour off, so are the others', the other way."""
    scene = scene_on(kind)
    scene.sandbox.hold("certlogin")
    jobs = [scene.job(warm=True, timeout=3, clock_offset=offset) for offset in (-holder, 0.0)]
    with Worker(scene.job(warm=True, clock_offset=holder)) as worker:
        scene.sandbox.wait_for("certlogin")
        assert [outcome.error for outcome in run_crowd(jobs)] == ["LoginTimeout"] * 2
        scene.sandbox.release("certlogin")
        assert worker.outcome().token == scene.stored()
    assert scene.logins() == 1


def test_tokens_that_die_at_once_are_braked(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 20: at most 4 logins a minute among all, then an error that says what to look at."""
    scene = scene_on("local")
    scene.sandbox.configure(session_seconds=0)
    with Crowd([scene.job(lease=GENEROUS, calls=4)] * 8) as crowd:
        crowd.go()
        last = [outcomes[-1] for outcomes in crowd.outcomes()]
    assert scene.logins() == 4
    (final,) = run_crowd([scene.job()])
    assert final.error == "LoginBrake"
    assert final.not_before
    assert "egress address" in final.text
    assert scene.logins() == 4
    assert {outcome.error for outcome in last} <= {"", "LoginBrake"}


@pytest.mark.parametrize("kind", ["local", "seaweed"])
def test_a_refusal_is_shared(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Scenario 21: one call; all who waited, and all who come later, fail fast with the same."""
    scene = scene_on(kind)
    scene.sandbox.login_status("INVALID_USERNAME_OR_PASSWORD")
    scene.sandbox.hold("certlogin")
    with Crowd([scene.job(lease=GENEROUS, warm=True)] * 12) as crowd:
        crowd.go()
        scene.sandbox.wait_for("certlogin")
        scene.sandbox.release("certlogin")
        outcomes = crowd.first_outcomes()
    outcomes += run_crowd([scene.job(warm=True)] * 2)
    assert Counter(outcome.error for outcome in outcomes) == {"LoginRefused": 14}
    assert {outcome.status for outcome in outcomes} == {"INVALID_USERNAME_OR_PASSWORD"}
    # Each knows the server's clock, and so that time, to the second.
    assert all(outcome.not_before for outcome in outcomes)
    assert scene.sandbox.counts() == {"certlogin": 1}
    assert scene.lock()["refusals"] == 1
    assert scene.stored() == ""


def test_a_ban_holds_whatever_happens_to_the_token(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 22: no call until it ends, token deleted or replaced; a valid one is adopted."""
    scene = scene_on("seaweed")
    old = scene.store_dead_token()
    scene.sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS")
    for content in (old, "", "junk", old):
        if content:
            scene.place.put(scene.key, content.encode())
        else:
            scene.place.delete(scene.key)
        outcomes = run_crowd([scene.job(warm=True)] * 3)
        assert {outcome.status for outcome in outcomes} == {"TEMPORARY_BAN_TOO_MANY_REQUESTS"}
        assert scene.logins() == 1
    left = scene.lock()["not_before"] - time.time()
    assert 1100 < left < 1300
    foreign = scene.sandbox.issue()
    scene.place.put(scene.key, foreign.encode())
    outcomes = run_crowd([scene.job(warm=True)] * 3)
    assert {outcome.token for outcome in outcomes} == {foreign}
    assert scene.logins() == 1


def test_a_ban_that_is_over_is_forgotten(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 22: nobody remembers it for longer than Betfair does."""
    scene = scene_on("local")
    scene.sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    assert run_crowd([scene.job()])[0].error == "LoginRefused"
    scene.age_lock(1201)
    assert run_crowd([scene.job()])[0].token == scene.stored()
    assert scene.logins() == 2


def test_a_validation_without_an_answer_makes_nobody_log_in(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 23: Betfair fails or says nothing, to all of them, whether the token lives."""
    scene = scene_on("local")
    token = scene.store_dead_token()
    for fault in ("status:503", "stall"):
        scene.sandbox.fault("keepAlive", fault, times=None)
        outcomes = run_crowd([scene.job(timeout=3)] * 4)
        assert {outcome.error for outcome in outcomes} <= {"IdentityUnavailable", "LoginTimeout"}
        scene.sandbox.clear_faults()
    assert scene.logins() == 0
    assert scene.objects() == [scene.key]
    assert scene.stored() == token


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
def test_stale_reads_cost_no_login(scene_on: Callable[[str], Scene], *, dead: bool) -> None:
    """Scenario 25: every read goes on showing for 3 seconds what has been overwritten."""
    scene = scene_on("seaweed")
    if dead:
        scene.store_dead_token()
    outcomes = run_crowd([scene.job(lease=GENEROUS, warm=True, stale=3.0)] * 8)
    assert_one_for_all(scene, outcomes)


def test_a_token_that_reads_do_not_show_yet_is_waited_for(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 25: the lock says that a token was stored a moment ago; no login for its sake."""
    scene = scene_on("seaweed")
    stop = Stop(f"read {scene.key}", "after", "STOP")
    with Worker(scene.job(warm=True, stop=stop, stale=3.0)) as worker:
        worker.wait_until_frozen()
        with scene.session() as other:
            token = other.token()
        worker.thaw()
        outcome = worker.outcome()
    assert (outcome.text, outcome.token) == ("", token)
    assert scene.logins() == 1
    assert scene.live() == [token]


def test_a_dead_token_from_a_foreign_writer_is_healed_by_one_login(
    scene_on: Callable[[str], Scene],
) -> None:
    """Scenario 31: what somebody else stored is dead; all notice at once."""
    scene = scene_on("seaweed")
    run_crowd([scene.job(warm=True)] * 2)
    before = scene.logins()
    scene.store_dead_token()
    outcomes = run_crowd([scene.job(lease=GENEROUS, warm=True)] * 12)
    assert {outcome.token for outcome in outcomes} == {scene.stored()}
    assert scene.stored() in scene.live()
    assert scene.logins() == before + 1


@pytest.mark.parametrize("kind", ["local", "seaweed", "gcs", "azure"])
def test_forked_children_share_one_login(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Scenario 33: children of a process that has used its session draw nonces of their own."""
    scene = scene_on(kind)
    children = 6
    with Worker(scene.job(lease=GENEROUS, forks=children)) as worker:
        worker.listen(1)
        scene.sandbox.expire_all()
        worker.tell("go")
        first, *forked = worker.listen()
    assert [outcome.text for outcome in forked] == [""] * children
    assert {outcome.token for outcome in forked} == {scene.stored()} != {first.token}
    assert len({outcome.nonce for outcome in forked}) == children
    assert scene.logins() == 2
    scene.assert_quiet()


@pytest.mark.parametrize("kind", ["local", "seaweed"])
def test_threads_poll_the_store_once(scene_on: Callable[[str], Scene], kind: str) -> None:
    """Scenario 34: sixteen threads of a process that waits make no more store calls than one."""
    scene = scene_on(kind)
    scene.sandbox.hold("certlogin")
    with Worker(scene.job(lease=GENEROUS)) as holder:
        scene.sandbox.wait_for("certlogin")
        with Crowd([scene.job(lease=GENEROUS, threads=16, warm=True)]) as crowd:
            crowd.go()
            scene.sandbox.release("certlogin")
            (outcomes,) = crowd.outcomes()
        assert holder.outcome().token == scene.stored()
    assert len(outcomes) == 16
    assert {outcome.token for outcome in outcomes} == {scene.stored()}
    assert max(outcome.store_calls for outcome in outcomes) <= 15
    assert scene.logins() == 1


def test_threads_make_one_login(scene_on: Callable[[str], Scene]) -> None:
    """Scenario 34: two processes of sixteen threads each heal a dead token with one login."""
    scene = scene_on("local")
    scene.store_dead_token()
    with Crowd([scene.job(lease=SHORT, threads=16)] * 2) as crowd:
        crowd.go()
        outcomes = [outcome for each in crowd.outcomes() for outcome in each]
    assert {outcome.token for outcome in outcomes} == {scene.stored()}
    assert scene.logins() == 1
