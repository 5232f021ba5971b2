"""Every documented refusal of each cloud, through each of its drivers: which error it becomes.

Sources: the error references of Amazon S3, of Google Cloud Storage's two interfaces, and of Azure
Blob Storage.
"""

from __future__ import annotations

import gc
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import pytest
from aiohttp import TCPConnector
from gcsfs.core import GCSFileSystem
from secrets_shown import everything_in
from servers.cloudlike import Cloud
from servers.cloudlike_wire import OF_ONE_OBJECT, Order, Says
from servers.fixtures import CLOUD_LANES
from servers.listeners import Listener, Stranger, saying
from servers.objects import Bucket
from servers.process import poll
from servers.script import Answer
from within import within

from betfair_session.exceptions import StoreError, StoreUnavailable, StoreWriteError
from betfair_session.secret import SecretBytes
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, TokenStore, VersionConflict
from betfair_session.storage.loop import background_loop
from storage.contract import (
    CALLS,
    CONDITIONAL,
    WRITES,
    all_fail,
    assert_conflict,
    create,
    failure,
    get,
    put,
    read,
)
from storage.places import TIMEOUT
from storage.surroundings import in_a_child


class Line(NamedTuple):
    """A cloud with one object, "prefix/token", and a store on it that is open already."""

    name: str  # of the lane: the cloud, and the driver where it is obstore
    cloud: Cloud
    bucket: Bucket
    store: TokenStore
    version: str  # of that object

    def reset(self) -> Line:
        """Return the lane in its first state."""
        self.cloud.heal()
        for key in self.bucket.contents():
            self.bucket.delete(key)
        version = create(self.store, b"present")
        self.cloud.orders.clear()
        self.cloud.requests.clear()
        return self._replace(version=version)


@contextmanager
def opened(lane: str) -> Iterator[Line]:
    """One cloud and one store for all tests of a lane."""
    kind: Any = lane.rpartition("+")[2]
    with Cloud(kind) as cloud:
        place = cloud.new_bucket(lane.removesuffix(kind))
        with open_store(place.url("prefix"), place.options) as store:
            store.get("token", deadline=within(60))
            # What was tried out is not doubted when a test has it refuse a write.
            put(store, b"second", create(store, key="tried.login"), "tried.login")
            yield Line(lane, cloud, place, store, "")


@contextmanager
def googles_own(authority: Path) -> Iterator[Line]:
    """A stub that is reached by https, through a filesystem of the caller's that trusts it."""
    tls = Stranger(authority).tls
    trust = ssl.create_default_context(cafile=authority)

    async def connector() -> TCPConnector:
        return TCPConnector(ssl=trust)

    with Cloud("gcs", tls=tls) as cloud:
        bucket = cloud.new_bucket()
        session = {"connector": fsspec.asyn.sync(fsspec.asyn.get_loop(), connector)}
        filesystem = GCSFileSystem(**bucket.options, session_kwargs=session)
        with open_store((filesystem, f"{bucket.name}/prefix")) as store:
            yield Line("gcs by https", cloud, bucket, store, "")
        fsspec.asyn.sync(filesystem.loop, filesystem.session.close)


@pytest.fixture(scope="session")
def lane_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Line]]:
    """Return the lane of a name, opened once."""
    lanes: dict[str, Line] = {}
    with ExitStack() as stack:

        def find(name: str) -> Line:
            if name not in lanes:
                authority = tmp_path_factory.mktemp("tls") / "ca.pem"
                made = googles_own(authority) if "https" in name else opened(name)
                lanes[name] = stack.enter_context(made)
            return lanes[name]

        yield find


@pytest.fixture(params=CLOUD_LANES)
def line(request: pytest.FixtureRequest, lane_of: Callable[[str], Line]) -> Iterator[Line]:
    """A lane in its first state; to choose some, parametrize this fixture."""
    found = lane_of(request.param)
    yield found.reset()
    found.cloud.heal()
    found.cloud.etag, found.cloud.headers = '"{}"', {}


