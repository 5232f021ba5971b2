"""The machine's answers, step by step and to the letter; tests/explore looks for what is unsafe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from betfair_session import StoreError, StoreWriteError
from betfair_session.login import lock as locks

from . import messages as m
from .script import START, Script, done, failed, held, mine, release

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock

BUSY = m.StoreFailed("busy", landed=True, passing=True)
BROKEN = m.StoreFailed("broken")
THROTTLED = m.StoreFailed("slow down", reason="throttled")
GONE = {"login_class": "store"}
"""What marks a lock whose former holder may have a token that could not be stored."""


# --- a token that is there -----------------------------------------------------------------------


def test_a_live_token_costs_one_read_and_one_question() -> None:
    """Read, ask, done."""
    script = Script()
    script.tell(m.TokenRead("live", "V0", "fp"), m.Ask("live"))
    script.tell(m.Session("live", "fp"), m.Done("live", "resumed"))


def test_a_rotated_token_is_written_and_used_whatever_becomes_of_that() -> None:
    """Betfair's answer is the token, stored or not."""
    for answer, age in ((m.Written("V1"), 0.0), (m.Conflict(), math.inf), (BROKEN, 0.0)):
        script = Script()
        script.tell(m.TokenRead("old", "V0", "fp"), m.Ask("old"))
        script.tell(m.Session("new", "fp-new"), m.WriteToken("new", "V0"))
        script.tell(answer, m.Done("new", "resumed", age))


@pytest.mark.parametrize("shared", [True, False])
def test_a_verification_is_shared_by_writing_the_token_anew(*, shared: bool) -> None:
    """Only where writes are conditional: a late one could replace a newer token."""
    if not shared:
        script = Script(share=True, shared=shared)
        script.tell(m.TokenRead("live", "V0", "fp"), m.Ask("live"))
        script.tell(m.Session("live", "fp"), m.Done("live", "resumed"))
        return
    # Where another wrote meanwhile, it may have been logged out: it is not trusted unasked.
    for answer, age in ((m.Written("V1"), 0.0), (m.Conflict(), math.inf)):
        script = Script(share=True, shared=shared)
        script.tell(m.TokenRead("live", "V0", "fp"), m.Ask("live"))
        script.tell(m.Session("live", "fp"), m.WriteToken("live", "V0"))
        script.tell(answer, m.Done("live", "resumed", age))


def test_no_answer_from_betfair_is_an_error_and_no_login() -> None:
    """The error is passed on."""
    script = Script()
    script.tell(m.TokenRead("live", "V0", "fp"), m.Ask("live"))
    script.tell(m.Unclear("why"), m.Failed("error", "why"))


# --- a store in trouble --------------------------------------------------------------------------


def test_a_passing_failure_of_a_read_is_tried_twice_more() -> None:
    """After 0.25 and 0.5 s."""
    script = Script()
    script.tell(BUSY, m.Wait(0.25), m.ReadToken())
    script.tell(BUSY, m.Wait(0.5), m.ReadToken())
    script.tell(BUSY, m.Failed("error", "busy"))


def test_troubles_are_counted_in_a_row() -> None:
    """An answer between them begins a new count, for the token and for the lock."""
    script = Script()
    script.tell(BUSY, m.Wait(0.25), m.ReadToken())
    script.find_dead()
    script.tell(BUSY, m.Wait(0.25), m.ReadLock())
    script.tell(BUSY, m.Wait(0.5), m.ReadLock())
    script.tell(m.LockRead(held(), "L0", 0.0), m.Wait(0.25))
    script.tell(m.WOKE, m.ReadToken())
    script.tell(BUSY, m.Wait(0.25), m.ReadToken())


def test_a_lasting_failure_is_not_tried_again() -> None:
    """Neither of the token's read nor of the lock's."""
    Script().tell(BROKEN, m.Failed("error", "broken"))
    script = Script()
    script.find_dead()
    script.tell(BROKEN, m.Failed("error", "broken"))


def test_a_pause_ends_with_the_callers_time() -> None:
    """And at its end nothing is tried again."""
    script = Script(deadline=10.0)
    script.tell_at(9.875, BUSY, m.Wait(0.125), m.ReadToken())
    script.tell_at(10.0, BUSY, m.Failed("error", "busy"))


def test_a_pause_is_spread_by_half() -> None:
    """So that a fleet does not come back all at once."""
    script = Script()
    script.at_most = 0.0
    script.tell(BUSY, m.Wait(0.125), m.ReadToken())


# --- the first login, and a later one ------------------------------------------------------------


def test_a_first_login_takes_the_lock_without_a_look_at_it() -> None:
    """Six effects, the last of which says who published what."""
    script = Script()
    lock = script.publish()
    lock = lock._replace(state=locks.DONE, published="fp-new")
    script.tell(m.Written("V1"), release(lock))
    script.tell(m.Written("L2"), m.Done("new", "logged in"))


def test_a_dead_token_is_replaced_in_the_version_that_was_read_last() -> None:
    """The lock's earlier failures are forgotten with the login."""
    script = Script()
    script.find_dead()
    script.at = 100.0
    before = failed(published="fp-dead")
    lock = before._replace(
        state=locks.HELD,
        nonce="mine",
        owner="me",
        since=START + 100,
        logins=(START + 100,),
        published="",
    )
    script.tell(m.LockRead(before, "L0", 100.0), m.WriteLock(lock, "L0"))
    script.tell(m.Written("L1"), m.ReadToken())
    script.tell(m.TokenRead("dead", "V1", "fp-dead"), m.LogIn(10.0))
    script.tell(m.Session("new", "fp-new"), m.WriteToken("new", "V1"))
    lock = mine(since=START + 100, logins=(START + 100,), state=locks.DONE, published="fp-new")
    script.tell(m.Written("V2"), release(lock))
    script.tell(m.Written("L2"), m.Done("new", "logged in"))


