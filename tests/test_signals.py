"""What a caller's signal handler or tracer raises passes through, and blocks nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from http.client import HTTPConnection
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import requests
from front import BET, KEY, REST, Front, joined, let_finish
from fsspec.asyn import get_loop
from fsspec.implementations.memory import MemoryFileSystem
from secrets_shown import assert_hidden, everything_in
from within import within

from betfair_session import (
    Exchange,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    KeepAlive,
)
from betfair_session.betfair.by_requests import OwnSession
from betfair_session.certificates import reading
from betfair_session.login import lock as locks
from betfair_session.process.causes import interruption
from betfair_session.process.threads import Once
from betfair_session.sandbox import Sandbox
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY
from betfair_session.storage.errors import Operation, attempt
from betfair_session.storage.loop import background_loop, run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a thread a signal")

READ = Operation("read", "a store", KEY)


class SoftTimeLimit(Exception):
    """Raised by task queues in the middle of a task."""


class Further:
    """A handler that is no function, and raises further down."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit

    def __call__(self, *_: object) -> None:
        if self.limit.raises():
            self.fail()

    def fail(self) -> NoReturn:
        raise self.limit.error


def plainly(limit: Limit, _signum: int, _frame: object) -> None:
    if limit.raises():
        raise limit.error


class Limit:
    """What SIGUSR1 raises in the main thread."""

    def __init__(self, error: Exception, sandbox: Sandbox) -> None:
        self.error, self._sandbox = error, sandbox
        self._striking, self._struck = False, threading.Event()

    def raises(self) -> bool:
        """Return whether the handler raises the error; of a strike's signals, only the first."""
        again = self._striking and self._struck.is_set()
        self._struck.set()
        return not again

    @contextmanager
    def strikes(
        self, endpoint: str, callers: SimpleQueue[None] | None = None, *others: type[Exception]
    ) -> Iterator[None]:
        """End the block when a request of it is under way, and a caller has joined it."""
        self._sandbox.hold(endpoint)
        self._striking = True
        self._struck.clear()

        def strike() -> None:
            self._sandbox.wait_for(endpoint)
            if callers:
                callers.get(timeout=60)
            # If a signal comes just before Python waits for a lock, its handler runs after that.
            while not self._struck.is_set():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                self._struck.wait(0.1)

        with ThreadPoolExecutor(1) as pool:
            struck = pool.submit(strike)
            with pytest.raises((type(self.error), *others)) as caught:
                yield
            struck.result()
        self._striking = False
        assert caught.value is self.error or isinstance(caught.value, others)
        self._sandbox.release(endpoint)


@pytest.fixture(params=[TimeoutError, SoftTimeLimit, FileNotFoundError])
def limit(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Limit]:
    """Return what SIGUSR1 raises in the main thread."""
    error: Exception = request.param()
    made = Limit(error, sandbox)
    handler = partial(plainly, made) if request.param is SoftTimeLimit else Further(made)
    earlier = signal.signal(signal.SIGUSR1, handler)
    yield made
    let_finish()
    signal.signal(signal.SIGUSR1, earlier)


@pytest.mark.parametrize("endpoint", ["keepAlive", "certlogin"])
def test_a_limit_during_a_question_to_betfair(front: Front, limit: Limit, endpoint: str) -> None:
    """The lock is given back, and the handle is free. KeepAlive does not report it."""
    session = front.session()
    if endpoint == "keepAlive":
        session.token()
    with limit.strikes(endpoint):
        (KeepAlive(session).run_once if endpoint == "keepAlive" else session.token)()
    # All wait a moment for a login that may have arrived.
    assert front.read_lock().state == (locks.DONE if endpoint == "keepAlive" else locks.FAILED)
    session.unlock()
    assert session.token() in front.live()


def test_a_limit_during_anothers_call(front: Front, limit: Limit) -> None:
    """The waiter is not told that the other took too long; the other goes on."""
    session = front.session()
    with front.under_way("certlogin", session.token) as leading:
        with limit.strikes("certlogin", joined(session._flight)):
            session.token()
        assert [leading.result()] == front.live()


def test_a_limit_is_not_shared(front: Front, limit: Limit) -> None:
    """It concerns only the main thread; another that waits for its call makes one itself."""
    session = front.session()
    token = session.token()

    def wait() -> str:
        front.sandbox.wait_for("keepAlive")
        return session.token()

    with ThreadPoolExecutor(1) as pool:
        with limit.strikes("keepAlive", joined(session._flight)):
            waiting = pool.submit(wait)
            session.token()
        assert waiting.result() == token


