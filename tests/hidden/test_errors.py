"""Every way in which a call can fail, and nothing secret in what is said of it."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    Blocked,
    Certificate,
    IdentityClient,
    LeaseSettings,
    Secret,
    Session,
    SessionManager,
    from_env,
)
from betfair_session.certificates.files import create, write_files
from betfair_session.environment import Environment
from betfair_session.events import Event
from hidden.conftest import Said
from hidden.planted import APP_KEY, CODE, PASSPHRASE, PASSWORD, USERNAME, Planted

pytestmark = pytest.mark.usefixtures("short_waits")

KEY = "session.token"
FAULTS: dict[str, dict[str, Any]] = {
    "reset": {},
    "stall": {},
    "truncated": {},
    "status:503": {"body": "json"},
    "blocked": {},
    "html200": {},
    "non_object": {},
    "huge": {},
    "token": {"value": "two words \u2028"},
}


def private(path: Path, text: str) -> None:
    """Write a file for its user alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")


@pytest.mark.parametrize("endpoint", ["certlogin", "login", "keepAlive", "logout"])
def test_no_fault_of_betfairs_shows_a_secret(
    planted: Planted, said: Said, tmp_path: Path, endpoint: str
) -> None:
    """Each fault of the sandbox in turn: errors, logs of all libraries, warnings, events, lock."""
    events: list[Event] = []
    sandbox, errors = planted.sandbox, 0
    code = CODE if endpoint == "login" else None
    sandbox.set_two_step(code, USERNAME)
    settings: dict[str, Any] = {
        "on_event": events.append,
        "lease": LeaseSettings(ttl=6, login_deadline=0.5, store_deadline=2),
        **({"interactive": True, "two_step": code} if code else {}),
    }
    with planted.client(timeout=0.5) as client:
        manager = planted.manager(client, **settings)
        for number, (kind, parameters) in enumerate(FAULTS.items()):
            place = tmp_path / f"store{number}"
            if endpoint in {"keepAlive", "logout"}:
                private(place / KEY, sandbox.issue(USERNAME))
            sandbox.fault(endpoint, kind, times=None, **parameters)
            planted.secrets()  # takes note of the tokens that live now
            try:
                (manager.logout if endpoint == "logout" else manager.get_session)(place, KEY)
            except BetfairSessionError as error:
                errors += 1
                assert planted.found_in(everything_in(error)) == [], kind
            sandbox.clear_faults()
            lock = place / f"{KEY}.login"
            assert not lock.exists() or planted.found_in(lock.read_bytes()) == []
    assert errors >= len(FAULTS) - 3
    assert planted.found_in("\n".join(map(repr, events)) + said.text()) == []


ANSWERS = [
    *(
        json.dumps({"loginStatus": code})
        for code in ("INVALID_USERNAME_OR_PASSWORD", "CERT_AUTH_REQUIRED", "ODD_CODE", PASSWORD)
    ),
    json.dumps({"loginStatus": "SUCCESS", "sessionToken": PASSWORD}),
    json.dumps({"status": USERNAME, "error": PASSWORD, "loginStatus": [PASSWORD]}),
    json.dumps(PASSWORD),
    f"<title>{PASSWORD}</title> {USERNAME} {APP_KEY}",
]


def test_no_refusal_shows_a_secret(planted: Planted, said: Said, tmp_path: Path) -> None:
    """Neither itself nor what the next callers read of it, though it repeats what was sent.

    A careless server may put the password where its code or its token should be.
    """
    lease = LeaseSettings(logins_per_minute=100)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:
        for body in ANSWERS:
            planted.sandbox.fault("certlogin", "non_object", body=body)
            for _ in range(2):
                with pytest.raises(BetfairSessionError) as caught:
                    manager.get_session(tmp_path, KEY)
                assert planted.found_in(everything_in(caught.value)) == []
            assert planted.found_in((tmp_path / f"{KEY}.login").read_bytes()) == []
            manager.unlock(tmp_path, KEY)
    assert planted.sandbox.counts() == {"certlogin": len(ANSWERS)}
    assert planted.found_in(said.text()) == []


