"""fsspec's memory."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import fsspec
import pytest

from storage.contract import ThreadRaces, Whole
from storage.places import MemoryPlace
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestMemory(TokenStoreContract, ThreadRaces, Whole, Forks, OwnFilesystem):
    """A folder in this process's memory."""

    @pytest.fixture
    def place(self) -> Iterator[MemoryPlace]:
        """A folder of its own."""
        folder = f"t{secrets.token_hex(8)}"
        yield MemoryPlace(folder)
        memory = fsspec.filesystem("memory")
        if memory.exists(f"/{folder}"):
            memory.rm(f"/{folder}", recursive=True)
