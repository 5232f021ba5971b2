"""What must hold in the explorer's worlds and in random histories alike.

A *generation* of the token begins when the stored, valid token dies, is deleted or is overwritten
by something useless, or, at the start, when there is no valid token. In it there may be

- one login, and one more for each of these:
- a held lock that was taken over when its time to live had truly passed (by the store's clock,
  since it landed), or that a person removed or cleared;
- a process that, when the generation began, was on its way to a login on grounds that no longer
  held (its lock was removed or another's, or the token changed after its last look: the freeze
  between the check and the send, which nothing can prevent);
- a foreign write or a deletion, which a process that has just logged in may find in its way;
- a login that ended in a refusal or without an answer, and a new token that died before it
  was stored or could not be stored: these gave no token, so another login has to be tried.

`credit` counts down these; below zero is I1. So is a login by the lock's holder while a valid
token lies there that was stored before the lock was taken: the very lock under which it looked at
the token again, since an earlier, late attempt of its own may land when that lock was removed, in a
freeze between the check and the send. The other checks:

- I2: a write of a token lands on a valid one; a verified token that is written anew lands on
  another than itself, valid or not.
- I3: a token is logged out that is stored, or was stored while it lived, or may still land.
- I4: left alone, every process ends within the bound of `finish`; a newcomer then is served.
- lease: a login is decided on by a process whose lock is another's, or has outlived its time to
  live, although one of its two clocks noticed (nothing can prevent a freeze *after* this decision).
- refusal: the lock is taken while a refusal in it truly still counts, by more than the margin.
- adopted: a call ends with a token that this library logged out, or that neither Betfair called
  alive nor a fresh lock vouches for; a refusal or the brake is raised, or a login begun, although
  the token last read may be valid.
- vouched: a lock says that a token older than FRESH was published just now.
- leak: a live session is given up silently that is neither stored, nor logged out, nor uncertain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, NamedTuple, NoReturn, TypeAlias

from betfair_session.exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    PublishUncertain,
)
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import FRESH, MARGIN, Lock
from betfair_session.login.policy import SharedLogin

Position: TypeAlias = tuple[tuple[str, int], ...]
"""The functions that a generator is in, outermost first, and how far each has come."""


class Violation(AssertionError):
    """An invariant, by its name, that does not hold, and the trace of what happened before."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.trace: list[str] = []


def fail(invariant: str, what: str) -> NoReturn:
    raise Violation(invariant, what)


def position(steps: GeneratorType[Any, Any, Any]) -> Position:
    found: list[tuple[str, int]] = []
    inner: Any = steps
    while inner is not None and inner.gi_frame is not None:
        found.append((inner.gi_code.co_name, inner.gi_frame.f_lasti))
        inner = inner.gi_yieldfrom
    return tuple(found)


def phase(where: Position) -> str:
    """Return the function that shows what a policy is doing, "" at its end."""
    names = [name for name, _ in where if name not in {"_read", "_still_mine"}]
    return names[-1] if names else ""


def snapshot(login: SharedLogin) -> SharedLogin:
    """Return a policy with the same attributes; copy.copy takes five times as long."""
    kept = SharedLogin.__new__(SharedLogin)
    vars(kept).update(vars(login))
    return kept


def look_at_step(login: SharedLogin, event: object, effect: object) -> None:
    """Check what one process's step alone can show: "adopted"."""
    useless = login._useless()
    refused = isinstance(effect, LoginRefused | IdentityUnavailable) and effect is not event
    if (refused or isinstance(effect, LoginBrake)) and not (useless or login.ended):
        fail("adopted", "a refusal was raised in place of a token")
    if isinstance(effect, do.LogIn) and not useless:
        fail("adopted", "a login was begun although there is a token")
    if isinstance(effect, do.Done) and isinstance(event, do.TokenRead | do.LockRead):
        if effect.how != "logged in" and (useless or effect.token != login.token):
            fail("adopted", "another token was returned than a good one that was read")
        if effect.how != "logged in" and not _vouched(login):
            fail("adopted", "a token was returned that nobody vouches for")
    gone_on = isinstance(event, do.LiveToken) and not isinstance(effect, BetfairSessionError)
    if gone_on and getattr(effect, "token", None) != getattr(event, "token", None):
        fail("adopted", "another token was returned, or written, than the one that is alive")


