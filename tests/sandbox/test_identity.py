"""The identity endpoints over real TLS."""

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]


def test_a_certificate_login_issues_a_token_of_44_base64_characters(
    sandbox: Sandbox, certlogin: Post
) -> None:
    """The answer has exactly the two documented fields."""
    answer = certlogin()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json().keys() == {"sessionToken", "loginStatus"}
    token = answer.json()["sessionToken"]
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", token)
    assert [session.token for session in sandbox.sessions()] == [token]


def test_a_login_without_a_certificate_needs_one(sandbox: Sandbox, certlogin: Post) -> None:
    """The connection is accepted, and the answer says what is missing."""
    assert certlogin(certificate=None).json() == {"loginStatus": "CERT_AUTH_REQUIRED"}
    assert not sandbox.journal()[0].certificate


def test_a_strangers_certificate_is_let_in_and_refused(sandbox: Sandbox, certlogin: Post) -> None:
    """TLS accepts an unknown self-signed certificate; the login does not."""
    stranger = sandbox.make_certificate("stranger")
    assert certlogin(certificate=stranger).json() == {"loginStatus": "CERT_AUTH_REQUIRED"}
    assert sandbox.journal()[0].certificate
    assert sandbox.make_certificate("stranger") == stranger
    sandbox.upload_certificate(Path(stranger[0]).read_text())
    assert certlogin(certificate=stranger).json()["loginStatus"] == "SUCCESS"


def test_a_removed_certificate_no_longer_logs_in(sandbox: Sandbox, certlogin: Post) -> None:
    """The holder can take a certificate back."""
    sandbox.remove_certificates()
    assert certlogin().json() == {"loginStatus": "CERT_AUTH_REQUIRED"}


def test_a_certificate_belongs_to_its_account_alone(sandbox: Sandbox, certlogin: Post) -> None:
    """Another account's certificate is a stranger's."""
    sandbox.add_account("other", "other password")
    assert certlogin("other", "other password").json() == {"loginStatus": "CERT_AUTH_REQUIRED"}
    sandbox.upload_certificate(Path(sandbox.certificate[0]).read_text(), "other")
    assert certlogin("other", "other password").json()["loginStatus"] == "SUCCESS"
    assert sandbox.sessions()[0].username == "other"


