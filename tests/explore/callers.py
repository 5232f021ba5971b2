"""Processes with virtual clocks, on the real flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.lease.flow import Clock, Flow

if TYPE_CHECKING:
    import random

    from betfair_session.lease import messages as m


class VirtualClock(Clock):
    """One process's clocks: right, wrong by a constant, or standing still in a freeze."""

    def __init__(self, rng: random.Random) -> None:
        """Begin with a wall clock that is somewhat wrong."""
        self.at = 0.0
        self.behind = 0.0
        self.skew = rng.choice((0.0, 0.0, -60.0, 60.0, -3600.0, 3600.0))
        self._rng = rng

    def mono(self) -> float:
        """See Clock."""
        return self.at - self.behind

    def wall(self) -> float:
        """See Clock."""
        return self.at + self.skew

    def sleep(self, seconds: float) -> None:
        """See Clock; the scheduler lets the time pass."""

    def jitter(self) -> float:
        """See Clock."""
        return self._rng.random()

    def nonce(self) -> str:
        """See Clock."""
        return f"{self._rng.getrandbits(64):016x}"


class SteppedFlow(Flow):
    """The real thing, handing out every call instead of making it at once."""

    def _run(self, effect: m.Effect) -> m.Effect:  # type: ignore[override]
        return effect


class Caller:
    """A process that wants a token; `effect` is what it asked for."""

    def __init__(self, number: int, flow: SteppedFlow, clock: VirtualClock) -> None:
        """Begin with the flow's first call."""
        self.number = number
        self.flow = flow
        self.clock = clock
        self.effect: m.Effect = flow.start()
