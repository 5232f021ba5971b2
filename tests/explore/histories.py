"""Random histories: several runs of the real policy over one store, with a virtual clock.

Each call of the store is carried out whole at one moment, and its answer seen at a later one; in
between the others go on. A process may freeze at either, with or without its monotonic clock, or
stop for ever. Store faults are actors.py's. Betfair refuses, stays unclear, and ends sessions. An
adversary deletes, overwrites and unlocks. In two of five histories, verified tokens are rewritten.
After a while all faults stop, and every process has to end. Of the shipped code only the runner's
loop is taken apart, to go one call at a time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from login.script import ERRORS

from betfair_session.exceptions import BetfairSessionError
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.lock import Memory
from betfair_session.login.runner import HANDLERS
from betfair_session.secret import Secret
from betfair_session.tokens import fingerprint

from .actors import KEY, Caller, MemoryStore, VirtualClock
from .ledger import LOCK_KEY, Ledger
from .truth import Violation, fail

_REFUSALS = ("temporary", "credentials", "ban")
PATIENCE = 240.0  # seconds after the last fault: the longest deadline, a time to live, some calls
TROUBLE = 90.0  # seconds for which things go wrong


class History:
    """One run, wholly determined by its seed."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = random.Random(seed)
        self.ledger = Ledger()
        self.store = self.ledger.store = MemoryStore(rng, self.ledger.landing)
        self.calls = 0
        self._now = 1_000_000.0
        self._ends = self._now + TROUBLE
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._turn = 0
        self._tokens = 0
        self._callers = 0
        self._freezes = rng.choice((0.0, 0.02, 0.05))
        self._stands_still = rng.random() < 0.5
        self._crashes = rng.choice((0.0, 0.02, 0.05))
        self._betfair = rng.choice((0.0, 0.0, 0.2, 0.5))
        self.store.faults = rng.choice((0.0, 0.05, 0.2))
        self._settings = LeaseSettings(logins_per_minute=rng.choice((2, 4, 4)))
        self._share = rng.random() < 0.4
        self._on_one_machine = self.store.on_this_machine
        self._wall = 0.0  # how wrong that machine's clock is
        self._running: list[Caller] = []
        if rng.random() < 0.1:  # only Betfair's answers and the store's pace go wrong
            self.ledger.calm = True
            self._freezes = self._crashes = self.store.faults = 0.0
            self._betfair, self.store.gap = 0.5, 1.0

    def run(self) -> None:
        """Run it; raise a Violation where an invariant does not hold."""
        rng = self._rng
        self.store.now = self._now
        self._scene()
        spread = rng.choice((0.0, 1.0, TROUBLE))
        for _ in range(rng.choice((2, 2, 3, 4))):
            self._at(self._now + rng.random() * spread, self._begin)
        for _ in range(rng.choice((0, 0, 1, 2, 3))):
            self._at(self._now + rng.random() * rng.choice((2.0, TROUBLE)), self._adversity)
        # One of a process's two clocks may mislead it, never both: nothing could help then.
        steps = self._on_one_machine and not self._stands_still
        for _ in range(rng.choice((0, 1, 2)) if steps else 0):
            self._at(self._now + rng.random() * TROUBLE, self._clock_steps)
        self._until_quiet()
        self.store.faults = 0.0
        self._begin()
        self._until_quiet()

    # --- the scheduler ----------------------------------------------------------------------------

    def _at(self, time: float, doing: Callable[[], None]) -> None:
        self._turn += 1
        heapq.heappush(self._queue, (time, self._turn, doing))

    def _until_quiet(self) -> None:
        while self._queue:
            self._now, _, doing = heapq.heappop(self._queue)
            if self._now > self._ends:
                self.store.faults = self._freezes = self._crashes = self._betfair = 0.0
            if self.ledger.states and self._now > self._ends + PATIENCE:
                fail("I4", "somebody still waits")
            self.store.now = self._now
            self.ledger.writer = None
            self.store.land_late()
            doing()
        self._ends = max(self._ends, self._now)

    def _begin(self, memory: Memory | None = None) -> None:
        clock = VirtualClock(self._rng, self._wall if self._on_one_machine else None)
        clock.at = self._now
        self._callers += 1
        caller = Caller(
            self._callers,
            self.store,
            self._settings,
            clock,
            memory or Memory(),
            clock.mono() + self._rng.choice((12.0, 45.0, 120.0)),
            share=self._share,
        )
        self._running.append(caller)
        self.ledger.states[caller.number] = caller.seen
        self._at(self._now, lambda: self._call(caller))

    def _pass(self, caller: Caller) -> float:
        """Return how long something takes; now and then the process freezes meanwhile."""
        rng = self._rng
        if rng.random() >= self._freezes:
            return 0.01 + 0.3 * rng.random() ** 3
        frozen = rng.choice((6.0, 17.0, 33.0, 70.0))
        if rng.random() < 0.3:
            if self._stands_still:
                caller.clock.behind += frozen
            elif not self._on_one_machine:
                caller.clock.skew += rng.choice((-100.0, 100.0))
        return frozen

    def _call(self, caller: Caller) -> None:
        """Carry out what a process asked for."""
        self.calls += 1
        effect = caller.effect
        if self._rng.random() < self._crashes:
            self._ends_here(caller)
            return
        if isinstance(effect, do.Wait):
            event: object = None
            takes = effect.seconds + (self._pass(caller) if self._freezes else 0.0)
        else:
            takes = self._pass(caller)
            # What is written is stamped when it is sent; what is read is as old as its answer.
            writes = isinstance(effect, do.WriteLock | do.WriteToken)
            caller.clock.at = self._now + (0.0 if writes else takes)
            self.ledger.writer = caller.seen
            self.store.again = caller.seen.phase == "_adopt"
            event = self._answer(caller, effect)
        self._at(self._now + takes, lambda: self._tell(caller, event))

    def _tell(self, caller: Caller, event: object) -> None:
        """Let a process go on to its next call, or its end."""
        caller.clock.at = self._now
        before = caller.seen
        caller.tell(event)
        self.ledger.states[caller.number] = caller.seen
        self.ledger.told(before, caller, self._now)
        self.ledger.asked(caller.effect, self._now)
        if caller.over:
            self._ends_here(caller)
            if self._now < self._ends and self._rng.random() < 0.2:
                memory = caller.memory if self._rng.random() < 0.5 else None
                self._at(self._now + 20.0 * self._rng.random(), lambda: self._begin(memory))
            return
        self._at(self._now + self._pass(caller), lambda: self._call(caller))

    def _ends_here(self, caller: Caller) -> None:
        del self.ledger.states[caller.number]
        self._running.remove(caller)

    # --- Betfair ----------------------------------------------------------------------------------

    def _answer(self, caller: Caller, effect: object) -> object:
        unlucky = self._rng.random() < self._betfair
        if isinstance(effect, do.Ask):
            if unlucky:
                return ERRORS["unclear"]()
            alive = effect.token.reveal() in self.ledger.live
            return do.LiveToken(effect.token, fingerprint(effect.token)) if alive else None
        if isinstance(effect, do.LogIn):
            return self._login(caller, unlucky=unlucky)
        if isinstance(effect, do.LogOut):
            self.ledger.logs_out(effect.token.reveal())
            self.ledger.credit += caller.seen.phase == "_give_up"
            return None
        try:
            return HANDLERS[type(effect)](caller.runner, effect)
        except BetfairSessionError as error:
            return error

    def _login(self, caller: Caller, *, unlucky: bool) -> object:
        kind = self._rng.choice(("unsent", "unclear", *_REFUSALS)) if unlucky else ""
        if kind == "unsent":
            return ERRORS[kind]()
        self.ledger.logs_in(caller.login)
        if kind:
            self.ledger.credit += 1
            return ERRORS[kind]()
        token = Secret(self._new_token(live=True))
        return do.LiveToken(token, fingerprint(token))

    def _new_token(self, *, live: bool) -> str:
        self._tokens += 1
        token = f"token-{self._tokens}"
        if live:
            self.ledger.live.add(token)
        return token

    # --- the adversary ----------------------------------------------------------------------------

    def _scene(self) -> None:
        rng = self._rng
        what = rng.choice(("missing", "missing", "dead", "junk", "live"))
        if what == "live":
            self.ledger.credit = 0
        if what != "missing":
            content = "not a token" if what == "junk" else self._new_token(live=what == "live")
            self.store.place(KEY, content.encode())
        if rng.random() < 0.2:
            held = locks.Lock(locks.HELD, "gone", ttl=rng.choice((30.0, 120.0)))
            self.store.place(LOCK_KEY, rng.choice((locks.encode(held), b"{junk")))

    def _adversity(self) -> None:
        ledger = self.ledger
        valid = ledger.stored() in ledger.live
        doing = self._rng.choice(
            (self._death, self._death, self._delete, self._foreign, self._unlock)
        )
        doing()
        if valid and ledger.stored() not in ledger.live:
            ledger.generation()
        ledger.credit += 1

    def _death(self) -> None:
        live = sorted(self.ledger.live)
        if live:
            self.ledger.live.discard(self._rng.choice(live))

    def _delete(self) -> None:
        if self._rng.random() < 0.7:
            self.store.objects.pop(KEY, None)
        else:
            self.store.objects.pop(LOCK_KEY, None)
            self.ledger.lock_is_deleted()

    def _clock_steps(self) -> None:
        """Set the clock of the machine that all of them run on, and with it the files' times."""
        seconds = self._rng.choice((-3600.0, 120.0, 1300.0, 3600.0))
        self._wall += seconds
        self.store.wrong += seconds
        for caller in self._running:
            caller.clock.skew += seconds

    def _foreign(self) -> None:
        what = self._rng.choice(("live", "dead", "junk"))
        content = "not a token" if what == "junk" else self._new_token(live=what == "live")
        self.store.place(KEY, content.encode())

    def _unlock(self) -> None:
        kept = self.store.objects.get(LOCK_KEY)
        if kept is not None:
            self.store.place(LOCK_KEY, locks.cleared(kept.content))
            self.ledger.removed = True


def run(first: int, number: int) -> int:
    """Run histories with the seeds from `first` on; return how many calls were made."""
    calls = 0
    for seed in range(first, first + number):
        history = History(seed)
        try:
            history.run()
        except Violation as violation:
            violation.args = (f"{violation} (seed {seed})",)
            raise
        calls += history.calls
    return calls
