"""What is made of whatever a driver can raise."""

from __future__ import annotations

import builtins
import errno
import ftplib
import os
from traceback import TracebackException
from typing import TYPE_CHECKING

import pytest
import requests
from aiohttp import ClientHttpProxyError
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from botocore.exceptions import ClientError, HTTPClientError, ProxyConnectionError
from urllib3.exceptions import ConnectTimeoutError

from betfair_session.betfair.network import never_left
from betfair_session.exceptions import BetfairSessionError, StoreError, StoreUnavailable
from betfair_session.storage.errors import Operation, explain
from betfair_session.storage.judging import Garbled, Refusal, judge, version_in
from betfair_session.storage.meanings import Sent
from betfair_session.storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("verb", ["read", "create", "replace if unchanged", "replace", "delete"])
def test_whatever_is_raised_becomes_ours(verb: str) -> None:
    """Also what nobody has heard of; and a write that failed in an unknown way may have landed."""

    class UnheardError(Exception):
        """An exception of a driver that does not exist."""

    ours = explain(
        UnheardError("secret=abc123DEF456ghi789JKL012mno345PQR678stu9"), Operation(verb, "s", "k")
    )
    assert isinstance(ours, BetfairSessionError)
    assert isinstance(ours, StoreError)
    assert ours.landed == (verb != "read")
    assert "abc123DEF456" not in str(ours)


@pytest.mark.parametrize("kind", [OSError, requests.Timeout, ValueError])
def test_what_the_caller_handles_is_no_part_of_an_error(kind: type[Exception]) -> None:
    """Neither of a store's nor of a request's: inside its `except` block each has that context."""
    with pytest.raises(kind) as caught:  # noqa: PT012 - one raises within the other
        try:
            raise ConnectTimeoutError  # noqa: TRY301 - as in a caller's program
        except ConnectTimeoutError:
            raise kind from None
    error = caught.value
    assert isinstance(error.__context__, ConnectTimeoutError)
    assert not never_left(error)
    assert judge(error).sent is Sent.MAYBE


@pytest.mark.parametrize("inner", ["cause", "argument", "of botocore's", "of azure's"])
def test_what_an_error_was_made_of_says_whether_it_was_sent(inner: str) -> None:
    """Each driver has its own place for that."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    error: Exception = requests.ConnectionError()
    if inner == "cause":
        error.__cause__ = refused
    elif inner == "argument":
        error = requests.ConnectionError(refused)
    elif inner == "of botocore's":
        error = HTTPClientError(error=refused)
    else:
        error = ServiceRequestError("no", error=refused)
    assert judge(error).sent is Sent.UNCONNECTED


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/keys/token"),
        NotADirectoryError(20, "Not a directory", "/keys/token"),
        PermissionError(13, "Permission denied", "/keys/token"),
        HTTPClientError(error=FileNotFoundError(2, "No such file or directory", "/keys/token")),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("verb", ["open", "read", "create", "replace if unchanged", "delete"])
def test_a_missing_local_file_is_no_missing_object(verb: str, error: Exception) -> None:
    """The driver needs it, and the error names it. A local store knows its objects as files."""
    ours = explain(error, Operation(verb, "s3://b", "k", cloud=True))
    assert isinstance(ours, StoreError)
    assert (ours.reason, ours.landed) == ("forbidden", False)
    assert "/keys/token" in str(ours)
    assert (
        judge(FileNotFoundError(2, "No such file or directory", "/dir/token")).reason == "missing"
    )


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (301, "PermanentRedirect", r"set the bucket's region, client_kwargs={'region_name'"),
        (301, "WrongRegion", "set the bucket's region"),
        (400, "AuthorizationHeaderMalformed", "set the bucket's region"),
        (403, "RequestTimeTooSkewed", "correct this machine's clock"),
    ],
)
def test_codes_that_say_nothing_come_with_advice(status: int, code: str, advice: str) -> None:
    """And not with another's: a wrong clock is no matter of credentials."""
    ours = explain(Refusal(status, code, "text"), Operation("read", "s", "k", S3Store.hints))
    assert isinstance(ours, StoreUnavailable)
    assert code in str(ours)
    assert advice in str(ours)
    assert "credentials" not in str(ours)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("verb", ["read", "create"])
def test_too_many_open_files_are_named(verb: str, number: int) -> None:
    """Nobody else uses the token; and what could not be opened was not changed."""
    ours = explain(OSError(number, os.strerror(number)), Operation(verb, "/x", "k"))
    assert isinstance(ours, StoreUnavailable)
    assert (ours.reason, ours.landed) == ("busy", False)
    assert "ulimit -n" in str(ours)
    assert "open files" in str(ours)
    assert "something else" not in str(ours)


def test_the_words_fit_a_directory() -> None:
    """They are what a local path gets."""
    denied = explain(PermissionError(13, "Permission denied"), Operation("read", "/x", "k"))
    assert "check the permissions" in str(denied)
    missing = explain(FileNotFoundError(2, "No such file"), Operation("create", "/x", "k"))
    assert "no such bucket, container or directory" in str(missing)
    assert "URL" not in str(missing)


