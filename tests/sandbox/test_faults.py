"""Every kind of fault as a client sees it, and what a test may hold, watch and put back."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from betfair_session.sandbox import Sandbox, SandboxError
from sandbox.conftest import Caller

HTML, FAIL, TRUE = b"<!DOCTYPE html>", b'{"token": ""', b'{"token": "'
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
SLOW = (requests.Timeout,)
ELSEWHERE = {"kind": "redirect", "status": 307, "location": "https://elsewhere/"}


def kept_alive(sandbox: Sandbox) -> bool:
    (session,) = sandbox.sessions()
    return session.kept_alive > session.issued


@pytest.mark.parametrize(
    ("fault", "expected", "carried_out"),
    [
        ({"kind": "reset"}, BROKEN, False),
        ({"kind": "lost"}, BROKEN, True),
        ({"kind": "truncated"}, BROKEN, True),
        ({"kind": "stall"}, SLOW, False),
        ({"kind": "stall", "effect": True}, SLOW, True),
        ({"kind": "delay", "seconds": 60}, SLOW, False),
        ({"kind": "delay", "seconds": 0.05}, (200, TRUE), True),
        ({"kind": "drip", "seconds": 30, "part": "head"}, SLOW, True),
        ({"kind": "drip", "seconds": 0.001, "part": "head"}, (200, TRUE), True),
        ({"kind": "drip", "seconds": 0.001}, (200, TRUE), True),
        ({"kind": "cut"}, (200, TRUE), True),
        ({"kind": "status:429", "body": "json"}, (429, FAIL), False),
        ({"kind": "status:500"}, (500, HTML), False),
        ({"kind": "status:503", "body": "plain"}, (503, b"not now"), False),
        ({"kind": "blocked"}, (403, HTML), False),
        ({"kind": "html200"}, (200, HTML), False),
        ({"kind": "empty"}, (200, b""), False),
        ({"kind": "huge", "size": 3_000_000}, (200, b'{"junk": "xxx'), False),
        ({"kind": "internal_error"}, (200, FAIL), False),
        ({"kind": "non_object"}, (200, b"[]"), False),
        ({"kind": "non_object", "body": "null"}, (200, b"null"), False),
        (ELSEWHERE, (307, b""), False),
    ],
)
def test_each_kind_of_fault(
    sandbox: Sandbox,
    caller: Caller,
    fault: dict[str, Any],
    expected: tuple[Any, ...],
    *,
    carried_out: bool,
) -> None:
    """It comes once: a broken connection, no answer in the client's time, or another answer."""
    token = sandbox.issue()
    sandbox.fault("keepAlive", **fault)
    if isinstance(expected[0], int):
        answer = caller.ask("keepAlive", token)
        assert (answer.status_code, answer.content[: len(expected[1])]) == expected
        assert answer.headers.get("Location") == fault.get("location")
        assert len(answer.content) == fault.get("size", len(answer.content))
        assert fault["kind"] not in ("cut", "empty") or answer.content[-1:] not in (b"}", b"]")
    else:
        with pytest.raises(expected):
            caller.ask("keepAlive", token, timeout=0.3)
    assert kept_alive(sandbox) is carried_out
    (entry,) = sandbox.journal()
    assert entry.fault == fault["kind"]
    assert caller.error("keepAlive", token) == ""


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
        sandbox.release("certlogin", times=1)
        assert sandbox.waiting("certlogin") == 2
        sandbox.release("certlogin")
        assert {answer.result() for answer in answers} == {"SUCCESS"}
    assert caller.certlogin() == "SUCCESS"
    with pytest.raises(SandboxError):
        sandbox.wait_for("certlogin", timeout=0.05)


