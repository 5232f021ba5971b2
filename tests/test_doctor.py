"""`betfair-session doctor`: findings as fields and exit codes, and that it changes nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from command_line import KEY, CommandLine
from programs import CLI, SECONDS, run
from servers.proxy import Proxy
from servers.script import Answer

from betfair_session.cli import hosts
from betfair_session.cli.session import ask_about
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket
    from servers.script import Exchange

    from betfair_session.sandbox import Sandbox

FORBIDDEN = Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
FAILED = Answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
OLD = Answer(200, b"old", {"ETag": '"1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})
DENIED = Answer(403, b"", {"x-ms-error-code": "AuthorizationFailure"})
ALL = (
    "configuration", "certificate", "store", "writing", "shared login", "next login", "identity",
    "certlogin", "clock", "token", "account",
)  # fmt: skip


class Diagnosis(NamedTuple):
    """What `doctor --json` ended with: its exit code, every finding, and all of it as text."""

    code: int
    all: list[dict[str, Any]]
    shown: str

    def states(self, state: str) -> list[str]:
        """Return the names of the findings of a kind."""
        return [each["name"] for each in self.all if each["state"] == state]

    def of(self, name: str) -> dict[str, Any]:
        """Return a finding; of several the first."""
        return next(each for each in self.all if each["name"] == name)


def read(code: int, output: str) -> Diagnosis:
    """Read what it printed."""
    told = json.loads(output)
    assert (told["exit_code"], told["ok"]) == (code, code == 0)
    return Diagnosis(code, told["checks"], output)


class DoctorLine(CommandLine):
    """The command line, and the doctor."""

    def doctor(self, *arguments: str, **changes: str) -> Diagnosis:
        """Run it."""
        done = self("doctor", "--json", *arguments, **changes)
        assert not any(secret in done.out for secret in self.secrets())
        return read(done.code, done.out)

    def in_bucket(self, bucket: Bucket, endpoint: str | None = None) -> None:
        """Keep the token in a bucket, perhaps behind a proxy."""
        options = bucket.server.options(endpoint or bucket.server.endpoint)
        self.variables["BETFAIR_SESSION_STORE"] = bucket.url()
        self.variables["BETFAIR_STORAGE_OPTIONS"] = json.dumps(options)


@pytest.fixture
def line(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DoctorLine:
    """The command line, in this process."""
    return DoctorLine(sandbox, tmp_path, monkeypatch)


def untouched(bucket: Bucket) -> dict[str, bytes | None]:
    """Return what a bucket holds, to compare."""
    return {key: bucket.get(key) for key in sorted(bucket.keys())}


# --- when all is well ----------------------------------------------------------------------------


def test_all_is_well(line: DoctorLine, sandbox: Sandbox) -> None:
    """Every check passes, nothing is left behind, and nobody logs in."""
    token = line("token").out.strip()
    before = sorted(each.name for each in line.store.iterdir())
    sandbox.clear_journal()
    done = line("doctor", "--api-url", sandbox.api_url)
    assert (done.code, done.err) == (0, "")
    lines = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert [each.split(":")[0].split(maxsplit=1) for each in lines[:-1]] == [
        ["ok", name] for name in ALL
    ]
    assert "S. B., GBP, GBR" in " ".join(done.out.split())
    for secret in (token, sandbox.username, "Sandy", *line.secrets()):
        assert secret not in done.out
    assert sorted(each.name for each in line.store.iterdir()) == before
    assert (line.store / KEY).read_text() == token
    assert sandbox.counts() == {"keepAlive": 3, "account": 1}
    clock = line.doctor().of("clock")
    assert clock["state"] == "ok"
    assert len(re.findall(r"localhost:\d+|the store", clock["text"])) == 3


def test_the_hosts_are_told_nothing(line: DoctorLine, sandbox: Sandbox) -> None:
    """Without a stored token, no request carries a token or a certificate."""
    found = line.doctor("elsewhere", "deep/name")
    assert (found.code, found.states("not checked")) == (0, ["token", "account"])
    entries = sandbox.journal()
    seen = [(entry.endpoint, entry.outcome) for entry in entries]
    assert seen == [("keepAlive", "NO_SESSION")] * 2
    assert not any(entry.token or entry.certificate for entry in entries)
    assert all(word in found.of("store")["text"] for word in ("deep/name", "elsewhere"))


# --- configuration and certificate ---------------------------------------------------------------


def test_what_is_missing_is_named_and_the_rest_is_looked_at(
    line: DoctorLine, sandbox: Sandbox
) -> None:
    """Exit code 2; the store and the hosts need no account."""
    wanted = ("IDENTITY", "CA_BUNDLE", "SESSION")
    line.variables = {k: v for k, v in line.variables.items() if any(w in k for w in wanted)}
    found = line.doctor()
    assert (found.code, found.states("problem")) == (2, ["configuration"])
    for name in ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY", "BETFAIR_CERT_FILE"):
        assert name in found.of("configuration")["text"]
    assert {"writing", "identity"} <= set(found.states("ok"))
    assert found.states("not checked") == ["certificate", "token"]
    assert set(sandbox.counts()) == {"keepAlive"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"BETFAIR_SESSION_KEY": ""}, "configuration"),
        ({"BETFAIR_JURISDICTION": "atlantis"}, "configuration"),
        ({"BETFAIR_IDENTITY_URL": "x"}, "configuration"),
        ({"BETFAIR_PKCS12_FILE": "x"}, "configuration"),
        ({"BETFAIR_CA_BUNDLE": "nowhere.pem"}, "configuration"),
        ({"BETFAIR_CERT_FILE": "nowhere.crt"}, "certificate"),
        ({"BETFAIR_KEY_FILE": ""}, "certificate"),
        ({"BETFAIR_SESSION_KEY": "../x"}, "store"),
        ({"BETFAIR_SESSION_STORE": "nosuch://place"}, "store"),
        ({"BETFAIR_SESSION_STORE": "\ufeff's3://b/x'"}, "store"),
        ({"BETFAIR_SESSION_STORE": "s3:/b/x"}, "store"),
        ({"BETFAIR_STORAGE_OPTIONS": '{"key": "hidden-value"'}, "store"),
    ],
)
def test_a_configuration_that_cannot_work(
    line: DoctorLine, changes: dict[str, str], name: str
) -> None:
    """Exit code 2, told once; no directory is made where a store is mistyped."""
    found = line.doctor(**changes)
    assert (found.code, found.states("problem")) == (2, [name])
    if "BETFAIR_KEY_FILE" in changes:
        assert "BETFAIR_KEY_FILE" in found.of(name)["advice"]
    if name == "store":
        assert list(line.directory.iterdir()) == []


def test_where_the_variables_are_from(line: DoctorLine, sandbox: Sandbox) -> None:
    """Names only: those of the environment, those of the file, and what nothing reads."""
    filed = {k: v for k, v in line.variables.items() if "SESSION" not in k and "BETFAIR" in k}
    lines = [f"{name}='{value}'" for name, value in filed.items()]
    (line.directory / ".env").write_text("\n".join([*lines, "BETFAIR_USER=somebody"]))
    (line.directory / ".env").chmod(0o644)
    line.variables = {k: v for k, v in line.variables.items() if "SESSION" in k}
    found = line.doctor(BETFAIR_ZZZ="something")
    text = found.of("configuration")["text"]
    assert text.index("BETFAIR_SESSION_KEY") < text.index(".env") < text.index("BETFAIR_USERNAME")
    assert found.code == 0
    told = [(each["text"], each["advice"]) for each in found.all if each["state"] == "warning"]
    expected = (("BETFAIR_USER", "BETFAIR_USERNAME"), ("BETFAIR_ZZZ", "--help"), (".env", "chmod"))
    for (text, advice), (begin, word) in zip(told, expected, strict=True):
        assert text.startswith(begin)
        assert word in advice
    assert sandbox.username not in found.shown
    (line.directory / ".env").write_text("hidden-value\n")
    found = line.doctor()
    assert (found.code, [each["name"] for each in found.all]) == (2, ["configuration"])


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
    line: DoctorLine, spoil: str, problems: int
) -> None:
    """Each variable is named, and no value is shown."""
    names = ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY")
    found = line.doctor(**{name: spoil.format(line.variables[name]) for name in names})
    assert found.states("problem") == ["configuration"] * problems
    told = [each["text"] for each in found.all if each["state"] in ("warning", "problem")]
    assert {text.split()[0].rstrip(":") for text in told} == set(names)
    assert not any(line.variables[name] in found.shown for name in names)


def test_the_certificate_is_looked_at(line: DoctorLine, sandbox: Sandbox) -> None:
    """Its dates, a key that others can read, and one that comes from memory."""
    crt, key = (line.directory / name for name in ("client.crt", "client.key"))
    for path, source in zip((crt, key), sandbox.certificate, strict=True):
        with open(source, "rb") as file:
            path.write_bytes(file.read())
    key.chmod(0o644)
    found = line.doctor(BETFAIR_CERT_FILE="client.crt", BETFAIR_KEY_FILE="client.key")
    assert len(re.findall(r"\d{4}-\d\d-\d\d", found.of("certificate")["text"])) == 2
    assert found.states("warning") == ["certificate"]
    both = {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": "", "BETFAIR_CERT_PEM": crt.read_text()}
    found = line.doctor(**both, BETFAIR_KEY_PEM=key.read_text())
    assert found.of("certificate")["state"] == "ok"
    assert "PRIVATE KEY" not in found.shown
    for other in ("", crt.read_text()):
        found = line.doctor(**both, BETFAIR_KEY_PEM=other)
        assert (found.code, found.states("problem")) == (2, ["certificate"])
        assert ("BETFAIR_KEY_PEM" in found.of("certificate")["advice"]) == (not other)


def test_one_certificate_that_ends_soon_is_one_warning(line: DoctorLine) -> None:
    """In one file, in two, and as text."""
    line("certificate", "create", "soon", "--days", "9", "--directory", str(line.directory))
    for ways in (
        {"BETFAIR_CERT_FILE": "soon.pem", "BETFAIR_KEY_FILE": ""},
        {"BETFAIR_CERT_FILE": "soon.crt", "BETFAIR_KEY_FILE": "soon.key"},
        {
            "BETFAIR_CERT_FILE": "",
            "BETFAIR_KEY_FILE": "",
            "BETFAIR_CERT_PEM": (line.directory / "soon.pem").read_text("utf-8"),
        },
    ):
        assert line.doctor(**ways).states("warning") == ["certificate"]


# --- the store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "store"),  # a directory in place of the token
        ({"BETFAIR_SESSION_STORE": "store/file"}, "store"),
        ({"BETFAIR_SESSION_KEY": "file/name"}, "writing"),
    ],
)
def test_a_place_that_cannot_work(line: DoctorLine, changes: dict[str, str], name: str) -> None:
    """Exit code 5, and nothing is written; what needs the store is not looked at."""
    line.put("a file where a directory belongs", "file")
    (line.store / KEY).mkdir()
    found = line.doctor(**changes)
    assert (found.code, found.states("problem")) == (5, [name])
    assert sorted(each.name for each in line.store.iterdir()) == ["file", KEY]
    assert "token" in found.states("not checked")


def test_what_the_library_warns_of_is_a_finding(line: DoctorLine, sandbox: Sandbox) -> None:
    """Such as a token that others can read; and memory, which no other process sees."""
    line.put(sandbox.issue()).chmod(0o644)
    for changes in ({}, {"BETFAIR_SESSION_STORE": "memory://doctor"}):
        found = line.doctor(**changes)
        assert (found.code, found.states("warning")) == (0, ["store"])


@pytest.mark.parametrize("kind", ["cloud-s3", "cloud-gcs", "cloud-azure"])
def test_a_bucket(line: DoctorLine, bucket_on: Callable[[str], Bucket], kind: str) -> None:
    """Conditions are tried out and the test object is removed; a bucket may not be there."""
    bucket = bucket_on(kind)
    line.in_bucket(bucket)
    found = line.doctor()
    assert (found.code, found.states("warning")) == (0, []), found.all
    assert {"writing", "next login"} <= set(found.states("ok"))
    assert bucket.keys() == []
    if kind == "cloud-s3":
        found = line.doctor(BETFAIR_SESSION_STORE="s3://nowhere-to-be-found")
        assert (found.code, found.states("problem")) == (5, ["store"])


def test_a_store_that_keeps_no_conditions(
    line: DoctorLine, bucket_on: Callable[[str], Bucket], plain: type[object]
) -> None:
    """It promises none, or ignores them: each process logs in by itself, which is a warning."""
    del plain
    line.store.mkdir()
    bucket = bucket_on("cloud-s3")
    with Proxy(bucket.server.port, deaf=True) as proxy:
        line.in_bucket(bucket, proxy.endpoint)
        plainly = {"BETFAIR_SESSION_STORE": f"plain://{line.store}", "BETFAIR_STORAGE_OPTIONS": ""}
        for changes in ({}, plainly):
            found = line.doctor(**changes)
            assert (found.code, found.states("warning")) == (0, ["shared login"])
            assert {"writing", "next login"} <= set(found.states("ok"))
    assert [*bucket.keys(), *line.store.iterdir()] == []


def about_probe(method: str) -> Callable[[Exchange], bool]:
    """Match the requests with a method for the doctor's own object."""
    return lambda exchange: exchange.method == method and ".doctor-" in exchange.path


