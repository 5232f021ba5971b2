"""The contract on a cloud that behaves like one, and what that does on its worse days."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest
import requests
from servers.cloudlike import DENIED, EXPIRED, SLOW_DOWN
from servers.cloudlike_wire import Says
from servers.process import poll
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError
from within import within

from betfair_session import StoreUnavailable, StoreWriteError
from betfair_session.process.threads import OutOfTime
from betfair_session.storage.contract import ABSENT, VersionConflict
from storage.calls import failure
from storage.contract import Basics, Concurrency, Deletions, Races, Whole
from storage.permissions import Buckets
from storage.places import TIMEOUT

if TYPE_CHECKING:
    from servers.cloudlike import Cloud

    from betfair_session.storage.contract import TokenStore
    from storage.places import BucketPlace


class TestCloudlike(Basics, Deletions, Concurrency, Whole, Races, Buckets):
    """S3, Google and Azure, each through two drivers."""

    @pytest.fixture
    def place(self, cloud_place: BucketPlace) -> BucketPlace:
        """A fresh bucket."""
        return cloud_place


@pytest.fixture
def place(cloud_place: BucketPlace) -> BucketPlace:
    """A fresh bucket."""
    return cloud_place


def test_changes_that_follow_too_fast_are_throttled(cloud: Cloud, store: TokenStore) -> None:
    """As on Google, which takes one change of an object a second: refused, and not made."""
    version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    cloud.pace = 1e6
    for call in ("replace_if_version", "replace", "delete"):
        error = failure(call, store, version)
        assert (error.reason, error.landed) == ("throttled", False)
    cloud.pace = 0
    store.put("token", b"second", version, deadline=within(TIMEOUT))


@pytest.mark.parametrize("status", [500, 503])
def test_a_write_may_land_after_its_refusal(
    cloud: Cloud, place: BucketPlace, store: TokenStore, status: int
) -> None:
    """Then its own condition still decides."""
    fault = cloud.fail("PUT", lands="later", answer=Says(status, "InternalError"), times=1)
    assert failure("create", store, "").reason == "server"
    assert place.keys() == []
    assert fault.land() == [True]
    assert place.keys() == ["prefix/fresh"]
    with pytest.raises(VersionConflict):
        store.put("fresh", b"again", ABSENT, deadline=within(TIMEOUT))


@pytest.mark.parametrize("call", ["read", "create", "replace"])
def test_credentials_that_expire_are_no_missing_object(
    cloud: Cloud, store: TokenStore, call: str
) -> None:
    """In the middle of a call, in the cloud's own words."""
    cloud.fail(answer=EXPIRED[cloud.kind])
    error = failure(call, store, "")
    assert (error.reason, error.landed) == ("forbidden", False)


def test_one_object_alone_may_be_forbidden(cloud: Cloud, store: TokenStore) -> None:
    """As by a policy that names the other, for reading or for writing."""
    cloud.fail("PUT token", answer=DENIED[cloud.kind])
    cloud.fail("GET lock", answer=DENIED[cloud.kind])
    store.put("lock", b"mine", ABSENT, deadline=within(TIMEOUT))
    assert store.get("token", deadline=within(TIMEOUT)) is None
    with pytest.raises(StoreWriteError) as written:
        store.put("token", b"mine", ABSENT, deadline=within(TIMEOUT))
    with pytest.raises(StoreUnavailable) as read:
        store.get("lock", deadline=within(TIMEOUT))
    for each in (written.value, read.value):
        assert (each.reason, each.landed) == ("forbidden", False)


def test_a_fault_of_a_second_passes(cloud: Cloud, store: TokenStore) -> None:
    """As a cloud that asks to slow down."""
    fault = cloud.fail("PUT", answer=SLOW_DOWN[cloud.kind], seconds=1)
    assert failure("create", store, "").reason == "throttled"
    assert any(_created(store) for _ in poll(30))
    assert len(fault.met) >= 1


def _created(store: TokenStore) -> bool:
    try:
        store.put("fresh", b"mine", ABSENT, deadline=within(TIMEOUT))
    except StoreUnavailable:
        return False
    return True


@pytest.mark.parametrize("lands", ["now", "never"])
def test_a_write_whose_connection_breaks_may_have_landed(
    cloud: Cloud, place: BucketPlace, store: TokenStore, lands: str
) -> None:
    """It looks alike from here."""
    cloud.fail("PUT", lands=lands, answer="drop")
    error = failure("create", store, "")
    assert (error.reason, error.landed) == ("unreachable", True)
    assert len(cloud.orders) == 1
    assert bool(place.keys()) is (lands == "now")


