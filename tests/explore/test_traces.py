"""Short traces through the shipped policy that explorer, histories or reading found."""

from __future__ import annotations

from typing import TypeVar

from login import messages as m
from login.script import Script

from betfair_session import BetfairSessionError
from betfair_session.login import lock as locks
from betfair_session.login.lock import BAN

E = TypeVar("E")


class Walk(Script):
    """A script of which a trace looks at each kind of effect alone."""

    def ask(self, event: object, kind: type[E], *, at: float = 0.0, wrong: float = 0.0) -> E:
        """Tell an event at second `at`, the server's clock misjudged by `wrong`; return the ask."""
        self.at, self.wrong = at, wrong
        self.play.tell(event)
        while isinstance(self.play.asked, m.Wait) and self.play.asked.owner is None:
            self.play.tell(m.WOKE)
        asked = self.play.asked
        if isinstance(asked, BetfairSessionError):
            asked = m.end(asked, event)
        assert isinstance(asked, kind), asked
        return asked

    def to_publish(self) -> None:
        """Walk from a dead token in the version V0 to the publication of "new"."""
        self.ask(m.TokenRead("dead", "V0", "fp-dead"), m.Ask)
        self.ask(m.DEAD, m.ReadLock)
        self.ask(m.LockRead(), m.WriteLock)
        self.ask(m.Written("L1"), m.ReadToken)
        self.ask(m.TokenRead("dead", "V0", "fp-dead"), m.LogIn)
        self.ask(m.Session("new", "fp-new"), m.WriteToken)


def _waiting() -> Walk:
    """Return a process that found nothing stored and another's lock, and waits."""
    walk = Walk()
    walk.ask(m.TokenRead(), m.WriteLock)
    walk.ask(m.Conflict(), m.ReadLock)
    held = locks.Lock(locks.HELD, "other", since=1000.0, logins=(1000.0,))
    walk.ask(m.LockRead(held, "L0", 0.0), m.Wait)
    return walk


def test_ban_holds_for_a_reader_whose_idea_of_the_servers_clock_is_a_second_behind() -> None:
    """A ban just recorded is not ignored because 1200.8 s seem to be left of it."""
    walk = _waiting()
    walk.ask(m.WOKE, m.ReadToken, at=1.0)
    walk.ask(m.TokenRead(), m.Wait, at=1.0)
    walk.ask(m.WOKE, m.ReadLock, at=2.0)
    ban = locks.Lock(locks.FAILED, "other", login_class="ban", not_before=1002.0 + BAN)
    failed = walk.ask(m.LockRead(ban, "L2", -0.8), m.Failed, at=2.0, wrong=-0.8)
    assert failed.why == "refused"


def test_refusal_counts_although_the_refused_process_had_a_slow_clock() -> None:
    """The first login ever happens before the store's clock is known; its refusal holds."""
    slow = Walk()
    slow.ask(m.TokenRead(), m.WriteLock, wrong=-3600.0)
    slow.ask(m.Written("L1"), m.ReadToken, wrong=-3600.0)
    slow.ask(m.TokenRead(), m.LogIn, wrong=-3600.0)
    refused = m.Refused("error", "TEMPORARY_BAN_TOO_MANY_REQUESTS", "ban")
    written = slow.ask(refused, m.WriteLock, wrong=-3600.0)
    other = Walk()
    other.ask(m.TokenRead(), m.WriteLock, at=5.0)
    other.ask(m.Conflict(), m.ReadLock, at=5.0)
    failed = other.ask(m.LockRead(written.lock, "L2", 5.0), m.Failed, at=5.0)
    assert failed.why == "refused"


