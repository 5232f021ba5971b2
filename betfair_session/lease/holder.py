"""The part of the machine that holds the lock: take it, log in, publish, release it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import lock as locks, messages as m
from .state import (
    RELEASES,
    SENDS,
    SHORT,
    SHORTEST_LOGIN,
    TAKES,
    State,
    pause,
    recent,
    trouble,
    useless,
    with_token,
)

if TYPE_CHECKING:
    from .lock import Lock
    from .state import Next


def take(state: State, tick: m.Tick) -> Next:
    """Try to take the lock in the version that was read, with this call's name in it."""
    if tick.mono >= state.deadline:
        return state, m.Failed("timeout", lock=state.lock)
    settings = state.settings
    lock = (state.lock or locks.Lock(locks.HELD)).but(
        state=locks.HELD,
        nonce=state.nonce,
        owner=state.owner,
        ttl=settings.ttl,
        since=tick.server,
        # Counted before it is made, so that a crash cannot hide it.
        logins=(*recent(state.lock, tick), tick.server)[-settings.logins_per_minute :],
        # Else a lock that is given back without a login would vouch for an old token.
        published="",
    )
    version = state.lock_version
    # An earlier attempt without an answer may be the one that lands: its start counts.
    started = state.started or (tick.mono, tick.wall)
    state = state.but(phase="take", started=started, mine=lock)
    return state, m.WriteLock(lock, version, shared=state.shared)


