"""Every kind of fault as a client sees it, and what a test may hold, watch and put back."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from betfair_session.sandbox import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]


def raw_keep_alive(sandbox: Sandbox, token: str, timeout: float = 20) -> http.client.HTTPResponse:
    """Ask by the standard library alone."""
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    address = urlsplit(sandbox.identity_url).netloc
    connection = http.client.HTTPSConnection(address, context=context, timeout=timeout)
    headers = {"Accept": "application/json", "X-Authentication": token, "Content-Length": "0"}
    try:
        connection.request("POST", "/api/keepAlive", headers=headers)
        return connection.getresponse()
    finally:
        connection.close()


def kept_alive(sandbox: Sandbox) -> bool:
    """Tell whether the one session was extended."""
    (session,) = sandbox.sessions()
    return session.kept_alive > session.issued


@pytest.mark.parametrize(
    ("fault", "carried_out"),
    [
        ({"kind": "reset"}, False),
        ({"kind": "lost"}, True),
        ({"kind": "stall"}, False),
        ({"kind": "stall", "effect": True}, True),
        ({"kind": "delay", "seconds": 60}, False),
        ({"kind": "drip", "seconds": 30, "part": "head"}, True),
    ],
)
def test_a_fault_that_gives_no_answer(
    sandbox: Sandbox, on_session: Post, fault: dict[str, Any], *, carried_out: bool
) -> None:
    """A TCP reset, or the client's own time-out; the next request is answered as ever."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", **fault)
    with pytest.raises((ConnectionResetError, TimeoutError)) as caught:
        raw_keep_alive(sandbox, token, timeout=0.3)
    assert isinstance(caught.value, ConnectionResetError) == (fault["kind"] in ("reset", "lost"))
    assert kept_alive(sandbox) is carried_out
    entry = sandbox.journal()[0]
    assert entry.fault == fault["kind"]
    assert entry.outcome in ({"SUCCESS"} if carried_out else {None, "FAULT"})
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


def test_an_answer_that_comes_late_or_broken(sandbox: Sandbox, on_session: Post) -> None:
    """Byte by byte, later, shorter than promised, or whole HTTP around half JSON."""
    token = sandbox.issue()
    for part in ("head", "body"):
        sandbox.fault("keepAlive", "drip", seconds=0.001, part=part)
        assert on_session("keepAlive", token, timeout=1).json()["token"] == token
    sandbox.fault("keepAlive", "delay", seconds=0.05)
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"
    sandbox.fault("keepAlive", "truncated")
    answer = raw_keep_alive(sandbox, token)
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    assert caught.value.expected == 100
    sandbox.fault("keepAlive", "cut")
    cut = on_session("keepAlive", token)
    assert (cut.status_code, cut.text[:7]) == (200, '{"token')
    with pytest.raises(requests.JSONDecodeError):
        cut.json()


def test_any_status_comes_with_any_body(sandbox: Sandbox, on_session: Post) -> None:
    """A JSON body says FAIL and INTERNAL_ERROR."""
    token = sandbox.issue()
    for status, body, content_type in (
        (429, "json", "application/json"),
        (500, "html", "text/html; charset=utf-8"),
        (503, "plain", "text/plain"),
    ):
        sandbox.fault("keepAlive", f"status:{status}", body=body, retry_after=3)
        answer = on_session("keepAlive", token)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
        assert answer.headers["Retry-After"] == "3"
        assert body != "json" or answer.json()["error"] == "INTERNAL_ERROR"
        assert sandbox.journal()[-1].status == status
    assert not kept_alive(sandbox)


FALSE: list[tuple[dict[str, Any], int, bytes]] = [
    ({"kind": "blocked"}, 403, b"<!DOCTYPE html>"),
    ({"kind": "html200"}, 200, b"<!DOCTYPE html>"),
    ({"kind": "png200"}, 200, b"\x89PNG"),
    ({"kind": "empty"}, 200, b""),
    ({"kind": "huge"}, 200, b'{"junk": "xxx'),
    ({"kind": "internal_error"}, 200, b'{"token": ""'),
    ({"kind": "non_object"}, 200, b"[]"),
    ({"kind": "non_object", "body": "null"}, 200, b"null"),
]


def test_a_false_answer_takes_the_place_of_the_true_one(sandbox: Sandbox, on_session: Post) -> None:
    """It comes once, and the request is not carried out."""
    for fault, status, start in FALSE:
        sandbox.expire_all()
        token = sandbox.issue()
        sandbox.fault("keepAlive", **fault)
        answer = on_session("keepAlive", token)
        assert (answer.status_code, answer.content[: len(start)]) == (status, start)
        assert (answer.content == b"") == (fault["kind"] == "empty")
        assert not kept_alive(sandbox)
        assert on_session("keepAlive", token).json()["status"] == "SUCCESS"


