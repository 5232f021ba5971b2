"""Every kind of fault as a client sees it, and what a test may hold, watch and put back."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from betfair_session.sandbox import Sandbox, SandboxError
from sandbox.conftest import Caller

HTML, FAIL = b"<!DOCTYPE html>", b'{"token": ""'


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
        ({"kind": "truncated"}, True),
    ],
)
def test_a_fault_that_gives_no_answer(
    sandbox: Sandbox, caller: Caller, fault: dict[str, Any], *, carried_out: bool
) -> None:
    """The connection breaks, or the client's own time is up; the next request is answered."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", **fault)
    breaks = fault["kind"] in ("reset", "lost", "truncated")
    error = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    with pytest.raises(error if breaks else requests.Timeout):
        caller.ask("keepAlive", token, timeout=0.3)
    assert kept_alive(sandbox) is carried_out
    (entry,) = sandbox.journal()
    assert entry.fault == fault["kind"]
    assert entry.outcome in ({"SUCCESS"} if carried_out else {None, "FAULT"})
    assert caller.error("keepAlive", token) == ""


INSTEAD: list[tuple[dict[str, Any], int, bytes]] = [
    ({"kind": "status:429", "body": "json"}, 429, FAIL),
    ({"kind": "status:500"}, 500, HTML),
    ({"kind": "status:503", "body": "plain", "retry_after": 3}, 503, b""),
    ({"kind": "blocked"}, 403, HTML),
    ({"kind": "html200"}, 200, HTML),
    ({"kind": "png200"}, 200, b"\x89PNG"),
    ({"kind": "empty"}, 200, b""),
    ({"kind": "huge", "size": 3_000_000}, 200, b'{"junk": "xxx'),
    ({"kind": "internal_error"}, 200, FAIL),
    ({"kind": "non_object"}, 200, b"[]"),
    ({"kind": "non_object", "body": "null"}, 200, b"null"),
    ({"kind": "redirect", "status": 307, "location": "https://elsewhere/"}, 307, b""),
]


def test_a_false_answer_takes_the_place_of_the_true_one(sandbox: Sandbox, caller: Caller) -> None:
    """It comes once, and the request is not carried out."""
    seen = {}
    for fault, status, start in INSTEAD:
        sandbox.expire_all()
        token = sandbox.issue()
        sandbox.fault("keepAlive", **fault)
        answer = seen[fault["kind"]] = caller.ask("keepAlive", token)
        assert (answer.status_code, answer.content[: len(start)]) == (status, start)
        assert sandbox.journal()[-1].status == status
        assert not kept_alive(sandbox)
        assert caller.error("keepAlive", token) == ""
    assert seen["status:503"].headers["Retry-After"] == "3"
    assert seen["redirect"].headers["Location"] == "https://elsewhere/"
    assert [len(seen[kind].content) for kind in ("empty", "huge")] == [0, 3_000_000]
    sandbox.fault("*", "internal_error")
    assert caller.certlogin() == "INTERNAL_ERROR"
    sandbox.fault("keepAlive", "redirect")  # to the sandbox itself, which sees what goes there
    caller.ask("keepAlive", token, allow_redirects=True)
    assert len(sandbox.journal("other")) == 1


def test_an_answer_that_is_altered(sandbox: Sandbox, caller: Caller) -> None:
    """It comes byte by byte or later, ends in the middle, or carries any token."""
    token = sandbox.issue()
    for kind, more in (
        ("drip", {"seconds": 0.001, "part": "head"}),
        ("drip", {"seconds": 0.001}),
        ("delay", {"seconds": 0.05}),
    ):
        sandbox.fault("keepAlive", kind, **more)
        assert caller.ask("keepAlive", token).json()["token"] == token
    sandbox.fault("keepAlive", "cut")
    cut = caller.ask("keepAlive", token)
    assert (cut.status_code, cut.text[:7], cut.text[-1:] == "}") == (200, '{"token', False)
    for value in ("", "x" * 5000, "a\r\nb: c", "\u00fc", None, 7):
        sandbox.fault("keepAlive", "token", value=value)
        assert caller.ask("keepAlive", token).json()["token"] == value
    sandbox.fault("keepAlive", "rotate")
    new = caller.ask("keepAlive", token).json()["token"]
    assert [session.token for session in sandbox.sessions()] == [new] != [token]


def test_a_fault_hits_as_often_as_asked_after_those_it_skips(
    sandbox: Sandbox, caller: Caller
) -> None:
    """In turn with others; it can be cleared, and let the request be carried out."""
    token = sandbox.issue()

    def statuses(count: int) -> list[int]:
        return [caller.ask("keepAlive", token).status_code for _ in range(count)]

    sandbox.fault("keepAlive", "status:503", times=2, skip=1)
    sandbox.fault("*", "status:429")
    assert statuses(5) == [429, 503, 503, 200, 200]
    sandbox.fault("keepAlive", "status:503", times=None)
    assert statuses(3) == [503, 503, 503]
    sandbox.clear_faults()
    assert statuses(1) == [200]
    sandbox.fault("login", "status:502", effect=True)
    assert caller.login().status_code == 502
    assert len(sandbox.sessions()) == 2
    assert (sandbox.journal()[-1].outcome, sandbox.journal()[-1].status) == ("SUCCESS", 502)