def test_the_plain_host_never_asks_for_a_certificate(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """A certlogin sent there by mistake is answered as one without a certificate."""
    answer = http.post(
        sandbox.identity_url + "certlogin",
        data={"username": sandbox.username, "password": sandbox.password},
        headers={"X-Application": sandbox.app_key},
        cert=sandbox.certificate,
        timeout=20,
    )
    assert answer.json() == {"loginStatus": "CERT_AUTH_REQUIRED"}


def test_the_client_certificate_is_made_as_betfair_asks(sandbox: Sandbox) -> None:
    """RSA 2048, self-signed, for client authentication, its files private."""
    certificate = x509.load_pem_x509_certificate(Path(sandbox.certificate[0]).read_bytes())
    assert certificate.issuer == certificate.subject
    certificate.verify_directly_issued_by(certificate)
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert {Path(path).stat().st_mode & 0o777 for path in sandbox.certificate} == {0o600}
    assert sandbox.directory.stat().st_mode & 0o777 == 0o700


def test_a_resumed_tls_session_keeps_its_client_certificate(sandbox: Sandbox) -> None:
    """A client that resumes TLS need not show the certificate again."""
    context = ssl.create_default_context(cafile=sandbox.ca_bundle)
    context.load_cert_chain(*sandbox.certificate)
    form = urlencode({"username": sandbox.username, "password": sandbox.password})
    headers = f"X-Application: {sandbox.app_key}\r\nContent-Length: {len(form)}"
    request = (
        f"POST /api/certlogin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
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


def test_the_servers_certificate_is_verified_by_the_sandboxs_own_authority(
    sandbox: Sandbox,
) -> None:
    """Without the authority's certificate there is no connection."""
    with requests.Session() as strict:
        strict.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            strict.post(sandbox.identity_url + "keepAlive", timeout=20)


def test_a_wrong_password_and_an_unknown_user_are_told_alike(certlogin: Post) -> None:
    """Neither answer gives away which of the two was wrong."""
    wrong = {"loginStatus": "INVALID_USERNAME_OR_PASSWORD"}
    assert certlogin(password="nonsense").json() == wrong
    assert certlogin(username="nobody").json() == wrong


def test_a_password_that_is_not_form_encoded_is_refused(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """The default password has all the characters that make an unencoded form go wrong."""
    for body in (
        f"username={sandbox.username}&password={sandbox.password}",
        f"username={sandbox.username}&password={sandbox.password.replace(' %', '')}",
    ):
        answer = http.post(
            sandbox.identity_cert_url + "certlogin",
            data=body,
            headers={
                "X-Application": sandbox.app_key,
                "Content-Type": "application/x-www-form-urlencoded",
            },
            cert=sandbox.certificate,
            timeout=20,
        )
        codes = ("CERT_AUTH_REQUIRED", "INVALID_USERNAME_OR_PASSWORD")
        assert answer.json()["loginStatus"] in codes


def test_a_login_without_an_application_key_is_malformed(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """X-Application is required."""
    answer = http.post(
        sandbox.identity_cert_url + "certlogin",
        data={"username": sandbox.username, "password": sandbox.password},
        cert=sandbox.certificate,
        timeout=20,
    )
    assert answer.json() == {"loginStatus": "INPUT_VALIDATION_ERROR"}


def test_a_login_status_is_given_on_demand(sandbox: Sandbox, certlogin: Post, login: Post) -> None:
    """Both logins answer with the code in their own shape, as often as asked."""
    sandbox.login_status("SUSPENDED", times=2)
    assert certlogin().json() == {"loginStatus": "SUSPENDED"}
    refused = login().json()
    assert (refused["status"], refused["error"], refused["token"]) == ("FAIL", "SUSPENDED", "")
    assert certlogin().json()["loginStatus"] == "SUCCESS"
    sandbox.login_status("KYC_SUSPEND")
    assert {certlogin().json()["loginStatus"] for _ in range(3)} == {"KYC_SUSPEND"}
    sandbox.login_status(None)
    assert certlogin().json()["loginStatus"] == "SUCCESS"


def test_an_interactive_login_answers_in_its_documented_shape(
    sandbox: Sandbox, login: Post
) -> None:
    """The four documented fields, and one more as the real service has them."""
    answer = login().json()
    assert answer.keys() > {"token", "product", "status", "error"}
    assert (answer["status"], answer["error"]) == ("SUCCESS", "")
    assert answer["product"] == sandbox.app_key
    assert answer["token"] == sandbox.sessions()[0].token


def test_limited_access_issues_a_token_and_restricted_does_not(
    sandbox: Sandbox, login: Post
) -> None:
    """LIMITED_ACCESS is no refusal."""
    sandbox.login_status("LIMITED_ACCESS", times=1)
    limited = login().json()
    assert (limited["status"], limited["error"]) == ("LIMITED_ACCESS", "")
    assert limited["token"] == sandbox.sessions()[0].token
    sandbox.login_status("TERMS_AND_CONDITIONS", status="LOGIN_RESTRICTED")
    restricted = login().json()
    assert (restricted["status"], restricted["token"]) == ("LOGIN_RESTRICTED", "")


def test_a_two_step_code_is_asked_for_and_taken(sandbox: Sandbox, login: Post) -> None:
    """The code is appended to the password."""
    sandbox.set_two_step("123456")
    assert login().json()["error"] == "STRONG_AUTH_CODE_REQUIRED"
    assert login(password=sandbox.password + "123456").json()["status"] == "SUCCESS"


def test_keep_alive_echoes_the_token_and_extends_the_session(
    sandbox: Sandbox, on_session: Post
) -> None:
    """An extended session outlives its first length."""
    token = sandbox.issue()
    for _ in range(3):
        sandbox.advance(11 * 3600)
        answer = on_session("keepAlive", token).json()
        assert answer == {
            "token": token,
            "product": sandbox.app_key,
            "status": "SUCCESS",
            "error": "",
        }
    sandbox.advance(12 * 3600)
    assert on_session("keepAlive", token).json()["error"] == "NO_SESSION"


@pytest.mark.parametrize("operation", ["keepAlive", "logout"])
@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, "NO_SESSION"),
        ("A" * 43 + "=", "NO_SESSION"),
        ("A" * 42 + "=", "INPUT_VALIDATION_ERROR"),
        ("not a token", "INPUT_VALIDATION_ERROR"),
    ],
)
def test_a_token_that_is_none_fails_with_http_200(
    on_session: Post, operation: str, token: str | None, error: str
) -> None:
    """Missing, unknown and malformed tokens are told apart only by the error field."""
    answer = on_session(operation, token)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["error"]) == ("FAIL", error)


