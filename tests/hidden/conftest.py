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


class Said:
    """All that was logged, by this library and by those below it."""

    def __init__(self, log: pytest.LogCaptureFixture, shown: list[warnings.WarningMessage]) -> None:
        self._log, self._warnings = log, shown

    def text(self) -> str:
        """Return every record of the log with all that it carries, and every warning."""
        formatted = logging.Formatter().format
        lines = [
            f"{each.name} {each.getMessage()} {each.__dict__} {formatted(each)}"
            for each in self._log.records
        ]
        return "\n".join(
            [*lines, *(f"{each.message!r} {each.filename}" for each in self._warnings)]
        )


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """Listen to every logger at its lowest level, and to the warnings."""
    caplog.set_level(1)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield Said(caplog, shown)


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
    assert planted.found_in(said.text()) == []
