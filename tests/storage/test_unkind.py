"""Each cloud as unkind as it is documented to be, through each of its drivers: what is told of it.

Sources: the error references of Amazon S3, of Google Cloud Storage's two interfaces, and of Azure
Blob Storage.
"""

from __future__ import annotations

import gc
import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import fsspec
import pytest
import trustme
from aiohttp import TCPConnector
from gcsfs.core import GCSFileSystem
from hidden.listeners import Listener, saying
from secrets_shown import everything_in
from servers.cloudlike import Cloud
from servers.cloudlike_wire import _OF_ONE_OBJECT, Says
from servers.fixtures import CLOUD_LANES
from servers.process import HOST, poll
from servers.script import Answer
from within import within

from betfair_session.exceptions import StoreUnavailable, StoreWriteError
from betfair_session.secret import SecretBytes
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, VersionConflict
from storage.contract import (
    CALLS,
    CONDITIONAL,
    WRITES,
    assert_conflict,
    create,
    delete,
    failure,
    get,
    put,
    read,
)
from storage.places import TIMEOUT, BucketPlace
from storage.surroundings import in_a_child

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.cloudlike_wire import Order
    from servers.objects import Bucket

    from betfair_session.storage.contract import TokenStore


class Line(NamedTuple):
    """A cloud with one object, "prefix/token", and a store on it that is open already.

    Attributes:
        name: of the lane: the cloud, and the driver where it is obstore.
        version: of that object.
    """

    name: str
    cloud: Cloud
    bucket: Bucket
    store: TokenStore
    version: str

    def state(self) -> dict[str, bytes | None]:
        """Return what is in the bucket."""
        return {key: self.bucket.get(key) for key in (*self.bucket.keys(),)}


@pytest.fixture(scope="module", params=CLOUD_LANES)
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[str, Cloud, Bucket, TokenStore]]:
    """One cloud and one store for all tests of a lane."""
    kind: Any = request.param.rpartition("+")[2]
    if kind == "gcs by https":
        with googles_own() as (cloud, bucket, store):
            yield kind, cloud, bucket, store
        return
    with Cloud(kind) as cloud:
        place = BucketPlace(cloud.new_bucket(), request.param.removesuffix(kind))
        with open_store(place.url("prefix"), place.options) as store:
            store.get("token", deadline=within(60))
            yield request.param, cloud, place.bucket, store


