"""`betfair-session doctor`, run as a program against the sandbox and real stores."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from programs import CLI, SECONDS, cli, run, scrubbed
from servers.proxy import Proxy
from servers.script import Answer

from betfair_session.cli.doctor.hosts import Clock, compare_clocks
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.script import Exchange

    from betfair_session.sandbox import Sandbox

KEY = "session.token"
FORBIDDEN = Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
FAILED = Answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")


@pytest.fixture
def variables(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """All variables, with a store of the test's own."""
    return {
        **sandbox.environment(),
        "BETFAIR_SESSION_STORE": str(tmp_path / "store"),
        "BETFAIR_SESSION_KEY": KEY,
    }


def in_bucket(bucket: Bucket, endpoint: str | None = None) -> dict[str, str]:
    """Return the variables that name a token in a bucket, perhaps behind a proxy."""
    options = bucket.server.options(endpoint or bucket.server.endpoint)
    return {
        "BETFAIR_SESSION_STORE": bucket.url(),
        "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        "PYTHONWARNINGS": "default",  # the drivers' own affair
    }


class Diagnosis(NamedTuple):
    """What `doctor --json` ended with.

    Attributes:
        code: its exit code.
        checks: each finding, by name; of several the first.
        all: every finding, in order.
    """

    code: int
    checks: dict[str, dict[str, Any]]
    all: list[dict[str, Any]]

    def states(self, state: str) -> list[str]:
        """Return the names of the findings of a kind."""
        return [each["name"] for each in self.all if each["state"] == state]


def doctor(*arguments: str, variables: dict[str, str], directory: Path) -> Diagnosis:
    """Run it."""
    return diagnosis(cli("doctor", "--json", *arguments, variables=variables, directory=directory))


def diagnosis(done: subprocess.CompletedProcess[str]) -> Diagnosis:
    """Read what it printed."""
    told = json.loads(done.stdout)
    assert told["exit_code"] == done.returncode
    assert told["ok"] == (done.returncode == 0)
    findings = told["checks"]
    return Diagnosis(done.returncode, {each["name"]: each for each in findings[::-1]}, findings)


# --- when all is well ----------------------------------------------------------------------------