def test_junk_in_the_tokens_place_is_a_token_that_is_missing_but_has_a_version() -> None:
    """The lock is looked at first: this is no first login."""
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    script.tell(m.LockRead(), m.WriteLock(mine(), None))
    script.tell(m.Written("L1"), m.ReadToken())
    script.tell(m.TokenRead(None, "V0"), m.LogIn(10.0))
    script.tell(m.Session("new", "fp-new"), m.WriteToken("new", "V0"))


@pytest.mark.parametrize(
    ("age", "published", "young"),
    [(59.0, "fp-dead", True), (60.0, "fp-dead", False), (59.0, "fp-else", False)],
)
def test_a_token_that_is_rejected_young_is_noticed(
    age: float, published: str, *, young: bool
) -> None:
    """One that a login of the last minute stored."""
    script = Script()
    script.find_dead()
    script.at = age
    lock = done(published=published)
    if published != "fp-dead":
        script.tell(m.LockRead(lock, "L0", age), m.ReadToken())
        event: object = m.TokenRead("dead", "V0", "fp-dead")
    else:
        event = m.LockRead(lock, "L0", age)
    logins = (START, START + age) if age < 60 else (START + age,)
    taken = lock._replace(
        state=locks.HELD, nonce="mine", owner="me", since=START + age, logins=logins, published=""
    )
    script.tell(event, m.WriteLock(taken, "L0"))
    assert script.login.young is young


# --- taking the lock -----------------------------------------------------------------------------


def test_taking_the_lock_in_vain_is_tried_more_slowly_each_time() -> None:
    """Once at once, then after pauses; what fails for good ends it."""
    script = Script()
    write = m.WriteLock(mine(), None)
    script.tell(m.TokenRead(), write)
    script.tell(m.Conflict(), m.ReadLock())
    script.tell(m.LockRead(), write)
    script.tell(BUSY, m.Wait(0.5), m.ReadLock())
    script.tell(m.LockRead(), write)
    script.tell(m.Conflict(), m.Wait(1.0), m.ReadLock())
    script.tell(m.LockRead(), write)
    script.tell(m.Conflict(), m.Wait(2.0), m.ReadLock())
    script.tell(m.LockRead(), write)
    script.tell(m.Conflict(), m.Wait(2.0), m.ReadLock())
    script.tell(m.LockRead(), write)
    script.tell(BUSY, m.Failed("error", "busy"))


def test_a_lock_that_cannot_be_written_ends_it_at_once() -> None:
    """Without a login."""
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    script.tell(BROKEN, m.Failed("error", "broken"))


def test_a_call_without_time_takes_no_lock() -> None:
    """It says who holds it, if anybody."""
    script = Script(deadline=1.0)
    script.tell_at(1.0, m.TokenRead(), m.Failed("timeout"))
    script = Script(deadline=1.0)
    script.find_dead()
    lock = held(ttl=1.0)
    script.tell_at(1.0, m.LockRead(lock, "L0", 2.0), m.Failed("timeout", "another"))


def test_a_store_that_ignores_conditions_is_relied_on_no_more() -> None:
    """Every later write of the lock is unconditional."""
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    script.tell(m.Written("L1", honest=False), m.ReadToken())
    script.tell(m.TokenRead(), m.LogIn(10.0))
    script.tell(m.Session("new", "fp-new"), m.WriteToken("new", None))
    lock = mine(state=locks.DONE, published="fp-new")
    script.tell(m.Written("V1"), release(lock, shared=False))


def test_without_conditions_nobody_waits_for_another() -> None:
    """One login for each process is all that such a store can give."""
    script = Script(shared=False)
    script.find_dead()
    lock = held(nonce="mine", owner="me", logins=(START, START))
    script.tell(m.LockRead(held(), "L0", 0.0), m.WriteLock(lock, "L0", shared=False))


def test_a_lock_of_mine_whose_answer_was_lost_is_mine() -> None:
    """It is recognised by the nonce, and the login goes on."""
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    script.tell(BUSY, m.ReadLock())
    script.tell(m.LockRead(mine(), "L1", 0.0), m.ReadToken())
    script.tell(m.TokenRead(), m.LogIn(10.0))


def test_who_was_outbid_begins_anew_under_another_name() -> None:
    """An attempt that lands late must not be taken for a later one."""
    script = Script()
    script.wait()
    assert script.login.nonce == "nonce 2"
    assert script.login.started is None
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(0.375))
    script.at = 40.0
    script.tell(m.WOKE, m.ReadLock())
    lock = mine(nonce="nonce 2", since=START + 40, logins=(START, START + 40), **GONE)
    script.tell(m.LockRead(held(), "L0", 40.0), m.WriteLock(lock, "L0"))


# --- the lock in hand ----------------------------------------------------------------------------