PRESENT = {"prefix/token": b"present"}
CHANGED: dict[str, dict[str, bytes]] = {
    "create": {**PRESENT, "prefix/fresh": b"mine"},
    "replace_if_version": {"prefix/token": b"mine"},
    "replace": {"prefix/token": b"mine"},
    "delete": {},
}
"""What each call leaves behind when it arrives."""

PAGE = b"<!DOCTYPE html><html><body><h1>Sorry</h1><p>token=abc</p></body></html>"


class Row(NamedTuple):
    """One answer of a cloud to any call, and the error that it becomes."""

    # "conflict", "missing" and "lasting" mean something else to each call. "?" after it stands for
    # a write that may have landed, "x2" for credentials that are looked for anew, once.
    reason: str
    says: str  # status, code and message; without a code it is another server's page

    @property
    def code(self) -> str:
        return re.split("[ :]", self.says + " ")[1]

    @property
    def answer(self) -> Says | Answer:
        status, _, rest = self.says.partition(" ")
        code, _, message = rest.partition(": ")
        return Says(int(status), code, message or "scripted") if code else Answer(int(status), PAGE)


def rows(answers: dict[str, str]) -> list[Row]:
    """Return a row for each answer that is listed by its reason."""
    return [Row(reason, each) for reason, said in answers.items() for each in said.split(", ")]


PAGES = rows({"server?": "400, 403, 407, 409, 412, 429, 502, 503, 504"})
S3 = rows(
    {
        "forbidden": "403 AccessDenied: User: arn:aws:iam::1:user/f is not authorized",
        "forbidden x2": "403 InvalidAccessKeyId, 403 SignatureDoesNotMatch, 400 ExpiredToken",
        "throttled": "503 SlowDown, 429 TooManyRequests",
        "server": "500 InternalError, 503 ServiceUnavailable, 404 SomethingElse",
        "server?": "502 BadGateway, 504 GatewayTimeout",
        "timeout": "400 RequestTimeout",
        "conflict": "412 PreconditionFailed, 409 ConditionalRequestConflict, 409 OperationAborted",
        "lasting": "409 InvalidBucketState, 412 SomethingElse",
        "missing": "404 NoSuchKey",
        "no-bucket": "404 NoSuchBucket",
        "other": "410 Gone, 400 AuthorizationHeaderMalformed, 403 RequestTimeTooSkewed, "
        "400 KMS.NotFoundException",
        "full": "507 InsufficientStorage",
        "busy": "423 Locked",
    }
)
GCS = rows(
    {
        "forbidden": "403 forbidden",
        "forbidden x2": "401 authError",
        "throttled": "429 rateLimitExceeded",
        "server": "500 internalError, 503 backendError",
        "server?": "502 backendError",
        "timeout": "408 requestTimeout",
        "conflict": "412 conditionNotMet",
        "lasting": "409 conflict",
        "missing": "404 notFound: No such object: bucket/prefix/token",
        "no-bucket": "404 notFound: The specified bucket does not exist.",
        "other": "412 conditionNotMet: Violates 'constraints/gcp.restrictNonCmek', 400 invalid, "
        "412 orgPolicyConstraintFailed: Request violates an OrgPolicy constraint.",
        "read-only": "403 retentionPolicyNotMet, 403 objectUnderActiveHold",
    }
)
GCS_XML = S3 + rows(
    {
        "forbidden x2": "401 AuthenticationRequired",
        "other": "412 OrgPolicyConstraintFailed: Violates 'constraints/gcp.x'",
        "read-only": "403 RetentionPolicyNotMet, 403 ObjectUnderActiveHold",
    }
)
AZURE = rows(
    {
        "forbidden": "403 AuthorizationFailure, 403 AuthorizationPermissionMismatch, "
        "403 AccountIsDisabled",
        "forbidden x2": "403 AuthenticationFailed, 401 InvalidAuthenticationInfo",
        "throttled": "503 ServerBusy, 429 TooManyRequests",
        "server": "500 InternalError, 404 ResourceNotFound",
        "server?": "502 BadGateway",
        "timeout?": "500 OperationTimedOut",
        "conflict": "412 ConditionNotMet, 412 TargetConditionNotMet, 409 BlobAlreadyExists",
        "lasting": "409 BlobTypeNotSupported, 409 PublicAccessNotPermitted",
        "missing": "404 BlobNotFound",
        "no-bucket": "404 ContainerNotFound, 409 ContainerBeingDeleted",
        "other": "409 BlobArchived",
        "read-only": "409 BlobImmutableDueToPolicy",
        "busy": "412 LeaseIdMissing",
    }
)
LANES = {
    "s3": S3 + PAGES,
    # By http a bare answer is an emulator's own word; Google's servers are reached by https.
    "gcs": GCS,
    "gcs by https": [row for row in GCS if "x2" not in row.reason] + PAGES,
    "azure": AZURE + PAGES,
    "obstore+s3": [*S3, *rows({"other": "301 PermanentRedirect"}), *PAGES],
    "obstore+gcs": GCS_XML + PAGES,
    "obstore+azure": AZURE + PAGES,
}
BY_HTTPS = [lane for lane in LANES if lane != "gcs"]


