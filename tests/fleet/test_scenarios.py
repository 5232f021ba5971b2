"""Which tests show the 35 scenarios of the shared login: what may happen to a fleet."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCENARIOS = {
    "1 two hundred processes, dead token": "a_stampede_makes_one_login",
    "2 the same, token missing": "a_stampede_makes_one_login",
    "3 holder killed anywhere": "a_killed_holder_costs_at_most_one_login",
    "4 killed between login and write": "a_killed_holder_costs_at_most_one_login",
    "5 frozen before the last look at the time": "a_frozen_holder_replaces_nothing_when_it_thaws",
    "6 frozen after it": "a_frozen_holder_replaces_nothing_when_it_thaws",
    "7 frozen between login and write": "a_frozen_holder_replaces_nothing_when_it_thaws",
    "8 lock landed, answer lost": "a_write_whose_answer_is_lost_or_wrong_is_looked_at",
    "9 lock lands late": "a_lock_that_lands_late_holds_nobody_longer_than_its_time_to_live",
    "10 409": "a_write_whose_answer_is_lost_or_wrong_is_looked_at",
    "11 412 in any disguise": "an_answer_means",
    "12 token landed, error seen": "a_write_whose_answer_is_lost_or_wrong_is_looked_at",
    "13 a token write twice, late": "a_token_write_that_comes_twice_or_late_is_rejected",
    "14 wrong clocks": "a_wrong_clock_takes_no_living_holders_lock",
    "15 a clock stands still in a freeze": "one_clock_that_stands_still_misleads_nobody",
    "16 deleted while a zombie finishes": "a_zombies_token_fills_the_gap_that_a_deletion_left",
    "17 a zombie writes the lock": "a_zombie_cannot_write_the_lock_after_its_successor",
    "18 crash before done": "a_killed_holder_costs_at_most_one_login",
    "19 unequal times to live": "the_time_to_live_that_a_lock_names_counts",
    "20 every new token rejected": "too_many_logins_in_a_minute_are_stopped",
    "21 login refused": "a_refusal_is_shared",
    "22 ban": "a_ban_holds_whatever_happens_to_the_token",
    "23 validation without an answer": "when_betfair_cannot_tell_nothing_happens",
    "24 conditions ignored": "a_store_that_ignores_conditions_is_found_out_before_a_login",
    "25 stale reads": "a_token_just_published_that_is_not_there_is_waited_for",
    "26 delete marker": "a_delete_marker_is_a_missing_token",
    "27 403 for 404": "forbidden_in_place_of_missing_is_no_missing_token",
    "28 short-lived callers": "callers_that_live_shorter_than_the_lease_take_over",
    "29 429": "a_throttled_request_is_made_again",
    "30 foreign token": "a_foreign_token_that_appears_during_a_login_is_adopted",
    "31 foreign dead token": "a_stampede_makes_one_login",
    "32 no torn file": "a_stampede_makes_one_login",
    "33 forked processes": "forked_children_share_one_login",
    "34 threads": "threads_that_wait_poll_the_store_as_one",
    "35 lock junk": "junk_in_place_of_the_lock_counts_as_held_for_half_a_minute",
}
"""What happens, and the test (its name without "test_") that shows what the fleet does then."""


def test_every_scenario_has_a_test_in_this_suite() -> None:
    """Each is there, and each named test exists."""
    assert [int(what.split()[0]) for what in SCENARIOS] == list(range(1, 36))
    modules = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    found = {name for text in modules for name in re.findall(r"def test_(\w+)\(", text)}
    assert set(SCENARIOS.values()) - found == set()