def test_with_the_lock_in_hand_another_token_is_looked_at_first() -> None:
    """The login that was counted is taken back, and the call begins anew."""
    script = Script()
    lock = script.hold()
    script.tell(
        m.TokenRead("theirs", "V9", "fp"), release(lock._replace(state=locks.DONE, logins=()))
    )
    script.tell(m.Written("L2"), m.ReadToken())
    script.tell(m.TokenRead("theirs", "V9", "fp"), m.Ask("theirs"))
    script.tell(m.Session("theirs", "fp"), m.Done("theirs", "resumed"))


def test_a_second_look_that_fails_gives_the_lock_back() -> None:
    """At once if it fails for good, after two more tries otherwise."""
    script = Script()
    lock = script.hold()._replace(state=locks.DONE, logins=())
    script.tell(BROKEN, release(lock))
    script.tell(m.Written("L2"), m.Failed("error", "broken"))
    script = Script()
    script.hold()
    script.tell(BUSY, m.Wait(0.25), m.ReadToken())
    script.tell(BUSY, m.Wait(0.5), m.ReadToken())
    script.tell(BUSY, release(lock))
    script.tell(m.Written("L2"), m.Failed("error", "busy"))


@pytest.mark.parametrize("behind", [0.0, 20.0, -20.0])
def test_a_lock_too_old_for_a_login_is_given_back(behind: float) -> None:
    """30 s of it, less 10 for the login and 5 for the store, whatever the wall clock says."""
    script = Script()
    script.slow_wall = behind
    lock = script.hold()
    script.tell_at(15.0, m.TokenRead(), m.LogIn(10.0))
    script = Script()
    script.slow_wall = behind
    script.hold()
    script.tell_at(15.1, m.TokenRead(), release(lock._replace(state=locks.DONE, logins=())))
    script.tell(m.Written("L2"), m.ReadToken())


def test_the_clock_that_ran_faster_counts() -> None:
    """The other one stood still: the process was frozen."""
    script = Script()
    lock = script.hold()
    script.slow_wall = -15.1
    script.tell(m.TokenRead(), release(lock._replace(state=locks.DONE, logins=())))
    script = Script()
    script.hold()
    script.slow_wall = 15.1
    script.tell_at(15.1, m.TokenRead(), release(lock._replace(state=locks.DONE, logins=())))


def test_a_login_gets_three_quarters_of_the_callers_time() -> None:
    """The rest is for storing its token; below two seconds there is no login."""
    for now, seconds in ((4.0, 3.0), (5.25, 2.0625), (5.375, None), (8.0, None)):
        script = Script(deadline=8.0)
        lock = script.hold()
        if seconds:
            script.tell_at(now, m.TokenRead(), m.LogIn(seconds))
        else:
            script.tell_at(now, m.TokenRead(), release(lock._replace(state=locks.DONE, logins=())))
            script.tell(m.Written("L2"), m.Failed("timeout"))


# --- what Betfair says to the login --------------------------------------------------------------


def test_a_refusal_is_written_down_for_all() -> None:
    """With the time from which another login may be tried: longer for each in a row."""
    for refusals, wait in [(0, 15.0), (1, 60.0), (2, 300.0), (3, 900.0), (9, 900.0)]:
        script = Script()
        script.find_dead()
        script.at = 200.0
        before = failed(refusals=refusals, published="fp-dead")
        now = START + 200
        lock = before._replace(state=locks.HELD, nonce="mine", owner="me", since=now, logins=(now,))
        lock = lock._replace(published="")
        script.tell(m.LockRead(before, "L0", 200.0), m.WriteLock(lock, "L0"))
        script.tell(m.Written("L1"), m.ReadToken())
        script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.LogIn(10.0))
        script.at = 201.0
        lock = lock._replace(
            state=locks.FAILED,
            status="OTHER",
            login_class="account",
            refusals=refusals + 1,
            since=now + 1,
            not_before=now + 1 + wait,
        )
        script.tell(m.Refused("no", "OTHER", "account"), release(lock))
        script.tell(m.Written("L2"), m.Failed("error", "no", not_before=now + 1 + wait))


def test_a_login_without_an_answer_keeps_all_from_another_for_a_moment() -> None:
    """It may have made a session, and the next one may fail likewise."""
    script = Script()
    lock = script.log_in()
    lock = lock._replace(
        state=locks.FAILED, login_class="unknown", since=START + 3, not_before=START + 18
    )
    script.tell_at(3.0, m.Unclear("why"), release(lock))
    script.tell(m.Written("L2"), m.Failed("error", "why", not_before=START + 18))


def test_a_login_that_was_never_sent_is_none() -> None:
    """Such as one without a usable certificate. Earlier logins, and refusals, still count."""
    script = Script()
    lock = script.log_in()
    script.tell(m.Unclear("why", sent=False), release(lock._replace(state=locks.DONE, logins=())))
    script.tell(m.Written("L2"), m.Failed("error", "why"))
    script = Script()
    lock = script.log_in_after(failed(not_before=START))
    assert lock.logins == (START, START)
    script.tell(
        m.Unclear("why", sent=False), release(lock._replace(state=locks.DONE, logins=(START,)))
    )


def test_a_failure_without_a_status_forgets_that_of_an_earlier_one() -> None:
    """It is another failure."""
    script = Script()
    lock = script.log_in_after(failed(not_before=START))
    assert lock.status == "STATUS"
    lock = lock._replace(
        state=locks.FAILED, status="", login_class="unknown", not_before=START + 15
    )
    script.tell(m.Unclear("why"), release(lock))


# --- publishing ----------------------------------------------------------------------------------


