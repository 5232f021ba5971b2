"""Which tests show the 35 scenarios of the shared login: what can happen to a fleet."""

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
    "14 wrong clocks": "no_invariant_fails_in_random_histories",
    "15 a clock stands still in a freeze": "the_explorer_notices_a_guard_that_is_taken_away",
    "16 deleted while a zombie finishes": "what_others_do_during_a_login",
    "17 a zombie writes the lock": "what_others_do_during_a_login",
    "18 crash before done": "a_killed_holder_costs_at_most_one_login",
    "19 unequal times to live": "a_lock_that_changes_is_watched_anew",
    "20 every new token rejected": "too_many_logins_in_a_minute_are_stopped",
    "21 login refused": "a_refusal_is_remembered_until_unlock",
    "22 ban": "a_refusal_holds_whatever_happens_to_the_token",
    "23 validation without an answer": "when_betfair_cannot_tell_nothing_happens",
    "24 conditions ignored": "a_store_that_ignores_conditions_is_found_out_before_a_login",
    "25 stale reads": "a_token_just_published_that_is_not_there_is_waited_for",
    "26 delete marker": "a_deleted_object_in_a_versioned_bucket_is_missing",
    "27 403 for 404": "a_call_goes_as_its_story_says",
    "28 short-lived callers": "a_held_lock_expires_by_its_own_time_and_a_second",
    "29 429": "a_call_goes_as_its_story_says",
    "30 foreign token": "what_others_do_during_a_login",
    "31 foreign dead token": "a_stampede_makes_one_login",
    "32 no torn file": "a_reader_sees_no_part",
    "33 forked processes": "forked_children_share_one_login",
    "34 threads": "many_tasks_share_one_answer_and_one_thread",
    "35 lock junk": "what_is_no_lock_holds_everybody_up_for_half_a_minute",
}
"""What happens, and the test (its name without "test_") that shows what the fleet does then."""


def test_every_scenario_has_a_test_in_this_suite() -> None:
    assert [int(what.split()[0]) for what in SCENARIOS] == list(range(1, 36))
    modules = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    found = {name for text in modules for name in re.findall(r"def test_(\w+)\(", text)}
    assert set(SCENARIOS.values()) - found == set()
