"""What is checked in a history; the meaning of each check is told in checks.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.exceptions import LoginRefused
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import BRAKE_WINDOW, FRESH, MARGIN
from betfair_session.secret import Secret
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint, parse_token

from .actors import KEY
from .processes import fail, look_at_step

if TYPE_CHECKING:
    from .actors import Caller, Kept, MemoryStore, Seen, Write

LOCK_KEY = KEY + LOCK_SUFFIX
FROM_COUNTING_TO_LOGIN = 16.0


class Ledger:
    """The truth about sessions and logins, which no process knows.

    Attributes:
        live: the sessions that live.
        credit: the logins that may still be made in this generation.
        states: of every process that runs.
        removed: whether somebody ever removed or cleared a lock.
        calm: whether nothing goes wrong but what Betfair says and how often a store takes writes.
        banned_until: when the last ban ends that Betfair told of.
        writer: the process whose call is carried out now, or None.
    """

    def __init__(self) -> None:
        """Begin with no token, so one login may be made."""
        self.live: set[str] = set()
        self.credit = 1
        self.states: dict[int, Seen] = {}
        self.writer: Seen | None = None
        self.store: MemoryStore
        self.removed = False
        self.calm = False
        self._landed: set[str] = set()
        self._denied: set[str] = set()
        self._out: set[str] = set()
        self._logins: list[float] = []
        self._ends: dict[str, float] = {}
        self._refused_until = 0.0
        self.banned_until = 0.0

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
            if state.phase in {"confirm", "blank", "login"}:
                moved = state.phase == "login" and state.login.base != version
                self.credit += moved or not self._holds(state)

    def forget_logins(self) -> None:
        """Leave out the logins that the lock cannot tell of any more."""
        self._logins.clear()

    def _holds(self, state: Seen) -> bool:
        kept = self.store.objects.get(LOCK_KEY)
        lock = locks.decode(kept.content) if kept else None
        return lock is not None and lock.state == locks.HELD and lock.nonce == state.login.nonce

    def logged_in(self, state: Seen) -> None:
        """Count a login that is made now."""
        self.credit -= 1
        if self.calm and not self.removed and self.store.now < self.banned_until - MARGIN:
            fail("ban", "a login although Betfair has told this fleet of a ban")
        if self.credit < 0:
            fail("I1", "a login too many in this generation")
        store, held = self.store, self._holds(state)
        if not held or store.now - store.objects[LOCK_KEY].at >= state.login.settings.ttl:
            return
        taken = store.objects[LOCK_KEY].at
        known = store.objects[LOCK_KEY].version == state.login.lock_version
        if known and self.stored() in self.live and store.objects[KEY].at < taken:
            fail("I1", "a valid token was there before the lock was taken")
        # The first login of all may be counted by a clock that no answer has set right yet.
        lock = state.login.lock
        if abs((lock.logins[-1] if lock and lock.logins else 0.0) - taken) > FROM_COUNTING_TO_LOGIN:
            return
        window = BRAKE_WINDOW - FROM_COUNTING_TO_LOGIN
        self._logins = [time for time in self._logins if store.now - time < window] + [taken]
        if len(self._logins) > state.login.settings.logins_per_minute:
            fail("I5", "too many logins in a minute")

    def asked(self, effect: object, now: float) -> None:
        """Note how long a failure is to be respected, from the moment it is known."""
        if isinstance(effect, do.WriteLock) and effect.lock.state == locks.FAILED:
            lock = effect.lock
            # After a token that could not be stored nobody has to wait: a blank is written first.
            counts = lock.login_class != "store"
            ends = now + (lock.not_before - lock.since if counts else 0.0)
            self._ends.setdefault(_name(lock), ends)

    def landing(self, write: Write, old: Kept | None) -> None:
        """Look at a write just before it lands."""
        if write.key == KEY:
            if write.again:
                if old is None or old.content != write.content:
                    fail("I2", "what was there was replaced by an older token")
            elif self.stored() in self.live:
                fail("I2", "a valid token was replaced")
            self._landed.add(write.content.decode())
            if write.lie:  # its writer was told that it had failed, and may end its session
                self._denied.add(write.content.decode())
            return
        lock = locks.decode(write.content)
        if lock.state == locks.DONE and lock.published:
            self._vouches(lock.published)
        if lock.state == locks.HELD and old is not None:
            self._takes(lock, old)
        self._refused_until = self._ends.get(_name(lock), 0.0)

    def _takes(self, lock: locks.Lock, old: Kept) -> None:
        before = locks.decode(old.content)
        if before.state == locks.HELD and before.nonce != lock.nonce:
            self.credit += self.store.now - old.at >= before.ttl
        if before.state == locks.FAILED and self.store.now < self._refused_until - MARGIN:
            left = self._refused_until - self.store.now
            fail("refusal", f"taken {left:.1f} s before the refusal's end")

    def _vouches(self, published: str) -> None:
        kept, writer = self.store.objects.get(KEY), self.writer
        if kept is None or writer is None or writer.login.new_fingerprint == published:
            return
        same = fingerprint(Secret(self.stored())) == published
        if same and self.store.now - kept.at > FRESH + MARGIN:
            fail("vouched", "an old token was called freshly published")

    def logs_out(self, token: str) -> None:
        """Look at a logout that is made now."""
        used = token == self.stored() or (token in self._landed and token in self.live)
        if used and token not in self._denied:
            fail("I3", "a token that others may use was logged out")
        late = (write for write in self.store.late if not write.lie)
        if any(write.content.decode() == token and self.store.can_land(write) for write in late):
            fail("I3", "a token that may still be stored was logged out")
        self.live.discard(token)
        self._out.add(token)

    def _decides(self, state: Seen) -> None:
        held = self._holds(state)
        if not (held or self.removed):
            fail("lease", "a login is begun under a lock that is another's")
        if held and self.store.now - self.store.objects[LOCK_KEY].at >= state.login.settings.ttl:
            fail("lease", "a login is begun under a lock that others may have taken over")

    def told(self, before: Seen, caller: Caller, now: float) -> None:
        """Look at a process's step."""
        after, effect = caller.seen, caller.effect
        look_at_step(caller.login, caller.told, effect, told_error=effect is caller.told)
        if isinstance(caller.told, LoginRefused) and caller.told.login_class == "ban":
            self.banned_until = now + locks.BAN
        if isinstance(effect, do.Done) and effect.token.reveal() in self._out:
            fail("adopted", "a call ended with a token that was logged out")
        if isinstance(effect, do.LogIn):
            self._decides(after)
        if before.phase == "release" or after.phase != "release":
            return
        # Not when the call ends: another may log in as soon as the lock tells of it.
        self.credit += after.uncertain
        if before.login.new is None:
            return
        token = before.login.new.reveal()
        safe = token not in self.live or token in self._landed | self._out
        if not (safe or after.uncertain or before.login.maybe):
            fail("leak", "a live session was forgotten")


def _name(lock: locks.Lock) -> str:
    """Name a failure by its attempt, however often and when it is written."""
    return f"{lock.nonce} {lock.state}"