@pytest.mark.parametrize("value", [None, ""])
def test_an_answer_without_a_version_is_no_answer_of_the_stores(value: str | None) -> None:
    """Such as the login page of a hotel's network, with HTTP 200."""
    with pytest.raises(Garbled) as found:
        version_in(value)
    assert str(found.value) == (
        "the answer has no version; something between here and the store gave it"
    )
    assert version_in(7) == "7"


@pytest.mark.parametrize("status", [404, 410, 500])
def test_a_credential_services_answer_is_not_the_stores(status: int) -> None:
    """Its 404 says nothing of a token; nothing was asked of the store."""
    azures = ClientAuthenticationError("not here")
    azures.status_code = status
    amazons = ClientError(
        {"Error": {"Code": "Gone"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "GetRoleCredentials",
    )
    for error in (azures, amazons):
        verdict = judge(error)
        assert (verdict.reason, verdict.sent) == ("forbidden", Sent.NEVER)
        assert verdict.detail.startswith(f"no credentials: {status}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_azures_is_the_stores(status: int) -> None:
    """Of the same type."""
    error = ClientAuthenticationError("no")
    error.status_code = status
    error.error_code = "AuthenticationFailed"
    assert (judge(error).reason, judge(error).sent) == ("forbidden", Sent.ANSWERED)


@pytest.mark.parametrize(
    ("status", "code", "reason", "sent"),
    [
        (404, "", "server", Sent.MAYBE),
        (404, "404", "server", Sent.MAYBE),
        (404, "NoSuchKey", "missing", Sent.ANSWERED),
        (404, "BlobNotFound", "missing", Sent.ANSWERED),
        (404, "SomethingElse", "server", Sent.ANSWERED),
        (404, "ResourceNotFound", "server", Sent.ANSWERED),
        (409, "OperationAborted", "conflict", Sent.ANSWERED),
        (409, "SomethingElse", "doubtful", Sent.ANSWERED),
        (412, "", "server", Sent.MAYBE),
        (412, "OrgPolicyConstraintFailed", "other", Sent.ANSWERED),
        (404, "NoSuchBucket", "no-bucket", Sent.ANSWERED),
        (403, "", "server", Sent.MAYBE),
        (409, "", "server", Sent.MAYBE),
        (410, "Gone", "other", Sent.ANSWERED),
        (500, "OperationTimedOut", "timeout", Sent.MAYBE),
        (500, "InternalError", "server", Sent.ANSWERED),
        (502, "", "server", Sent.MAYBE),
        (503, "SlowDown", "throttled", Sent.ANSWERED),
        (504, "", "server", Sent.MAYBE),
        (524, "", "server", Sent.MAYBE),
    ],
)
def test_what_an_answer_means(status: int, code: str, reason: str, sent: Sent) -> None:
    """Only the store itself knows that an object is not there, and that nothing was written."""
    verdict = judge(Refusal(status, code, "text"))
    assert (verdict.reason, verdict.sent) == (reason, sent)


@pytest.mark.parametrize("kind", [ftplib.error_temp, ftplib.error_reply, ftplib.error_proto])
def test_a_server_that_ends_the_conversation_is_lost(kind: type[Exception]) -> None:
    """As one does after a while without a command, with 421."""
    assert judge(kind("421 Timeout")).reason == "unreachable"


@pytest.mark.parametrize("shape", ["cause", "context", "argument", "group", "frozen"])
def test_no_foreign_frame_is_kept(shape: str) -> None:
    """What was being written is in their locals, however an error holds another."""

    class FrozenError(OSError):
        def __setattr__(self, *_: object) -> None:
            raise AttributeError

    def fail(content: str, error: Exception) -> None:
        assert content
        raise error

    inner = _raised_by(lambda: fail("a token", TimeoutError()))
    error: Exception = FrozenError() if shape == "frozen" else OSError(5, "failed")
    if shape == "argument":
        error = OSError(inner)
    elif shape == "group":
        error = vars(builtins)["ExceptionGroup"]("several", [inner])
    elif shape == "cause":
        error.__cause__ = inner
    elif shape == "context":
        error.__context__ = inner
    ours = explain(_raised_by(lambda: fail("a token", error)), Operation("create", "s", "k"))
    found = "".join(TracebackException.from_exception(ours, capture_locals=True).format())
    assert "a token" not in found


def _raised_by(work: Callable[[], None]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
        work()
    return caught.value


@pytest.mark.parametrize("status", [403, 404, 407, 409, 412, 503])
@pytest.mark.parametrize("driver", ["s3", "gcs", "azure"])
def test_a_proxys_refusal_is_not_the_stores(status: int, driver: str) -> None:
    """It made no connection, so nothing was sent, nothing is missing and no race was lost."""
    inner = ClientHttpProxyError(None, (), status=status, message="no")  # type: ignore[arg-type] # it is not shown
    error: Exception = inner
    if driver == "s3":
        error = ProxyConnectionError(proxy_url="http://proxy", error=inner)
    elif driver == "azure":
        error = ServiceRequestError("no", error=inner)
    verdict = judge(error, cloud=True)
    assert (verdict.reason, verdict.sent) == ("unreachable", Sent.UNCONNECTED)
