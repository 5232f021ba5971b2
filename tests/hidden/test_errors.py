"""Every way in which a call can fail, and no secret in the error or the log."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from traceback import walk_tb
from unittest.mock import Mock

import pytest
from secrets_shown import everything_in
from storage.places import LocalPlace

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
from hidden.conftest import Fails, Said
from hidden.planted import APP_KEY, CODE, PASSPHRASE, PASSWORD, USERNAME, Planted

pytestmark = pytest.mark.usefixtures("short_waits")

KEY = "session.token"


def test_no_failure_of_a_local_store_shows_a_secret(
    planted: Planted, fails: Fails, tmp_path: Path
) -> None:
    """Not written, someone else's data, no directory, another's login, too many logins."""
    sandbox, data, file = planted.sandbox, tmp_path / "data", tmp_path / "file"
    lease = LeaseSettings(logins_per_minute=1)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:

        def fail(place: Path, key: str = KEY) -> type[Exception]:
            return type(fails(lambda: manager.get_session(place, key, timeout=10)))

        kinds = set()
        for name in ("broken", "worse"):
            sandbox.hold("certlogin", "after")
            with ThreadPoolExecutor(1) as pool:
                failed = pool.submit(fail, tmp_path / name)
                sandbox.wait_for("certlogin")
                (tmp_path / name).rename(tmp_path / f"{name} aside")
                (tmp_path / name).touch()
                sandbox.release("certlogin")
            kinds.add(failed.result())
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


def test_no_failure_shows_a_token_that_is_trusted(
    planted: Planted, fails: Fails, tmp_path: Path
) -> None:
    """Not even where a line of ours names it."""
    window = timedelta(minutes=5)
    with planted.client() as client, planted.manager(client, verify_every=window) as manager:
        session = manager.session(tmp_path, KEY)
        token = session.token()
        planted.sandbox.fault("keepAlive", "blocked", times=None)
        for work in (session.verify, lambda: session.renew(token)):
            assert type(fails(work)) is Blocked


@pytest.mark.parametrize("endpoint", ["certlogin", "keepAlive"])
def test_no_failure_in_an_event_loop_shows_a_secret(
    planted: Planted, said: Said, tmp_path: Path, endpoint: str
) -> None:
    """The same for tasks, with asyncio's debugging on, alone and when many share the failure."""
    token = planted.sandbox.issue(USERNAME)
    planted.secrets()
    LocalPlace(tmp_path).put(KEY, token.encode())
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
    assert planted.found_in(shown + said()) == []


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