def expected(lane: str, row: Row, call: str) -> tuple[str, type[Exception] | None]:
    """Return the reason and the type of the error that a row means to a call; None for no error."""
    reason = row.reason.removesuffix("?").removesuffix(" x2")
    if reason == "missing":
        if call in ("read", "delete"):
            return "", None
        reason = "conflict" if call == "replace_if_version" else "no-bucket"
    elif reason == "conflict" and call not in CONDITIONAL:
        reason = "busy"
    if lane == "obstore+azure" and call == "delete" and row.code in OF_ONE_OBJECT["azure"]:
        # It has only the status.
        reason = "forbidden" if row.says.startswith("403") else "other"
    if reason == "conflict":
        return reason, VersionConflict
    reason = "other" if reason == "lasting" else reason
    refused = reason in {"forbidden", "other", "full", "read-only"} and call != "read"
    return reason, StoreWriteError if refused else StoreUnavailable


def _changes(order: Order) -> bool:
    return order.verb != "GET"


@pytest.mark.parametrize(
    ("line", "row"),
    [(lane, row) for lane, listed in LANES.items() for row in listed],
    indirect=["line"],
    ids=lambda each: each if isinstance(each, str) else each.says,
)
def test_an_answer_means(line: Line, row: Row) -> None:
    """The error's reason, type and `landed`; after unknown words the store reads the object."""
    asks = 2 if row.reason.endswith("x2") else 1
    # To look for credentials takes a driver anew each time.
    for call in CALLS if asks == 1 else ("read", "replace"):
        reason, kind = expected(line.name, row, call)
        looks = row.reason == "lasting" and call in CONDITIONAL
        line.cloud.orders.clear()
        fault = line.cloud.fail("*" if call == "read" else _changes, answer=row.answer)
        if kind is None:
            assert CALLS[call](line.store, line.version, within(TIMEOUT)) is None
        else:
            error = failure(call, line.store, line.version)
            told = (error.reason, error.landed, type(error))
            landed = row.reason.endswith("?") and call != "read"
            assert told == (reason, landed, kind), (call, error)
            assert error.key == ("fresh" if call == "create" else "token")
            assert line.bucket.name in error.store
        assert (len(fault.met), len(line.cloud.orders)) == (asks, asks + looks), call
        line.cloud.heal()
        assert line.bucket.contents() == PRESENT


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_in_unknown_words_is_one_where_another_wrote(line: Line, status: int) -> None:
    for key in ("prefix/token", "prefix/fresh"):
        line.bucket.put(key, b"another's")
    line.cloud.fail("PUT", answer=Says(status, "OddWords"))
    for call in CONDITIONAL:
        assert isinstance(failure(call, line.store, line.version), VersionConflict)


def test_each_call_is_one_request(line: Line) -> None:
    """It carries its own condition: looking first and then writing would be a race."""
    for call in CALLS:
        now = line.reset()
        CALLS[call](now.store, now.version, within(TIMEOUT))
        (order,) = line.cloud.orders
        (sent,) = line.cloud.requests
        assert "expect" not in sent.headers, "that would be a round trip more"
        assert (order.expect is not None) is (call in CONDITIONAL)
        assert line.bucket.contents() == CHANGED.get(call, PRESENT)