def unstored(lock: Lock, at: float = 0.0) -> Lock:
    """Return what the lock says when a new token was not stored."""
    now = START + at
    return lock._replace(state=locks.FAILED, login_class="store", since=now, not_before=now + 15)


def test_a_publication_without_a_good_answer_is_looked_at() -> None:
    """It may have landed."""
    for answer in (BUSY, BROKEN, m.Conflict("late")):
        script = Script()
        lock = script.publish()
        script.tell(answer, m.ReadToken())
        script.tell(
            m.TokenRead("new", "V1", "fp-new"),
            release(lock._replace(state=locks.DONE, published="fp-new")),
        )
        script.tell(m.Written("L2"), m.Done("new", "logged in"))


def test_a_publication_is_sent_three_times_in_the_version_found_last() -> None:
    """A session that certainly was not stored is ended."""
    script = Script()
    lock = script.publish()
    refused = m.StoreFailed("refused")
    script.tell(refused, m.ReadToken())
    script.tell(m.TokenRead(None, "V1"), m.Wait(0.25), m.WriteToken("new", "V1"))
    script.tell(refused, m.ReadToken())
    script.tell(m.TokenRead(None, "V2"), m.Wait(0.5), m.WriteToken("new", "V2"))
    script.tell(refused, m.ReadToken())
    script.tell(m.TokenRead(None, "V2"), m.LogOut("new"))
    script.tell(m.Unclear("also"), release(unstored(lock)))
    end = m.Failed("unwritten", "refused", "also")
    script.tell(m.Written("L2"), end)


def test_a_publication_that_may_yet_land_is_not_logged_out() -> None:
    """Its session may be in use."""
    script = Script()
    lock = script.publish()
    for version, pause in [("V1", 0.25), ("V2", 0.5)]:
        script.tell(BUSY, m.ReadToken())
        script.tell(m.TokenRead(None, version), m.Wait(pause), m.WriteToken("new", version))
    script.tell(BUSY, m.ReadToken())
    script.tell(m.TokenRead(None, "V2"), release(unstored(lock)))
    end = m.Failed("uncertain", "busy")
    script.tell(m.Written("L2"), end)


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (m.StoreFailed("e"), False),
        (m.StoreFailed("e", passing=True), True),
        (m.StoreFailed("e", landed=True), True),
        (m.Conflict("e"), True),
    ],
)
def test_a_look_that_fails_as_well_is_repeated_only_if_it_can_tell(
    answer: StoreError, *, doubt: bool
) -> None:
    """What was refused for good did not land: the session is ended without a look."""
    script = Script()
    lock = script.publish()
    script.tell(answer, m.ReadToken())
    if not doubt:
        script.tell(BUSY, m.LogOut("new"))
        script.tell(None, release(unstored(lock)))
        end = m.Failed("unwritten", "e")
    else:
        script.tell(BUSY, m.Wait(0.25), m.ReadToken())
        script.tell(BUSY, m.Wait(0.5), m.ReadToken())
        script.tell_at(2.0, BUSY, release(unstored(lock, 2.0)))
        end = m.Failed("uncertain", "e")
    script.tell(m.Written("L2"), end)


def test_a_doubt_or_a_chance_to_land_is_not_forgotten() -> None:
    """A later refusal says nothing of an earlier attempt."""
    script = Script()
    lock = script.publish()
    script.tell(BUSY, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(0.25), m.WriteToken("new", None))
    script.tell(BROKEN, m.ReadToken())
    script.tell(BROKEN, release(unstored(lock)))
    script.tell(m.Written("L2"), m.Failed("uncertain", "broken"))


def test_another_token_in_the_place_is_made_way_for() -> None:
    """The own session is ended, and the other token looked at."""
    script = Script()
    lock = script.publish()
    script.tell(m.Conflict(), m.ReadToken())
    script.tell(m.TokenRead("theirs", "V9", "fp"), m.LogOut("new"))
    script.tell(None, release(lock._replace(state=locks.DONE)))
    script.tell(m.Written("L2"), m.ReadToken())
    script.tell(m.TokenRead("theirs", "V9", "fp"), m.Ask("theirs"))


def test_an_own_token_that_may_have_been_there_is_left_alive() -> None:
    """Somebody may have taken it before it was replaced."""
    script = Script()
    lock = script.publish()
    script.tell(BUSY, m.ReadToken())
    script.tell(m.TokenRead("theirs", "V9", "fp"), release(lock._replace(state=locks.DONE)))
    script.tell(m.Written("L2"), m.ReadToken())


