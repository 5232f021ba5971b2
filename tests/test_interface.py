"""The interface as a newcomer meets it: what the first hour of using this library asks for."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from front import KEY, live

from betfair_session import (
    CertificateError,
    ConfigurationError,
    LoginRefused,
    SessionManager,
    from_env,
)
from betfair_session.sandbox import Sandbox


def test_a_task_can_do_what_a_thread_can(sandbox: Sandbox, tmp_path: Path) -> None:
    """Each call of a handle has a twin for tasks, which takes the same arguments."""

    async def tasks() -> None:
        async with manager, manager.session(tmp_path, KEY) as session:
            token = await session.atoken(20)
            assert await session.averify(20) == await session.arenew(token, timeout=20) == token
            sandbox.expire(token)
            assert [await session.averify()] == live(sandbox)
            await session.alogout()
        assert not (tmp_path / KEY).exists()

    with from_env(sandbox.environment(), None) as manager:
        asyncio.run(tasks())
        assert live(sandbox) == []
        with manager.session(tmp_path, KEY) as session:
            token = session.verify(20)
        assert live(sandbox) == [token]  # closing a handle ends no session


def test_an_account_without_a_certificate_needs_no_variables_of_one(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A two-step code asks for the login of the website."""
    sandbox.set_two_step("123456")
    variables = sandbox.environment()
    del variables["BETFAIR_CERT_FILE"], variables["BETFAIR_KEY_FILE"]
    with from_env(variables, None, two_step=lambda: "123456") as manager:
        assert [manager.get_session(tmp_path, KEY)] == live(sandbox)
    variables["BETFAIR_PASSWORD"] = "wrong"
    with from_env(variables, None, interactive=True) as manager, pytest.raises(LoginRefused):
        manager.get_session(tmp_path, "another")
    assert sandbox.counts() == {"login": 2}


def test_a_remembered_refusal_does_not_hide_a_new_mistake(sandbox: Sandbox, tmp_path: Path) -> None:
    """A certificate that is missing since then has to be put right first."""
    variables = {**sandbox.environment(), "BETFAIR_PASSWORD": "wrong"}
    for changes, error in (
        ({}, LoginRefused),
        ({"BETFAIR_CERT_FILE": "missing.crt"}, CertificateError),
        ({"BETFAIR_PASSWORD": "right"}, LoginRefused),
    ):
        with from_env({**variables, **changes}, None) as manager, pytest.raises(error):
            manager.get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1}


def test_every_setting_of_a_manager_is_an_argument_of_from_env(sandbox: Sandbox) -> None:
    """The environment stands for the account alone; what is given reaches the manager."""
    given, taken = (
        {each.name: each.default for each in inspect.signature(make).parameters.values()}
        for make in (SessionManager, from_env)
    )
    account = ("client", "username", "password")
    assert taken == {"env": None, "dotenv": ".env"} | {
        name: default for name, default in given.items() if name not in account
    }
    wrong: dict[str, Any] = {"verify_every": 900, "on_event": 5, "share_verification": True}
    wrong |= {"login_timeout": 0, "lease": 30, "two_step": "1\n2"}
    for name, value in wrong.items():
        with pytest.raises(ConfigurationError):
            from_env(sandbox.environment(), None, **{name: value})
