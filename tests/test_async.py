"""The asyncio front: the same token, and a loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from front import KEY

from betfair_session import IdentityClient, IdentityUnavailable, LoginTimeout, SessionManager

if TYPE_CHECKING:
    from pathlib import Path

    from betfair_session.sandbox import Sandbox


@pytest.fixture
def manager(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager that asks Betfair at every call."""
    return SessionManager(client, sandbox.username, sandbox.password)


async def in_thread(work: object, *arguments: object) -> None:
    """Talk to the sandbox without blocking the loop."""
    await asyncio.to_thread(work, *arguments)  # type: ignore[arg-type]


def test_many_tasks_share_one_answer_and_one_thread(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """With tasks of another loop and with threads, too; the loop goes on meanwhile."""
    found: list[str] = []
    idle = threading.active_count()  # of other tests' servers

    async def main() -> list[str]:
        await in_thread(sandbox.hold, "certlogin")
        asking = [asyncio.create_task(manager.aget_session(tmp_path, KEY)) for _ in range(200)]
        await in_thread(sandbox.wait_for, "certlogin")
        before = threading.active_count()
        others = [
            threading.Thread(target=lambda: found.append(manager.get_session(tmp_path, KEY))),
            threading.Thread(
                target=lambda: found.append(asyncio.run(manager.aget_session(tmp_path, KEY)))
            ),
        ]
        for other in others:
            other.start()
        assert before - idle < 20
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not any(task.done() for task in asking)
        await in_thread(sandbox.release, "certlogin")
        tokens = await asyncio.gather(*asking)
        for other in others:
            await in_thread(other.join)
        return tokens

    assert {*asyncio.run(main()), *found} == {(tmp_path / KEY).read_text()}
    assert sandbox.counts()["certlogin"] == 1


def test_a_cancelled_task_does_not_take_the_token_from_the_others(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The login goes on, once."""

    async def main() -> str:
        await in_thread(sandbox.hold, "certlogin")
        first = asyncio.create_task(manager.aget_session(tmp_path, KEY))
        await in_thread(sandbox.wait_for, "certlogin")
        second = asyncio.create_task(manager.aget_session(tmp_path, KEY))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await in_thread(sandbox.release, "certlogin")
        return await second

    assert asyncio.run(main()) == (tmp_path / KEY).read_text()
    assert sandbox.counts() == {"certlogin": 1}


def test_an_error_reaches_every_task(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each gets one of its own; nothing is left for the loop to complain about."""
    (tmp_path / KEY).write_text(sandbox.issue())
    sandbox.hold("keepAlive")
    sandbox.fault("keepAlive", "blocked", times=None)

    async def main() -> list[str | BaseException]:
        asking = [asyncio.create_task(manager.aget_session(tmp_path, KEY)) for _ in range(5)]
        await in_thread(sandbox.wait_for, "keepAlive")
        await in_thread(sandbox.release, "keepAlive")
        return await asyncio.gather(*asking, return_exceptions=True)

    errors = asyncio.run(main())
    assert all(isinstance(error, IdentityUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 5
    assert sandbox.counts() == {"keepAlive": 1}


def test_a_task_waits_no_longer_than_it_may(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Opening its place takes of that time, too."""

    async def main() -> None:
        await in_thread(sandbox.hold, "certlogin")
        first = asyncio.create_task(manager.aget_session(tmp_path, KEY))
        await in_thread(sandbox.wait_for, "certlogin")
        with pytest.raises(LoginTimeout):
            await manager.aget_session(tmp_path, KEY, timeout=0.05)
        await in_thread(sandbox.release, "certlogin")
        await first

    asyncio.run(main())
    assert sandbox.counts() == {"certlogin": 1}