def test_no_failure_of_a_local_store_shows_a_secret(
    planted: Planted, said: Said, tmp_path: Path
) -> None:
    """Not written, somebody's data, nobody's directory, another's login, too many logins."""
    errors = []
    lease = LeaseSettings(logins_per_minute=1)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:

        def fail(place: Path, key: str = KEY, timeout: float = 10) -> None:
            with pytest.raises(BetfairSessionError) as caught:
                manager.get_session(place, key, timeout=timeout)
            errors.append(caught.value)

        broken = tmp_path / "broken"
        planted.sandbox.break_store(str(broken))
        fail(broken)
        planted.sandbox.fault("logout", "reset", times=None)
        planted.sandbox.break_store(str(tmp_path / "worse"))
        fail(tmp_path / "worse")
        planted.sandbox.clear_faults()
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        token = manager.get_session(data, KEY)
        (data / "other").write_text(f"{token} {PASSWORD} " * 100, "utf-8")
        fail(data, "other")
        (data / KEY).write_text(f"{token} {PASSWORD}", "utf-8")
        fail(data, "../up")
        planted.sandbox.expire_all()
        fail(data)  # the brake
        (tmp_path / "file").write_text(token, "ascii")
        fail(tmp_path / "file")
    shown = "\n".join(map(everything_in, errors))
    assert len({type(error) for error in errors}) >= 4
    assert planted.found_in(shown) == []
    assert planted.found_in(said.text()) == []


