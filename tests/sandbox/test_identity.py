"""The identity endpoints over real TLS, asked by clients that share no code with ours."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from betfair_session.sandbox import Sandbox
from sandbox.conftest import Caller

FORM = "application/x-www-form-urlencoded"
SUCCESS, WRONG, NEEDED = "SUCCESS", "INVALID_USERNAME_OR_PASSWORD", "CERT_AUTH_REQUIRED"
BANNED = "TEMPORARY_BAN_TOO_MANY_REQUESTS"


def test_only_an_uploaded_certificate_of_the_account_logs_in(
    sandbox: Sandbox, caller: Caller
) -> None:
    """TLS takes any certificate or none. Only clients that trust the sandbox's CA can connect."""
    stranger = sandbox.make_certificate("stranger")
    assert [caller.certlogin(cert=each) for each in (None, stranger)] == [NEEDED, NEEDED]
    assert [entry.certificate for entry in sandbox.journal()] == [False, True]
    sandbox.add_account("other", "other password")
    other = ("other", "other password")
    assert caller.certlogin(*other) == NEEDED
    sandbox.upload_certificate(Path(stranger[0]).read_text(), "other")
    assert caller.certlogin(*other, cert=sandbox.make_certificate("stranger")) == SUCCESS
    assert sandbox.sessions()[-1].username == "other"
    sandbox.add_account(sandbox.username, sandbox.password)  # the same without certificates
    assert caller.certlogin() == NEEDED
    caller.http.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        caller.certlogin()


def test_forms_that_betfair_does_not_take(sandbox: Sandbox, caller: Caller) -> None:
    """An unknown user is a wrong password; a form has to be encoded, and lack nothing."""
    assert [caller.certlogin(password="x"), caller.certlogin("nobody")] == [WRONG, WRONG]
    name, password = sandbox.username, quote(sandbox.password, safe="")
    right = f"username={name}&password={password}"
    key = {"X-Application": sandbox.app_key, "Content-Type": FORM}
    for body, headers, expected in (
        (right, key, SUCCESS),
        (right.replace("%20", "+"), key, SUCCESS),
        (f"username={name}&password={sandbox.password}", key, NEEDED),
        *((right + more, key, NEEDED) for more in ("&m=50%off", "&m=\xfc", "&m=%FF")),
        (right + f"&password={password}", key, NEEDED),
        (right, {**key, "Content-Type": "text/plain"}, NEEDED),
        (right, {"Content-Type": FORM}, "INPUT_VALIDATION_ERROR"),
        (f"username={name}&password=", key, "INPUT_VALIDATION_ERROR"),
    ):
        assert caller.certlogin(data=body.encode(), headers=headers) == expected, body


def test_a_restricted_login_has_a_status_of_its_own(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.login_status("LOGIN_RESTRICTED")
    restricted = {"status": "LOGIN_RESTRICTED", "token": ""}
    assert caller.login().json().items() >= restricted.items()


def test_too_many_logins_ban_and_wrong_passwords_lock(sandbox: Sandbox, caller: Caller) -> None:
    """Of the last minute, for twenty minutes, which sessions survive; a right one starts over."""
    sandbox.configure(logins_per_minute=3, lock_after=3)
    assert [caller.certlogin() for _ in range(2)] == [SUCCESS] * 2
    sandbox.advance(61)
    assert [caller.certlogin() for _ in range(4)] == [SUCCESS] * 3 + [BANNED]
    sandbox.advance(20 * 60 - 5)
    assert caller.certlogin() == BANNED
    assert len(sandbox.sessions()) == 5
    sandbox.advance(10)
    said = [caller.certlogin(password=password) for password in ("x", "x", "", "x", "x", "x", "")]
    locked = ["ACCOUNT_NOW_LOCKED", "ACCOUNT_ALREADY_LOCKED"]
    assert said == [WRONG, WRONG, SUCCESS, WRONG, WRONG, *locked]


def test_a_session_from_its_keep_alives_to_its_logout(sandbox: Sandbox, caller: Caller) -> None:
    """An extended session outlives its first length; without Accept the answers are no JSON."""
    token, other = sandbox.issue(), sandbox.issue()
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", token)
    for _ in range(3):
        sandbox.advance(11 * 3600)
        told = caller.ask("keepAlive", token).json()
        assert (told["token"], told["status"], told["error"]) == (token, SUCCESS, "")
    assert caller.error("keepAlive", other) == "NO_SESSION"
    other = sandbox.issue()
    for operation in ("keepAlive", "logout"):
        page = caller.ask(operation, token, accept="*/*")
        assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
        assert caller.error(operation, None) == caller.error(operation, "A" * 43 + "=")
        assert caller.error(operation, "not a token") == "INPUT_VALIDATION_ERROR"
    assert [caller.error("logout", token) for _ in range(2)] == ["", "NO_SESSION"]
    first, second = sandbox.journal("logout")[-2:]
    assert (first.outcome, second.outcome, first.status) == ("SUCCESS", "NO_SESSION", 200)
    assert (first.at <= second.at, first.connection) == (True, second.connection)
    (session,) = sandbox.sessions()
    assert (session.token, session.username) == (other, sandbox.username)
    assert [sandbox.expire(each) for each in (token, other)] == [False, True]
    sandbox.clear_journal()
    assert (sandbox.expire_all(), sandbox.counts()) == (0, {})
    sandbox.configure(session_seconds=0)  # every new token is dead
    sandbox.issue()
    assert sandbox.sessions() == []


def test_only_post_to_the_very_path_is_taken(sandbox: Sandbox, caller: Caller) -> None:
    for url in (sandbox.identity_url + "login", sandbox.api_url + "betting/json-rpc/v1"):
        assert caller.http.get(url, timeout=20).status_code == 405
    sandbox.clear_journal()
    for path in ("keepalive", "certLogin", "keepAlive/", "nothing"):
        assert caller.post(sandbox.identity_url + path).status_code == 404
    assert sandbox.counts() == {"other": 4}


def test_secrets_in_the_wrong_place_are_noted(sandbox: Sandbox, caller: Caller) -> None:
    """In a URL, a header, or Basic authentication; the journal does not hold them itself."""
    caller.certlogin()
    query = f"?username={sandbox.username}&password={quote(sandbox.password, safe='')}"
    key = {"X-Application": sandbox.app_key}
    answer = caller.post(sandbox.identity_cert_url + "certlogin" + query, headers=key)
    assert "sessionToken" not in answer.json()
    token = sandbox.issue()
    caller.post(
        sandbox.identity_url + f"keepAlive?t={quote(token)}",
        headers={"X-Authentication": token, "X-P": sandbox.password},
        auth=("user", "password"),
    )
    assert [entry.defects for entry in sandbox.journal()] == [
        [],
        ["credentials in the URL", "password in the URL"],
        ["token in the URL", "an Authorization header", "password in a header"],
    ]
    assert sandbox.password not in repr(sandbox.journal())
