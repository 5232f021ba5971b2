"""Fixtures: an account with planted secrets, and everything that is said while it is used."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from betfair_session.sandbox import Sandbox
from hidden.planted import Planted, plant


@pytest.fixture
def planted(sandbox: Sandbox, tmp_path: Path) -> Planted:
    """An account with unique secrets."""
    (tmp_path / "certificate").mkdir()
    return plant(sandbox, tmp_path / "certificate")


class Said:
    """Everything that was said, by this library and by those below it."""

    def __init__(self, log: pytest.LogCaptureFixture, shown: list[warnings.WarningMessage]) -> None:
        """Listen."""
        self._log = log
        self._warnings = shown

    def text(self) -> str:
        """Return every record of the log with all that it carries, and every warning."""
        lines = [
            f"{record.name} {record.getMessage()} {record.__dict__} {self._formatted(record)}"
            for record in self._log.records
        ]
        return "\n".join(
            [*lines, *(f"{each.message!r} {each.filename}" for each in self._warnings)]
        )

    @staticmethod
    def _formatted(record: logging.LogRecord) -> str:
        return logging.Formatter().format(record)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """Listen to every logger at its lowest level, and to the warnings."""
    caplog.set_level(1)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield Said(caplog, shown)
