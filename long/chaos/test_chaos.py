"""Chaos for a short time; benchmarks/chaos.py goes on for longer, on every store."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from storage.places import BucketPlace

from chaos.figures import lines
from chaos.ledger import Ledger
from chaos.plan import Plan
from chaos.stage import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket

TTL = 5.0


@pytest.mark.usefixtures("one_crowd")
@pytest.mark.parametrize("kind", ["local", "obstore+seaweed"])
def test_chaos_costs_nothing_that_is_not_allowed(
    kind: str, bucket_on: Callable[[str], Bucket]
) -> None:
    """Processes are killed and frozen, tokens killed, deleted and replaced: no harm is done."""
    random.seed(20_261_121)
    plan = Plan(kind, generations=12, processes=16, keys=4, strikes=0.6)
    driver, plus, server = kind.rpartition("+")
    place = BucketPlace(bucket_on(server), driver + plus) if plus else None
    figures = run(plan, place=place)
    assert figures.clean, "\n".join(lines(figures))
    assert figures.generations == 12
    assert sum(figures.blows.values()) > 0
    assert figures.logins > 6
    assert figures.calls > 24


def told(ledger: Ledger, *events: tuple[int, str, float], **more: Any) -> None:  # noqa: ANN401 - JSON
    """Have processes say things: (number, what, when)."""
    for number, event, when in events:
        ledger.hear({"n": number, "e": event, "t": when, "token": "T", **more})


def login(number: int, start: float) -> list[tuple[int, str, float]]:
    """Return what a process says of a login, which takes a tenth of a second."""
    words = ["take", "took", "login", "session", "publish", "published", "released"]
    return [(number, word, start + place / 50) for place, word in enumerate(words)]


@pytest.fixture
def ledger() -> Ledger:
    """A ledger in whose only round, from 100 on, one login is needed."""
    ledger = Ledger(TTL)
    ledger.begin("expired", 100.0, 1)
    return ledger


def test_a_second_login_is_an_excess(ledger: Ledger) -> None:
    """The ledger counts it, in the round of its sending."""
    told(ledger, *login(1, 100.1))
    assert ledger.judge()[0] == []
    told(ledger, *login(2, 101.0))
    (excess,) = ledger.judge()[0]
    assert "round 1 (expired)" in excess


def test_a_login_after_a_killed_holders_is_extra(ledger: Ledger) -> None:
    """One only, and only if the killed one had sent its own."""
    told(ledger, *login(1, 100.1)[:3], (1, "killed", 100.2), *login(2, 110.0))
    assert ledger.judge()[0] == []
    assert ledger.judge()[1].total() == ledger.lost() == ledger.unsent() == 1
    told(ledger, *login(3, 111.0))
    assert len(ledger.judge()[0]) == 1


def test_a_killed_holder_that_had_published_excuses_nothing(ledger: Ledger) -> None:
    """Its token is there."""
    told(ledger, *login(1, 100.1)[:6], (1, "killed", 101.0), *login(2, 102.0))
    assert len(ledger.judge()[0]) == 1


def test_a_lease_that_outlived_its_time_excuses_one_login(ledger: Ledger) -> None:
    """One that was only slow does not."""
    slow, late = login(1, 100.1), login(2, 100.2)
    told(ledger, *slow[:4], *((1, word, 100.1 + TTL - 1) for _, word, _ in slow[4:]), *late)
    assert len(ledger.judge()[0]) == 1
    ledger.begin("expired", 200.0, 1)
    slow, late = login(1, 200.1), login(2, 206.5)
    told(ledger, *slow[:4], *late, *((1, word, 207.0) for _, word, _ in slow[4:]))
    assert len(ledger.judge()[0]) == 1


def test_who_missed_the_lock_has_no_lease(ledger: Ledger) -> None:
    """And a store that tries its conditions out still has its own."""
    told(ledger, (1, "take", 100.1), (1, "missed", 100.2))
    told(ledger, (2, "take", 100.1), (2, "took", 100.2), (2, "take", 100.3), (2, "missed", 100.4))
    told(ledger, *login(2, 100.5)[2:])
    assert ledger.logins() == 1


def test_a_token_that_was_gone_before_the_call_is_wrong(ledger: Ledger) -> None:
    """So is one that nobody ended and that is dead; one that died during the call is not."""
    for began in (100.0, 102.0, 100.0):
        told(ledger, (1, "call", began), (1, "end", 103.0), began=began, error="", text="")
    assert ledger.wrong({"T"}) == ([], 0)
    assert len(ledger.wrong(set())[0]) == 3
    ledger.gone["T"] = (100.9, 101.0)
    assert ledger.wrong(set()) == (["a token that had been gone for 1.000 s"], 0)


def test_a_token_that_was_written_while_it_was_replaced_was_brought_back(ledger: Ledger) -> None:
    """So it can be in a directory, when something that takes no part writes there, too."""
    ledger.gone["T"] = (100.9, 101.0)
    told(ledger, (1, "end", 103.0), began=102.0, error="", text="")
    told(ledger, (2, "publish", 100.0), (2, "published", 100.8))
    assert ledger.wrong(set()) == (["a token that had been gone for 1.000 s"], 0)
    told(ledger, (3, "publish", 100.85), (3, "unpublished", 101.1))
    assert ledger.wrong(set()) == (["a token that had been gone for 1.000 s"], 0)
    told(ledger, (3, "publish", 100.85), (3, "published", 101.1))
    assert ledger.wrong(set()) == ([], 1)


def test_a_live_token_that_is_replaced_is_a_problem(ledger: Ledger) -> None:
    """Unless its file was put there while a process was replacing another."""
    ledger.acted(time.monotonic())
    ledger.replaced("T")
    assert ledger.undone() == (0, ["a live token was replaced"])
    told(ledger, (2, "publish", 0.0), (2, "published", time.monotonic()))
    assert ledger.undone() == (1, [])
