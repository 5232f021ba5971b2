"""The command line: what it prints, its exit codes, and that it shows no secret."""

from __future__ import annotations

import io
import os
import re
import shlex
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from command_line import KEY, CommandLine, Terminal

from betfair_session import Session
from betfair_session.environment import NAMES
from betfair_session.login import errors, lock as locks
from betfair_session.login.lock import BAN, MARGIN
from betfair_session.sandbox import Sandbox

COMMANDS = ["token", "check", "status", "logout", "unlock", "doctor", "sandbox", "demo"]
COMMANDS += ["certificate create", "certificate check"]
HELD = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
REFUSED = locks.Lock(locks.FAILED, status="SUSPENDED", login_class="account")
NO_FILES = {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": ""}


def seconds_until(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() - time.time()


# --- token, logout, unlock ------------------------------------------------------------------------


def test_token_prints_the_token_alone_and_resumes_it(
    command: CommandLine, sandbox: Sandbox
) -> None:
    """A token and a line end; a second call costs one keepAlive. STORE and KEY win."""
    for counts in ({"certlogin": 1}, {"keepAlive": 1}):
        sandbox.clear_journal()
        done = command("token")
        (session,) = sandbox.sessions()
        assert done == (0, f"{session.token}\n", "")
        assert sandbox.counts() == counts
    assert (command.store / KEY).read_text() == session.token
    place = {"store": str(command.store), "key": KEY}
    assert command.json("token").document == {**place, "token": session.token}
    other = command("token", "other", "deep/name").out.strip()
    assert (command.directory / "other" / "deep" / "name").read_text() == other != session.token


def test_logout_ends_the_session(command: CommandLine, sandbox: Sandbox) -> None:
    """It is dead at Betfair and its object is gone; a second logout is fine."""
    command("token")
    sandbox.fault("logout", "stall")
    assert command.json("logout", "--timeout", "0.5").error["exit_code"] == 4
    assert (command.store / KEY).exists()
    place = {"store": str(command.store), "key": KEY}
    assert command.json("logout").document == {**place, "logged_out": True}
    assert sandbox.sessions() == []
    assert not (command.store / KEY).exists()
    done = command("logout")
    assert (done.code, done.out.count("\n"), done.err) == (0, 1, "")
    assert command("logout", "--quiet") == (0, "", "")


def test_a_refusal_is_remembered_until_unlock(command: CommandLine, sandbox: Sandbox) -> None:
    """After a refusal no login is tried; `unlock` lets the next call try at once."""
    sandbox.login_status("SUSPENDED", times=2)
    assert command("token", "another", "key").err.count("\n") == 1  # not warned of as well
    sandbox.clear_journal()
    for endpoint in ("certlogin", None):
        error = command.json("token").error
        assert (error["type"], error["exit_code"]) == ("LoginRefused", 3)
        assert (error["status"], error["login_class"]) == ("SUSPENDED", "account")
        assert error.get("endpoint") == endpoint
        assert seconds_until(error["not_before"]) > 0
    login = command.json("status").document["login"]
    assert (login["state"], login["status"], login["refusals"]) == ("refused", "SUSPENDED", 1)
    assert sandbox.counts() == {"certlogin": 1}
    for text in (command("token").err, command("status").out):
        assert "session unlock" in " ".join(text.split())
    assert command.json("unlock").document["unlocked"]
    assert command("unlock", "--quiet") == (0, "", "")
    assert command("token").code == 0
    assert sandbox.counts() == {"certlogin": 2}


def test_the_command_that_is_advised_works_as_it_is(command: CommandLine, sandbox: Sandbox) -> None:
    """It repeats the place that was given as arguments, quoted for a shell."""
    command.keep_only("USERNAME", "PASSWORD", "APP_KEY", "_FILE", "_URL", "_BUNDLE")
    place = ("a bot's tokens", KEY)
    sandbox.login_status("SUSPENDED", times=1)
    for name, code in (("check", 1), ("token", 3), ("token", 3), ("status", 0), ("doctor", 3)):
        done = command(name, *place)
        advised = re.findall("`betfair-session (.*?)`", " ".join((done.out + done.err).split()))
        assert (done.code, bool(advised)) == (code, True)
        # The second error, which is the library's own, names the directory in full.
        assert all(each[-1] == KEY for each in map(shlex.split, advised))
    assert command(*shlex.split(advised[0])).code == 0
    assert command("token", *place).code == 0


def test_four_logins_in_a_minute_stay_counted(command: CommandLine) -> None:
    """`unlock` keeps them, and says how long they count."""
    now = time.time()
    command.lock(REFUSED._replace(since=now, logins=(now,) * 4, not_before=now + 900))
    error = command.json("unlock").error
    assert (error["type"], error["exit_code"]) == ("LoginBrake", 1)
    assert seconds_until(error["not_before"]) == pytest.approx(60, abs=30)
    assert command.json("status").document["login"]["state"] == "braked"


def test_a_ban_has_to_end_by_itself(command: CommandLine, sandbox: Sandbox) -> None:
    sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    for text in (command("token").err, command("status").out):
        assert "TEMPORARY_BAN_TOO_MANY_REQUESTS" in text
        assert "session unlock" not in " ".join(text.split())


def test_an_advised_command_suits_the_systems_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, cmd.exe takes an apostrophe as it is."""
    place = r"C:\Users\John Smith"
    assert shlex.split(errors.run("unlock", place, KEY).strip("`"))[1:] == ["unlock", place, KEY]
    monkeypatch.setattr(errors, "os", SimpleNamespace(name="nt"))
    assert f'"{place}" {KEY}' in errors.run("unlock", place, KEY)


@pytest.mark.parametrize(
    "changes", [NO_FILES, {"BETFAIR_KEY_FILE": ""}, {"BETFAIR_CERT_PEM": "another"}]
)
def test_only_a_login_needs_the_certificate(
    command: CommandLine, sandbox: Sandbox, changes: dict[str, str]
) -> None:
    """Without one that works, a session can still be looked at and ended."""
    assert command("token").code == 0
    assert command.json("unlock", BETFAIR_USERNAME="", BETFAIR_APP_KEY="").code == 0
    command.variables |= changes
    for name in ("check", "unlock", "logout"):
        assert command.json(name).code == 0
    assert sandbox.sessions() == []
    assert command("token").code == 2
    assert sandbox.counts()["certlogin"] == 1


# --- exit codes and errors ------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["data", "a directory", "a file in place of the store"])
def test_what_lies_in_a_tokens_place_and_is_none(
    command: CommandLine, sandbox: Sandbox, what: str
) -> None:
    """Exit code 2 for someone else's data, 5 for what is no object; both stay as they are."""
    path = command.put("x" * 5000)
    if what == "a directory":
        path.unlink()
        path.mkdir()
    elif what == "a file in place of the store":
        command.variables["BETFAIR_SESSION_STORE"] += f"/{KEY}/deeper"
    for name in ("token", "check", "status", *(["logout"] if what == "data" else [])):
        error = command.json(name).error
        assert error["exit_code"] == (2 if what == "data" else 5)
        assert error["reason"] if what != "data" else error["type"] == "NotATokenError"
    assert path.exists()
    assert sandbox.counts() == {}


def test_a_login_that_does_not_end(command: CommandLine, sandbox: Sandbox) -> None:
    """Exit code 4 without an answer, reported once; 1 when another process takes too long."""
    sandbox.fault("certlogin", "lost")
    done = command("token")
    assert (done.code, done.out, done.err.count("\n")) == (4, "", 1)
    assert command.json("status").document["login"]["state"] == "unanswered"
    path = command.lock(HELD)
    error = command.json("token", "--timeout", "0.5").error
    assert (error["type"], error["exit_code"]) == ("LoginTimeout", 1)
    assert error["owner"] == "another machine"
    assert datetime.fromisoformat(error["since"]).timestamp() == pytest.approx(HELD.since, abs=1)
    assert sandbox.counts() == {"certlogin": 1}
    os.utime(path, (1, 1))
    done = command("token")  # takes it over, and says from whom
    assert (done.code, done.err.count("\n"), "another machine" in done.err) == (0, 1, True)


@pytest.mark.parametrize("name", ["status", "check", "logout", "unlock"])
def test_a_mount_that_hangs_is_told_in_time(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    over = threading.Event()
    monkeypatch.setattr(os.path, "exists", lambda _: over.wait(60))
    try:
        error = command.json(name, "--timeout", "0.2").error
    finally:
        over.set()
    assert (error["exit_code"], error["reason"]) == (5, "timeout")


SFTP = "token sftp://user:hidden-value@host/place key"
WRONG: dict[str, list[tuple[str, dict[str, str], str]]] = {
    "ConfigurationError": [  # what it names, the variable or the argument to change
        ("token", {"BETFAIR_PASSWORD": ""}, "BETFAIR_PASSWORD"),
        ("token", {"BETFAIR_PASSWORD": "", "BETFAIR_SESSION_KEY": ""}, "BETFAIR_SESSION_KEY"),
        ("token", {"BETFAIR_JURISDICTION": "atlantis"}, "BETFAIR_JURISDICTION"),
        ("token", {"BETFAIR_APP_KEY": "hidden-value two"}, "BETFAIR_APP_KEY"),
        ("token", {"BETFAIR_CA_BUNDLE": "x.pem"}, "BETFAIR_CA_BUNDLE"),
        ("token", {"BETFAIR_STORAGE_OPTIONS": '{"k": "hidden-value"'}, "BETFAIR_STORAGE_OPTIONS"),
        ("token", {"BETFAIR_SESSION_STORE": "nosuch://place"}, "nosuch"),
        ("status s4://bucket key", {}, "s3"),
    ],
    "CertificateError": [("token", {"BETFAIR_KEY_FILE": ""}, "BETFAIR_KEY_FILE")],
    "UsageError": [  # what is named then, or what was meant
        *((words, {}, "") for words in ("", "hidden-value", "certificate hidden-value")),
        *((words, {}, "") for words in ("certificate check", "certificate create --days 0")),
        *((words, {}, "") for words in ("sandbox --port 65534", "token store", "token --time 5")),
        *((f"token {more}", {}, "") for more in ("--timeout nan", "--timeout hidden-value")),
        *((f"token {more}", {}, "") for more in ("--json=hidden-value", "store key hidden-value")),
        ("token --password=hidden-value", {}, ""),
        (SFTP, {}, ""),
        ("tokne", {}, "`token`"),
        ("token --tiemout", {}, "--timeout"),
    ],
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_work_is_refused(command: CommandLine, sandbox: Sandbox, kind: str) -> None:
    """Exit code 2, and one line that names what to change but nothing that may be a secret."""
    for arguments, changes, named in WRONG[kind]:
        done = command(*arguments.split(), **changes)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert named in done.err
        error = command.json(*arguments.split(), **changes).error
        assert (error["type"], error["exit_code"]) == (kind, 2)
        arguments_of_ours = ("app_key", "jurisdiction", "verify", "certificate", "store")
        assert error.get("argument") in (None, named, *arguments_of_ours)
    assert command.json("token", BETFAIR_PASSWORD="").error["argument"] == "BETFAIR_PASSWORD"
    assert os.listdir(command.directory) == (["store"] if kind == "CertificateError" else [])
    assert sandbox.counts() == {}


def test_an_error_in_json_has_what_a_program_branches_on(
    command: CommandLine, sandbox: Sandbox
) -> None:
    refused = command.json("token", BETFAIR_PASSWORD=f"{sandbox.password} ").error
    assert refused["suspects"] == {"password": "blanks"}
    sandbox.fault("certlogin", "reset")
    unclear = command.json("token", "another", "key").error
    assert unclear["sent"] is True
    assert "suspects" not in unclear
    (command.directory / "file").touch()
    assert command.json("token", "file", "key").error["landed"] is False


def test_an_error_of_its_own_shows_its_kind_and_place_only(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of another package's error may hold a secret, and so may its attributes."""

    def fail(*_: object, **__: object) -> NoReturn:
        error = RuntimeError("hidden-value")
        vars(error)["reason"] = ValueError("hidden-value")
        raise error

    monkeypatch.setattr(Session, "token", fail)
    done = command("token")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    place = f"{fail.__code__.co_filename}:{fail.__code__.co_firstlineno + 3}"
    assert all(word in done.err for word in ("RuntimeError", place))
    told = command.json("token")
    assert set(told.document["error"]) == {"type", "message", "exit_code"}


def test_each_command_teaches(command: CommandLine) -> None:
    """Its help has an example and its options, the main help all variables. It needs no setting."""
    command.keep_only()
    done = command("--help")
    assert (done.code, done.err) == (0, "")
    assert all(word.split()[0] in done.out for word in (*NAMES, *COMMANDS))
    for name in COMMANDS:
        done = command(*name.split(), "-h")
        assert (done.code, done.err) == (0, "")
        assert "--json" in done.out
        assert f"\n  betfair-session {name}" in done.out.split("Example", 1)[1]
        assert max(map(len, done.out.splitlines())) <= 100


# --- check and status -----------------------------------------------------------------------------


def test_check_tells_whether_the_session_lives(command: CommandLine, sandbox: Sandbox) -> None:
    """Also by its exit code. It shows no token, never logs in, and stores a token that changed."""
    path = command.put(sandbox.issue())
    sandbox.fault("keepAlive", "rotate")
    told = command.json("check").document
    token = path.read_text()
    assert [session.token for session in sandbox.sessions()] == [token]
    assert (told["state"], told["store"], told["key"]) == ("alive", str(command.store), KEY)
    assert 11.5 * 3600 < seconds_until(told["expires_about"]) < 12 * 3600 + 60
    sandbox.expire_all()
    done = command.json("check")
    assert (done.code, done.document["state"], done.document["expires_about"]) == (1, "dead", None)
    assert path.read_text() == token
    sandbox.fault("keepAlive", "status:503", times=None)
    unclear = {"exit_code": 4, "endpoint": "keepAlive", "status_code": 503}
    assert command.json("check").error.items() >= unclear.items()
    sandbox.clear_faults()
    sandbox.clear_journal()
    for content, state in (("", "missing"), ("no token", "junk"), (None, "missing")):
        path.unlink() if content is None else command.put(content)
        done = command.json("check")
        assert (done.code, done.document["state"]) == (1, "missing")
        assert command("check").out.startswith("missing")
        assert command.json("status").document["token"]["state"] == state
    assert sandbox.counts() == {}


def test_status_needs_no_account(command: CommandLine, sandbox: Sandbox) -> None:
    """The store is enough: Betfair is not asked, and nothing secret is shown."""
    account = command.variables
    command.keep_only("SESSION")
    told = command.json("status").document
    assert told["token"]["state"] == "missing"
    assert (told["login"]["state"], told["login"]["until"]) == ("free", None)
    assert [*command.directory.iterdir()] == []
    command("token", **account)
    sandbox.clear_journal()
    told = command.json("status").document
    assert (told["store"], told["key"]) == (str(command.store), KEY)
    assert (told["shared"], told["clock"]) == (True, "store")
    assert (told["token"]["state"], told["token"]["from_last_login"]) == ("stored", True)
    since = datetime.fromisoformat(told["now"]) - datetime.fromisoformat(told["token"]["written"])
    assert 0 <= since.total_seconds() <= told["token"]["age_seconds"] + 1 < 60
    assert (told["login"]["state"], told["login"]["logins_in_last_minute"]) == ("free", 1)
    shown = command("status").out
    assert [
        line.split(":")[0].split(maxsplit=1) for line in shown.splitlines() if line[0] != " "
    ] == [["ok", name] for name in ("store", "shared login", "next login")]
    assert sandbox.counts() == {}
    command.put(sandbox.issue())
    told = command.json("status").document["token"]
    assert (told["state"], told["from_last_login"]) == ("stored", False)


UNKNOWN = locks.Lock(locks.FAILED, login_class="unknown")
THRICE = REFUSED._replace(refusals=3)
BRAKED = locks.Lock(locks.DONE, logins=(-50.0, -30.0, -20.0, -10.0))


@pytest.mark.parametrize(
    ("lock", "age", "left", "expected", "words"),
    [  # seconds since it was written, and until another login; what is told
        (HELD, 0, 30 + MARGIN, {"state": "held", "owner": "another machine"}, "another"),
        (HELD, 20, 10 + MARGIN, {"state": "held", "ttl_seconds": 30.0}, "another"),
        (HELD, 40, None, {"state": "free"}, "another machine"),  # any process may take it over
        (locks.JUNK, 0, 30 + MARGIN, {"state": "held", "owner": "", "since": None}, ""),
        (REFUSED, 5, 15, {"state": "refused", "status": "SUSPENDED"}, "SUSPENDED"),
        (THRICE, BAN + 1, None, {"state": "free", "refusals": 3}, "SUSPENDED"),
        (UNKNOWN, 0, 15, {"state": "unanswered"}, ""),
        (UNKNOWN, 10**10, None, {"state": "free"}, "1970"),
        (REFUSED._replace(login_class="store"), 0, None, {"state": "unstored"}, ""),
        (BRAKED, 0, 10, {"state": "braked", "logins_in_last_minute": 4}, ""),
        (locks.Lock(locks.DONE), 0, None, {"state": "free", "last_login": None}, ""),
    ],
)
def test_status_of_each_lock(
    command: CommandLine,
    *,
    lock: locks.Lock,
    age: float,
    left: float | None,
    expected: dict[str, object],
    words: str,
) -> None:
    """For programs, and in words that hold the same facts; nothing is changed.

    The writer's clock was an hour fast, but the store's shows how long ago it wrote.
    """
    now, fast = time.time(), 3600.0
    age = min(age, now - 1)  # for a file from 1970
    if lock != locks.JUNK:
        times: dict[str, Any] = {"since": now + fast - age, "not_before": now + fast + 15}
        lock = lock._replace(logins=tuple(now + login for login in lock.logins), **times)
    path = command.lock(lock)
    os.utime(path, (now - age, now - age))
    login = command.json("status").document["login"]
    assert {name: login[name] for name in expected} == expected
    until = login["until"] and datetime.fromisoformat(login["until"]).timestamp()
    assert until == (left and pytest.approx(now + left, abs=1))
    shown = command("status")
    assert (shown.code, shown.err, words in shown.out) == (0, "", True)
    assert (path.read_bytes(), os.listdir(command.store)) == (locks.encode(lock), [path.name])


# --- at a terminal --------------------------------------------------------------------------------


def test_colours_are_for_a_terminal(command: CommandLine) -> None:
    """Findings and errors have colours there, unless NO_COLOR or a dumb terminal forbids it."""
    command.lock(HELD)
    command.variables["TERM"] = "xterm"
    assert "\x1b" not in command("status").out
    command.stream = Terminal
    for arguments, colour in (("token --timeout 0.3", "31"), ("status", "33"), ("doctor", "32")):
        assert f"\x1b[{colour}m" in "".join(command(*arguments.split())[1:])
    for name, value in (("TERM", "dumb"), ("NO_COLOR", "1")):
        assert "\x1b" not in command("status", **{name: value}).out


def test_a_terminal_is_told_what_is_waited_for(command: CommandLine, sandbox: Sandbox) -> None:
    """Until the call ends; not with --quiet or --json, or without a terminal."""
    hidden, shown = "\x1b[?25l", "\x1b[?25h"  # the cursor
    told = threading.Event()

    class Screen(Terminal):
        def write(self, text: str) -> int:
            if hidden in text:
                told.set()
            return super().write(text)

    command.variables["TERM"] = "xterm"
    command.stream = Screen
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(command, "token")
        assert told.wait(60)
        sandbox.release("certlogin")
        said = done.result().err
    assert said.rindex(hidden) < said.rindex(shown)
    (command.store / KEY).unlink()
    command.lock(HELD)
    waiting = ("token", "--timeout", "1.5")
    for more in ("--quiet", "--json"):
        assert hidden not in command(*waiting, more).err
    command.stream = io.StringIO
    assert command(*waiting).err.count("\n") == 1


def test_a_sandbox_that_cannot_start_is_one_line(command: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("sandbox", "--port", port)
    assert (done.code, done.out, done.err.count("\n"), port in done.err) == (1, "", 1, True)
