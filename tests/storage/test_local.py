"""Local files."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from storage.contract import Races, ThreadRaces, Whole
from storage.places import LocalPlace
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem

if TYPE_CHECKING:
    from pathlib import Path


class TestLocal(TokenStoreContract, ThreadRaces, Whole, Races, Forks, OwnFilesystem):
    """A directory on this machine."""

    turns: ClassVar[int] = 500

    @pytest.fixture
    def place(self, tmp_path: Path) -> LocalPlace:
        """A fresh directory."""
        directory = tmp_path / "place"
        directory.mkdir(mode=0o700)
        return LocalPlace(directory)
