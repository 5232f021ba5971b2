"""Where each of the shared login's 35 scenarios is shown."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SCENARIOS: dict[int, tuple[str, list[str]]] = {
    1: ("200 processes, dead token", ["fleet/test_stampede::a_stampede_makes_one_login"]),
    2: (
        "200 processes, token missing",
        [
            "fleet/test_stampede::a_stampede_makes_one_login",
            "fleet/test_stampede::a_fleet_waits_for_a_slow_login",
        ],
    ),
    3: (
        "holder killed or cut off anywhere",
        [
            "fleet/test_killed::a_holder_killed_at_any_point_costs_at_most_one_login",
            "fleet/test_killed::a_holder_killed_inside_a_local_write_leaves_nothing_torn_or_lost",
            "fleet/test_killed::a_holder_killed_around_the_login_leaks_one_session",
            "fleet/test_cut_off::a_holder_cut_off_at_any_request_costs_at_most_one_login",
        ],
    ),
    4: (
        "killed between login and write",
        ["fleet/test_killed::a_holder_killed_around_the_login_leaks_one_session"],
    ),
    5: (
        "frozen before the last look at the time",
        [
            "fleet/test_frozen::a_process_frozen_at_any_point_replaces_nothing",
            "fleet/test_frozen::a_process_frozen_inside_a_local_write_replaces_nothing",
        ],
    ),
    6: (
        "frozen after it",
        [
            "fleet/test_frozen::a_process_frozen_at_any_point_replaces_nothing",
            "fleet/test_frozen::a_process_frozen_while_betfair_answers_replaces_nothing",
        ],
    ),
    7: (
        "frozen between login and write",
        ["fleet/test_frozen::a_process_frozen_at_any_point_replaces_nothing"],
    ),
    8: (
        "lock write landed, answer lost",
        ["fleet/test_wire::a_lock_whose_answer_was_lost_is_known_by_its_nonce"],
    ),
    9: (
        "lock write lands late",
        ["fleet/test_wire::a_lock_that_lands_late_holds_nobody_longer_than_the_ttl"],
    ),
    10: ("409", ["fleet/test_wire::a_conflict_that_nobody_caused_is_asked_again"]),
    11: (
        "412 in any disguise",
        [
            "fleet/test_wire::a_conflict_that_nobody_caused_is_asked_again",
            "storage/test_unkind::an_answer_means",
        ],
    ),
    12: (
        "token write landed, error seen",
        ["fleet/test_wire::a_token_whose_answer_was_lost_is_found_by_reading_back"],
    ),
    13: (
        "duplicate delayed token write",
        [
            "fleet/test_wire::a_token_write_that_comes_twice_or_late_is_rejected",
            "fleet/test_wire::a_late_token_write_does_not_replace_a_successors",
        ],
    ),
    14: (
        "clocks a minute and an hour off",
        [
            "fleet/test_crowd::wrong_clocks_cost_no_login",
            "fleet/test_crowd::nobody_takes_a_living_holders_lock_because_of_a_clock",
        ],
    ),
    15: (
        "a clock stands still in a freeze",
        ["fleet/test_frozen::one_clock_that_stands_still_misleads_nobody"],
    ),
    16: (
        "token deleted while a zombie finishes",
        ["fleet/test_frozen::a_zombies_token_fills_the_gap_that_a_deletion_left"],
    ),
    17: (
        "a zombie writes the lock",
        ["fleet/test_frozen::a_zombie_cannot_write_the_lock_after_its_successor"],
    ),
    18: (
        "crash between publish and done",
        ["fleet/test_killed::a_crash_before_the_lock_is_released_costs_nothing"],
    ),
    19: ("unequal ttl", ["fleet/test_killed::the_holders_time_to_live_counts"]),
    20: (
        "every new token rejected",
        [
            "fleet/test_crowd::tokens_that_die_at_once_are_braked",
            "test_session::too_many_logins_in_a_minute_are_stopped",
        ],
    ),
    21: ("login refused", ["fleet/test_crowd::a_refusal_is_shared"]),
    22: (
        "ban",
        [
            "fleet/test_crowd::a_ban_holds_whatever_happens_to_the_token",
            "fleet/test_crowd::a_ban_that_is_over_is_forgotten",
        ],
    ),
    23: (
        "validation without an answer",
        [
            "fleet/test_crowd::a_validation_without_an_answer_makes_nobody_log_in",
            "test_session::when_betfair_cannot_tell_nothing_happens",
        ],
    ),
    24: (
        "a store that ignores conditions",
        ["fleet/test_wire::a_store_that_ignores_conditions_is_found_out_before_a_login"],
    ),
    25: (
        "stale reads",
        [
            "fleet/test_crowd::stale_reads_cost_no_login",
            "fleet/test_crowd::a_token_that_reads_do_not_show_yet_is_waited_for",
        ],
    ),
    26: ("delete marker", ["fleet/test_foreign::a_delete_marker_is_a_missing_token"]),
    27: ("403 in place of 404", ["fleet/test_wire::forbidden_in_place_of_missing_is_explained"]),
    28: (
        "callers that live shorter than the ttl",
        ["fleet/test_killed::callers_that_live_shorter_than_the_lease_take_over"],
    ),
    29: (
        "429",
        [
            "fleet/test_wire::a_throttled_request_is_made_again",
            "fleet/test_wire::a_token_that_is_never_taken_costs_one_session",
        ],
    ),
    30: (
        "a foreign token in mid-login",
        ["fleet/test_foreign::a_foreign_token_that_appears_during_a_login_is_adopted"],
    ),
    31: (
        "a foreign dead token",
        ["fleet/test_crowd::a_dead_token_from_a_foreign_writer_is_healed_by_one_login"],
    ),
    32: (
        "no torn local file",
        [
            "fleet/test_stampede::no_reader_ever_sees_a_torn_file",
            "fleet/test_killed::a_holder_killed_inside_a_local_write_leaves_nothing_torn_or_lost",
        ],
    ),
    33: ("forked processes", ["fleet/test_crowd::forked_children_share_one_login"]),
    34: (
        "threads",
        [
            "fleet/test_crowd::threads_poll_the_store_once",
            "fleet/test_crowd::threads_make_one_login",
            "test_session::threads_share_one_login_and_one_keepalive",
        ],
    ),
    35: (
        "lock junk",
        [
            "fleet/test_foreign::junk_in_place_of_the_lock_counts_as_held",
            "fleet/test_foreign::junk_in_place_of_the_lock_costs_one_time_to_live",
            "fleet/test_foreign::a_lock_from_the_future_stops_nobody",
            "fleet/test_foreign::a_lock_written_in_the_future_is_taken_after_one_time_to_live",
            "fleet/test_foreign::a_lock_that_cannot_be_read_or_written_makes_nobody_log_in",
        ],
    ),
}
"""By number: what it is, and the tests (module::name without "test_") that show it."""


def docstring_of(test: str) -> str:
    """Return a test's docstring; an AssertionError when there is no such test."""
    module, name = test.split("::")
    tree = ast.parse((TESTS / f"{module}.py").read_text())
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == f"test_{name}"
    ]
    assert len(found) == 1, test
    return ast.get_docstring(found[0]) or ""


def test_every_scenario_is_in_the_table() -> None:
    """All 35 are there."""
    assert list(SCENARIOS) == list(range(1, 36))


@pytest.mark.parametrize("number", SCENARIOS)
def test_a_scenario_has_its_tests(number: int) -> None:
    """Each named test exists, and those of the fleet name the scenario."""
    for test in SCENARIOS[number][1]:
        words = docstring_of(test)
        if test.startswith("fleet/"):
            named = re.match(r"Scenarios? ([\d, and]+):", words)
            assert named, test
            assert str(number) in re.findall(r"\d+", named.group(1)), test