def test_the_same_dead_token_in_a_new_version_is_replaced() -> None:
    """It is still dead."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(), m.WriteLock(mine(), None))
    script.tell(m.Written("L1"), m.ReadToken())
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.LogIn(10.0))
    script.tell(m.Session("new", "fp-new"), m.WriteToken("new", "V0"))
    script.tell(m.Conflict(), m.ReadToken())
    script.tell(m.TokenRead("dead", "V1", "fp-dead"), m.Wait(0.25), m.WriteToken("new", "V1"))


# --- giving the lock back ------------------------------------------------------------------------


def test_a_lock_that_cannot_be_given_back_at_once_is_given_back_later() -> None:
    """A second later and more: stores take one change of an object a second."""
    for trouble in (BUSY, THROTTLED):
        script = Script()
        lock = script.publish()._replace(state=locks.DONE, published="fp-new")
        script.tell(m.Written("V1"), release(lock))
        script.tell(trouble, m.Wait(1.25), release(lock))
        script.tell(trouble, m.Wait(1.5), release(lock))
        script.tell(m.Written("L2"), m.Done("new", "logged in"))
        assert script.memory.owed is None


@pytest.mark.parametrize("refused", [False, True])
def test_who_has_a_token_waits_less_for_the_lock_than_who_was_refused(*, refused: bool) -> None:
    """Five seconds; a refusal has what is left of the lease, and is remembered after that."""
    script = Script()
    lock = script.publish() if not refused else script.log_in()
    event: object = m.Written("V1")
    if refused:
        event = m.Refused("no", "BANNED", "ban")
    script.play.tell(event)
    for _ in range(40):
        if not isinstance(script.play.asked, m.WriteLock | m.Wait):
            break
        if isinstance(script.play.asked, m.Wait):
            script.at += script.play.asked.seconds
            script.play.tell(m.WOKE)
        else:
            script.play.tell(BUSY)
    assert 25.0 < script.at <= 30.0 if refused else 4.0 < script.at <= 8.0
    owed = script.memory.owed
    assert owed
    assert (owed.nonce, owed.state) == (lock.nonce, locks.FAILED if refused else locks.DONE)


def test_a_lock_that_is_not_mine_any_more_is_left_alone() -> None:
    """After a conflict it is looked at: an earlier try may have landed, or another has it."""
    for read, owes in [
        (m.LockRead(mine(state=locks.DONE), "L2", 0.0), False),
        (m.LockRead(held(), "L2", 0.0), True),
        (m.LockRead(), True),
    ]:
        script = Script()
        lock = script.publish()._replace(state=locks.DONE, published="fp-new")
        script.tell(m.Written("V1"), release(lock))
        script.tell(m.Conflict(), m.ReadLock())
        script.tell(read, m.Done("new", "logged in"))
        assert bool(script.memory.owed) is owes
    script = Script()
    script.publish()
    script.tell(m.Written("V1"), release(lock))
    script.tell(m.Conflict(), m.ReadLock())
    script.tell(m.LockRead(mine(), "L1", 0.0), m.Wait(1.25), release(lock))


def test_a_refusal_that_could_not_be_noted_is_remembered_by_the_process() -> None:
    """Its next call notes it before anything else, and logs in no more than the others."""
    script = Script()
    script.log_in()
    ban = m.Refused("no", "BANNED", "ban")
    noted = mine(
        state=locks.FAILED, status="BANNED", login_class="ban", refusals=1, since=START
    )._replace(not_before=START + 1200)
    script.tell(ban, release(noted))
    script.tell(BROKEN, m.Failed("error", "no", not_before=START + 1200))
    for answer in (m.Written("L2"), BROKEN):
        again = Script(memory=script.memory)
        again.at = 40.0
        again.tell(m.TokenRead(), m.ReadLock())
        later = noted._replace(since=START + 40, not_before=START + 1200)
        script.memory.since = (0.0, 0.0)
        again.tell(m.LockRead(mine(), "L1", 40.0), release(later))
        again.tell(answer, m.Failed("refused", not_before=START + 1200))
        script.memory.owed = script.memory.owed or noted
    # The lock is gone, or another's: it still counts, until a later login than its own is seen.
    for read in (m.LockRead(), m.LockRead(done(since=START - 9, published=""), "L0", 9.0)):
        again = Script(memory=script.memory)
        script.memory.owed, script.memory.since = noted, (0.0, 0.0)
        again.tell(m.TokenRead(None, "V0"), m.ReadLock())
        again.tell(read, m.Failed("refused", not_before=START + 1200))
    again = Script(memory=script.memory)
    again.tell(m.TokenRead(None, "V0"), m.ReadLock())
    newer = done(since=START + 9, published="")
    again.play.tell(m.LockRead(newer, "L0", 1.0))
    assert isinstance(again.play.asked, m.WriteLock)
    assert script.memory.owed is None


def owing() -> Script:
    """A call that takes the lock which an earlier one of its process could not give back."""
    script = Script()
    lock = script.publish()._replace(state=locks.DONE, published="fp-new")
    script.tell(m.Written("V1"), release(lock))
    script.tell(BROKEN, m.Done("new", "logged in"))
    again = Script(memory=script.memory)
    again.tell(m.TokenRead("new", "V1", "fp-new"), m.Ask("new"))
    again.tell(m.DEAD, m.ReadLock())
    again.tell(m.LockRead(mine(), "L1", 5.0), m.ReadToken())
    again.play.tell(m.TokenRead("new", "V1", "fp-new"))
    assert lock.published == "fp-new"  # what was owed is not changed
    assert isinstance(again.play.asked, m.WriteLock)
    return again


def test_a_finished_login_that_could_not_be_noted_holds_up_no_later_one() -> None:
    """The process that made it gives the lock back in its next call, and goes on."""
    again = owing()
    assert isinstance(again.play.asked, m.WriteLock)
    assert again.play.asked.version == "L1"
    assert again.play.asked.lock.state == locks.HELD
    assert again.play.asked.lock.published == ""


def test_a_lock_that_another_took_over_meanwhile_is_not_given_back() -> None:
    """The conflict shows whose it is, and that one is waited for."""
    again = owing()
    again.tell(m.Conflict(), m.ReadLock())
    again.tell(m.LockRead(held(), "L2", 0.0), m.Wait(0.25))


# --- a token object that may not be writable -----------------------------------------------------


def doubted() -> Script:
    """Walk to the write that shows that the token can be written, after it could not."""
    script = Script()
    script.find_dead()
    before = failed(login_class="store", status="", refusals=0, published="fp-dead")
    script.play.tell(m.LockRead(before, "L0", 1.0))
    assert isinstance(script.play.asked, m.WriteLock)
    script.tell(m.Written("L1"), m.ReadToken())
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.WriteToken(None, "V0"))
    return script


def test_after_a_token_that_was_not_stored_a_blank_is_written_before_the_next_login() -> None:
    """At once, without a waiting time; the new token replaces the blank."""
    script = doubted()
    script.tell(m.Written("V1"), m.LogIn(10.0))
    script.tell(m.Session("new", "fp-new"), m.WriteToken("new", "V1"))
    script.play.tell(m.Written("V2"))
    assert isinstance(script.play.asked, m.WriteLock)
    assert script.play.asked.lock.login_class == ""


@pytest.mark.parametrize("error", [BROKEN, BUSY, m.StoreFailed("lost", landed=True, passing=True)])
def test_where_the_blank_cannot_be_written_nobody_logs_in(error: StoreError) -> None:
    """The store's own error is raised, and the next call tries again."""
    script = doubted()
    for _ in range(20):
        if isinstance(script.play.asked, m.WriteToken):
            script.play.tell(error)
        elif isinstance(script.play.asked, m.ReadToken):
            script.play.tell(m.TokenRead("dead", "V0", "fp-dead"))
        elif isinstance(script.play.asked, m.Wait):
            script.play.tell(m.WOKE)
    given = script.play.asked
    assert isinstance(given, m.WriteLock)
    assert (given.lock.state, given.lock.login_class) == (locks.FAILED, "store")
    assert given.lock.logins == (START,)  # the earlier one: this call has made none
    script.tell(m.Written("L2"), m.Failed("error", str(error)))


