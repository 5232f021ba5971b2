"""`betfair-session check` and `status`: what is known of the stored session, without a login."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from programs import cli

from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from pathlib import Path

    from storage.places import BucketPlace

    from betfair_session.sandbox import Sandbox

KEY = "session.token"


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """The variables that name a store of the test's own."""
    return {"BETFAIR_SESSION_STORE": str(tmp_path / "store"), "BETFAIR_SESSION_KEY": KEY}


@pytest.fixture
def variables(sandbox: Sandbox, place: dict[str, str]) -> dict[str, str]:
    """All variables."""
    return {**sandbox.environment(), **place}


def store(tmp_path: Path, content: str, name: str = KEY) -> Path:
    """Put an object into the store."""
    path = tmp_path / "store" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(0o600)
    return path


def hold(tmp_path: Path, lock: locks.Lock) -> None:
    """Put a lock object into the store."""
    store(tmp_path, locks.encode(lock).decode(), f"{KEY}.login")


# --- check ---------------------------------------------------------------------------------------


def test_a_live_session(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 0 after one keepAlive, and the token is not shown."""
    token = sandbox.issue()
    store(tmp_path, token)
    done = cli("check", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("alive: ")
    assert token not in done.stdout
    assert sandbox.counts() == {"keepAlive": 1}


def test_a_dead_session(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 1; nobody logs in, and the object stays as it is."""
    token = sandbox.issue()
    path = store(tmp_path, token)
    sandbox.expire(token)
    done = cli("check", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("dead: ")
    assert path.read_text() == token
    assert sandbox.counts() == {"keepAlive": 1}
    assert [each.name for each in (tmp_path / "store").iterdir()] == [KEY]


@pytest.mark.parametrize("content", [None, "", "no token"])
def test_no_token(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, content: str | None
) -> None:
    """Exit code 1 as well, and Betfair is not asked."""
    if content is not None:
        store(tmp_path, content)
    done = cli("check", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("missing: ")
    assert sandbox.counts() == {}


@pytest.mark.parametrize("fault", ["status:503", "blocked", "internal_error", "stall"])
def test_betfair_cannot_tell(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, fault: str
) -> None:
    """Exit code 4, in the time that was given."""
    store(tmp_path, sandbox.issue())
    sandbox.fault("keepAlive", fault, times=None)
    done = cli("check", "--timeout", "2", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("betfair-session: ")
    assert "keepAlive" in done.stderr
    assert set(sandbox.counts()) == {"keepAlive"}


def test_a_store_that_cannot_be_read(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 5 of both, and Betfair is not asked."""
    (tmp_path / "store" / KEY).mkdir(parents=True)
    for command in ("check", "status"):
        done = cli(command, variables=variables, directory=tmp_path)
        assert (done.returncode, done.stdout) == (5, "")
        assert len(done.stderr.splitlines()) == 1
    assert sandbox.counts() == {}


@pytest.mark.parametrize("command", ["check", "status"])
@pytest.mark.parametrize("below", ["", "deeper/"])
def test_a_file_in_place_of_the_store_is_named(
    variables: dict[str, str], tmp_path: Path, command: str, below: str
) -> None:
    """It is not taken for a directory that the first login makes."""
    (tmp_path / "file").write_text("a file where a directory belongs")
    done = cli(command, f"file/{below}", KEY, variables=variables, directory=tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert f"{tmp_path / 'file'} is a file, not a directory" in done.stderr


def test_a_token_that_betfair_exchanges_is_stored(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Otherwise the session would be lost to all who share it."""
    path = store(tmp_path, sandbox.issue())
    sandbox.fault("keepAlive", "rotate")
    done = cli("check", variables=variables, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    (session,) = sandbox.sessions()
    assert path.read_text() == session.token


def test_check_as_json(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """The same states by name, and when the session ends unless it is kept alive."""
    path = store(tmp_path, sandbox.issue())
    told = []
    for _ in range(2):
        done = cli("check", "--json", variables=variables, directory=tmp_path)
        assert done.stderr == ""
        told.append(json.loads(done.stdout))
        sandbox.expire_all()
    path.unlink()
    told.append(json.loads(cli("check", "--json", variables=variables, directory=tmp_path).stdout))
    assert [each["state"] for each in told] == ["alive", "dead", "missing"]
    assert all(each["store"] == str(tmp_path / "store") for each in told)
    ends = datetime.fromisoformat(told[0]["expires_about"]).timestamp() - time.time()
    assert 11.5 * 3600 < ends < 12 * 3600 + 60
    assert told[1]["expires_about"] is None


# --- status --------------------------------------------------------------------------------------


def test_status_needs_no_account(
    sandbox: Sandbox, place: dict[str, str], variables: dict[str, str], tmp_path: Path
) -> None:
    """The store is enough: Betfair is not asked, and nothing secret is shown."""
    token = cli("token", variables=variables, directory=tmp_path).stdout.strip()
    sandbox.clear_journal()
    done = cli("status", variables=place, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(rows) == ["store", "key", "token", "login", "logins", "refusals"]
    assert rows["store"].startswith(f"{tmp_path / 'store'} (one login for all")
    assert re.fullmatch(r"stored, written .+ UTC \(\d+ s ago\) by the last login", rows["token"])
    assert rows["login"].startswith("free; the last login began at ")
    assert rows["refusals"] == "none"
    assert token not in done.stdout
    assert sandbox.counts() == {}


def test_status_of_an_empty_place(place: dict[str, str], tmp_path: Path) -> None:
    """That is no failure, and nothing is made."""
    done = cli("status", variables=place, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "none; the next call logs in" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_status_tells_of_a_refusal_and_what_to_do(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """The code, until when it counts, the hint, and `unlock`, after which it is gone."""
    sandbox.login_status("CERT_AUTH_REQUIRED", times=1)
    assert cli("token", variables=variables, directory=tmp_path).returncode == 3
    done = cli("status", variables=variables, directory=tmp_path)
    assert done.returncode == 0
    assert re.search(
        r"refused by Betfair: CERT_AUTH_REQUIRED; no other .+ \(in \d+ s\)", done.stdout
    )
    assert "upload the .crt" in " ".join(done.stdout.split())
    assert "betfair-session unlock" in done.stdout
    cli("unlock", variables=variables, directory=tmp_path)
    done = cli("status", variables=variables, directory=tmp_path)
    assert "CERT_AUTH_REQUIRED" not in done.stdout
    assert re.search(r"^login +free;", done.stdout, re.MULTILINE)


def test_a_ban_is_not_to_be_unlocked(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Nobody can mend that but by waiting, so neither error nor status suggests it."""
    sandbox.login_status("TEMPORARY_BAN_TOO_MANY_REQUESTS", times=1)
    refused = cli("token", variables=variables, directory=tmp_path)
    shown = cli("status", variables=variables, directory=tmp_path)
    for text in (refused.stderr, shown.stdout):
        assert "TEMPORARY_BAN_TOO_MANY_REQUESTS" in text
        assert "betfair-session unlock" not in text


def test_status_tells_who_is_logging_in(place: dict[str, str], tmp_path: Path) -> None:
    """Since when, and when others may take it over."""
    hold(tmp_path, locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time()))
    done = cli("status", variables=place, directory=tmp_path)
    assert "taken: another machine is logging in since " in done.stdout
    assert re.search(r"others may take over at .+ \(in \d+ s\)", done.stdout)


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (locks.Lock(locks.HELD, "n", "a host", since=1.0, ttl=0.0), "a host took it at 1970"),
        (locks.JUNK, "taken by nobody known"),
        (locks.Lock(locks.FAILED, login_class="unknown", since=1.0), "ended without an answer"),
        (locks.Lock(locks.FAILED, login_class="store", since=1.0), "could not be stored"),
        (
            locks.Lock(locks.FAILED, status="SUSPENDED", refusals=3, since=1.0),
            "was refused: SUSPENDED, 3 times in a row",
        ),
        (locks.Lock(locks.DONE), "no login is on record"),
    ],
)
def test_status_in_words(
    place: dict[str, str], tmp_path: Path, lock: locks.Lock, words: str
) -> None:
    """Every state of the lock has its own."""
    hold(tmp_path, lock)
    # A lock of no time to live has one second, for clocks in whole seconds, to run out.
    deadline = time.monotonic() + 60
    while words not in (text := cli("status", variables=place, directory=tmp_path).stdout):
        assert time.monotonic() < deadline, text


def test_status_as_json(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """All that the text says, with ISO times."""
    cli("token", variables=variables, directory=tmp_path)
    done = cli("status", "--json", variables=variables, directory=tmp_path)
    told = json.loads(done.stdout)
    assert (told["store"], told["key"]) == (str(tmp_path / "store"), KEY)
    assert (told["shared"], told["clock"]) == (True, "store")
    token = told["token"]
    assert (token["state"], token["from_last_login"]) == ("stored", True)
    assert 0 <= token["age_seconds"] < 60
    written = datetime.fromisoformat(token["written"])
    assert 0 <= (datetime.fromisoformat(told["now"]) - written).total_seconds() < 60
    assert (told["login"]["state"], told["login"]["logins_in_last_minute"]) == ("free", 1)
    sandbox.expire_all()
    sandbox.login_status("SUSPENDED", times=1)
    cli("token", variables=variables, directory=tmp_path)
    told = json.loads(cli("status", "--json", variables=variables, directory=tmp_path).stdout)
    login = told["login"]
    assert (login["state"], login["status"], login["refusals"]) == ("refused", "SUSPENDED", 1)
    assert login["login_class"] == "account"
    assert datetime.fromisoformat(login["until"]) > datetime.fromisoformat(told["now"])
    hold(tmp_path, locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time()))
    told = json.loads(cli("status", "--json", variables=variables, directory=tmp_path).stdout)
    login = told["login"]
    assert (login["state"], login["owner"]) == ("held", "another machine")
    assert (login["ttl_seconds"], login["status"]) == (30.0, None)
    assert datetime.fromisoformat(login["since"]).timestamp() == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("cloud_lane", ["s3", "obstore+s3"])
@pytest.mark.parametrize("command", ["check", "status", "logout", "token"])
def test_a_missing_file_with_credentials_is_no_missing_token(
    sandbox: Sandbox,
    variables: dict[str, str],
    tmp_path: Path,
    cloud_place: BucketPlace,
    command: str,
) -> None:
    """A live token is stored; nothing is said of it, and it is neither ended nor replaced."""
    cloud_place.put(KEY, b"token")
    options = {"endpoint_url": cloud_place.options["endpoint_url"]}
    variables |= {
        "BETFAIR_SESSION_STORE": cloud_place.url(),
        "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/r",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "gone"),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONWARNINGS": "default",  # of botocore's
    }
    done = cli(command, variables=variables, directory=tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert str(tmp_path / "gone") in done.stderr
    assert sandbox.counts() == {}
    assert cloud_place.keys() == [KEY]
