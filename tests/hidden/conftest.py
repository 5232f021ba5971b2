"""Fixtures: an account with planted secrets, and all that is logged while it is used."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from secrets_shown import everything_in

from betfair_session import BetfairSessionError
from betfair_session.sandbox import Sandbox
from hidden.planted import Planted, plant


@pytest.fixture
def planted(sandbox: Sandbox, tmp_path: Path) -> Planted:
    """An account with unique secrets."""
    (tmp_path / "certificate").mkdir()
    return plant(sandbox, tmp_path / "certificate")


Said = Callable[[], str]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """Return all that was logged so far, by this library and those below it, and every warning.

    Each record is shown with all that it carries.
    """
    caplog.set_level(1)
    formatted = logging.Formatter().format
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield lambda: "\n".join(
            [
                f"{each.name} {each.getMessage()} {vars(each)} {formatted(each)}"
                for each in caplog.records
            ]
            + [f"{each.message!r} {each.filename}" for each in shown]
        )


Fails = Callable[[Callable[[], object]], BetfairSessionError]


@pytest.fixture
def fails(planted: Planted, said: Said) -> Iterator[Fails]:
    """Return the error of a call that must fail; neither it nor what is said may show a secret."""

    def fail(work: Callable[[], object]) -> BetfairSessionError:
        planted.secrets()  # notes the tokens that live now
        with pytest.raises(BetfairSessionError) as caught:
            work()
        assert planted.found_in(everything_in(caught.value)) == []
        return caught.value

    yield fail
    assert planted.found_in(said()) == []
