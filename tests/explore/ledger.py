"""What is checked in a history; truth.py explains each check."""

from __future__ import annotations

from collections.abc import Iterable

from betfair_session.exceptions import LoginRefused
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.lock import BRAKE_WINDOW, MARGIN
from betfair_session.login.policy import SharedLogin
from betfair_session.secret import Secret
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import fingerprint, parse_token

from .actors import KEY, Caller, Kept, MemoryStore, Write
from .truth import Now, Seen, Truth, fail, look_at_step

LOCK_KEY = KEY + LOCK_SUFFIX
FROM_COUNTING_TO_LOGIN = 16.0


class Ledger(Truth):
    """The truth of a history, which has to keep to one more rule.

    I5: no more logins in a minute than the settings allow. They are counted from when the lock was
    taken, up to 16 s before the login, so 44 s are looked at; not those of processes whose lock had
    outlived its time or was another's by then, nor those before a lock was last removed.
    """

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.credit = 1  # there is no token yet
        self.states: dict[int, Seen] = {}  # of every process that runs
        self.writer: Seen | None = None  # the process whose call is carried out now
        self.store: MemoryStore
        self.removed = False  # whether a lock was ever removed or cleared by hand
        self.calm = False  # only Betfair's answers and the store's pace go wrong
        self._landed: set[str] = set()
        self._denied: set[str] = set()
        self._out: set[str] = set()
        self._logins: list[float] = []
        self._ends: dict[str, float] = {}
        self._refused_until = 0.0
        self._banned_until = 0.0

    def stored(self) -> str:
        """Return the token that is stored now, or ""."""
        kept = self.store.objects.get(KEY)
        token = parse_token(kept.content, where="") if kept else None
        return token.reveal() if token else ""

    def now(self) -> Now:
        store = self.store
        token, lock = store.objects.get(KEY), store.objects.get(LOCK_KEY)
        return Now(
            token.version if token else None,
            self.stored() in self.live,
            store.now - token.at if token else 0.0,
            locks.decode(lock.content) if lock else None,
            lock.version if lock else None,
            store.now - lock.at if lock else 0.0,
        )

    def running(self) -> Iterable[Seen]:
        return self.states.values()

    def lock_is_deleted(self) -> None:
        """Leave out the logins that the lock no longer records."""
        self.removed = True
        self._logins.clear()

    def logs_in(self, login: SharedLogin) -> None:
        now = self.store.now
        if self.calm and not self.removed and now < self._banned_until - MARGIN:
            fail("ban", "a login although Betfair has told this fleet of a ban")
        if not self.logged_in(login):
            return
        taken = self.store.objects[LOCK_KEY].at
        # The first login of all may be counted by a clock that no answer has set right yet.
        counted = login.lock.logins[-1] if login.lock.logins else 0.0
        if abs(counted - taken) > FROM_COUNTING_TO_LOGIN:
            return
        window = BRAKE_WINDOW - FROM_COUNTING_TO_LOGIN
        self._logins = [time for time in self._logins if now - time < window] + [taken]
        if len(self._logins) > login.settings.logins_per_minute:
            fail("I5", "too many logins in a minute")

    def asked(self, effect: object, now: float) -> None:
        """Note how long a failure is to be respected, from the moment it is known."""
        if isinstance(effect, do.WriteLock) and effect.lock.state == locks.FAILED:
            lock = effect.lock
            # After a token that could not be stored no process waits: a blank is written first.
            counts = lock.login_class != "store"
            ends = now + (lock.not_before - lock.since if counts else 0.0)
            self._ends.setdefault(_name(lock), ends)

    def landing(self, write: Write, old: Kept | None) -> None:
        if write.key == KEY:
            same = old is not None and old.content == write.content
            self.token_lands(again=write.again, same=same)
            self._landed.add(write.content.decode())
            if write.lie:  # its writer was told that it had failed, and may end its session
                self._denied.add(write.content.decode())
            return
        lock = locks.decode(write.content)
        if self.writer is not None and self.stored():
            own = self.writer.login.new_fingerprint
            self.vouches(lock, own, fingerprint(Secret(self.stored())))
        self.lock_lands(lock, self._refused_until - self.store.now)
        self._refused_until = self._ends.get(_name(lock), 0.0)

    def logs_out(self, token: str) -> None:
        used = token == self.stored() or (token in self._landed and token in self.live)
        if used and token not in self._denied:
            fail("I3", "a token that others may use was logged out")
        late = (write for write in self.store.late if not write.lie)
        if any(write.content.decode() == token and self.store.can_land(write) for write in late):
            fail("I3", "a token that may still be stored was logged out")
        self.live.discard(token)
        self._out.add(token)

    def told(self, before: Seen, caller: Caller, now: float) -> None:
        after, effect, new = caller.seen, caller.effect, before.login.new
        look_at_step(caller.login, caller.told, effect)
        if isinstance(caller.told, LoginRefused) and caller.told.login_class == "ban":
            self._banned_until = now + locks.BAN
        if isinstance(effect, do.Done) and effect.token.reveal() in self._out:
            fail("adopted", "a call ended with a token that was logged out")
        if isinstance(effect, do.LogIn):
            self.decides(after.login, removed=self.removed)
        token = new.reveal() if new else ""
        safe = token not in self.live or token in self._landed | self._out
        self.gives_up(before, after, safe=safe)


def _name(lock: locks.Lock) -> str:
    """Name a failure by its attempt, however often and when it is written."""
    return f"{lock.nonce} {lock.state}"