@pytest.mark.parametrize("form", ['W/"{}"', "{}"])
def test_an_etag_in_another_form_serves_as_well(cloud: Cloud, store: TokenStore, form: str) -> None:
    """Proxies make them weak, look-alikes leave the quotes away."""
    cloud.etag = form
    version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    store.put("token", b"second", version, deadline=within(TIMEOUT))
    found = store.get("token", deadline=within(TIMEOUT))
    assert found
    store.put("token", b"third", found.version, deadline=within(TIMEOUT))
    with pytest.raises(VersionConflict):
        store.put("token", b"fourth", found.version, deadline=within(TIMEOUT))


@pytest.mark.parametrize("cloud_lane", ["gcs", "obstore+gcs"])
@pytest.mark.parametrize("call", ["create", "replace_if_version", "replace"])
def test_an_organisations_policy_is_no_conflict(cloud: Cloud, store: TokenStore, call: str) -> None:
    """Google refuses a write so with the status and the reason of a failed condition."""
    version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    policy = "constraints/gcp.restrictNonCmekServices"
    words = f"Request violates constraint '{policy}'"
    fault = cloud.fail("PUT", answer=Says(412, "conditionNotMet", words))
    error = failure(call, store, version)
    assert (error.reason, error.landed) == ("other", False)
    assert policy in str(error)
    assert len(fault.met) == 1


@pytest.fixture(params=["refused", "missing", "timeout"])
def handling(request: pytest.FixtureRequest) -> Exception:
    """An error that a program handles by asking for a token: none of them is of its store."""
    refused = NewConnectionError(HTTPConnection("h"), "refused")
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    errors = {
        "refused": requests.ConnectionError(MaxRetryError(HTTPConnectionPool("h"), "/", refused)),
        "missing": FileNotFoundError(2, "No such file", "config.json"),
        "timeout": OutOfTime(),
    }
    found: Exception = errors[request.param]
    return found


def test_what_the_caller_handles_is_not_what_the_store_did(
    cloud: Cloud,
    place: BucketPlace,
    store: TokenStore,
    handling: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write of unknown fate stays that, and a read that failed oddly is no missing object."""
    cloud.fail("PUT", lands="now", answer="drop")

    def fail(*_: object) -> NoReturn:
        raise RecursionError

    try:
        raise handling  # noqa: TRY301 - as in a caller's program
    except Exception:  # noqa: BLE001 - whichever it is
        written = failure("create", store, "")
        monkeypatch.setattr(store, "_read", fail)
        read = failure("read", store, "")
    assert (written.reason, written.landed) == ("unreachable", True)
    assert place.keys() == ["prefix/fresh"]
    assert (type(read), read.reason) == (StoreUnavailable, "other")


@pytest.mark.parametrize("date", [None, "soon"])
def test_a_date_that_is_none_costs_no_read(
    cloud: Cloud, store: TokenStore, date: str | None
) -> None:
    """The store's clock is not known then; what Azure's own driver cannot read is an error."""
    store.put("token", b"content", ABSENT, deadline=within(TIMEOUT))
    cloud.headers["Date"] = date
    if cloud.kind == "azure" and date and not store.label.startswith("obstore"):
        assert failure("read", store, "").reason == "server"
        return
    found = store.get("token", deadline=within(TIMEOUT))
    assert found
    assert (found.content, found.now) == (b"content", None)


def test_amazon_deletes_on_a_condition(
    cloud: Cloud, place: BucketPlace, store: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other servers of its protocol may ignore that, so there a blank takes the object's place."""
    monkeypatch.setattr("betfair_session.storage.s3.is_amazon", lambda _: True)
    version = store.put("token", b"first", ABSENT, deadline=within(TIMEOUT))
    place.put("prefix/token", b"second")
    with pytest.raises(VersionConflict):
        store.delete("token", version, deadline=within(TIMEOUT))
    found = store.get("token", deadline=within(TIMEOUT))
    assert found is not None
    store.delete("token", found.version, deadline=within(TIMEOUT))
    left = [order.verb for order in cloud.orders if order.verb == "DELETE"]
    assert bool(left) == (place.get("prefix/token") is None)
