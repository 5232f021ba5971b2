"""The loop that runs the machine over a store, up to each point where Betfair is needed.

It knows a TokenStore and nothing of Betfair: `start` and `tell` return what has to be asked of
Betfair next, or the end.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, TypeAlias

from betfair_session.exceptions import NotATokenError, StoreError
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_blank, parse_token

from . import lock as locks, messages as m
from .machine import begin, step
from .notes import Notes

if TYPE_CHECKING:
    from betfair_session.storage.contract import StoredObject, TokenStore

    from .settings import LeaseSettings

    Ask: TypeAlias = m.Validate | m.Login | m.Logout | m.Done | m.Failed

_PASSING = frozenset({"unreachable", "timeout", "throttled", "busy", "server", "conflict"})
_LAST_MINUTE = 1.0  # seconds that a call of the store gets although the caller's time is up


class Clock:
    """Time and randomness as the system gives them."""

    def mono(self) -> float:
        """Return the monotonic time, seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the machine's time, seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def jitter(self) -> float:
        """Return a random number from 0 to 1, another one in every forked process."""
        return int.from_bytes(os.urandom(4), "big") / 2**32

    def nonce(self) -> str:
        """Return a random name, another one in every forked process."""
        return os.urandom(8).hex()


SYSTEM_CLOCK = Clock()


def fingerprint(token: Secret | None) -> str:
    """Return a short text that tells tokens apart and does not give them away; "" for none."""
    if token is None:
        return ""
    return hashlib.sha256(b"betfair-session " + token.reveal().encode()).hexdigest()[:24]


def owner_name() -> str:
    """Return this process's name for people: host and process number."""
    host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "?")
    return f"{ascii(host)[1:-1]} process {os.getpid()}"


class Flow:
    """One call's way to a token.

    Attributes:
        notes: what is worth telling of it so far.
        junk: whether something that is neither a token nor blank was found in its place.
    """

    def __init__(
        self,
        store: TokenStore,
        key: str,
        settings: LeaseSettings,
        *,
        deadline: float,
        share: bool = False,
        seen: tuple[StoredObject | None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Prepare a call.

        Args:
            store: where the token and its lock are kept.
            key: the token's name.
            settings: the shared login's times.
            deadline: the time, by `clock.mono`, at which waiting ends.
            share: whether to write a verified token anew, so that its time tells of that.
            seen: the token object, if the caller has just read it.
            clock: time and randomness.
        """
        self._store = store
        self._key = key
        self._settings = settings
        self._deadline = deadline
        self._clock = clock
        self._seen = seen
        self._offset: float | None = None
        self.notes = Notes()
        self.junk = False
        self._state, self._first = begin(
            settings,
            owner=owner_name(),
            deadline=deadline,
            nonce=clock.nonce(),
            shared=store.atomic,
            share=share,
        )

    @property
    def rejected_young(self) -> bool:
        """Whether Betfair rejected a token that was stored less than a minute ago."""
        return self._state.young

    def start(self) -> Ask:
        """Begin; return what to ask of Betfair, or the end."""
        return self._run(self._first)

    def tell(self, event: m.Event) -> Ask:
        """Go on with Betfair's answer; return what to ask next, or the end."""
        return self._run(self._step(event))

    def _run(self, effect: m.Effect) -> Ask:
        while not isinstance(effect, m.Validate | m.Login | m.Logout | m.Done | m.Failed):
            before, began = self._state, self._clock.mono()
            event = self._perform(effect)
            self.notes.take(before, event, self._clock.mono() - began)
            effect = self._step(event)
        return effect

    def _step(self, event: m.Event) -> m.Effect:
        clock = self._clock
        tick = m.Tick(
            clock.mono(), clock.wall(), self._server_time(), clock.jitter(), clock.nonce()
        )
        self._state, effect = step(self._state, event, tick)
        return effect

    def _perform(
        self, effect: m.ReadToken | m.ReadLock | m.WriteLock | m.Publish | m.Wait
    ) -> m.Event:
        if isinstance(effect, m.Wait):
            self._clock.sleep(effect.seconds)
            return m.Woke()
        try:
            return self._call_store(effect)
        except VersionConflict as error:
            return m.Conflict(error)
        except StoreError as error:
            return m.StoreFailed(error, error.landed, error.reason in _PASSING)
        except NotATokenError as error:
            return m.StoreFailed(error)

    def _call_store(
        self, effect: m.ReadToken | m.ReadLock | m.WriteLock | m.Publish
    ) -> m.TokenRead | m.LockRead | m.Written:
        if isinstance(effect, m.ReadToken):
            return self._read_token()
        if isinstance(effect, m.ReadLock):
            return self._read_lock()
        if isinstance(effect, m.WriteLock):
            return self._write_lock(effect)
        content = SecretBytes(effect.token.reveal().encode())
        return m.Written(self._write(self._key, content, effect.version))

    def _read_token(self) -> m.TokenRead:
        (stored,), self._seen = self._seen or (self._read(self._key),), None
        if stored is None:
            return m.TokenRead()
        token = parse_token(stored.content, where=f"{self._key!r} in {self._store.label}")
        self.junk = self.junk or (token is None and not is_blank(stored.content))
        return m.TokenRead(token, stored.version, fingerprint(token))

    def _read_lock(self) -> m.LockRead:
        stored = self._read(self._key + LOCK_SUFFIX)
        if stored is None:
            return m.LockRead()
        return m.LockRead(locks.decode(stored.content), stored.version, self._age(stored))

    def _age(self, stored: StoredObject) -> float | None:
        """Return how long ago an object was written, by the store's clock."""
        if self._offset is None:
            # Only now does the store's clock matter, and the driver hides it.
            self._note(self._store.server_now(timeout=self._timeout()))
        if stored.modified is None or self._offset is None:
            return None
        return self._server_time() - stored.modified

    def _read(self, key: str) -> StoredObject | None:
        stored = self._store.read(key, timeout=self._timeout())
        if stored is not None:
            self._note(stored.now)
        return stored

    def _note(self, now: float | None) -> None:
        """Remember how the store's clock relates to the monotonic one."""
        if now is not None:
            self._offset = now - self._clock.mono()

    def _server_time(self) -> float:
        if self._offset is None:
            return self._clock.wall()
        return self._clock.mono() + self._offset

    def _write_lock(self, effect: m.WriteLock) -> m.Written:
        key, content = self._key + LOCK_SUFFIX, locks.encode(effect.lock)
        if not effect.shared:
            return m.Written(self._store.replace(key, content, timeout=self._timeout()))
        version = self._write(key, content, effect.version)
        return m.Written(version, honest=self._store.atomic)

    def _write(self, key: str, content: bytes, version: str | None) -> str:
        timeout = self._timeout()
        if version is None:
            return self._store.create(key, content, timeout=timeout)
        return self._store.replace_if_version(key, content, version, timeout=timeout)

    def _timeout(self) -> float:
        left = self._deadline - self._clock.mono()
        return min(self._settings.store_deadline, max(left, _LAST_MINUTE))
