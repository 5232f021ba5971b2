"""The sandbox as a process: its start, its end, and what it needs."""

from __future__ import annotations

import json
import os
import pydoc
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from programs import SECONDS

import betfair_session.sandbox
from betfair_session.sandbox import Controls, Sandbox, SandboxError, process

ALONE = ("-m", "betfair_session.sandbox")


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start Python in a process group of its own, with pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    )


def line_of(program: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert program.stdout
    return program.stdout.readline()


def _listens(url: str, authority: ssl.SSLContext) -> bool:
    """Say whether a sandbox listens there; its port may be another process's by now."""
    address = ("127.0.0.1", urlsplit(url).port or 0)
    try:
        with (
            socket.create_connection(address, timeout=SECONDS) as probe,
            authority.wrap_socket(probe, server_hostname="localhost"),
        ):
            return True
    except OSError:
        return False


def _runs(pid: int) -> bool:
    """Say whether a process runs; one that has ended but was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_closing_leaves_no_process_no_port_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a temporary directory."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Sandbox() as sandbox:
        assert sandbox.directory.parent == tmp_path
        authority = ssl.create_default_context(cafile=sandbox.ca_bundle)
        assert _listens(sandbox.identity_url, authority)
        sandbox.make_certificate("another")
    assert not _runs(sandbox.pid)
    assert not _listens(sandbox.identity_url, authority)
    assert list(tmp_path.iterdir()) == []
    sandbox.close()
    with pytest.raises(SandboxError):
        sandbox.counts()


def test_it_ends_and_cleans_up_when_its_parent_is_killed() -> None:
    """A parent that gets SIGKILL cannot stop it; the end of its input does."""
    program = (
        "from betfair_session.sandbox import Sandbox\n"
        "sandbox = Sandbox()\n"
        "print(sandbox.pid, sandbox.directory, flush=True)\n"
        "input()\n"
    )
    with started("-c", program) as parent:
        pid, directory = line_of(parent).split()
        assert _runs(int(pid))
        parent.kill()
    deadline = time.monotonic() + SECONDS
    while _runs(int(pid)) or Path(directory).exists():
        assert time.monotonic() < deadline, "the sandbox lives on"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "signs",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM] * 5],
    ids=["terminated", "Ctrl-C", "in haste"],
)
def test_a_signal_ends_it_cleanly(signs: list[signal.Signals]) -> None:
    """Also when Ctrl-C is sent to a process group and its parent then stops it."""
    with started(*ALONE) as program:
        directory = Path(json.loads(line_of(program))["directory"])
        for sign in signs:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, sign)
        _, errors = program.communicate(timeout=SECONDS)
    assert (program.returncode, errors) == (0, "")
    assert not directory.exists()


def test_ctrl_c_leaves_it_to_the_program_that_uses_it() -> None:
    """That may need it once more while it cleans up, and stops it then."""
    program = (
        "from betfair_session.sandbox import Sandbox\n"
        "with Sandbox() as sandbox:\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        input()\n"
        "    except KeyboardInterrupt:\n"
        "        print(sandbox.counts())\n"
    )
    with started("-c", program) as user:
        assert line_of(user) == "ready\n"
        os.killpg(user.pid, signal.SIGINT)
        told = user.communicate(timeout=SECONDS)
    assert (user.returncode, told) == (0, ("{}\n", ""))


def test_a_sandbox_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen one cannot even be asked. What is said to it does not end it."""
    monkeypatch.setattr(process, "_STOP_SECONDS", 0.1)
    sandbox = Sandbox()
    assert sandbox._process.stdin is not None
    sandbox._process.stdin.write(b"anything\n")
    sandbox._process.stdin.flush()
    assert sandbox.counts() == {}
    os.kill(sandbox.pid, signal.SIGSTOP)
    sandbox.close()
    assert sandbox._process.returncode == -signal.SIGKILL
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
    """By the fixture: neither a token nor the brake on logins is left from the test before."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["betfair_session.sandbox.fixtures"]')
    (tmp_path / "test_users.py").write_text(TESTS)
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    with started("-m", "pytest", *options) as user:
        output, _ = user.communicate(timeout=SECONDS)
    assert user.returncode == 0, output
    assert "2 passed" in output


def test_help_shows_what_is_imported_late() -> None:
    """`help(betfair_session.sandbox)` names Sandbox and its methods."""
    shown = pydoc.plain(pydoc.render_doc(betfair_session.sandbox))
    assert all(words in shown for words in ("class Sandbox(", "expire_all(self)"))


def test_ports_can_be_chosen_and_a_taken_one_is_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The API has a listener of its own when asked for one."""
    with Sandbox(api_port=0) as sandbox:
        urls = (sandbox.identity_url, sandbox.identity_cert_url, sandbox.api_url)
        assert len({urlsplit(url).port for url in urls}) == 3
        taken = urlsplit(sandbox.identity_url).port or 0
        with pytest.raises(SandboxError) as caught:
            Sandbox(port=taken)
        with started(*ALONE, f"--port={taken}") as alone:
            _, errors = alone.communicate(timeout=SECONDS)
    for text in (str(caught.value), errors):
        assert str(taken) in text
        assert len(text.splitlines()) == 1
    assert alone.returncode == 1
    assert capfd.readouterr().err == ""  # the error tells it


def test_it_listens_on_the_loopback_address_only(sandbox: Sandbox) -> None:
    """No other machine can reach it."""
    port = urlsplit(sandbox.identity_url).port or 0
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port)}
    for address in addresses - {"127.0.0.1", "::1"}:
        with socket.socket() as probe:
            assert probe.connect_ex((str(address), port)) != 0
    if sys.platform == "linux":  # elsewhere this address has to be set up first
        with socket.socket() as free:
            free.bind(("127.0.0.2", port))


