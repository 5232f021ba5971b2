"""The model's own sanity: what it blanks in a process's state changes nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from betfair_session.lease import lock as locks, messages as m
from betfair_session.lease.machine import begin, step
from betfair_session.lease.settings import LeaseSettings

from .local import NOBODY, Local, View
from .pool import REFUSALS

if TYPE_CHECKING:
    from betfair_session.lease.lock import Lock
    from betfair_session.lease.state import State

TOKENS = (None, "t1", "t2", "t3")
VERSIONS = ("v1", "v2", "v3")


class Answers:
    """Random answers to whatever a process asks; a lock's version never comes back."""

    def __init__(self, rng: random.Random) -> None:
        """Begin without a lock."""
        self._rng = rng
        self._versions = 0
        self._lock: Lock | None = None

    def next(self, local: Local, passed: float) -> m.Event:
        """Return an answer, `passed` seconds after the last one; times are told from now."""
        if self._lock is not None:
            self._lock = _moved(self._lock, -passed)
        rng, effect = self._rng, local.effect
        if isinstance(effect, m.ReadToken | m.ReadLock | m.WriteLock | m.Publish):
            if rng.random() < 0.15:
                return m.StoreFailed("failed", rng.random() < 0.5, rng.random() < 0.7)
            return self._store(local)
        if isinstance(effect, m.Validate):
            alive = m.Alive(effect.token, f"f{effect.token[1:]}")
            return alive if rng.random() < 0.2 else m.Dead()
        if isinstance(effect, m.Logout):
            return m.LoggedOut()
        if rng.random() < 0.2:
            return m.Refused("no", "CODE", "ban", REFUSALS["ban"])
        return m.LoggedIn("t3", "f3")

    def _store(self, local: Local) -> m.Event:
        rng, effect = self._rng, local.effect
        if isinstance(effect, m.WriteLock | m.Publish):
            return self._written(effect)
        if isinstance(effect, m.ReadLock):
            return self._read(local)
        token = rng.choice((*TOKENS, local.state.dead, local.state.new))
        return m.TokenRead(token, rng.choice(VERSIONS), f"f{token[1:]}" if token else "")

    def _written(self, effect: m.WriteLock | m.Publish) -> m.Event:
        if self._rng.random() < 0.4:
            return m.Conflict()
        self._versions += 1
        if isinstance(effect, m.WriteLock):
            self._lock = effect.lock
        return m.Written(f"k{self._versions}")

    def _read(self, local: Local) -> m.Event:
        rng, own = self._rng, local.state.mine
        if rng.random() < 0.5:
            self._versions += 1
            self._lock = own if own.nonce and rng.random() < 0.4 else self._other()
            if rng.random() < 0.1:
                self._lock = None
        if self._lock is None:
            return m.LockRead()
        age = rng.choice((None, 0.0, 4.0, 40.0, 70.0))
        return m.LockRead(self._lock, f"k{self._versions}", age)

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
    return lock.but(since=since, not_before=ends, logins=times)


@pytest.mark.parametrize("batch", range(10))
def test_a_blanked_state_does_what_the_full_one_does(batch: int) -> None:
    """Random answers lead a full state and its short form through the same calls."""
    for seed in range(batch * 100, batch * 100 + 100):
        _walk_both(seed)


def _walk_both(seed: int) -> None:
    rng = random.Random(seed)
    view, answers, now = View(brake=True), Answers(rng), 5000.0
    deadline = rng.choice((float("inf"), 40.0))
    begun = begin(
        LeaseSettings(),
        owner="",
        deadline=deadline,
        nonce=NOBODY,
        shared=True,
        share=rng.random() < 0.5,
    )
    short = view.start(*begun, skew=0.0)
    full: State = short.state.but(nonce="n1", deadline=now + deadline)
    effect: m.Effect = short.effect
    for _ in range(80):
        if isinstance(effect, m.Done | m.Failed):
            break
        passed = rng.choice((0.0, 0.0, 1.0, 16.0, 32.0))
        now += passed
        short = view.later(short, passed, still=False)
        event = answers.next(short, passed)
        short = view.advance(short, event, "n1")
        tick = m.Tick(now, now, now, 0.5, "n1")
        if isinstance(event, m.LockRead) and event.lock is not None:
            event = event.but(lock=_moved(event.lock, now))
        full, effect = step(full, event, tick)
        while isinstance(effect, m.Wait):
            full, effect = step(full, m.Woke(), tick)
        same = view.later(Local(full, effect), now, still=False)
        assert view.effect(same.effect) == short.effect, seed
        assert view.state(same.state).but(nonce="") == short.state.but(nonce=""), seed