@pytest.mark.parametrize(
    ("which", "answer", "left"),
    [
        (about_probe("PUT"), FORBIDDEN, 0),
        ("PUT", FAILED, 0),  # conditions that hold are refused
        (about_probe("GET"), OLD, 0),  # a cache in between would serve dead tokens
        ("DELETE", FORBIDDEN, 1),  # `logout` cannot work either
    ],
)
def test_a_store_that_does_not_work(
    line: DoctorLine,
    bucket_on: Callable[[str], Bucket],
    which: str | Callable[[Exchange], bool],
    answer: Answer,
    left: int,
) -> None:
    """The problem is told with `writing`; what could not be removed is a warning, and named."""
    bucket = bucket_on("cloud-s3")
    with Proxy(bucket.server.port) as proxy:
        proxy.fail(which, answer, times=99)
        line.in_bucket(bucket, proxy.endpoint)
        found = line.doctor()
    state, code = ("warning", 0) if left else ("problem", 5)
    assert (found.code, found.states(state)) == (code, ["writing"])
    names = bucket.keys()
    assert len(names) == left
    assert all(name in found.of("writing")["text"] for name in names)


@pytest.fixture
def denying(
    line: DoctorLine, bucket_on: Callable[[str], Bucket]
) -> Iterator[Callable[..., tuple[Bucket, Proxy]]]:
    """Keep the token in a bucket that takes no writes for objects with these names."""
    bucket = bucket_on("cloud-azure")
    line.in_bucket(bucket)
    with Proxy(bucket.server.port) as proxy:

        def make(*names: str, stored: bool = True, locked: bool = True) -> tuple[Bucket, Proxy]:
            if locked:
                assert line("token").code == 0
                if not stored:
                    bucket.delete(KEY)

            def denied(each: Exchange) -> bool:
                name = each.path.rpartition("/")[2]
                kind = ".doctor-" if ".doctor-" in name else name
                return each.method == "PUT" and kind in names

            proxy.fail(denied, DENIED, times=99)
            line.in_bucket(bucket, proxy.endpoint)
            return bucket, proxy

        yield make


