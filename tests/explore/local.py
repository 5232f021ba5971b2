"""One process of the model: the shipped policy itself, with all times told from now.

A process state is the way to it: what the policy was told, and when time passed. To step it, the
way is gone again with a fresh generator; one live generator is kept with each state, so that most
steps repeat nothing. Two ways lead to the same state when the generator stands at the same places
and everything that matters of the call's attributes is equal.

The policy adds, subtracts and compares times, so a call can be moved in time: here "now" is always
0, on every clock. What a phase can no longer read is left out of the comparison, and counters are
cut off where the policy no longer tells their values apart, which long/model checks. Waits are
over at once, since a process that has woken up and not yet made its call is one that still sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from login import messages as m
from login.script import go_on

from betfair_session.exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
)
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.call import CONFLICTS, TAKES, Memory
from betfair_session.login.errors import Errors
from betfair_session.login.lock import BRAKE_WINDOW, FRESH, MARGIN
from betfair_session.login.policy import SharedLogin
from betfair_session.process.clocks import Clock

from .violation import fail
from .where import Position, phase, position

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import GeneratorType

    from betfair_session.login.account import LeaseSettings
    from betfair_session.login.lock import Lock

    Step: TypeAlias = Callable[["Replica"], None]

LOOKING = frozenset({"look", "vouch", "validate", "lock", "pay", "take"})
_AFTER_CONFIRM = frozenset({"login", "publish", "readback", "logout", "undo", "release"})
_KEEPS_TOKEN = frozenset({"vouch", "validate", "lock", "pay", "confirm", "blank", "take"})
_KEEPS_MINE = frozenset(
    {"pay", "take", "confirm", "blank", "login", "publish", "readback", "logout", "undo", "release"}
)
_HOLDING = _KEEPS_MINE - {"pay", "take", "release"}
_REFUSALS_TOLD_APART = 4
_SEEN = locks.Lock(locks.DONE)  # stands for a lock of which only the version still matters
NOBODY = "n0"  # names an attempt that no lock was ever written for
_ENOUGH = 31.0  # seconds since the start after which nothing more is tried, with the usual settings


class ModelClock(Clock):
    """Clocks that say 0; the server's is off by `off`."""

    def __init__(self, off: float) -> None:
        """Begin."""
        self.off = off
        self.name = NOBODY

    def mono(self) -> float:
        """See Clock."""
        return 0.0

    def now(self) -> tuple[float, float]:
        """See Clock."""
        return 0.0, 0.0

    def server(self) -> float:
        """See Clock."""
        return self.off

    def jitter(self) -> float:
        """See Clock."""
        return 0.5

    def nonce(self) -> str:
        """See Clock."""
        return self.name


class Replica:
    """A policy at work.

    Attributes:
        login: the policy.
        effect: what it asks for, or how it ended: a Done, or a Failed.
        told: what it was told last.
        known: whether its idea of the server's time comes from an answer of the store.
    """

    def __init__(
        self, settings: LeaseSettings, *, deadline: float, share: bool, skew: float
    ) -> None:
        """Begin a call in a process whose wall clock is wrong by `skew` seconds."""
        self.clock = ModelClock(skew)
        self.known = False
        self.told: object = None
        self.raised: BetfairSessionError | None = None
        self.login = SharedLogin(
            settings,
            self.clock,
            Errors("", ""),
            Memory(),
            owner="",
            deadline=deadline,
            shared=True,
            share=share,
        )
        self._steps = cast("GeneratorType[Any, Any, Any]", self.login.run())
        self.effect: object = next(self._steps)

    @property
    def where(self) -> Position:
        """Where the policy is."""
        return position(self._steps)

    @property
    def phase(self) -> str:
        """What it is doing."""
        return phase(self.where, self.effect)

    def tell(self, answer: object, off: float | None, nonce: str) -> None:
        """Tell it what happened, and perhaps the server's time; let it come to its next call.

        An attempt gets its name when it first is written down.
        """
        login = self.login
        if off is not None:
            self.clock.off, self.known = off, True
        self.clock.name = nonce or NOBODY
        if login.nonce == NOBODY:
            login.nonce = nonce
        self.told = answer
        while True:
            self._go_on(answer)
            if not isinstance(self.effect, do.Wait | do.Tell):
                break
            assert not isinstance(self.effect, do.Wait) or self.effect.seconds >= 0
            answer = None
        look_at_step(
            self.login, self.told, self.raised or self.effect, told_error=self.raised is self.told
        )
        if login.nonce == nonce and self.phase != "take":
            login.nonce = NOBODY
        self._settle()

    def _go_on(self, answer: object) -> None:
        self.effect = go_on(self._steps, answer)
        if isinstance(self.effect, BetfairSessionError):
            self.raised = self.effect
            why = m.end(self.raised, self.told).why
            self.effect = m.Failed("error" if why == "timeout" else why)

    def later(self, view: View, seconds: float, *, still: bool) -> None:
        """Let time pass; with `still`, the process's monotonic clock does not notice."""
        login, felt = self.login, 0.0 if still else seconds
        login.deadline -= felt
        login.lock = view.later_lock(login.lock, seconds) if login.lock else None
        login.mine = view.later_lock(login.mine, seconds)
        login.lock_since -= felt
        if login.started:
            login.started = (login.started[0] - felt, login.started[1] - seconds)
        login.asked = (login.asked[0] - felt, login.asked[1] - seconds)
        memory = login.memory
        if memory.owed:
            memory.owed = view.later_lock(memory.owed, seconds)
        memory.since = (memory.since[0] - felt, memory.since[1] - seconds)
        if isinstance(self.effect, do.WriteLock):
            lock = view.later_lock(self.effect.lock, seconds)
            self.effect = self.effect._replace(lock=lock)
        if self.known:
            self.clock.off -= seconds - felt
        self._settle()

    def _settle(self) -> None:
        """Cut off times so far from now that the policy no longer tells them apart."""
        login = self.login
        login.started = login.started and _cut(login.started)
        login.asked, login.memory.since = _cut(login.asked), _cut(login.memory.since)

    def wall_step(self, seconds: float) -> None:
        """Set the process's wall clock forward or back."""
        login = self.login
        if login.started:
            login.started = (login.started[0], login.started[1] - seconds)
        login.asked = (login.asked[0], login.asked[1] - seconds)
        login.memory.since = (login.memory.since[0], login.memory.since[1] - seconds)
        if not self.known:
            self.clock.off += seconds
        self._settle()

    def forget(self) -> None:
        """Take back the name of an attempt that is written nowhere."""
        login = self.login
        if login.memory.owed and login.memory.owed.nonce == login.nonce:
            login.memory.owed = None
        login.nonce = NOBODY


