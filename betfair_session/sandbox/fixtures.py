"""A sandbox for tests with pytest, reset before each test.

In conftest.py:

    pytest_plugins = ["betfair_session.sandbox.fixtures"]

In a test:

    def test_my_bot(betfair_sandbox):
        manager = from_env(betfair_sandbox.environment(), dotenv=None)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .process import Sandbox


@pytest.fixture(scope="session")
def betfair_sandbox_process() -> Iterator[Sandbox]:
    """The one sandbox of this test process, in the state that the last test left."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def betfair_sandbox(betfair_sandbox_process: Sandbox) -> Sandbox:
    """A sandbox without sessions, faults or requests, and an empty store of its own."""
    betfair_sandbox_process.reset()
    return betfair_sandbox_process