@pytest.mark.parametrize("locked", [True, False])
def test_permissions_for_the_two_objects_alone(
    line: DoctorLine, denying: Callable[..., tuple[Bucket, Proxy]], *, locked: bool
) -> None:
    """Where the lock exists they are found to be enough, without changing it."""
    bucket, _ = denying(".doctor-", locked=locked)
    before = untouched(bucket)
    found = line.doctor()
    assert f"{KEY}.doctor-*" in found.of("writing")["advice"]
    kind = ("warning", 0) if locked else ("problem", 5)
    assert (found.states(kind[0]), found.code) == (["writing"], kind[1])
    assert untouched(bucket) == before


@pytest.mark.parametrize("names", [(KEY,), (KEY, ".doctor-"), (f"{KEY}.login", ".doctor-")])
@pytest.mark.parametrize("stored", [True, False])
def test_a_policy_that_leaves_one_of_them_out_is_found(
    line: DoctorLine,
    denying: Callable[..., tuple[Bucket, Proxy]],
    names: tuple[str, ...],
    *,
    stored: bool,
) -> None:
    """Each login would be made for nothing; it is tried itself, and stays as it is."""
    bucket, proxy = denying(*names, stored=stored)
    before = untouched(bucket)
    found = line.doctor()
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert repr(names[0]) in found.of("writing")["advice"]
    assert untouched(bucket) == before
    puts = [each for each in proxy.requests if each.method == "PUT"]
    assert all({"if-match", "if-none-match"} & each.headers.keys() for each in puts)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_doctor_cleans_up(
    line: DoctorLine, bucket_on: Callable[[str], Bucket], number: signal.Signals, code: int
) -> None:
    """Its object is there, the answer is not: it is removed all the same."""
    bucket = bucket_on("cloud-s3")
    with Proxy(bucket.server.port) as proxy:
        line.in_bucket(bucket, proxy.endpoint)
        rule = proxy.fail(about_probe("PUT"), "hold-answer")
        with subprocess.Popen(
            [*CLI, "doctor", "--timeout", "60"],
            cwd=line.directory,
            env={**line.variables, "PYTHONWARNINGS": "default"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert rule.reached.wait(SECONDS)
            give_up = time.monotonic() + SECONDS
            while not bucket.keys():  # it is sent, but may not be written yet
                assert time.monotonic() < give_up
            process.send_signal(number)
            _, errors = process.communicate(timeout=SECONDS)
        rule.release.set()
        removed = [each for each in proxy.requests if about_probe("DELETE")(each)]
    assert (process.returncode, errors.count("\n")) == (code, 1 if code == 130 else 0)
    assert (len(removed), bucket.keys()) == (1, [])


@pytest.mark.parametrize(
    ("lock", "state", "code"),
    [
        ({"state": locks.HELD, "nonce": "0" * 16, "owner": "another"}, "warning", 0),
        ({"state": locks.DONE, "logins": 4}, "problem", 1),
        (
            {"state": locks.FAILED, "status": "CERT_AUTH_REQUIRED", "login_class": "certificate"},
            "problem",
            3,
        ),
    ],
)
def test_what_keeps_the_next_login_back(
    line: DoctorLine, lock: dict[str, Any], state: str, code: int
) -> None:
    """One under way ends by itself; for others somebody has to find the cause."""
    now = time.time()
    times = {"since": now, "logins": (now,) * lock.pop("logins", 0)}
    kept = locks.Lock(**lock, **times, not_before=now + 900 if code == 3 else 0)
    path = line.lock(kept)
    found = line.doctor()
    assert (found.code, found.of("next login")["state"]) == (code, state)
    assert found.of("next login")["advice"]
    assert path.read_bytes() == locks.encode(kept)


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


@pytest.mark.parametrize("arrange", [mounted_by_itself, without_modes])
def test_a_local_token_that_could_not_be_stored_is_found(
    line: DoctorLine, sandbox: Sandbox, arrange: Callable[[Path], tuple[str, ...]]
) -> None:
    """Before any login; and nothing changes, not even the token's time."""

    def there() -> list[tuple[str, bytes, int]]:
        return [
            (each.name, each.read_bytes(), each.stat().st_mtime_ns) for each in line.store.iterdir()
        ]

    line.put(sandbox.issue())
    program = arrange(line.store)
    before = there()
    done = run(*program, "doctor", "--json", variables=line.variables, directory=line.directory)
    found = read(done.returncode, done.stdout)
    assert (found.code, found.states("problem")) == (5, ["writing"])
    assert there() == before
    assert "certlogin" not in sandbox.counts()


@pytest.mark.parametrize(
    ("store", "options", "name"),
    [
        ("s3://b", {}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("gs://b", {}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b", {"account_name": "a", "anon": False}, "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
def test_a_local_file_that_is_missing_is_found(
    line: DoctorLine, store: str, options: dict[str, Any], name: str
) -> None:
    """Whatever the driver makes of that; a key in its place is not shown."""
    line.variables |= {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "BETFAIR_SESSION_STORE": store,
        "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
    }
    missing, soon = str(line.directory / "nowhere"), ("--timeout", "2")
    found = line.doctor(*soon, **{name: missing})
    assert (found.code, found.states("problem")) == (5, ["store"])
    assert any(missing in each["text"] and name in each["text"] for each in found.all)
    done = line("doctor", "--json", *soon, **{name: "hidden-value" * 20})
    told = [each["text"] for each in read(*done[:2]).all if each["state"] == "warning"]
    assert any(name in text for text in told)
    assert "hidden-value" not in json.dumps(told)


def test_what_came_along_with_a_clouds_key_is_found(
    line: DoctorLine, bucket_on: Callable[[str], Bucket]
) -> None:
    """The driver signs with it as it is, and the store calls that a wrong signature."""
    line.in_bucket(bucket_on("cloud-s3"))
    found = line.doctor(AWS_SECRET_ACCESS_KEY='"hidden-value"', AZURE_CLIENT_SECRET='"hidden"')
    (told,) = [each for each in found.all if each["state"] == "warning"]
    assert told["name"] == "store"
    assert "AWS_SECRET_ACCESS_KEY" in told["text"]


# --- Betfair -------------------------------------------------------------------------------------

HOTEL: dict[str, Any] = {"body": '{"status": "SUCCESS", "token": ""}'}


@pytest.mark.parametrize(
    ("fault", "more", "problems"),
    [
        ("status:503", {}, 2),
        ("blocked", {}, 2),
        ("stall", {}, 2),
        ("reset", {}, 2),
        ("non_object", HOTEL, 2),  # a success for no token at all is not Betfair's
        ("html200", {}, 1),  # what the login's host says to a keepAlive matters less
        ("internal_error", {}, 1),
    ],
)
def test_an_identity_host_that_is_not_well(
    line: DoctorLine, sandbox: Sandbox, fault: str, more: dict[str, Any], problems: int
) -> None:
    """Exit code 4."""
    sandbox.fault("keepAlive", fault, times=None, **more)
    found = line.doctor("--timeout", "1")
    assert (found.code, found.states("problem")) == (4, ["identity", "certlogin"][:problems])


@contextmanager
def refusing_proxy(status: int) -> Iterator[str]:
    """Serve as a proxy that makes no connection; yield its address."""

    class Refusal(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("status", [407, 403, 502])
def test_a_proxy_is_named_and_what_it_answers(
    line: DoctorLine, bucket_on: Callable[[str], Bucket], status: int
) -> None:
    """For each host whether it is used, and for the store's driver; and not its password."""
    line.in_bucket(bucket_on("cloud-s3"))
    plain, cert = (
        line.variables[f"BETFAIR_IDENTITY{name}_URL"].split("/")[2] for name in ("", "_CERT")
    )
    with refusing_proxy(status) as address:
        found = line.doctor(HTTPS_PROXY=f"http://user:hidden-value@{address}", NO_PROXY=cert)
    ways = found.of("proxy")["text"]
    assert f"{plain} by {address}" in ways
    assert all(word in ways for word in (cert, "NO_PROXY", "s3://"))
    assert (found.code, found.states("problem")) == (4, ["identity"])
    reason = "proxy" if status == 502 else f"proxy-{status}"
    assert found.of("identity")["advice"] == hosts._ADVICE[reason]


def test_hosts_that_cannot_be_reached(line: DoctorLine, sandbox: Sandbox) -> None:
    """Without their authority, by a useless proxy, or where they are not known for sure."""
    both = ["identity", "certlogin"]
    found = line.doctor(BETFAIR_CA_BUNDLE="")
    assert (found.code, found.states("problem")) == (4, both)
    assert found.of("identity")["advice"] == hosts._ADVICE["untrusted"]
    assert line.doctor(HTTPS_PROXY="nonsense://localhost:1").states("problem") == both
    line.variables = {k: v for k, v in line.variables.items() if "IDENTITY" not in k}
    found = line.doctor(BETFAIR_JURISDICTION="australia", HTTPS_PROXY="http://127.0.0.1:9")
    assert (found.code, found.states("problem")) == (4, both)
    assert found.states("warning") == ["identity"]
    assert sandbox.counts() == {}


def test_clocks_are_compared() -> None:
    """A few seconds are nothing; more is a warning; a host need not tell the time."""
    clock = hosts.Clock
    near = [clock("a host", 1.5), clock("the store", -3.0)]
    assert hosts.compare_clocks(near).state == "ok"
    far = hosts.compare_clocks([*near, clock("behind", 90.0), clock("ahead", -7.0)])
    assert far.state == "warning"
    assert re.findall(r"\d+ s", far.text) == ["90 s", "7 s"]
    assert "a host" not in far.text
    assert hosts.compare_clocks([]).state == "not checked"


# --- the stored token ----------------------------------------------------------------------------


def test_a_dead_token_is_left_alone(line: DoctorLine, sandbox: Sandbox) -> None:
    """It is a warning; the account API is not asked, and nobody logs in."""
    path = line.put(token := sandbox.issue())
    sandbox.expire_all()
    found = line.doctor("--api-url", sandbox.api_url)
    assert (found.code, found.states("warning")) == (0, ["token"])
    assert found.states("not checked") == ["account"]
    assert path.read_text() == token
    assert sandbox.counts() == {"keepAlive": 3}


def test_a_token_that_cannot_be_asked_about(line: DoctorLine, sandbox: Sandbox) -> None:
    """It is a problem, and the account is not looked at."""
    line.put(sandbox.issue())
    sandbox.fault("keepAlive", "status:503", skip=2, times=None)  # the hosts are well
    found = line.doctor()
    assert (found.code, found.states("problem")) == (4, ["token"])
    assert found.states("not checked") == ["account"]


def test_a_token_goes_to_no_strangers(line: DoctorLine, sandbox: Sandbox) -> None:
    """With other identity hosts, Betfair's account API is not asked unless one is named."""
    line.put(sandbox.issue())
    found = line.doctor(BETFAIR_API_URL="")
    assert found.states("not checked") == ["account"]
    found = line.doctor("--api-url", "http://plain/")
    assert (found.code, found.states("problem")) == (2, ["account"])
    assert "account" not in sandbox.counts()


def test_what_the_account_api_may_say(line: DoctorLine, sandbox: Sandbox) -> None:
    """A wrong app key, which logins and keepAlives work with, is exit code 2; 503 is 4."""
    line.put(sandbox.issue())
    api = ("--api-url", sandbox.api_url)
    found = line.doctor(*api, BETFAIR_APP_KEY="wrong")
    assert (found.code, found.states("problem")) == (2, ["account"])
    assert "BETFAIR_APP_KEY" in found.of("account")["advice"]
    sandbox.fault("account", "status:503", times=None)
    found = line.doctor(*api)
    assert (found.code, found.states("problem")) == (4, ["account"])
    assert hosts._person(["of-mine"])


def test_a_token_that_only_the_account_api_rejects(
    line: DoctorLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody renews it, although it is dead by then."""
    path = line.put(token := sandbox.issue())

    def ask_and_expire(*arguments: Any) -> object:  # noqa: ANN401 - passed on
        found = ask_about(*arguments)
        sandbox.expire(token)
        return found

    monkeypatch.setattr("betfair_session.cli.doctor.ask_about", ask_and_expire)
    found = line.doctor("--api-url", sandbox.api_url)
    assert (found.code, found.states("problem")) == (1, ["account"])
    assert "certlogin" not in sandbox.counts()
    assert path.read_text() == token
    assert os.listdir(line.store) == [KEY]
