"""What the sandbox does with what no client of ours sends, and at ends that are not tidy."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from betfair_session.sandbox import Sandbox, process, server
from betfair_session.sandbox.world import StoreBreaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests


def test_a_body_that_is_no_json_is_a_parse_error(sandbox: Sandbox, http: requests.Session) -> None:
    """Told in JSON-RPC, as by the original."""
    answer = http.post(
        f"{sandbox.api_url}betting/json-rpc/v1",
        data=b"{",
        headers={"X-Application": sandbox.app_key, "X-Authentication": sandbox.issue()},
        timeout=20,
    )
    assert answer.json()["error"] == {"code": -32700, "message": "DSC-0008"}


def test_an_interactive_login_needs_an_application_key(
    sandbox: Sandbox, http: requests.Session
) -> None:
    """And both fields of its form."""
    answer = http.post(
        f"{sandbox.identity_url}login",
        data={"username": sandbox.username, "password": sandbox.password},
        headers={"Accept": "application/json"},
        timeout=20,
    )
    assert answer.json()["error"] == "INPUT_VALIDATION_ERROR"
    assert sandbox.sessions() == []


def test_a_store_that_is_not_there_yet_is_broken_all_the_same(tmp_path: Path) -> None:
    """A file lies where a directory would be made, until it is mended."""
    breaker = StoreBreaker()
    breaker.mend_store()
    breaker.break_store(str(tmp_path / "store"))
    breaker.strike()
    assert (tmp_path / "store").is_file()
    breaker.mend_store()
    assert os.listdir(tmp_path) == []


def test_a_sandbox_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen one cannot even be asked."""
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.1)
    sandbox = Sandbox()
    os.kill(sandbox.pid, signal.SIGSTOP)
    sandbox.close()
    assert sandbox._process.returncode == -signal.SIGKILL
    assert not sandbox.directory.exists()
    sandbox.close()


def test_what_is_said_to_a_sandbox_does_not_end_it() -> None:
    """Only the end of its standard input does."""
    with Sandbox() as sandbox:
        assert sandbox._process.stdin is not None
        sandbox._process.stdin.write(b"anything\n")
        sandbox._process.stdin.flush()
        assert sandbox.counts() == {}
        sandbox._process.stdin.close()
        assert sandbox._process.wait(60) == 0


def test_a_signal_before_it_serves_ends_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C often comes twice; the second must not interrupt the cleaning up."""
    set_to: list[Callable[..., object] | signal.Handlers] = []
    monkeypatch.setattr(server, "_on_signals", set_to.append)
    with pytest.raises(SystemExit) as left:
        server._leave(signal.SIGINT, None)
    assert left.value.code == 0
    assert set_to == [signal.SIG_IGN]
