"""Random histories of the real policy; what fails in one can be made to fail again."""

from __future__ import annotations

import pytest

from betfair_session.login.call import Call
from betfair_session.login.effects import Wait
from betfair_session.login.lock import Lock

from .actors import MemoryStore, Write
from .histories import History, run
from .processes import Violation

BATCHES = 10
EACH = 1_000  # python3 dev.py long explore runs a million


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_invariant_fails_in_random_histories(batch: int) -> None:
    """Whatever store, clocks, Betfair and other people do, the truth stays within the rules."""
    assert run(batch * EACH, EACH) > EACH


def _first_failure(most: int) -> Violation:
    with pytest.raises(Violation) as caught:
        run(0, most)
    return caught.value


def test_history_that_failed_fails_again_from_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure names its seed, and that seed alone brings it back."""
    monkeypatch.setattr(MemoryStore, "_holds", _always)
    first = _first_failure(200)
    seed = int(str(first).partition("(seed ")[2].rstrip(")"))
    again = History(seed)
    with pytest.raises(Violation) as caught:
        again.run()
    assert str(first) == f"{caught.value} (seed {seed})"
    assert caught.value.invariant == first.invariant


def test_rewrite_that_ignores_its_condition_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only a verified token's rewrite is made whatever is there, it harms before long."""
    holds = MemoryStore._holds
    monkeypatch.setattr(MemoryStore, "_holds", lambda store, w: w.again or holds(store, w))
    assert _first_failure(5_000).invariant == "I2"


@pytest.mark.parametrize(
    ("key", "invariants"), [("token", {"I2"}), ("token.login", {"I1", "I5", "lease", "refusal"})]
)
def test_histories_notice_conditions_that_do_not_hold(
    key: str, invariants: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one object's writes ignore their condition, an invariant fails before long."""
    holds = MemoryStore._holds

    def careless(store: MemoryStore, write: Write) -> bool:
        return write.key == key or holds(store, write)

    monkeypatch.setattr(MemoryStore, "_holds", careless)
    assert _first_failure(5_000).invariant in invariants


def test_a_release_that_does_not_wait_for_a_slow_store_forgets_a_ban(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store that takes one change of an object a second refuses it twice within milliseconds."""
    pause = Call._pause

    def hasty(call: Call, tries: int, least: float = 0.0) -> Wait:
        return Wait(0.02) if least else pause(call, tries, least)

    monkeypatch.setattr(Call, "_pause", hasty)
    monkeypatch.setattr(Call, "_no_time_to_give_back", lambda call, _: call.tries >= 2)
    monkeypatch.setattr(Call, "_owes_this_lock", lambda _: False)
    monkeypatch.setattr(Call, "_respect_memory", lambda _: None)
    assert _first_failure(3_000).invariant == "ban"


def test_a_lock_whose_age_a_step_of_the_clock_changes_protects_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the clock that no one sets, files' times decide, which move with the machine's."""
    monkeypatch.setattr(Lock, "age_here", lambda *_: None)
    assert _first_failure(3_000).invariant in {"refusal", "I1", "lease", "I5"}


def _always(store: MemoryStore, write: Write) -> bool:
    del store, write
    return True
