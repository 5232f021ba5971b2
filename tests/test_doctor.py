"""`betfair-session doctor`: findings as fields and exit codes, and that it changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import KEY, CommandLine, Done
from programs import CLI, SECONDS, cli, start
from servers.cloudlike import Cloud
from servers.cloudlike_wire import Order
from servers.listeners import Listener, Stranger, saying
from servers.objects import Bucket
from servers.script import Answer

from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox

PROBE, LOCK = f"{KEY}.doctor-", f"{KEY}.login"
FORBIDDEN = Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
FAILED = Answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
OLD = Answer(200, b"old", {"ETag": '"1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})
DENIED = Answer(403, b"", {"x-ms-error-code": "AuthorizationFailure"})
ALL = (
    "configuration", "certificate", "store", "writing", "shared login", "next login", "identity",
    "certlogin", "clock", "token", "account",
)  # fmt: skip


# --- configuration, certificate and place ---------------------------------------------------------


def test_all_is_well(command: CommandLine, sandbox: Sandbox) -> None:
    """Every check passes, nothing is left behind, and there is no login.

    The hosts are told nothing before the token is asked about; an empty place is no problem.
    """
    token = command("token").out.strip()
    before = sorted(os.listdir(command.store))
    sandbox.clear_journal()
    done = command("doctor", "--api-url", sandbox.api_url)
    assert (done.code, done.err) == (0, "")
    lines = [line for line in done.out.splitlines() if not line.startswith(" ")]
    assert [each.split(":")[0].split(maxsplit=1) for each in lines[:-1]] == [
        ["ok", name] for name in ALL
    ]
    assert "S. B., GBP, GBR" in " ".join(done.out.split())
    assert "Sandy" not in done.out
    assert sorted(os.listdir(command.store)) == before
    assert (command.store / KEY).read_text() == token
    assert sandbox.counts() == {"keepAlive": 3, "account": 1}
    told = [(each.outcome, each.token, each.certificate) for each in sandbox.journal()[:2]]
    assert told == [("NO_SESSION", None, False)] * 2
    found = command.doctor("elsewhere", "deep/name")
    assert (found.code, found.states("not checked")) == (0, ["token", "account"])


HOSTS = "identity certlogin token"
ACCOUNT = ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY")
FILES = ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE")
AUSTRALIA = {"BETFAIR_JURISDICTION": "australia", "HTTPS_PROXY": "http://127.0.0.1:9"}
WRONG: dict[tuple[int, str], list[dict[str, str]]] = {
    (2, "configuration"): [
        dict.fromkeys((*ACCOUNT, *FILES), ""),
        {"BETFAIR_SESSION_KEY": "", "BETFAIR_CERT_PASSPHRASE": "\x1b"},
        {"BETFAIR_SESSION_KEY": ""},
        {"BETFAIR_JURISDICTION": "atlantis"},
        {"BETFAIR_API_URL": "x"},
        {"BETFAIR_PKCS12_FILE": "x"},
    ],
    (2, "certificate"): [{"BETFAIR_CERT_FILE": "nowhere.crt"}, {"BETFAIR_KEY_FILE": ""}],
    (2, "store"): [
        {"BETFAIR_SESSION_KEY": "../x"},
        {"BETFAIR_SESSION_STORE": "\ufeff's3://b/x'"},
        {"BETFAIR_SESSION_STORE": "s3:/b/x"},
        {"BETFAIR_STORAGE_OPTIONS": '{"key": "hidden-value"'},
    ],
    (5, "store"): [
        {"BETFAIR_SESSION_KEY": "directory"},
        {"BETFAIR_SESSION_KEY": "file/name"},
        {"BETFAIR_SESSION_STORE": "store/file"},
    ],
    (4, HOSTS): [
        {"BETFAIR_CA_BUNDLE": ""},
        {"BETFAIR_IDENTITY_URL": "", "BETFAIR_IDENTITY_CERT_URL": "", **AUSTRALIA},
    ],
    (2, HOSTS): [{"HTTPS_PROXY": "nonsense://localhost:1"}],
    (2, "account"): [{"BETFAIR_APP_KEY": "wrong"}],
    (2, f"certificate {HOSTS}"): [{"BETFAIR_KEY_FILE": "", "BETFAIR_CA_BUNDLE": ""}],
}


@pytest.mark.parametrize(("code", "names"), WRONG)
def test_what_cannot_work_is_told_once(
    command: CommandLine, sandbox: Sandbox, code: int, names: str
) -> None:
    """By its variable and the exit code of the first problem; all other checks are still made.

    Nothing is written, and there is no login.
    """
    command.put("a file where a directory belongs", "file")
    (command.store / "directory").mkdir()
    command.put(sandbox.issue())
    for changes in WRONG[code, names]:
        found = command.doctor(**changes)
        assert (found.code, found.states("problem")) == (code, names.split())
        for name in {"BETFAIR_KEY_FILE", "BETFAIR_APP_KEY"} & changes.keys():
            assert any(name in f"{each}" for each in found.document["checks"])
        told = [each["name"] for each in found.document["checks"] if FILES[0] in each["text"]]
        assert names != "configuration" or told in ([], [names])
        assert names not in ("store", "configuration") or "token" in found.states("not checked")
        assert ("identity" in found.states("warning")) == ("australia" in changes.values())
        assert "BETFAIR_USERNAME" not in changes or "identity" in found.states("ok")
    assert os.listdir(command.directory) == ["store"]
    assert sorted(os.listdir(command.store)) == ["directory", "file", KEY]
    assert "certlogin" not in sandbox.counts()


def test_a_certificate_in_the_place_of_its_path_is_told_as_such(command: CommandLine) -> None:
    """By the variables that take a file's content, and not by the line ends in it."""
    pem = Path(command.variables["BETFAIR_CERT_FILE"]).read_text("ascii")
    found = command.doctor(BETFAIR_CERT_FILE=pem, BETFAIR_KEY_FILE="")
    assert found.states("problem") == ["configuration", "certificate"]
    assert "configuration" not in found.states("warning")
    assert "BETFAIR_CERT_PEM" in found.of("configuration")["text"]


