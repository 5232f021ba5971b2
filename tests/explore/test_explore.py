"""The shipped policy in a small world's interleavings and in random histories, guarded or not."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from betfair_session.login.call import Call
from betfair_session.login.effects import TokenRead, Wait
from betfair_session.login.lock import Lock
from betfair_session.login.policy import SharedLogin

from .actors import MemoryStore
from .histories import History, run
from .plans import LATE_LANDING, PAIRS, SUSPENDED, Rules
from .search import explore
from .truth import Violation
from .world import World

WORLDS = 3_000  # of each plan; python3 dev.py long explore walks on
BATCHES = 10
EACH = 1_000  # histories; python3 dev.py long explore runs a million


@pytest.mark.parametrize("plan", [*PAIRS, LATE_LANDING], ids=lambda plan: plan.name)
def test_no_invariant_fails_whatever_the_adversary_does(plan: Rules) -> None:
    count = explore(plan, WORLDS)
    assert count.complete or count.worlds >= WORLDS
    assert count.finished


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_invariant_fails_in_random_histories(batch: int) -> None:
    """No act of store, clocks, Betfair or other people breaks one of the rules."""
    assert run(batch * EACH, EACH) > EACH


# --- without one of the guards -------------------------------------------------------------------

DEAD, MISSING = Rules("dead", processes=2), Rules("missing", processes=2, token="missing")
DELETED = Rules("deleted", "delete", processes=2)
SHARED = Rules("shared", "death", processes=2, token="live", share=True)

Guard = tuple[type, str, Callable[..., Any]]
fits, fresh, see_token = World.fits, World.fresh, Call._see_token
LATER: Guard = (World, "decides", lambda *_, **__: None)
"""Goes on after a decision under another's lock, to see whether a login too many is noticed."""


def without_the_blank(_: SharedLogin) -> Generator[None, None, bool]:
    """Let a token that was logged out land between another's login and its publication."""
    yield from ()
    return True


def without_the_wall_clock(call: Call, since: tuple[float, float]) -> float:
    """Count by the monotonic clock alone, which stands still in a frozen process."""
    return call.clock.now()[0] - since[0]


def without_a_second_look(call: Call, read: TokenRead) -> None:
    """Go on with the token that was read before the lock was taken."""
    if not call._owned_by(call.nonce):
        see_token(call, read)


def unconditional(what: str) -> Guard:
    """Let a kind of write land without looking at its condition."""
    return (World, "fits", lambda *at: at[1][0] == what or fits(*at))


@pytest.mark.parametrize(
    ("plan", "invariant", "guards"),
    [
        (MISSING, "I1", [(World, "fresh", lambda *at: at[1] == "n" or fresh(*at)), LATER]),
        (DEAD, "I1", [(Lock, "expired", lambda *_, **__: True), LATER]),
        (DELETED, "I1", [(Call, "_see_token", without_a_second_look)]),
        (DEAD, "I1", [unconditional("lock"), LATER]),
        (DEAD, "I2", [unconditional("token"), LATER]),
        (SHARED, "I2", [unconditional("rewrite")]),
        (LATE_LANDING, "I1", [(SharedLogin, "_show_writable", without_the_blank)]),
        (SUSPENDED, "lease", [(Call, "_elapsed", without_the_wall_clock)]),
    ],
)
def test_the_explorer_notices_a_guard_that_is_taken_away(
    plan: Rules, invariant: str, guards: list[Guard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the store's promises, or of the policy's precautions; the trace shows how."""
    for guard in guards:
        monkeypatch.setattr(*guard)
    with pytest.raises(Violation) as caught:
        explore(plan, 100_000)
    assert caught.value.invariant == invariant
    assert caught.value.trace


holds, pause = MemoryStore._holds, Call._pause


def hasty(call: Call, tries: int, least: float = 0.0) -> Wait:
    """Do not wait a second for a store that takes one change of an object a second."""
    return Wait(0.02) if least else pause(call, tries, least)


HASTE: dict[str, Callable[..., Any]] = {
    "_pause": hasty,
    "_no_time_to_give_back": lambda call, _: call.tries >= 2,
    "_owes_this_lock": lambda _: False,
    "_respect_memory": lambda _: None,
}


@pytest.mark.parametrize(
    ("holder", "guards", "invariants"),
    [
        # A verified token's rewrite, a token's write, a lock's write, without their conditions.
        (MemoryStore, {"_holds": lambda store, w: w.again or holds(store, w)}, "I2"),
        (MemoryStore, {"_holds": lambda store, w: w.key == "token" or holds(store, w)}, "I2"),
        (
            MemoryStore,
            {"_holds": lambda store, w: w.key != "token" or holds(store, w)},
            "I1 I5 lease refusal",
        ),
        # A release that does not wait for a slow store forgets a ban.
        (Call, HASTE, "ban"),
        # A lock whose age a step of the machine's clock changes protects nothing.
        (Lock, {"age_here": lambda *_: None}, "refusal I1 lease I5"),
    ],
)
def test_histories_notice_a_guard_that_is_taken_away(
    holder: type,
    guards: dict[str, Callable[..., Any]],
    invariants: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They do so soon; the failure names its seed, which is enough to repeat it."""
    for name, guard in guards.items():
        monkeypatch.setattr(holder, name, guard)
    with pytest.raises(Violation) as first:
        run(0, 5_000)
    assert first.value.invariant in invariants.split()
    told, _, seed = str(first.value).rpartition(" (seed ")
    with pytest.raises(Violation) as again:
        History(int(seed.rstrip(")"))).run()
    assert str(again.value) == told
