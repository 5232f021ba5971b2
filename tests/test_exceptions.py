"""The error tree."""

from __future__ import annotations

import pickle
from datetime import datetime, timezone

import pytest

import betfair_session
from betfair_session import exceptions
from betfair_session.exceptions import (
    BetfairSessionError,
    Blocked,
    CertificateError,
    ConfigurationError,
    ExchangeError,
    IdentityError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    NotATokenError,
    PublishUncertain,
    SessionRejected,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)

PARENTS = {
    BetfairSessionError: Exception,
    ConfigurationError: BetfairSessionError,
    CertificateError: ConfigurationError,
    NotATokenError: ConfigurationError,
    IdentityError: BetfairSessionError,
    LoginRefused: IdentityError,
    IdentityUnavailable: IdentityError,
    Blocked: IdentityUnavailable,
    StoreError: BetfairSessionError,
    StoreUnavailable: StoreError,
    StoreWriteError: StoreError,
    PublishUncertain: StoreError,
    SessionRejected: BetfairSessionError,
    ExchangeError: BetfairSessionError,
    LoginTimeout: BetfairSessionError,
    LoginBrake: BetfairSessionError,
}


@pytest.mark.parametrize(("kind", "parent"), PARENTS.items())
def test_the_tree_is_as_the_contract_draws_it(kind: type, parent: type) -> None:
    """People outside build on these names."""
    assert kind.__bases__[0] is parent
    assert getattr(betfair_session, kind.__name__) is kind


def test_the_tree_is_complete() -> None:
    """No error is public that the contract does not name."""
    assert {kind.__name__ for kind in PARENTS} == set(exceptions.__all__)
    assert issubclass(ConfigurationError, ValueError)


@pytest.mark.parametrize("kind", PARENTS)
def test_every_error_survives_a_pickle(kind: type[BetfairSessionError]) -> None:
    """A process pool pickles what its workers raise."""
    again = pickle.loads(pickle.dumps(kind("what happened")))
    assert type(again) is kind
    assert str(again) == "what happened"


def test_a_pickle_keeps_what_programs_branch_on() -> None:
    """Status, class, times and reasons."""
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    refused = LoginRefused(
        "no", status="SUSPENDED", login_class="account", not_before=when, status_code=200, host="h"
    )
    again = pickle.loads(pickle.dumps(refused))
    assert vars(again) == vars(refused)
    store = StoreUnavailable("no", store="s3://b", key="k", reason="timeout", landed=True)
    assert vars(pickle.loads(pickle.dumps(store))) == vars(store)
    call = ExchangeError("no", method="placeOrders", code="X", status_code=500, landed=True)
    assert vars(pickle.loads(pickle.dumps(call))) == vars(call)


def test_an_error_carries_no_object_that_could_hold_a_secret() -> None:
    """Requests and responses hold the password and the token."""
    for kind in PARENTS:
        names = set(vars(kind("x")))
        assert not names & {"request", "response"}
