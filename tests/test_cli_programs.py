"""The command line as a process of its own: streams, signals, terminals, shells, and the demo."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import KEY, CommandLine
from programs import CLI, SECONDS, cli, run, scrubbed, start

import betfair_session
from betfair_session.environment import NAMES
from betfair_session.sandbox import Sandbox

FULL = "/dev/full"
VERSION = f"betfair-session {version('betfair-session')}"
ROOT = Path(__file__).parents[1]


def test_the_program_is_installed(tmp_path: Path) -> None:
    """`betfair-session` is `python -m betfair_session`; both print the package's version."""
    program = str(Path(sys.executable).with_name("betfair-session"))
    for done in (
        run(program, "--version", directory=tmp_path),
        cli("--version", directory=tmp_path),
    ):
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{VERSION}\n", "")


@pytest.mark.parametrize("arguments", [["token"], ["--version"]])
def test_without_its_extra_it_says_what_to_install(tmp_path: Path, arguments: list[str]) -> None:
    """One line and exit code 2, however it is called, and at a terminal, too."""
    package = Path(betfair_session.__file__).parent
    (tmp_path / package.name).symlink_to(package)
    # -S: without this environment's packages.
    program, what = (
        (sys.executable, "-S", *CLI[1:], *arguments),
        'pip install "betfair-session[cli]"',
    )
    done = run(*program, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    shown = typed(what, program=program, directory=tmp_path, variables=scrubbed())
    assert all(what in text and text.count("\n") == 1 for text in (done.stderr, shown))


# --- terminals ------------------------------------------------------------------------------------


def typed(
    *dialogue: str, program: tuple[str, ...], directory: Path, variables: dict[str, str]
) -> str:
    """Type at a program's terminal; return what it shows.

    The dialogue alternates what to wait for and what to type then.
    """
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    screen, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        program, cwd=directory, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux's sign that the other side has closed
            for awaited, keys in zip(dialogue[::2], [*dialogue[1::2], ""], strict=True):
                while awaited not in shown.decode(errors="replace"):
                    if not select.select([screen], [], [], SECONDS)[0]:
                        break
                    shown += os.read(screen, 4096)
                os.write(screen, keys.encode())
        process.kill()
    os.close(screen)
    return shown.decode(errors="replace")


def completed(directory: Path, *shell: str, before: str = "") -> str:
    """Have a shell complete --ver, by the line that the documentation gives for its start-up."""
    documented = (ROOT / "docs" / "cli.md").read_text()
    (line,) = re.findall(rf"^.*{shell[0]}_source.*?(?=  +#)", documented, re.MULTILINE)
    program = directory / "betfair-session"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(CLI)} "$@"\n')
    program.chmod(0o755)
    path = f"{directory}:{os.environ['PATH']}"
    return typed(
        "",
        f"{before}{line}\nbetfair-session --ver\t\n",
        VERSION,
        program=("setsid", "--ctty", *shell),
        directory=directory,
        variables=scrubbed({"PATH": path, "TERM": "dumb", "HOME": str(directory)}),
    )


def test_a_shell_completes_words(tmp_path: Path) -> None:
    assert VERSION in completed(tmp_path, "bash", "--norc", "-i")
    words = {"COMP_WORDS": "betfair-session token store ke", "COMP_CWORD": "3"}
    asked = {"_BETFAIR_SESSION_COMPLETE": "bash_complete", **words}
    assert cli(directory=tmp_path, variables=asked).stdout == "dir,ke\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_an_account_without_a_certificate(
    command: CommandLine, sandbox: Sandbox, *, terminal: bool
) -> None:
    """Its two-step code is asked for on the terminal, without echo, or read from a pipe."""
    sandbox.set_two_step("123456")
    command.keep_only("USERNAME", "PASSWORD", "APP_KEY", "IDENTITY_URL", "CA_BUNDLE", "SESSION")
    assert command("token").code == 2
    arguments = ("token", "--interactive")
    for _ in range(2):  # it is asked for a login only
        if terminal:
            shown = typed(
                *(() if sandbox.sessions() else (": ", "123456\n")),
                "=\r\n",
                program=(*CLI, *arguments),
                directory=command.directory,
                variables=command.variables,
            )
            token = shown.split()[-1]
            assert "123456" not in shown
        else:
            token = cli(
                *arguments, variables=command.variables, directory=command.directory, text="123456"
            ).stdout.strip()
        assert token == sandbox.sessions()[0].token
    assert sandbox.counts() == {"login": 1, "keepAlive": 1}


def test_a_terminal_that_shows_no_such_character_is_no_error(command: CommandLine) -> None:
    """A store with an accent in its name can be shown in ASCII."""
    command.variables |= {"PYTHONIOENCODING": "ascii", "BETFAIR_SESSION_STORE": "st\u00f6re"}
    done = cli("status", variables=command.variables, directory=command.directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert "st\\xf6re" in done.stdout


# --- streams and signals --------------------------------------------------------------------------


STREAMS = [  # how they are redirected, the command, its exit code, lines on standard error
    ("2>&-", "token", 0, 0),  # only messages are lost
    ("<&- 2>&-", "token", 0, 0),
    (">&-", "token", 1, 2),  # a lost result is an error
    (">&-", "--help", 1, 1),
    (f"> {FULL}", "token --json", 1, 2),
    (f"> {FULL}", "--version", 1, 1),
    ("<&- >&- 2>&-", "status", 1, 0),  # exit codes need no stream
    (">&-", "logout --quiet", 0, 1),
    (">&- 2>&-", "token --nonsense", 2, 0),
    (f"2> {FULL}", "token --nonsense", 2, 0),
]


@pytest.mark.parametrize("number", range(len(STREAMS)))
def test_streams_that_are_closed_or_full(
    command: CommandLine, sandbox: Sandbox, number: int
) -> None:
    """A shell or a service may start it so; the interpreter itself reports no error."""
    redirection, arguments, code, lines = STREAMS[number]
    token = sandbox.issue()
    command.put(token).chmod(0o644)  # which is warned of in a line
    shell = ("sh", "-c", f'exec "$0" "$@" {redirection}', *CLI, *arguments.split())
    done = run(*shell, variables=command.variables, directory=command.directory)
    printed = f"{token}\n" if (arguments, code) == ("token", 0) else ""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, printed, lines)


