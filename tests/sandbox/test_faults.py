"""Every kind of fault, as a client sees it."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]


def _raw_keep_alive(sandbox: Sandbox, token: str) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    address = urlsplit(sandbox.identity_url).netloc
    connection = http.client.HTTPSConnection(address, context=context, timeout=20)
    headers = {"Accept": "application/json", "X-Authentication": token, "Content-Length": "0"}
    try:
        connection.request("POST", "/api/keepAlive", headers=headers)
        return connection.getresponse()
    finally:
        connection.close()


def _kept_alive(sandbox: Sandbox) -> bool:
    (session,) = sandbox.sessions()
    return session.kept_alive > session.issued


@pytest.mark.parametrize(("kind", "carried_out"), [("reset", False), ("lost", True)])
def test_a_reset_is_a_tcp_reset_before_or_after_the_effect(
    sandbox: Sandbox, kind: str, *, carried_out: bool
) -> None:
    """The client gets ECONNRESET; `lost` has done what was asked."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", kind)
    with pytest.raises(ConnectionResetError):
        _raw_keep_alive(sandbox, token)
    assert _kept_alive(sandbox) is carried_out
    (entry,) = sandbox.journal()
    assert (entry.fault, entry.status) == (kind, None)
    assert entry.outcome == ("SUCCESS" if carried_out else None)


def test_a_lost_login_leaves_a_session_behind(sandbox: Sandbox, certlogin: Post) -> None:
    """The account holder never learns its token."""
    sandbox.fault("certlogin", "lost")
    with pytest.raises(requests.ConnectionError):
        certlogin()
    assert len(sandbox.sessions()) == 1


@pytest.mark.parametrize("effect", [False, True])
def test_a_stall_never_answers(sandbox: Sandbox, on_session: Post, *, effect: bool) -> None:
    """The client's own time-out ends it, and the sandbox notices that it left."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "stall", effect=effect)
    with pytest.raises(requests.ReadTimeout):
        on_session("keepAlive", token, timeout=0.2)
    assert _kept_alive(sandbox) is effect
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_dripping_answer_defeats_a_read_timeout(
    sandbox: Sandbox, on_session: Post, part: str
) -> None:
    """Each byte comes in time, so only an overall deadline would end it; it does end whole."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "drip", seconds=0.001, part=part)
    assert on_session("keepAlive", token, timeout=1).json()["token"] == token


def test_a_client_that_gives_up_on_a_drip_does_no_harm(sandbox: Sandbox, on_session: Post) -> None:
    """The next request is answered as ever."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "drip", seconds=30, part="head")
    with pytest.raises(requests.ReadTimeout):
        on_session("keepAlive", token, timeout=0.2)
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


def test_a_delay_is_waited_for_and_then_answered(sandbox: Sandbox, on_session: Post) -> None:
    """A client with less patience times out, one with more is served."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "delay", seconds=60)
    with pytest.raises(requests.ReadTimeout):
        on_session("keepAlive", token, timeout=0.2)
    sandbox.fault("keepAlive", "delay", seconds=0.05)
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


def test_a_truncated_answer_is_shorter_than_promised(sandbox: Sandbox) -> None:
    """The client sees that bytes are missing."""
    sandbox.fault("keepAlive", "truncated")
    answer = _raw_keep_alive(sandbox, sandbox.issue())
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert caught.value.expected == 100


