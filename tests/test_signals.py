"""What a signal handler of the caller's raises goes through, and leaves nothing held behind."""

from __future__ import annotations

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

import pytest
import requests
from front import KEY, LOCK, live
from within import within

from betfair_session import Exchange, IdentityClient, KeepAlive, Session, SessionManager
from betfair_session.certificates import reading
from betfair_session.login import lock as locks
from betfair_session.process.threads import interruption
from betfair_session.storage import open_store
from betfair_session.storage.errors import Operation, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

    Strike = Callable[[str], Future[None]]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a thread a signal")

READ = Operation("read", "a store", KEY)


class SoftTimeLimit(Exception):
    """As task queues raise it in the midst of a task."""


@pytest.fixture(params=[TimeoutError, SoftTimeLimit, ValueError, FileNotFoundError])
def limit(request: pytest.FixtureRequest) -> Iterator[Exception]:
    """Return what SIGUSR1 raises in the main thread."""
    error: Exception = request.param()

    def handle(_signum: int, _frame: object) -> NoReturn:
        raise error

    earlier = signal.signal(signal.SIGUSR1, handle)
    yield error
    signal.signal(signal.SIGUSR1, earlier)


@pytest.fixture
def strike_at(sandbox: Sandbox) -> Iterator[Callable[[str], Future[None]]]:
    """Return what sends the main thread the signal once a request of it is under way."""
    with ThreadPoolExecutor(1) as pool:

        def strike(endpoint: str) -> None:
            sandbox.wait_for(endpoint)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

        yield lambda endpoint: pool.submit(strike, endpoint)


EARLIER: set[threading.Thread] = set()
"""The threads that other tests have left behind, which may wait for their own time-outs."""


@pytest.fixture(autouse=True)
def _note_earlier_threads() -> None:
    EARLIER.update(threading.enumerate())


def let_finish() -> None:
    """Wait for the threads of this test's calls that were given up."""
    for thread in set(threading.enumerate()) - EARLIER:
        if thread.name == "betfair-session":
            thread.join()


def session_of(client: IdentityClient, sandbox: Sandbox, path: Path) -> Session:
    """Return a handle as another process has it."""
    return SessionManager(client, sandbox.username, sandbox.password).session(path, KEY)


