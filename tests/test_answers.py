"""Whatever a server answers: a verdict or "cannot tell", and nothing of it gets out unredacted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from secrets_shown import everything_in

from betfair_session.betfair.answers import (
    EXCERPT_CHARACTERS,
    Answer,
    Endpoint,
    read_certlogin,
    read_login,
    read_session,
)
from betfair_session.betfair.login_status import describe
from betfair_session.exceptions import Blocked, IdentityError, IdentityUnavailable, LoginRefused
from betfair_session.secret import Secret
from betfair_session.tokens import is_token

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "q7Zk+9/xW3="
SENT = Secret("TheTokenThatWasSent")
ENDPOINT = Endpoint("keepAlive", "https://localhost:1/api/")

marked = st.builds(lambda before, after: before + MARK + after, st.text(), st.text())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | marked,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | marked, inner),
)
fields = st.sampled_from(
    ["token", "sessionToken", "status", "loginStatus", "error", "product", "x"]
)
words = st.sampled_from(["SUCCESS", "FAIL", "LIMITED_ACCESS", "NO_SESSION", "INTERNAL_ERROR"])
objects = st.dictionaries(fields, words | values)
bodies = (
    objects.map(lambda value: json.dumps(value).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | st.binary()
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
        outcome(lambda: read_certlogin(ENDPOINT, answer)),
        outcome(lambda: read_login(ENDPOINT, answer)[0]),
        outcome(lambda: read_session(ENDPOINT, answer, SENT)),
    ]


@given(statuses, bodies)
def test_nothing_of_an_answer_is_shown_but_codes(status: int, body: bytes) -> None:
    """No text of a server's reaches an exception, its attributes or our frames' variables."""
    for found in readings(Answer(status, body, (SENT,))):
        if isinstance(found, IdentityError):
            shown = everything_in(found)
            assert MARK not in shown
            assert SENT.reveal() not in shown
        elif found is not None:
            assert is_token(found.reveal())
            assert MARK not in repr(found)


@given(statuses.filter(lambda status: status != 200), bodies)
def test_only_a_200_is_a_verdict(status: int, body: bytes) -> None:
    """JSON with any other status says nothing, whatever it says."""
    for found in readings(Answer(status, body)):
        assert isinstance(found, IdentityUnavailable)
        assert isinstance(found, Blocked) == (status == 403)


@given(objects)
def test_dead_takes_fail_and_one_of_two_codes(value: dict[str, Any]) -> None:
    """And nothing else is dead."""
    found = readings(Answer(200, json.dumps(value).encode()))[2]
    dead = value.get("status") == "FAIL" and value.get("error") == "NO_SESSION"
    assert (found is None) == dead


@given(st.text() | marked)
def test_a_refusals_code_looks_like_a_code(status: str) -> None:
    """Anything else is no answer, so that no text of a server's becomes a status."""
    body = json.dumps({"loginStatus": status}).encode()
    found = readings(Answer(200, body))[0]
    if isinstance(found, LoginRefused):
        assert found.status == status
        assert set(status) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


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
        (b"<title>No entry</title><h1>No entry</h1> today", "No entry today"),
        (b"<title>No entry</title><p>Sorry.</p>", "No entry Sorry."),
        (b"<TITLE>No entry</TITLE>", "No entry"),
        (b"<unclosed", ""),
        (b"", ""),
    ],
)
def test_an_excerpt_reads_like_the_page(page: bytes, expected: str) -> None:
    """What a person would have read, without markup, scripts and numbers."""
    assert Answer(403, page).excerpt() == expected


ABOUT = {"endpoint": "keepAlive", "host": "localhost:1"}
NO_VERDICT = "Betfair gave no verdict on keepAlive at localhost:1: "


@pytest.mark.parametrize(
    ("way", "status", "body", "told"),
    [
        (0, 200, "{}", "an answer without a loginStatus"),
        (0, 200, '{"loginStatus": "SUCCESS"}', "SUCCESS without a usable token"),
        (
            0,
            200,
            '{"loginStatus": "SUCCESS", "sessionToken": "a b"}',
            "SUCCESS without a usable token",
        ),
        (1, 200, "{}", "an answer without a status"),
        (1, 200, '{"status": "SUCCESS"}', "SUCCESS without a usable token"),
        (1, 200, '{"status": "LIMITED_ACCESS"}', "SUCCESS without a usable token"),
        (2, 200, "{}", "an answer without a status"),
        (2, 200, '{"status": "FAIL"}', "FAIL, no known error code"),
        (2, 200, '{"status": "FAIL", "error": "INTERNAL_ERROR"}', "FAIL, INTERNAL_ERROR"),
        (2, 200, '{"status": "FAIL", "error": "of-mine"}', "FAIL, no known error code"),
        (2, 200, "[]", "an answer that is no JSON object"),
        (2, 503, "{}", "it is down or overloaded (HTTP 503)"),
        (2, 500, "{}", "HTTP 500"),
        (2, 301, "{}", "HTTP 301"),
    ],
)
def test_what_is_no_verdict_is_told_to_the_letter(
    way: int, status: int, body: str, told: str
) -> None:
    """With the endpoint, the host and the status, for programs."""
    error = readings(Answer(status, body.encode()))[way]
    assert type(error) is IdentityUnavailable
    assert (str(error), vars(error)) == (NO_VERDICT + told, {**ABOUT, "status_code": status})


@pytest.mark.parametrize(
    ("page", "says"), [(b"<p>Not from here.</p>", "Not from here."), (b"", "nothing")]
)
def test_a_block_is_told_to_the_letter(page: bytes, says: str) -> None:
    """With what its page says."""
    for error in readings(Answer(403, page)):
        assert type(error) is Blocked
        assert str(error) == (
            "localhost:1 answered keepAlive with HTTP 403: this address is blocked, most likely "
            "for its country or hosting provider; run where Betfair may be used from. "
            f"The page says: {says}"
        )
        assert vars(error) == {**ABOUT, "status_code": 403}


@pytest.mark.parametrize(
    ("way", "body", "status"),
    [
        (0, '{"loginStatus": "ACCOUNT_NOW_LOCKED"}', "ACCOUNT_NOW_LOCKED"),
        (1, '{"status": "FAIL", "error": "ACCOUNT_NOW_LOCKED"}', "ACCOUNT_NOW_LOCKED"),
        (1, '{"status": "ACCOUNT_NOW_LOCKED"}', "ACCOUNT_NOW_LOCKED"),
        (1, '{"status": "FAIL"}', "FAIL"),
    ],
)
def test_a_refusal_is_told_to_the_letter(way: int, body: str, status: str) -> None:
    """With what to do, and everything that programs need."""
    error = readings(Answer(200, body.encode()))[way]
    meaning = describe(status)
    assert type(error) is LoginRefused
    assert str(error) == f"Betfair refused the login: {status}. {meaning.hint}"
    expected = {**ABOUT, "status_code": 200, "status": status, "login_class": meaning.login_class}
    assert {name: getattr(error, name) for name in expected} == expected


def test_a_token_in_the_answer_goes_before_the_one_that_was_sent() -> None:
    """If it is one; Betfair echoes what it was sent."""
    for token, expected in (("another", "another"), ("a b", "TheTokenThatWasSent"), ("", None)):
        found = readings(Answer(200, json.dumps({"status": "SUCCESS", "token": token}).encode()))
        assert found[2].reveal() == (expected or SENT.reveal())