def test_answers_can_carry_any_token(
    sandbox: Sandbox, certlogin: Post, login: Post, on_session: Post
) -> None:
    """Texts that must never become a header, no text at all, or another live one."""
    for value in ("", "x" * 5000, "two words", "a\r\nb: c", "\u00fc", None, 7):
        sandbox.fault("*", "token", times=2, value=value)
        assert certlogin().json() == {"sessionToken": value, "loginStatus": "SUCCESS"}
        assert login().json()["token"] == value
    sandbox.expire_all()
    old = sandbox.issue()
    sandbox.fault("keepAlive", "rotate")
    new = on_session("keepAlive", old).json()["token"]
    assert [session.token for session in sandbox.sessions()] == [new] != [old]
    sandbox.fault("keepAlive", "token", value="other")  # only JSON has a token to replace
    assert on_session("keepAlive", new, accept="*/*").text[:15] == "<!DOCTYPE html>"
    sandbox.fault("*", "internal_error", times=2)
    assert certlogin().json() == {"loginStatus": "INTERNAL_ERROR"}
    assert on_session("keepAlive", new).json()["error"] == "INTERNAL_ERROR"
    sandbox.fault("keepAlive", "huge", size=3_000_000)
    assert len(on_session("keepAlive", new).content) == 3_000_000


def test_a_redirect_that_is_followed_shows_in_the_journal(
    sandbox: Sandbox, http: requests.Session, on_session: Post
) -> None:
    """Its default target is the sandbox itself, which sees what a client carries there."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", "redirect")
    url, headers = sandbox.identity_url + "keepAlive", {"X-Authentication": token}
    http.post(url, headers=headers, timeout=20)
    assert [entry.token for entry in sandbox.journal("other")] == [token]
    sandbox.fault("keepAlive", "redirect", location="https://elsewhere.invalid/", status=307)
    answer = on_session("keepAlive", token)
    assert (answer.status_code, answer.headers["Location"]) == (307, "https://elsewhere.invalid/")


def test_a_fault_hits_as_often_as_asked_after_those_it_skips(
    sandbox: Sandbox, on_session: Post, certlogin: Post
) -> None:
    """In turn with others; it can be cleared, and let the request be carried out."""
    token = sandbox.issue()

    def statuses(count: int) -> list[int]:
        return [on_session("keepAlive", token).status_code for _ in range(count)]

    sandbox.fault("keepAlive", "status:503", times=2, skip=1)
    sandbox.fault("*", "status:429")
    assert statuses(5) == [429, 503, 503, 200, 200]
    sandbox.fault("keepAlive", "status:503", times=None)
    assert statuses(3) == [503, 503, 503]
    sandbox.clear_faults()
    assert statuses(1) == [200]
    sandbox.expire_all()
    sandbox.fault("certlogin", "status:502", effect=True)
    assert certlogin().status_code == 502
    assert len(sandbox.sessions()) == 1
    assert (sandbox.journal()[-1].outcome, sandbox.journal()[-1].status) == ("SUCCESS", 502)


# --- holding, watching, putting back --------------------------------------------------------------


@pytest.mark.parametrize(("stage", "sessions"), [("before", 0), ("after", 3)])
def test_held_logins_wait_before_or_after_their_effect(
    sandbox: Sandbox, certlogin: Post, stage: str, sessions: int
) -> None:
    """They are answered once released, all or one by one, and later ones pass."""
    sandbox.hold("certlogin", stage)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(certlogin) for _ in range(3)]
        sandbox.wait_for("certlogin", 3)
        assert len(sandbox.sessions()) == sessions
        assert {entry.status for entry in sandbox.journal()} == {None}
        sandbox.release("certlogin", times=1)
        assert sandbox.waiting("certlogin") == 2
        sandbox.release("certlogin")
        assert {answer.result().json()["loginStatus"] for answer in answers} == {"SUCCESS"}
    assert sandbox.waiting("certlogin") == 0
    assert certlogin().json()["loginStatus"] == "SUCCESS"


def test_a_request_whose_client_gave_up_is_carried_out_all_the_same(sandbox: Sandbox) -> None:
    """On its release, or when its time has come; a stalled one waits until its client goes."""
    token = sandbox.issue()
    sandbox.hold("keepAlive")
    with pytest.raises(TimeoutError):
        raw_keep_alive(sandbox, token, timeout=0.2)
    assert not kept_alive(sandbox)
    sandbox.release("keepAlive")
    assert kept_alive(sandbox)
    sandbox.configure(delay=60)
    with pytest.raises(TimeoutError):
        raw_keep_alive(sandbox, token, timeout=0.2)
    sandbox.configure(delay=0, login_seconds=60)  # which slows logins alone
    sandbox.fault("keepAlive", "stall")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(raw_keep_alive, sandbox, token, timeout=1)
        sandbox.wait_for("keepAlive")
        with pytest.raises(TimeoutError):
            answer.result()
    while sandbox.waiting("keepAlive"):  # bounded by the test's own time-out
        time.sleep(0.01)
    with pytest.raises(SandboxError):
        sandbox.wait_for("logout", timeout=0.05)


def test_reset_puts_everything_back_and_drops_what_waits(
    sandbox: Sandbox, certlogin: Post, tmp_path: Path
) -> None:
    """A test that ended badly leaves nothing to the next one."""
    sandbox.configure(session_seconds=1, lock_after=1)
    sandbox.advance(3600)
    sandbox.fault("*", "blocked", times=None, skip=1)
    sandbox.login_status("CLOSED")
    sandbox.remove_certificates()
    sandbox.add_account("other", "other password")
    sandbox.issue()
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    sandbox.hold("certlogin", "after")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(certlogin)
        sandbox.wait_for("certlogin")
        sandbox.reset()
        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert (sandbox.sessions(), sandbox.journal(), sandbox.orders()) == ([], [], [])
    assert store.is_dir()
    assert certlogin().json()["loginStatus"] == "SUCCESS"
    assert certlogin("other", "other password").json()["loginStatus"].startswith("INVALID")


def test_a_store_is_broken_by_the_login_that_it_is_for(
    sandbox: Sandbox, certlogin: Post, tmp_path: Path
) -> None:
    """A plain file lies in its place until it is mended, with all that it held."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "token").write_text("abc")
    sandbox.break_store(str(store))
    assert store.is_dir()
    assert certlogin().json()["loginStatus"] == "SUCCESS"
    assert store.is_file()
    sandbox.mend_store()
    assert (store / "token").read_text() == "abc"
    sandbox.break_store(str(tmp_path / "not there yet"))
    assert certlogin().json()["loginStatus"] == "SUCCESS"
    assert (tmp_path / "not there yet").is_file()
    sandbox.mend_store()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_sessions_and_the_journal_can_be_looked_at(sandbox: Sandbox, on_session: Post) -> None:
    """Requests on one connection share its number."""
    first, second = sandbox.issue(), sandbox.issue()
    assert [session.token for session in sandbox.sessions()] == [first, second]
    assert sandbox.sessions()[0].username == sandbox.username
    on_session("keepAlive", first)
    on_session("logout", first)
    keep_alive, logout = sandbox.journal()
    told = (keep_alive.endpoint, keep_alive.outcome, keep_alive.status)
    assert told == ("keepAlive", "SUCCESS", 200)
    assert keep_alive.at <= logout.at
    assert keep_alive.connection == logout.connection
    assert sandbox.journal("logout") == [logout]
    sandbox.clear_journal()
    assert sandbox.counts() == {}
    assert [sandbox.expire(first), sandbox.expire(second)] == [False, True]
    assert sandbox.expire_all() == 0


