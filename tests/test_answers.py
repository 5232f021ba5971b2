"""Any answer of a server means alive, dead, a refusal or "cannot tell", and is shown redacted."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from secrets_shown import everything_in

from betfair_session.betfair.answers import (
    Answer,
    Endpoint,
    read_login,
    read_session,
)
from betfair_session.betfair.jurisdictions import JURISDICTIONS, jurisdiction
from betfair_session.betfair.login_status import CODES, after_refusal, describe
from betfair_session.exceptions import (
    Blocked,
    ConfigurationError,
    IdentityError,
    IdentityUnavailable,
    LoginRefused,
)
from betfair_session.secret import Secret

SENT = Secret("TheTokenThatWasSent")
BASE = "https://[::1]:1/api/"


def readings(answer: Answer) -> dict[str, Any]:
    """Read an answer as each endpoint's; return results and errors."""
    found: dict[str, Any] = {}
    for name in ("certlogin", "login", "keepAlive"):
        endpoint = Endpoint(name, BASE)
        try:
            found[name] = (
                read_session(endpoint, answer, SENT)
                if name == "keepAlive"
                else read_login(endpoint, answer, {"password": Secret(' "')})[0]
            )
        except IdentityError as error:
            found[name] = error
    return found


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("certlogin", {"loginStatus": "SUCCESS", "sessionToken": "new"}, "new"),
        ("certlogin", {"loginStatus": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        ("certlogin", {"loginStatus": "ACCOUNT_NOW_LOCKED", "error": "X"}, LoginRefused),
        ("certlogin", {"loginStatus": "LIMITED_ACCESS", "sessionToken": "new"}, LoginRefused),
        ("certlogin", {"loginStatus": "A" * 64}, LoginRefused),
        *(
            ("certlogin", {"loginStatus": code}, IdentityUnavailable)
            for code in ("A" * 65, "1A", "a", "A\n", "A B", "", None, 7, ["A"])
        ),
        ("certlogin", {"loginStatus": "SUCCESS"}, IdentityUnavailable),
        ("certlogin", {"loginStatus": "SUCCESS", "sessionToken": "a b"}, IdentityUnavailable),
        ("certlogin", {"status": "SUCCESS", "token": "new"}, IdentityUnavailable),
        ("login", {"status": "SUCCESS", "token": "new"}, "new"),
        ("login", {"status": "LIMITED_ACCESS", "token": "new"}, "new"),
        ("login", {"status": "FAIL", "error": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        ("login", {"status": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        ("login", {}, IdentityUnavailable),
        ("login", {"status": "SUCCESS"}, IdentityUnavailable),
        ("keepAlive", {"status": "SUCCESS", "token": "another"}, "another"),
        ("keepAlive", {"status": "SUCCESS", "token": "a b"}, SENT.reveal()),
        ("keepAlive", {"status": "SUCCESS"}, SENT.reveal()),
        ("keepAlive", {"status": "FAIL", "error": "NO_SESSION"}, None),
        ("keepAlive", {"status": "FAIL", "error": "INPUT_VALIDATION_ERROR"}, None),
        *(
            ("keepAlive", body, IdentityUnavailable)
            for body in (
                {},
                [],
                [{"status": "FAIL", "error": "NO_SESSION"}],
                {"status": "NO_SESSION"},
                {"error": "NO_SESSION"},
                {"status": "FAIL"},
                {"status": "FAIL", "error": "INTERNAL_ERROR"},
                {"status": "FAIL", "error": "no session"},
            )
        ),
    ],
)
def test_what_an_answer_means(name: str, body: object, expected: Any) -> None:  # noqa: ANN401
    found: Any = readings(Answer(200, json.dumps(body).encode()))[name]
    if not isinstance(expected, type):
        assert (found and found.reveal()) == expected
        return
    kind = type(found)
    assert kind is expected
    assert (found.endpoint, found.host, found.status_code) == (name, "[::1]:1", 200)
    if "ACCOUNT_NOW_LOCKED" in str(body):
        told = (found.status, found.login_class, found.suspects)
        assert told == ("ACCOUNT_NOW_LOCKED", "account", {})


@pytest.mark.parametrize("name", ["keepAlive", "login"])
def test_an_answer_that_says_two_things_is_not_clear(name: str) -> None:
    """Whichever member a reader takes."""
    said = ('"status": "SUCCESS", "token": "new"', '"status": "FAIL", "error": "NO_SESSION"')
    for body in (f"{{{said[0]}, {said[1]}}}", f"{{{said[1]}, {said[0]}}}"):
        assert isinstance(readings(Answer(200, body.encode()))[name], IdentityUnavailable)


def test_a_code_that_repeats_a_secret_is_not_shown() -> None:
    sent = (Secret("HUNTER2"), Secret("CLOSED"))
    for code, told in (("HUNTER2", "UNKNOWN"), ("HUNTER3", "HUNTER3"), ("CLOSED", "CLOSED")):
        body = json.dumps({"loginStatus": code, "status": "FAIL", "error": code}).encode()
        found = readings(Answer(200, body, sent))
        assert (found["certlogin"].status, found["login"].status) == (told, told)
        assert (code in str(found["keepAlive"])) == (code == "HUNTER3")


def test_only_a_200_says_anything() -> None:
    alive = {"status": "SUCCESS", "token": "t", "loginStatus": "SUCCESS", "sessionToken": "t"}
    dead = {"status": "FAIL", "error": "NO_SESSION", "loginStatus": "CLOSED"}
    for status in (204, 301, 400, 403, 404, 429, 500, 503):
        for said in (alive, dead):
            found = readings(Answer(status, json.dumps(said).encode()))
            kind = Blocked if status == 403 else IdentityUnavailable
            assert {type(each) for each in found.values()} == {kind}


def test_no_text_of_a_server_is_shown_but_codes() -> None:
    """Nor is it in a frame of ours, whatever is no 200 or no object."""
    mark = "q7Zk+9/xW3="
    said = {"status": mark, "error": mark, "loginStatus": mark, "token": [mark], "x": mark}
    for body in (mark, [mark], said, {**said, "token": mark, "sessionToken": mark}):
        for status in (200, 301, 503):
            for found in readings(Answer(status, json.dumps(body).encode())).values():
                assert type(found) is IdentityUnavailable
                assert found.status_code == status
                assert mark not in everything_in(found)


@pytest.mark.parametrize("form", [str, html.escape, json.dumps, quote, str.upper, str.title])
def test_no_word_of_a_page_is_quoted(form: Callable[[str], str]) -> None:
    """It may repeat what was sent."""
    sent = Secret('plantedcorrect "plantedhorse" & plantedbattery\'s')
    page = f"<p>The request {form(sent.reveal())} was blocked.".encode()
    for status in (200, 403, 500):
        assert "planted" not in str(readings(Answer(status, page, (sent,)))["login"]).lower()


# --- login statuses: tests/data/login-status.tsv is the published list ----------------------------

TABLE = (Path(__file__).parent / "data" / "login-status.tsv").read_text().splitlines()
FACTS = {row["status"]: row["class"] for row in csv.DictReader(TABLE, delimiter="\t")}


def test_the_table_holds_every_known_code_with_its_class_and_a_hint() -> None:
    assert {code: name for name, codes in CODES.items() for code in codes} == FACTS
    for code in [*FACTS, "MOON_PHASE_UNSUITABLE"]:
        status = describe(code)
        assert status.login_class == FACTS.get(code, "unknown")
        assert status.hint.endswith(".")
        assert code not in status.hint
    for ending, name in (("ES", "spain"), ("RO", "romania"), ("SE", "sweden")):
        assert f'"{name}"' in describe(f"AUTHORIZED_ONLY_FOR_DOMAIN_{ending}").hint


@pytest.mark.parametrize("login_class", sorted({*FACTS.values(), "unknown", "never heard of"}))
def test_how_long_no_login_is_sent_after_refusals(login_class: str) -> None:
    short = dict.fromkeys(["temporary", "unknown", "never heard of"], [15] * 6)
    seconds = {"ban": [1200] * 6, **short}.get(login_class, [15, 15, 60, 300, 900, 900])
    counts = (-1, 0, 1, 2, 3, 8)
    waits = [after_refusal(login_class, count) for count in counts]
    more = login_class not in short  # what passes by itself lengthens no later wait
    assert waits == [(wait, count + more) for wait, count in zip(seconds, counts, strict=True)]


# --- jurisdictions --------------------------------------------------------------------------------

PLACES = {  # identity host, certlogin host, betting API, minutes of a session, country code
    "international": ("identitysso.betfair.com", "-cert.betfair.com", "betfair.com", 720, "com"),
    "australia": ("identitysso.betfair.au", "-cert.betfair.com.au", "betfair.com", 0, "au"),
    "new_zealand": ("identitysso.betfair.au", "-cert.betfair.com.au", "betfair.com.au", 0, "nz"),
    "italy": ("identitysso.betfair.it", "-cert.betfair.it", "betfair.com", 20, "it"),
    "spain": ("identitysso.betfair.es", "-cert.betfair.es", "betfair.com", 20, "es"),
    "romania": ("identitysso.betfair.ro", "-cert.betfair.ro", "betfair.com", 0, "ro"),
    "sweden": ("identitysso.betfair.se", "-cert.betfair.se", "betfair.com", 0, "se"),
    "brazil": ("identitysso.betfair.com", "-cert.betfair.com", "betfair.com", 0, "br"),
}


def test_the_jurisdictions_hosts_lengths_and_names() -> None:
    assert set(JURISDICTIONS) == set(PLACES)
    for name, (host, cert, api, minutes, code) in PLACES.items():
        place = JURISDICTIONS[name]
        assert (place.name, place.identity_host, place.api_host) == (name, host, f"api.{api}")
        assert place.identity_url == f"https://{host}/api/"
        assert place.identity_cert_url == f"https://identitysso{cert}/api/"
        assert place.api_url == f"https://api.{api}/exchange/"
        assert place.session_length == (timedelta(minutes=minutes) if minutes else None)
        for alias in (name, name.upper(), code, code.upper()):
            assert jurisdiction(alias) is place
    assert jurisdiction("NEW-Zealand").name == "new_zealand"
    unsure = {name for name, place in JURISDICTIONS.items() if place.unsure}
    assert unsure == {"australia", "new_zealand", "sweden", "brazil"}
    for wrong in ("", "internationl", "uk", "france", "denmark", "DK", None, 7):
        with pytest.raises(ConfigurationError) as caught:
            jurisdiction(wrong)  # type: ignore[arg-type] # what is tested
        assert caught.value.argument == "jurisdiction"