def test_a_limit_in_a_hook_or_in_what_brings_the_code(front: Front, limit: Limit) -> None:
    """It is not taken for a defect of theirs."""

    def struck(_: object = None) -> str:
        signal.raise_signal(signal.SIGUSR1)
        return ""

    account = (front.sandbox.username, front.sandbox.password)
    for call in (
        front.session(on_event=struck).token,
        KeepAlive(front.session(), on_report=struck).run_once,
        lambda: front.client.login(*account, code=struck),
    ):
        with pytest.raises(type(limit.error)):
            call()
        assert front.live() == [front.token.read_text()]
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


@pytest.mark.parametrize("endpoint", ["betting", "certlogin"])
def test_a_limit_during_a_betting_call(front: Front, limit: Limit, endpoint: str) -> None:
    """A bet that its caller has given up, and may place again, is not sent any more.

    With `requests`, which turns what it does not expect into its own error, it is sent once.
    """
    sent = int(endpoint == "betting")
    with Exchange(front.session()) as exchange:
        url = front.sandbox.api_url + REST
        calls: list[Callable[[], object]] = [
            lambda: exchange.call("placeOrders", BET),
            lambda: exchange.requests.post(url, json={}),
        ]
        for call in calls:
            front.sandbox.clear_journal()
            with limit.strikes(endpoint, None, requests.RequestException):
                call()
            let_finish()
            assert front.sandbox.counts().get("betting", 0) == sent
            assert len(front.sandbox.orders()) == sent
            front.session().unlock()
            front.sandbox.expire_all()


def strike(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGUSR1)


class Struck(MemoryFileSystem):  # type: ignore[misc] # it is untyped
    """fsspec's memory, which runs in the thread that signals come to."""

    cat_file = strike


def wrap() -> NoReturn:
    """Fail like a driver that turns everything into its own error."""
    try:
        strike()
    except Exception as error:
        message = "wrapped"
        raise OSError(message) from error
    raise AssertionError


@pytest.mark.parametrize(
    "struck", ["call", "driver", "words", "opening", "memory", "file", "parser", "clock"]
)
def test_a_limit_in_a_store_or_a_file(
    limit: Limit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, struck: str
) -> None:
    """Its type may be that of an error of a driver, a file or its content; it is none of these."""
    (tmp_path / "client.crt").write_text("")
    client = IdentityClient("key", (tmp_path / "client.crt", tmp_path / "client.crt"))
    calls: dict[str, tuple[str, object, Callable[[], object]]] = {
        "call": ("", None, lambda: attempt(READ, strike)),
        "driver": ("", None, lambda: attempt(READ, wrap)),
        "words": ("storage.judging.judge", strike, lambda: attempt(READ, int, "no number")),
        "opening": ("storage.run_until", strike, lambda: open_store("memory://x")),
        "memory": ("", None, lambda: open_store((Struck(), "x")).get("k", deadline=within(5))),
        "file": ("certificates.reading.open", strike, lambda: client.certlogin("user", "password")),
        "parser": ("certificates.reading.re", re, lambda: reading.attempt(strike)),
        "clock": (
            "storage.obstore.run_until",
            strike,
            lambda: open_store("obstore+s3://b").server_now(deadline=within(5)),
        ),
    }
    name, stand_in, call = calls[struck]
    if name:
        monkeypatch.setattr(f"betfair_session.{name}", stand_in, raising=False)
    with pytest.raises(type(limit.error)) as caught:
        call()
    assert caught.value is limit.error
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("call", "step"),
    [
        ("read", "os.fstat"),
        *product(("create", "replace"), ("fcntl.flock", "os.scandir", "os.replace")),
        ("delete", "os.scandir"),
    ],
)
def test_a_limit_in_the_midst_of_a_local_file(
    limit: Limit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str, step: str
) -> None:
    """It is not taken for the file system's own error: no file, no lock, no rename."""
    store, soon = open_store(tmp_path), within(10)
    store.put("token", b"present", ABSENT, deadline=soon)
    # As on a disk of the machine itself: in this very thread.
    monkeypatch.setattr(store, "_on_disk", {"token": True, "new": True})
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: store.get("token", deadline=soon),
        "create": lambda: store.put("new", b"x", ABSENT, deadline=soon),
        "replace": lambda: store.put("token", b"x", ANY, deadline=soon),
        "delete": lambda: store.delete("token", deadline=soon),
    }
    with monkeypatch.context() as patch:
        patch.setattr(step, strike)
        with pytest.raises(type(limit.error)) as caught:
            calls[call]()
    assert caught.value is limit.error