def _vouched(login: SharedLogin) -> bool:
    """Return whether the lock says that this very token was published just now."""
    lock, age = login.lock, login.lock_age
    if lock.state != locks.DONE or age is None:
        return False
    return -MARGIN <= age <= FRESH and lock.published == login.fingerprint != ""


# --- what is so ----------------------------------------------------------------------------------


@dataclass(eq=False)
class Seen:
    """What a check needs to know of a process: what it does and asks for, and what it knows."""

    phase: str
    effect: Any  # at its end a Done, or an error
    login: SharedLogin


class Now(NamedTuple):
    """What is stored at one moment: the token's version, whether it lives, its age; the lock's."""

    version: str | None
    lives: bool
    age: float
    lock: Lock | None
    lock_version: str | None
    lock_age: float

    def held_by(self, nonce: str) -> bool:
        return self.lock is not None and (self.lock.state, self.lock.nonce) == (locks.HELD, nonce)


class Truth:
    """The truth, which no process knows."""

    credit: int  # the logins that may still be made in this generation

    def now(self) -> Now:
        raise NotImplementedError

    def running(self) -> Iterable[Seen]:
        raise NotImplementedError

    def generation(self) -> None:
        """Begin a generation: the stored token was valid, and no longer is."""
        now, self.credit = self.now(), 1
        for each in self.running():
            if each.phase in {"_log_in", "_show_writable"}:
                moved = isinstance(each.effect, do.LogIn) and each.login.base != now.version
                self.credit += moved or not now.held_by(each.login.nonce)

    def logged_in(self, login: SharedLogin) -> bool:
        """Count a login that is made now; return whether its lock truly counts."""
        now = self.now()
        self.credit -= 1
        if self.credit < 0:
            fail("I1", "a login too many in this generation")
        held = now.held_by(login.nonce) and now.lock_age < login.settings.ttl
        known = login.lock_version == now.lock_version
        if held and known and now.lives and now.age > now.lock_age:
            fail("I1", "a login although a valid token was there before the lock was taken")
        return held

    def decides(self, login: SharedLogin, *, removed: bool) -> None:
        """Look at the decision to log in; `removed` if a lock may have been removed by hand."""
        now = self.now()
        held = now.held_by(login.nonce)
        if not (held or removed):
            fail("lease", "a login is begun under a lock that is another's")
        if held and now.lock_age >= login.settings.ttl:
            fail("lease", "a login is begun under a lock that others may have taken over")

    def token_lands(self, *, again: bool, same: bool) -> None:
        """Look at a token's write that lands now; `again` when it was there and verified."""
        if again and not same:
            fail("I2", "what was there was replaced by an older token")
        if not again and self.now().lives:
            fail("I2", "a valid token was replaced")

    def lock_lands(self, lock: Lock, refused_for: float) -> None:
        """Look at a lock's write that lands now, over one that truly refuses for so long."""
        now = self.now()
        if now.lock is None or lock.state != locks.HELD:
            return
        if now.lock.state == locks.HELD and now.lock.nonce != lock.nonce:
            self.credit += now.lock_age >= now.lock.ttl
        if now.lock.state == locks.FAILED and refused_for > MARGIN:
            fail("refusal", f"taken {refused_for:.1f} s before the refusal's end")

    def vouches(self, lock: Lock, own: str, stored: str) -> None:
        """Look at what a writer that published `own` says of the stored token, by fingerprints."""
        told = lock.published if lock.state == locks.DONE else ""
        if told and told != own and told == stored and self.now().age > FRESH + MARGIN:
            fail("vouched", "an old token was called freshly published")

    def gives_up(self, before: Seen, after: Seen, *, safe: bool) -> None:
        """Look at a step; `safe` if its new session is stored, ended or dead, or there is none."""
        if before.phase == "_give_back" or after.phase != "_give_back":
            return
        # Not when the call ends: another may log in as soon as the lock shows it.
        uncertain = isinstance(after.login.ended, PublishUncertain)
        self.credit += uncertain
        if before.login.new is not None and not (safe or uncertain or before.login.may_land):
            fail("leak", "a live session was forgotten")
