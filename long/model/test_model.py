"""The model's own sanity: what it leaves out of a comparison, and how it moves a call in time."""

from __future__ import annotations

import random
from typing import Any

import pytest
from explore.plans import PLANS, Rules
from explore.processes import Ended, ModelClock, Pool, Replica, Way, plain_effect, seen
from explore.search import explore
from login import script as m

from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.lock import Lock


class Doubles(Pool):
    """A pool that keeps a second way to each state, and how each state was gone on from.

    Attributes:
        others: second ways, by the state's number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.others: dict[int, Way] = {}

    def local_id(self, way: Way) -> int:
        """Return the number of a process state."""
        known = self._local_ids.get(seen(way).key)
        if known is not None and known not in self.others:
            self.others[known] = Way(way.start, way.before, way.step)
        return super().local_id(way)

    def gone_on(self) -> list[tuple[Any, int]]:
        """Return the steps of processes that were taken, and what they led to."""
        return [(key, after) for key, after in self._steps.items() if isinstance(key[0], int)]


@pytest.mark.parametrize("plan", PLANS[::4], ids=lambda plan: plan.name)
def test_two_ways_to_one_state_go_on_alike(plan: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever follows, the policy asks the same, whichever way it came."""
    pools: list[Doubles] = []

    def pool() -> Doubles:
        pools.append(Doubles())
        return pools[-1]

    monkeypatch.setattr("explore.moves.Pool", pool)
    explore(plan, 3_000)
    compared = 0
    for key, after in pools[0].gone_on():
        number = int(str(key[0]))
        if number in pools[0].others:
            other = pools[0].others[number].go(pools[0].step_of(key))
            assert seen(other).key == pools[0].locals[after].key, key
            compared += 1
    assert compared > 100


class RealClock(ModelClock):
    """Clocks that go on."""

    at = 0.0

    def mono(self) -> float:
        return self.at

    server = mono

    def now(self) -> tuple[float, float]:
        return self.at, self.at


class Answers:
    """Random answers to whatever a process asks; a lock's version never comes back."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._versions = 0
        self._lock: Lock | None = None

    def next(self, effect: Any, passed: float) -> object:  # noqa: ANN401, PLR0911 - any effect
        """Return an answer, `passed` seconds after the last one; times are told from now."""
        if self._lock is not None:
            self._lock = _moved(self._lock, -passed)
        rng = self._rng
        asks = isinstance(effect, do.Ask | do.LogIn | do.LogOut)
        if not asks and rng.random() < 0.15:
            return ("failed", rng.random() < 0.5, rng.random() < 0.7)
        if isinstance(effect, do.WriteLock | do.WriteToken):
            return self._written(effect)
        if isinstance(effect, do.ReadLock):
            return self._read()
        if isinstance(effect, do.ReadToken):
            token = rng.choice((None, "t1", "t2", "t3"))
            return do.TokenRead(
                token, rng.choice(("v1", "v2", "v3")), f"f{token[1:]}" if token else ""
            )
        if isinstance(effect, do.Ask):
            return (
                do.Session(effect.token, f"f{effect.token[1:]}") if rng.random() < 0.2 else m.DEAD
            )
        if isinstance(effect, do.LogIn):
            return ("refused",) if rng.random() < 0.2 else do.Session("t3", "f3")
        return None

    def _written(self, effect: do.WriteLock | do.WriteToken) -> object:
        if self._rng.random() < 0.4:
            return ("conflict",)
        self._versions += 1
        if isinstance(effect, do.WriteLock):
            self._lock = effect.lock
        return do.Written(f"k{self._versions}")

    def _read(self) -> object:
        rng = self._rng
        if rng.random() < 0.5:
            self._versions += 1
            self._lock = None if rng.random() < 0.1 else self._other()
        if self._lock is None:
            return do.LockRead()
        age = rng.choice((None, 0.0, 4.0, 40.0, 70.0))
        return do.LockRead(self._lock, f"k{self._versions}", age)

    def _other(self) -> Lock:
        rng = self._rng
        return locks.Lock(
            rng.choice((locks.HELD, locks.DONE, locks.FAILED)),
            "n2",
            ttl=rng.choice((20.0, 30.0)),
            since=-rng.choice((0.0, 30.0)),
            logins=tuple(-ago for ago in (50.0, 20.0, 3.0) if rng.random() < 0.4),
            published=rng.choice(("", "f1", "f2")),
            refusals=rng.randrange(3),
            not_before=rng.choice((-20.0, 10.0, 500.0)),
        )


def _moved(lock: Lock, seconds: float) -> Lock:
    times = tuple(time + seconds for time in lock.logins)
    since, ends = lock.since + seconds, lock.not_before + seconds
    return lock._replace(since=since, not_before=ends, logins=times)


def _made(answer: object) -> object:
    """Make an answer's error anew: each policy is told one of its own."""
    if not isinstance(answer, tuple) or not answer or not isinstance(answer[0], str):
        return answer
    kind, *rest = answer
    if kind == "failed":
        return m.StoreFailed("failed", landed=rest[0], passing=rest[1])
    return m.Conflict() if kind == "conflict" else m.Refused("no", "CODE", "ban")


@pytest.mark.parametrize("batch", range(5))
def test_a_call_moved_in_time_does_what_one_does_for_which_time_goes_on(batch: int) -> None:
    """Random answers lead a call at "now is 0" and one on real clocks through the same calls."""
    for seed in range(batch * 100, batch * 100 + 100):
        _walk_both(seed)


def _walk_both(seed: int) -> None:
    rng = random.Random(seed)
    answers = Answers(rng)
    deadline, share = rng.choice((float("inf"), 40.0)), rng.random() < 0.5
    moved = Replica(LeaseSettings(), deadline=deadline, share=share, skew=0.0)
    going = Replica(LeaseSettings(), deadline=deadline, share=share, skew=0.0)
    clock = going.clock = going.login.clock = RealClock(0.0)
    for _ in range(80):
        if isinstance(moved.effect, do.Done | Ended):
            break
        passed = rng.choice((0.0, 0.0, 1.0, 16.0, 32.0))
        clock.at += passed
        moved.later(passed, still=False)
        answer = answers.next(moved.effect, passed)
        moved.tell(_made(answer), 0.0, "n1")
        if isinstance(answer, do.LockRead) and answer.lock is not None:
            answer = answer._replace(lock=_moved(answer.lock, clock.at))
        going.tell(_made(answer), None, "n1")
        effect = going.effect
        if isinstance(effect, do.WriteLock):
            effect = effect._replace(lock=_moved(effect.lock, -clock.at))
        assert plain_effect(effect) == plain_effect(moved.effect), seed
        assert going.where == moved.where, seed