def test_other_errors_are_not_taken_for_a_handlers(limit: Limit) -> None:
    """Neither a driver's own, nor one in a call that is made while a limit's error is handled."""

    def fail(*_: object) -> NoReturn:
        raise TimeoutError

    try:
        signal.raise_signal(signal.SIGUSR1)
    except type(limit.error):
        with pytest.raises(TimeoutError) as caught:
            fail(1, SimpleNamespace())
    assert caught.value.__context__ is limit.error
    assert interruption(caught.value) is None


# --- tracers --------------------------------------------------------------------------------------

SEGMENT: ContextVar[str] = ContextVar("SEGMENT", default="none")


class SegmentNotFound(Exception):
    """As a strict tracer raises it, out of the call that it wraps."""


async def segment() -> str:
    """Return what the running code belongs to."""
    return SEGMENT.get()


WAYS: dict[str, Callable[[], str]] = {
    "the opening of a driver": lambda: Once[str]().get(SEGMENT.get, deadline=within(60)),
    "our event loop": lambda: run(background_loop(), segment, deadline=within(60)),
    "our loop's look-ups": lambda: run(
        background_loop(),
        lambda: asyncio.get_running_loop().run_in_executor(None, SEGMENT.get),  # type: ignore[arg-type, return-value] # awaited likewise
        deadline=within(60),
    ),
    "fsspec's event loop": lambda: run(get_loop(), segment, deadline=within(60)),
}


@pytest.mark.parametrize("way", WAYS)
def test_our_threads_have_the_callers_context(way: str) -> None:
    """Each call has its own, even if an earlier call has started the thread that it uses."""
    for name in ("first", "second"):

        def ask(name: str = name) -> str:
            SEGMENT.set(name)
            return WAYS[way]()

        assert copy_context().run(ask) == name


def test_requests_belong_to_the_call_that_makes_them(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, put = list[tuple[str, str]](), HTTPConnection.putrequest

    def traced(self: HTTPConnection, method: str, url: str, **settings: Any) -> None:  # noqa: ANN401 - http.client's
        if f":{self.port}/" in front.sandbox.identity_cert_url + front.sandbox.identity_url:
            seen.append((url.rpartition("/")[2], SEGMENT.get()))
        put(self, method, url, **settings)

    monkeypatch.setattr(HTTPConnection, "putrequest", traced)
    session = front.session()
    for name, work in (
        ("sync", session.token),
        ("async", lambda: asyncio.run(session.atoken())),
        ("aside", lambda: asyncio.run(session.alogout())),
        ("kept", lambda: KeepAlive(session).start().stop()),
    ):
        context = copy_context()
        context.run(SEGMENT.set, name)
        context.run(work)
    asked = [("certlogin", "sync"), ("keepAlive", "async"), ("logout", "aside")]
    assert seen == [*asked, ("certlogin", "kept")]


@pytest.mark.usefixtures("short_waits")
def test_a_tracers_error_becomes_ours(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known whether anything was sent; and the error may hold what was to be sent."""
    client, sandbox, session = front.client, front.sandbox, front.session()
    token = session.token()

    def fail(_: object, *given: object, **named: object) -> NoReturn:
        raise SegmentNotFound(given, named)

    monkeypatch.setattr(HTTPConnection, "putrequest", fail)
    monkeypatch.setattr(OwnSession, "post", fail)
    for call in (
        session.verify,
        lambda: client.logout(token),
        lambda: client.certlogin(sandbox.username, sandbox.password),
    ):
        with pytest.raises(IdentityUnavailable) as caught:
            call()
        assert caught.value.sent
        assert_hidden(everything_in(caught.value), token, sandbox.password)
    with (
        Exchange(session) as exchange,
        pytest.raises(ExchangeError) as refused,
    ):
        exchange.call("listEventTypes", {"filter": {}})
    assert not refused.value.landed