@pytest.mark.parametrize(
    ("number", "more", "code"),
    [
        (signal.SIGINT, [], 130),
        (signal.SIGINT, ["--json"], 130),
        (signal.SIGTERM, [], 143),
        (signal.SIGHUP, [], 129),
    ],
)
def test_an_interrupted_login_keeps_nobody_waiting(
    command: CommandLine, sandbox: Sandbox, number: signal.Signals, more: list[str], code: int
) -> None:
    """It prints one line or one document, and the lock says that no answer came."""
    sandbox.hold("certlogin")
    arguments = (*CLI, "token", *more)
    with start(*arguments, directory=command.directory, variables=command.variables) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(number)
        output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    if more:
        assert (json.loads(output)["error"]["exit_code"], errors) == (130, "")
    else:
        assert (output, errors.count("\n")) == ("", 1 if code == 130 else 0)
    assert command.json("status").document["login"]["state"] == "unanswered"


def test_nohup_lets_a_login_end(command: CommandLine, sandbox: Sandbox) -> None:
    sandbox.hold("certlogin")
    program = ("nohup", *CLI, "token")
    with start(*program, directory=command.directory, variables=command.variables) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(signal.SIGHUP)
        sandbox.release("certlogin")
        output, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, output) == (0, f"{sandbox.sessions()[0].token}\n")


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


@pytest.mark.parametrize("module", ["json", "click"])
def test_ctrl_c_while_it_starts(command: CommandLine, module: str) -> None:
    program = (sys.executable, "-c", EARLY, module, "status")
    done = run(*program, variables=command.variables, directory=command.directory)
    assert (done.returncode, done.stdout, done.stderr.count("\n") <= 1) == (130, "", True)


# --- sandbox and demo -----------------------------------------------------------------------------


def test_the_sandbox_prints_lines_to_paste(tmp_path: Path) -> None:
    """The same lines serve a shell and a .env file; it runs without standard error, too."""
    place = tmp_path / r"""it's "here" & \there"""
    place.mkdir()
    shell = ("sh", "-c", 'exec "$0" "$@" 2>&-', *CLI, "sandbox")
    with start(*shell, directory=tmp_path, variables={"TMPDIR": str(place)}) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        while not lines[-1].startswith("export BETFAIR_SESSION_KEY="):
            lines.append(process.stdout.readline().strip())
        script = "\n".join([*lines, f"exec '{sys.executable}' -m betfair_session token"])
        pasted = run("sh", text=script, directory=tmp_path)
        (tmp_path / ".env").write_text("\n".join(lines))
        filed = cli("token", directory=tmp_path)
        (token,) = (path.read_text() for path in place.rglob(KEY))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    for done in (pasted, filed):
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{token}\n", "")
    assert (process.returncode, list(place.iterdir())) == (130, [])


@pytest.mark.parametrize("killed", [False, True] if sys.platform == "linux" else [False])
def test_the_end_of_a_sandbox_leaves_no_file_and_no_traceback(
    command: CommandLine, *, killed: bool
) -> None:
    """After Ctrl-C, which a terminal sends to the whole group and people press twice, or a kill."""
    variables = {"TMPDIR": str(command.directory)}
    program = (*CLI, "sandbox", "--json", "--session-seconds", "0.001")
    with start(*program, directory=command.directory, variables=variables) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        first, second = (command("token", **told).out for _ in range(2))
        give_up = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < give_up:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                if killed:
                    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                    for child in children.read_text().split():
                        os.kill(int(child), signal.SIGKILL)
                else:
                    os.killpg(process.pid, signal.SIGINT)
                process.wait(0.02)
        output, errors = process.communicate(timeout=SECONDS)
    assert first != second
    assert "" not in (first, second)
    more = {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "api_url", "stream_address"}
    assert set(told) - set(NAMES) == more
    assert told["REQUESTS_CA_BUNDLE"] == told["SSL_CERT_FILE"] == told["BETFAIR_CA_BUNDLE"]
    # Its document is out already, so its end is reported on standard error.
    assert (process.returncode, output, errors.count("\n")) == (1 if killed else 130, "", 1)
    assert list(command.directory.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_sandbox_although_a_finalizer_swallows_it(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    def counts(_: Sandbox) -> dict[str, int]:
        # As the interpreter does for a finalizer.
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)
        return {}

    monkeypatch.setattr(Sandbox, "counts", counts)
    try:
        ended = command("sandbox").code
    except SystemExit as error:
        ended = int(error.code or 0)
    assert ended == code


def test_the_demo_passes(tmp_path: Path) -> None:
    """With any settings of the user, and nothing is left; each step shows something."""
    (tmp_path / ".env").write_text("this is no setting")
    variables = {"BETFAIR_USERNAME": "somebody", "BETFAIR_CERT_PEM": "something"}
    variables |= {"HTTPS_PROXY": "http://127.0.0.1:9", "TMPDIR": str(tmp_path)}
    done = cli("demo", "--json", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["passed"], len(told["steps"])) == (True, 4)
    assert all(step["seconds"] > 0 and len(step["shown"]) > 1 for step in told["steps"])
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
