"""Every way in which a call can fail, and nothing secret in what is said of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

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
from hidden.conftest import Fails, Said
from hidden.planted import APP_KEY, CODE, PASSPHRASE, PASSWORD, USERNAME, Planted

pytestmark = pytest.mark.usefixtures("short_waits")

KEY = "session.token"


def token_in(path: Path, planted: Planted) -> str:
    """Store a token that lives."""
    token = planted.sandbox.issue(USERNAME)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(token)
    return token


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


def test_no_refusal_shows_a_secret(planted: Planted, fails: Fails, tmp_path: Path) -> None:
    """Nor what the next callers read of it, where a careless server repeats what was sent."""
    events: list[Event] = []
    settings = {"lease": LeaseSettings(logins_per_minute=100), "on_event": events.append}
    with planted.client() as client, planted.manager(client, **settings) as manager:
        for body in ANSWERS:
            planted.sandbox.fault("certlogin", "non_object", body=body)
            for _ in range(2):
                fails(lambda: manager.get_session(tmp_path, KEY))
            assert planted.found_in((tmp_path / f"{KEY}.login").read_bytes()) == []
            manager.unlock(tmp_path, KEY)
    assert planted.sandbox.counts() == {"certlogin": len(ANSWERS)}
    assert events
    assert planted.found_in(repr(events)) == []


def test_no_failure_of_a_local_store_shows_a_secret(
    planted: Planted, fails: Fails, tmp_path: Path
) -> None:
    """Not written, somebody's data, nobody's directory, another's login, too many logins."""
    sandbox, data, file = planted.sandbox, tmp_path / "data", tmp_path / "file"
    lease = LeaseSettings(logins_per_minute=1)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:

        def fail(place: Path, key: str = KEY) -> type[Exception]:
            return type(fails(lambda: manager.get_session(place, key, timeout=10)))

        kinds = set()
        for name in ("broken", "worse"):
            sandbox.break_store(str(tmp_path / name))
            kinds.add(fail(tmp_path / name))
            sandbox.fault("logout", "reset", times=None)
        sandbox.clear_faults()
        data.mkdir(mode=0o700)
        token = manager.get_session(data, KEY)
        (data / "other").write_text(f"{token} {PASSWORD} " * 100, "utf-8")
        (data / KEY).write_text(f"{token} {PASSWORD}", "utf-8")
        kinds |= {fail(data, "other"), fail(data, "../up")}
        sandbox.expire_all()
        file.write_text(token, "ascii")
        kinds |= {fail(data), fail(file)}  # the brake, and no directory
    assert len(kinds) >= 4


@pytest.mark.parametrize("endpoint", ["certlogin", "keepAlive"])
def test_no_failure_in_an_event_loop_shows_a_secret(
    planted: Planted, said: Said, tmp_path: Path, endpoint: str
) -> None:
    """The same for tasks, with asyncio's debugging on, alone and when many share the failure."""
    token = token_in(tmp_path / KEY, planted)
    planted.secrets()
    if endpoint == "certlogin":
        planted.sandbox.expire_all()
    planted.sandbox.fault(endpoint, "blocked", times=None)

    async def ask(session: Session) -> Sequence[BaseException | str]:
        calls = (session.atoken(), session.arenew(token), session.atoken())
        return await asyncio.gather(*calls, return_exceptions=True)

    with planted.client() as client, planted.manager(client) as manager:
        errors = asyncio.run(ask(manager.session(tmp_path, KEY)), debug=True)
    assert [type(error) for error in errors] == [Blocked] * 3
    shown = "\n".join(everything_in(error) for error in errors if isinstance(error, Exception))
    assert planted.found_in(shown + said.text()) == []


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
        "no client": lambda: SessionManager(None, USERNAME, PASSWORD),  # type: ignore[arg-type] # yes
        "sharing": lambda: SessionManager(client, USERNAME, PASSWORD, share_verification=True),
        "no UTF-8": lambda: SessionManager(client, USERNAME, PASSWORD + "\udcff"),
        "renew": lambda: session.renew(token, timeout=0),
        "key as path": lambda: Certificate.from_files("client.crt", key),
        "pair with key": lambda: Certificate.of(("client.crt", key)),
        "client with key": lambda: IdentityClient("app-key", ("client.crt", key)),
        "key and a wrong address": lambda: IdentityClient("app-key", key, identity_url="http://x"),
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
    assert planted.found_in(said.text()) == []
