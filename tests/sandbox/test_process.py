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

import betfair_session.sandbox
from betfair_session.sandbox import Controls, Sandbox, SandboxError, process

_SECONDS = 30


def _listens(url: str, authority: ssl.SSLContext) -> bool:
    """Say whether a sandbox listens there; its port may be another process's by now."""
    address = ("127.0.0.1", urlsplit(url).port or 0)
    try:
        with (
            socket.create_connection(address, timeout=_SECONDS) as probe,
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


def _until_gone(pid: int, directory: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while _runs(pid) or directory.exists():
        assert time.monotonic() < deadline, "the sandbox lives on"
        time.sleep(0.02)


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
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pid, directory = parent.stdout.readline().split()
        assert _runs(int(pid))
        parent.kill()
    _until_gone(int(pid), Path(directory))


@pytest.mark.parametrize(
    "signs",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGTERM] * 5],
    ids=["terminated", "Ctrl-C", "in haste"],
)
def test_a_signal_ends_it_cleanly(signs: list[signal.Signals]) -> None:
    """Also when Ctrl-C is sent to a process group and its parent then stops it."""
    with subprocess.Popen(
        [sys.executable, "-m", "betfair_session.sandbox"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        directory = Path(json.loads(process.stdout.readline())["directory"])
        for sign in signs:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        _, errors = process.communicate(timeout=_SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert not directory.exists()


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
    sandbox.close()


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
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


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
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=_SECONDS)
    assert (process.returncode, output, errors) == (0, "{}\n", "")


def test_help_shows_what_is_imported_late() -> None:
    """`help(betfair_session.sandbox)` names Sandbox and its methods."""
    shown = pydoc.plain(pydoc.render_doc(betfair_session.sandbox))
    assert all(words in shown for words in ("class Sandbox(", "expire_all(self)"))


def test_ports_can_be_chosen_and_a_taken_one_is_an_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The API has a listener of its own when asked for one."""
    with Sandbox(api_port=0) as sandbox:
        ports = {
            urlsplit(url).port
            for url in (sandbox.identity_url, sandbox.identity_cert_url, sandbox.api_url)
        }
        assert len(ports) == 3
        taken = urlsplit(sandbox.identity_url).port or 0
        with pytest.raises(SandboxError) as caught:
            Sandbox(port=taken)
        alone = [sys.executable, "-m", "betfair_session.sandbox", f"--port={taken}"]
        assert subprocess.run(alone, check=False).returncode == 1
    assert str(taken) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1  # of the second; the error tells the first


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


def test_no_secret_is_among_its_arguments(sandbox: Sandbox) -> None:
    """Others on the machine can read a process's arguments."""
    arguments = Path(f"/proc/{sandbox.pid}/cmdline")
    if not arguments.exists():
        pytest.skip("this system has no /proc")
    text = arguments.read_text()
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
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert loaded in found
    assert [name for name in found if re.match(not_loaded, name)] == []


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """One line says what to install."""
    (tmp_path / "trustme.py").write_text("raise ModuleNotFoundError(name='trustme')\n")
    failed = subprocess.run(
        [sys.executable, "-m", "betfair_session.sandbox"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert "betfair-session[sandbox]" in failed.stderr


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
