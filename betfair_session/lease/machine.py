"""One login for a whole fleet, as a pure step function.

    look at the token → is it alive? → look at the lock → take it → look at the token again
        → log in → publish → mark the lock done

`step` takes a state, what just happened and the clocks, and returns the next state and what to do
next. It touches nothing, so the very function that is shipped can be explored through every
interleaving. The safety rests on two conditional writes: the lock is taken, and the token
published, only if it still has the version that was read. Time decides only when a lock that nobody
released may be taken; a wrong clock costs a wait or a login, never a live token.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import holder, lock as locks, messages as m
from .settings import MAX_TTL
from .state import (
    BAN,
    BRAKE_WINDOW,
    FRESH,
    MARGIN,
    SETTLING,
    State,
    recent,
    trouble,
    useless,
    with_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .lock import Lock
    from .settings import LeaseSettings
    from .state import Next


def begin(
    settings: LeaseSettings,
    *,
    owner: str,
    deadline: float,
    nonce: str,
    shared: bool,
    share: bool = False,
) -> Next:
    """Start a call: read the token."""
    return State(settings, owner, deadline, nonce, shared, share), m.ReadToken()


def step(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Take in what happened; return the next state and what to do."""
    return _PHASES[state.phase](state, event, tick)


# --- looking at the token ------------------------------------------------------------------------


def _look(state: State, event: m.Event, tick: m.Tick) -> Next:
    if isinstance(event, m.StoreFailed):
        return trouble(state, event, tick) or (state, m.Failed("error", event.error))
    assert isinstance(event, m.TokenRead)
    return _weigh(with_token(state, event), tick)


def _weigh(state: State, tick: m.Tick) -> Next:
    """Decide about the token that was read."""
    lock_just_read = state.lock is not None and state.reread == state.lock_version
    if useless(state):
        if lock_just_read:
            return _consult(state, tick)
        if state.polls:
            return _wait(state, tick)
        if state.version is None and state.lock is None:
            # Most likely nobody has logged in yet: save the look at the lock.
            return holder.take(state, tick)
        return state.but(phase="lock"), m.ReadLock()
    if state.polls and state.shared and not lock_just_read:
        return state.but(phase="vouch"), m.ReadLock()
    return _adopt(state)


def _adopt(state: State) -> Next:
    """Use a token that another published a moment ago, so that a crowd makes no keepAlives."""
    if _vouched_for(state):
        return state, m.Done(state.token, "adopted", FRESH)
    return state.but(phase="validate"), m.Validate(state.token)


def _vouch(state: State, event: m.Event, tick: m.Tick) -> Next:
    if isinstance(event, m.LockRead):
        state = _with_lock(state, event, tick)
    return _adopt(state)


def _vouched_for(state: State) -> bool:
    """Tell whether the lock says that this very token was stored a moment ago by another."""
    lock = state.lock
    return (
        state.polls > 0
        and state.shared
        and lock is not None
        and lock.state == locks.DONE
        and lock.published == state.fingerprint != ""
        and _younger_than(FRESH, state)
    )


def _validate(state: State, event: m.Event, tick: m.Tick) -> Next:
    if isinstance(event, m.Unclear):
        return state, m.Failed("error", event.error)
    if isinstance(event, m.Dead):
        return _weigh(state.but(dead=state.token), tick)
    assert isinstance(event, m.Alive)
    if event.token != state.token or (state.share and state.shared):
        # Betfair has never been seen to rotate a token; if it does, the others need the new one.
        state = state.but(phase="rotate", new=event.token)
        return state, m.Publish(event.token, state.version)
    return state, m.Done(state.token, "adopted" if state.polls else "resumed")


