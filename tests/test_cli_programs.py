"""The command line as a process of its own: streams, signals, shells, and the demo."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import KEY, CommandLine
from programs import CLI, SECONDS, cli, run, scrubbed

import betfair_session
from betfair_session import BetfairSessionError
from betfair_session.cli import local, output
from betfair_session.environment import NAMES

if TYPE_CHECKING:
    from betfair_session.sandbox import Sandbox

FULL = "/dev/full"


@pytest.fixture
def command(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line, in this process, and its variables for others."""
    return CommandLine(sandbox, tmp_path, monkeypatch)


def start(*arguments: str, command: CommandLine) -> subprocess.Popen[str]:
    """Start a command whose output goes to pipes."""
    return subprocess.Popen(
        [*CLI, *arguments],
        cwd=command.directory,
        env=command.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def redirected(
    redirection: str, *arguments: str, command: CommandLine
) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does that redirects or closes a stream of it."""
    shell = ("sh", "-c", f'exec "$0" "$@" {redirection}', *CLI)
    return run(*shell, *arguments, variables=command.variables, directory=command.directory)


def test_the_program_is_installed(tmp_path: Path) -> None:
    """`betfair-session` is `python -m betfair_session`; both tell the package's version."""
    program = Path(sys.executable).with_name("betfair-session")
    told = f"betfair-session {version('betfair-session')}\n"
    for done in (
        run(str(program), "--version", directory=tmp_path),
        cli("--version", directory=tmp_path),
    ):
        assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


@pytest.mark.parametrize("arguments", [["token"], ["--version"]])
def test_without_its_extra_it_says_what_to_install(tmp_path: Path, arguments: list[str]) -> None:
    """One line and exit code 2, however it is called."""
    package = Path(betfair_session.__file__).parent
    (tmp_path / package.name).symlink_to(package)
    # -S: without this environment's packages.
    done = run(sys.executable, "-S", "-m", "betfair_session", *arguments, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert 'pip install "betfair-session[cli]"' in done.stderr


@pytest.mark.parametrize(
    ("shell", "before"),
    [
        (("bash", "--norc", "-i"), ""),
        (("zsh", "-f", "-i"), "autoload -Uz compinit; compinit -u; "),
        (("fish", "--no-config", "-i"), ""),
    ],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_completes_words(tmp_path: Path, shell: tuple[str, ...], before: str) -> None:
    """By the line that the documentation gives for its start-up file: --ver becomes --version."""
    for needed in (shell[0], "setsid"):
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not installed")
    documented = (Path(__file__).parents[1] / "docs" / "cli.md").read_text()
    (line,) = re.findall(rf"^.*{shell[0]}_source.*?(?=  +#)", documented, re.MULTILINE)
    program = tmp_path / "betfair-session"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(CLI)} "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = typed(
        f"{before}{line}\nbetfair-session --ver\t\n",
        "setsid",
        "--ctty",
        *shell,
        until=f"betfair-session {version('betfair-session')}",
        directory=tmp_path,
        variables=scrubbed({"PATH": path, "TERM": "dumb", "HOME": str(tmp_path)}),
    )
    assert f"betfair-session {version('betfair-session')}" in said


def typed(keys: str, *program: str, until: str, directory: Path, variables: dict[str, str]) -> str:
    """Type at a program's terminal; return what it shows until a text appears, or it is late."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    screen, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        program, cwd=directory, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(screen, keys.encode())
        with suppress(OSError):  # how Linux tells that the other side has closed
            while until.encode() not in shown and select.select([screen], [], [], SECONDS)[0]:
                shown += os.read(screen, 4096)
        process.kill()
    os.close(screen)
    return shown.decode(errors="replace")


def test_a_terminal_that_shows_no_such_character_is_no_error(command: CommandLine) -> None:
    """A store with an accent in its name can be told in ASCII."""
    command.variables |= {"PYTHONIOENCODING": "ascii", "BETFAIR_SESSION_STORE": "st\u00f6re"}
    done = cli("status", variables=command.variables, directory=command.directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert "st\\xf6re" in done.stdout


# --- streams that are closed or full --------------------------------------------------------------


def test_without_standard_error_a_command_does_what_it_does(command: CommandLine) -> None:
    """As a service may be started; only what would be said there is lost."""
    token = command("token").out
    (command.store / KEY).chmod(0o644)  # which is warned about
    for closed in ("2>&-", "<&- 2>&-"):
        done = redirected(closed, "token", command=command)
        assert (done.returncode, done.stdout) == (0, token)


@pytest.mark.parametrize(
    ("redirection", "arguments"),
    [
        (">&-", ["token"]),
        (">&-", ["--help"]),
        (f"> {FULL}", ["token", "--json"]),
        (f"> {FULL}", ["--version"]),
    ],
)
def test_a_result_that_nobody_can_get_is_an_error(
    command: CommandLine, redirection: str, arguments: list[str]
) -> None:
    """Standard output is closed, or the disk behind it is full: one line and exit code 1."""
    done = redirected(redirection, *arguments, command=command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_exit_codes_need_no_stream(command: CommandLine) -> None:
    """Neither an error nor a quiet command ends in an error of the interpreter."""
    for closed, arguments, code in (
        ("<&- >&- 2>&-", ("status",), 1),
        (">&-", ("logout", "--quiet"), 0),
        (">&- 2>&-", ("token", "--nonsense"), 2),
        (f"2> {FULL}", ("token", "--nonsense"), 2),
    ):
        done = redirected(closed, *arguments, command=command)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "more", "code"),
    [(signal.SIGINT, [], 130), (signal.SIGINT, ["--json"], 130), (signal.SIGTERM, [], 143)],
)
def test_an_interrupted_login_keeps_nobody_waiting(
    command: CommandLine, sandbox: Sandbox, number: signal.Signals, more: list[str], code: int
) -> None:
    """One line or one document, and the lock says that no answer came."""
    sandbox.hold("certlogin")
    with start("token", *more, command=command) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(number)
        output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    if more:
        assert (json.loads(output)["error"]["exit_code"], errors) == (130, "")
    else:
        assert (output, errors.count("\n")) == ("", 1 if code == 130 else 0)
    assert command("status", "--json").document["login"]["state"] == "unanswered"


EARLY = """
import signal, sys

class Pressed:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            sys.argv[1] = ""
            signal.raise_signal(signal.SIGINT)

from betfair_session.cli import main
sys.meta_path.insert(0, Pressed())
sys.exit(main(sys.argv[2:]))
"""
"""A program whose user presses Ctrl-C just when a module is imported."""


@pytest.mark.parametrize(
    ("module", "lines"),
    [("betfair_session.cli.output", 0), ("betfair_session.cli.commands", 1)],
)
def test_ctrl_c_while_it_starts(command: CommandLine, module: str, lines: int) -> None:
    """Exit code 130 and no traceback; in the first moment nothing can be said yet."""
    program = (sys.executable, "-c", EARLY, module, "status")
    done = run(*program, variables=command.variables, directory=command.directory)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (130, "", lines)


# --- sandbox --------------------------------------------------------------------------------------


def test_the_sandbox_prints_lines_to_paste(tmp_path: Path) -> None:
    """The same lines serve a shell and a .env file; it runs without standard error, too."""
    with subprocess.Popen(
        ["sh", "-c", 'exec "$0" "$@" 2>&-', *CLI, "sandbox"],
        cwd=tmp_path,
        env=scrubbed(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        while not lines[-1].startswith("export BETFAIR_SESSION_KEY="):
            lines.append(process.stdout.readline().strip())
        script = "\n".join([*lines, f"exec '{sys.executable}' -m betfair_session token"])
        shell = run("sh", text=script, directory=tmp_path)
        (tmp_path / ".env").write_text("\n".join(lines))
        file = cli("token", directory=tmp_path)
        store = next(line for line in lines if "SESSION_STORE" in line).partition("=")[2]
        token = (Path(store) / KEY).read_text()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    for done in (shell, file):
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{token}\n", "")
    assert process.returncode == 130
    assert not Path(store).parent.exists()


def test_ctrl_c_in_haste_ends_the_sandbox_without_a_traceback(command: CommandLine) -> None:
    """A terminal sends it to the whole group, and people press it again; no file is left."""
    command.variables = scrubbed({"TMPDIR": str(command.directory)})
    arguments = ("sandbox", "--json", "--session-seconds", "0.001")
    with start(*arguments, command=command) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        first, second = (command("token", **told).out for _ in range(2))
        give_up = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < give_up:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGINT)
                process.wait(0.02)
        output, errors = process.communicate(timeout=SECONDS)
    assert first != second
    assert "" not in (first, second)
    more = {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "api_url", "stream_address"}
    assert set(told) - set(NAMES) == more
    assert told["REQUESTS_CA_BUNDLE"] == told["SSL_CERT_FILE"] == told["BETFAIR_CA_BUNDLE"]
    # Its document is out already, so that its end is told on standard error.
    assert (process.returncode, output, errors.count("\n")) == (130, "", 1)
    assert list(command.directory.iterdir()) == []


def test_a_sandbox_that_ends_by_itself_ends_the_command(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by somebody, say."""
    begin = local.start

    def start_and_kill(out: output.Output, port: int) -> Sandbox:
        sandbox = begin(out, port)
        sandbox._process.kill()
        sandbox._process.wait()
        return sandbox

    monkeypatch.setattr(local, "start", start_and_kill)
    monkeypatch.setattr(local, "_interrupt", lambda *_: None)
    done = command("sandbox")
    assert (done.code, done.err.splitlines()[-1]) == (1, "betfair-session: the sandbox has ended")


# --- demo -----------------------------------------------------------------------------------------


def test_the_demo_passes(tmp_path: Path) -> None:
    """Whatever the user's own settings are, and nothing is left; each step shows something."""
    (tmp_path / ".env").write_text("this is no setting")
    variables = {"BETFAIR_USERNAME": "somebody", "BETFAIR_CERT_PEM": "something"}
    variables |= {"HTTPS_PROXY": "http://127.0.0.1:9", "TMPDIR": str(tmp_path)}
    done = cli("demo", "--json", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["passed"] is True
    assert len(told["steps"]) == 4
    assert all(step["seconds"] > 0 and len(step["shown"]) > 1 for step in told["steps"])
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (1, ("certlogin", "status:503", 0)),
        (2, ("keepAlive", "status:503", 0)),
        (3, ("keepAlive", "internal_error", 1)),
        (4, ("logout", "status:503", 0)),
    ],
)
def test_a_step_that_goes_wrong_fails_the_demo(
    command: CommandLine,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    fault: tuple[str, str, int],
) -> None:
    """Each step looks at what really happened; here its processes are calls."""

    def call(program: list[str], *, env: dict[str, str], **_: object) -> object:
        done = command(*program[3:], **env)
        return subprocess.CompletedProcess(program, done.code, done.out, done.err)

    monkeypatch.setattr("betfair_session.cli.local.subprocess.run", call)
    endpoint, kind, skip = fault
    sandbox.fault(endpoint, kind, times=None, skip=skip)
    lines: list[str] = []
    shown = local.Demo(sandbox, command.directory, lines.append)
    with pytest.raises(BetfairSessionError):
        shown.run()
    assert len(shown.steps) == step


def test_a_demo_that_cannot_go_on_fails(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sandbox is stopped, and the exit code tells."""

    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("betfair_session.cli.local.subprocess.run", fail)
    assert command("demo", "--json").error["exit_code"] == 1