def test_all_is_well(sandbox: Sandbox, variables: dict[str, str], tmp_path: Path) -> None:
    """Every check passes, nothing is left behind, and nobody logs in."""
    token = cli("token", variables=variables, directory=tmp_path).stdout.strip()
    before = sorted(each.name for each in (tmp_path / "store").iterdir())
    sandbox.clear_journal()
    arguments = ("doctor", "--api-url", sandbox.api_url)
    done = cli(*arguments, variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert lines[-1] == "no problems, no warnings"
    assert [line.split(":")[0].split(maxsplit=1) for line in lines[:-1]] == [
        ["ok", name]
        for name in (
            "configuration",
            "certificate",
            "store",
            "writing",
            "shared login",
            "next login",
            "identity",
            "certlogin",
            "clock",
            "token",
            "account",
        )
    ]
    assert "S. B., GBP, GBR" in " ".join(done.stdout.split())
    for secret in (token, sandbox.password, sandbox.username, sandbox.app_key, "Sandy"):
        assert secret not in done.stdout
    assert sorted(each.name for each in (tmp_path / "store").iterdir()) == before
    assert (tmp_path / "store" / KEY).read_text() == token
    assert sandbox.counts() == {"keepAlive": 3, "account": 1}


def test_the_hosts_are_told_nothing(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Without a stored token, no request carries a token or a certificate."""
    found = doctor(variables=variables, directory=tmp_path)
    assert found.code == 0
    assert found.checks["token"]["text"].startswith("none is stored")
    assert found.states("not checked") == ["token", "account"]
    entries = sandbox.journal()
    assert [entry.endpoint for entry in entries] == ["keepAlive", "keepAlive"]
    assert not any(entry.token or entry.certificate for entry in entries)
    assert [entry.outcome for entry in entries] == ["NO_SESSION", "NO_SESSION"]


def test_arguments_name_the_place(variables: dict[str, str], tmp_path: Path) -> None:
    """STORE and KEY win over the variables, which may then be missing."""
    settings = {name: value for name, value in variables.items() if "SESSION" not in name}
    found = doctor("elsewhere", "deep/name", variables=settings, directory=tmp_path)
    assert found.code == 0
    text = found.checks["store"]["text"]
    assert f"'deep/name' in {tmp_path / 'elsewhere'}, a directory that does not exist yet" in text


# --- configuration and certificate ---------------------------------------------------------------


def test_what_is_missing_is_named_and_the_rest_is_looked_at(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 2; the store and the hosts need no account."""
    wanted = ("IDENTITY", "CA_BUNDLE", "SESSION")
    some = {name: value for name, value in variables.items() if any(w in name for w in wanted)}
    found = doctor(variables=some, directory=tmp_path)
    assert found.code == 2
    assert found.states("problem") == ["configuration"]
    for name in ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY", "BETFAIR_CERT_FILE"):
        assert name in found.checks["configuration"]["text"]
    assert found.checks["writing"]["state"] == "ok"
    assert found.checks["identity"]["state"] == "ok"
    assert found.states("not checked") == ["certificate", "token"]
    assert set(sandbox.counts()) == {"keepAlive"}


@pytest.mark.parametrize(
    ("changes", "name_and_words"),
    [
        ({"BETFAIR_SESSION_KEY": ""}, ("configuration", "BETFAIR_SESSION_KEY")),
        ({"BETFAIR_JURISDICTION": "atlantis"}, ("configuration", "unknown jurisdiction")),
        ({"BETFAIR_IDENTITY_URL": "x"}, ("configuration", "BETFAIR_IDENTITY_URL: identity_url")),
        ({"BETFAIR_PKCS12_FILE": "x"}, ("configuration", "one way only")),
        ({"BETFAIR_CA_BUNDLE": "nowhere.pem"}, ("configuration", "does not exist")),
        ({"BETFAIR_CERT_FILE": "nowhere.crt"}, ("certificate", "no certificate file")),
        ({"BETFAIR_SESSION_KEY": "../x"}, ("store", "plain name")),
        ({"BETFAIR_SESSION_STORE": "nosuch://place"}, ("store", "'nosuch'")),
        ({"BETFAIR_STORAGE_OPTIONS": '{"key": "hidden-value"'}, ("store", "JSON object")),
    ],
)
def test_a_configuration_that_cannot_work(
    sandbox: Sandbox,
    variables: dict[str, str],
    tmp_path: Path,
    changes: dict[str, str],
    name_and_words: tuple[str, str],
) -> None:
    """Exit code 2, told once, and no secret in it."""
    name, words = name_and_words
    found = doctor(variables={**variables, **changes}, directory=tmp_path)
    assert found.code == 2
    assert found.states("problem") == [name]
    assert words in found.checks[name]["text"]
    shown = json.dumps(found.all)
    for secret in (sandbox.password, sandbox.app_key, "hidden-value"):
        assert secret not in shown


def test_where_the_variables_are_from(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Names only: those of the environment, those of the file, and what nothing reads."""
    filed = {name: value for name, value in variables.items() if "SESSION" not in name}
    lines = [f"{name}='{value}'" for name, value in filed.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, "BETFAIR_USER=somebody"]))
    (tmp_path / ".env").chmod(0o644)
    given = {name: value for name, value in variables.items() if "SESSION" in name}
    given["BETFAIR_ZZZ"] = "something"
    found = doctor(variables=given, directory=tmp_path)
    text = found.checks["configuration"]["text"]
    assert "from the environment: BETFAIR_SESSION_STORE, BETFAIR_SESSION_KEY" in text
    assert "from .env: BETFAIR_USERNAME, BETFAIR_PASSWORD" in text
    assert found.code == 0
    warnings = {each["text"]: each["advice"] for each in found.all if each["state"] == "warning"}
    assert warnings == {
        "BETFAIR_USER is no variable of this library's": "did you mean BETFAIR_USERNAME?",
        "BETFAIR_ZZZ is no variable of this library's": "`betfair-session --help` lists them",
        ".env can be read or written by other users of this machine": (
            "chmod 600 .env, if it holds the password"
        ),
    }
    assert sandbox.username not in json.dumps(found.all)


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        ("{}\n", 0),  # taken off here, sent by others
        ("\ufeff{}", 0),
        ('"{}"', 0),
        (" {}", 1),  # a header cannot hold it
        ("{}\r", 1),
    ],
)
def test_what_came_along_with_a_secret_is_found(
    variables: dict[str, str], tmp_path: Path, spoil: str, problems: int
) -> None:
    """Each variable is named, and no value is shown."""
    names = ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY")
    spoilt = {name: spoil.format(variables[name]) for name in names}
    found = doctor(variables={**variables, **spoilt}, directory=tmp_path)
    assert found.code == 2 * problems
    assert found.states("problem") == ["configuration"] * problems
    told = [each["text"] for each in found.all if each["state"] in ("warning", "problem")]
    assert {text.split()[0].rstrip(":") for text in told} == set(names)
    shown = json.dumps(found.all, ensure_ascii=False)
    assert not any(variables[name] in shown for name in names)


def test_a_bad_dotenv_file_ends_it(tmp_path: Path) -> None:
    """Nothing can be looked at without knowing what to look at."""
    (tmp_path / ".env").write_text("hidden-value\n")
    found = doctor(variables={}, directory=tmp_path)
    assert (found.code, [each["name"] for each in found.all]) == (2, ["configuration"])
    assert "hidden-value" not in json.dumps(found.all)


def test_the_certificate_is_looked_at(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Its dates, a key that others can read, and one that comes from memory."""
    crt, key = (tmp_path / name for name in ("client.crt", "client.key"))
    for path, source in zip((crt, key), sandbox.certificate, strict=True):
        with open(source, "rb") as file:
            path.write_bytes(file.read())
    key.chmod(0o644)
    files = {"BETFAIR_CERT_FILE": "client.crt", "BETFAIR_KEY_FILE": "client.key"}
    found = doctor(variables={**variables, **files}, directory=tmp_path)
    assert "valid from" in found.checks["certificate"]["text"]
    assert found.states("warning") == ["certificate"]
    both = {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": ""}
    both |= {"BETFAIR_CERT_PEM": crt.read_text(), "BETFAIR_KEY_PEM": key.read_text()}
    found = doctor(variables={**variables, **both}, directory=tmp_path)
    assert found.checks["certificate"]["state"] == "ok"
    assert "PRIVATE KEY" not in json.dumps(found.all)
    for name in ("BETFAIR_KEY_FILE", "BETFAIR_KEY_PEM"):
        lacking = (files if name in files else both) | {name: ""}
        found = doctor(variables={**variables, **lacking}, directory=tmp_path)
        assert (found.code, found.states("problem")) == (2, ["certificate"])
        assert f"{name} is not set" in found.checks["certificate"]["advice"]
    both["BETFAIR_KEY_PEM"] = crt.read_text()
    found = doctor(variables={**variables, **both}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (2, ["certificate"])


# --- the store -----------------------------------------------------------------------------------


def test_a_store_that_cannot_be_read(variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 5, and nothing is written to it."""
    (tmp_path / "store" / KEY).mkdir(parents=True)
    found = doctor(variables=variables, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["store"])
    assert [each.name for each in (tmp_path / "store").iterdir()] == [KEY]
    assert found.states("not checked") == ["token"]


def test_a_store_that_cannot_be_written(variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 5."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "deep").write_text("a file where a directory belongs")
    deep = {**variables, "BETFAIR_SESSION_KEY": "deep/name"}
    found = doctor(variables=deep, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["writing"])


def test_a_file_in_place_of_the_store_is_named(variables: dict[str, str], tmp_path: Path) -> None:
    """Exit code 5; it is no directory that does not exist yet."""
    (tmp_path / "store").write_text("a file where a directory belongs")
    found = doctor(variables=variables, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["store"])
    assert f"{tmp_path / 'store'} is a file, not a directory" in found.checks["store"]["text"]
    assert "does not exist yet" not in json.dumps(found.all)


def test_what_the_library_warns_of_is_a_finding(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Such as a token that others can read."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / KEY).write_text(sandbox.issue())
    (tmp_path / "store" / KEY).chmod(0o644)
    found = doctor(variables=variables, directory=tmp_path)
    assert found.states("warning") == ["store"]
    assert "chmod 600" in json.dumps(found.all)


@pytest.mark.parametrize("kind", ["seaweed", "moto", "gcs", "azure"])
def test_a_bucket(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """Conditions are tried out, the clock is the server's, and the test object is removed."""
    bucket = bucket_on(kind)
    found = doctor(variables={**variables, **in_bucket(bucket)}, directory=tmp_path)
    assert found.code == 0, found.all
    assert found.states("warning") == []
    assert found.checks["writing"]["state"] == found.checks["shared login"]["state"] == "ok"
    assert bucket.keys() == []


def test_a_store_that_ignores_conditions(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """It works, but each process logs in by itself: a warning."""
    bucket = bucket_on("moto")  # it checks no signature, which covers the conditions
    with Proxy(bucket.server.port, deaf=True) as proxy:
        place = in_bucket(bucket, proxy.endpoint)
        found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("warning")) == (0, ["shared login"])
    assert "conditions" in found.checks["shared login"]["text"]
    assert bucket.keys() == []


def test_a_store_that_nobody_vouches_for(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """A filesystem without conditions is a warning, too."""
    found = doctor(variables={**variables, **in_bucket(bucket_on("sftp"))}, directory=tmp_path)
    assert (found.code, found.states("warning")) == (0, ["shared login"])
    assert "does not vouch" in found.checks["shared login"]["text"]


def test_memory_is_no_place_between_processes(variables: dict[str, str], tmp_path: Path) -> None:
    """It is gone when the command ends."""
    place = {"BETFAIR_SESSION_STORE": "memory://tokens"}
    found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("warning")) == (0, ["store"])


def test_a_bucket_that_may_only_be_read(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """Exit code 5, with the permissions that are needed, and no secret."""
    bucket = bucket_on("seaweed")
    options = bucket.server.reader_options(bucket.server.endpoint, bucket.name)
    assert options
    place = {**in_bucket(bucket), "BETFAIR_STORAGE_OPTIONS": json.dumps(options)}
    found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert "s3:PutObject" in found.checks["writing"]["text"]
    assert f"allow {KEY}.doctor-*" in found.checks["writing"]["advice"]
    assert options["secret"] not in json.dumps(found.all)
    assert bucket.keys() == []


def test_a_bucket_that_is_not_there(
    variables: dict[str, str], tmp_path: Path, server_of: Callable[[str], ObjectServer]
) -> None:
    """Exit code 5."""
    server = server_of("moto")
    place = {
        "BETFAIR_SESSION_STORE": "s3://nowhere-to-be-found",
        "BETFAIR_STORAGE_OPTIONS": json.dumps(server.options(server.endpoint)),
        "PYTHONWARNINGS": "default",
    }
    found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["store"])


def about_probe(method: str) -> Callable[[Exchange], bool]:
    """Match the requests with a method for the doctor's own object."""
    return lambda exchange: exchange.method == method and ".doctor-" in exchange.path


@pytest.mark.parametrize("locked", [True, False])
def test_permissions_for_the_two_objects_alone(
    variables: dict[str, str],
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    locked: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Where the lock exists they are found to be enough, without changing it."""
    bucket = bucket_on("azure")
    if locked:
        place = {**variables, **in_bucket(bucket)}
        assert cli("token", variables=place, directory=tmp_path).returncode == 0
    before = {key: bucket.get(key) for key in sorted(bucket.keys())}
    with Proxy(bucket.server.port) as proxy:
        denied = Answer(403, b"", {"x-ms-error-code": "AuthorizationFailure"})
        proxy.fail(about_probe("PUT"), denied, times=99)
        place = in_bucket(bucket, proxy.endpoint)
        found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert f"allow {KEY}.doctor-* " in found.checks["writing"]["advice"]
    if locked:
        assert (found.code, found.states("warning")) == (0, ["writing"])
    else:
        assert (found.code, found.states("problem")) == (5, ["writing"])
    assert {key: bucket.get(key) for key in sorted(bucket.keys())} == before


def test_what_cannot_be_removed_is_named(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """Then `logout` cannot work either: a warning."""
    bucket = bucket_on("moto")
    with Proxy(bucket.server.port) as proxy:
        proxy.fail("DELETE", FORBIDDEN, times=99)
        place = in_bucket(bucket, proxy.endpoint)
        found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("warning")) == (0, ["writing"])
    (left,) = bucket.keys()
    assert left in found.checks["writing"]["text"]


def test_a_store_that_refuses_conditions_that_hold(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """No login could be stored there: exit code 5."""
    bucket = bucket_on("moto")
    with Proxy(bucket.server.port) as proxy:
        proxy.fail("PUT", FAILED, times=99)
        place = in_bucket(bucket, proxy.endpoint)
        found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["writing"])


def test_a_store_that_shows_old_contents(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """A cache in between would serve dead tokens: exit code 5."""
    bucket = bucket_on("moto")
    old = Answer(200, b"old", {"ETag": '"1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})
    with Proxy(bucket.server.port) as proxy:
        proxy.fail(about_probe("GET"), old, times=99)
        place = in_bucket(bucket, proxy.endpoint)
        found = doctor(variables={**variables, **place}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert "old contents" in found.checks["writing"]["text"]
    assert bucket.keys() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_doctor_cleans_up(
    variables: dict[str, str],
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    number: signal.Signals,
    code: int,
) -> None:
    """Its object is there, the answer is not: it is removed all the same."""
    bucket = bucket_on("moto")
    with Proxy(bucket.server.port) as proxy:
        rule = proxy.fail(about_probe("PUT"), "hold-answer")
        with subprocess.Popen(
            [*CLI, "doctor", "--timeout", "60"],
            cwd=tmp_path,
            env=scrubbed({**variables, **in_bucket(bucket, proxy.endpoint)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert rule.reached.wait(SECONDS)
            process.send_signal(number)
            _, errors = process.communicate(timeout=SECONDS)
        rule.release.set()
        removed = [each for each in proxy.requests if about_probe("DELETE")(each)]
    assert process.returncode == code
    assert errors == ("betfair-session: interrupted\n" if code == 130 else "")
    assert len(removed) == 1
    assert bucket.keys() == []


def test_a_refused_login_is_told(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 3, with the hint, until it is unlocked."""
    sandbox.login_status("CERT_AUTH_REQUIRED", times=1)
    cli("token", variables=variables, directory=tmp_path)
    found = doctor(variables=variables, directory=tmp_path)
    assert (found.code, found.states("problem")) == (3, ["next login"])
    assert "betfair-session unlock" in found.checks["next login"]["advice"]
    cli("unlock", variables=variables, directory=tmp_path)
    assert doctor(variables=variables, directory=tmp_path).code == 0


@pytest.mark.parametrize(("held", "code"), [(True, 0), (False, 1)])
def test_a_login_under_way_is_a_warning_and_too_many_are_a_problem(
    variables: dict[str, str],
    tmp_path: Path,
    held: bool,  # noqa: FBT001 - a parameter of the test
    code: int,
) -> None:
    """The one ends by itself; of the others somebody has to find the cause."""
    now = time.time()
    lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=now)
    if not held:
        lock = locks.Lock(locks.DONE, logins=(now, now, now, now))
    path = tmp_path / "store" / f"{KEY}.login"
    path.parent.mkdir()
    path.write_bytes(locks.encode(lock))
    path.chmod(0o600)
    found = doctor(variables=variables, directory=tmp_path)
    assert (found.code, found.checks["next login"]["state"]) == (
        code,
        "warning" if held else "problem",
    )
    assert path.read_bytes() == locks.encode(lock)


# --- faults from the field ------------------------------------------------------------------------

MODELESS = """
import os, sys
status = os.fstat
def without_modes(descriptor):
    found = status(descriptor)
    return os.stat_result((found.st_mode | 0o777, *found[1:]))
os.fstat = without_modes
from betfair_session.cli import main
sys.exit(main(sys.argv[1:]))
"""


def mounted_by_itself(place: Path) -> tuple[str, ...]:
    """Bind the token's file onto itself, as `docker run -v token:token` does."""
    token = place / KEY
    return ("unshare", "-Urm", "sh", "-c", f'mount --bind {token} {token} && exec "$@"', "sh", *CLI)


def without_modes(place: Path) -> tuple[str, ...]:
    """Show every file as 0777, as WSL, CIFS and Azure Files do."""
    (place / KEY).unlink()
    return (sys.executable, "-c", MODELESS)


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        pytest.param(mounted_by_itself, "mount the directory", id="B"),
        pytest.param(without_modes, "allow_world_writable", id="E"),
    ],
)
def test_a_local_token_that_could_not_be_stored_is_found(
    sandbox: Sandbox,
    variables: dict[str, str],
    tmp_path: Path,
    arrange: Callable[[Path], tuple[str, ...]],
    words: str,
) -> None:
    """Before any login, with what to do; and nothing changes, not even the token's time."""
    store = tmp_path / "store"
    store.mkdir()
    token = store / KEY
    token.touch(0o600)
    token.write_text(sandbox.issue())
    program = arrange(store)
    before = {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in store.iterdir()}
    done = run(*program, "doctor", "--json", variables=variables, directory=tmp_path)
    found = diagnosis(done)
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert words in found.checks["writing"]["text"]
    assert {
        each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in store.iterdir()
    } == before
    assert "certlogin" not in sandbox.counts()


@pytest.mark.parametrize(
    ("store", "options", "name"),
    [
        ("s3://b", {}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("s3://b", {}, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        ("gs://b", {}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b", {"account_name": "a", "anon": False}, "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
def test_a_local_file_that_is_missing_is_found(
    variables: dict[str, str], tmp_path: Path, store: str, options: dict[str, Any], name: str
) -> None:
    """Whatever the driver makes of that; a key in its place is not shown."""
    missing = tmp_path / "nowhere"
    mine = {
        **variables,
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "PYTHONWARNINGS": "default",
        "BETFAIR_SESSION_STORE": store,
        "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        name: str(missing),
    }
    found = doctor(variables=mine, directory=tmp_path)
    assert (found.code, found.states("problem")) == (5, ["store"])
    told = [each["text"] for each in found.all if each["name"] == "store"]
    assert any(str(missing) in text and name in text for text in told)
    found = doctor(variables={**mine, name: "hidden-value" * 20}, directory=tmp_path)
    told = [each["text"] for each in found.all if each["state"] == "warning"]
    assert any(name in text for text in told)
    assert "hidden-value" not in json.dumps(told)


PROFILES = """
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile base]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = hidden-value
"""


@pytest.mark.parametrize(
    ("store", "options", "words"),
    [("s3://b", {"profile": "mfa"}, "mfa_serial"), ("gs://b", {}, "credentials")],
)
def test_credentials_that_are_not_there_are_told_as_that(
    variables: dict[str, str], tmp_path: Path, store: str, options: dict[str, str], words: str
) -> None:
    """Nobody is asked for a code, and a machine's service that never answers is not waited for."""
    (tmp_path / "config").write_text(PROFILES)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        mine = {
            **variables,
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "PYTHONWARNINGS": "default",
            "BETFAIR_SESSION_STORE": store,
            "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        }
        done = cli("doctor", "--json", variables=mine, directory=tmp_path)
    found = diagnosis(done)
    assert (found.code, found.states("problem")) == (5, ["store"])
    assert words in found.checks["store"]["text"]
    assert "network" not in found.checks["store"]["text"]
    assert "MFA" not in done.stderr
    assert "hidden-value" not in json.dumps(found.all)


@pytest.mark.parametrize(
    "store",
    [
        '"s3://b/x"',
        " s3://b/x",
        "\ufeff's3://b/x'",
        "s3:/b/x",
    ],
)
def test_a_store_in_quotes_or_with_a_mistyped_scheme_is_found(
    variables: dict[str, str], tmp_path: Path, store: str
) -> None:
    """As `docker run --env-file` leaves it; no directory of that name is made."""
    found = doctor(variables={**variables, "BETFAIR_SESSION_STORE": store}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (2, ["store"])
    assert list(tmp_path.iterdir()) == []


def test_what_came_along_with_a_clouds_key_is_found(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket]
) -> None:
    """The driver signs with it as it is, and the store calls that a wrong signature."""
    mine = {**variables, **in_bucket(bucket_on("moto"))}
    mine |= {"AWS_SECRET_ACCESS_KEY": '"hidden-value"', "AZURE_CLIENT_SECRET": '"hidden-value"'}
    found = doctor(variables=mine, directory=tmp_path)
    (told,) = [each for each in found.all if each["state"] == "warning"]
    assert told["name"] == "store"
    assert told["text"].startswith("AWS_SECRET_ACCESS_KEY")
    assert "hidden-value" not in json.dumps(found.all)


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_a_policy_that_names_the_lock_alone_is_found(
    variables: dict[str, str],
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    stored: bool,  # noqa: FBT001 - a parameter of the test
    beside: bool,  # noqa: FBT001 - whether another object beside them may be written
) -> None:
    """Each login would be made for nothing; the token is tried itself, and stays as it is."""
    bucket = bucket_on("azure")
    place = {**variables, **in_bucket(bucket)}
    assert cli("token", variables=place, directory=tmp_path).returncode == 0
    if not stored:
        bucket.server.delete(bucket.name, KEY)
    before = {key: bucket.get(key) for key in sorted(bucket.keys())}
    with Proxy(bucket.server.port) as proxy:
        denied = Answer(403, b"", {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        proxy.fail(
            lambda each: (
                each.method == "PUT"
                and (each.path.endswith(KEY) or (not beside and ".doctor-" in each.path))
            ),
            denied,
            times=99,
        )
        place |= in_bucket(bucket, proxy.endpoint)
        found = doctor(variables=place, directory=tmp_path)
        puts = [each for each in proxy.requests if each.method == "PUT"]
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert repr(KEY) in found.checks["writing"]["advice"]
    assert {key: bucket.get(key) for key in sorted(bucket.keys())} == before
    assert all({"if-match", "if-none-match"} & each.headers.keys() for each in puts)


# --- Betfair -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("status:503", "down or overloaded"),
        ("blocked", "this address is blocked"),
        ("html200", "no JSON object"),
        ("stall", "does not answer"),  # whichever of two limits is noticed first
        ("reset", "does not answer"),
        ("internal_error", "INTERNAL_ERROR"),
    ],
)
def test_an_identity_host_that_is_not_well(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path, fault: str, words: str
) -> None:
    """Exit code 4; what the login's host says to a keepAlive matters less, if it says something."""
    sandbox.fault("keepAlive", fault, times=None)
    found = doctor("--timeout", "2", variables=variables, directory=tmp_path)
    assert found.code == 4
    assert words in found.checks["identity"]["text"]
    well = fault in ("html200", "internal_error")
    assert found.checks["certlogin"]["state"] == ("ok" if well else "problem")


def test_a_host_that_others_answer_for(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Without the authority that vouches for it, TLS fails, and the advice is another."""
    found = doctor(variables={**variables, "BETFAIR_CA_BUNDLE": ""}, directory=tmp_path)
    assert (found.code, found.states("problem")) == (4, ["identity", "certlogin"])
    assert "CERTIFICATE_VERIFY_FAILED" in found.checks["identity"]["text"]
    assert "BETFAIR_CA_BUNDLE" in found.checks["identity"]["advice"]
    assert sandbox.counts() == {}


def test_a_proxy_that_cannot_be_used_is_a_finding(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """Among the others."""
    mine = {**variables, "HTTPS_PROXY": "nonsense://localhost:1"}
    found = doctor(variables=mine, directory=tmp_path)
    assert found.states("problem") == ["identity", "certlogin"]
    assert "the proxy in `proxies` or the environment cannot be used" in json.dumps(found.all)


@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_is_named_and_what_it_answers(
    variables: dict[str, str], tmp_path: Path, bucket_on: Callable[[str], Bucket], status: int
) -> None:
    """For each host whether it is used, and for the store's driver; and not its password."""
    with Proxy(0) as proxy:
        proxy.fail("CONNECT", Answer(status, b"a page of the proxy's"), times=99)
        mine = {
            **variables,
            **in_bucket(bucket_on("moto")),
            "HTTPS_PROXY": f"http://user:hidden-value@127.0.0.1:{proxy.port}",
            "NO_PROXY": variables["BETFAIR_IDENTITY_CERT_URL"].split("/")[2],
        }
        found = doctor(variables=mine, directory=tmp_path)
    plain, cert = (variables[f"BETFAIR_IDENTITY{name}_URL"].split("/")[2] for name in ("", "_CERT"))
    text = found.checks["proxy"]["text"]
    assert f"{plain} by 127.0.0.1:{proxy.port}" in text
    assert f"{cert} directly" in text
    assert "s3fs" in text
    assert (found.code, found.states("problem")) == (4, ["identity"])
    assert f"{status}" in found.checks["identity"]["text"]
    assert "hidden-value" not in json.dumps(found.all)


def test_hosts_that_are_not_known_for_sure(variables: dict[str, str], tmp_path: Path) -> None:
    """Where they do not answer, it says what is uncertain about them; a proxy is respected."""
    mine = {name: value for name, value in variables.items() if "IDENTITY" not in name}
    mine |= {"BETFAIR_JURISDICTION": "australia", "HTTPS_PROXY": "http://127.0.0.1:9"}
    found = doctor(variables=mine, directory=tmp_path)
    assert (found.code, found.states("problem")) == (4, ["identity", "certlogin"])
    assert "identitysso.betfair.au does not answer: the proxy: Connection" in json.dumps(found.all)
    (unsure,) = [each["text"] for each in found.all if each["state"] == "warning"]
    assert "not known for sure for australia" in unsure


def test_clocks_are_compared() -> None:
    """A few seconds are nothing; more is a warning that says which way."""
    fine = compare_clocks([Clock("a host", 1.5), Clock("the store", -3.0)])
    assert (fine.state, fine.text) == ("ok", "within 5 s of a host, the store")
    far = compare_clocks([Clock("a host", 90.0), Clock("the store", -7.0), Clock("other", 0.0)])
    assert far.state == "warning"
    assert far.text == "this machine's is 90 s behind a host; 7 s ahead of the store"
    assert compare_clocks([]).state == "not checked"


def test_the_clocks_are_those_of_the_hosts_and_the_store(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """By the Date of their answers, and a file's time."""
    cli("token", variables=variables, directory=tmp_path)
    found = doctor(variables=variables, directory=tmp_path)
    text = found.checks["clock"]["text"]
    assert re.fullmatch(r"within 5 s of localhost:\d+, localhost:\d+, the store", text)


def test_a_dead_token_is_left_alone(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """It is a warning; the account API is not asked, and nobody logs in."""
    token = cli("token", variables=variables, directory=tmp_path).stdout.strip()
    sandbox.expire_all()
    sandbox.clear_journal()
    arguments = ("--api-url", sandbox.api_url)
    found = doctor(*arguments, variables=variables, directory=tmp_path)
    assert (found.code, found.states("warning")) == (0, ["token"])
    assert found.states("not checked") == ["account"]
    assert (tmp_path / "store" / KEY).read_text() == token
    assert sandbox.counts() == {"keepAlive": 3}


def test_a_token_goes_to_no_strangers(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """With other identity hosts, Betfair's account API is not asked unless one is named."""
    cli("token", variables=variables, directory=tmp_path)
    found = doctor(variables=variables, directory=tmp_path)
    assert found.states("not checked") == ["account"]
    assert "--api-url" in found.checks["account"]["text"]
    found = doctor("--api-url", "http://plain/", variables=variables, directory=tmp_path)
    assert (found.code, found.states("problem")) == (2, ["account"])
    assert "account" not in sandbox.counts()


def test_a_wrong_app_key_is_found_by_the_account_api(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Logins and keepAlives work with any; exit code 2."""
    cli("token", variables=variables, directory=tmp_path)
    wrong = {**variables, "BETFAIR_APP_KEY": "wrong"}
    found = doctor("--api-url", sandbox.api_url, variables=wrong, directory=tmp_path)
    assert (found.code, found.states("problem")) == (2, ["account"])
    assert "BETFAIR_APP_KEY" in found.checks["account"]["advice"]


def test_an_account_api_that_is_down(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 4."""
    cli("token", variables=variables, directory=tmp_path)
    sandbox.fault("account", "status:503", times=None)
    found = doctor("--api-url", sandbox.api_url, variables=variables, directory=tmp_path)
    assert (found.code, found.states("problem")) == (4, ["account"])


def test_a_token_that_only_the_account_api_rejects(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    """Nobody renews it, although it is dead by then."""
    token = cli("token", variables=variables, directory=tmp_path).stdout.strip()
    sandbox.clear_journal()
    sandbox.hold("account")
    with subprocess.Popen(
        [*CLI, "doctor", "--json", "--timeout", "60", "--api-url", sandbox.api_url],
        cwd=tmp_path,
        env=scrubbed(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        sandbox.wait_for("account")
        sandbox.expire(token)
        sandbox.release("account")
        output, _ = process.communicate(timeout=SECONDS)
    finding = json.loads(output)["checks"][-1]
    assert (finding["name"], finding["state"]) == ("account", "problem")
    assert "rejects the token" in finding["text"]
    assert "certlogin" not in sandbox.counts()
    assert (tmp_path / "store" / KEY).read_text() == token
