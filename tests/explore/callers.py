"""Processes with virtual clocks, on the real policy and the real runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from login.script import go_on

from betfair_session.events import Reporter
from betfair_session.exceptions import BetfairSessionError
from betfair_session.login import effects as do
from betfair_session.login.account import Account
from betfair_session.login.runner import Runner
from betfair_session.process.clocks import Clock
from betfair_session.process.trust import Trust
from betfair_session.secret import Secret

from .memory import KEY
from .where import phase, position

if TYPE_CHECKING:
    import random
    from types import GeneratorType

    from betfair_session.login.account import LeaseSettings
    from betfair_session.login.call import Memory

    from .memory import MemoryStore


class VirtualClock(Clock):
    """One process's clocks: right, wrong by a constant, or standing still in a freeze."""

    def __init__(self, rng: random.Random, skew: float | None = None) -> None:
        """Begin with a wall clock that is somewhat wrong."""
        self.at = 0.0
        self.behind = 0.0
        self.skew = rng.choice((0.0, 0.0, -60.0, 60.0, -3600.0, 3600.0)) if skew is None else skew
        self._on_one_machine = skew is not None
        self._rng = rng

    def mono(self) -> float:
        """See Clock."""
        return self.at - self.behind

    def now(self) -> tuple[float, float]:
        """See Clock: on one machine, where locks note it, the steady clock goes on in a freeze."""
        return self.at if self._on_one_machine else self.mono(), self.at + self.skew

    def boot(self) -> str:
        """See Clock."""
        return "boot"

    def sleep(self, seconds: float) -> None:
        """See Clock; the scheduler lets the time pass."""

    def jitter(self) -> float:
        """See Clock."""
        return self._rng.random()

    def nonce(self) -> str:
        """See Clock."""
        return f"{self._rng.getrandbits(64):016x}"


class Seen(NamedTuple):
    """What a check needs to know of a process at one moment."""

    phase: str
    nonce: str
    base: str | None
    lock_version: str | None
    new: Secret | None
    new_fingerprint: str
    maybe: bool
    counted: float
    uncertain: bool
    settings: LeaseSettings


class Caller:
    """A process that wants a token.

    Attributes:
        effect: what it asks for, or how it ended: a Done, or an error.
        seen: what the checks know of it.
        told: what it was told last.
        memory: what the process remembers from one call to the next.
    """

    def __init__(  # noqa: PLR0917 - a process is all of these
        self,
        number: int,
        store: MemoryStore,
        settings: LeaseSettings,
        clock: VirtualClock,
        memory: Memory,
        deadline: float,
        *,
        share: bool,
    ) -> None:
        """Begin with the policy's first call."""
        self.number, self.clock, self.memory = number, clock, memory
        nobody: Any = None
        self.runner = Runner(
            Account(nobody, Secret("u"), Secret("p"), 60.0, settings),
            store,
            KEY,
            trust=Trust(900.0 if share else 0.0, None, shared=share),
            reporter=Reporter("", "", None),
            memory=memory,
            deadline=deadline,
            clock=clock,
        )
        self.login = self.runner.login
        self._steps = cast("GeneratorType[Any, Any, Any]", self.login.run())
        self.told: object = None
        self.effect: Any = next(self._steps)
        self.seen = self._look()

    def tell(self, answer: object) -> None:
        """Go on to the next effect, or the end; reports are passed over."""
        self.told = answer
        while True:
            self.effect = go_on(self._steps, answer)
            if not isinstance(self.effect, do.Tell):
                break
            answer = None
        self.seen = self._look()

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return isinstance(self.effect, do.Done | BetfairSessionError)

    def _look(self) -> Seen:
        login = self.login
        logins = login.lock.logins if login.lock else ()
        return Seen(
            phase(position(self._steps), self.effect),
            login.nonce,
            login.base,
            login.lock_version,
            login.new,
            login.new_fingerprint,
            login.maybe,
            logins[-1] if logins else 0.0,
            type(login.ended).__name__ == "PublishUncertain",
            login.settings,
        )
