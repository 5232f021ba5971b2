"""What the command line says to programs, to people at a terminal, and to nobody."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from programs import CLI, SECONDS, cli, run, scrubbed

from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from betfair_session.sandbox import Sandbox

    Redirected: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

KEY = "session.token"
ESCAPE = "\x1b["


@pytest.fixture
def variables(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """All variables, with a store of the test's own."""
    return {
        **sandbox.environment(),
        "BETFAIR_SESSION_STORE": str(tmp_path / "store"),
        "BETFAIR_SESSION_KEY": KEY,
    }


def held_by_another(tmp_path: Path) -> Path:
    """Put a lock object into the store that says that another machine logs in."""
    path = tmp_path / "store" / f"{KEY}.login"
    path.parent.mkdir(exist_ok=True)
    lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
    path.write_bytes(locks.encode(lock))
    path.chmod(0o600)
    return path


# --- for programs --------------------------------------------------------------------------------


def document(*arguments: str, variables: dict[str, str], directory: Path) -> dict[str, Any]:
    """Run a command with --json; its one line is the document, and nothing else is said."""
    done = cli(*arguments, "--json", variables=variables, directory=directory)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    told: dict[str, Any] = json.loads(done.stdout)
    error = told.get("error", {"exit_code": told.get("exit_code", 0)})
    assert error["exit_code"] == done.returncode
    return told


