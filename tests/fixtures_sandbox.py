"""Fixtures: one sandbox per test process, reset before each test, and a client that talks to it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import kept
import pytest
from command_line import CommandLine
from front import EARLIER, Front, identity
from servers.listeners import Stranger
from within import waits_of

from betfair_session import IdentityClient, Session
from betfair_session.exchange import auth
from betfair_session.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    """The sandbox of this test process, in the state that the last test left."""
    with kept.one_sandbox() if kept.KEEP else Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def threads_of_earlier_tests() -> None:
    EARLIER.clear()
    EARLIER.update(threading.enumerate())


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """A sandbox as it was when it started: no session, no fault, no order, an empty journal."""
    sandbox_process.reset()
    auth._known.clear()
    return sandbox_process


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[IdentityClient]:
    with identity(sandbox) as client:
        yield client


@pytest.fixture
def front(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Front:
    return Front(client, sandbox, tmp_path)


@pytest.fixture
def stranger(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Another server than the sandbox, with a bundle by which both are trusted."""
    return Stranger(tmp_path_factory.mktemp("stranger") / "both.pem", sandbox.ca_bundle)


@pytest.fixture
def betting_session(front: Front) -> Session:
    """A handle that asks Betfair once in 15 minutes and may log in as often as a test likes."""
    return front.session(verify_every=timedelta(minutes=15))


@pytest.fixture
def command(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    """The command, whose handlers of signals end with the test; a program's end with it."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield CommandLine(sandbox, tmp_path, monkeypatch)
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Look no name up before this event."""
    found, look_up = threading.Event(), socket.getaddrinfo

    def slowly(*args: Any) -> Any:  # noqa: ANN401 - the system's own
        assert found.wait(60)
        return look_up(*args)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    return found


@pytest.fixture
def short_waits() -> Iterator[None]:
    """Waits take 3 % of their time in this process, and no less by the waiting call's clock."""
    with waits_of(0.03):
        yield
