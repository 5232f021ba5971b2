"""The interface as a newcomer meets it: what the first hour of using this library asks for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from front import KEY, live

from betfair_session import SessionManager, from_env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from betfair_session.sandbox import Sandbox


@pytest.fixture
def manager(sandbox: Sandbox) -> Iterator[SessionManager]:
    """A manager as the sandbox's variables make it."""
    with from_env(sandbox.environment(), None) as manager:
        yield manager


def test_a_task_can_do_what_a_thread_can(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each call of a handle has a twin for tasks, which takes the same arguments."""

    async def main() -> None:
        async with manager, manager.session(tmp_path, KEY) as session:
            token = await session.atoken(20)
            assert await session.averify(20) == await session.arenew(token, timeout=20) == token
            sandbox.expire(token)
            assert [await session.averify()] == live(sandbox)
            await session.alogout()
        assert not (tmp_path / KEY).exists()
        assert live(sandbox) == []

    asyncio.run(main())


def test_a_handle_can_be_closed_by_a_with_statement(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The session lives on."""
    with manager.session(tmp_path, KEY) as session:
        assert session.verify(20) == session.token(20)
    assert live(sandbox) == [session.token()]
