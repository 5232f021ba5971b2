"""The asyncio front: the same token, and a loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from betfair_session import IdentityClient, IdentityUnavailable, LoginTimeout, SessionManager
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

KEY = "session.token"


@pytest.fixture
def manager(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager that asks Betfair at every call."""
    return SessionManager(client, sandbox.username, sandbox.password)


async def in_thread(work: object, *arguments: object) -> None:
    """Talk to the sandbox without blocking the loop."""
    await asyncio.to_thread(work, *arguments)  # type: ignore[arg-type]


def test_the_loop_goes_on_while_betfair_is_slow(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Other tasks run while the login is held up."""

    async def main() -> str:
        await in_thread(sandbox.hold, "certlogin")
        asking = asyncio.create_task(manager.aget_session(tmp_path, KEY))
        await in_thread(sandbox.wait_for, "certlogin")
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not asking.done()
        await in_thread(sandbox.release, "certlogin")
        return await asking

    token = asyncio.run(main())
    assert token == (tmp_path / KEY).read_text()


def test_many_tasks_share_one_answer_and_one_thread(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """With tasks of another loop and with threads, too."""
    sandbox.hold("certlogin")
    found: list[str] = []
    idle = threading.active_count()  # of other tests' servers

    async def main() -> list[str]:
        asking = [asyncio.create_task(manager.aget_session(tmp_path, KEY)) for _ in range(200)]
        await in_thread(sandbox.wait_for, "certlogin")
        other = threading.Thread(target=lambda: found.append(manager.get_session(tmp_path, KEY)))
        loop = threading.Thread(
            target=lambda: found.append(asyncio.run(manager.aget_session(tmp_path, KEY)))
        )
        before = threading.active_count()
        other.start()
        loop.start()
        assert before - idle < 20
        await in_thread(sandbox.release, "certlogin")
        tokens = await asyncio.gather(*asking)
        await in_thread(other.join)
        await in_thread(loop.join)
        return tokens

    tokens = {*asyncio.run(main()), *found}
    assert tokens == {(tmp_path / KEY).read_text()}
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
    """Another thread's call is slow; the task has its own time."""
    sandbox.hold("certlogin")
    first = threading.Thread(target=manager.get_session, args=(tmp_path, KEY))
    first.start()
    sandbox.wait_for("certlogin")
    with pytest.raises(LoginTimeout):
        asyncio.run(manager.aget_session(tmp_path, KEY, timeout=0.05))
    sandbox.release("certlogin")
    first.join()
    assert sandbox.counts() == {"certlogin": 1}


def test_a_token_that_was_renewed_already_costs_no_io(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Another task of this process has seen to it, and its answer is still trusted."""
    trusting = SessionManager(
        manager._account.client,
        sandbox.username,
        sandbox.password,
        verify_every=timedelta(minutes=15),
    )
    options = {"allow_world_writable": True}
    session = trusting.session(tmp_path, KEY, options)
    token = session.token()
    sandbox.clear_journal()
    assert asyncio.run(session.arenew("A" * 43 + "=")) == token
    assert asyncio.run(trusting.aget_session(tmp_path, KEY, options)) == token
    assert sandbox.counts() == {}


def test_what_another_task_found_before_the_rejection_is_not_taken(
    manager: SessionManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the very token that was rejected since; then it is asked about again."""
    answers = [(Secret("rejected"), False), None, (Secret("another"), False)]

    async def join(*_: object, **__: object) -> tuple[Secret, bool] | None:
        return answers.pop(0)

    session = manager.session(tmp_path, KEY)
    monkeypatch.setattr(session._flight, "ajoin", join)
    assert asyncio.run(session.arenew("rejected")) == "another"
    assert answers == []


def test_a_rejected_token_is_renewed_once_for_all_tasks(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """And inside the trust window the new one costs nothing more."""

    async def main() -> set[str]:
        trusting = SessionManager(
            manager._account.client,
            sandbox.username,
            sandbox.password,
            verify_every=timedelta(minutes=15),
        ).session(tmp_path, KEY)
        dead = await trusting.atoken()
        await in_thread(sandbox.expire_all)
        tokens = await asyncio.gather(*(trusting.arenew(dead) for _ in range(50)))
        return {*tokens, await trusting.atoken()}

    tokens = asyncio.run(main())
    assert tokens == {(tmp_path / KEY).read_text()}
    assert sandbox.counts() == {"certlogin": 2, "keepAlive": 1}