@dataclass(eq=False)
class Local:
    """A process, as the world sees it.

    Attributes:
        key: everything that matters.
        phase: what it is doing.
        effect: what it asks for, and waits for.
        nonce, base, version, lock_version, token, fingerprint, dead, new, new_fingerprint, maybe:
            as in the policy.
        lock, mine, owed: likewise, without what no process acts upon.
        ended: what the call will raise when the lock is given back, in a word; "" for nothing.
        off: its idea of the server's time, less the truth.
        known: whether that comes from an answer of the store (else from its own wall clock).
    """

    key: tuple[object, ...]
    phase: str
    effect: Any
    nonce: str
    base: str | None
    version: str | None
    lock_version: str | None
    token: str | None
    fingerprint: str
    dead: str | None
    new: str | None
    new_fingerprint: str
    maybe: bool
    lock: Lock | None
    mine: Lock
    owed: Lock | None
    ended: str
    off: float
    known: bool
    way: Way = field(repr=False)


@dataclass(eq=False)
class Way:
    """How a process came to its state: from where, by which step; `live` is a policy in it."""

    start: Callable[[], Replica]
    before: Way | None = None
    step: Step | None = None
    live: Replica | None = None

    def go(self, step: Step) -> Way:
        """Return the way with one more step."""
        replica, self.live = self.live or self._again(), None
        step(replica)
        return Way(self.start, self, step, replica)

    def _again(self) -> Replica:
        """Go the whole way with a fresh policy."""
        steps: list[Step] = []
        way: Way | None = self
        while way is not None and way.step is not None:
            steps.append(way.step)
            way = way.before
        replica = self.start()
        for step in reversed(steps):
            step(replica)
        return replica


def look_at_step(
    login: SharedLogin, event: object, effect: object, *, told_error: bool = False
) -> None:
    """Check what one process's step alone can show; see checks.py, "adopted"."""
    useless = login._useless()
    refused = isinstance(effect, LoginRefused | IdentityUnavailable) and not told_error
    if (refused or isinstance(effect, LoginBrake)) and not (useless or login.ended):
        fail("adopted", "a refusal was raised in place of a token")
    if isinstance(effect, do.LogIn) and not useless:
        fail("adopted", "a login was begun although there is a token")
    if isinstance(effect, do.Done) and isinstance(event, do.TokenRead | do.LockRead):
        if effect.how != "logged in" and (useless or effect.token != login.token):
            fail("adopted", "another token was returned than a good one that was read")
        if effect.how != "logged in" and not _vouched(login):
            fail("adopted", "a token was returned that nobody vouches for")
    gone_on = isinstance(event, do.Session) and not isinstance(effect, BetfairSessionError)
    if gone_on and getattr(effect, "token", None) != getattr(event, "token", None):
        fail("adopted", "another token was returned, or written, than the one that is alive")


def _vouched(login: SharedLogin) -> bool:
    """Tell whether the lock says of this very token that it was published just now."""
    lock, age = login.lock, login.lock_age
    if lock is None or lock.state != locks.DONE or age is None:
        return False
    return -MARGIN <= age <= FRESH and lock.published == login.fingerprint != ""


