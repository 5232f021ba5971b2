"""Whatever a server answers: a verdict or "cannot tell", and nothing of it gets out unredacted."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from secrets_shown import everything_in

from betfair_session.betfair.answers import (
    EXCERPT_CHARACTERS,
    Answer,
    Endpoint,
    is_passing,
    read_login,
    read_session,
)
from betfair_session.betfair.jurisdictions import JURISDICTIONS, is_betfairs, jurisdiction
from betfair_session.betfair.login_status import describe, known_codes, wait_after
from betfair_session.exceptions import (
    Blocked,
    ConfigurationError,
    IdentityError,
    IdentityUnavailable,
    LoginRefused,
)
from betfair_session.secret import Secret
from betfair_session.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "q7Zk+9/xW3="
SENT = Secret("TheTokenThatWasSent")
ENDPOINT = Endpoint("keepAlive", "https://[::1]:1/api/")
CERTLOGIN = Endpoint("certlogin", "https://[::1]:1/api/")

# Also with both cores busy.
calmly = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

marked = st.builds(lambda before, after: before + MARK + after, st.text(), st.text())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | marked,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | marked, inner),
    max_leaves=8,
)
fields = st.sampled_from(
    ["token", "sessionToken", "status", "loginStatus", "error", "product", "x"]
)
words = st.sampled_from(["SUCCESS", "FAIL", "LIMITED_ACCESS", "NO_SESSION", "INTERNAL_ERROR"])
objects = st.dictionaries(fields, words | values)
bodies = (
    objects.map(lambda value: json.dumps(value).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | st.builds(lambda a, b: a + MARK.encode() + b, st.binary(), st.binary())
)
statuses = st.sampled_from([200, 200, 200, 204, 301, 400, 403, 404, 429, 500, 503])


def outcome(read: Callable[[], Secret | None]) -> Secret | IdentityError | None:
    """Return what came of a reading, the error if it was one."""
    try:
        return read()
    except IdentityError as error:
        return error


def readings(answer: Answer) -> list[Any]:
    """Read an answer in each of the three ways; return results and errors."""
    return [
        outcome(lambda: read_login(CERTLOGIN, answer)[0]),
        outcome(lambda: read_login(ENDPOINT, answer)[0]),
        outcome(lambda: read_session(ENDPOINT, answer, SENT)),
    ]


@calmly
@given(statuses, bodies)
def test_nothing_of_an_answer_is_shown_but_codes(status: int, body: bytes) -> None:
    """No text of a server's reaches an error or our frames, and only a 200 is a verdict."""
    for found in readings(Answer(status, body, (SENT,))):
        if isinstance(found, IdentityError):
            shown = everything_in(found)
            assert MARK not in shown
            assert SENT.reveal() not in shown
        elif found is not None:
            assert is_token(found.reveal())
            assert MARK not in repr(found)
        if status != 200:
            assert isinstance(found, IdentityUnavailable)
            assert isinstance(found, Blocked) == (status == 403)


@calmly
@given(objects)
def test_dead_takes_fail_and_one_of_two_codes(value: dict[str, Any]) -> None:
    """And nothing else is dead."""
    found = readings(Answer(200, json.dumps(value).encode()))[2]
    dead = value.get("status") == "FAIL" and value.get("error") == "NO_SESSION"
    assert (found is None) == dead


@calmly
@given(st.text() | marked | st.sampled_from(["A" * 64, "A" * 65, "A_1", "1A", "a", "A\n"]))
def test_a_refusals_code_looks_like_a_code(status: str) -> None:
    """Anything else is no answer, so that no text of a server's becomes a status."""
    found = readings(Answer(200, json.dumps({"loginStatus": status}).encode()))[0]
    letters = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    code = 0 < len(status) <= 64 and status[0] in letters - set("0123456789_") and (
        set(status) <= letters
    )  # fmt: skip
    assert isinstance(found, LoginRefused) == (code and status != "SUCCESS")