@pytest.fixture
def session(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """A handle; nobody has logged in yet."""
    return session_of(client, sandbox, tmp_path)


@pytest.mark.parametrize("endpoint", ["keepAlive", "certlogin"])
def test_a_limit_during_a_question_to_betfair(
    session: Session,
    sandbox: Sandbox,
    *,
    tmp_path: Path,
    limit: Exception,
    strike_at: Strike,
    endpoint: str,
) -> None:
    """The lock is given back, and the handle is free. KeepAlive does not report it."""
    if endpoint == "keepAlive":
        session.token()
    sandbox.hold(endpoint)
    struck = strike_at(endpoint)
    call = KeepAlive(session).run_once if endpoint == "keepAlive" else session.token
    with pytest.raises(type(limit)) as caught:
        call()
    assert caught.value is limit
    struck.result()
    sandbox.release(endpoint)
    lock = locks.decode((tmp_path / LOCK).read_bytes())
    # A login that may have arrived is respected for a moment by all.
    assert lock.state == (locks.DONE if endpoint == "keepAlive" else locks.FAILED)
    session.unlock()
    assert session.token() in live(sandbox)
    let_finish()


def test_a_limit_during_anothers_call(
    session: Session, sandbox: Sandbox, limit: Exception, strike_at: Strike
) -> None:
    """Who waits is not told that the other took too long; and that one goes on."""
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(1) as pool:
        leading = pool.submit(session.token)
        sandbox.wait_for("certlogin")
        struck = strike_at("certlogin")
        with pytest.raises(type(limit)):
            session.token()
        struck.result()
        sandbox.release("certlogin")
        assert [leading.result()] == live(sandbox)


def test_a_limit_is_not_shared(session: Session, sandbox: Sandbox, limit: Exception) -> None:
    """It is the main thread's alone; another that waits for its call makes one itself."""
    token = session.token()
    sandbox.hold("keepAlive")
    waits = threading.Event()
    join = session._flight._enter

    def enter(mine: object) -> object:
        waits.set()
        return join(mine)  # type: ignore[arg-type] # as it came

    with ThreadPoolExecutor(2) as pool:

        def strike() -> None:
            sandbox.wait_for("keepAlive")
            session._flight._enter = enter  # type: ignore[method-assign, assignment]
            waiting.append(pool.submit(session.token))
            assert waits.wait(60)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

        waiting: list[Future[str]] = []
        struck = pool.submit(strike)
        with pytest.raises(type(limit)):
            session.token()
        struck.result()
        sandbox.release("keepAlive")
        assert waiting[0].result() == token
    let_finish()


def test_a_limit_in_a_hook_or_in_what_brings_the_code(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, limit: Exception
) -> None:
    """It is not taken for a defect of theirs."""

    def struck(_: object = None) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return ""

    told = SessionManager(client, sandbox.username, sandbox.password, on_event=struck)
    session = told.session(tmp_path, KEY)
    with pytest.raises(type(limit)):
        session.token()
    assert live(sandbox) == [(tmp_path / KEY).read_text()]
    with pytest.raises(type(limit)):
        KeepAlive(session_of(client, sandbox, tmp_path), on_report=struck).run_once()
    sandbox.clear_journal()
    with pytest.raises(type(limit)):
        client.login(sandbox.username, sandbox.password, code=struck)
    assert sandbox.counts() == {}


def test_a_limit_during_a_betting_call(
    session: Session, sandbox: Sandbox, limit: Exception, strike_at: Strike
) -> None:
    """Neither by `call`, nor by `requests`, which makes its own of what it does not expect."""
    with Exchange(session, api_url=sandbox.api_url, verify=sandbox.ca_bundle) as exchange:
        session.token()
        sandbox.hold("betting")
        struck = strike_at("betting")
        with pytest.raises(type(limit)):
            exchange.call("listEventTypes", {"filter": {}})
        struck.result()
        sandbox.release("betting")
        let_finish()
        sandbox.clear_journal()
        sandbox.hold("betting")
        struck = strike_at("betting")
        url = f"{sandbox.api_url}betting/rest/v1.0/listEventTypes/"
        with pytest.raises((type(limit), requests.RequestException)):
            exchange.requests.post(url, json={"filter": {}})
        struck.result()
        sandbox.release("betting")
        assert sandbox.counts()["betting"] == 1


def test_a_limit_during_a_call_of_a_store(limit: Exception) -> None:
    """Whatever its type would mean, and what a driver makes of it."""

    def work() -> NoReturn:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except Exception as error:
            message = "wrapped"
            raise OSError(message) from error
        raise AssertionError

    for each in (partial(signal.raise_signal, signal.SIGUSR1), work):
        with pytest.raises(type(limit)) as caught:
            attempt(each, READ)
        assert caught.value is limit
        assert caught.value.__context__ is None


@pytest.mark.parametrize("struck", ["store", "file", "parser", "clock"])
def test_a_limit_while_something_is_opened_or_read(
    limit: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, struck: str
) -> None:
    """It is no fault of a driver, a file or its content."""

    def strike(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGUSR1)

    (tmp_path / "client.crt").write_text("")
    client = IdentityClient("key", (tmp_path / "client.crt", tmp_path / "client.crt"))
    calls: dict[str, tuple[str, object, Callable[[], object]]] = {
        "store": ("storage.run_until", strike, lambda: open_store("memory://x")),
        "file": ("certificates.reading.open", strike, lambda: client.certlogin("user", "password")),
        "parser": ("certificates.reading.re", re, lambda: reading.attempt(strike)),
        "clock": (
            "storage.obstore.run_until",
            strike,
            lambda: open_store("obstore+s3://b").server_now(deadline=within(5)),
        ),
    }
    name, stand_in, call = calls[struck]
    monkeypatch.setattr(f"betfair_session.{name}", stand_in, raising=False)
    with pytest.raises(type(limit)):
        call()


class Handler:
    """One that is no function, and raises further down."""

    def __call__(self, *_: object) -> None:
        """Handle a signal, once."""
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.fail()

    def fail(self) -> NoReturn:
        """Raise."""
        raise TimeoutError


@pytest.mark.parametrize(
    "handler",
    [
        Handler(),
        partial(lambda _given, _signum, _frame: Handler().fail(), "given"),
    ],
    ids=["object", "partial"],
)
def test_handlers_of_all_kinds_are_known(handler: Callable[..., object]) -> None:
    """Also after they have been replaced."""
    earlier = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(TimeoutError) as caught:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    assert interruption(caught.value) is caught.value


def test_other_errors_are_not_taken_for_a_handlers(limit: Exception) -> None:
    """Neither a driver's own, nor one in a call that is made while a limit's is handled."""

    def fail(*_: object) -> NoReturn:
        raise TimeoutError

    try:
        signal.raise_signal(signal.SIGUSR1)
    except type(limit):
        with pytest.raises(TimeoutError) as caught:
            fail(1, SimpleNamespace())
    assert caught.value.__context__ is limit
    assert interruption(caught.value) is None
