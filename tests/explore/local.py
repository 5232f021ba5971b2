"""One process of the model: the shipped machine's own state, with all times told from now.

The machine adds, subtracts and compares times, so a state can be moved in time: here "now" is
always 0, on every clock. What a phase can no longer read is blanked, and counters are cut off where
the machine no longer tells their values apart; this joins states that behave alike, which
test_local.py holds against the full ones. Waits are over at once, since a process that has woken up
and not yet made its call is one that still sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from betfair_session.lease import lock as locks, messages as m
from betfair_session.lease.machine import step
from betfair_session.lease.state import BRAKE_WINDOW, FRESH, MARGIN, TAKES, State, useless

from .violation import fail

if TYPE_CHECKING:
    from betfair_session.lease.lock import Lock

LOOKING = frozenset({"look", "vouch", "validate", "lock", "take"})
_AFTER_CONFIRM = frozenset({"login", "publish", "readback", "logout", "release"})
_KEEPS_TOKEN = frozenset({"vouch", "validate", "lock", "confirm", "take"})
_KEEPS_MINE = frozenset({"take", "confirm", "login", "publish", "readback", "logout", "release"})
_REFUSALS_TOLD_APART = 4
_SEEN = locks.Lock(locks.DONE)  # stands for a lock of which only the version still matters
NOBODY = "n0"  # names an attempt that no lock was ever written for
_ENOUGH = 16.0  # seconds since the start after which no login is begun, with the settings used here


@dataclass(frozen=True)
class Local:
    """A process.

    Attributes:
        state: the machine's.
        effect: what it asked for, and waits for.
        off: its idea of the server's time, less the truth.
        known: whether that comes from an answer of the store (else from its own wall clock).
    """

    state: State
    effect: m.Effect
    off: float = 0.0
    known: bool = False


def look_at_step(state: State, event: m.Event, effect: m.Effect) -> None:
    """Check what one process's step alone can show; see checks.py, "adopted"."""
    if isinstance(effect, m.Failed) and effect.why in {"refused", "brake"}:
        if not useless(state):
            fail("adopted", "a refusal was raised in place of a token")
    elif isinstance(effect, m.Login):
        if not useless(state):
            fail("adopted", "a login was begun although there is a token")
    elif isinstance(effect, m.Done) and isinstance(event, m.TokenRead | m.LockRead):
        if useless(state) or effect.token != state.token:
            fail("adopted", "another token was returned than a good one that was read")
        if not _vouched(state):
            fail("adopted", "a token was returned that nobody vouches for")
    elif isinstance(event, m.Alive) and getattr(effect, "token", None) != event.token:
        fail("adopted", "another token was returned, or written, than the one that was verified")


def _vouched(state: State) -> bool:
    """Tell whether the lock says of this very token that it was published just now."""
    lock, age = state.lock, state.lock_age
    if lock is None or lock.state != locks.DONE or age is None:
        return False
    return -MARGIN <= age <= FRESH and lock.published == state.fingerprint != ""


