"""The identity endpoints over real TLS, asked by clients that share no code with ours."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]

FORM = "application/x-www-form-urlencoded"
SUCCESS, WRONG = "SUCCESS", "INVALID_USERNAME_OR_PASSWORD"
NEEDED, BANNED = "CERT_AUTH_REQUIRED", "TEMPORARY_BAN_TOO_MANY_REQUESTS"


def status(answer: requests.Response) -> str:
    """Return what a certificate login was answered."""
    return str(answer.json()["loginStatus"])


# --- certificates ---------------------------------------------------------------------------------


def test_a_certificate_login_issues_a_token_of_44_base64_characters(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """The answer has exactly the two documented fields."""
    answer = certlogin()
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    token = answer.json()["sessionToken"]
    assert answer.json() == {"sessionToken": token, "loginStatus": SUCCESS}
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", token)
    assert [session.token for session in sandbox.sessions()] == [token]


def test_only_an_uploaded_certificate_of_the_account_logs_in(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """TLS lets any in, or none; the login does not. The plain host never asks for one."""
    assert certlogin(certificate=None).json() == {"loginStatus": NEEDED}
    stranger = sandbox.make_certificate("stranger")
    assert status(certlogin(certificate=stranger)) == NEEDED
    assert [entry.certificate for entry in sandbox.journal()] == [False, True]
    assert sandbox.make_certificate("stranger") == stranger
    sandbox.upload_certificate(Path(stranger[0]).read_text())
    assert status(certlogin(certificate=stranger)) == SUCCESS
    sandbox.add_account("other", "other password")
    assert status(certlogin("other", "other password")) == NEEDED
    sandbox.upload_certificate(Path(sandbox.certificate[0]).read_text(), "other")
    assert status(certlogin("other", "other password")) == SUCCESS
    assert sandbox.sessions()[-1].username == "other"
    assert status(certlogin(base=sandbox.identity_url)) == NEEDED
    sandbox.remove_certificates()
    assert status(certlogin()) == NEEDED


def test_the_client_certificate_is_one_that_betfair_takes(sandbox: Sandbox) -> None:
    """An RSA key, for client authentication, its files private."""
    certificate = x509.load_pem_x509_certificate(Path(sandbox.certificate[0]).read_bytes())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH in purposes
    assert {Path(path).stat().st_mode & 0o777 for path in sandbox.certificate} == {0o600}
    assert sandbox.directory.stat().st_mode & 0o777 == 0o700


def test_a_resumed_tls_session_keeps_its_client_certificate(sandbox: Sandbox) -> None:
    """A client that resumes TLS need not show it again. Strangers to the authority get nothing."""
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    context.load_cert_chain(*sandbox.certificate)
    form = urlencode({"username": sandbox.username, "password": sandbox.password})
    request = (
        f"POST /api/certlogin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"X-Application: {sandbox.app_key}\r\nContent-Length: {len(form)}\r\n"
        f"Content-Type: {FORM}\r\n\r\n{form}"
    )
    session, reused = None, []
    for _ in range(2):
        address = ("127.0.0.1", urlsplit(sandbox.identity_cert_url).port or 0)
        with (
            socket.create_connection(address, timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="localhost", session=session) as tls,
        ):
            tls.sendall(request.encode())
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
            session = tls.session
            reused.append(tls.session_reused)
        assert b'"SUCCESS"' in answer
    assert reused == [False, True]
    with requests.Session() as strict:
        strict.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            strict.post(sandbox.identity_url + "keepAlive", timeout=20)


# --- logins ---------------------------------------------------------------------------------------


def test_wrong_credentials_and_forms_are_refused(
    sandbox: Sandbox, http: requests.Session, certlogin: Post
) -> None:
    """An unknown user as a wrong password; a form that is not encoded, or lacks something."""
    assert status(certlogin(password="nonsense")) == WRONG
    assert status(certlogin(username="nobody")) == WRONG
    name, password = sandbox.username, quote(sandbox.password, safe="")
    right = f"username={name}&password={password}"
    key = {"X-Application": sandbox.app_key, "Content-Type": FORM}
    for body, headers, expected in (
        (right, key, SUCCESS),
        (right.replace("%20", "+"), key, SUCCESS),
        (f"username={name}&password={sandbox.password}", key, NEEDED),
        (right.replace("%20", " "), key, NEEDED),
        (right + "&more=50%off", key, NEEDED),
        (right + "&more=\xfc", key, NEEDED),
        (right + "&more=%FF", key, NEEDED),
        (right + f"&password={password}", key, NEEDED),
        (right, {**key, "Content-Type": "text/plain"}, NEEDED),
        (right, {"Content-Type": FORM}, "INPUT_VALIDATION_ERROR"),
        (f"username={name}&password=", key, "INPUT_VALIDATION_ERROR"),
        (f"username={name}", key, "INPUT_VALIDATION_ERROR"),
    ):
        url, pair = sandbox.identity_cert_url + "certlogin", sandbox.certificate
        answer = http.post(url, data=body.encode(), headers=headers, cert=pair, timeout=20)
        assert status(answer) == expected


def test_an_interactive_login_answers_in_its_documented_shape(
    sandbox: Sandbox, login: Post
) -> None:
    """Four fields and one more; a two-step code after the password; a page without Accept."""
    answer = login().json()
    assert answer.keys() > {"token", "product", "status", "error"}
    assert (answer["status"], answer["error"]) == (SUCCESS, "")
    assert (answer["product"], answer["token"]) == (sandbox.app_key, sandbox.sessions()[0].token)
    sandbox.set_two_step("123456")
    assert login().json()["error"] == "STRONG_AUTH_CODE_REQUIRED"
    assert login(password=sandbox.password + "654321").json()["error"] == "STRONG_CODE_FAIL"
    assert login(password=sandbox.password + "123456").json()["status"] == SUCCESS
    assert login(accept="*/*").headers["Content-Type"].startswith("text/html")
    assert login(app_key=None).json()["error"] == "INPUT_VALIDATION_ERROR"
    assert len(sandbox.sessions()) == 2


def test_a_login_status_is_given_on_demand(sandbox: Sandbox, certlogin: Post, login: Post) -> None:
    """Both logins answer with the code in their own shape; only LIMITED_ACCESS gives a token."""
    sandbox.login_status("SUSPENDED", times=2)
    assert certlogin().json() == {"loginStatus": "SUSPENDED"}
    refused = login().json()
    assert (refused["status"], refused["error"], refused["token"]) == ("FAIL", "SUSPENDED", "")
    assert status(certlogin()) == SUCCESS
    sandbox.login_status("KYC_SUSPEND")
    assert {status(certlogin()) for _ in range(3)} == {"KYC_SUSPEND"}
    sandbox.login_status(None)
    assert status(certlogin()) == SUCCESS
    sandbox.login_status("LIMITED_ACCESS", times=1)
    limited = login().json()
    assert (limited["status"], limited["error"]) == ("LIMITED_ACCESS", "")
    assert limited["token"] == sandbox.sessions()[-1].token
    sandbox.login_status("TERMS_AND_CONDITIONS", status="LOGIN_RESTRICTED")
    restricted = login().json()
    assert (restricted["status"], restricted["token"]) == ("LOGIN_RESTRICTED", "")


def test_the_hundred_and_first_login_within_a_minute_bans_for_twenty_minutes(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """Of successful ones; sessions live through the ban, and only the last minute counts."""

    def logins(count: int) -> list[str]:
        return [status(certlogin()) for _ in range(count)]

    assert logins(2) == [SUCCESS] * 2
    sandbox.advance(61)
    assert logins(101) == [SUCCESS] * 100 + [BANNED]
    sandbox.advance(20 * 60 - 5)
    assert logins(1) == [BANNED]
    assert len(sandbox.sessions()) == 102
    sandbox.advance(10)
    assert logins(1) == [SUCCESS]


def test_wrong_passwords_in_a_row_lock_the_account_and_a_right_one_starts_over(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """The one that locks says so, those after it say that it is locked."""
    sandbox.configure(lock_after=3)
    given = ("x", "x", sandbox.password, "x", "x", "x", sandbox.password)
    said = [status(certlogin(password=password)) for password in given]
    locked = ["ACCOUNT_NOW_LOCKED", "ACCOUNT_ALREADY_LOCKED"]
    assert said == [WRONG, WRONG, SUCCESS, WRONG, WRONG, *locked]


# --- sessions -------------------------------------------------------------------------------------


def test_keep_alive_echoes_the_token_and_extends_the_session(
    sandbox: Sandbox, on_session: Post
) -> None:
    """An extended session outlives its first length; the clock can be set as well as turned."""
    token = sandbox.issue()
    fine = {"token": token, "product": sandbox.app_key, "status": SUCCESS, "error": ""}
    for _ in range(3):
        sandbox.advance(11 * 3600)
        assert on_session("keepAlive", token).json() == fine
    sandbox.advance(12 * 3600)
    assert on_session("keepAlive", token).json()["error"] == "NO_SESSION"
    sandbox.set_time_offset(0)
    token = sandbox.issue()
    sandbox.set_time_offset(13 * 3600)
    assert sandbox.sessions() == []
    sandbox.configure(session_seconds=0)  # how a test rejects every new token
    assert on_session("keepAlive", sandbox.issue()).json()["error"] == "NO_SESSION"


@pytest.mark.parametrize("operation", ["keepAlive", "logout"])
def test_a_token_that_is_none_fails_with_http_200(on_session: Post, operation: str) -> None:
    """Missing, unknown and malformed tokens are told apart only by the error field."""
    for token, error in (
        (None, "NO_SESSION"),
        ("A" * 43 + "=", "NO_SESSION"),
        ("A" * 42 + "=", "INPUT_VALIDATION_ERROR"),
        ("not a token", "INPUT_VALIDATION_ERROR"),
    ):
        answer = on_session(operation, token)
        told = answer.json()
        assert (answer.status_code, told["status"], told["error"]) == (200, "FAIL", error)


def test_logout_ends_its_session_and_no_other(sandbox: Sandbox, on_session: Post) -> None:
    """A second one finds none. Without Accept, HTTP 200 comes with a page or a picture."""
    ended, living = sandbox.issue(), sandbox.issue()
    for operation in ("keepAlive", "logout"):
        page = on_session(operation, ended, accept="*/*")
        assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
        picture = on_session(operation, ended, accept="image/png")
        assert (picture.status_code, picture.content[1:4]) == (200, b"PNG")
    assert len(sandbox.sessions()) == 2
    assert on_session("logout", ended).json()["status"] == SUCCESS
    assert on_session("logout", ended).json()["error"] == "NO_SESSION"
    assert [session.token for session in sandbox.sessions()] == [living]


def test_only_post_to_the_very_path_is_taken(sandbox: Sandbox, http: requests.Session) -> None:
    """Any other method is answered with 405; what is nearly an endpoint is none."""
    for operation in ("certlogin", "login", "keepAlive", "logout"):
        answer = http.get(sandbox.identity_url + operation, timeout=20)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert http.get(sandbox.api_url + "betting/json-rpc/v1", timeout=20).status_code == 405
    sandbox.clear_journal()
    for path in ("keepalive", "Logout", "certLogin", "keepAlive/", "nothing"):
        assert http.post(sandbox.identity_url + path, timeout=20).status_code == 404
    assert sandbox.counts() == {"other": 5}


def test_secrets_in_the_wrong_place_are_noted(
    sandbox: Sandbox, http: requests.Session, certlogin: Post
) -> None:
    """In a URL, a header, or Basic authentication; the journal does not hold them itself."""
    certlogin()
    query = f"?username={sandbox.username}&password={quote(sandbox.password, safe='')}"
    url = sandbox.identity_cert_url + "certlogin" + query
    answer = http.post(url, headers={"X-Application": sandbox.app_key}, timeout=20)
    assert "sessionToken" not in answer.json()
    token = sandbox.issue()
    http.post(
        sandbox.identity_url + f"keepAlive?t={quote(token)}",
        headers={"Accept": "application/json", "X-Authentication": token, "X-P": sandbox.password},
        auth=("user", "password"),
        timeout=20,
    )
    assert [entry.defects for entry in sandbox.journal()] == [
        [],
        ["credentials in the URL", "password in the URL"],
        ["token in the URL", "an Authorization header", "password in a header"],
    ]
    assert sandbox.password not in repr(sandbox.journal())
