"""The shared login's times, and which of them can work."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from betfair_session import ConfigurationError, LeaseSettings

TIMES = (
    "the lease's times must be above 0, and its logins per minute a whole number from 1 to 100, "
    "where Betfair bans the account"
)
NUMBERS = "the lease's times are seconds, numbers as in LeaseSettings(ttl=30.0)"
TTL = (
    "the lease's ttl must leave time for one login and two calls of the store, and be at most 120 s"
)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"logins_per_minute": 1},
        {"logins_per_minute": 100},
        {"ttl": 120.0},
        {"ttl": 20.0},
        {"ttl": 0.5, "login_deadline": 0.25, "store_deadline": 0.125},
    ],
)
def test_what_can_work_is_taken(settings: dict[str, float]) -> None:
    """Up to the bounds."""
    assert LeaseSettings(**settings)._asdict().items() >= settings.items()  # type: ignore[arg-type] # one kind of number


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ttl": "x"}, NUMBERS),
        ({"login_deadline": None}, NUMBERS),
        ({"store_deadline": timedelta(seconds=5)}, NUMBERS),
        ({"login_deadline": Decimal(10)}, NUMBERS),
        ({"logins_per_minute": "4"}, NUMBERS),
        ({"login_deadline": 0.0}, TIMES),
        ({"store_deadline": 0.0}, TIMES),
        ({"store_deadline": -1.0}, TIMES),
        ({"logins_per_minute": 0}, TIMES),
        ({"logins_per_minute": 101}, TIMES),
        ({"logins_per_minute": 4.0}, TIMES),
        ({"ttl": 5}, TTL),
        ({"ttl": 19.9}, TTL),
        ({"ttl": 500}, TTL),
        ({"ttl": float("nan")}, TTL),
        ({"ttl": 120.1}, TTL),
        ({"login_deadline": 20.1}, TTL),
        ({"store_deadline": 10.1}, TTL),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, object], message: str) -> None:
    """With what would."""
    with pytest.raises(ConfigurationError) as refused:
        LeaseSettings(**settings)  # type: ignore[arg-type] # one kind of number
    assert str(refused.value).startswith(message)