@pytest.mark.parametrize(("stage", "sessions"), [("before", 0), ("after", 3)])
def test_held_logins_wait_before_or_after_their_effect(
    sandbox: Sandbox, caller: Caller, stage: str, sessions: int
) -> None:
    """They are answered once released, all or one by one, and later ones pass."""
    sandbox.hold("certlogin", stage)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(caller.certlogin) for _ in range(3)]
        sandbox.wait_for("certlogin", 3)
        assert len(sandbox.sessions()) == sessions
        assert {entry.status for entry in sandbox.journal()} == {None}
        sandbox.release("certlogin", times=1)
        assert sandbox.waiting("certlogin") == 2
        sandbox.release("certlogin")
        assert {answer.result() for answer in answers} == {"SUCCESS"}
    assert caller.certlogin() == "SUCCESS"
    with pytest.raises(SandboxError):
        sandbox.wait_for("certlogin", timeout=0.05)


def test_a_request_whose_client_gave_up_is_carried_out_on_its_release(
    sandbox: Sandbox, caller: Caller
) -> None:
    """A stalled one waits until its client goes; a general delay is real time, too."""
    token = sandbox.issue()
    sandbox.hold("keepAlive")
    with pytest.raises(requests.Timeout):
        caller.ask("keepAlive", token, timeout=0.2)
    assert not kept_alive(sandbox)
    sandbox.release("keepAlive")
    assert kept_alive(sandbox)
    sandbox.configure(delay=60)
    with pytest.raises(requests.Timeout):
        caller.ask("keepAlive", token, timeout=0.2)
    sandbox.configure(delay=0, login_seconds=60)  # which slows logins alone
    sandbox.fault("keepAlive", "stall")
    with pytest.raises(requests.Timeout):
        caller.ask("keepAlive", token, timeout=0.2)
    while sandbox.waiting("keepAlive"):  # bounded by the test's own time-out
        time.sleep(0.01)
    assert caller.error("keepAlive", token) == ""


def test_reset_puts_everything_back_and_drops_what_waits(
    sandbox: Sandbox, caller: Caller, tmp_path: Path
) -> None:
    """A store that a login broke, too: a plain file takes its place until then."""
    store, absent = tmp_path / "store", tmp_path / "absent"
    store.mkdir()
    (store / "token").write_text("abc")
    for path in (store, absent):
        sandbox.break_store(str(path))
        assert not path.is_file()
        caller.certlogin()
        assert path.is_file()
        sandbox.mend_store()
    assert ((store / "token").read_text(), absent.exists()) == ("abc", False)
    sandbox.configure(session_seconds=1, lock_after=1)
    sandbox.advance(3600)
    sandbox.fault("*", "blocked", times=None, skip=1)
    sandbox.remove_certificates()
    sandbox.add_account("other", "other password")
    sandbox.issue()
    sandbox.break_store(str(store))
    sandbox.hold("certlogin", "after")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(caller.certlogin)
        sandbox.wait_for("certlogin")
        sandbox.login_status("CLOSED")
        sandbox.reset()
        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert (sandbox.sessions(), sandbox.journal(), sandbox.orders()) == ([], [], [])
    assert store.is_dir()
    assert caller.certlogin() == "SUCCESS"
    assert sandbox.sessions()[0].issued < time.time() + 60  # the virtual clock is right again
    assert caller.certlogin("other", "other password").startswith("INVALID")


def test_what_the_control_takes(sandbox: Sandbox, caller: Caller) -> None:
    """No command without its token, from nobody else on the machine; and none that is mistyped."""
    sandbox.issue()
    url = json.loads((sandbox.directory / "control.json").read_text())["url"]
    for command in ("reset", "journal"):
        body = json.dumps({"name": command, "arguments": {}})
        for headers in ({}, {"X-Sandbox-Control": "guess"}):
            assert caller.post(url, data=body, headers=headers).status_code == 403
    for name, given, more in (
        ("issue", ["nobody"], {}),
        ("upload_certificate", ["nothing"], {}),
        ("make_certificate", ["../escape"], {}),
        ("configure", [], {"session_second": 1}),
        ("hold", ["certlogin", "during"], {}),
        ("hold", ["keepalive"], {}),
        ("fault", ["keepalive", "reset"], {}),
        ("fault", ["keepAlive", "drip"], {"second": 1}),
        *(
            ("fault", ["keepAlive", kind], {})
            for kind in ("resett", "status", "status:many", "reset:1", "")
        ),
    ):
        with pytest.raises(SandboxError):
            getattr(sandbox, name)(*given, **more)
    assert len(sandbox.sessions()) == 1