def test_a_conflict_of_the_blank_is_looked_at() -> None:
    """Another token is adopted; a store that refuses although nothing changed is named."""
    script = doubted()
    script.tell(m.Conflict(), m.ReadToken())
    script.play.tell(m.TokenRead("theirs", "V9", "fp"))
    assert isinstance(script.play.asked, m.WriteLock)
    script.tell(m.Written("L2"), m.ReadToken())
    script = doubted()
    same = m.TokenRead("dead", "V0", "fp-dead")
    script.tell(m.Conflict(), m.ReadToken())
    script.tell(same, m.Wait(0.25), m.WriteToken(None, "V0"))
    script.tell(m.Conflict(), m.ReadToken())
    script.tell(same, m.Wait(0.5), m.WriteToken(None, "V0"))
    script.tell(m.Conflict(), m.ReadToken())
    script.play.tell(same)
    assert isinstance(script.play.asked, m.WriteLock)
    script.play.tell(m.Written("L2"))
    ended: object = script.play.asked
    assert isinstance(ended, StoreWriteError)
    assert ended.reason == "conflict"


def test_who_takes_over_from_a_holder_that_is_gone_writes_a_blank_first() -> None:
    """A token that the dead process may have sent finds its version gone."""
    script = Script()
    script.find_dead()
    script.play.tell(m.LockRead(held(), "L0", 31.0))
    script.tell(m.Written("L1"), m.ReadToken())
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.WriteToken(None, "V0"))


def test_a_store_that_always_conflicts_ends_the_call() -> None:
    """Although nothing changes, each write of the lock is refused as if something did."""
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    for _ in range(40):
        if isinstance(script.play.asked, m.WriteLock):
            script.play.tell(m.Conflict())
        elif isinstance(script.play.asked, m.ReadLock):
            script.play.tell(m.LockRead())
        elif isinstance(script.play.asked, m.Wait):
            script.play.tell(m.WOKE)
        else:
            break
    assert isinstance(script.play.asked, StoreWriteError)
    assert script.play.asked.reason == "conflict"


def test_a_throttled_write_is_repeated_a_second_later() -> None:
    """Of the token and of the lock alike."""
    script = Script()
    script.publish()
    script.tell(THROTTLED, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(1.25), m.WriteToken("new", None))
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    script.tell(THROTTLED, m.Wait(1.25), m.ReadLock())


def test_a_verification_that_a_sleep_has_made_old_is_not_shared() -> None:
    """Written anew it would look fresh; what is told of its age counts the sleep."""
    script = Script(share=True)
    script.tell(m.TokenRead("live", "V0", "fp"), m.Ask("live"))
    script.slow_wall = -7200.0
    script.tell(m.Session("live", "fp"), m.Done("live", "resumed", 7200.0))


# --- what the lock allows ------------------------------------------------------------------------


def test_a_waiter_looks_at_token_and_lock_in_turn_and_ever_more_rarely() -> None:
    """0.25 s growing by half to 1.5 s, less up to half of it."""
    script = Script()
    script.wait()
    for number, pause in enumerate([0.375, 0.5625, 0.84375, 1.265625, 1.5, 1.5]):
        if number % 2:
            script.tell(m.WOKE, m.ReadLock())
            script.tell(m.LockRead(held(), "L0", 0.0), m.Wait(pause))
        else:
            script.tell(m.WOKE, m.ReadToken())
            script.tell(m.TokenRead(), m.Wait(pause))
    script.at_most = 0.0
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(0.75))


def test_a_wait_ends_with_the_callers_time_and_says_who_holds_the_lock() -> None:
    """No login, no question."""
    script = Script(deadline=10.0)
    script.wait()
    script.tell_at(9.875, m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(0.125))
    script.tell_at(10.0, m.WOKE, m.ReadLock())
    script.tell(m.LockRead(held(), "L0", 10.0), m.Failed("timeout", "another"))


