"""What one call of the shared login knows, and what follows from that; policy.py acts on it.

Everything that matters is an attribute, so that the policy can be replayed and two of its states
compared. Times are seconds.
"""

from __future__ import annotations

from betfair_session.exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
)
from betfair_session.process.clocks import passed
from betfair_session.storage.contract import VersionConflict

from . import effects as do, lock as locks
from .errors import moment
from .lock import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from betfair_session.process.clocks import Clock, Times

    from .account import LeaseSettings
    from .errors import Errors
    from .lock import Memory

SHORT = 15.0
"""Seconds without a login after one that ended without an answer."""

SHORTEST_LOGIN = 2.0
"""Seconds that a login gets at least, or is not made: one that times out may still arrive."""

SETTLING = 4.0
"""Seconds for which a token that was published, and is not there, is waited for: stale reads."""

READS, TAKES, CONFLICTS = 2, 3, 6
"""How often a read, and taking the lock, is tried again; the latter after conflicts, too."""

SENDS, GIVES = 3, 2
"""How often a token is sent at most; how often the lock is given back at least."""

PASSING = frozenset({"unreachable", "timeout", "throttled", "busy", "server", "conflict"})
"""The reasons of store errors that may pass by themselves."""


class Call:
    """One call's knowledge."""

    def __init__(
        self,
        settings: LeaseSettings,
        clock: Clock,
        errors: Errors,
        memory: Memory,
        *,
        owner: str,
        deadline: float,
        shared: bool,
        share: bool = False,
    ) -> None:
        """Prepare a call, whose waits end at `deadline` by `clock.mono`.

        `owner` names this process for people. `shared` tells whether the store's conditions can be
        relied on; `share` whether a verified token is written anew, so that its time tells of that.
        """
        self.settings, self.clock, self.errors, self.memory = settings, clock, errors, memory
        self.owner, self.deadline, self.shared, self.share = owner, deadline, shared, share
        self.dead: do.Token = None  # the token that Betfair called dead
        self.polls = 0  # how often this call has waited for another
        self.crowd = 0  # grows with each request that was one too many for the store
        self.young = False  # whether Betfair rejected a token that a login has just stored
        self._begin()

    def _begin(self) -> None:
        self.nonce = self.clock.nonce()
        self.started: Times | None = None  # of the first attempt under this nonce
        self.asked: Times = (0.0, 0.0)  # when Betfair was asked last
        self.looked: Times = (0.0, 0.0)  # when the lock was read last
        self.token: do.Token = None
        self.version: str | None = None
        self.fingerprint = ""
        self.lock: Lock | None = None
        self.lock_version: str | None = None
        self.lock_age: float | None = None
        self.lock_since = 0.0  # when (monotonic) it was first seen in this version
        self.reread: str | None = None  # the lock's version for which the token was read once more
        self.mine = locks.JUNK  # what the lock is to say if the call ends now
        self.new: do.Token = None
        self.new_fingerprint = ""
        self.base: str | None = None  # the version that the new token replaces
        self.tries = self.takes = self.blanks = self.sends = 0  # of what is being repeated
        self.tried: tuple[str | None, ...] = ()  # the lock's version of the last try to take it
        self.may_land = False  # whether an earlier send of the new token may still land
        self.unproven = False  # whether no answer proves that none has landed: read the token back
        self.trouble: StoreError | None = None  # why something is tried again
        self.failure: StoreError | None = None  # why the token was not written
        self.ended: Exception | None = None  # what the call raises when the lock is given back

    def _see_token(self, read: do.TokenRead) -> None:
        """Take in what was read of the token."""
        self.token, self.version, self.fingerprint = read

    def _see_lock(self, read: do.LockRead) -> None:
        """Take in what was read of the lock, and since when it has been so.

        A call that was outbid takes a new nonce.
        """
        changed = read.version != self.lock_version or self.lock is None
        if changed and read.lock and read.lock.nonce != self.nonce and self.started:
            # So that a late write is not mistaken for a new attempt.
            self.nonce, self.started = self.clock.nonce(), None
        if changed:
            self.lock_since = self.clock.mono()
        self.lock, self.lock_version, self.lock_age = read

    def _pause(self, tries: int, least: float = 0.0) -> do.Wait:
        """Return a wait, longer after each try; only `least` goes beyond the caller's time."""
        seconds = min(0.25 * 2 ** (tries - 1), 2.0) * self._slower()
        return do.Wait(least + min(seconds, self._left()))

    def _slower(self) -> float:
        """Return how a wait is stretched: at random, and up to fourfold in a crowd."""
        return (0.5 + self.clock.jitter() / 2) * 2.0**self.crowd

    def _left(self) -> float:
        """Return the seconds that are left of the caller's time."""
        return max(self.deadline - self.clock.mono(), 0.0)

    def _gap(self) -> float:
        """Return the seconds to leave between two writes: one, where the store says so."""
        return 1.0 if self.trouble is not None and self.trouble.reason == "throttled" else 0.0

    def _useless(self) -> bool:
        """Tell whether there is no token, or only one that Betfair called dead."""
        return self.token is None or self.token == self.dead

    def _first_login(self) -> bool:
        """Tell whether most likely nobody has logged in yet: it saves a look at the lock."""
        if self.version is not None or self.lock or self.polls or self.memory.owed:
            return False
        # With too little time for a login, the lock may tell who is making one.
        return self._login_seconds() > 0 or not self._left()

    def _lock_just_read(self) -> bool:
        """Tell whether the token was read right after the lock, because of what that said."""
        return self.lock is not None and self.reread == self.lock_version

    def _lock_to_take(self) -> Lock:
        """Return the lock that was read, with my name in it."""
        before, now = self.lock or Lock(locks.DONE), self.clock.server()
        gone = before.state == locks.HELD and self.shared  # its token may land yet
        return before._replace(
            state=locks.HELD,
            nonce=self.nonce,
            owner=self.owner,
            ttl=self.settings.ttl,
            since=now,
            # counted first: no crash can hide it
            logins=(*before.recent(now), now)[-self.settings.logins_per_minute :],
            published="",  # or a lock given back without a login would vouch for an old token
            login_class="store" if gone else before.login_class,
        )

    def _login_seconds(self) -> float:
        """Return the seconds of the caller's time that a login may take; 0 for too few."""
        most = self.settings.login_deadline
        seconds = min(most, self._left() * 0.75)  # the rest is for storing its token
        return seconds if seconds >= min(most, SHORTEST_LOGIN) else 0.0

    def _lease_leaves_time(self) -> bool:
        """Tell whether the lock's time to live leaves room for a login and its write."""
        settings, started = self.settings, self.started or (0.0, 0.0)
        needed = settings.login_deadline + settings.store_deadline
        return self._elapsed(started) + needed <= settings.ttl

    def _note_unread(self, error: StoreError, most: int) -> None:
        """Count a failure to read; raise it when another try is hopeless."""
        over = error.reason not in PASSING or self.tries >= most or not self._left()
        if over and not self._in_crowd(error):
            raise error
        self.trouble = error
        self.tries += 1

    def _in_crowd(self, error: StoreError) -> bool:
        """Tell whether to go on, since the store only has too many requests; wait longer then."""
        if error.reason != "throttled" or not self._left():
            return False
        if self._owned_by(self.nonce):  # the holder has the lease's time, and makes haste
            return self._lease_leaves_time()
        self.crowd = min(self.crowd + 1, 2)
        return True

    def _take_is_over(self, error: StoreError) -> bool:
        """Count a failure to take the lock; tell whether another try is hopeless."""
        self.trouble = error
        same, self.tried = self.tried == (self.lock_version,), (self.lock_version,)
        self.takes += 1
        if isinstance(error, VersionConflict):  # lost to others, as long as it changes
            return same and self.takes > CONFLICTS
        over = error.reason not in PASSING or self.takes > TAKES
        return over and not self._in_crowd(error)

    def _too_late(self) -> BetfairSessionError:
        """Return the error of a call whose time ended before it had the lock."""
        if self.takes == 0 or self.trouble is None or isinstance(self.trouble, VersionConflict):
            return self.errors.timeout(self.lock)
        return self.trouble

    def _taken(self) -> Lock:
        """Return the lock as this call has taken it."""
        assert self.lock is not None
        return self.lock

    def _failed(self, wait: float, login_class: str, status: str = "", refusals: int = 0) -> Lock:
        """Return the lock after a login that failed, with the time of the next."""
        return self._taken().failed(self.clock.server(), wait, login_class, status, refusals)

    def _elapsed(self, since: Times) -> float:
        """Return the seconds since then, by the clock that went further: one may stand still."""
        return passed(since, self.clock.now())

    def _wall_in(self, seconds: float) -> float:
        """Return the machine's time in some seconds, by which a caller will wait."""
        return self.clock.now()[1] + seconds

    def _just_asked(self) -> bool:
        """Tell whether a write now would not make an old verification look new."""
        return self._elapsed(self.asked) <= self.settings.login_deadline

    def _no_time_to_give_back(self, at_once: bool) -> bool:  # noqa: FBT001 - the policy's own
        """Tell whether the lock is left as it is: a caller with a token waits less for that."""
        settings = self.settings
        patience = 0.0 if at_once else settings.store_deadline
        if self.mine.state == locks.FAILED and not at_once:
            patience = settings.ttl - settings.store_deadline
        late = self.clock.mono() >= self.deadline or self._elapsed(self.memory.since) >= patience
        return late and self.tries >= GIVES

    def _owned_by(self, nonce: str) -> bool:
        """Tell whether the lock, as last seen, is held under a nonce."""
        return bool(self.lock and self.lock.state == locks.HELD and self.lock.nonce == nonce)

    def _owes_this_lock(self) -> bool:
        """Tell whether the lock is held by an earlier call of this process, which has ended."""
        owed = self.memory.owed
        mine = self.started and owed and owed.nonce == self.nonce  # this call's own, perhaps
        return bool(owed and not mine and self._owned_by(owed.nonce))

    def _owe(self, lock: Lock) -> None:
        """Have this process remember what a lock should say that it may leave behind."""
        self.memory.owe(lock, self.clock.now())

    def _allowed(self) -> Literal["wait", "look again", "mine", "take"]:
        """Return what the lock that was read allows, or raise what an earlier login forbids."""
        lock = self.lock
        if lock is None:
            self._respect_memory()
            return "take"
        if lock.state == locks.HELD:
            if self.started and lock.nonce == self.nonce:
                return "mine"  # the answer to my write was lost
            watched = self.clock.mono() - self.lock_since
            if self.shared and not lock.expired(self.lock_age, watched=watched):
                return "wait"
        elif lock.published != self.fingerprint:
            if self.reread != self.lock_version:
                return "look again"  # a login ended after the token was read
            if lock.published and locks.younger(self.lock_age, SETTLING):
                return "wait"
        self._respect(lock)
        return "take"

    def _respect(self, lock: Lock) -> None:
        """Refuse a login that an earlier one forbids: it failed, or there were too many.

        If none is refused, note whether the token that Betfair rejected was `young`.
        """
        now = self.clock.server()
        why, left = lock.forbids(now, self.lock_age, self.settings.logins_per_minute)
        if why != "refused":
            self._respect_memory()
        if why:
            error = self.errors.remembered if why == "refused" else self.errors.braked
            raise error(lock, self._wall_in(left))
        published = lock.published == self.fingerprint != ""
        self.young = bool(lock.recent(now)) and published and self.dead is not None

    def _respect_memory(self) -> None:
        """Refuse a login for a refusal that this process could not write into the lock.

        It is forgotten when its time is over, or the lock tells of it or of something later.
        """
        owed, lock = self.memory.owed, self.lock
        if owed is None:
            return
        left = owed.refused_for(self.clock.server(), self.memory.age(self.clock.now()))
        noted = lock is not None and (lock.nonce == owed.nonce or lock.since > owed.since)
        if left and not noted:
            raise self.errors.remembered(owed, self._wall_in(left))
        self.memory.owed = None

    def _note_failure(self, error: Exception) -> None:
        """Have the lock say what came of a login without a token."""
        if isinstance(error, LoginRefused):
            from betfair_session.betfair.login_status import wait_after

            wait = wait_after(error.login_class, self._taken().refusals + 1).total_seconds()
            self.mine = self._failed(wait, error.login_class, error.status, refusals=1)
        elif isinstance(error, IdentityUnavailable) and error.sent:
            self.mine = self._failed(SHORT, "unknown")
        else:
            self.mine = self._taken().untouched()  # it never left
            return
        error.not_before = moment(self._wall_in(self.mine.not_before - self.mine.since))
