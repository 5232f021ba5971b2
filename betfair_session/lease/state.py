"""What one call of the shared login knows, and the few things that all its phases do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from betfair_session.value import Value

from . import lock as locks, messages as m

if TYPE_CHECKING:
    from .lock import Lock
    from .settings import LeaseSettings

    Next: TypeAlias = "tuple[State, m.Effect]"

MARGIN = 1.0
"""Seconds added to a time to live before a lock counts as expired: HTTP dates are whole seconds."""

BRAKE_WINDOW = 60.0
"""Seconds in which logins are counted."""

BAN = 1200.0
"""Seconds that Betfair bans logins for; no failure is remembered for longer."""

SHORT = 15.0
"""Seconds without a login after one that ended without an answer, or could not be stored."""

SHORTEST_LOGIN = 2.0
"""Seconds that a login gets at least, or is not made."""

FRESH = 60.0
"""Seconds for which a waiter believes the lock's word that a token was just published."""

SETTLING = 4.0
"""Seconds for which a token that was published, and is not there, is waited for."""

TROUBLES = 2
"""How many passing store failures in a row are tried again."""

SENDS = 3
"""How often a new token is sent to the store at most."""

TAKES = 3
"""How many failures of the store to take the lock are tried again."""

RELEASES = 2
"""How often the lock's release is sent at most."""


class State(Value):
    """Everything that one call knows.

    Attributes:
        phase: what the next event answers.
        settings: the times.
        owner: this process's name for people.
        deadline: the monotonic time at which waiting ends.
        nonce: this call's name in the lock, until another takes it first.
        shared: whether the store's conditions are to be relied on.
        share: whether to write a verified token anew, so that its time tells of the verification.
        token, version, fingerprint: the token object as last read.
        dead: the token that Betfair said is dead.
        lock, lock_version, lock_age: the lock object as last read.
        lock_since: when (monotonic) it was first seen in this version.
        reread: the lock version for which the token was read once more.
        polls: how often this call has waited for another.
        troubles: passing store failures in a row.
        mine: the lock that this call holds, as it wrote it.
        takes: how often taking the lock has failed.
        started: monotonic and wall time of the first attempt to take the lock under this nonce.
        base: the version that the new token replaces.
        new, new_fingerprint: the token of this call's own login.
        sends: how often the new token was sent to the store.
        maybe: whether one of these may still land.
        doubt: whether only a look at the token can tell that none has landed.
        failure: the last error of a publication.
        releases: how often the lock's release was sent.
        after: what follows a pause, a logout or the release of the lock; None to look at the token
            anew.
        resume: the phase after a pause.
        young: whether Betfair rejected a token that the lock says is less than a minute old.
    """

    settings: LeaseSettings
    owner: str
    deadline: float
    nonce: str
    shared: bool = True
    share: bool = False
    phase: str = "look"
    token: m.Token = None
    version: str | None = None
    fingerprint: str = ""
    dead: m.Token = None
    lock: Lock | None = None
    lock_version: str | None = None
    lock_age: float | None = None
    lock_since: float = 0.0
    reread: str | None = None
    polls: int = 0
    troubles: int = 0
    mine: Lock = locks.JUNK
    takes: int = 0
    started: tuple[float, float] | None = None
    base: str | None = None
    new: m.Token = None
    new_fingerprint: str = ""
    sends: int = 0
    maybe: bool = False
    doubt: bool = False
    failure: m.Error = None
    releases: int = 0
    after: m.Effect | None = None
    resume: str = ""
    young: bool = False


def with_token(state: State, event: m.TokenRead) -> State:
    """Take in what was read of the token object."""
    return state.but(
        token=event.token,
        version=event.version,
        fingerprint=event.fingerprint,
        troubles=0,
    )


def useless(state: State) -> bool:
    """Tell whether there is no token, or only one that Betfair called dead."""
    return state.token is None or state.token == state.dead


def trouble(state: State, event: m.StoreFailed, tick: m.Tick) -> Next | None:
    """Pause, then read again, after a failure that may pass by itself; None for any other."""
    if not event.passing or state.troubles >= TROUBLES or tick.mono >= state.deadline:
        return None
    again: m.Effect = m.ReadLock() if state.phase == "lock" else m.ReadToken()
    state = state.but(troubles=state.troubles + 1)
    return pause(state, again, resume=state.phase, tries=state.troubles, tick=tick)


def pause(state: State, then: m.Effect, *, resume: str, tries: int, tick: m.Tick) -> Next:
    """Wait a little, longer after each try, but not beyond the deadline; then go on."""
    seconds = min(0.25 * 2 ** (tries - 1), 2.0) * (0.5 + tick.jitter / 2)
    seconds = min(seconds, max(state.deadline - tick.mono, 0.0))
    return state.but(phase="pause", resume=resume, after=then), m.Wait(seconds)


def recent(lock: Lock | None, tick: m.Tick) -> tuple[float, ...]:
    """Return the times of the logins in the last minute; a time in the future is junk."""
    logins = lock.logins if lock else ()
    return tuple(time for time in logins if -MARGIN <= tick.server - time < BRAKE_WINDOW)