@pytest.mark.parametrize("endpoint", ["certlogin", "keepAlive"])
def test_no_failure_in_an_event_loop_shows_a_secret(
    planted: Planted, said: Said, tmp_path: Path, endpoint: str
) -> None:
    """The same for tasks, with asyncio's debugging on, alone and when many share the failure."""
    token = tmp_path / KEY
    private(token, planted.sandbox.issue(USERNAME))
    planted.secrets()
    if endpoint == "certlogin":
        planted.sandbox.expire_all()
    planted.sandbox.fault(endpoint, "blocked", times=None)

    async def ask(session: Session) -> Sequence[BaseException | str]:
        calls = (session.atoken(), session.arenew(token.read_text("ascii")), session.atoken())
        return await asyncio.gather(*calls, return_exceptions=True)

    with planted.client() as client, planted.manager(client) as manager:
        errors = asyncio.run(ask(manager.session(tmp_path, KEY)), debug=True)
    assert [type(error) for error in errors] == [Blocked] * 3
    shown = "\n".join(everything_in(error) for error in errors if isinstance(error, Exception))
    assert planted.found_in(shown) == []
    assert planted.found_in(said.text()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a thread a signal")
def test_an_interrupt_shows_no_secret(planted: Planted, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a login, after Betfair has made a session."""
    planted.sandbox.hold("certlogin", "after")

    def interrupt() -> None:
        planted.sandbox.wait_for("certlogin")
        planted.secrets()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with planted.client() as client, planted.manager(client) as manager:
        thread.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            manager.get_session(tmp_path, KEY)
    thread.join()
    planted.sandbox.release("certlogin")
    assert any(name.startswith("token") for name in planted.secrets())
    assert planted.found_in(everything_in(caught.value)) == []


def _wrong_arguments(planted: Planted, directory: Path) -> dict[str, Callable[[], object]]:
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(planted.key_lines)
    client = planted.client()
    token = planted.sandbox.issue(USERNAME)
    session = planted.manager(client).session(directory, KEY)
    write_files(directory, "client", create("client"))
    (directory / ".env").write_text(f"BETFAIR_PASSWORD={PASSPHRASE}\nnot a line\n", "utf-8")
    good = {"BETFAIR_USERNAME": "u", "BETFAIR_PASSWORD": "p", "BETFAIR_APP_KEY": "k"}
    odd = PASSPHRASE + "\ud800"
    return {
        "app key": lambda: IdentityClient(APP_KEY + " "),
        "keepAlive": lambda: client.keep_alive(token + "\n"),
        "check": lambda: client.check(token + "\n"),
        "logout": lambda: client.logout(token + "\n"),
        "certlogin": lambda: IdentityClient("k").certlogin(USERNAME, PASSWORD),
        "two-step code": lambda: SessionManager(client, USERNAME, PASSWORD, two_step=CODE + "\n"),
        "two-step question": lambda: client.login(USERNAME, PASSWORD, code=lambda: CODE + 1),  # type: ignore[operator] # it fails
        "login_timeout": lambda: SessionManager(client, USERNAME, PASSWORD, login_timeout=0),
        "sharing": lambda: SessionManager(client, USERNAME, PASSWORD, share_verification=True),
        "no UTF-8": lambda: SessionManager(client, USERNAME, PASSWORD + "\udcff"),
        "renew": lambda: session.renew(token, timeout=0),
        "key as path": lambda: Certificate.from_files("client.crt", key),
        "pair with key": lambda: Certificate.of(("client.crt", key)),
        "damaged key": lambda: Certificate.of(key.encode()).check(),
        "damaged text": lambda: Certificate.from_pem(key, key, PASSPHRASE).check(),
        "no base64": lambda: Certificate.from_pkcs12_base64(key, PASSPHRASE).check(),
        "wrong passphrase": lambda: Certificate.from_pkcs12(planted.p12, PASSPHRASE[1:]).check(),
        "odd passphrase": lambda: Certificate.from_pkcs12(planted.p12, odd).check(),
        "name of files": lambda: create("a/b", 1, Secret(PASSPHRASE)),
        "existing files": lambda: write_files(
            directory, "client", create("client", 1, Secret(PASSPHRASE))
        ),
        ".env": lambda: Environment({}, directory / ".env"),
        "storage options": lambda: Environment(
            {"BETFAIR_SESSION_STORE": "s", "BETFAIR_SESSION_KEY": "k",
             "BETFAIR_STORAGE_OPTIONS": PASSWORD}, None,
        ).place(),
        "variables": lambda: from_env({**good, "BETFAIR_CERT_FILE": key}, None),
        "store with password": lambda: session_at(planted, f"nosuch://u:{PASSPHRASE}@host/x"),
        "store with @": lambda: session_at(planted, f"nosuch://u:a@{PASSPHRASE}@host/x"),
        "store with slash": lambda: session_at(planted, f"nosuch://u:{PASSPHRASE}/@host/x"),
        "store with query": lambda: session_at(planted, f"nosuch://host/x?sig={PASSPHRASE}"),
    }  # fmt: skip


def session_at(planted: Planted, store: str) -> object:
    """Name a place."""
    return planted.manager(planted.client()).session(store, KEY)


# What the caller wrote into a store's URL, or hands over as a mapping of variables, is in the
# locals of whoever takes it; only what is said of it is searched.
_SAID_ONLY = ("store with", "variables", "storage options")


def test_no_wrong_argument_is_repeated(planted: Planted, said: Said, tmp_path: Path) -> None:
    """Neither in the error nor in the locals of our frames."""
    shown = {}
    for name, wrong in _wrong_arguments(planted, tmp_path).items():
        with pytest.raises(BetfairSessionError) as caught:
            wrong()
        error = caught.value
        said_only = f"{error} {error!r} {error.args} {vars(error)}"
        text = said_only if name.startswith(_SAID_ONLY) else everything_in(error)
        shown[name] = planted.found_in(text)
    assert {name: found for name, found in shown.items() if found} == {}
    assert len(shown) > 20
    assert planted.found_in(said.text()) == []