@contextmanager
def googles_own() -> Iterator[tuple[Cloud, Bucket, TokenStore]]:
    """A stub that is reached by https, through a filesystem of the caller's that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    async def connector() -> TCPConnector:
        return TCPConnector(ssl=trust)

    with Cloud("gcs", tls=server) as cloud:
        bucket = cloud.new_bucket()
        session = {"connector": fsspec.asyn.sync(fsspec.asyn.get_loop(), connector)}
        filesystem = GCSFileSystem(**bucket.options, session_kwargs=session)
        with open_store((filesystem, f"{bucket.name}/prefix")) as store:
            yield cloud, bucket, store
        fsspec.asyn.sync(filesystem.loop, filesystem.session.close)


@pytest.fixture
def line(opened: tuple[str, Cloud, Bucket, TokenStore]) -> Iterator[Line]:
    """A lane in its first state."""
    name, cloud, bucket, store = opened
    for key in tuple(bucket.keys()):
        bucket.delete(key)
    version = create(store, b"present")
    cloud.orders.clear()
    cloud.requests.clear()
    yield Line(name, cloud, bucket, store, version)
    cloud.heal()
    cloud.etag, cloud.headers = '"{}"', {}


PRESENT = {"prefix/token": b"present"}
CHANGED: dict[str, dict[str, bytes | None]] = {
    "create": {**PRESENT, "prefix/fresh": b"mine"},
    "replace_if_version": {"prefix/token": b"mine"},
    "replace": {"prefix/token": b"mine"},
    "delete": {},
}
"""What each call leaves behind when it arrives."""

FORBIDDEN, OTHER, FULL, READ_ONLY = "forbidden", "other", "full", "read-only"
REFUSED = {FORBIDDEN, OTHER, FULL, READ_ONLY}
"""The reasons that make a write a StoreWriteError."""


class Row(NamedTuple):
    """One answer of a cloud's to any call, and what is told of it.

    Attributes:
        reason: "conflict", "missing" and "lasting" mean something else to each call.
        landed: of a write.
        asks: how many requests a call makes then.
    """

    status: int
    code: str
    reason: str
    landed: bool = False
    asks: int = 1
    message: str = "scripted"


PAGE = b"<!DOCTYPE html><html><body><h1>Sorry</h1><p>token=abc</p></body></html>"
PAGES = [
    Row(status, "", "server", landed=True)
    for status in (400, 403, 407, 409, 412, 429, 502, 503, 504)
]
S3 = [
    Row(403, "AccessDenied", FORBIDDEN),
    Row(403, "InvalidAccessKeyId", FORBIDDEN, asks=2),
    Row(403, "SignatureDoesNotMatch", FORBIDDEN, asks=2),
    Row(400, "ExpiredToken", FORBIDDEN, asks=2),
    Row(503, "SlowDown", "throttled"),
    Row(429, "TooManyRequests", "throttled"),
    Row(500, "InternalError", "server"),
    Row(503, "ServiceUnavailable", "server"),
    Row(502, "BadGateway", "server", landed=True),
    Row(504, "GatewayTimeout", "server", landed=True),
    Row(400, "RequestTimeout", "timeout"),
    Row(412, "PreconditionFailed", "conflict"),
    Row(409, "ConditionalRequestConflict", "conflict"),
    Row(409, "OperationAborted", "conflict"),
    Row(409, "InvalidBucketState", "lasting"),
    Row(412, "SomethingElse", "lasting"),
    Row(404, "NoSuchKey", "missing"),
    Row(404, "NoSuchBucket", "no-bucket"),
    Row(404, "SomethingElse", "server"),
    Row(410, "Gone", OTHER),
    Row(400, "AuthorizationHeaderMalformed", OTHER),
    Row(403, "RequestTimeTooSkewed", OTHER),
    Row(507, "InsufficientStorage", FULL),
    Row(423, "Locked", "busy"),
]
GCS = [
    Row(403, "forbidden", FORBIDDEN),
    Row(401, "authError", FORBIDDEN, asks=2),
    Row(429, "rateLimitExceeded", "throttled"),
    Row(500, "internalError", "server"),
    Row(503, "backendError", "server"),
    Row(502, "backendError", "server", landed=True),
    Row(408, "requestTimeout", "timeout"),
    Row(412, "conditionNotMet", "conflict"),
    Row(412, "conditionNotMet", OTHER, message="Violates 'constraints/gcp.restrictNonCmek'"),
    Row(409, "conflict", "lasting"),
    Row(400, "invalid", OTHER),
    Row(404, "notFound", "missing", message="No such object: bucket/prefix/token"),
    Row(404, "notFound", "no-bucket", message="The specified bucket does not exist."),
]
GCS_XML = [
    Row(403, "AccessDenied", FORBIDDEN),
    Row(401, "AuthenticationRequired", FORBIDDEN, asks=2),
    Row(429, "SlowDown", "throttled"),
    Row(500, "InternalError", "server"),
    Row(503, "ServiceUnavailable", "server"),
    Row(502, "InternalError", "server", landed=True),
    Row(412, "PreconditionFailed", "conflict"),
    Row(409, "OperationAborted", "conflict"),
    Row(412, "OrgPolicyConstraintFailed", OTHER, message="Violates 'constraints/gcp.x'"),
    Row(409, "InvalidState", "lasting"),
    Row(404, "NoSuchKey", "missing"),
    Row(404, "NoSuchBucket", "no-bucket"),
]
AZURE = [
    Row(403, "AuthorizationFailure", FORBIDDEN),
    Row(403, "AuthorizationPermissionMismatch", FORBIDDEN),
    Row(403, "AuthenticationFailed", FORBIDDEN, asks=2),
    Row(401, "InvalidAuthenticationInfo", FORBIDDEN, asks=2),
    Row(403, "AccountIsDisabled", FORBIDDEN),
    Row(503, "ServerBusy", "throttled"),
    Row(429, "TooManyRequests", "throttled"),
    Row(500, "InternalError", "server"),
    Row(500, "OperationTimedOut", "timeout", landed=True),
    Row(502, "BadGateway", "server", landed=True),
    Row(412, "ConditionNotMet", "conflict"),
    Row(412, "TargetConditionNotMet", "conflict"),
    Row(409, "BlobAlreadyExists", "conflict"),
    Row(409, "BlobTypeNotSupported", "lasting"),
    Row(409, "PublicAccessNotPermitted", "lasting"),
    Row(409, "BlobImmutableDueToPolicy", READ_ONLY),
    Row(409, "BlobArchived", OTHER),
    Row(412, "LeaseIdMissing", "busy"),
    Row(404, "BlobNotFound", "missing"),
    Row(404, "ContainerNotFound", "no-bucket"),
    Row(409, "ContainerBeingDeleted", "no-bucket"),
    Row(404, "ResourceNotFound", "server"),
]
ROWS = {"s3": S3, "gcs": GCS, "azure": AZURE}
LANES = {lane: ROWS[lane.rpartition("+")[2]] + PAGES for lane in CLOUD_LANES}
LANES["obstore+gcs"] = GCS_XML + PAGES
LANES["obstore+s3"].append(Row(301, "PermanentRedirect", OTHER))
# By http a bare answer is an emulator's own word; Google's servers are reached by https.
LANES["gcs"] = GCS
LANES["gcs by https"] = [row for row in GCS if row.asks == 1] + PAGES
TABLE = [(lane, row) for lane, rows in LANES.items() for row in rows]

BY_HTTPS = [lane for lane in LANES if lane != "gcs"]


def expected(lane: str, row: Row, call: str) -> tuple[str | None, type[Exception] | None]:
    """Return the reason and the type of the error that a row means to a call; None for no error."""
    reason = row.reason
    if reason == "missing":
        if call in ("read", "delete"):
            return None, None
        reason = "conflict" if call == "replace_if_version" else "no-bucket"
    elif reason == "conflict" and call not in CONDITIONAL:
        reason = "busy"
    if lane == "obstore+azure" and call == "delete" and row.code in _OF_ONE_OBJECT["azure"]:
        reason = FORBIDDEN if row.status == 403 else OTHER  # the status is all that it tells
    reason = OTHER if reason == "lasting" else reason
    if reason == "conflict":
        return reason, VersionConflict
    refused = reason in REFUSED and call != "read"
    return reason, StoreWriteError if refused else StoreUnavailable


def _any_order(_: Order) -> bool:
    return True


def _write(order: Order) -> bool:
    return order.verb != "GET"


@pytest.mark.parametrize(("opened", "row"), TABLE, indirect=["opened"], ids=str)
def test_an_answer_means(line: Line, row: Row) -> None:
    """The reason, the type and whether a write may have landed, for every call; asked once.

    Credentials that are rejected are looked for anew, once: key files are rewritten while a program
    runs. A conflict in unknown words is looked into once.
    """
    said = Says(row.status, row.code, row.message) if row.code else Answer(row.status, PAGE)
    for call in CALLS:
        reason, kind = expected(line.name, row, call)
        looks = row.reason == "lasting" and call in CONDITIONAL
        line.cloud.orders.clear()
        fault = line.cloud.fail(_any_order if call == "read" else _write, answer=said)
        if reason is None:
            assert CALLS[call](line.store, line.version, within(TIMEOUT)) is None
        else:
            error = failure(call, line.store, line.version)
            told = (error.reason, error.landed, type(error))
            assert told == (reason, row.landed and call != "read", kind), (call, error)
            assert error.key == ("fresh" if call == "create" else "token")
            assert line.bucket.name in error.store
        assert (len(fault.met), len(line.cloud.orders)) == (row.asks, row.asks + looks), call
        line.cloud.heal()
        assert line.state() == PRESENT


@pytest.mark.parametrize("status", [409, 412])
def test_a_conflict_in_unknown_words_is_one_where_another_wrote(line: Line, status: int) -> None:
    """The object says so."""
    for key in ("prefix/token", "prefix/fresh"):
        line.bucket.put(key, b"another's")
    line.cloud.fail("PUT", answer=Says(status, "OddWords"))
    for call in CONDITIONAL:
        assert isinstance(failure(call, line.store, line.version), VersionConflict)


@pytest.mark.parametrize("call", CALLS)
def test_each_call_is_one_request(line: Line, call: str) -> None:
    """It carries its own condition: looking first and then writing would be a race."""
    if call == "delete":
        delete(line.store)
    else:
        CALLS[call](line.store, line.version, within(TIMEOUT))
    (order,) = line.cloud.orders
    (sent,) = line.cloud.requests
    assert "expect" not in sent.headers, "that would be a round trip more"
    assert (order.expect is not None) is (call in CONDITIONAL)
    assert line.state() == CHANGED.get(call, PRESENT)


@pytest.mark.parametrize("opened", BY_HTTPS, indirect=True)
def test_a_404_of_somebody_else_is_no_missing_object(line: Line) -> None:
    """What routes requests gives it while it knows no way; a live token would look absent."""
    words = [PAGE, b"404 page not found\n", b"", b"no object in that bucket"]
    own = b'{"error": {"code": 404, "message": "Not Found", "errors": [{"reason": "x"}]}}'
    if line.name == "gcs by https":
        words += [own, b"[]", b"{}", b'{"error": "x"}', b'{"error": {}}', b"null", b"\xff", b"{"]
    for body in words:
        line.cloud.fail(answer=Answer(404, body))
        for call in ("read", "delete"):
            error = failure(call, line.store, line.version)
            assert (error.reason, error.landed) == ("server", call != "read" and body != own)


def test_a_page_with_status_200_is_no_success(line: Line) -> None:
    """A login page of the network is neither a token nor a completed write, nor is a bare JSON."""
    for body in (PAGE, b"", b"[]", b"{}", b'"x"'):
        line.cloud.fail(answer=Answer(200, body))
        for call in ("read", "create", "replace_if_version", "replace"):
            error = failure(call, line.store, line.version)
            assert (error.reason, error.landed) == ("server", call != "read")


@pytest.mark.parametrize("opened", ["gcs", "gcs by https"], indirect=True)
def test_no_redirect_leads_elsewhere(line: Line) -> None:
    """Another server would be shown the token; the other drivers cannot be told yet."""
    with Listener(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as elsewhere:
        place = {"Location": f"http://127.0.0.1:{elsewhere.port}/x"}
        line.cloud.fail(answer=Answer(302, b"", place))
        for call in CALLS:
            failure(call, line.store, line.version)
        assert elsewhere.connections == 0
    assert line.state() == PRESENT


@pytest.mark.parametrize("answer", ["drop", "reset"])
@pytest.mark.parametrize("lands", ["now", "never"])
def test_a_broken_connection_is_told(line: Line, lands: str, answer: str) -> None:
    """A write may have landed, and is not sent twice; a read may be: servers close idle ones."""
    for call in CALLS:
        line.bucket.delete("prefix/fresh")
        line.bucket.put("prefix/token", b"present")
        version = read(line.store).version
        line.cloud.orders.clear()
        line.cloud.fail(lands=lands, answer=answer)
        error = failure(call, line.store, version)
        assert (error.reason, error.landed) == ("unreachable", call != "read")
        assert len(line.cloud.orders) == (2 if call == "read" else 1)
        line.cloud.heal()
        assert line.state() == (CHANGED.get(call, PRESENT) if lands == "now" else PRESENT)


def test_a_call_without_an_answer_ends_in_time_and_may_land_later(line: Line) -> None:
    """Each call at the same moment; the store serves others meanwhile, and afterwards."""
    line.bucket.put("prefix/token", b"present")
    version = read(line.store).version
    faults = [
        line.cloud.fail("PUT", lands="later", answer="silence"),
        line.cloud.fail("DELETE", lands="later", answer="silence"),
        line.cloud.fail("GET token", answer="stall"),
    ]
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(failure, call, line.store, version, 1.2) for call in CALLS]
        assert get(line.store, "other") is None
        errors = dict(zip(CALLS, (each.result() for each in made), strict=True))
    for call, error in errors.items():
        assert type(error) is StoreUnavailable
        assert (error.reason, error.landed) == ("timeout", call != "read")
    assert line.state() == PRESENT
    line.cloud.heal()
    assert any(sum(len(each.late) for each in faults) == len(WRITES) for _ in poll(10))
    landed = [each for fault in faults for each in fault.land()]
    assert sorted(landed) in ([False, True, True, True], [True] * 4)
    assert get(line.store, "other") is None


@pytest.mark.parametrize("form", ['W/"{}"', "{}"])
def test_an_etag_in_another_form_serves_as_well(line: Line, form: str) -> None:
    """Proxies make them weak, look-alikes leave the quotes away."""
    line.cloud.etag = form
    version = create(line.store, key="odd")
    put(line.store, b"second", version, "odd")
    seen = read(line.store, "odd").version
    put(line.store, b"third", seen, "odd")
    assert_conflict(lambda: put(line.store, b"x", seen, "odd"))


@pytest.mark.parametrize("date", [None, "soon"])
def test_a_date_that_is_none_costs_no_read(line: Line, date: str | None) -> None:
    """The store's clock is not known then; what Azure's own driver cannot read is an error."""
    line.cloud.headers["Date"] = date
    if line.name == "azure" and date:
        assert failure("read", line.store, "").reason == "server"
    else:
        assert (read(line.store).content, read(line.store).now) == (b"present", None)


def test_a_huge_object_is_not_fetched_whole(line: Line) -> None:
    """Of 50 MB only a part crosses the wire, in one request."""
    line.bucket.put("prefix/huge", b"x" * 50_000_000)
    assert len(read(line.store, "huge").content) == 4097
    line.store.close()
    (sent,) = line.cloud.requests
    assert sent.delivered < 10_000_000


def test_no_error_shows_a_credential_or_a_token(line: Line) -> None:
    """Neither in its text, attributes and frames, nor in what it was raised from."""
    options = json.dumps(line.bucket.options)
    content = SecretBytes(b"tokenInFlight")
    planted = [
        *("secretKeyOfTheStub", "a2V5T2ZUaGVTdHVi", "tokenInFlight", "present"),
        *(["KEYIDOFTHESTUB"] if "KEYIDOFTHESTUB" in options else []),
    ]
    said = [Says(status, "AccessDenied") for status in (400, 403, 412, 500, 503)]
    answers = [*said, Answer(403, PAGE), Answer(200, PAGE), "drop", "reset"]
    for answer in answers:
        line.cloud.heal()
        line.cloud.fail(answer=answer)
        for work in (
            lambda: put(line.store, content),
            lambda: put(line.store, content, ABSENT, "new"),
            lambda: get(line.store),
        ):
            with pytest.raises((StoreUnavailable, StoreWriteError, VersionConflict)) as caught:
                work()
            shown = everything_in(caught.value)
            assert [each for each in planted if each in shown] == []
    shown = f"{line.store.label} {line.store!r} {line.store}"
    assert [each for each in planted if each in shown] == []


@pytest.mark.parametrize("opened", ["s3", "gcs", "azure", "gcs by https"], indirect=True)
def test_a_forked_child_is_cut_off_from_its_parents_connections(line: Line) -> None:
    """Whatever it does with its copies, the parent's go on; it makes some of its own."""
    assert read(line.store).content == b"present"
    kept = line.cloud.requests[-1].connection

    def work() -> object:
        # A filesystem that a parent opened cannot be used.
        found = None if "https" in line.name else bytes(read(line.store).content)
        for each in gc.get_objects():
            if isinstance(each, socket.socket) and each.family == socket.AF_INET:
                with suppress(OSError):
                    if each.getpeername()[1] == line.cloud.port:
                        each.shutdown(socket.SHUT_RDWR)
        return found

    assert in_a_child(work) in (b"present", None)
    assert read(line.store).content == b"present"
    assert line.cloud.requests[-1].connection is kept
