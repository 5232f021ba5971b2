"""The shared login, complete and in order: how one call finds a live token.

    read the token → is it alive? → read the lock → take it → read the token again → log in
        → publish the token → give the lock back

`SharedLogin.run` is one generator, like httpx's `auth_flow`: it yields effects (effects.py). Their
results are sent into it, their failures thrown into it. It does no I/O itself, so that tests run
this very code under a virtual clock and against every fault. For that it keeps everything that
matters in attributes (call.py), never in a local variable across a `yield`.

Safety rests on two conditional writes: the lock is taken, and the token published, only if the
object still has the version that was read. Time decides only when a lock that was not given back
may be taken over; a wrong clock costs a wait or a login, never a live token.
"""

from __future__ import annotations

from contextlib import suppress

from betfair_session.exceptions import BetfairSessionError, StoreError
from betfair_session.process.clocks import later
from betfair_session.storage.contract import VersionConflict

from . import effects as do, lock as locks
from .call import PASSING, READS, SENDS, SHORT, Call
from .lock import FRESH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Literal, TypeAlias, TypeVar

    T = TypeVar("T")
    Steps: TypeAlias = Generator[do.Effect, Any, T]


class SharedLogin(Call):
    """One call of the shared login; tests/explore knows these methods by their names."""

    def run(self) -> Steps[do.Done | None]:
        """Find a live token, and tell how; None: only a login helps, and it may make none."""
        while True:
            # Step 1. Read the token.
            self._see_token((yield from self._read(do.ReadToken())))
            if not self._useless():
                done = yield from self._adopt()  # step 2
                if done:
                    return done
            if not self.may_log_in:  # nobody may be waiting for it
                return None
            if not (yield from self._acquire_lock()):  # steps 3 to 5
                continue
            self.mine = self.lock.untouched()
            try:
                yield from self._log_in()  # steps 6 to 9
            except Exception as error:  # noqa: BLE001 - it is raised below
                self.ended = error
            yield from self._give_back()  # step 10, whatever happened
            self.nonce = ""
            ended, self.ended = self.ended, None
            if ended:
                raise ended
            if self.new:
                return do.Done(self.new, "logged in", self.asked)
            self._begin()  # another process was faster, or this one was frozen

    def _adopt(self) -> Steps[do.Done | None]:
        """Step 2. Return the token if another process just published it, or Betfair accepts it.

        Write it if Betfair answers with another token, or to share that it was just verified.
        """
        known = self.atomic and (self.polls or self._reread_for_lock())
        if known and (yield from self._is_vouched_for()):
            return do.Done(self.token, "adopted", later(self.looked, -FRESH))
        self.asked = self.clock.now()
        alive = yield do.Ask(self.token)
        if alive is None:
            self.dead = self.memory.bury(self.token, self.asked)
            return None
        self.asked = alive.since or self.asked
        how: Literal["adopted", "resumed"] = "adopted" if self.polls else "resumed"
        if alive.token == self.token and not (self.share and self.atomic and self._just_asked()):
            return do.Done(self.token, how, self.asked)
        self.new = alive.token
        try:
            yield do.WriteToken(self.new, self.version)
        except VersionConflict:  # another process wrote; this token may have been logged out
            return do.Done(self.new, how)
        except StoreError as error:
            self.trouble = error
        return do.Done(self.new, how, self.asked)

    def _is_vouched_for(self) -> Steps[bool]:
        """Return whether the lock, read after a wait, says that this token was just published."""
        if not self._reread_for_lock():
            self.looked = self.clock.now()
            try:
                self._see_lock((yield do.ReadLock()))
            except StoreError:
                self.looked = (0.0, 0.0)  # the lock as read earlier may be out of date
        return self.lock.vouches_for(self.fingerprint, self.lock_age)

    # --- steps 3 to 5: the lock ------------------------------------------------------------------

    def _acquire_lock(self) -> Steps[bool]:
        """Take the lock, waiting for other holders; return False to read the token again first."""
        after_token = True
        while True:
            allowed = yield from self._look_at_lock(after_token=after_token)
            after_token = False
            if allowed == "wait":
                if (yield from self._wait()):
                    return False
            elif allowed == "look again":
                self.reread = self.lock_version
                return False
            elif allowed == "mine" or (yield from self._take()):
                return True

    def _look_at_lock(self, *, after_token: bool) -> Steps[str]:
        """Steps 3 and 4. Read the lock, unless that is not needed; return what it allows."""
        just_read = after_token and self._reread_for_lock()
        if after_token and self.polls and not just_read:
            return "wait"  # a waiting call reads the token and the lock in turn
        if not just_read:
            self.looked = self.clock.now()
            self._see_lock((yield from self._read(do.ReadLock())))
            if self._owes_this_lock():
                return (yield from self._recall())
        return self._allowed()

    def _recall(self) -> Steps[str]:
        """Go on with the lock that an earlier call of this process could not give back.

        What that call should have written counts as read. If it forbids a login, write it first.
        """
        self.lock = self.mine = self.recalled = self.memory.lock(self.clock)
        self.lock_age, self.memory.owed = 0.0, None
        try:
            return self._allowed()
        except BetfairSessionError:
            yield from self._give_back(at_once=True)
            raise

    def _take(self) -> Steps[bool]:
        """Step 5. Write this call's name into the lock; return whether that certainly worked."""
        if not self._login_seconds():
            raise self._too_late()
        self.mine = self._lock_to_take()
        try:
            written = yield do.WriteLock(self.mine, self.lock_version, self.atomic)
        except StoreError as error:
            # The next call recognises this write if it landed, else the lock that is still owed.
            if owed := self.mine.untouched() if error.landed else self.recalled:
                self.memory.owe(owed, self.clock.now())
            if self._take_is_over(error):
                raise self.errors.unwritable(error) from error.__cause__
            if self.takes > 1 or self._gap():
                yield self._pause(self.takes, min(self._gap(), self._left()))
            return False
        self.atomic = self.atomic and written.honest
        self.lock, self.lock_version = self.mine, written.version
        return True

    def _wait(self) -> Steps[bool]:
        """Wait a moment for another process's login; return whether to read the token next."""
        if not self._left():
            raise self.errors.timeout(self.lock)
        pause = min(0.25 * 1.5**self.polls, self.longest_wait) * self._slower()
        self.polls, self.crowd = self.polls + 1, max(self.crowd - 1, 0)
        yield do.Wait(min(pause, self._left()), self.lock.owner)
        if self.polls % 2:
            self.reread = None
        return bool(self.polls % 2)

    # --- steps 6 to 10: with the lock in hand ----------------------------------------------------

    def _log_in(self) -> Steps[None]:
        """Log in if the token is still useless and can be replaced, and there is time."""
        # Step 6. Read the token again: another process may have been faster.
        self._see_token((yield from self._read(do.ReadToken())))
        self.base = self.version
        if not self._useless():
            return
        if self.mine.login_class == "store" and not (yield from self._show_writable()):
            return
        if not self._lease_leaves_time():  # step 7: after a freeze, another may hold the lock
            return
        seconds = self._login_seconds()
        if not seconds:
            raise self.errors.timeout(None)
        self.asked = self.clock.now()
        self.mine = self._failed(SHORT, "unknown")  # in case no answer comes
        try:
            made = yield do.LogIn(seconds)  # step 8
        except Exception as error:
            self._note_failure(error)
            raise
        self.new, self.new_fingerprint = made.token, made.fingerprint
        yield from self._publish()

    def _show_writable(self) -> Steps[bool]:
        """Blank the useless token: it shows that writes work, and defeats an older late write."""
        while True:
            self.blanks += 1
            try:
                written = yield do.WriteToken(None, self.base)
            except StoreError as error:
                self.failure = self.trouble = error
            else:
                self.base = written.version
                return True
            if isinstance(self.failure, VersionConflict) or self.failure.landed:
                self._see_token((yield from self._read(do.ReadToken())))
                if self.version != self.base or not self._useless():
                    return False  # another process wrote, or this blank did arrive: begin anew
            if self.failure.reason not in PASSING or self.blanks == SENDS:
                break
            yield self._pause(self.blanks, self._gap())
        self.mine = self._failed(SHORT, "store")._replace(logins=self.mine.logins)  # none was made
        raise self.errors.unwritable(self.failure)

    def _publish(self) -> Steps[None]:
        """Step 9. Store the new token, or log it out; never log out what may have been stored."""
        while True:
            self.sends += 1
            self.mine = self._failed(SHORT, "store")  # in case this fails
            try:
                yield do.WriteToken(self.new, self.base)
                break
            except StoreError as error:
                self.failure = self.trouble = error
                self.may_land = self.may_land or error.landed
                self.doubtful = self.doubtful or error.landed or error.reason in PASSING
            if not (yield from self._read_back()):
                yield from self._give_up(sure=not self.doubtful)
            if self.token == self.new:
                break
            if self.version != self.base and not self._useless():  # another's token is there
                if not self.may_land:
                    yield do.LogOut(self.new)
                self.new, self.mine = None, self.lock.finished("")
                return
            self.base = self.version
            if self.sends >= SENDS and not self._in_crowd(self.failure):
                yield from self._give_up(sure=not self.may_land)
            yield self._pause(self.sends, self._gap())
        self.mine = self.lock.finished(self.new_fingerprint)

    def _read_back(self) -> Steps[bool]:
        """Read the token after its write seemed to fail; return whether the read worked."""
        with suppress(BetfairSessionError):
            tries = READS if self.doubtful else 0
            self._see_token((yield from self._read(do.ReadToken(), tries)))
            return True
        return False

    def _give_up(self, *, sure: bool) -> Steps[None]:
        """Raise the error of a token that was not stored; log it out first if that is `sure`."""
        assert self.failure is not None
        if not sure:
            raise self.errors.uncertain(self.failure)
        logout_error = yield do.LogOut(self.new)
        raise self.errors.unwritten(self.failure, logout_error)

    def _give_back(self, *, at_once: bool = False) -> Steps[None]:
        """Step 10. Write the outcome into the lock; remember it as long as that fails."""
        self.memory.owe(self.mine, self.clock.now())
        self.tries = 0
        while True:
            self.tries += 1
            try:
                written = yield do.WriteLock(self.mine, self.lock_version, self.atomic)
            except StoreError as error:
                self.trouble = error
            else:
                self.memory.owed, self.lock_version = None, written.version
                return
            if isinstance(self.trouble, VersionConflict) and not (yield from self._still_mine()):
                return
            if self.trouble.reason not in PASSING or self._no_time_to_give_back(at_once):
                return
            yield self._pause(self.tries, 1.0)  # Google takes one change of an object a second

    def _still_mine(self) -> Steps[bool]:
        """Return, after a conflict, whether this call still holds the lock."""
        try:
            self._see_lock((yield do.ReadLock()))
        except StoreError:
            return False
        held = self._owned_by(self.mine.nonce)
        if not held and self.lock.nonce == self.mine.nonce:
            self.memory.owed = None  # an earlier try has landed
        return held  # if it was taken over, this process alone remembers a refusal

    def _read(self, effect: do.ReadToken | do.ReadLock, most: int = READS) -> Steps[Any]:
        """Read an object; repeat that up to `most` times after a failure that may pass."""
        self.tries = 0
        while True:
            try:
                return (yield effect)
            except StoreError as error:
                self._note_unread(error, most)
            yield self._pause(self.tries)

    def abandon(self) -> Steps[None]:
        """Give the lock back after an interruption, unless `run` has done so."""
        if self.nonce and not self._owned_by(self.nonce):  # the answer to taking it may be lost
            with suppress(StoreError):
                self._see_lock((yield do.ReadLock()))
        if self._owned_by(self.nonce):
            if self.mine.state == locks.HELD:
                self.mine = self.lock.untouched()
            yield from self._give_back()