@pytest.mark.parametrize(
    ("way", "body", "expected"),
    [
        (0, {"loginStatus": "SUCCESS", "sessionToken": "new"}, "new"),
        (1, {"status": "SUCCESS", "token": "new"}, "new"),
        (1, {"status": "LIMITED_ACCESS", "token": "new"}, "new"),
        (2, {"status": "SUCCESS", "token": "another"}, "another"),
        (2, {"status": "SUCCESS", "token": "a b"}, SENT.reveal()),
        (2, {"status": "SUCCESS"}, SENT.reveal()),
        (2, {"status": "FAIL", "error": "NO_SESSION"}, None),
        (2, {"status": "FAIL", "error": "INPUT_VALIDATION_ERROR"}, None),
        (0, {"loginStatus": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        (1, {"status": "FAIL", "error": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        (1, {"status": "ACCOUNT_NOW_LOCKED"}, LoginRefused),
        (0, {}, IdentityUnavailable),
        (0, {"loginStatus": "SUCCESS"}, IdentityUnavailable),
        (0, {"loginStatus": "SUCCESS", "sessionToken": "a b"}, IdentityUnavailable),
        (0, {"status": "SUCCESS", "token": "new"}, IdentityUnavailable),
        (1, {}, IdentityUnavailable),
        (1, {"status": "SUCCESS"}, IdentityUnavailable),
        (2, {}, IdentityUnavailable),
        (2, {"status": "NO_SESSION"}, IdentityUnavailable),
        (2, {"error": "NO_SESSION"}, IdentityUnavailable),
        (2, {"status": "FAIL"}, IdentityUnavailable),
        (2, {"status": "FAIL", "error": "INTERNAL_ERROR"}, IdentityUnavailable),
        (2, {"status": "FAIL", "error": "no session"}, IdentityUnavailable),
        (2, [{"status": "FAIL", "error": "NO_SESSION"}], IdentityUnavailable),
    ],
)
def test_what_an_answer_means(way: int, body: object, expected: Any) -> None:  # noqa: ANN401
    """By certlogin, the interactive login, or keepAlive and logout."""
    found: Any = readings(Answer(200, json.dumps(body).encode()))[way]
    if isinstance(expected, type):
        kind = type(found)
        assert kind is expected
        endpoint = ENDPOINT if way else CERTLOGIN
        told = (endpoint.name, "[::1]:1", 200)
        assert (found.endpoint, found.host, found.status_code) == told
        if isinstance(found, LoginRefused):
            assert (found.status, found.login_class) == ("ACCOUNT_NOW_LOCKED", "account")
    else:
        assert (found and found.reveal()) == expected


def test_limited_access_is_told_with_the_token() -> None:
    """Only for that status."""
    for status, limited in (("SUCCESS", False), ("LIMITED_ACCESS", True)):
        body = json.dumps({"status": status, "token": "new"}).encode()
        assert read_login(ENDPOINT, Answer(200, body)) == (Secret("new"), limited)


def test_a_refusal_without_an_error_goes_by_its_status() -> None:
    """FAIL alone is a code as well."""
    found = readings(Answer(200, b'{"status": "FAIL"}'))[1]
    assert (type(found), found.status, found.login_class) == (LoginRefused, "FAIL", "unknown")


@calmly
@given(st.binary() | st.text().map(str.encode))
def test_an_excerpt_is_short_and_plain(page: bytes) -> None:
    """Letters and a little punctuation, whatever the page holds."""
    excerpt = Answer(403, page + SENT.reveal().encode() + b" " + page, (SENT,)).excerpt()
    assert len(excerpt) <= EXCERPT_CHARACTERS
    assert excerpt.isascii()
    assert not set(excerpt) & set("0123456789<>{}[]=+/\\&;%\n\r\t")
    assert SENT.reveal() not in excerpt


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b"<html><script>var a = 1;</script><p>Access <b>denied</b>.</p>", "Access denied"),
        (b"<style>p { x: y }</style>You are blocked, sorry", "You are blocked, sorry"),
        (b"Request id 0123 was refused", "Request id was refused"),
        (b"<title>No entry</title><h1>No entry</h1> today", "No entry No entry today"),
        (b"<title>No entry</title><p>Sorry.</p>", "No entry Sorry."),
        (b"<TITLE>No entry</TITLE>", "No entry"),
        (b"<title lang=en>No entry", "No entry"),
        (b"word " * 100, ("word " * 32).rstrip()),
        (b"Not thetokenthatwassent, sorry", "Not sorry"),
        (b"Not TheTokenThatWasSent here", "Not here"),
        (b"<unclosed", ""),
        (b"", ""),
    ],
)
def test_an_excerpt_reads_like_the_page(page: bytes, expected: str) -> None:
    """What a person would have read, without markup, scripts, numbers and what was sent."""
    assert Answer(403, page, (SENT, Secret(""))).excerpt() == expected


def test_what_may_pass_by_itself() -> None:
    """429 and 5xx, and no other status."""
    passing = {status for status in range(100, 600) if is_passing(status)}
    assert passing == {429, *range(500, 600)}


# --- login statuses: tests/data/login-status.tsv is the published list ----------------------------

FACTS = {
    row["status"]: row["class"]
    for row in csv.DictReader(
        (Path(__file__).parent / "data" / "login-status.tsv").read_text().splitlines(),
        delimiter="\t",
    )
}


def test_the_table_holds_every_known_code_with_its_class_and_a_hint() -> None:
    """No more and no less; an unknown code keeps its name."""
    assert {code: describe(code).login_class for code in known_codes()} == FACTS
    assert len(FACTS) == 58
    for code in [*FACTS, "MOON_PHASE_UNSUITABLE"]:
        status = describe(code)
        assert (status.code, status.login_class) == (code, FACTS.get(code, "unknown"))
        assert status.hint.endswith(".")
        assert code not in status.hint
        assert status.retry_after == wait_after(status.login_class, 1)
    for ending, name in (("ES", "spain"), ("RO", "romania"), ("SE", "sweden")):
        assert f'"{name}"' in describe(f"AUTHORIZED_ONLY_FOR_DOMAIN_{ending}").hint


@pytest.mark.parametrize("login_class", sorted({*FACTS.values(), "unknown", "never heard of"}))
def test_how_long_no_login_is_sent_after_refusals(login_class: str) -> None:
    """Those that need a person back off up to 15 minutes; a ban lasts 20."""
    ladder = [15, 15, 60, 300, 900, 900]
    seconds = {
        "ban": [1200] * 6,
        "temporary": [15] * 6,
        "unknown": [15] * 6,
        "never heard of": [15] * 6,
    }.get(login_class, ladder)
    assert [wait_after(login_class, count).total_seconds() for count in (0, 1, 2, 3, 4, 9)] == (
        seconds
    )


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
    """As Betfair's pages give them; what nobody could check is marked."""
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


@pytest.mark.parametrize("name", ["", "internationl", "uk", "france", "denmark", "DK", None, 7])
def test_an_unknown_name_is_never_taken_for_another(name: Any) -> None:  # noqa: ANN401
    """Denmark is one, since it has no certificate login."""
    with pytest.raises(ConfigurationError) as caught:
        jurisdiction(name)
    assert caught.value.argument == "jurisdiction"


@pytest.mark.parametrize(
    ("host", "theirs"),
    [
        *((place.identity_host, True) for place in JURISDICTIONS.values()),
        ("Identitysso.Betfair.Com.Au", True),
        ("betfair.it", True),
        ("notbetfair.com", False),
        ("betfair.com.example.org", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_betfairs_domains_are_known(host: str, *, theirs: bool) -> None:
    """And no other's is taken for one."""
    assert is_betfairs(host) == theirs
