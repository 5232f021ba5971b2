"""One call on the machine, told event by event, with every effect compared whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session import BetfairSessionError
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.errors import Errors
from betfair_session.login.memory import Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.process.clocks import Clock, passed

from . import messages as m

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

START = 1000.0
"""The store's clock when a script begins, seconds."""


def held(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return a lock that another holds since the start."""
    other = locks.Lock(locks.HELD, "other", "another", 30.0, START, (START,))
    return other._replace(**fields)


def done(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return the lock of a login that another made at the start."""
    return held(state=locks.DONE, published="fp-other")._replace(**fields)


def failed(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return the lock of a login that was refused at the start, for a minute."""
    refused = {"status": "STATUS", "login_class": "credentials", "refusals": 1}
    return held(state=locks.FAILED, not_before=START + 60, **refused)._replace(**fields)


def go_on(steps: Generator[Any, Any, do.Done], answer: object) -> Any:  # noqa: ANN401 - any effect
    """Tell a policy what happened; return what it asks for, or how it ended: a Done or an error."""
    try:
        return steps.throw(answer) if isinstance(answer, BaseException) else steps.send(answer)
    except StopIteration as stop:
        return stop.value
    except BetfairSessionError as error:
        return error


class Play:
    """The policy at work: tell it what happened, and see what it asks for.

    Attributes:
        login: the policy.
        asked: its last effect, or how it ended: a Done or an error.
        told: the errors that it was told.
    """

    def __init__(self, login: SharedLogin) -> None:
        """Begin the call."""
        self.login = login
        self.steps: Generator[Any, Any, do.Done] = login.run()
        self.told: list[object] = []
        self.asked: object = next(self.steps)

    def tell(self, event: object) -> None:
        """Tell what happened."""
        if isinstance(self.asked, do.LogOut):
            self.asked = self.steps.send(event)  # an error is its answer
        else:
            self.told += [event] if isinstance(event, BaseException) else []
            self.asked = go_on(self.steps, event)


class Script(Clock):
    """A call with one hour of time, whose clocks agree and whose jitter is at its most.

    Attributes:
        play: the policy at work.
        at: seconds since the start, by the monotonic clock.
        at_most: the jitter.
        slow_wall: how far the wall clock is behind.
        wrong: how far its idea of the store's clock is ahead.
    """

    def __init__(
        self,
        *,
        shared: bool = True,
        share: bool = False,
        deadline: float = 3600,
        memory: Memory | None = None,
    ) -> None:
        """Begin the call; it reads the token first."""
        self.at = 0.0
        self.at_most = 1.0
        self.slow_wall = 0.0
        self.wrong = 0.0
        self.memory = memory or Memory()
        self._nonces = iter(["mine", *(f"nonce {number}" for number in range(2, 1000))])
        login = SharedLogin(
            LeaseSettings(),
            self,
            Errors("the store", "token"),
            self.memory,
            owner="me",
            deadline=deadline,
            shared=shared,
            share=share,
        )
        self.play = Play(login)
        assert self.play.asked == do.ReadToken()

    def mono(self) -> float:
        """See Clock."""
        return self.at

    def now(self) -> tuple[float, float]:
        """See Clock."""
        return self.at, START + self.at - self.slow_wall

    def server(self) -> float:
        """See Clock."""
        return START + self.at + self.wrong

    def jitter(self) -> float:
        """See Clock."""
        return self.at_most

    def nonce(self) -> str:
        """See Clock."""
        return next(self._nonces)

    @property
    def login(self) -> SharedLogin:
        """The policy."""
        return self.play.login

    def tell(self, event: object, *effects: object) -> None:
        """Tell what happened. All effects but the last are waits, which are told to be over."""
        for expected in effects:
            self.play.tell(event)
            asked = self.play.asked
            if isinstance(asked, do.Wait):
                asked = do.Wait(asked.seconds)
            elif isinstance(asked, do.Done):
                asked = m.Got(asked.token, asked.how, passed(asked.since, self.now()))
            elif isinstance(asked, BetfairSessionError):
                last = self.play.told[-1] if self.play.told else None
                asked = m.end(asked, asked if asked in self.play.told else last)
            assert asked == expected
            event = m.WOKE

    def tell_at(self, seconds: float, event: object, *effects: object) -> None:
        """Tell something that happens some seconds after the start."""
        self.at = seconds
        self.tell(event, *effects)


def mine(**fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
    """Return the lock that a script's call takes at the start, where there was none."""
    lock = locks.Lock(locks.HELD, "mine", "me", 30.0, START, (START,))
    return lock._replace(**fields)


def release(lock: locks.Lock, version: str = "L1", *, shared: bool = True) -> do.WriteLock:
    """Return the write that gives the lock back."""
    return do.WriteLock(lock, version, gives_back=True, shared=shared)