@pytest.mark.parametrize("slow", ["held", "stalled", "delayed"])
def test_a_request_whose_client_gave_up_holds_up_no_other(
    sandbox: Sandbox, caller: Caller, slow: str
) -> None:
    """One that was held is carried out on its release, and a stalled one is forgotten."""
    token = sandbox.issue()
    sandbox.configure(login_seconds=60)
    if slow == "held":
        sandbox.hold("keepAlive")
    elif slow == "stalled":
        sandbox.fault("keepAlive", "stall")
    else:
        sandbox.fault("keepAlive", "delay", seconds=60)
    with pytest.raises(requests.Timeout):
        caller.ask("keepAlive", token, timeout=0.2)
    if slow == "held":
        assert not kept_alive(sandbox)
        sandbox.release("keepAlive")
        assert kept_alive(sandbox)
    while sandbox.waiting("keepAlive"):  # bounded by the test's own time-out
        time.sleep(0.01)
    assert caller.error("keepAlive", token) == ""


def test_reset_puts_everything_back_and_drops_what_waits(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.configure(session_seconds=1, lock_after=1)
    sandbox.advance(3600)
    sandbox.fault("*", "blocked", times=None, skip=1)
    sandbox.add_account(sandbox.username, "another password")
    sandbox.add_account("other", "other password")
    sandbox.hold("certlogin", "after")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(caller.certlogin)
        sandbox.wait_for("certlogin")
        sandbox.login_status("CLOSED")
        sandbox.reset()
        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert (sandbox.sessions(), sandbox.journal(), sandbox.orders()) == ([], [], [])
    assert caller.certlogin() == "SUCCESS"
    assert sandbox.sessions()[0].issued < time.time() + 60  # the virtual clock is right again
    assert caller.certlogin("other", "other password").startswith("INVALID")


def test_what_the_control_takes(sandbox: Sandbox, caller: Caller) -> None:
    """No command without its token, which no other user can read; and none that is mistyped."""
    sandbox.issue()
    url = "https://" + json.loads((sandbox.directory / "control.json").read_text())["address"]
    body = json.dumps({"name": "reset", "arguments": {}})
    for headers in ({}, {"X-Sandbox-Control": "guess"}):
        assert caller.post(url, data=body, headers=headers).status_code == 403
    kinds = ("resett", "status", "status:many", "status:\u00b2", "reset:1", "")
    mistyped: list[tuple[str, dict[str, Any]]] = [
        ("issue", {"username": "nobody"}),
        ("upload_certificate", {"pem": "nothing"}),
        ("make_certificate", {"name": "../escape"}),
        ("configure", {"session_second": 1}),
        *(("configure", {"session_seconds": value}) for value in ("30", -1, True)),
        ("fault", {"endpoint": "keepAlive", "kind": "delay", "seconds": "1"}),
        ("fault", {"endpoint": "keepAlive", "kind": "drip", "seconds": -1}),
        *(
            ("fault", {"endpoint": "keepAlive", "kind": "reset", each: "1"})
            for each in ("skip", "times")
        ),
        ("fault", {"endpoint": "keepAlive", "kind": "status:99"}),
        ("hold", {"endpoint": "certlogin", "stage": "during"}),
        ("hold", {"endpoint": "keepalive"}),
        ("fault", {"endpoint": "keepalive", "kind": "reset"}),
        ("fault", {"endpoint": "keepAlive", "kind": "drip", "second": 1}),
        ("fault", {"endpoint": "keepAlive", "kind": "reset", "times": 0}),
        ("fault", {"endpoint": "keepAlive", "kind": "status:503", "body": "xml"}),
        ("fault", {"endpoint": "keepAlive", "kind": "drip", "part": "tail"}),
        ("login_status", {"code": "SUSPENDED", "times": 0}),
        *(("fault", {"endpoint": "keepAlive", "kind": kind}) for kind in kinds),
    ]
    for name, given in mistyped:
        with pytest.raises(SandboxError):
            getattr(sandbox, name)(**given)
    meant: dict[str, dict[str, Any]] = {  # by a word that the error has to name
        "keepAlive": {"endpoint": "keepalive", "kind": "reset"},
        "status:": {"endpoint": "keepAlive", "kind": "sttus:503"},
        "part": {"endpoint": "keepAlive", "kind": "drip", "second": 1},
    }
    for word, given in meant.items():
        with pytest.raises(SandboxError) as caught:
            sandbox.fault(**given)
        assert word in str(caught.value)
    assert len(sandbox.sessions()) == 1