def test_an_interrupt_shows_no_key_that_was_read(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `load_cert_chain` a frame of ours has the encrypted key, and what opens it."""
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", Mock(side_effect=KeyboardInterrupt))
    with planted.client() as client, pytest.raises(KeyboardInterrupt) as caught:
        client.certlogin(USERNAME, PASSWORD)
    frames = [frame for frame, _ in walk_tb(caught.tb)]
    inside = [each for each in frames if "betfair_session/certificates" in each.f_code.co_filename]
    assert inside
    assert all(not each.f_locals for each in inside)


@pytest.mark.parametrize("module", ["answers", "transport", "certificates"])
def test_an_import_that_fails_shows_no_secret(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Such as one that Ctrl-C interrupts; the first call that needs a module imports it."""
    client, token = planted.client(), planted.sandbox.issue(USERNAME)
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(planted.key_lines)
    planted.secrets()
    home = "betfair_session" if module == "certificates" else "betfair_session.betfair"
    monkeypatch.setitem(sys.modules, f"{home}.{module}", None)
    errors: list[BetfairSessionError | ImportError] = []
    for work in (
        lambda: client.certlogin(USERNAME, PASSWORD),
        lambda: client.login(USERNAME, PASSWORD, code=CODE),
        lambda: client.check(token),
        lambda: client.keep_alive(token),
        lambda: client.logout(token),
        lambda: IdentityClient(APP_KEY, key),
        lambda: IdentityClient(APP_KEY, ("client.crt", key)),
        lambda: IdentityClient(APP_KEY, key.encode()),
    ):
        try:
            work()
        except (ImportError, BetfairSessionError) as error:
            errors.append(error)
    assert [type(error) for error in errors].count(ModuleNotFoundError) >= 2
    assert planted.found_in("".join(map(everything_in, errors))) == []


def test_no_wrong_argument_is_repeated(planted: Planted, fails: Fails, tmp_path: Path) -> None:
    """Neither in the error nor in the locals of our frames."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "\n".join(planted.key_lines)
    client, token = planted.client(), planted.sandbox.issue(USERNAME)
    manager = partial(SessionManager, client, USERNAME)
    session = manager(PASSWORD).session(tmp_path, KEY)
    write_files(tmp_path, "client", create("client"))
    (tmp_path / ".env").write_text(f"BETFAIR_PASSWORD={PASSPHRASE}\nnot a line\n", "utf-8")
    for wrong in (
        lambda: IdentityClient(APP_KEY + " "),
        lambda: client.keep_alive(token + "\n"),
        lambda: client.check(token + "\n"),
        lambda: client.logout(token + "\n"),
        lambda: IdentityClient("k").certlogin(USERNAME, PASSWORD),
        lambda: manager(PASSWORD, two_step=CODE + "\n"),
        lambda: client.login(USERNAME, PASSWORD, code=lambda: dict[str, str]()[CODE]),
        lambda: manager(PASSWORD, login_timeout=0),
        lambda: manager(PASSWORD, share_verification=True),
        lambda: SessionManager(None, USERNAME, PASSWORD),  # type: ignore[arg-type] # it is refused
        lambda: manager(PASSWORD + "\udcff"),
        lambda: session.renew(token, timeout=0),
        lambda: Certificate.from_files("client.crt", key),
        lambda: Certificate.of(("client.crt", key)),
        lambda: Certificate.from_files(f"{tmp_path}/client.crt", PASSPHRASE).check(),
        # As betfairlightweight takes them: the user's name, the password and the key.
        lambda: IdentityClient(USERNAME, PASSWORD).check_certificate(),
        lambda: IdentityClient("k", None, APP_KEY),  # type: ignore[arg-type] # it is refused
        lambda: IdentityClient("app-key", ("client.crt", key)),
        lambda: IdentityClient("app-key", key, identity_url="http://x"),
        lambda: Certificate.of(key.encode()).check(),
        lambda: Certificate.from_pem(key, key, PASSPHRASE).check(),
        lambda: Certificate.from_pkcs12_base64(key, PASSPHRASE).check(),
        lambda: Certificate.from_pkcs12(planted.p12, PASSPHRASE[1:]).check(),
        lambda: Certificate.from_pkcs12(planted.p12, PASSPHRASE + "\ud800").check(),
        lambda: create("a/b", 1, Secret(PASSPHRASE)),
        lambda: write_files(tmp_path, "client", create("client", 1, Secret(PASSPHRASE))),
        lambda: Environment({}, tmp_path / ".env"),
    ):
        fails(wrong)
    # What a caller writes into a URL, or passes as variables, is in the locals of our functions.
    account = {"BETFAIR_USERNAME": "u", "BETFAIR_PASSWORD": "p", "BETFAIR_APP_KEY": "k"}
    place = {"BETFAIR_SESSION_STORE": "s", "BETFAIR_SESSION_KEY": "k"}
    urls = (
        *(f"nosuch://u:{PASSPHRASE}@host/x", f"nosuch://u:a@{PASSPHRASE}@host/x"),
        *(f"nosuch://u:{PASSPHRASE}/@host/x", f"nosuch://host/x?sig={PASSPHRASE}"),
        f"s3://u:{PASSPHRASE}?@host/x",
    )
    works: list[Callable[[], object]] = [
        lambda: Environment({**place, "BETFAIR_STORAGE_OPTIONS": PASSWORD}, None).place(),
        lambda: from_env({**account, "BETFAIR_CERT_FILE": key}, None),
        *(partial(manager(PASSWORD).session, url, KEY) for url in urls),
    ]
    for work in works:
        with pytest.raises(BetfairSessionError) as caught:
            work()
        error = caught.value
        assert planted.found_in(f"{error} {error!r} {error.args} {vars(error)}") == []