@pytest.mark.parametrize("line", BY_HTTPS, indirect=True)
def test_somebody_elses_words_are_no_answer(line: Line) -> None:
    """A 404 would make a live token look absent; a 200 is neither a token nor a written one."""
    own = b'{"error": {"code": 404, "message": "Not Found", "errors": [{"reason": "x"}]}}'
    bodies = [PAGE, b"", b"404 page not found\n", b"no object in that bucket"]
    if line.name == "gcs by https":
        bodies += [own, b"[]", b"{}", b'{"error": "x"}', b'{"error": {}}', b"null", b"\xff", b"{"]
    for body in bodies:
        line.cloud.fail(answer=Answer(404, body))
        all_fail(line.store, "server", ["read", "delete"], landed=body != own)
    for body in (PAGE, b"", b"[]", b"{}", b'"x"'):
        line.cloud.fail(answer=Answer(200, body))
        calls = ["read", "create", "replace_if_version", "replace"]
        all_fail(line.store, "server", calls, landed=True, version=line.version)


@pytest.mark.parametrize("line", ["gcs", "azure"], indirect=True)
def test_who_deletes_one_version_learns_that_it_is_gone(line: Line) -> None:
    """Where the server says so, and not that the condition fails."""
    (gone,) = (row for row in LANES[line.name] if row.reason == "missing")
    line.cloud.fail("DELETE", answer=gone.answer)
    with pytest.raises(VersionConflict):
        line.store.delete("token", line.version, deadline=within(TIMEOUT))


