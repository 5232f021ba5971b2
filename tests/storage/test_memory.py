"""fsspec's memory."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import fsspec
import pytest
from within import within

from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT
from betfair_session.storage.generic import MemoryStore
from storage.contract import Deletions, ThreadRaces, Whole
from storage.places import TIMEOUT, MemoryPlace
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem, in_a_child

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestMemory(TokenStoreContract, Deletions, ThreadRaces, Whole, Forks, OwnFilesystem):
    """A folder in this process's memory."""

    @pytest.fixture
    def place(self) -> Iterator[MemoryPlace]:
        """A folder of its own."""
        folder = f"t{secrets.token_hex(8)}"
        yield MemoryPlace(folder)
        memory = fsspec.filesystem("memory")
        if memory.exists(f"/{folder}"):
            memory.rm(f"/{folder}", recursive=True)


def test_what_was_read_is_not_shown() -> None:
    """It may be a token."""
    store = open_store(f"memory://t{secrets.token_hex(8)}")
    store.put("token", b"hunter2", ABSENT, deadline=within(TIMEOUT))
    found = store.get("token", deadline=within(TIMEOUT))
    assert found is not None
    assert found.content == b"hunter2"
    assert "hunter2" not in repr(found)


def test_a_fork_while_another_thread_writes_leaves_the_child_able_to() -> None:
    """The child has a copy of the lock that is held, and nobody in it who would release it."""
    store = open_store(f"memory://t{secrets.token_hex(8)}")
    assert isinstance(store, MemoryStore)

    def work() -> object:
        store.put("token", b"content", ABSENT, deadline=within(TIMEOUT))
        found = store.get("token", deadline=within(TIMEOUT))
        return found and bytes(found.content)

    with MemoryStore._shared_lock.mine(), store._opening.mine():
        assert in_a_child(work) == b"content"