def test_a_cut_answer_is_whole_http_around_half_json(sandbox: Sandbox, on_session: Post) -> None:
    """Only the JSON is broken."""
    sandbox.fault("keepAlive", "cut")
    answer = on_session("keepAlive", sandbox.issue())
    assert answer.status_code == 200
    assert answer.text.startswith('{"token')
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "sent",
    [
        ("json", "application/json"),
        ("html", "text/html; charset=utf-8"),
        ("plain", "text/plain"),
    ],
)
def test_any_status_comes_with_any_body(
    sandbox: Sandbox, on_session: Post, status: int, sent: tuple[str, str]
) -> None:
    """A JSON body says FAIL and INTERNAL_ERROR."""
    body, content_type = sent
    sandbox.fault("keepAlive", f"status:{status}", body=body, retry_after=3)
    answer = on_session("keepAlive", sandbox.issue())
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.headers["Retry-After"] == "3"
    assert not _kept_alive(sandbox)
    if body == "json":
        assert answer.json()["error"] == "INTERNAL_ERROR"
    assert sandbox.journal()[0].status == status


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("blocked", (403, b"<!DOCTYPE html>")),
        ("html200", (200, b"<!DOCTYPE html>")),
        ("png200", (200, b"\x89PNG")),
        ("empty", (200, b"")),
        ("huge", (200, b'{"junk": "xxx')),
        ("internal_error", (200, b'{"token": ""')),
        ("non_object", (200, b"[]")),
    ],
)
def test_a_false_answer_takes_the_place_of_the_true_one(
    sandbox: Sandbox, on_session: Post, kind: str, seen: tuple[int, bytes]
) -> None:
    """It comes once, and the request is not carried out."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", kind)
    answer = on_session("keepAlive", token)
    assert (answer.status_code, answer.content[: len(seen[1])]) == seen
    assert not _kept_alive(sandbox)
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


def test_a_huge_answer_has_the_size_asked_for(sandbox: Sandbox, on_session: Post) -> None:
    """It is well-formed JSON, so that only its size is wrong."""
    sandbox.fault("keepAlive", "huge", size=3_000_000)
    answer = on_session("keepAlive", sandbox.issue())
    assert len(answer.content) == 3_000_000
    assert answer.json().keys() == {"junk"}


@pytest.mark.parametrize("body", ["null", "1", '"text"', '["SUCCESS"]'])
def test_json_that_is_no_object_may_be_chosen(
    sandbox: Sandbox, on_session: Post, body: str
) -> None:
    """Any JSON text will do."""
    sandbox.fault("keepAlive", "non_object", body=body)
    assert on_session("keepAlive", sandbox.issue()).json() == json.loads(body)


def test_internal_error_comes_in_the_shape_of_its_endpoint(
    sandbox: Sandbox, certlogin: Post, on_session: Post
) -> None:
    """FAIL with HTTP 200 for keepAlive, a login status for certlogin."""
    sandbox.fault("*", "internal_error", times=2)
    assert certlogin().json() == {"loginStatus": "INTERNAL_ERROR"}
    answer = on_session("keepAlive", sandbox.issue()).json()
    assert (answer["status"], answer["error"]) == ("FAIL", "INTERNAL_ERROR")


def test_a_redirect_that_is_followed_shows_in_the_journal(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """Its default target is the sandbox itself, which sees what a client carries there."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "redirect", times=2)
    url, headers = sandbox.identity_url + "keepAlive", {"X-Authentication": token}
    stayed = http.post(url, headers=headers, timeout=20, allow_redirects=False)
    assert (stayed.status_code, stayed.headers["Location"]) == (302, "/elsewhere")
    assert sandbox.counts() == {"keepAlive": 1}
    http.post(url, headers=headers, timeout=20)
    assert [entry.token for entry in sandbox.journal("other")] == [token]


def test_a_redirect_leads_wherever_it_is_told_to(sandbox: Sandbox, on_session: Post) -> None:
    """Another host, another status."""
    sandbox.fault("keepAlive", "redirect", location="https://elsewhere.invalid/", status=307)
    answer = on_session("keepAlive", sandbox.issue())
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.invalid/")


def test_keep_alive_can_rotate_the_token(sandbox: Sandbox, on_session: Post) -> None:
    """The answer carries another live token, and the old one is dead."""
    old = sandbox.issue()
    sandbox.fault("keepAlive", "rotate")
    new = on_session("keepAlive", old).json()["token"]
    assert [session.token for session in sandbox.sessions()] == [new]
    assert new != old


@pytest.mark.parametrize("value", ["", "x" * 5000, "two words", "a\r\nb: c", "\u00fc", None, 7])
def test_a_login_answer_can_carry_any_token(
    sandbox: Sandbox, certlogin: Post, login: Post, value: object
) -> None:
    """Both logins, with texts that must never become a header, and with what is no text."""
    sandbox.fault("*", "token", times=2, value=value)
    assert certlogin().json() == {"sessionToken": value, "loginStatus": "SUCCESS"}
    assert login().json()["token"] == value


def test_a_fault_hits_as_often_as_asked_after_those_it_skips(
    sandbox: Sandbox, on_session: Post
) -> None:
    """And it can be cleared."""
    token = sandbox.issue()

    def statuses(count: int) -> list[int]:
        return [on_session("keepAlive", token).status_code for _ in range(count)]

    sandbox.fault("keepAlive", "status:503", times=2, skip=1)
    assert statuses(4) == [200, 503, 503, 200]
    sandbox.fault("keepAlive", "status:503", times=None)
    assert statuses(3) == [503, 503, 503]
    sandbox.clear_faults()
    assert statuses(1) == [200]


def test_a_fault_may_be_told_to_let_the_request_be_carried_out(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """A 502 after the login happened leaves a session behind."""
    sandbox.fault("certlogin", "status:502", effect=True)
    assert certlogin().status_code == 502
    assert len(sandbox.sessions()) == 1
    assert (sandbox.journal()[0].outcome, sandbox.journal()[0].status) == ("SUCCESS", 502)


def test_a_token_fault_leaves_an_answer_that_is_a_page_alone(
    sandbox: Sandbox, on_session: Post
) -> None:
    """Only JSON has a token to replace."""
    sandbox.fault("keepAlive", "token", value="other")
    answer = on_session("keepAlive", sandbox.issue(), accept="*/*")
    assert (answer.status_code, answer.text[:15]) == (200, "<!DOCTYPE html>")