def test_a_proxy_without_a_host_is_not_shown(command: CommandLine) -> None:
    for wrong in ("http://user:hidden-value", "http://user:hidden-value[@localhost:1"):
        found = command.doctor(HTTPS_PROXY=wrong)
        assert "proxy" in found.states("ok")


def test_where_the_variables_are_from(command: CommandLine) -> None:
    """Names only: those of the environment, those of the file, and those that nothing reads."""
    filed = {k: v for k, v in command.variables.items() if "SESSION" not in k and "BETFAIR" in k}
    lines = [f"{name}='{value}'" for name, value in filed.items()]
    dotenv = command.directory / ".env"
    dotenv.write_text("\n".join([*lines, "BETFAIR_USER=somebody"]))
    dotenv.chmod(0o644)
    command.keep_only("SESSION")
    found = command.doctor(BETFAIR_ZZZ="something")
    told = [each["text"] for each in found.document["checks"] if each["state"] == "warning"]
    assert [text.split()[0] for text in told] == ["BETFAIR_USER", "BETFAIR_ZZZ", ".env"]
    assert all(name in found.of("configuration")["text"] for name in filed)
    dotenv.write_text("\n".join([*lines, "BETFAIR_SESSION_STORE=/filed"]))
    found = command.doctor(str(command.directory / "given"), KEY)
    assert "STORE (in" not in found.of("configuration")["text"]
    dotenv.write_text("hidden-value\n")
    found = command.doctor()
    assert (found.code, len(found.document["checks"])) == (2, 1)
    assert found.states("problem") == ["configuration"]


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
    command: CommandLine, spoil: str, problems: int
) -> None:
    """Each variable is named, and no value is shown."""
    found = command.doctor(**{name: spoil.format(command.variables[name]) for name in ACCOUNT})
    assert found.states("problem") == ["configuration"] * problems
    checks = found.document["checks"]
    told = [each["text"] for each in checks if each["state"] in ("warning", "problem")]
    assert sorted(text.split()[0].rstrip(":") for text in told) == sorted(ACCOUNT)


def test_the_certificate_is_looked_at(command: CommandLine) -> None:
    """A key that others can read, and one that comes from memory."""
    for name, path in zip(FILES, ("client.crt", "client.key"), strict=True):
        shutil.copyfile(command.variables[name], path)
        command.variables[name] = path
    os.chmod("client.key", 0o644)
    assert command.doctor().states("warning") == ["certificate"]
    crt, key = (Path(command.variables[name]).read_text() for name in FILES)
    command.variables |= {"BETFAIR_CERT_PEM": crt, **dict.fromkeys(FILES, "")}
    found = command.doctor(BETFAIR_KEY_PEM=key)
    assert found.of("certificate")["state"] == "ok"
    assert "PRIVATE KEY" not in found.out
    for other in ("", crt):
        found = command.doctor(BETFAIR_KEY_PEM=other)
        assert (found.code, found.states("problem")) == (2, ["certificate"])
        assert "BETFAIR_KEY_PEM" in found.of("certificate")["text"]


