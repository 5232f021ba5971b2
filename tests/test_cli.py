"""The command line, run as a program against the sandbox."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import CLI, SECONDS, cli, run, scrubbed

import betfair_session
from betfair_session.environment import NAMES
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from betfair_session.sandbox import Sandbox

_KEY = "session.token"

COMMANDS = (
    "token",
    "check",
    "status",
    "logout",
    "unlock",
    "doctor",
    "certificate create",
    "certificate check",
    "sandbox",
    "demo",
)
"""Every command there is."""


@pytest.fixture
def variables(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """All that `betfair-session token` needs, with a store of the test's own."""
    return {
        **sandbox.environment(),
        "BETFAIR_SESSION_STORE": str(tmp_path / "store"),
        "BETFAIR_SESSION_KEY": _KEY,
    }


def _secrets(sandbox: Sandbox, *more: str) -> list[str]:
    live = [session.token for session in sandbox.sessions()]
    return [sandbox.password, sandbox.app_key, *live, *more]


def _failed(done: CompletedProcess[str], code: int, words: str, secrets: list[str]) -> None:
    """See that a program failed as it should: one line, one code, no secret, no output."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("betfair-session: ")
    assert re.search(words, lines[0]), lines[0]
    assert done.stdout == ""
    for secret in secrets:
        assert secret not in done.stderr


def test_token_prints_the_token_alone(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Standard output is the token and a line end, standard error is empty."""
    done = cli("token", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (session,) = sandbox.sessions()
    assert done.stdout == f"{session.token}\n"
    assert (tmp_path / "store" / _KEY).read_text() == session.token
    assert sandbox.counts() == {"certlogin": 1}


def test_token_resumes(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """A second process prints the same token after one keepAlive."""
    first = cli("token", variables=variables, directory=tmp_path)
    sandbox.clear_journal()
    second = cli("token", variables=variables, directory=tmp_path)
    assert second.stdout == first.stdout
    assert sandbox.counts() == {"keepAlive": 1}


def test_arguments_name_another_place(variables: dict[str, str], tmp_path: Path) -> None:
    """STORE and KEY win over the variables."""
    done = cli("token", "other", "deep/name", variables=variables, directory=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "other" / "deep" / "name").read_text() == done.stdout.strip()
    assert not (tmp_path / "store").exists()


def test_logout_ends_the_session(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """The session is dead at Betfair and the object is gone; a second logout is fine."""
    cli("token", variables=variables, directory=tmp_path)
    said = f"logged out: there is no session '{_KEY}' in {tmp_path / 'store'} any more\n"
    for more, output in ((), said), ((), said), (("--quiet",), ""):
        done = cli("logout", *more, variables=variables, directory=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")
    assert sandbox.sessions() == []
    assert not (tmp_path / "store" / _KEY).exists()


def test_a_refusal_is_remembered_until_unlock(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """After a refusal no login is tried; `unlock` lets the next call try at once."""
    sandbox.login_status("INVALID_USERNAME_OR_PASSWORD", times=1)
    for _ in range(2):
        refused = cli("token", variables=variables, directory=tmp_path)
        _failed(refused, 3, "INVALID_USERNAME_OR_PASSWORD", _secrets(sandbox))
    assert sandbox.counts() == {"certlogin": 1}
    said = f"unlocked: the next call for '{_KEY}' in {tmp_path / 'store'} may log in at once\n"
    for more, output in ((), said), (("--quiet",), ""):
        done = cli("unlock", *more, variables=variables, directory=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")
    assert cli("token", variables=variables, directory=tmp_path).returncode == 0
    assert sandbox.counts() == {"certlogin": 2}


def test_unlock_does_not_lift_the_brake(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Four logins in a minute stay counted: exit code 1, and when the next is allowed."""
    now = time.time()
    refused = locks.Lock(
        locks.FAILED,
        since=now,
        logins=(now, now, now, now),
        status="SUSPENDED",
        login_class="account",
        not_before=now + 900,
    )
    path = tmp_path / "store" / f"{_KEY}.login"
    path.parent.mkdir()
    path.write_bytes(locks.encode(refused))
    path.chmod(0o600)
    done = cli("unlock", "--quiet", variables=variables, directory=tmp_path)
    _failed(
        done, 1, r"is unlocked, but .*too many logins .* allowed at 20.* UTC", _secrets(sandbox)
    )
    done = cli("unlock", "--json", variables=variables, directory=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["exit_code"], error["type"]) == (1, 1, "LoginBrake")
    allowed = datetime.fromisoformat(error["not_before"]).timestamp()
    assert allowed == pytest.approx(now + 60, abs=2)
    found = cli("status", "--json", variables=variables, directory=tmp_path)
    assert json.loads(found.stdout)["login"]["state"] == "braked"
    assert sandbox.counts() == {}


def test_a_wrong_password_is_refused(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 3, and the password that was tried is not shown."""
    wrong = {**variables, "BETFAIR_PASSWORD": "not-the-password"}
    done = cli("token", variables=wrong, directory=tmp_path)
    _failed(done, 3, "INVALID_USERNAME_OR_PASSWORD", _secrets(sandbox, "not-the-password"))


@pytest.mark.parametrize("fault", ["status:503", "blocked", "html200", "internal_error", "reset"])
def test_betfair_cannot_tell(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, fault: str
) -> None:
    """Exit code 4; the stored token stays and no login is made."""
    token = sandbox.issue()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / _KEY).write_text(token)
    (tmp_path / "store" / _KEY).chmod(0o600)
    sandbox.fault("keepAlive", fault, times=None)
    done = cli("token", variables=variables, directory=tmp_path)
    _failed(done, 4, "keepAlive", _secrets(sandbox))
    assert (tmp_path / "store" / _KEY).read_text() == token
    assert set(sandbox.counts()) == {"keepAlive"}


def test_a_login_without_an_answer(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 4 as well: whether there is a session, nobody knows."""
    sandbox.fault("certlogin", "lost")
    done = cli("token", variables=variables, directory=tmp_path)
    _failed(done, 4, "certlogin", _secrets(sandbox))


def test_the_store_cannot_be_used(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 5, and Betfair is not asked."""
    (tmp_path / "store").write_text("a file where a directory belongs")
    done = cli("token", variables=variables, directory=tmp_path)
    _failed(done, 5, "store", _secrets(sandbox))
    assert sandbox.counts() == {}


def test_another_process_is_logging_in(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 1 when it takes longer than --timeout."""
    held = locks.Lock(locks.HELD, "0" * 32, "another machine", since=time.time())
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"{_KEY}.login").write_bytes(locks.encode(held))
    (tmp_path / "store" / f"{_KEY}.login").chmod(0o600)
    done = cli("token", "--timeout", "0.5", variables=variables, directory=tmp_path)
    _failed(done, 1, "another machine has been logging in", _secrets(sandbox))
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BETFAIR_PASSWORD": "", "BETFAIR_SESSION_KEY": ""}, "BETFAIR_PASSWORD, BETFAIR_SESSION"),
        ({"BETFAIR_CERT_FILE": "missing.crt"}, r"missing\.crt"),
        ({"BETFAIR_JURISDICTION": "atlantis"}, "BETFAIR_JURISDICTION: unknown jurisdiction"),
        ({"BETFAIR_IDENTITY_URL": "http://x"}, "BETFAIR_IDENTITY_URL: identity_url must be"),
        ({"BETFAIR_IDENTITY_CERT_URL": "x"}, "BETFAIR_IDENTITY_CERT_URL: identity_cert_url must"),
        ({"BETFAIR_CA_BUNDLE": "x.pem"}, "BETFAIR_CA_BUNDLE: the CA bundle 'x.pem' does not"),
        ({"BETFAIR_APP_KEY": "ä"}, "BETFAIR_APP_KEY: the app_key must be"),
        ({"BETFAIR_KEY_FILE": ""}, "no private key in .*; BETFAIR_KEY_FILE is not set: set it to"),
        ({"BETFAIR_SESSION_KEY": "../climbing"}, "plain name"),
        ({"BETFAIR_SESSION_STORE": "nosuch://place"}, "'nosuch'"),
        ({"BETFAIR_STORAGE_OPTIONS": '{"key": "hidden-value"'}, "BETFAIR_STORAGE_OPTIONS"),
    ],
)
def test_a_configuration_that_cannot_work(
    sandbox: Sandbox,
    variables: dict[str, str],
    tmp_path: Path,
    changes: dict[str, str],
    words: str,
) -> None:
    """Exit code 2, and Betfair is not asked."""
    done = cli("token", variables={**variables, **changes}, directory=tmp_path)
    _failed(done, 2, words, _secrets(sandbox, "hidden-value"))
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND"),
        (["nonsense"], "invalid choice"),
        (["tokne"], "`token`"),
        (["certificate", "crate"], "`create`"),
        (["sandbox", "--port", "65534"], "--port: must be a port"),
        (["sandbox", "--port", "hidden-value"], "--port: must be a port"),
        (["token", "store"], "both STORE and KEY"),
        (["token", "store", "key", "hidden-value"], "too many arguments"),
        (["token", "--password=hidden-value"], "unknown option --password"),
        (["token", "--password", "hidden-value"], "unknown option --password"),
        (["token", "--timeout", "0"], "--timeout: must be a number of seconds above 0"),
        (["token", "--timeout", "inf"], "--timeout: must be a number of seconds above 0"),
        (["token", "--timeout", "hidden-value"], "--timeout: must be a number of seconds above 0"),
        (["token", "sftp://user:hidden-value@host/place", "key"], "password in an argument"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Exit code 2 and one line, which repeats nothing that may be a secret."""
    _failed(cli(*arguments, directory=tmp_path), 2, words, ["hidden-value"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": ""}, "not set: a certificate"),
        ({"BETFAIR_KEY_FILE": ""}, "no private key"),
        ({"BETFAIR_CERT_PEM": "another"}, "give the certificate in one way only"),
    ],
)
def test_only_a_login_needs_the_certificate(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    """A session can be looked at and ended where there is none, or none that works."""
    assert cli("token", variables=variables, directory=tmp_path).returncode == 0
    bare = {**variables, **changes}
    for command, said in (("check", "alive"), ("unlock", "unlocked"), ("logout", "logged out")):
        done = cli(command, variables=bare, directory=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{said}: ")
    assert sandbox.sessions() == []
    _failed(cli("token", variables=bare, directory=tmp_path), 2, words, _secrets(sandbox))


def test_a_dotenv_file_is_read_and_the_environment_wins(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """What ./.env says is used, unless a variable says otherwise."""
    lines = [f"{name}='{value}'" for name, value in variables.items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert cli("token", directory=tmp_path).returncode == 0
    here = {"BETFAIR_SESSION_STORE": "here"}
    done = cli("token", variables=here, directory=tmp_path)
    assert (tmp_path / "here" / _KEY).read_text() == done.stdout.strip()
    assert sandbox.counts() == {"certlogin": 2}


def test_a_bad_dotenv_file_is_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    """The error names the line and shows nothing of it."""
    (tmp_path / ".env").write_text("# settings\nhidden-value\n")
    done = cli("token", directory=tmp_path)
    _failed(done, 2, r"\.env, line 2", _secrets(sandbox, "hidden-value"))


def test_help_names_every_variable_and_command(tmp_path: Path) -> None:
    """`--help` is enough to know what to set."""
    done = cli("--help", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (*NAMES, *COMMANDS, "exit codes"):
        assert word.split()[0] in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(tmp_path: Path, command: str) -> None:
    """Each explains itself without any setting: an example, its exit codes, and --json."""
    done = cli(*command.split(), "--help", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: betfair-session {command}")
    assert "--json" in done.stdout
    assert f"\n  betfair-session {command}" in done.stdout.split("example", 1)[1]
    assert "exit codes: 0 " in done.stdout or "exit codes: 130 " in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_version(tmp_path: Path) -> None:
    """It is the installed package's."""
    done = cli("--version", directory=tmp_path)
    assert done.stdout == f"betfair-session {version('betfair-session')}\n"


def test_the_program_is_installed(tmp_path: Path) -> None:
    """`betfair-session` is `python -m betfair_session`."""
    program = Path(sys.executable).with_name("betfair-session")
    done = run(str(program), "--version", directory=tmp_path)
    assert done.stdout == cli("--version", directory=tmp_path).stdout


def _start(*arguments: str, variables: dict[str, str], directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CLI, *arguments],
        cwd=directory,
        env=scrubbed(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_login(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C ends it with exit code 130 and one line."""
    sandbox.hold("certlogin")
    with _start("token", variables=variables, directory=tmp_path) as process:
        sandbox.wait_for("certlogin")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, output, errors) == (130, "", "betfair-session: interrupted\n")


def _from_shell(lines: list[str], directory: Path) -> str:
    script = "\n".join([*lines, f"exec '{sys.executable}' -m betfair_session token"])
    done = run("sh", text=script, directory=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _from_file(lines: list[str], directory: Path) -> str:
    (directory / ".env").write_text("\n".join(lines))
    done = cli("token", directory=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("use", [_from_shell, _from_file])
def test_the_sandbox_prints_lines_to_paste(
    tmp_path: Path, use: Callable[[list[str], Path], str]
) -> None:
    """The same lines serve a shell and a .env file, and all is gone after Ctrl-C."""
    with _start("sandbox", variables={}, directory=tmp_path) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip()]
        while not lines[-1].startswith("export BETFAIR_SESSION_KEY="):
            lines.append(process.stdout.readline().strip())
        store = next(line for line in lines if "SESSION_STORE" in line).partition("=")[2]
        token = use(lines, tmp_path)
        assert (Path(store) / _KEY).read_text() == token.strip()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "betfair-session: interrupted"
    assert not Path(store).parent.exists()
    bundle = next(line for line in lines if "CA_BUNDLE" in line).partition("=")[2]
    for words in ("https://localhost:", "\nlocalhost:", "export REQUESTS_CA_BUNDLE="):
        assert words in errors
    assert f"\nexport SSL_CERT_FILE={bundle}\n" in errors


def test_ctrl_c_in_haste_ends_the_sandbox_without_a_traceback(tmp_path: Path) -> None:
    """A terminal sends it to the whole process group, and people press it again."""
    with subprocess.Popen(
        [*CLI, "sandbox", "--json"],
        cwd=tmp_path,
        env=scrubbed({"TMPDIR": str(tmp_path)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())
        give_up = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < give_up:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGINT)
                process.wait(0.02)
        _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, "betfair-session: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_sandbox_prints_json(tmp_path: Path) -> None:
    """`--json` is one object with the variables; sessions live as long as was asked for."""
    arguments = ("sandbox", "--json", "--session-seconds", "0.001")
    with _start(*arguments, variables={}, directory=tmp_path) as process:
        assert process.stdout is not None
        variables = json.loads(process.stdout.readline())
        first, second = (
            cli("token", variables=variables, directory=tmp_path).stdout for _ in range(2)
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    addresses = {"api_url", "stream_address"}
    trust = {"REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}
    assert set(variables) - set(NAMES) == addresses | trust
    assert {variables[name] for name in trust} == {variables["BETFAIR_CA_BUNDLE"]}
    assert re.fullmatch(r"https://localhost:\d+/exchange/", variables["api_url"])
    assert re.fullmatch(r"localhost:\d+", variables["stream_address"])
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_a_missing_extra_is_one_line(tmp_path: Path, command: str) -> None:
    """Without Twisted the error says what to install."""
    package = Path(betfair_session.__file__).parent
    (tmp_path / package.name).symlink_to(package)
    # -S: without this environment's packages.
    done = run(sys.executable, "-S", "-m", "betfair_session", command, directory=tmp_path)
    expected = r'pip install "betfair-session\[sandbox\]"'
    assert done.stderr.count("\n") == 1
    assert done.returncode == 2
    assert re.search(expected, done.stderr), done.stderr
