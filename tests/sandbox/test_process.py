"""The sandbox as a process: its start, its end, and what it needs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from programs import SECONDS

from betfair_session.sandbox import Controls, Sandbox, SandboxError, process


def started(*arguments: str) -> subprocess.Popen[str]:
    pipes: Any = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes)


def line_of(program: subprocess.Popen[str]) -> str:
    assert program.stdout
    return program.stdout.readline()


def _runs(pid: int) -> bool:
    """Return whether a process runs; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_closing_leaves_no_process_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a temporary directory. Before that, no other user sees a secret or a port of it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Sandbox() as sandbox:
        assert sandbox.directory.parent == tmp_path
        files = [*sandbox.certificate, *sandbox.make_certificate("another")]
        assert {os.stat(path).st_mode & 0o777 for path in files} == {0o600}
        assert sandbox.directory.stat().st_mode & 0o777 == 0o700
        control = json.loads((sandbox.directory / "control.json").read_text())["token"]
        if sys.platform == "linux":
            arguments = Path(f"/proc/{sandbox.pid}/cmdline").read_text()
            secrets = (sandbox.password, sandbox.app_key, control)
            assert not any(secret in arguments for secret in secrets)
            with socket.socket() as free:  # it listens on 127.0.0.1 only
                free.bind(("127.0.0.2", urlsplit(sandbox.identity_url).port))
    assert not _runs(sandbox.pid)
    assert list(tmp_path.iterdir()) == []
    sandbox.close()
    with pytest.raises(SandboxError):
        sandbox.counts()


USES = """
from betfair_session.sandbox import Sandbox

with Sandbox() as sandbox:
    try:
        print(sandbox.pid, sandbox.directory, flush=True)
        input()
    except KeyboardInterrupt:
        print(sandbox.counts())
"""


def test_it_ends_and_cleans_up_when_its_parent_is_killed() -> None:
    """A parent that gets SIGKILL cannot stop it; the end of its input does."""
    with started("-c", USES) as parent:
        pid, directory = line_of(parent).strip().split(maxsplit=1)
        assert _runs(int(pid))
        parent.kill()
    deadline = time.monotonic() + SECONDS
    while _runs(int(pid)) or Path(directory).exists():
        assert time.monotonic() < deadline, "the sandbox lives on"
        time.sleep(0.02)


def test_ctrl_c_leaves_it_to_the_program_that_uses_it() -> None:
    """That program may need it while it cleans up, and then stops it."""
    with started("-c", USES) as user:
        line_of(user)
        os.killpg(user.pid, signal.SIGINT)
        told = user.communicate(timeout=SECONDS)
    assert (user.returncode, told) == (0, ("{}\n", ""))


@pytest.mark.parametrize(
    "signs", [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT, signal.SIGTERM] * 5]
)
def test_a_signal_ends_it_cleanly(signs: list[signal.Signals]) -> None:
    """Also when Ctrl-C is sent to a process group and its parent then stops it."""
    with started("-c", process._PROGRAM, "0") as program:
        directory = Path(json.loads(line_of(program))["directory"])
        for sign in signs:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, sign)
        _, errors = program.communicate(timeout=SECONDS)
    assert (program.returncode, errors) == (0, "")
    assert not directory.exists()


def test_a_sandbox_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.1)
    sandbox = Sandbox()
    os.kill(sandbox.pid, signal.SIGSTOP)
    sandbox.close()
    assert not _runs(sandbox.pid)
    assert not sandbox.directory.exists()


TESTS = """
from betfair_session import from_env, place_from_env

def test_first(betfair_sandbox):
    variables = betfair_sandbox.environment()
    with from_env(variables, None) as manager:
        for _ in range(4):
            token = manager.get_session(*place_from_env(variables, None))
            betfair_sandbox.expire(token)

def test_second(betfair_sandbox):
    test_first(betfair_sandbox)
    assert betfair_sandbox.counts() == {"certlogin": 4, "keepAlive": 3}
"""


def test_each_test_of_a_users_gets_a_sandbox_and_a_store_as_new(tmp_path: Path) -> None:
    """The fixture leaves neither a token nor the brake on logins from the test before."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["betfair_session.sandbox.fixtures"]')
    (tmp_path / "test_users.py").write_text(TESTS)
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    with started("-m", "pytest", *options) as user:
        output, _ = user.communicate(timeout=SECONDS)
    assert user.returncode == 0, output
    assert "2 passed" in output


def test_a_users_own_modules_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot's directory often has a secrets.py, which Python would run in place of its own."""
    (tmp_path / "secrets.py").write_text("raise SystemExit('the user's')\n")
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        assert sandbox.counts() == {}


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the program that starts it says what to install."""
    (tmp_path / "trustme.py").write_text("raise ModuleNotFoundError(name='trustme')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SandboxError) as caught:
        Sandbox()
    assert all(word in str(caught.value) for word in ("trustme", "betfair-session[sandbox]"))


def test_another_process_controls_a_running_sandbox(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory in its variables is enough; if none runs there, an error says so."""
    sandbox.issue()
    monkeypatch.setenv("BETFAIR_CA_BUNDLE", sandbox.ca_bundle)
    controls = Controls.running()
    assert controls.expire_all() == 1
    assert controls.stream_address == sandbox.stream_address
    assert sandbox.sessions() == []
    with pytest.raises(SandboxError):
        Controls.running(tmp_path)