def _rotate(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Use the token whether it was stored or not; but not again unasked if another wrote."""
    del tick
    doubt = isinstance(event, m.Conflict)  # it may have been logged out meanwhile
    return state, m.Done(state.new, "resumed", math.inf if doubt else 0.0)


# --- looking at the lock -------------------------------------------------------------------------


def _look_at_lock(state: State, event: m.Event, tick: m.Tick) -> Next:
    if isinstance(event, m.StoreFailed):
        return trouble(state, event, tick) or (state, m.Failed("error", event.error))
    assert isinstance(event, m.LockRead)
    return _consult(_with_lock(state, event, tick), tick)


def _with_lock(state: State, event: m.LockRead, tick: m.Tick) -> State:
    """Take in what was read of the lock object, and since when it has been so."""
    changed = event.version != state.lock_version or state.lock is None
    if changed and event.lock and event.lock.nonce != state.nonce and state.started:
        # Outbid. Should that attempt land yet, it is not to be taken for a later one of mine.
        state = state.but(nonce=tick.nonce, started=None)
    return state.but(
        lock=event.lock,
        lock_version=event.version,
        lock_age=event.age,
        lock_since=tick.mono if changed else state.lock_since,
        troubles=0,
    )


def _consult(state: State, tick: m.Tick) -> Next:
    """Decide what the lock allows."""
    lock = state.lock
    if lock is None:
        return holder.take(state, tick)
    if lock.state == locks.HELD:
        if state.started and lock.nonce == state.nonce:
            # The answer to my write was lost, or it came after I had given up on it.
            return holder.confirm(state)
        if state.shared and not _expired(state, lock, tick):
            return _wait(state, tick)
    elif lock.published != state.fingerprint:
        if state.reread != state.lock_version:
            # A login ended after the token was read: read it again before anything else.
            state = state.but(phase="look", reread=state.lock_version)
            return state, m.ReadToken()
        if _may_appear(state, lock):
            return _wait(state, tick)
    return _try(state, lock, tick)


def _may_appear(state: State, lock: Lock) -> bool:
    """Tell whether a token that was just published may be there, not shown by lagging reads."""
    return lock.published != "" and _younger_than(SETTLING, state)


def _younger_than(seconds: float, state: State) -> bool:
    """Tell whether the lock was written less than so long ago; one from the future was not."""
    return state.lock_age is not None and -MARGIN <= state.lock_age <= seconds


def _try(state: State, lock: Lock, tick: m.Tick) -> Next:
    """Take the lock unless the logins before forbid another."""
    refusal = _refusal(state, lock, tick)
    if refusal is not None:
        return state, refusal
    young = bool(recent(lock, tick)) and state.dead is not None
    young = young and lock.published == state.fingerprint
    return holder.take(state.but(young=young), tick)


def _refusal(state: State, lock: Lock, tick: m.Tick) -> m.Failed | None:
    """Return what forbids a login now: an earlier one that failed, or too many."""
    if lock.state == locks.FAILED:
        left = lock.not_before - tick.server
        if state.lock_age is not None:
            # How long it was to last, by its writer's clock; how long ago it was, by the store's.
            left = min(lock.not_before - lock.since, BAN) - state.lock_age
        # Without an age, a time far ahead is junk, and one a little ahead another's clock.
        if 0 < left <= 2 * BAN:
            return m.Failed("refused", lock=lock, not_before=tick.server + left)
    logins = recent(lock, tick)
    most = state.settings.logins_per_minute
    if len(logins) >= most:
        return m.Failed("brake", lock=lock, not_before=logins[-most] + BRAKE_WINDOW)
    return None


def _expired(state: State, lock: Lock, tick: m.Tick) -> bool:
    """Tell whether a held lock has outlived its own time to live, by either of two clocks."""
    limit = min(lock.ttl, MAX_TTL) + MARGIN
    watched = tick.mono - state.lock_since
    return watched >= limit or (state.lock_age is not None and state.lock_age >= limit)


# --- waiting -------------------------------------------------------------------------------------


def _wait(state: State, tick: m.Tick) -> Next:
    left = state.deadline - tick.mono
    if left <= 0:
        return state, m.Failed("timeout", lock=state.lock)
    pause = min(0.25 * 1.5**state.polls, 1.5) * (0.5 + tick.jitter / 2)
    state = state.but(phase="wait", polls=state.polls + 1)
    return state, m.Wait(min(pause, left))


def _woke(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Look again: at the token and at the lock in turn, one call each time."""
    del event, tick
    if state.polls % 2:
        return state.but(phase="look", reread=None), m.ReadToken()
    return state.but(phase="lock"), m.ReadLock()


def _go_on(state: State, event: m.Event, tick: m.Tick) -> Next:
    del event, tick
    assert state.after is not None
    return state.but(phase=state.resume, after=None), state.after


_PHASES: dict[str, Callable[[State, m.Event, m.Tick], Next]] = {
    "look": _look,
    "vouch": _vouch,
    "validate": _validate,
    "rotate": _rotate,
    "lock": _look_at_lock,
    "wait": _woke,
    "pause": _go_on,
    "take": holder.taken,
    "confirm": holder.confirmed,
    "login": holder.logged_in,
    "publish": holder.published,
    "readback": holder.read_back,
    "logout": holder.logged_out,
    "release": holder.released,
}
