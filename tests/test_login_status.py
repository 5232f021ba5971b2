"""The login statuses: classes, hints and waits."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from betfair_session.betfair.login_status import describe, known_codes, wait_after

FACTS = {
    row["status"]: row["class"]
    for row in csv.DictReader(
        (Path(__file__).parent / "data" / "login-status.tsv").read_text().splitlines(),
        delimiter="\t",
    )
}


def test_the_table_holds_every_known_code_with_its_class() -> None:
    """The table equals the published list of codes, no more and no less."""
    assert {code: describe(code).login_class for code in known_codes()} == FACTS
    assert len(FACTS) == 58


@pytest.mark.parametrize("code", FACTS)
def test_every_code_has_a_hint_for_people(code: str) -> None:
    """A hint is a whole sentence and does not just repeat the code."""
    hint = describe(code).hint
    assert hint[0].isupper()
    assert hint.endswith(".")
    assert code not in hint


@pytest.mark.parametrize("code", ["CERT_AUTH_REQUIRED", "INVALID_USERNAME_OR_PASSWORD"])
def test_misleading_codes_name_both_causes(code: str) -> None:
    """Both codes may mean the certificate or a badly encoded password, and the hints say so."""
    hint = describe(code).hint
    assert "Automated Betting Program Access" in hint
    assert "form-encoding" in hint


def test_the_ban_hint_says_how_long_and_that_sessions_live() -> None:
    """A banned caller learns to wait 20 minutes and to keep using the stored token."""
    status = describe("TEMPORARY_BAN_TOO_MANY_REQUESTS")
    assert "20 minutes" in status.hint
    assert "stay valid" in status.hint
    assert status.retry_after == timedelta(minutes=20)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("AUTHORIZED_ONLY_FOR_DOMAIN_ES", "spain"),
        ("AUTHORIZED_ONLY_FOR_DOMAIN_RO", "romania"),
        ("AUTHORIZED_ONLY_FOR_DOMAIN_SE", "sweden"),
    ],
)
def test_a_wrong_domain_names_the_jurisdiction_to_set(code: str, name: str) -> None:
    """Where Betfair says which domain is right, the hint says which jurisdiction that is."""
    assert f'"{name}"' in describe(code).hint


def test_an_unknown_code_passes_through_by_name() -> None:
    """A code that nobody has seen yet keeps its name and gets the class "unknown"."""
    status = describe("MOON_PHASE_UNSUITABLE")
    assert status.code == "MOON_PHASE_UNSUITABLE"
    assert status.login_class == "unknown"
    assert status.hint
    assert status.retry_after == timedelta(seconds=15)


@pytest.mark.parametrize("login_class", sorted(set(FACTS.values()) - {"ban", "temporary"}))
def test_refusals_that_need_a_person_back_off(login_class: str) -> None:
    """Each refusal in a row makes the next login wait longer, up to 15 minutes."""
    seconds = [wait_after(login_class, count).total_seconds() for count in range(1, 7)]
    assert seconds == [15, 60, 300, 900, 900, 900]


@pytest.mark.parametrize("login_class", ["temporary", "unknown", "store", "never heard of"])
def test_refusals_that_may_pass_wait_shortly_each_time(login_class: str) -> None:
    """What may pass by itself waits 15 seconds, however often it came."""
    assert {wait_after(login_class, count) for count in (1, 2, 9)} == {timedelta(seconds=15)}


def test_a_ban_waits_20_minutes_each_time() -> None:
    """Betfair's ban has one length."""
    assert {wait_after("ban", count) for count in (1, 5)} == {timedelta(minutes=20)}


@pytest.mark.parametrize("refusals", [0, -3])
def test_a_count_below_one_counts_as_the_first(refusals: int) -> None:
    """A count that makes no sense never gives a wait below the first."""
    assert wait_after("credentials", refusals) == timedelta(seconds=15)


def test_the_module_loads_nothing_heavy() -> None:
    """Looking up a code needs no HTTP, TLS or certificate library."""
    code = (
        "import sys, betfair_session.betfair.login_status, betfair_session.betfair.jurisdictions\n"
        "print({'requests', 'ssl', 'cryptography', 'fsspec'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