@pytest.mark.parametrize("line", ["gcs by https"], indirect=True)
def test_googles_own_words_may_be_plain_text(line: Line) -> None:
    """As those of a download, which a header tells from a gateway's."""
    line.cloud.fail(answer=Answer(403, b"You may not.", {"X-GUploader-UploadID": "x"}))
    all_fail(line.store, "forbidden", ["read"])


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_elsewhere(line: Line, status: int) -> None:
    """Another server would see the token, or give one; obstore follows where it sends no token."""
    with Listener(saying(b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 0\r\n\r\n")) as elsewhere:
        place = {"Location": f"http://127.0.0.1:{elsewhere.port}/x"}
        line.cloud.fail(answer=Answer(status, PAGE, place))
        followed = {"read", "delete"} if line.name.startswith("obstore") else set[str]()
        told = [failure(call, line.store, line.version) for call in CALLS.keys() - followed]
        assert elsewhere.connections == 0
    assert {(each.reason, each.landed) for each in told} == {("other", False)}
    assert line.bucket.contents() == PRESENT


@pytest.mark.parametrize(("lands", "answer"), [("now", "drop"), ("never", "reset")])
def test_a_broken_connection_is_told(line: Line, lands: str, answer: str) -> None:
    """A write may have landed, and is not sent twice; a read may be: servers close idle ones."""
    for call in CALLS:
        now = line.reset()
        line.cloud.fail(lands=lands, answer=answer)
        error = failure(call, now.store, now.version)
        assert (error.reason, error.landed) == ("unreachable", call != "read")
        assert len(line.cloud.orders) == (2 if call == "read" else 1)
        assert line.bucket.contents() == (CHANGED.get(call, PRESENT) if lands == "now" else PRESENT)


def test_a_call_without_an_answer_ends_in_time_and_may_land_later(line: Line) -> None:
    """Each call at the same moment; the store serves others meanwhile, and afterwards."""
    for seconds in (1.2, 5, 25):  # more where a busy machine did not send all of them in time
        faults = [
            line.cloud.fail("PUT", lands="later", answer="silence"),
            line.cloud.fail("DELETE", lands="later", answer="silence"),
            line.cloud.fail("GET token", answer="stall"),
        ]
        with ThreadPoolExecutor() as pool:
            made = [pool.submit(failure, call, line.store, line.version, seconds) for call in CALLS]
            assert get(line.store, "other") is None
            errors = dict(zip(CALLS, (each.result() for each in made), strict=True))
        if sum(len(each.met) for each in faults) == len(CALLS):
            break
        line = line.reset()
    for call, error in errors.items():
        assert type(error) is StoreUnavailable
        assert (error.reason, error.landed) == ("timeout", call != "read")
    assert line.bucket.contents() == PRESENT
    line.cloud.heal()
    assert any(sum(len(each.late) for each in faults) == len(WRITES) for _ in poll(10))
    landed = [each for fault in faults for each in fault.land()]
    assert sorted(landed) in ([False, True, True, True], [True] * 4)
    assert get(line.store, "other") is None


def test_what_a_proxy_or_a_look_alike_does_to_headers(line: Line) -> None:
    """A weak ETag or a bare one serves; without a date the store's clock is not known."""
    for form in ('W/"{}"', "{}"):
        line.cloud.etag = form
        version = create(line.store, key=form[:1])
        put(line.store, b"second", version, form[:1])
        seen = read(line.store, form[:1]).version
        put(line.store, b"third", seen, form[:1])
        assert_conflict(lambda seen=seen, key=form[:1]: put(line.store, b"x", seen, key))  # type: ignore[misc]
    for date in (None, "soon"):
        line.cloud.headers["Date"] = date
        if line.name == "azure" and date:
            assert failure("read", line.store).reason == "server"
        else:
            assert (read(line.store).content, read(line.store).now) == (b"present", None)


def test_a_huge_object_is_not_fetched_whole(line: Line) -> None:
    line.bucket.put("prefix/huge", b"x" * 50_000_000)
    assert len(read(line.store, "huge").content) == 4097
    line.store.close()
    (sent,) = line.cloud.requests
    assert sent.delivered < 10_000_000


def test_no_error_shows_a_credential_or_a_token(
    line: Line, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in its text, attributes and frames, nor in what it was raised from; nor do logs."""
    caplog.set_level(1)
    # In debug mode asyncio logs tasks with their results.
    monkeypatch.setattr(background_loop(), "_debug", True)
    monkeypatch.setattr(background_loop(), "slow_callback_duration", 0)
    line.bucket.put("prefix/token", b"tokenAtRest")
    assert read(line.store).content == b"tokenAtRest"
    content = SecretBytes(b"tokenInFlight")
    planted = ["secretKeyOfTheStub", "a2V5T2ZUaGVTdHVi", "tokenInFlight", "tokenAtRest"]
    planted += ["KEYIDOFTHESTUB"] if "KEYIDOFTHESTUB" in json.dumps(line.bucket.options) else []
    said = [Says(status, "AccessDenied") for status in (400, 403, 412, 500, 503)]
    shown = f"{line.store.label} {line.store!r} {line.store}"
    for answer in (*said, Answer(403, PAGE), Answer(200, PAGE), "drop", "reset"):
        line.cloud.fail(answer=answer)
        for work in (
            lambda: put(line.store, content),
            lambda: put(line.store, content, ABSENT, "new"),
            lambda: get(line.store),
        ):
            with pytest.raises(StoreError) as caught:
                work()
            given = f"content={content!r}\ntokenInFlight"  # to `put`, whose caller drops its frame
            shown += everything_in(caught.value).replace(given, "")
    assert [each for each in planted if each in shown] == []
    logged = "".join(f"{each.getMessage()} {each.__dict__}" for each in caplog.records)
    assert [each for each in planted if each.startswith("token") and each in logged] == []


@pytest.mark.parametrize("line", ["s3", "gcs", "azure", "gcs by https"], indirect=True)
def test_a_forked_child_is_cut_off_from_its_parents_connections(line: Line) -> None:
    """It may do anything with its copies: the parent's go on, and it makes its own."""
    assert read(line.store).content == b"present"
    kept = line.cloud.requests[-1].connection

    def work() -> object:
        # A filesystem that a parent opened cannot be used.
        found = None if "https" in line.name else bytes(read(line.store).content)
        for each in gc.get_objects():
            if isinstance(each, socket.socket) and each.family == socket.AF_INET:
                with suppress(OSError):
                    if each.getpeername()[1] == line.cloud.port:
                        each.shutdown(socket.SHUT_RDWR)  # as asyncio ends a TLS session
        return found

    assert in_a_child(work) in (b"present", None)
    assert read(line.store).content == b"present"
    assert line.cloud.requests[-1].connection is kept