def test_the_control_api_takes_no_command_without_its_token(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """Nobody else on the machine can turn the sandbox, or read its journal."""
    sandbox.issue()
    url = f"https://{sandbox._control_address}/"
    for command in ("reset", "journal"):
        body = json.dumps({"name": command, "arguments": {}})
        for headers in ({}, {"X-Sandbox-Control": "guess"}):
            assert http.post(url, data=body, headers=headers, timeout=20).status_code == 403
    assert len(sandbox.sessions()) == 1


MISTYPED: list[Callable[[Sandbox], object]] = [
    lambda sandbox: sandbox.issue("nobody"),
    lambda sandbox: sandbox.configure(session_second=1),
    lambda sandbox: sandbox.upload_certificate("nothing"),
    lambda sandbox: sandbox.hold("certlogin", "during"),
    lambda sandbox: sandbox.hold("keepalive"),
    lambda sandbox: sandbox.make_certificate("../escape"),
    lambda sandbox: sandbox.fault("keepalive", "reset"),
    *[
        lambda sandbox, kind=kind: sandbox.fault("keepAlive", kind)
        for kind in ("resett", "status", "status:", "status:many", "reset:1", "")
    ],
    lambda sandbox: sandbox.fault("keepAlive", "drip", second=1),
]


def test_a_command_that_cannot_be_carried_out_is_an_error(sandbox: Sandbox) -> None:
    """Mistyped endpoints, settings, accounts and faults do not pass silently."""
    for command in MISTYPED:
        with pytest.raises(SandboxError):
            command(sandbox)


def test_a_hundred_clients_are_served_at_once(sandbox: Sandbox) -> None:
    """All of them are parked together before the first is answered."""
    token = sandbox.issue()
    sandbox.hold("keepAlive")
    with ThreadPoolExecutor(100) as pool:
        answers = pool.map(lambda _: raw_keep_alive(sandbox, token, 60).status, range(100))
        sandbox.wait_for("keepAlive", 100, timeout=60)
        sandbox.release("keepAlive")
        assert list(answers) == [200] * 100
    assert sandbox.counts() == {"keepAlive": 100}
