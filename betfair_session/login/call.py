"""What one call of the shared login knows, and what follows from that; policy.py acts on it.

Everything that matters is an attribute, so that the policy can be replayed and two of its states
compared. Times are seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from betfair_session.exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
)
from betfair_session.storage.contract import VersionConflict

from . import effects as do, lock as locks
from .lock import FRESH, Lock

if TYPE_CHECKING:
    from .errors import Errors
    from .memory import Memory
    from .settings import LeaseSettings

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


class Clock(Protocol):
    """Time and randomness.

    `mono` is the clock of deadlines and waits; `steady` never steps, and may stand still only where
    `wall`, the machine's, does not; `server` is the store's as well as it is known (all seconds).
    `jitter` is random from 0 to 1, `nonce` a random name.
    """

    def mono(self) -> float: ...  # noqa: D102
    def steady(self) -> float: ...  # noqa: D102
    def wall(self) -> float: ...  # noqa: D102
    def server(self) -> float: ...  # noqa: D102
    def jitter(self) -> float: ...  # noqa: D102
    def nonce(self) -> str: ...  # noqa: D102


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
        """Prepare a call.

        Args:
            settings: the shared login's times.
            clock: time and randomness.
            errors: makes the errors that this raises.
            memory: what this process remembers of earlier calls; changed by the call.
            owner: this process's name for people.
            deadline: the time by `clock.mono` at which waiting ends.
            shared: whether the store's conditions can be relied on.
            share: whether a verified token is written anew, so that its time tells of that.
        """
        self.settings, self.clock, self.errors, self.memory = settings, clock, errors, memory
        self.owner, self.deadline, self.shared, self.share = owner, deadline, shared, share
        self.dead: do.Token = None  # the token that Betfair called dead
        self.polls = 0  # how often this call has waited for another
        self.young = False  # whether Betfair rejected a token that a login has just stored
        self._begin()

    def _begin(self) -> None:
        self.nonce = self.clock.nonce()
        self.started: tuple[float, float] | None = None  # of the first attempt under this nonce
        self.asked = (0.0, 0.0)  # when Betfair was asked last
        self.looked = (0.0, 0.0)  # when the lock was read last
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
        self.maybe = False  # whether the new token may still land
        self.doubt = False  # whether only a look can tell that it has not landed
        self.trouble: StoreError | None = None  # why something is tried again
        self.failure: StoreError | None = None  # why the token was not written
        self.ended: Exception | None = None  # what the call raises when the lock is given back

    def _see_lock(self, read: do.LockRead) -> None:
        """Take in what was read of the lock, and since when it has been so."""
        changed = read.version != self.lock_version or self.lock is None
        if changed and read.lock and read.lock.nonce != self.nonce and self.started:
            # Outbid: a new nonce, so that a late write is not mistaken for a new attempt.
            self.nonce, self.started = self.clock.nonce(), None
        if changed:
            self.lock_since = self.clock.mono()
        self.lock, self.lock_version, self.lock_age = read

    def _pause(self, tries: int, least: float = 0.0) -> do.Wait:
        """Return a wait, longer after each try; only `least` goes beyond the caller's time."""
        seconds = min(0.25 * 2 ** (tries - 1), 2.0) * (0.5 + self.clock.jitter() / 2)
        return do.Wait(least + min(seconds, self._left()))

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
        return self.version is None and self.lock is None and not (self.polls or self.memory.owed)

    def _lock_just_read(self) -> bool:
        return self.lock is not None and self.reread == self.lock_version

    def _vouched_for(self) -> bool:
        """Tell whether the lock says that another stored this very token a moment ago."""
        lock = self.lock
        return bool(
            self.polls
            and self.shared
            and lock
            and lock.state == locks.DONE
            and lock.published == self.fingerprint != ""
            and locks.younger(self.lock_age, FRESH)
        )

    def _my_lock(self) -> Lock:
        """Return the lock that was read, with my name in it."""
        now, most = self.clock.server(), self.settings.logins_per_minute
        before = self.lock or Lock(locks.DONE)
        gone = before.state == locks.HELD and self.shared  # its token may land yet
        return before.but(
            state=locks.HELD,
            nonce=self.nonce,
            owner=self.owner,
            ttl=self.settings.ttl,
            since=now,
            logins=(*before.recent(now), now)[-most:],  # counted first: no crash can hide it
            published="",  # or a lock given back without a login would vouch for an old token
            login_class="store" if gone else before.login_class,
        )

    def _login_seconds(self) -> float:
        """Return the seconds that a login may take now; 0 when the lease leaves none.

        Raises:
            LoginTimeout: the caller's time leaves none.
        """
        settings = self.settings
        used = self._elapsed(self.started or (0.0, 0.0))
        if used + settings.login_deadline + settings.store_deadline > settings.ttl:
            return 0.0
        seconds = min(settings.login_deadline, self._left() * 0.75)  # the rest is for storing it
        if seconds < min(settings.login_deadline, SHORTEST_LOGIN):
            raise self.errors.timeout(None)
        return seconds

    def _take_is_over(self, error: StoreError) -> bool:
        """Count a failure to take the lock; tell whether another try is hopeless."""
        self.trouble = error
        same, self.tried = self.tried == (self.lock_version,), (self.lock_version,)
        self.takes += 1
        if isinstance(error, VersionConflict):  # lost to others, as long as it changes
            return same and self.takes > CONFLICTS
        return error.reason not in PASSING or self.takes > TAKES

    def _too_late(self) -> BetfairSessionError:
        """Return the error of a call whose time ended before it had the lock."""
        waited = self.takes == 0 or isinstance(self.trouble, VersionConflict)
        timeout = self.errors.timeout(self.lock)
        return timeout if waited or self.trouble is None else self.trouble

    def _held(self) -> Lock:
        """Return the lock as this call has taken it."""
        assert self.lock is not None
        return self.lock

    def _failed(self, wait: float, login_class: str, status: str = "", refusals: int = -1) -> Lock:
        """Return the lock after a login that failed, with the time of the next."""
        now, held = self.clock.server(), self._held()
        return held.but(
            state=locks.FAILED,
            status=status,
            login_class=login_class,
            refusals=held.refusals if refusals < 0 else refusals,
            since=now,
            not_before=now + wait,
        )

    def _now(self) -> tuple[float, float]:
        return self.clock.steady(), self.clock.wall()

    def _elapsed(self, since: tuple[float, float]) -> float:
        """Return the seconds since then, by the clock that went further: one may stand still."""
        return max(self.clock.steady() - since[0], self.clock.wall() - since[1])

    def _just_asked(self) -> bool:
        """Tell whether a write now would not make an old verification look new."""
        return self._elapsed(self.asked) <= self.settings.login_deadline

    def _patience(self) -> float:
        """Return the seconds for giving the lock back: a caller with a token waits less."""
        store = self.settings.store_deadline
        return self.settings.ttl - store if self.mine.state == locks.FAILED else store

    def _no_time_to_give_back(self, patience: float) -> bool:
        late = self.clock.mono() >= self.deadline or self._elapsed(self.memory.since) >= patience
        return late and self.tries >= GIVES

    def _owned_by(self, nonce: str) -> bool:
        """Tell whether the lock, as last seen, is held under a nonce."""
        return bool(self.lock and self.lock.state == locks.HELD and self.lock.nonce == nonce)

    def _owes_this_lock(self) -> bool:
        """Tell whether the lock is held by an earlier call of this process, which has ended."""
        return bool(self.memory.owed and self._owned_by(self.memory.owed.nonce))

    def _owed_lock(self) -> Lock:
        """Return what this process owes, with its times told from now."""
        owed, now = self.memory.owed or locks.JUNK, self.clock.server()
        left = max(owed.not_before - owed.since - self._owed_for(), 0.0)
        ends = now + left if owed.state == locks.FAILED else 0.0
        return owed.but(since=now, not_before=ends, published="")  # that was not just now

    def _owed_for(self) -> float:
        """Return how long ago that call ended, by the clock that went less far: a step is none."""
        steady, wall = self.memory.since
        return max(min(self.clock.steady() - steady, self.clock.wall() - wall), 0.0)

    def _allowed(self) -> Literal["wait", "look again", "mine", "take"]:
        """Return what the lock that was read allows.

        Raises:
            LoginRefused, IdentityUnavailable: an earlier login failed, and that still counts.
            LoginBrake: there were too many logins.
        """
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
        recent = lock.recent(self.clock.server())
        self.young = (
            bool(recent) and self.dead is not None and lock.published == self.fingerprint != ""
        )
        return "take"

    def _respect(self, lock: Lock) -> None:
        """Refuse a login that an earlier one forbids: it failed, or there were too many."""
        now = self.clock.server()
        left = lock.refused_for(now, self.lock_age)
        if left:
            raise self.errors.remembered(lock, self.clock.wall() + left)
        self._respect_memory()
        recent, most = lock.recent(now), self.settings.logins_per_minute
        if len(recent) >= most:
            left = recent[-most] + locks.BRAKE_WINDOW - now
            raise self.errors.braked(lock, self.clock.wall() + left)

    def _respect_memory(self) -> None:
        """Refuse a login that a refusal forbids which this process knows of and could not note."""
        owed, lock, now = self.memory.owed, self.lock, self.clock.server()
        if owed is None:
            return
        left = owed.refused_for(now, self._owed_for())
        noted = lock is not None and (lock.nonce == owed.nonce or lock.since > owed.since)
        if left and not noted:
            raise self.errors.remembered(owed, self.clock.wall() + left)
        self.memory.owed = None

    def _note_failure(self, error: Exception) -> None:
        """Have the lock say what came of a login without a token."""
        if isinstance(error, LoginRefused):
            from betfair_session.betfair.login_status import wait_after

            refusals = self._held().refusals + 1
            wait = wait_after(error.login_class, refusals).total_seconds()
            self.mine = self._failed(wait, error.login_class, error.status, refusals)
        elif isinstance(error, IdentityUnavailable) and error.sent:
            self.mine = self._failed(SHORT, "unknown")
        else:
            self.mine = self._held().untouched()  # it never left
            return
        self.errors.forbid(error, self.clock.wall() + self.mine.not_before - self.mine.since)