@pytest.mark.parametrize("taken", [False, True])
def test_a_held_lock_expires_by_its_own_time_and_a_second(*, taken: bool) -> None:
    """By the store's clock, or by how long it was watched."""
    at = 31.0 if taken else 30.9
    for age, watched in [(at, 0.0), (None, at)]:
        script = Script()
        script.wait()
        script.tell_at(watched, m.WOKE, m.ReadToken())
        script.tell(m.TokenRead(), m.Wait(0.375))
        script.tell(m.WOKE, m.ReadLock())
        read = m.LockRead(held(), "L0", age)
        if not taken:
            script.tell(read, m.Wait(0.5625))
            continue
        now = START + watched
        lock = mine(nonce="nonce 2", since=now, logins=(START, now), **GONE)
        script.tell(read, m.WriteLock(lock, "L0"))


def test_a_lock_that_changes_is_watched_anew() -> None:
    """Another holder has its own time; one that claims more than two minutes has two."""
    script = Script()
    script.wait()
    for version, at, age in [("L1", 25.0, None), ("L1", 55.0, None), ("L2", 56.5, None)]:
        script.tell_at(at, m.WOKE, m.ReadToken())
        script.tell(m.TokenRead(), m.Wait(min(0.25 * 1.5**script.login.polls, 1.5)))
        script.tell(m.WOKE, m.ReadLock())
        pause = min(0.25 * 1.5**script.login.polls, 1.5)
        script.tell(m.LockRead(held(ttl=500.0), version, age), m.Wait(pause))
    script.tell_at(56.5 + 120.9, m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(1.5))
    script.tell(m.WOKE, m.ReadLock())
    script.tell(m.LockRead(held(ttl=500.0), "L2"), m.Wait(1.5))
    script.tell_at(56.5 + 121.0, m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(1.5))
    script.tell(m.WOKE, m.ReadLock())
    nonce, now = script.login.nonce, START + script.at
    lock = mine(nonce=nonce, since=now, logins=(now,), **GONE)
    script.tell(m.LockRead(held(ttl=500.0), "L2"), m.WriteLock(lock, "L2"))


def test_a_login_that_ended_after_the_look_at_the_token_makes_it_look_again() -> None:
    """Once for each version of the lock."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(done(), "L0", 10.0), m.ReadToken())
    lock = done(state=locks.HELD, nonce="mine", owner="me", published="", logins=(START, START))
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.WriteLock(lock, "L0"))


def test_a_token_found_by_looking_again_is_asked_about() -> None:
    """It was not waited for, so the lock's word is not taken for it."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(done(), "L0", 1.0), m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", "fp-other"), m.Ask("theirs"))
    script.tell(m.Session("theirs", "fp-other"), m.Done("theirs", "resumed"))


@pytest.mark.parametrize(
    ("age", "waits"), [(-1.1, False), (-1.0, True), (4.0, True), (4.1, False), (None, False)]
)
def test_a_token_just_published_that_is_not_there_is_waited_for(
    age: float | None, *, waits: bool
) -> None:
    """Four seconds: a lagging read shows what was before."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(done(), "L0", age), m.ReadToken())
    lock = done(state=locks.HELD, nonce="mine", owner="me", published="", logins=(START, START))
    again = m.TokenRead("dead", "V0", "fp-dead")
    script.tell(again, m.Wait(0.25) if waits else m.WriteLock(lock, "L0"))


def test_the_locks_word_is_fetched_anew_for_a_token_that_was_waited_for() -> None:
    """What was read of it before the wait is old."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(done(), "L0", 1.0), m.ReadToken())
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.Wait(0.25))
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", "fp-other"), m.ReadLock())
    script.tell(m.LockRead(done(), "L0", 1.25), m.Done("theirs", "adopted", 60.0))


