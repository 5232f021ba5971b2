"""The shared login's times, and which of them can work."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from betfair_session import ConfigurationError, LeaseSettings


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
    assert LeaseSettings(**settings)._asdict().items() >= settings.items()  # type: ignore[arg-type] # one kind of number


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ttl", odd) for odd in ("x", 5, 19.9, 500, float("nan"), 120.1)),
        *(("login_deadline", odd) for odd in (None, Decimal(10), 0.0, 20.1)),
        *(("store_deadline", odd) for odd in (timedelta(seconds=5), 0.0, -1.0, 10.1)),
        *(("logins_per_minute", odd) for odd in ("4", 0, 101, 4.0)),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: Any) -> None:  # noqa: ANN401 - that is it
    """Also in a copy of settings that can."""
    for make in (LeaseSettings, LeaseSettings()._replace):
        with pytest.raises(ConfigurationError) as refused:
            make(**{name: value})
        assert refused.value.argument == "lease"