def test_every_command_about_a_session_has_a_document(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Each names the place and what came of it; the token is in that of `token` alone."""
    place = {"store": str(tmp_path / "store"), "key": KEY}
    told = document("token", variables=variables, directory=tmp_path)
    (session,) = sandbox.sessions()
    assert told == {**place, "token": session.token}
    for command in ("check", "status", "doctor"):
        told = document(command, variables=variables, directory=tmp_path)
        assert session.token not in json.dumps(told)
    told = document("unlock", variables=variables, directory=tmp_path)
    assert told == {**place, "unlocked": True}
    told = document("logout", variables=variables, directory=tmp_path)
    assert told == {**place, "logged_out": True}


def test_certificates_have_documents(tmp_path: Path) -> None:
    """What was written, and what the files are."""
    told = document("certificate", "create", variables={}, directory=tmp_path)
    names = [os.path.basename(path) for path in told["files"]]
    assert sorted(names) == [f"client-2048.{end}" for end in ("crt", "key", "pem")]
    told = document("certificate", "check", "client-2048.pem", variables={}, directory=tmp_path)
    assert told["ok"] is True


def test_a_refusal_as_json(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Betfair's code, its class and the time from which another login may be tried."""
    sandbox.login_status("SUSPENDED", times=1)
    error = document("token", variables=variables, directory=tmp_path)["error"]
    assert (error["type"], error["exit_code"]) == ("LoginRefused", 3)
    assert (error["status"], error["login_class"]) == ("SUSPENDED", "account")
    assert error["endpoint"] == "certlogin"
    assert error["not_before"].endswith("+00:00")


def test_other_errors_as_json(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Each with its kind, its exit code, and what the exception knows."""
    held = held_by_another(tmp_path)
    error = document("token", "--timeout", "0.5", variables=variables, directory=tmp_path)["error"]
    assert (error["type"], error["exit_code"]) == ("LoginTimeout", 1)
    assert error["owner"] == "another machine"
    held.unlink()
    (tmp_path / "store" / KEY).write_text(sandbox.issue())
    (tmp_path / "store" / KEY).chmod(0o600)
    sandbox.fault("keepAlive", "status:503", times=None)
    error = document("token", variables=variables, directory=tmp_path)["error"]
    assert (error["type"], error["exit_code"]) == ("IdentityUnavailable", 4)
    assert (error["status_code"], error["endpoint"]) == (503, "keepAlive")
    (tmp_path / "store" / KEY).unlink()
    (tmp_path / "store" / KEY).mkdir()
    error = document("status", variables=variables, directory=tmp_path)["error"]
    assert (error["exit_code"], error["store"]) == (5, str(tmp_path / "store"))
    assert error["reason"]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["token"], "ConfigurationError"),
        (["check", "--password=hidden-value"], "UsageError"),
        (["nonsense"], "UsageError"),
        (["token", "store"], "UsageError"),
    ],
)
def test_wrong_usage_as_json(tmp_path: Path, arguments: list[str], kind: str) -> None:
    """Exit code 2, and no value that may be a secret."""
    error = document(*arguments, variables={}, directory=tmp_path)["error"]
    assert (error["type"], error["exit_code"]) == (kind, 2)
    assert "hidden-value" not in json.dumps(error)


def test_a_logout_takes_no_longer_than_it_may(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Without an answer of Betfair's the token stays: exit code 4."""
    cli("token", variables=variables, directory=tmp_path)
    sandbox.fault("logout", "stall", times=None)
    arguments = ("logout", "--timeout", "1.5")
    error = document(*arguments, variables=variables, directory=tmp_path)["error"]
    assert error["exit_code"] == 4
    # Which of two limits is noticed first, that of the call or of the socket, is a matter of luck.
    assert re.search(r"no answer within 1\.5 s|timed out", error["message"])
    assert (tmp_path / "store" / KEY).exists()


def test_the_document_of_the_sandbox_stays_the_only_one(tmp_path: Path) -> None:
    """Its end is told on standard error, since its document is out already."""
    with subprocess.Popen(
        [*CLI, "sandbox", "--json"],
        cwd=tmp_path,
        env=scrubbed(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output, errors) == (130, "", "betfair-session: interrupted\n")


def test_an_interruption_as_json(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 130, and a document like every error's."""
    sandbox.hold("certlogin")
    with start("token", "--json", variables=variables, directory=tmp_path) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "")
    assert json.loads(output)["error"]["message"] == "interrupted"


def test_a_terminated_login_keeps_nobody_waiting(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM ends it with exit code 143, and the lock says that no answer came."""
    sandbox.hold("certlogin")
    with start("token", variables=variables, directory=tmp_path) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output, errors) == (143, "", "")
    told = document("status", variables=variables, directory=tmp_path)
    assert told["login"]["state"] == "unanswered"


def start(*arguments: str, variables: dict[str, str], directory: Path) -> subprocess.Popen[str]:
    """Start a command whose output goes to pipes."""
    return subprocess.Popen(
        [*CLI, *arguments],
        cwd=directory,
        env=scrubbed(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- for people ----------------------------------------------------------------------------------


class Terminal:
    """A command at a terminal of its own, which reads both of its outputs."""

    def __init__(self, *arguments: str, variables: dict[str, str], directory: Path) -> None:
        """Start it."""
        import pty  # not everywhere

        self._screen, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [*CLI, *arguments],
            cwd=directory,
            env=scrubbed({"TERM": "xterm", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._give_up = time.monotonic() + SECONDS
        self.text = ""

    def wait_for(self, words: str) -> None:
        """Read until the terminal shows these words."""
        while words not in self.text:
            assert self._read(), f"it ended without {words!r}: {self.text}"

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self._process.wait(SECONDS)

    def close(self) -> None:
        """Give the terminal back."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._screen)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], self._give_up - time.monotonic())
        assert ready, f"nothing more came: {self.text}"
        try:
            piece = os.read(self._screen, 4096)
        except OSError:  # how Linux tells that the other side has closed
            return False
        self.text += piece.decode().replace("\r\n", "\n")
        return bool(piece)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Terminals to close."""
    pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_a_terminal_is_told_who_is_logging_in(
    variables: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    """Another process's login is waited for by name; when it is gone, this one gets a token."""
    held = held_by_another(tmp_path)
    terminal = Terminal("token", variables=variables, directory=tmp_path)
    terminals.append(terminal)
    terminal.wait_for("betfair-session: waiting for another machine, logging in since ")
    held.unlink()
    assert terminal.end() == 0
    assert terminal.text.splitlines()[-1] == (tmp_path / "store" / KEY).read_text()
    assert terminal.text.count("waiting for another machine") == 1


def test_a_terminal_is_told_of_a_slow_login(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    """This process's own login is named as such."""
    sandbox.hold("certlogin")
    terminal = Terminal("token", variables=variables, directory=tmp_path)
    terminals.append(terminal)
    terminal.wait_for("logging in at Betfair")
    sandbox.release("certlogin")
    assert terminal.end() == 0


@pytest.mark.parametrize("command", ["check", "logout", "doctor"])
def test_a_terminal_is_told_of_slow_answers(
    sandbox: Sandbox,
    variables: dict[str, str],
    tmp_path: Path,
    terminals: list[Terminal],
    command: str,
) -> None:
    """Whatever waits says for what."""
    cli("token", variables=variables, directory=tmp_path)
    endpoint = "logout" if command == "logout" else "keepAlive"
    sandbox.hold(endpoint)
    terminal = Terminal(command, variables=variables, directory=tmp_path)
    terminals.append(terminal)
    terminal.wait_for("looking at Betfair" if command == "doctor" else "waiting for the store and")
    sandbox.release(endpoint)
    assert terminal.end() == 0


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_progress_can_be_switched_off(
    variables: dict[str, str], tmp_path: Path, terminals: list[Terminal], option: str
) -> None:
    """Then a terminal shows the end alone, however long it took."""
    held_by_another(tmp_path)
    arguments = ("token", option, "--timeout", "2.5")
    terminal = Terminal(*arguments, variables=variables, directory=tmp_path)
    terminals.append(terminal)
    assert terminal.end() == 1
    assert len(terminal.text.splitlines()) == 1


def test_a_pipe_sees_no_progress(variables: dict[str, str], tmp_path: Path) -> None:
    """A log file gets the error and nothing else."""
    held_by_another(tmp_path)
    done = cli("token", "--timeout", "2.5", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def test_colours_are_for_a_terminal(
    variables: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    """Findings have them there, unless NO_COLOR or a dumb terminal forbids it."""
    shown = []
    for more in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = Terminal("doctor", variables={**variables, **more}, directory=tmp_path)
        terminals.append(terminal)
        assert terminal.end() == 0
        shown.append(terminal.text)
    assert f"{ESCAPE}32mok" in shown[0]
    assert ESCAPE not in shown[1] + shown[2]
    assert "ok           configuration: " in shown[1]
    done = cli("doctor", variables={**variables, "TERM": "xterm"}, directory=tmp_path)
    assert ESCAPE not in done.stdout + done.stderr


def test_an_error_is_red_and_a_held_lock_is_yellow(
    variables: dict[str, str], tmp_path: Path, terminals: list[Terminal]
) -> None:
    """On a terminal; the words are the same."""
    held_by_another(tmp_path)
    for arguments, colour in ((["token", "--timeout", "0.5"], "31"), (["status"], "33")):
        terminal = Terminal(*arguments, variables=variables, directory=tmp_path)
        terminals.append(terminal)
        terminal.end()
        assert f"{ESCAPE}{colour}m" in terminal.text
        assert "another machine" in terminal.text


def test_a_terminal_that_shows_no_such_character_is_no_error(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """A store with an accent in its name can be told in ASCII."""
    name = str(tmp_path / "st\N{LATIN SMALL LETTER O WITH DIAERESIS}re")
    more = {"BETFAIR_SESSION_STORE": name, "PYTHONIOENCODING": "ascii"}
    done = cli("status", variables={**variables, **more}, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "st\\xf6re" in done.stdout


def test_an_error_is_told_once(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """The library's warning of the same event is not shown beside it."""
    sandbox.login_status("SUSPENDED", times=1)
    done = cli("token", variables=variables, directory=tmp_path)
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "store" / f"{KEY}.login").unlink()
    sandbox.fault("certlogin", "lost")
    done = cli("token", variables=variables, directory=tmp_path)
    assert len(done.stderr.splitlines()) == 1


def test_a_warning_is_told(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """What the library warns of has a line of its own; the token is printed all the same."""
    cli("token", variables=variables, directory=tmp_path)
    (tmp_path / "store" / KEY).chmod(0o644)
    done = cli("token", variables=variables, directory=tmp_path)
    assert done.returncode == 0
    assert done.stderr.startswith("betfair-session: warning: ")
    assert "chmod 600" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


# --- for nobody ----------------------------------------------------------------------------------


@pytest.fixture
def redirected(variables: dict[str, str], tmp_path: Path) -> Redirected:
    """Run a command as a shell does that redirects or closes a stream of it."""

    def run_so(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        shell = ("sh", "-c", f'exec "$0" "$@" {redirection}', *CLI)
        return run(*shell, *arguments, variables=variables, directory=tmp_path)

    return run_so


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_without_standard_error_a_command_does_what_it_does(
    redirected: Redirected, tmp_path: Path, closed: str
) -> None:
    """As a service may be started; only what would be said there is lost."""
    done = redirected(closed, "token")
    assert (done.returncode, done.stdout) == (0, f"{(tmp_path / 'store' / KEY).read_text()}\n")
    assert redirected(closed, "status").returncode == 0
    assert redirected(closed, "token", "--nonsense").returncode == 2
    (tmp_path / "store" / KEY).chmod(0o644)  # which is warned about
    assert redirected(closed, "token").stdout == done.stdout


@pytest.mark.parametrize("arguments", [["token"], ["status"], ["token", "--json"], ["--help"]])
def test_without_standard_output_a_result_is_an_error(
    redirected: Redirected, arguments: list[str]
) -> None:
    """It is not lost in silence; without standard error too, the exit code tells."""
    done = redirected(">&-", *arguments)
    assert done.returncode == 1
    assert done.stderr == "betfair-session: cannot write to standard output: Bad file descriptor\n"
    done = redirected("<&- >&- 2>&-", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_what_prints_nothing_needs_no_standard_output(redirected: Redirected) -> None:
    """A command that keeps quiet, and wrong usage."""
    assert redirected(">&-", "logout", "--quiet").returncode == 0
    assert redirected(">&- 2>&-", "token", "--nonsense").returncode == 2


def test_the_sandbox_runs_without_standard_error(tmp_path: Path) -> None:
    """What there is to paste stands on standard output alone."""
    with subprocess.Popen(
        ["sh", "-c", 'exec "$0" "$@" 2>&-', *CLI, "sandbox"],
        cwd=tmp_path,
        env=scrubbed(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("export BETFAIR_")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130


@pytest.fixture
def full() -> str:
    """A file that is always full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    return "/dev/full"


@pytest.mark.parametrize(
    "arguments", [["token"], ["--help"], ["token", "--help"], ["--version"], ["token", "--json"]]
)
def test_output_that_nobody_takes_is_one_line(
    redirected: Redirected, full: str, arguments: list[str]
) -> None:
    """A full disk behind standard output is an error, not a token lost in silence."""
    done = redirected(f"> {full}", *arguments)
    assert done.returncode == 1
    said = "betfair-session: cannot write to standard output: No space left on device\n"
    assert done.stderr == said


def test_an_error_that_nobody_takes_has_its_exit_code(
    redirected: Redirected, tmp_path: Path, full: str
) -> None:
    """Neither it nor a warning makes the interpreter end in one of its own."""
    assert redirected(f"2> {full}", "token", "--nonsense").returncode == 2
    done = redirected(f"2> {full}", "token")
    (tmp_path / "store" / KEY).chmod(0o644)
    again = redirected(f"2> {full}", "token")
    assert (again.returncode, again.stdout) == (0, done.stdout)


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
    ("module", "said"),
    [
        ("betfair_session.cli.output", ""),
        ("betfair_session.cli.parser", "betfair-session: interrupted\n"),
        ("betfair_session.storage.location", "betfair-session: interrupted\n"),
    ],
)
def test_ctrl_c_while_it_starts(
    variables: dict[str, str], tmp_path: Path, module: str, said: str
) -> None:
    """Exit code 130 and no traceback; in the first moment there is nothing yet to tell it by."""
    command = (sys.executable, "-c", EARLY, module)
    done = run(*command, "status", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)
    if said:
        done = run(*command, "status", "--json", variables=variables, directory=tmp_path)
        assert (done.returncode, done.stderr) == (130, "")
        assert json.loads(done.stdout)["error"]["message"] == "interrupted"


def test_a_shell_that_asks_for_completions_gets_none_without_argcomplete(tmp_path: Path) -> None:
    """The package is optional, and its absence no error."""
    asked = {"_ARGCOMPLETE": "1", "PYTHONPATH": str(tmp_path)}
    (tmp_path / "argcomplete.py").write_text("raise ImportError")
    done = cli("--version", variables=asked, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "argcomplete.py").write_text(
        "import sys\ndef autocomplete(parser): sys.exit(' '.join(parser.prog.split()))"
    )
    done = cli("token", variables=asked, directory=tmp_path)
    assert done.stderr == "betfair-session\n"