def test_a_login_without_a_publication_is_not_waited_for() -> None:
    """Somebody gave the lock back."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(done(published=""), "L0", 0.0), m.ReadToken())
    lock = done(state=locks.HELD, nonce="mine", owner="me", published="", logins=(START, START))
    script.tell(m.TokenRead("dead", "V0", "fp-dead"), m.WriteLock(lock, "L0"))


# --- adopting another's token --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lock", "age", "adopted"),
    [
        (done(), 0.0, True),
        (done(), 60.0, True),
        (done(), 60.1, False),
        (done(), -1.1, False),
        (done(), None, False),
        (done(published="fp-else"), 0.0, False),
        (done(published=""), 0.0, False),
        (held(published="fp-other"), 0.0, False),
        (failed(published="fp-other"), 0.0, False),
        (None, None, False),
    ],
)
def test_a_waiter_adopts_what_the_lock_vouches_for(
    lock: Lock | None, age: float | None, *, adopted: bool
) -> None:
    """Within a minute of the login, and that very token; anything else is asked about."""
    script = Script()
    script.wait()
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", "fp-other"), m.ReadLock())
    read = m.LockRead(lock, None if lock is None else "L1", age)
    if adopted:
        script.tell(read, m.Done("theirs", "adopted", 60.0))
        return
    script.tell(read, m.Ask("theirs"))
    script.tell(m.Session("theirs", "fp-other"), m.Done("theirs", "adopted"))


def test_a_token_without_a_fingerprint_is_never_vouched_for() -> None:
    """Two empty texts are no match."""
    script = Script()
    script.wait()
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", ""), m.ReadLock())
    script.tell(m.LockRead(done(published=""), "L1", 0.0), m.Ask("theirs"))


def test_a_lock_that_cannot_be_read_vouches_for_nothing() -> None:
    """The token is asked about."""
    script = Script()
    script.wait()
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", "fp-other"), m.ReadLock())
    script.tell(BUSY, m.Ask("theirs"))


def test_a_lock_read_a_moment_ago_is_not_read_again() -> None:
    """The waiter saw it done, and read the token after that."""
    script = Script()
    script.wait()
    script.tell(m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Wait(0.375))
    script.tell(m.WOKE, m.ReadLock())
    script.tell(m.LockRead(done(), "L1", 0.0), m.ReadToken())
    script.tell(m.TokenRead("theirs", "V1", "fp-other"), m.Done("theirs", "adopted", 60.0))


# --- refusals and the brake ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "left"),
    [
        (0.0, 60.0),
        (59.5, 0.5),
        (60.0, None),
        (-5.0, 65.0),
        (None, 60.0),
    ],
)
def test_a_refusal_counts_for_its_time(age: float | None, left: float | None) -> None:
    """By its age on the store's clock; without that, by the clock itself."""
    script = Script()
    script.find_dead()
    script.tell(m.LockRead(failed(), "L0", age), m.ReadToken())
    again = m.TokenRead("dead", "V0", "fp-dead")
    if left is None:
        lock = failed(state=locks.HELD, nonce="mine", owner="me", logins=(START, START))
        script.tell(again, m.WriteLock(lock, "L0"))
    else:
        script.tell(again, m.Failed("refused", not_before=START + left))


def test_a_refusal_that_nobody_published_before_counts_without_another_look() -> None:
    """The token that was read is the one that the lock speaks of: none."""
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    lock = failed()
    script.tell(m.LockRead(lock, "L0", 1.0), m.Failed("refused", not_before=START + 59))


@pytest.mark.parametrize(
    ("not_before", "age", "left"),
    [
        (5000.0, 0.0, 1200.0),
        (5000.0, 1199.0, 1.0),
        (5000.0, 1200.0, None),
        (2400.0, None, 2400.0),
        (2400.1, None, None),
    ],
)
def test_no_refusal_counts_for_longer_than_a_ban(
    not_before: float, age: float | None, left: float | None
) -> None:
    """Without an age, a time far ahead is junk, and one a little ahead another's clock."""
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    lock = failed(not_before=START + not_before)
    if left is None:
        mine_now = lock._replace(state=locks.HELD, nonce="mine", owner="me", logins=(START, START))
        script.tell(m.LockRead(lock, "L0", age), m.WriteLock(mine_now, "L0"))
    else:
        script.tell(m.LockRead(lock, "L0", age), m.Failed("refused", not_before=START + left))


def test_the_brake_counts_the_logins_of_the_last_minute() -> None:
    """The fifth within one has to wait until the first of four is a minute old."""
    logins = (START - 61, START - 50, START - 40, START - 30, START - 20)
    lock = done(logins=logins, published="")
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    script.tell(m.LockRead(lock, "L0", 1.0), m.Failed("brake", not_before=START + 10))
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    three = done(logins=logins[2:], published="")
    mine_now = three._replace(
        state=locks.HELD, nonce="mine", owner="me", logins=(*logins[2:], START)
    )
    script.tell(m.LockRead(three, "L0", 1.0), m.WriteLock(mine_now, "L0"))


def test_logins_are_counted_by_the_minute() -> None:
    """One exactly a minute old counts no more; one in the future, by over a second, is junk."""
    lock = done(logins=(START - 60, START - 59.9, START + 1, START + 1.1), published="")
    script = Script()
    script.tell(m.TokenRead(None, "V0"), m.ReadLock())
    mine_now = lock._replace(
        state=locks.HELD, nonce="mine", owner="me", logins=(START - 59.9, START + 1, START)
    )
    script.tell(m.LockRead(lock, "L0", 1.0), m.WriteLock(mine_now, "L0"))


# --- a call with little time, and an attempt whose fate is unknown -------------------------------


def test_a_call_with_too_little_time_for_a_login_takes_no_lock_but_says_who_logs_in() -> None:
    """So nobody has to wait for a lock that was taken in vain."""
    script = Script(deadline=2.5)
    script.tell(m.TokenRead(), m.ReadLock())
    script.tell(m.LockRead(), m.Failed("timeout"))
    script = Script(deadline=2.5)
    script.tell(m.TokenRead(), m.ReadLock())
    script.tell(m.LockRead(held(), "L0", 0.0), m.Wait(0.25))
    script.tell_at(2.5, m.WOKE, m.ReadToken())
    script.tell(m.TokenRead(), m.Failed("timeout", "another"))


def test_an_attempt_whose_fate_could_not_be_read_is_known_to_the_next_call() -> None:
    """It takes that lock as its own at once, with the login not counted that was never made."""
    script = Script()
    script.tell(m.TokenRead(), m.WriteLock(mine(), None))
    script.tell(BUSY, m.ReadLock())
    script.tell(BROKEN, m.Failed("error", "broken"))
    again = Script(memory=script.memory)
    again.tell_at(1.0, m.TokenRead(), m.ReadLock())
    again.tell(
        m.LockRead(mine(), "L1", 1.0), m.WriteLock(mine(since=START + 1, logins=(START + 1,)), "L1")
    )
