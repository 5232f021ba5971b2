"""What is checked in a history; the meaning of each check is told in checks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.lease import lock as locks, messages as m
from betfair_session.lease.flow import fingerprint
from betfair_session.lease.state import BRAKE_WINDOW, FRESH, MARGIN
from betfair_session.secret import Secret
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import parse_token

from .local import look_at_step
from .memory import KEY
from .violation import fail

if TYPE_CHECKING:
    from betfair_session.lease.state import State

    from .memory import Kept, MemoryStore, Write

LOCK_KEY = KEY + LOCK_SUFFIX
FROM_COUNTING_TO_LOGIN = 16.0


class Ledger:
    """The truth about sessions and logins, which no process knows.

    Attributes:
        live: the sessions that live.
        credit: the logins that may still be made in this generation.
        states: of every process that runs.
        removed: whether somebody ever removed or cleared a lock.
        writer: the process whose call is carried out now, or None.
    """

    def __init__(self) -> None:
        """Begin with no token, so one login may be made."""
        self.live: set[str] = set()
        self.credit = 1
        self.states: dict[int, State] = {}
        self.writer: State | None = None
        self.store: MemoryStore
        self.removed = False
        self._landed: set[str] = set()
        self._out: set[str] = set()
        self._logins: list[float] = []
        self._ends: dict[bytes, float] = {}
        self._refused_until = 0.0

    def stored(self) -> str:
        """Return the token that is stored now, or ""."""
        kept = self.store.objects.get(KEY)
        token = parse_token(kept.content, where="") if kept else None
        return token.reveal() if token else ""

    def generation(self) -> None:
        """Begin a generation: the stored token was valid, and is so no more."""
        kept = self.store.objects.get(KEY)
        version = kept.version if kept else None
        self.credit = 1
        for state in self.states.values():
            if state.phase in {"confirm", "login"}:
                moved = state.phase == "login" and state.base != version
                self.credit += moved or not self._holds(state)

    def forget_logins(self) -> None:
        """Leave out the logins that the lock cannot tell of any more."""
        self._logins.clear()

    def _holds(self, state: State) -> bool:
        kept = self.store.objects.get(LOCK_KEY)
        lock = locks.decode(kept.content) if kept else None
        return lock is not None and lock.state == locks.HELD and lock.nonce == state.nonce

    def logged_in(self, state: State) -> None:
        """Count a login that is made now."""
        self.credit -= 1
        if self.credit < 0:
            fail("I1", "a login too many in this generation")
        store, held = self.store, self._holds(state)
        if not held or store.now - store.objects[LOCK_KEY].at >= state.settings.ttl:
            return
        taken = store.objects[LOCK_KEY].at
        known = store.objects[LOCK_KEY].version == state.lock_version
        if known and self.stored() in self.live and store.objects[KEY].at < taken:
            fail("I1", "a valid token was there before the lock was taken")
        # The first login of all may be counted by a clock that no answer has set right yet.
        if abs(state.mine.logins[-1] - taken) > FROM_COUNTING_TO_LOGIN:
            return
        window = BRAKE_WINDOW - FROM_COUNTING_TO_LOGIN
        self._logins = [time for time in self._logins if store.now - time < window] + [taken]
        if len(self._logins) > state.settings.logins_per_minute:
            fail("I5", "too many logins in a minute")

    def asked(self, effect: m.Effect, now: float) -> None:
        """Note how long a failure is to be respected, from the moment it is known."""
        if isinstance(effect, m.WriteLock) and effect.lock.state == locks.FAILED:
            lock = effect.lock
            self._ends.setdefault(locks.encode(lock), now + lock.not_before - lock.since)

    def landing(self, write: Write, old: Kept | None) -> None:
        """Look at a write just before it lands."""
        if write.key == KEY:
            if write.again:
                if old is None or old.content != write.content:
                    fail("I2", "what was there was replaced by an older token")
            elif self.stored() in self.live:
                fail("I2", "a valid token was replaced")
            self._landed.add(write.content.decode())
            return
        lock = locks.decode(write.content)
        if lock.state == locks.DONE and lock.published:
            self._vouches(lock.published)
        if lock.state == locks.HELD and old is not None:
            self._takes(lock, old)
        self._refused_until = self._ends.get(write.content, 0.0)

    def _takes(self, lock: locks.Lock, old: Kept) -> None:
        before = locks.decode(old.content)
        if before.state == locks.HELD and before.nonce != lock.nonce:
            self.credit += self.store.now - old.at >= before.ttl
        if before.state == locks.FAILED and self.store.now < self._refused_until - MARGIN:
            left = self._refused_until - self.store.now
            fail("refusal", f"taken {left:.1f} s before the refusal's end")

    def _vouches(self, published: str) -> None:
        kept, writer = self.store.objects.get(KEY), self.writer
        if kept is None or writer is None or writer.new_fingerprint == published:
            return
        same = fingerprint(Secret(self.stored())) == published
        if same and self.store.now - kept.at > FRESH + MARGIN:
            fail("vouched", "an old token was called freshly published")

    def logs_out(self, token: str) -> None:
        """Look at a logout that is made now."""
        if token == self.stored() or (token in self._landed and token in self.live):
            fail("I3", "a token that others may use was logged out")
        if any(w.content.decode() == token and self.store.can_land(w) for w in self.store.late):
            fail("I3", "a token that may still be stored was logged out")
        self.live.discard(token)
        self._out.add(token)

    def _decides(self, state: State) -> None:
        held = self._holds(state)
        if not (held or self.removed):
            fail("lease", "a login is begun under a lock that is another's")
        if held and self.store.now - self.store.objects[LOCK_KEY].at >= state.settings.ttl:
            fail("lease", "a login is begun under a lock that others may have taken over")

    def told(self, before: State, event: m.Event, after: State, effect: m.Effect) -> None:
        """Look at a process's step."""
        look_at_step(after, event, effect)
        if isinstance(effect, m.Done) and effect.token.reveal() in self._out:
            fail("adopted", "a call ended with a token that was logged out")
        if isinstance(effect, m.Login):
            self._decides(after)
        if before.phase != "release" and after.phase == "release":
            # Not when the call ends: another may log in as soon as the lock tells of it.
            self.credit += _uncertain(after.after)
        over = isinstance(effect, m.Done | m.Failed)
        # A token that is written anew is no new session.
        if before.new is None or before.phase == "rotate" or not (over or after.new is None):
            return
        token = before.new.reveal()
        safe = token not in self.live or token in self._landed | self._out
        if not (safe or _uncertain(effect) or before.maybe):
            fail("leak", "a live session was forgotten")


def _uncertain(effect: m.Effect | None) -> bool:
    """Tell whether a call ends without knowing what came of its new token."""
    return isinstance(effect, m.Failed) and effect.why == "uncertain"
