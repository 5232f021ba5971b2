"""What one call of the shared login knows, and what follows from that; policy.py acts on it.

All that matters is an attribute, so that calls can be replayed and compared. Times are seconds.
"""

from __future__ import annotations

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
)
from betfair_session.process.clocks import passed
from betfair_session.storage.contract import VersionConflict

from . import effects as do, lock as locks
from .errors import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from betfair_session.process.clocks import Clock, Times

    from .account import LeaseSettings
    from .errors import Errors
    from .lock import Lock, Memory

SHORT = 15.0
"""Seconds for which no login is made after one that got no answer."""

SHORTEST_LOGIN = 2.0
"""With fewer seconds no login is made: one that times out may still create a session."""

SETTLING = 4.0
"""Seconds to wait for a published token that a read, perhaps a stale one, does not show."""

READS, TAKES, CONFLICTS, SENDS, GIVES = 2, 3, 6, 3, 2
"""How often to repeat a read, taking the lock, and that after conflicts; how often to send a token
at most, and how often to try to give the lock back at least."""

PASSING = frozenset({"unreachable", "timeout", "throttled", "busy", "server", "conflict"})
"""The reasons of store errors that may pass by themselves."""


class Call:
    """The state of one call."""

    def __init__(
        self,
        settings: LeaseSettings,
        clock: Clock,
        errors: Errors,
        memory: Memory,
        *,
        deadline: float,
        atomic: bool,
        share: bool = False,
        longest_wait: float = 1.5,
    ) -> None:
        """Prepare a call until `deadline` by `clock.mono`, with waits of at most `longest_wait`.

        `atomic`: the store's conditional writes can be relied on. `share`: a verified token is
        written anew.
        """
        self.settings, self.clock, self.errors, self.memory = settings, clock, errors, memory
        self.deadline, self.longest_wait = deadline, longest_wait
        self.atomic, self.share = atomic, share
        self.dead = memory.buried(clock)  # the token that Betfair called dead
        self.may_log_in = True  # or this only finds out whether the token lives
        self.polls = 0  # how often this call has waited for another
        self.crowd = 0  # grows when the store says that it gets too many requests
        self.young = False  # whether Betfair rejected a token that a login has just stored
        self._begin()

    def _begin(self) -> None:
        self.nonce = ""  # the name under which this call tries to take the lock, if it does
        self.started: Times = (0.0, 0.0)  # when it first did so under this name
        self.asked: Times = (0.0, 0.0)  # when Betfair was asked last
        self.looked: Times = (0.0, 0.0)  # when the lock was read last
        self.token: do.Token = None
        self.version: str | None = None
        self.fingerprint = ""
        self.lock = locks.NONE
        self.recalled: Lock | None = None  # what an earlier call of this process still owed
        self.lock_version: str | None = None
        self.lock_age: float | None = None
        self.lock_since = 0.0  # when (monotonic) it was first seen in this version
        self.reread: str | None = None  # the lock's version that made this call reread the token
        self.mine = locks.JUNK  # what to write into the lock if the call ends now
        self.new: do.Token = None
        self.new_fingerprint = ""
        self.base: str | None = None  # the token's version that the new one replaces
        self.tries = self.takes = self.blanks = self.sends = 0  # attempts so far
        self.tried: tuple[str | None, ...] = ()  # the lock's version at the last try to take it
        self.may_land = False  # whether an earlier send of the new token may still land
        self.doubtful = False  # whether a send may have landed unnoticed: read the token back
        self.trouble: StoreError | None = None  # why something is tried again
        self.failure: StoreError | None = None  # why the token was not written
        self.ended: Exception | None = None  # what the call raises after giving the lock back

    def _see_token(self, read: do.TokenRead) -> None:
        """Note the token as it was read."""
        self.token, self.version, self.fingerprint = read

    def _see_lock(self, read: do.LockRead) -> None:
        """Note the lock as it was read, and since when it has been unchanged."""
        changed = read.version != self.lock_version
        if changed and read.version and read.lock.nonce != self.nonce:
            self.nonce = ""  # so that a late write is not mistaken for a new attempt
        if changed:
            self.lock_since = self.clock.mono()
        self.lock, self.lock_version, self.lock_age = read

    def _pause(self, tries: int, least: float = 0.0) -> do.Wait:
        """Return a wait, longer after each try; only `least` may exceed the caller's time."""
        seconds = min(0.25 * 2 ** (tries - 1), 2.0) * self._slower()
        return do.Wait(least + min(seconds, self._left()))

    def _slower(self) -> float:
        """Return a random factor for waits, up to 4 while the store gets too many requests."""
        return (0.5 + self.clock.jitter() / 2) * 2.0**self.crowd

    def _left(self) -> float:
        """Return the seconds that are left of the caller's time."""
        left = self.deadline - self.clock.mono()
        return max(left if self.new else min(left, self.clock.left()), 0.0)

    def _gap(self) -> float:
        """Return the seconds to leave between two writes: 1 if the store throttles, else 0."""
        return 1.0 if self.trouble is not None and self.trouble.reason == "throttled" else 0.0

    def _useless(self) -> bool:
        """Return whether there is no token, or only one that Betfair called dead."""
        return self.token is None or self.token == self.dead

    def _reread_for_lock(self) -> bool:
        """Return whether the token was read right after the lock, because of what that says."""
        return self.reread is not None and self.reread == self.lock_version

    def _lock_to_take(self) -> Lock:
        """Name this attempt, unless it goes on with one; return the lock with it as the holder."""
        if not self.nonce:
            self.nonce, self.started = self.clock.nonce(), self.clock.now()
        before, now = self.lock, self.clock.server()
        gone = before.state == locks.HELD and self.atomic  # its token may still land
        return before._replace(
            state=locks.HELD,
            nonce=self.nonce,
            owner=self.clock.process(),
            ttl=self.settings.ttl,
            since=now,
            # counted before it is made, so that no crash hides it
            logins=(*before.recent(now), now)[-self.settings.logins_per_minute :],
            published="",  # or a lock given back without a login would vouch for an old token
            login_class="store" if gone else before.login_class,
        )

    def _login_seconds(self) -> float:
        """Return the seconds that a login may take; 0 if the caller's time leaves too few."""
        most = self.settings.login_deadline
        left = self.deadline - self.clock.mono() if self._left() else 0.0
        seconds = min(most, left * 0.75)  # the rest is for storing its token
        return seconds if seconds >= min(most, SHORTEST_LOGIN) else 0.0

    def _lease_leaves_time(self) -> bool:
        """Return whether the lease leaves time for a login and the write of its token."""
        needed = self.settings.login_deadline + self.settings.store_deadline
        return self._elapsed(self.started) + needed <= self.settings.ttl

    def _note_unread(self, error: StoreError, most: int) -> None:
        """Count a failure to read; raise it when another try is hopeless."""
        over = error.reason not in PASSING or self.tries >= most or not self._left()
        if over and not self._in_crowd(error):
            raise error
        self.trouble = error
        self.tries += 1

    def _in_crowd(self, error: StoreError) -> bool:
        """Return whether to go on since the store only throttles; wait longer from then on."""
        if error.reason != "throttled" or not self._left():
            return False
        if self._owned_by(self.nonce):  # the holder goes on at full speed during its lease
            return self._lease_leaves_time()
        self.crowd = min(self.crowd + 1, 2)
        return True

    def _take_is_over(self, error: StoreError) -> bool:
        """Count a failure to take the lock; return whether another try is hopeless."""
        self.trouble = error
        same, self.tried = self.tried == (self.lock_version,), (self.lock_version,)
        self.takes += 1
        if isinstance(error, VersionConflict):  # others are faster, as long as the lock changes
            return same and self.takes > CONFLICTS
        over = error.reason not in PASSING or self.takes > TAKES
        return over and not self._in_crowd(error)

    def _too_late(self) -> BetfairSessionError:
        """Return the error of a call whose time ended before it had the lock."""
        if self.takes == 0 or self.trouble is None or isinstance(self.trouble, VersionConflict):
            return self.errors.timeout(self.lock)
        return self.trouble

    def _failed(self, wait: float, login_class: str, status: str = "") -> Lock:
        """Return the lock after a failed login; the next may be tried after `wait` seconds."""
        now = self.clock.server()
        return self.lock._replace(
            state=locks.FAILED,
            status=status,
            login_class=login_class,
            since=now,
            not_before=now + wait,
        )

    def _elapsed(self, since: Times) -> float:
        """Return the seconds since then, by the clock that advanced more: one may stand still."""
        return passed(since, self.clock.now())

    def _wall_in(self, seconds: float) -> float:
        """Return this machine's wall time in some seconds; a caller waits by that clock."""
        return self.clock.now()[1] + seconds

    def _just_asked(self) -> bool:
        """Return whether the verification is so new that a write may share it as made now."""
        return self._elapsed(self.asked) <= self.settings.login_deadline

    def _no_time_to_give_back(self, at_once: bool) -> bool:  # noqa: FBT001 - the policy's own
        """Return whether to leave the lock as it is; a failed login is worth a longer try."""
        settings, failed = self.settings, self.mine.state == locks.FAILED
        patience = settings.ttl - settings.store_deadline if failed else settings.store_deadline
        over = at_once or self._elapsed(self.memory.since) >= patience
        return self.tries >= GIVES and (over or self.clock.mono() >= self.deadline)

    def _owned_by(self, nonce: str) -> bool:
        """Return whether the lock, as last seen, is held under a nonce."""
        return self.lock.state == locks.HELD and self.lock.nonce == nonce != ""

    def _owes_this_lock(self) -> bool:
        """Return whether an earlier call of this process ended without giving this lock back."""
        if self.recalled and self._owned_by(self.recalled.nonce):  # taking it has not worked yet
            self.memory.owe(self.recalled, self.clock.now())
        owed = self.memory.owed  # perhaps this call's own
        return bool(owed and owed.nonce != self.nonce and self._owned_by(owed.nonce))

    def _allowed(self) -> Literal["wait", "look again", "mine", "take"]:
        """Return what the lock that was read allows; raise if an earlier login forbids another."""
        lock = self.lock
        if lock.state == locks.HELD:
            if self._owned_by(self.nonce):
                return "mine"  # the answer to this call's write was lost
            watched = self.clock.mono() - self.lock_since
            if self.atomic and not lock.expired(self.lock_age, watched=watched):
                return "wait"
        elif lock.published != self.fingerprint:
            if self.reread != self.lock_version:
                return "look again"  # a login ended after the token was read
            if lock.published and locks.younger(self.lock_age, SETTLING):
                return "wait"
        self._respect()
        return "take"

    def _respect(self) -> None:
        """Raise if a failed login, or too many logins, forbid another one now.

        Otherwise note whether the token that Betfair rejected was `young`.
        """
        lock, now = self.lock, self.clock.server()
        why, left = lock.forbids(now, self.lock_age, self.settings.logins_per_minute)
        if why != "refused":
            self._respect_memory()
        if why:
            error = self.errors.remembered if why == "refused" else self.errors.braked
            raise error(lock, self._wall_in(left))
        published = lock.published == self.fingerprint != ""
        self.young = bool(lock.recent(now)) and published and self.dead is not None

    def _respect_memory(self) -> None:
        """Raise for a refusal that this process could not write into the lock.

        Forget it when its time is over, or when the lock tells of it or of something later.
        """
        owed, lock = self.memory.owed, self.lock
        if owed is None:
            return
        left = owed.refused_for(self.clock.server(), self.memory.age(self.clock.now()))
        noted = lock.nonce == owed.nonce or lock.since > owed.since
        if left and not noted:
            raise self.errors.remembered(owed, self._wall_in(left))
        self.memory.owed = None

    def _note_failure(self, error: Exception) -> None:
        """Note for the lock why a login brought no token."""
        if isinstance(error, LoginRefused):
            from betfair_session.betfair.login_status import after_refusal

            wait, count = after_refusal(error.login_class, self.lock.refusals)
            self.mine = self._failed(wait, error.login_class, error.status)._replace(refusals=count)
        elif isinstance(error, IdentityUnavailable) and error.sent:
            self.mine = self._failed(SHORT, "unknown")
        else:
            self.mine = self.lock.untouched()  # it was never sent
            self.memory.unfit = isinstance(error, ConfigurationError)
            return
        error.not_before = moment(self._wall_in(self.mine.not_before - self.mine.since))