def taken(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Take in the answer to that write."""
    if isinstance(event, m.Written):
        shared = state.shared and event.honest
        return confirm(
            state.but(shared=shared, lock=state.mine, lock_version=event.version, troubles=0)
        )
    if isinstance(event, m.StoreFailed) and (not event.passing or state.takes >= TAKES):
        return state, m.Failed("error", event.error)
    state = state.but(takes=state.takes + 1)
    if state.takes == 1:
        return state.but(phase="lock"), m.ReadLock()
    # A store that goes on refusing is not to be asked in a tight loop.
    return pause(state, m.ReadLock(), resume="lock", tries=state.takes, tick=tick)


def confirm(state: State) -> Next:
    """With the lock in hand, read the token again: somebody may have been faster."""
    return state.but(phase="confirm", mine=state.lock or locks.JUNK), m.ReadToken()


def confirmed(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Go on to the login if the token is still the useless one and there is time."""
    if isinstance(event, m.StoreFailed):
        failed = m.Failed("error", event.error)
        return trouble(state, event, tick) or _release(state, _untouched(state), failed)
    assert isinstance(event, m.TokenRead)
    state = with_token(state, event).but(base=event.version)
    if not useless(state):
        return _release(state, _untouched(state))
    assert state.started is not None
    elapsed = max(tick.mono - state.started[0], tick.wall - state.started[1])
    settings = state.settings
    if elapsed + settings.login_deadline + settings.store_deadline > settings.ttl:
        # Frozen since the lock was taken: it may be another's by now.
        return _release(state, _untouched(state))
    # Whoever waits only so long wants the token stored by then, too.
    seconds = min(settings.login_deadline, (state.deadline - tick.mono) * 0.75)
    if seconds < min(settings.login_deadline, SHORTEST_LOGIN):
        # It might arrive all the same: a session that nobody has, and the others would wait.
        return _release(state, _untouched(state), m.Failed("timeout"))
    return state.but(phase="login"), m.Login(seconds)


# --- logging in and publishing -------------------------------------------------------------------


def logged_in(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Take in what Betfair said to the login."""
    if isinstance(event, m.LoggedIn):
        state = state.but(new=event.token, new_fingerprint=event.fingerprint, troubles=0)
        return _send(state, tick)
    if isinstance(event, m.Refused):
        refusals = state.mine.refusals + 1
        wait = event.waits[min(refusals, len(event.waits)) - 1]
        lock = _failure(state, tick, wait, event.login_class)
        lock = lock.but(refusals=refusals, status=event.status)
        return _release(state, lock, m.Failed("error", event.error, not_before=lock.not_before))
    assert isinstance(event, m.Unclear)
    if not event.sent:
        return _release(state, _untouched(state), m.Failed("error", event.error))
    lock = _failure(state, tick, SHORT, "unknown")
    return _release(state, lock, m.Failed("error", event.error, not_before=lock.not_before))


def _send(state: State, tick: m.Tick) -> Next:
    publish = m.Publish(state.new, state.base)
    state = state.but(phase="publish", sends=state.sends + 1)
    if state.sends == 1:
        return state, publish
    return pause(state, publish, resume="publish", tries=state.sends - 1, tick=tick)


def published(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Take in the answer to the publication."""
    del tick
    if isinstance(event, m.Written):
        return _success(state)
    assert isinstance(event, m.StoreFailed | m.Conflict)
    refused = isinstance(event, m.StoreFailed) and not (event.landed or event.passing)
    landed = isinstance(event, m.StoreFailed) and event.landed
    state = state.but(
        phase="readback",
        failure=event.error,
        maybe=state.maybe or landed,
        doubt=state.doubt or not refused,
        troubles=0,
    )
    return state, m.ReadToken()


def _success(state: State) -> Next:
    lock = state.mine.but(
        state=locks.DONE,
        published=state.new_fingerprint,
        refusals=0,
        status="",
        login_class="",
        not_before=0.0,
    )
    return _release(state, lock, m.Done(state.new, "logged in"))


def read_back(state: State, event: m.Event, tick: m.Tick) -> Next:
    """After a publication without a good answer: what is there now?"""
    if isinstance(event, m.StoreFailed):
        if not state.doubt:
            return _undo(state)
        return trouble(state, event, tick) or _give_up(state, tick, "uncertain")
    assert isinstance(event, m.TokenRead)
    if event.token == state.new:
        return _success(state)
    unchanged = event.version == state.base
    state = with_token(state, event)
    if not unchanged and not useless(state):
        return _yield(state)
    state = state.but(base=event.version)
    if state.sends < SENDS:
        return _send(state, tick)
    return _give_up(state, tick, "uncertain") if state.maybe else _undo(state)


def _yield(state: State) -> Next:
    """Make way for another's token, which is there already."""
    if state.maybe:
        # Mine may have been there before it, and be in use.
        return _release(state, state.mine.but(state=locks.DONE))
    return state.but(phase="logout", after=None), m.Logout(state.new)


def _undo(state: State) -> Next:
    """End the session of a login that certainly was not stored."""
    unwritten = m.Failed("unwritten", state.failure)
    return state.but(phase="logout", after=unwritten), m.Logout(state.new)


def logged_out(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Go on after ending a session that could not be published."""
    assert isinstance(event, m.LoggedOut)
    if state.after is not None:
        return _give_up(state, tick, "unwritten", also=event.error)
    return _release(state, state.mine.but(state=locks.DONE))


def _give_up(state: State, tick: m.Tick, why: str, also: m.Error = None) -> Next:
    lock = _failure(state, tick, SHORT, "store")
    return _release(state, lock, m.Failed(why, state.failure, also, not_before=lock.not_before))


# --- releasing the lock --------------------------------------------------------------------------


def _untouched(state: State) -> Lock:
    """Return the lock of a holder that made no login."""
    return state.mine.but(state=locks.DONE, logins=state.mine.logins[:-1])


def _failure(state: State, tick: m.Tick, wait: float, login_class: str) -> Lock:
    return state.mine.but(
        state=locks.FAILED,
        status="",
        login_class=login_class,
        since=tick.server,
        not_before=tick.server + wait,
    )


def _release(state: State, lock: Lock, after: m.Effect | None = None) -> Next:
    """Write the lock, if it is still mine; what follows does not depend on it."""
    state = state.but(phase="release", after=after, mine=lock, releases=state.releases + 1)
    return state, m.WriteLock(lock, state.lock_version, best_effort=True, shared=state.shared)


def released(state: State, event: m.Event, tick: m.Tick) -> Next:
    """Return what was decided, or begin anew."""
    if isinstance(event, m.StoreFailed) and event.passing and state.releases < RELEASES:
        # If it fails for good, the others wait for one time to live.
        return _release(state, state.mine, state.after)
    if state.after is not None:
        return state, state.after
    fresh = State(
        state.settings,
        state.owner,
        state.deadline,
        tick.nonce,
        state.shared,
        state.share,
        dead=state.dead,
        polls=state.polls,
    )
    return fresh, m.ReadToken()