# --- the store ------------------------------------------------------------------------------------


def test_what_the_library_warns_of_is_a_finding(command: CommandLine, sandbox: Sandbox) -> None:
    """Such as a token that others can read, or a store in memory, which no other process sees."""
    command.put(sandbox.issue()).chmod(0o644)
    for changes in ({}, {"BETFAIR_SESSION_STORE": "memory://doctor"}):
        found = command.doctor(**changes)
        assert (found.code, found.states("warning")) == (0, ["store"])


@pytest.mark.parametrize("kind", ["cloud-s3", "cloud-gcs", "cloud-azure"])
def test_a_bucket(command: CommandLine, bucket_on: Callable[[str], Bucket], kind: str) -> None:
    """Conditions are tested and the test object is removed; a bucket may be missing."""
    bucket = bucket_on(kind)
    command.in_bucket(bucket)
    found = command.doctor()
    assert (found.code, found.states("warning")) == (0, []), found.out
    assert {"writing", "next login"} <= set(found.states("ok"))
    assert bucket.keys() == []
    if kind == "cloud-s3":
        found = command.doctor(BETFAIR_SESSION_STORE="s3://nowhere-to-be-found")
        assert (found.code, found.states("problem")) == (5, ["store"])
        # The driver signs with it unchanged, and the store finds a wrong signature.
        found = command.doctor(AWS_SECRET_ACCESS_KEY='"hidden-value"', AZURE_CLIENT_SECRET='"x"')
        assert found.states("warning") == ["store"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("cloud_lane", ["s3"])
def test_a_store_that_keeps_no_conditions(
    command: CommandLine, cloud: Cloud, cloud_place: Bucket
) -> None:
    """It promises none, or ignores them: a warning, as each process logs in by itself."""
    command.store.mkdir()
    cloud.ignores = lambda _: True
    command.in_bucket(cloud_place)
    plainly = {"BETFAIR_SESSION_STORE": f"plain://{command.store}"}
    for changes in ({}, {**plainly, "BETFAIR_STORAGE_OPTIONS": ""}):
        found = command.doctor(**changes)
        assert (found.code, found.states("warning")) == (0, ["shared login"])
        assert {"writing", "next login"} <= set(found.states("ok"))
    assert [*cloud_place.keys(), *command.store.iterdir()] == []


@pytest.mark.parametrize(
    ("cloud_lane", "denied", "answer", "there", "state", "named"),
    [
        ("s3", f"PUT {PROBE}", FORBIDDEN, "", "problem", ""),
        ("s3", "PUT ", FAILED, "", "problem", ""),  # conditions that hold are refused
        ("s3", f"GET {PROBE}", OLD, "", "problem", ""),  # a cache would serve dead tokens
        ("s3", f"DELETE {PROBE}", FORBIDDEN, "", "warning", PROBE),  # nor can `logout` work
        # Permissions for the two objects alone: where the lock exists they are found to be enough.
        ("azure", f"PUT {PROBE}", DENIED, f"{KEY} {LOCK}", "warning", f"{PROBE}*"),
        ("azure", f"PUT {PROBE}", DENIED, "", "problem", f"{PROBE}*"),
        # A policy that leaves one of the two out: each login would be made for nothing.
        ("azure", "key", DENIED, f"{KEY} {LOCK}", "problem", repr(KEY)),
        ("azure", "key", DENIED, LOCK, "problem", repr(KEY)),
        ("azure", f"key, PUT {PROBE}", DENIED, f"{KEY} {LOCK}", "problem", repr(KEY)),
        ("azure", f"PUT {LOCK}, PUT {PROBE}", DENIED, LOCK, "problem", repr(LOCK)),
    ],
)
def test_a_store_that_does_not_work(
    command: CommandLine,
    cloud: Cloud,
    cloud_place: Bucket,
    *,
    denied: str,
    answer: Answer,
    there: str,
    state: str,
    named: str,
) -> None:
    """Token and lock are tested themselves, on conditions that cannot hold, and do not change."""
    command.in_bucket(cloud_place)
    command("token")
    for name in {KEY, LOCK} - {*there.split()}:
        cloud_place.delete(name)
    before = cloud_place.contents()
    cloud.requests.clear()
    for match in denied.split(", "):
        cloud.fail(writes_the_token if match == "key" else match, answer=answer)
    found = command.doctor()
    assert (found.states(state), found.code) == (["writing"], 5 if state == "problem" else 0)
    assert named in f"{found.of('writing')}"
    left = cloud_place.contents().items()
    assert {name: each for name, each in left if PROBE not in name} == before
    tried = [each for each in cloud.requests if each.method == "PUT" and PROBE not in each.path]
    assert all({"if-match", "if-none-match"} & each.headers.keys() for each in tried)
    assert tried or KEY not in there


def writes_the_token(order: Order) -> bool:
    return (order.verb, order.name) == ("PUT", KEY)


@pytest.mark.parametrize("cloud_lane", ["s3"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_doctor_cleans_up(
    command: CommandLine, cloud: Cloud, cloud_place: Bucket, number: signal.Signals, code: int
) -> None:
    """Its object is stored but the answer did not come: the object is still removed."""
    command.in_bucket(cloud_place)
    fault = cloud.fail(f"PUT {PROBE}", answer="hold")
    variables = {**command.variables, "PYTHONWARNINGS": "default"}
    program = (*CLI, "doctor", "--timeout", "60")
    with start(*program, directory=command.directory, variables=variables) as process:
        assert fault.reached.wait(SECONDS)
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
    removed = [each for each in cloud.orders if each.verb == "DELETE"]
    assert (process.returncode, errors.count("\n")) == (code, 1 if code == 130 else 0)
    assert (len(removed), cloud_place.keys()) == (1, [])


@pytest.mark.parametrize(
    ("lock", "state", "code"),
    [
        (locks.Lock(locks.HELD, "0" * 16, "another"), "warning", 0),  # which ends by itself
        (locks.Lock(locks.DONE, logins=(0.0,) * 4), "problem", 1),
        (locks.Lock(locks.FAILED, status="CLOSED", login_class="account"), "problem", 3),
    ],
)
def test_what_keeps_the_next_login_back(
    command: CommandLine, lock: locks.Lock, state: str, code: int
) -> None:
    now = time.time()
    kept = lock._replace(since=now, logins=(now,) * len(lock.logins), not_before=now + 900)
    path = command.lock(kept)
    found = command.doctor()
    assert (found.code, found.of("next login")["state"]) == (code, state)
    assert found.of("next login")["advice"]
    assert path.read_bytes() == locks.encode(kept)


@pytest.mark.parametrize(
    ("store", "options", "name"),
    [
        ("s3://b", {}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("gs://b", {}, "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b", {"account_name": "a", "anon": False}, "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
def test_credentials_that_are_not_there_are_found(
    command: CommandLine, store: str, options: dict[str, Any], name: str
) -> None:
    """Whatever error the driver makes; a key in place of its file is not shown.

    If the machine's own service never answers, the doctor still ends in its time.
    """
    command.variables |= {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x",
        "AZURE_CLIENT_ID": "client",
        "AZURE_TENANT_ID": "tenant",
        "BETFAIR_SESSION_STORE": store,
        "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        "PYTHONWARNINGS": "default",
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        services = dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_IP"), address)
        services |= {"IDENTITY_ENDPOINT": f"http://{address}", "IDENTITY_HEADER": "any"}
        services |= {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{address}"}
        waits = {**command.variables, **services}
        found = doctor_apart(command, waits, "1")._replace(err="")  # drivers may warn
    assert (found.code, found.states("problem")) == (5, ["store"])
    command.variables |= {"GCE_METADATA_HOST": "127.0.0.1:1", "AWS_EC2_METADATA_DISABLED": "true"}
    missing = str(command.directory / "nowhere")
    for value in (missing, "hidden-value" * 20):
        found = doctor_apart(command, {**command.variables, name: value}, "2")
        assert (found.code, found.states("problem")) == (5, ["store"])
        texts = [each["text"] for each in found.document["checks"] if each["name"] == "store"]
        assert any(name in text for text in texts)
        assert any(missing in text for text in texts) == (value == missing)


def doctor_apart(command: CommandLine, variables: dict[str, str], timeout: str) -> Done:
    """Run it in a process that ends: the search for credentials would go on in this one."""
    program = ("doctor", "--json", "--timeout", timeout)
    done = cli(*program, variables=variables, directory=command.directory)
    return command.checked(Done(done.returncode, done.stdout, done.stderr), variables)


# --- Betfair --------------------------------------------------------------------------------------

NO_TOKEN = '{"status": "SUCCESS", "token": ""}'
ANSWERS: list[tuple[str, str, dict[str, Any], str]] = [  # and what is a problem then
    *(("keepAlive", fault, {}, HOSTS) for fault in ("status:503", "blocked", "stall")),
    ("keepAlive", "non_object", {"body": NO_TOKEN}, "identity certlogin"),  # not Betfair's
    # What certlogin's host answers to a keepAlive matters less.
    ("keepAlive", "html200", {}, "identity token"),
    ("keepAlive", "internal_error", {}, "identity token"),
    ("keepAlive", "status:503", {"skip": 2}, "token"),
    ("account", "status:503", {}, "account"),
    # Betfair exchanges the token for one that is dead; it is not renewed.
    ("keepAlive", "token", {"skip": 2, "value": "A" * 43 + "="}, "account"),
]


@pytest.mark.parametrize("number", range(len(ANSWERS)))
def test_what_betfair_may_answer(command: CommandLine, sandbox: Sandbox, number: int) -> None:
    """Without a token that surely lives, the account API is not asked; there is no login."""
    endpoint, fault, more, problems = ANSWERS[number]
    command.put(sandbox.issue())
    sandbox.fault(endpoint, fault, times=None, **more)
    found = command.doctor("--timeout", "1")
    assert (found.code, found.states("problem")) == (1 if fault == "token" else 4, problems.split())
    assert ("account" in found.states("not checked")) == ("token" in problems)
    assert "certlogin" not in sandbox.counts()
    assert os.listdir(command.store) == [KEY]


def test_a_host_that_asks_for_the_certificate_is_there(
    command: CommandLine, stranger: Stranger
) -> None:
    """The doctor shows none: the host would learn whose it is."""
    stranger.tls.verify_mode = ssl.CERT_REQUIRED
    # By a later version the request is under way when the server says so, and may hide its word.
    stranger.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with stranger.serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as listener:
        url = f"https://localhost:{listener.port}/"
        bundle = {"BETFAIR_CA_BUNDLE": stranger.bundle}
        found = command.doctor(BETFAIR_IDENTITY_CERT_URL=url, **bundle)
        assert (found.code, found.of("certlogin")["state"]) == (0, "warning")
        assert command.doctor(BETFAIR_IDENTITY_URL=url, **bundle).states("problem") == ["identity"]


def test_a_dead_token_is_left_alone(command: CommandLine, sandbox: Sandbox) -> None:
    """A live one goes to no other hosts: with these, the account API has to be named."""
    path = command.put(token := sandbox.issue())
    assert command.doctor(BETFAIR_API_URL="").states("not checked") == ["account"]
    assert command.doctor("--api-url", "http://plain/").states("problem") == ["configuration"]
    sandbox.expire_all()
    found = command.doctor()
    assert (found.code, found.states("warning")) == (0, ["token"])
    assert found.states("not checked") == ["account"]
    assert path.read_text() == token
    assert set(sandbox.counts()) == {"keepAlive"}


def test_a_proxy_is_named_and_what_it_answers(
    command: CommandLine, bucket_on: Callable[[str], Bucket]
) -> None:
    """For each host and the store's driver it says whether it is used, without its password."""
    command.in_bucket(bucket_on("cloud-s3"))
    for name in ("", "_CERT"):  # of an address, NO_PROXY takes no port
        url = f"BETFAIR_IDENTITY{name}_URL"
        command.variables[url] = command.variables[url].replace("127.0.0.1", "localhost")
    plain, cert = (
        command.variables[f"BETFAIR_IDENTITY{name}_URL"].split("/")[2] for name in ("", "_CERT")
    )
    for status in (407, 403, 502):
        with Listener(saying(f"HTTP/1.1 {status} No\r\n\r\n".encode())) as listener:
            address = f"127.0.0.1:{listener.port}"
            proxy = f"http://user:hidden-value@{address}"
            found = command.doctor(HTTPS_PROXY=proxy, NO_PROXY=cert)
        ways = found.of("proxy")["text"]
        assert f"{plain} by {address}" in ways
        assert all(word in ways for word in (cert, "NO_PROXY", "s3://"))
        assert (found.code, found.states("problem")) == (4, ["identity"])
        assert f" {status} " in found.of("identity")["text"]


def test_clocks_are_compared(
    command: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's with the hosts' and the store's; a few seconds do not matter."""
    command.put(sandbox.issue())
    right = time.time
    for ahead, state in ((0, "ok"), (3, "ok"), (90, "warning")):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: right() + ahead)  # noqa: B023 - called at once
            clock = command.doctor().of("clock")
        assert clock["state"] == state
        assert len(re.findall(r"127.0.0.1:\d+|the store", clock["text"])) == 3