def test_logout_ends_its_session_and_no_other(sandbox: Sandbox, on_session: Post) -> None:
    """A second logout of the same token finds no session."""
    ended, living = sandbox.issue(), sandbox.issue()
    assert on_session("logout", ended).json()["status"] == "SUCCESS"
    assert on_session("logout", ended).json()["error"] == "NO_SESSION"
    assert [session.token for session in sandbox.sessions()] == [living]


@pytest.mark.parametrize("operation", ["keepAlive", "logout"])
def test_without_the_accept_header_a_page_or_a_picture_comes_with_200(
    sandbox: Sandbox, on_session: Post, operation: str
) -> None:
    """HTTP 200 alone proves nothing, and nothing was done."""
    token = sandbox.issue()
    page = on_session(operation, token, accept="*/*")
    assert (page.status_code, page.text[:15]) == (200, "<!DOCTYPE html>")
    picture = on_session(operation, token, accept="image/png")
    assert (picture.status_code, picture.content[1:4]) == (200, b"PNG")
    assert [session.token for session in sandbox.sessions()] == [token]


def test_an_interactive_login_without_the_accept_header_is_a_page(
    sandbox: Sandbox, login: Post
) -> None:
    """Right credentials change nothing about that."""
    assert login(accept="*/*").headers["Content-Type"].startswith("text/html")
    assert sandbox.sessions() == []


@pytest.mark.parametrize("operation", ["certlogin", "login", "keepAlive", "logout"])
def test_only_post_is_allowed(sandbox: Sandbox, http: requests.Session, operation: str) -> None:
    """Any other method is answered with 405."""
    for method in ("GET", "PUT", "DELETE"):
        answer = http.request(method, sandbox.identity_url + operation, timeout=20)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["keepalive", "Logout", "certLogin", "keepAlive/", "nothing"])
def test_the_case_of_a_path_matters(sandbox: Sandbox, http: requests.Session, path: str) -> None:
    """What is nearly an endpoint is none."""
    answer = http.post(
        sandbox.identity_url + path, headers={"Accept": "application/json"}, timeout=20
    )
    assert answer.status_code == 404
    assert sandbox.counts() == {"other": 1}


def test_the_ban_is_told_over_tls_and_ends_with_the_virtual_clock(
    sandbox: Sandbox, certlogin: Post, on_session: Post
) -> None:
    """Sessions that exist live through the ban."""
    sandbox.configure(logins_per_minute=2)
    token = certlogin().json()["sessionToken"]
    certlogin()
    banned = {"loginStatus": "TEMPORARY_BAN_TOO_MANY_REQUESTS"}
    assert certlogin().json() == banned
    sandbox.advance(19 * 60)
    assert certlogin().json() == banned
    assert on_session("keepAlive", token).json()["status"] == "SUCCESS"
    sandbox.advance(2 * 60)
    assert certlogin().json()["loginStatus"] == "SUCCESS"


def test_credentials_in_a_url_are_ignored_and_noted(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """The journal says so, without the credentials themselves."""
    query = f"?username={sandbox.username}&password={quote(sandbox.password, safe='')}"
    answer = http.post(
        sandbox.identity_cert_url + "certlogin" + query,
        headers={"X-Application": sandbox.app_key},
        cert=sandbox.certificate,
        timeout=20,
    )
    assert "sessionToken" not in answer.json()
    (entry,) = sandbox.journal()
    assert entry.defects == ["credentials in the URL", "password in the URL"]
    assert sandbox.password not in repr(entry)


def test_secrets_in_the_wrong_place_are_noted(
    sandbox: Sandbox, http: requests.Session, certlogin: Post
) -> None:
    """A token in a URL, a password in a header, and Basic authentication are defects."""
    certlogin()
    token = sandbox.issue()
    http.post(
        sandbox.identity_url + f"keepAlive?t={quote(token)}",
        headers={"Accept": "application/json", "X-Authentication": token, "X-P": sandbox.password},
        auth=("user", "password"),
        timeout=20,
    )
    clean, careless = sandbox.journal()
    assert clean.defects == []
    assert careless.defects == [
        "token in the URL",
        "an Authorization header",
        "password in a header",
    ]