@pytest.mark.skipif(not Path("/proc").exists(), reason="this system has no /proc")
def test_no_secret_is_among_its_arguments(sandbox: Sandbox) -> None:
    """Others on the machine can read a process's arguments."""
    text = Path(f"/proc/{sandbox.pid}/cmdline").read_text()
    secrets = (sandbox.password, sandbox.app_key, sandbox._control_token)
    assert not any(secret in text for secret in secrets)


@pytest.mark.parametrize(
    ("statement", "loaded", "not_loaded"),
    [
        (
            "import betfair_session.sandbox.server, betfair_session.sandbox.process",
            "betfair_session.sandbox.world",
            r"betfair_session\.(?!sandbox)",
        ),
        (  # the demo and the command line start quickly
            "from betfair_session.sandbox import Sandbox",
            "betfair_session.sandbox.process",
            "(twisted|OpenSSL|cryptography|trustme|requests|fsspec)$",
        ),
    ],
)
def test_it_shares_no_code_with_the_client(statement: str, loaded: str, not_loaded: str) -> None:
    """Nothing of the package outside is imported; to control it, only the standard library."""
    program = (
        "import sys, types\n"
        "package = sys.modules['betfair_session'] = types.ModuleType('betfair_session')\n"
        f"package.__path__ = {betfair_session.__path__!r}\n"
        f"{statement}\n"
        "print(*sys.modules)"
    )
    with started("-c", program) as user:
        found = user.communicate(timeout=SECONDS)[0].split()
    assert loaded in found
    assert [name for name in found if re.match(not_loaded, name)] == []


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, or the error of the program that starts it, says what to install."""
    (tmp_path / "trustme.py").write_text("raise ModuleNotFoundError(name='trustme')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with started(*ALONE) as alone:
        _, errors = alone.communicate(timeout=SECONDS)
    assert (alone.returncode, len(errors.splitlines())) == (1, 1)
    with pytest.raises(SandboxError) as caught:
        Sandbox()
    assert all("betfair-session[sandbox]" in told for told in (errors, str(caught.value)))


def test_another_process_controls_a_running_sandbox(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the directory that its variables name; where none runs, an error says so."""
    sandbox.issue()
    monkeypatch.setenv("BETFAIR_CA_BUNDLE", sandbox.ca_bundle)
    assert Controls.running().expire_all() == 1
    assert sandbox.sessions() == []
    with pytest.raises(SandboxError):
        Controls.running(tmp_path)