def test_giving_the_lock_back_does_not_vouch_for_an_old_token() -> None:
    """A holder that makes no login says nothing about the token published before it."""
    holder = Walk()
    holder.ask(m.TokenRead("old", "V1", "fp-old"), m.Ask)
    holder.ask(m.DEAD, m.ReadLock)
    done = locks.Lock(locks.DONE, "older", published="fp-old", logins=(-9000.0,))
    holder.ask(m.LockRead(done, "L1", 9000.0), m.WriteLock)
    holder.ask(m.Written("L2"), m.ReadToken)
    given = holder.ask(m.StoreFailed("error"), m.WriteLock)
    waiter = _waiting()
    waiter.ask(m.WOKE, m.ReadToken, at=1.0)
    waiter.ask(m.TokenRead("old", "V1", "fp-old"), m.ReadLock, at=1.0)
    waiter.ask(m.LockRead(given.lock, "L3", 1.0), m.Ask, at=1.0)


def test_token_that_may_have_been_stored_is_not_logged_out_when_another_replaced_it() -> None:
    """The write landed, somebody adopted it, a foreign writer overwrote it: no logout."""
    walk = Walk()
    walk.to_publish()
    walk.ask(m.StoreFailed("error", landed=True, passing=True), m.ReadToken)
    walk.ask(m.TokenRead("foreign", "V2", "fp-foreign"), m.WriteLock)


def test_token_that_may_have_been_stored_is_not_logged_out_after_a_deletion() -> None:
    """The write landed, the object was deleted, the next writes were refused: no logout."""
    walk = Walk()
    walk.to_publish()
    walk.ask(m.StoreFailed("error", landed=True, passing=True), m.ReadToken)
    walk.ask(m.TokenRead(), m.WriteToken)
    walk.ask(m.StoreFailed("error"), m.ReadToken)
    walk.ask(m.TokenRead(), m.WriteToken)
    walk.ask(m.StoreFailed("error"), m.ReadToken)
    walk.ask(m.TokenRead(), m.WriteLock)


def test_lock_from_the_future_is_not_waited_for() -> None:
    """An age below zero tells of a clock that stood still, not of a login a moment ago."""
    walk = _waiting()
    walk.ask(m.WOKE, m.ReadToken, at=1.0)
    walk.ask(m.TokenRead(), m.Wait, at=1.0)
    walk.ask(m.WOKE, m.ReadLock, at=2.0)
    done = locks.Lock(locks.DONE, "other", published="fp-gone")
    walk.ask(m.LockRead(done, "L2", -61.0), m.ReadToken, at=2.0)
    walk.ask(m.TokenRead(), m.WriteLock, at=2.0)


def test_late_write_of_an_attempt_that_was_outbid_is_not_taken_for_a_later_one() -> None:
    """The first write lands after the lock was removed, in a freeze: it has outlived its time."""
    walk = Walk()
    first = walk.ask(m.TokenRead(), m.WriteLock)
    walk.ask(m.StoreFailed("error", landed=True, passing=True), m.ReadLock)
    walk.ask(m.LockRead(locks.Lock(locks.HELD, "other"), "L0", 0.0), m.Wait)
    walk.ask(m.WOKE, m.ReadToken, at=1.0)
    walk.ask(m.TokenRead(), m.Wait, at=1.0)
    walk.ask(m.WOKE, m.ReadLock, at=2.0)
    walk.ask(m.LockRead(), m.WriteLock, at=72.0)
    walk.ask(m.Conflict(), m.ReadLock, at=72.0)
    again = walk.ask(m.LockRead(first.lock, "L1", 38.0), m.WriteLock, at=72.0)
    assert again.version == "L1"
    walk.ask(m.Written("L2"), m.ReadToken, at=72.0)
    walk.ask(m.TokenRead(), m.WriteToken, at=72.0)
    walk.ask(m.Written("V1"), m.LogIn, at=72.0)


def test_time_lost_to_another_holder_does_not_count_for_the_next_attempt() -> None:
    """Outbid by one who gave the lock back without a login: this call has its own whole time."""
    walk = Walk()
    walk.ask(m.TokenRead(), m.WriteLock)
    walk.ask(m.Conflict(), m.ReadLock)
    walk.ask(m.LockRead(locks.Lock(locks.DONE, "other"), "L2", 0.0), m.WriteLock, at=29.0)
    walk.ask(m.Written("L3"), m.ReadToken, at=29.0)
    walk.ask(m.TokenRead(), m.LogIn, at=29.0)
