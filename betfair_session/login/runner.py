"""Carries out the policy's effects, on a store and at Betfair, and reports events.

An interruption (Ctrl-C, or an exception from a signal handler) ends the call's time. The policy is
told that the current effect failed. It starts nothing new and gives the lock back; only then is the
interruption raised again.
"""

from __future__ import annotations

import math
from functools import partial

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.process.causes import without_frames
from betfair_session.process.clocks import Clock
from betfair_session.process.log import WARNING, log
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import ABSENT, ANY
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import blank, fingerprint, is_blank, parse_token

from . import effects as do, lock as locks
from .account import store_call_end
from .errors import Errors, kind_of
from .policy import SharedLogin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from betfair_session.events import EventKind
    from betfair_session.process.log import Reporter
    from betfair_session.process.trust import Trust
    from betfair_session.storage.contract import Expect, StoredObject, TokenStore

    from .account import Account
    from .lock import Lock, Memory
    from .policy import Steps

_LOGOUT_SECONDS = 5.0  # to end a session that could not be stored, even after the caller's time


class Runner:
    """Runs one call of the shared login.

    Attributes:
        login: the policy, for tests to look at.
        junk: whether something that is neither a token nor blank was found in the token's place.
    """

    def __init__(
        self,
        account: Account,
        store: TokenStore,
        key: str,
        *,
        trust: Trust,
        reporter: Reporter,
        memory: Memory,
        deadline: float,
        seen: tuple[StoredObject | None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a call until `deadline`; `seen` holds the token object if it was just read."""
        self._account, self._store, self._key = account, store, key
        self._trust, self._reporter, self._seen = trust, reporter, seen
        self._clock = clock or Clock()
        self._waited, self._waited_for = 0.0, ""
        self._stop: BaseException | None = None
        self.junk = self._warned = False
        self.login = SharedLogin(
            account.lease,
            self._clock,
            Errors(store.label, key, certificate=not account.interactive),
            memory,
            deadline=deadline,
            atomic=store.atomic,
            share=trust.shared,
            longest_wait=0.75 if store.on_this_machine else 1.5,  # a look at a file costs little
        )

    def find(self) -> Secret | None:
        """Find a live token, or raise a BetfairSessionError; None: see SharedLogin.run."""
        began = self._clock.mono()
        try:
            done: do.Done | None = self._drive(self.login.run())
        except BetfairSessionError as error:
            self._report(kind_of(error), self._clock.mono() - began, str(error))
            raise
        except BaseException:  # between two effects, so that `run` was not told
            self.login.deadline = -math.inf
            self._drive(self.login.abandon())
            raise
        if done is None:
            return None
        self._trust.verified(done.token, done.since)
        if done.how != "logged in":
            self._report(done.how, self._clock.mono() - began)
        return Secret(done.token)

    def _drive(self, steps: Steps[Any]) -> Any:  # noqa: ANN401 - what the steps return
        answer: object = None
        error: BaseException | None = None
        while True:
            try:
                effect = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                done = end.value
                break
            except BetfairSessionError:
                if self._stop is None:
                    raise
                break
            answer = error = None
            try:
                answer = HANDLERS[type(effect)](self, effect)
            except BetfairSessionError as failed:
                error = self._told(failed, effect)
            except BaseException as stop:  # noqa: BLE001 - raised again below
                self._stop, self.login.deadline = self._stop or stop, -math.inf
                broken = self._interrupted(effect, stop)
                if isinstance(effect, do.LogOut):  # its error is its answer
                    answer = broken
                else:
                    error = broken
        if self._stop is not None:
            raise self._stop
        return done

    def _told(self, error: BetfairSessionError, effect: do.Effect) -> BetfairSessionError:
        """Return the error to throw into the policy."""
        gives_back = isinstance(effect, do.WriteLock) and effect.lock.state != locks.HELD
        if gives_back and isinstance(error, StoreWriteError):
            self._warn(f"the next login waits for this lock to expire, and may fail: {error}")
        # A driver that is reopened during a login may raise a ConfigurationError. There may be a
        # new session by then, so the policy gets the error of a store without an answer.
        write = gives_back or isinstance(effect, do.WriteToken)
        if not (write and isinstance(error, ConfigurationError)):
            return error
        told = StoreUnavailable(str(error), store=self._store.label, key=self._key, landed=True)
        told.__cause__ = error
        return told

    def _interrupted(self, effect: do.Effect, stop: BaseException) -> BetfairSessionError | None:
        """Return the error that tells the policy that an effect's outcome is unknown."""
        if isinstance(effect, do.Wait):
            return None
        if isinstance(effect, do.Ask | do.LogIn | do.LogOut):
            sent = getattr(stop, "sent", not isinstance(stop, ImportError))
            return IdentityUnavailable("the call was interrupted", sent=sent)
        landed = isinstance(effect, do.WriteLock | do.WriteToken)
        return StoreUnavailable("the call was interrupted", reason="timeout", landed=landed)

    def _read_token(self, _: do.ReadToken) -> do.TokenRead:
        (stored,), self._seen = self._seen or (self._read(self._key),), None
        if stored is None:
            return do.TokenRead()
        token = parse_token(stored.content, where=f"{self._key!r} in {self._store.label}")
        if token is not None:
            self._trust.superseded(token)
        self.junk = self.junk or (token is None and not is_blank(stored.content))
        return do.TokenRead(token, stored.version, fingerprint(token))

    def _read_lock(self, _: do.ReadLock) -> do.LockRead:
        stored = self._read(self._key + LOCK_SUFFIX)
        if stored is None:
            return do.LockRead()
        lock = locks.decode(stored.content)
        return do.LockRead(lock, stored.version, self._age(stored, lock))

    def _age(self, stored: StoredObject, lock: Lock) -> float | None:
        """Return how long ago a lock was written, by a clock that all its readers share."""
        clock = self._clock
        if self._store.on_this_machine:
            age = lock.age_here(clock)
            if age is not None:
                clock.learn(lock.now + age, from_store=False)
                return age
        if not clock.knows:  # the driver hides the store's clock: ask for it, only when needed
            told = self._store.server_now(deadline=self._deadline())
            if told is not None:
                clock.learn(told)
        if stored.modified is None or not clock.knows:
            return None
        return clock.server() - stored.modified

    def _read(self, key: str) -> StoredObject | None:
        stored = self._store.get(key, deadline=self._deadline())
        if stored is not None and stored.now is not None:
            self._clock.learn(stored.now)
        return stored

    def _write_lock(self, effect: do.WriteLock) -> do.Written:
        lock, clock = effect.lock._replace(boot=""), self._clock  # it may be an earlier writer's
        if self._store.on_this_machine:
            lock = lock._replace(boot=clock.boot(), up=clock.now()[0], now=clock.server())
        memory = self.login.memory
        if lock.state == locks.HELD and memory.unfit and not self.login.recalled:  # that is held
            self._account.check()  # who could not log in must not keep the lock from others
            memory.unfit = False
        version = effect.version if effect.conditional else ANY
        written = self._write(self._key + LOCK_SUFFIX, locks.encode(lock), version)
        before, taken = self.login.lock, lock.state == locks.HELD
        if taken and before.state == locks.HELD and effect.conditional:
            self._report("lease taken over", self.login.lock_age or 0.0, before.owner)
        return do.Written(written, honest=self._store.atomic)

    def _write_token(self, effect: do.WriteToken) -> do.Written:
        if self.junk and not self._warned:
            self._warned = True
            self._warn(
                "this object is not a session token, and the login replaces it; if it was your "
                "data, the key is mistyped"
            )
        began = self._clock.mono()
        version = self._write(
            self._key,
            SecretBytes(effect.token.reveal().encode() if effect.token else blank()),
            effect.version,
        )
        if effect.token is not None and self.login.sends:
            self._reporter.tell("written", self._clock.mono() - began)
        return do.Written(version)

    def _write(self, key: str, content: bytes, version: Expect | None) -> str:
        expect = ABSENT if version is None else version
        put = partial(self._store.put, key, content, expect, deadline=self._deadline())
        del content  # some tools take a text's content from a frame, whatever its repr shows
        return without_frames(put)

    def _deadline(self) -> float:
        return store_call_end(self._account.lease, self.login.deadline, self._clock.mono())

    def _wait(self, wait: do.Wait) -> None:
        began = self._clock.mono()
        self._clock.sleep(wait.seconds)
        if wait.owner is not None:
            self._waited += self._clock.mono() - began
            self._waited_for = wait.owner or self._waited_for

    def _report(self, kind: EventKind, seconds: float, detail: str = "") -> None:
        """Report an event, and before it the wait for another process's login."""
        if self._waited:
            self._reporter.tell("waited", self._waited, self._waited_for)
            self._waited = 0.0
        self._reporter.tell(kind, seconds, detail)

    def _ask(self, ask: do.Ask) -> do.LiveToken | None:
        alive, since = self._account.ask(ask.token, self.login.deadline, self._clock)
        if alive is None:
            self._trust.forget(ask.token)
            return None
        return do.LiveToken(alive, since=since)

    def _log_in(self, login: do.LogIn) -> do.LiveToken:
        if self.login.young:
            self._warn(
                "Betfair rejected a token that is less than a minute old; check whether the egress "
                "address changes between calls, or another program logs out"
            )
        # What its answer, or a failure to store its token, will need: a deployment may have
        # replaced the package's files when it comes.
        import betfair_session.betfair.login_status
        import betfair_session.storage.judging  # noqa: F401

        began = self._clock.mono()
        token = self._account.log_in(login.seconds)
        try:
            self._report("logged in", self._clock.mono() - began)
        except BaseException as stop:  # noqa: BLE001 - raised when the new token is stored
            self._stop, self.login.deadline = self._stop or stop, -math.inf
        return do.LiveToken(token, fingerprint(token))

    def _log_out(self, logout: do.LogOut) -> BetfairSessionError | None:
        began = self._clock.mono()
        try:
            self._account.client.logout(logout.token, timeout=_LOGOUT_SECONDS)
        except BetfairSessionError as error:
            self._warn(f"a new session was not stored, and could not be ended either: {error}")
            return error
        seconds = self._clock.mono() - began
        self._reporter.tell("logged out", seconds, "the new session, which was not stored")
        return None

    def _warn(self, text: str) -> None:
        log.tell(WARNING, "%s %r: %s", self._store.label, self._key, text)


# ruff: noqa: SLF001 - the table belongs to the class; in here it makes no cycle in each runner
HANDLERS: dict[type, Callable[[Runner, Any], Any]] = {
    do.ReadToken: Runner._read_token,
    do.ReadLock: Runner._read_lock,
    do.WriteLock: Runner._write_lock,
    do.WriteToken: Runner._write_token,
    do.Wait: Runner._wait,
    do.Ask: Runner._ask,
    do.LogIn: Runner._log_in,
    do.LogOut: Runner._log_out,
}