@dataclass(frozen=True)
class View:
    """How much of a process is told apart.

    Attributes:
        brake: whether the times of earlier logins matter; without them no brake is ever met.
    """

    brake: bool

    def lock(self, lock: Lock) -> Lock:
        """Blank what no process acts upon."""
        failed = lock.state == locks.FAILED
        last = -BRAKE_WINDOW - 2 * MARGIN if self.brake else float("inf")
        return lock.but(
            owner="",
            since=lock.since if failed else 0.0,
            logins=tuple(time for time in lock.logins if time > last),
            refusals=min(lock.refusals, _REFUSALS_TOLD_APART),
            status="",
            login_class="",
            not_before=lock.not_before if failed else 0.0,
        )

    def later_lock(self, lock: Lock, seconds: float) -> Lock:
        """Tell a lock's times from a later now."""
        return self.lock(
            lock.but(
                since=lock.since - seconds,
                logins=tuple(time - seconds for time in lock.logins),
                not_before=lock.not_before - seconds,
            )
        )

    def effect(self, effect: m.Effect) -> m.Effect:
        """Blank what only people read."""
        if isinstance(effect, m.WriteLock):
            return effect.but(lock=self.lock(effect.lock))
        if isinstance(effect, m.Failed):
            return m.Failed(effect.why)
        if isinstance(effect, m.Login):
            assert effect.seconds > 0
            return m.Login(1.0)
        if isinstance(effect, m.Done):
            return effect.but(age=0.0)
        return effect

    def state(self, state: State) -> State:
        """Blank what the phase can no longer read, and cut off what it no longer tells apart."""
        phase = state.phase
        if phase == "release" and state.after is not None:
            state = State(
                *(state.settings, "", state.deadline, state.nonce, state.shared, state.share),
                phase=phase,
                lock_version=state.lock_version,
                mine=state.mine,
                releases=state.releases,
                new_fingerprint=state.new_fingerprint,
                after=self.effect(state.after),
            )
        state = self._known_lock(state)
        keeps, started = phase in _KEEPS_TOKEN, state.started
        return state.but(
            deadline=max(state.deadline, 0.0),
            token=state.token if keeps else None,
            version=state.version if keeps else None,
            fingerprint=state.fingerprint if keeps else "",
            polls=state.polls if state.polls < 2 else 2 + state.polls % 2,
            takes=min(state.takes, TAKES),
            mine=self.lock(state.mine) if phase in _KEEPS_MINE else locks.JUNK,
            started=None
            if started is None or phase in _AFTER_CONFIRM
            else (max(started[0], -_ENOUGH), min(max(started[1], -_ENOUGH), _ENOUGH)),
            failure=None,
            after=self.effect(state.after) if state.after else None,
            young=False,
        )

    def _known_lock(self, state: State) -> State:
        """Cut down the lock that was read earlier to what can still be compared with it."""
        lock, phase = state.lock, state.phase
        if phase not in LOOKING or lock is None:
            return state.but(lock=None, lock_age=None, lock_since=0.0, reread=None)
        just_read = state.reread == state.lock_version and phase in {"look", "validate"}
        same = state.reread if state.reread == state.lock_version else None
        held, since = lock.state == locks.HELD, state.lock_since
        since = max(since, -lock.ttl - MARGIN) if held else 0.0
        age: float | None = state.lock_age
        if just_read:
            lock = self.lock(lock)
        elif lock.state == locks.DONE and phase in {"look", "vouch", "validate"}:
            lock = locks.Lock(locks.DONE, published=lock.published)
        else:
            lock, age = locks.Lock(lock.state, ttl=lock.ttl) if held else _SEEN, None
        return state.but(lock=lock, lock_age=age, lock_since=since, reread=same)

    def start(self, state: State, effect: m.Effect, *, skew: float) -> Local:
        """Begin a call in a process whose wall clock is wrong by `skew` seconds."""
        return Local(self.state(state), effect, skew)

    def advance(self, local: Local, event: m.Event, nonce: str) -> Local:
        """Tell a process what happened, and let it come to its next call or its end.

        An attempt gets its name when it first is written down.
        """
        tick = m.Tick(0.0, 0.0, local.off, 0.5, nonce or NOBODY)
        named = local.state.nonce != NOBODY
        state = local.state if named else local.state.but(nonce=nonce)
        state, effect = step(state, event, tick)
        while isinstance(effect, m.Wait):
            assert effect.seconds >= 0
            state, effect = step(state, m.Woke(), tick)
        look_at_step(state, event, effect)
        if state.nonce == nonce and state.phase != "take":
            state = state.but(nonce=NOBODY)
        return replace(local, state=self.state(state), effect=self.effect(effect))

    def later(self, local: Local, seconds: float, *, still: bool) -> Local:
        """Let time pass; with `still`, the process's monotonic clock does not notice."""
        state, felt = local.state, 0.0 if still else seconds
        started = state.started
        state = state.but(
            deadline=state.deadline - felt,
            lock=self.later_lock(state.lock, seconds) if state.lock else None,
            lock_since=state.lock_since - felt,
            mine=self.later_lock(state.mine, seconds),
            started=(started[0] - felt, started[1] - seconds) if started else None,
        )
        effect = local.effect
        if isinstance(effect, m.WriteLock):
            effect = effect.but(lock=self.later_lock(effect.lock, seconds))
        off = local.off - (seconds - felt) if local.known else local.off
        return Local(self.state(state), effect, off, local.known)

    def wall_step(self, local: Local, seconds: float) -> Local:
        """Set a process's wall clock forward or back."""
        state = local.state
        if state.started:
            state = state.but(started=(state.started[0], state.started[1] - seconds))
        off = local.off if local.known else local.off + seconds
        return Local(self.state(state), local.effect, off, local.known)

    def forget(self, local: Local) -> Local:
        """Take back the name of an attempt that is written nowhere."""
        return replace(local, state=local.state.but(nonce=NOBODY))