@dataclass(frozen=True)
class View:
    """How much of a process is told apart.

    Attributes:
        brake: whether the times of earlier logins matter; without them no brake is ever met.
    """

    brake: bool

    def lock(self, lock: Lock) -> Lock:
        """Blank what no process acts upon."""
        failed = lock.state == locks.FAILED
        last = -BRAKE_WINDOW - 2 * MARGIN if self.brake else float("inf")
        return lock._replace(
            owner="",
            since=lock.since if failed else 0.0,
            logins=tuple(time for time in lock.logins if time > last),
            refusals=min(lock.refusals, _REFUSALS_TOLD_APART),
            status="",
            login_class="store" if lock.login_class == "store" else "",
            not_before=lock.not_before if failed else 0.0,
        )

    def later_lock(self, lock: Lock, seconds: float) -> Lock:
        """Tell a lock's times from a later now."""
        return self.lock(
            lock._replace(
                since=lock.since - seconds,
                logins=tuple(time - seconds for time in lock.logins),
                not_before=lock.not_before - seconds,
            )
        )

    def effect(self, effect: object) -> Any:  # noqa: ANN401 - any of them
        """Blank what only people read."""
        if isinstance(effect, do.WriteLock):
            return effect._replace(lock=self.lock(effect.lock))
        if isinstance(effect, do.LogIn):
            assert effect.seconds > 0
            return do.LogIn(1.0)
        return effect._replace(since=(0.0, 0.0)) if isinstance(effect, do.Done) else effect

    def seen(self, way: Way) -> Local:
        """Return a process as the world sees it."""
        replica = way.live
        assert replica is not None
        login, where = replica.login, replica.where
        now, effect = phase(where, replica.effect), self.effect(replica.effect)
        ended = (
            m.end(login.ended, replica.told).why
            if isinstance(login.ended, BetfairSessionError)
            else ""
        )
        mine = self.lock(login.mine) if now in _KEEPS_MINE else locks.JUNK
        lock, known_lock = self._known_lock(login, now)
        keeps, memory = now in _KEEPS_TOKEN, login.memory
        new = None if ended else login.new
        names = {name for name, _ in where}
        key = (
            where,
            effect,
            max(login.deadline, 0.0),
            login.nonce,
            login.share,
            (login.token, login.version, login.fingerprint) if keeps else None,
            login.dead,
            known_lock,
            login.lock_version,
            login.polls if login.polls < 2 else 2 + login.polls % 2,
            login.tries if names & {"_read", "_give_back"} else 0,
            (min(login.takes, max(TAKES, CONFLICTS) + 1), login.tried)
            if now in LOOKING and login.takes
            else None,
            mine,
            login.started if now not in _AFTER_CONFIRM else None,
            login.asked if login.share and now == "validate" else None,
            (login.base, new, login.new_fingerprint, login.sends, login.maybe, login.doubt),
            ended,
            self.lock(memory.owed) if memory.owed else None,
            memory.since if _since_counts(memory.owed, names) else None,
            replica.clock.off,
            replica.known,
        )
        return Local(
            key if where else ("over", effect),
            now,
            effect,
            login.nonce,
            login.base,
            login.version if keeps else None,
            login.lock_version,
            login.token if keeps else None,
            login.fingerprint if keeps else "",
            login.dead,
            new,
            login.new_fingerprint,
            login.maybe,
            lock,
            mine,
            memory.owed,
            ended,
            replica.clock.off,
            replica.known,
            way,
        )

    def _known_lock(self, login: SharedLogin, now: str) -> tuple[Lock | None, object]:
        """Cut down the lock that was read earlier to what can still be compared with it."""
        lock = login.lock
        if now in _HOLDING and lock:
            return self.lock(lock), self.lock(lock)
        if now not in LOOKING or lock is None:
            return None, None
        just_read = login.reread == login.lock_version and now in {"look", "validate"}
        same = login.reread if login.reread == login.lock_version else None
        held, since = lock.state == locks.HELD, login.lock_since
        since = max(since, -lock.ttl - MARGIN) if held else 0.0
        age: float | None = login.lock_age
        if just_read or now in {"take", "pay"}:
            lock = self.lock(lock)
        elif lock.state == locks.DONE and now in {"look", "vouch", "validate"}:
            lock = locks.Lock(locks.DONE, published=lock.published)
        else:
            lock, age = locks.Lock(lock.state, ttl=lock.ttl) if held else _SEEN, None
        return lock, (lock, age, since, same)


def _since_counts(owed: Lock | None, names: set[str]) -> bool:
    """Tell whether anything depends on when a call ended that owes a lock."""
    return owed is not None and (owed.state == locks.FAILED or "_give_back" in names)


def _cut(times: tuple[float, float]) -> tuple[float, float]:
    return max(times[0], -_ENOUGH), min(max(times[1], -_ENOUGH), _ENOUGH)
