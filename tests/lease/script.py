"""One call on the machine, told event by event, with every effect compared whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.lease import lock as locks, messages as m
from betfair_session.lease.machine import begin, step
from betfair_session.lease.settings import LeaseSettings

if TYPE_CHECKING:
    from betfair_session.lease.state import State

START = 1000.0
"""The store's clock when a script begins, seconds."""


def held(**fields: object) -> locks.Lock:
    """Return a lock that another holds since the start."""
    other = locks.Lock(locks.HELD, "other", "another", 30.0, START, (START,))
    return other.but(**fields)


def done(**fields: object) -> locks.Lock:
    """Return the lock of a login that another made at the start."""
    return held(state=locks.DONE, published="fp-other").but(**fields)


def failed(**fields: object) -> locks.Lock:
    """Return the lock of a login that was refused at the start, for a minute."""
    refused = {"status": "STATUS", "login_class": "credentials", "refusals": 1}
    return held(state=locks.FAILED, not_before=START + 60, **refused).but(**fields)


class Script:
    """A call with one hour of time, whose clocks agree and whose jitter is at its most.

    Attributes:
        state: the machine's.
        asked: its last effect.
        now: seconds since the start, by the monotonic clock.
    """

    def __init__(self, *, shared: bool = True, share: bool = False, deadline: float = 3600) -> None:
        """Begin the call; it reads the token first."""
        self.state: State
        self.asked: m.Effect
        self.now = 0.0
        self.jitter = 1.0
        self.slow_wall = 0.0
        self._nonces = 0
        self.state, self.asked = begin(
            LeaseSettings(), owner="me", deadline=deadline, nonce="mine", shared=shared, share=share
        )
        assert self.asked == m.ReadToken()

    def tell(self, event: m.Event, *effects: m.Effect) -> None:
        """Tell what happened. All effects but the last are waits, which are told to be over."""
        for expected in effects:
            self._nonces += 1
            wall = self.now - self.slow_wall
            tick = m.Tick(self.now, wall, START + self.now, self.jitter, f"nonce {self._nonces}")
            self.state, self.asked = step(self.state, event, tick)
            assert self.asked == expected
            event = m.Woke()

    def tell_at(self, seconds: float, event: m.Event, *effects: m.Effect) -> None:
        """Tell something that happens some seconds after the start."""
        self.now = seconds
        self.tell(event, *effects)

    def hold(self) -> locks.Lock:
        """Walk from nothing stored to the lock in hand and the second look; return that lock."""
        lock = mine()
        self.tell(m.TokenRead(), m.WriteLock(lock, None, shared=self.state.shared))
        self.tell(m.Written("L1"), m.ReadToken())
        return lock

    def log_in(self) -> locks.Lock:
        """Walk from nothing stored to the login; return the lock."""
        lock = self.hold()
        self.tell(m.TokenRead(), m.Login(10.0))
        return lock

    def log_in_after(self, before: locks.Lock) -> locks.Lock:
        """Walk from junk in the token's place, and an earlier lock, to the login."""
        lock = before.but(
            state=locks.HELD, nonce="mine", owner="me", logins=(*before.logins, START)
        )
        self.tell(m.TokenRead(None, "V0"), m.ReadLock())
        self.tell(m.LockRead(before, "L0", 1.0), m.WriteLock(lock, "L0"))
        self.tell(m.Written("L1"), m.ReadToken())
        self.tell(m.TokenRead(None, "V0"), m.Login(10.0))
        return lock

    def publish(self) -> locks.Lock:
        """Walk from nothing stored to the publication of "new"; return the lock."""
        lock = self.log_in()
        self.tell(m.LoggedIn("new", "fp-new"), m.Publish("new", None))
        return lock

    def find_dead(self, version: str = "V0") -> None:
        """Walk from a token that is dead to the look at the lock."""
        self.tell(m.TokenRead("dead", version, "fp-dead"), m.Validate("dead"))
        self.tell(m.Dead(), m.ReadLock())

    def wait(self) -> None:
        """Walk from nothing stored to the first wait for another's login."""
        self.tell(m.TokenRead(), m.WriteLock(mine(), None))
        self.tell(m.Conflict(), m.ReadLock())
        self.tell(m.LockRead(held(), "L0", 0.0), m.Wait(0.25))


def mine(**fields: object) -> locks.Lock:
    """Return the lock that a script's call takes at the start, where there was none."""
    lock = locks.Lock(locks.HELD, "mine", "me", 30.0, START, (START,))
    return lock.but(**fields)


def release(lock: locks.Lock, version: str = "L1", *, shared: bool = True) -> m.WriteLock:
    """Return the write that gives the lock back."""
    return m.WriteLock(lock, version, best_effort=True, shared=shared)
