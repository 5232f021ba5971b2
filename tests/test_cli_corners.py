"""The command line's rarer answers, asked within this process."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from argparse import Namespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from within import within

from betfair_session import IdentityUnavailable, StoreUnavailable, from_env
from betfair_session.betfair.answers import Answer, Endpoint
from betfair_session.cli import main, output, sandbox as sandbox_command, status
from betfair_session.cli.demo import Demo
from betfair_session.cli.doctor import account, hosts, settings as doctor_settings, storage
from betfair_session.cli.progress import login_of, progress
from betfair_session.login import lock as locks
from betfair_session.login.inspection import inspect
from betfair_session.sandbox import SandboxError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.sandbox import Sandbox
    from betfair_session.session import Session

KEY = "session.token"


@pytest.fixture
def place(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the test's own, where the process is, with all variables set."""
    for name in [name for name in os.environ if name.startswith("BETFAIR_")]:
        monkeypatch.delenv(name)
    variables = {"BETFAIR_SESSION_STORE": str(tmp_path), "BETFAIR_SESSION_KEY": KEY}
    for name, value in {**sandbox.environment(), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("place")
def test_an_error_of_its_own_shows_its_kind_and_place_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a foreign error says may hold a secret."""

    def fail(*_: object, **__: object) -> NoReturn:
        message = "of-mine"
        raise RuntimeError(message)

    monkeypatch.setattr(status, "inspect", fail)
    assert main(["status"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    line = fail.__code__.co_firstlineno + 2
    assert shown.err == (
        "betfair-session: an error of its own, please report it: "
        f"RuntimeError at {fail.__code__.co_filename}:{line}\n"
    )


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """It is told all the same."""
    from betfair_session.cli import _text

    assert _text(ValueError("of-mine")) == "an error of its own, please report it: ValueError"


def test_ctrl_c_again_while_it_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is the same; nothing more is tried."""

    def press(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(output, "fail", press)
    assert main(["--nonsense"]) == 130


def test_output_that_is_no_file_of_the_systems_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program may call `main` with its own in place."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    output.prepare()
    output.write("é")
    assert isinstance(sys.stdout, io.StringIO)
    assert sys.stdout.getvalue() == "é\n"


def test_a_text_goes_out_with_its_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unbuffered streams too: `head` may have seen enough of it, and be gone."""
    pieces: list[str] = []

    class Reader(io.StringIO):
        def write(self, text: str, /) -> int:
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Reader())
    output.write("one\ntwo")
    assert pieces == ["one\ntwo\n"]


# --- what needs the sandbox -----------------------------------------------------------------------


def test_a_part_of_the_sandbox_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(sandbox_command, "_PARTS", ("twisted", "no_such_part"))
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        'betfair-session: the sandbox needs no_such_part: pip install "betfair-session[sandbox]"\n'
    )


def test_a_sandbox_that_does_not_start_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one line; the ports are any free ones, or those from a number on."""
    asked = []

    def fail(**ports: int) -> NoReturn:
        asked.append(ports)
        message = "it did not start"
        raise SandboxError(message)

    monkeypatch.setattr("betfair_session.sandbox.Sandbox", fail)
    for arguments in (["sandbox"], ["sandbox", "--port", "8443"]):
        assert main(arguments) == 1
        assert capsys.readouterr().err == "betfair-session: it did not start\n"
    assert [[*ports.values()] for ports in asked] == [[0, 0, 0], [8443, 8444, 8445]]


def test_a_step_of_the_demo_that_fails_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sandbox is stopped, and the exit code tells."""

    def fail(_demo: Demo) -> NoReturn:
        message = "no room"
        raise OSError(message)

    monkeypatch.setattr(Demo, "run", fail)
    assert main(["demo", "--quiet"]) == 1
    assert capsys.readouterr().err == "betfair-session: the demo failed in step 0: no room\n"


def test_a_sandbox_that_ends_by_itself_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed by somebody, say."""
    start = sandbox_command.start

    def start_and_kill(port: int) -> Sandbox:
        sandbox = start(port)
        sandbox._process.kill()
        sandbox._process.wait()
        return sandbox

    monkeypatch.setattr(sandbox_command, "start", start_and_kill)
    monkeypatch.setattr(sandbox_command, "_interrupt", lambda *_: None)
    assert main(["sandbox"]) == 1
    assert capsys.readouterr().err.endswith("betfair-session: the sandbox has ended\n")


def test_a_value_with_both_quotes_is_quoted_for_shells_and_files() -> None:
    """In double quotes, with everything escaped that means something there."""
    assert sandbox_command._quoted("it's $\"`\\") == '"it\'s \\$\\"\\`\\\\"'
    assert sandbox_command._quoted("two words") == "'two words'"
    assert sandbox_command._quoted("plain") == "plain"


# --- status and progress --------------------------------------------------------------------------


def test_status_tells_of_junk(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next call replaces it; it may be somebody's data."""
    (place / KEY).write_bytes(b"x" * 600)
    (place / KEY).chmod(0o600)
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["token"]["state"] == "junk"
    assert main(["status"]) == 0
    assert "no token but something else, written " in capsys.readouterr().out


def test_status_says_whose_clock_it_goes_by() -> None:
    """A store may not tell the time; the lock still does."""
    store = open_store("memory://clockless")
    lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
    store.put(f"{KEY}.login", locks.encode(lock), ANY, deadline=within(5))
    found = inspect(store, KEY, timeout=5)._replace(clock=False)
    text = status._text(store, KEY, found)
    assert "clock     this machine's; the store does not tell its own" in text.splitlines()
    assert "clock   " not in status._text(store, KEY, found._replace(clock=True))
    store.delete(f"{KEY}.login", deadline=within(5))


class Terminal(io.StringIO):
    """Standard error that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def session(place: Path) -> Session:
    """A handle for the place."""
    return from_env(dotenv=None).session(place, KEY)


def test_progress_looks_at_the_lock(session: Session, place: Path) -> None:
    """Waiting in general, logging in, waiting for somebody, or nothing that can be read."""
    look = login_of(session)
    assert look() == "waiting for the store and Betfair …"
    lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
    path = place / f"{KEY}.login"
    path.write_bytes(locks.encode(lock))
    path.chmod(0o600)
    assert look().startswith("waiting for another machine, logging in since ")
    path.unlink()
    path.mkdir()
    assert look() == ""


def test_progress_says_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line again only when it is another."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("betfair_session.cli.progress._QUIET_SECONDS", 0.001)
    lines = iter(["first", "first", "", "second"])
    seen: list[str] = []

    def look() -> str:
        seen.append(next(lines, "second"))
        return seen[-1]

    with progress(Namespace(json=False, quiet=False), look):
        end = time.monotonic() + 60
        while len(seen) < 8 and time.monotonic() < end:
            time.sleep(0.001)
    assert len(seen) >= 8
    assert terminal.getvalue().count("first") == terminal.getvalue().count("second") == 1


# --- doctor ---------------------------------------------------------------------------------------


def test_advice_stands_below_what_was_found() -> None:
    """On a line of its own."""
    from betfair_session.cli.doctor import _lines
    from betfair_session.cli.doctor.findings import warning

    first, second = _lines(warning("store", "is slow", "take another")).splitlines()
    assert (first.split(), second.strip()) == (
        ["warning", "store:", "is", "slow"],
        "to do: take another",
    )


def test_an_account_that_is_not_described() -> None:
    """Whatever the account API answers."""
    assert account._person(["of-mine"]) == "somebody it does not describe"


def test_a_token_that_cannot_be_read(session: Session, place: Path) -> None:
    """It is a problem, and the account is not looked at."""
    (place / KEY).mkdir()
    findings = account.examine_token(
        doctor_settings.Settings(),
        session.client,
        session.store,
        KEY,
        api_url=None,
        seconds=5,
    )
    assert [(found.name, found.state) for found in findings] == [
        ("token", "problem"),
        ("account", "not checked"),
    ]
    assert findings[1].text == "whether the token lives is not known"


def test_a_success_for_no_token_is_not_betfairs() -> None:
    """A page of a hotel's network may say anything."""
    endpoint = Endpoint("keepAlive", "https://localhost/api/")
    with pytest.raises(IdentityUnavailable, match="this is not Betfair"):
        hosts._judge(endpoint, Answer(200, b'{"status": "SUCCESS", "token": ""}'), strict=True)


@pytest.mark.parametrize("dates", [[], ["yesterday"], [""]])
def test_a_server_that_does_not_tell_the_time(dates: list[str]) -> None:
    """There is nothing to compare with."""
    assert hosts._clock(Endpoint("keepAlive", "https://localhost/api/"), dates) is None


def test_a_file_of_settings_that_holds_none_of_ours_may_be_read_by_others(place: Path) -> None:
    """Another program's .env is none of our business."""
    (place / ".env").write_text("OTHER=1\n")
    (place / ".env").chmod(0o644)
    findings = doctor_settings.Settings().examine(place=True)
    assert "can be read or written" in "".join(found.text for found in findings)
    (place / ".env").chmod(0o600)
    findings = doctor_settings.Settings().examine(place=True)
    assert [found.state for found in findings] == ["ok"]


def _forbidden(*_: object, **__: object) -> NoReturn:
    message = "no"
    raise StoreUnavailable(message, store="s", key=KEY, reason="forbidden")


def _conflict(*_: object, **__: object) -> NoReturn:
    message = "exists"
    raise VersionConflict(message, store="s", key=KEY, reason="conflict")


@pytest.mark.parametrize(
    ("create", "may"), [(_conflict, True), (_forbidden, False), (lambda *_, **__: "v", True)]
)
def test_the_lock_may_be_written_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, create: Callable[..., Any], *, may: bool
) -> None:
    """Told without changing one that is there."""
    store = open_store(tmp_path)
    monkeypatch.setattr(type(store), "put", create)
    assert storage.Probe(store, KEY, 5.0)._may_write_lock() is may


def test_a_lock_is_not_tried_where_it_might_be_overwritten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a store that nobody vouches for, or whose conditions have not been tried."""
    store = open_store(tmp_path)
    monkeypatch.setattr(type(store), "atomic", False)
    assert not storage.Probe(store, KEY, 5.0)._may_write_lock()
    assert os.listdir(tmp_path) == []
