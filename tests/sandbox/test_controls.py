"""Holding, watching and putting back."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import requests

from betfair_session.sandbox import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]


@pytest.mark.parametrize(("stage", "sessions"), [("before", 0), ("after", 1)])
def test_a_held_login_waits_before_or_after_its_effect(
    sandbox: Sandbox, certlogin: Post, stage: str, sessions: int
) -> None:
    """It is answered once released, and later ones pass."""
    sandbox.hold("certlogin", stage)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(certlogin)
        sandbox.wait_for("certlogin")
        assert len(sandbox.sessions()) == sessions
        assert sandbox.journal()[0].status is None
        sandbox.release("certlogin")
        assert answer.result().json()["loginStatus"] == "SUCCESS"
    assert sandbox.waiting("certlogin") == 0
    assert certlogin().json()["loginStatus"] == "SUCCESS"


def test_held_requests_can_be_let_through_one_by_one(sandbox: Sandbox, certlogin: Post) -> None:
    """The rest stay parked."""
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(certlogin) for _ in range(3)]
        sandbox.wait_for("certlogin", 3)
        sandbox.release("certlogin", times=1)
        assert sandbox.waiting("certlogin") == 2
        sandbox.release("certlogin")
        assert {answer.result().status_code for answer in answers} == {200}


def test_a_login_whose_client_gave_up_is_carried_out_on_release(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """A server does not know that nobody listens any more."""
    sandbox.hold("certlogin")
    with pytest.raises(requests.ReadTimeout):
        http.post(
            sandbox.identity_cert_url + "certlogin",
            data={"username": sandbox.username, "password": sandbox.password},
            headers={"X-Application": sandbox.app_key},
            cert=sandbox.certificate,
            timeout=0.3,
        )
    assert sandbox.sessions() == []
    sandbox.release("certlogin")
    assert len(sandbox.sessions()) == 1


def test_waiting_for_requests_that_do_not_come_is_an_error(sandbox: Sandbox) -> None:
    """A test that waits in vain is told."""
    with pytest.raises(SandboxError, match="0 requests to logout are waiting, not 1"):
        sandbox.wait_for("logout", timeout=0.05)


def test_a_stalled_request_counts_as_waiting_until_its_client_goes(
    sandbox: Sandbox, on_session: Post
) -> None:
    """Tests can wait for a stall to be reached."""
    sandbox.fault("keepAlive", "stall")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(on_session, "keepAlive", sandbox.issue(), timeout=1)
        sandbox.wait_for("keepAlive")
        with pytest.raises(requests.ReadTimeout):
            answer.result()
    while sandbox.waiting("keepAlive"):  # bounded by the test's own time-out
        time.sleep(0.01)


def test_logins_take_the_time_they_are_told_to(
    sandbox: Sandbox, http: requests.Session, on_session: Post
) -> None:
    """Only logins are slow, and the login happens all the same."""
    sandbox.configure(login_seconds=60)
    assert on_session("keepAlive", sandbox.issue(), timeout=10).status_code == 200
    with pytest.raises(requests.ReadTimeout):
        http.post(
            sandbox.identity_cert_url + "certlogin",
            data={"username": sandbox.username, "password": sandbox.password},
            headers={"X-Application": sandbox.app_key},
            cert=sandbox.certificate,
            timeout=0.2,
        )
    sandbox.configure(login_seconds=0, delay=60)
    with pytest.raises(requests.ReadTimeout):
        on_session("keepAlive", sandbox.issue(), timeout=0.2)


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
    assert certlogin("other", "other password").json() == {
        "loginStatus": "INVALID_USERNAME_OR_PASSWORD"
    }


def test_the_store_breaks_before_the_logins_answer_arrives(
    sandbox: Sandbox, certlogin: Post, tmp_path: Path
) -> None:
    """By the time that a client has the token, the directory is a plain file."""
    store = tmp_path / "store"
    store.mkdir()
    sandbox.break_store(str(store))
    assert certlogin().json()["loginStatus"] == "SUCCESS"
    assert store.is_file()
    sandbox.mend_store()
    assert store.is_dir()


def test_sessions_can_be_made_listed_and_ended(sandbox: Sandbox) -> None:
    """As other programs of the account holder would."""
    first, second = sandbox.issue(), sandbox.issue()
    assert [session.token for session in sandbox.sessions()] == [first, second]
    assert sandbox.sessions()[0].username == sandbox.username
    assert [sandbox.expire(first), sandbox.expire(first)] == [True, False]
    assert sandbox.expire_all() == 1
    assert sandbox.sessions() == []


def test_the_clock_can_be_set_as_well_as_turned(sandbox: Sandbox) -> None:
    """A session that expired by it is gone for good."""
    sandbox.issue()
    sandbox.set_time_offset(13 * 3600)
    assert sandbox.sessions() == []


def test_the_journal_tells_connections_and_order_and_can_be_forgotten(
    sandbox: Sandbox, on_session: Post
) -> None:
    """Requests on one connection share its number."""
    token = sandbox.issue()
    on_session("keepAlive", token)
    on_session("logout", token)
    keep_alive, logout = sandbox.journal()
    assert (keep_alive.endpoint, logout.endpoint) == ("keepAlive", "logout")
    assert (keep_alive.outcome, keep_alive.status) == ("SUCCESS", 200)
    assert keep_alive.at <= logout.at
    assert keep_alive.connection == logout.connection
    assert sandbox.journal("logout") == [logout]
    sandbox.clear_journal()
    assert sandbox.counts() == {}


@pytest.mark.parametrize("command", ["reset", "journal"])
def test_the_control_api_takes_no_command_without_its_token(
    sandbox: Sandbox, http: requests.Session, command: str
) -> None:
    """Nobody else on the machine can turn the sandbox, or read its journal."""
    sandbox.issue()
    url = f"https://{sandbox._control_address}/"
    body = json.dumps({"name": command, "arguments": {}})
    for headers in ({}, {"X-Sandbox-Control": "guess"}):
        assert http.post(url, data=body, headers=headers, timeout=20).status_code == 403
    assert len(sandbox.sessions()) == 1


def test_a_command_that_cannot_be_carried_out_says_why(sandbox: Sandbox) -> None:
    """Mistyped endpoints, settings, accounts and certificates do not pass silently."""
    with pytest.raises(SandboxError, match="there is no such account"):
        sandbox.issue("nobody")
    with pytest.raises(SandboxError, match="unexpected keyword argument"):
        sandbox.configure(session_second=1)
    with pytest.raises(SandboxError, match="holds no PEM certificate"):
        sandbox.upload_certificate("nothing")
    with pytest.raises(SandboxError, match="stage is"):
        sandbox.hold("certlogin", "during")
    with pytest.raises(SandboxError, match="letters, digits"):
        sandbox.make_certificate("../escape")
    with pytest.raises(SandboxError, match="there is no endpoint"):
        sandbox.fault("keepalive", "reset")
    with pytest.raises(SandboxError, match="there is no endpoint"):
        sandbox.hold("keepalive")


def test_two_hundred_clients_are_served_at_once(sandbox: Sandbox) -> None:
    """All of them are parked together before the first is answered."""
    token = sandbox.issue()
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    address = urlsplit(sandbox.identity_url).netloc

    def keep_alive(_: int) -> str:
        connection = http.client.HTTPSConnection(address, context=context, timeout=60)
        try:
            headers = {"Accept": "application/json", "X-Authentication": token}
            connection.request("POST", "/api/keepAlive", headers=headers)
            return str(json.load(connection.getresponse())["status"])
        finally:
            connection.close()

    sandbox.hold("keepAlive")
    with ThreadPoolExecutor(200) as pool:
        answers = pool.map(keep_alive, range(200))
        sandbox.wait_for("keepAlive", 200, timeout=60)
        sandbox.release("keepAlive")
        assert list(answers) == ["SUCCESS"] * 200
    assert sandbox.counts() == {"keepAlive": 200}
