"""Stores whose driver connects when it is made: the call's time holds, and nobody else waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from betfair_session import IdentityUnavailable, LeaseSettings, SessionManager, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from betfair_session import IdentityClient
    from betfair_session.sandbox import Sandbox

KEY = "session.token"
URL = "silent://host/tokens"


class Silent:
    """The server of a driver that connects when it is made: it takes connections and says nothing.

    Attributes:
        met: set when somebody has connected.
        enough: set to have it hang up.
    """

    def __init__(self) -> None:
        """Begin."""
        self.met, self.enough = threading.Event(), threading.Event()

    def connect(self) -> None:
        """Wait for its first word."""
        self.met.set()
        self.enough.wait(60)
        raise ConnectionResetError


@pytest.fixture
def silent() -> Iterator[Silent]:
    """Return it, running."""
    server = Silent()

    class Driver(MemoryFileSystem):  # type: ignore[misc] # fsspec is untyped
        protocol = "silent"

        def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
            super().__init__(*arguments, **options)
            server.connect()

    fsspec.register_implementation("silent", Driver, clobber=True)
    yield server
    server.enough.set()


@pytest.fixture
def patient(client: IdentityClient, sandbox: Sandbox) -> SessionManager:
    """A manager that would wait for a store longer than any of these tests."""
    lease = LeaseSettings(ttl=120, store_deadline=50)
    return SessionManager(
        client, sandbox.username, sandbox.password, lease=lease, login_timeout=1000
    )


@pytest.mark.usefixtures("silent")
def test_the_time_ends_the_opening(
    patient: SessionManager, client: IdentityClient, sandbox: Sandbox
) -> None:
    """That of the call; a handle's opening has the lease's store_deadline."""
    lease = LeaseSettings(ttl=20, store_deadline=0.5)
    quick = SessionManager(client, sandbox.username, sandbox.password, lease=lease)
    calls: list[Callable[[], object]] = [
        lambda: patient.get_session(URL, KEY, timeout=0.5),
        lambda: asyncio.run(patient.aget_session(URL, KEY, timeout=0.5)),
        lambda: quick.session(URL, KEY),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert (caught.value.reason, caught.value.landed) == ("timeout", False)


def test_other_stores_are_opened_meanwhile(
    patient: SessionManager, sandbox: Sandbox, silent: Silent
) -> None:
    """One that hangs keeps nobody from a token kept elsewhere."""
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(patient.session, URL, KEY)
        assert silent.met.wait(60)
        patient.get_session("memory://beside", KEY)
        assert not hanging.done()
        silent.enough.set()
        with pytest.raises(StoreUnavailable):
            hanging.result()
    assert sandbox.counts() == {"certlogin": 1}


def test_the_loop_goes_on_while_a_store_is_opened(patient: SessionManager, silent: Silent) -> None:
    """Other tasks run; a cancelled one leaves the work to its thread."""

    async def main() -> None:
        asking = asyncio.create_task(patient.aget_session(URL, KEY))
        assert await asyncio.to_thread(silent.met.wait, 60)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(main())


def test_without_threads_a_task_is_told(
    patient: SessionManager, no_threads: Callable[[], AbstractContextManager[None]]
) -> None:
    """Nothing was sent, so that the next call need not wait for anything."""

    async def ask() -> str:
        with no_threads():
            return await patient.aget_session("memory://beside", KEY)

    with pytest.raises(IdentityUnavailable) as caught:
        asyncio.run(ask())
    assert caught.value.sent is False


def test_threads_that_open_at_once_get_one_handle(
    patient: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but one of the stores that they opened are closed again."""
    import betfair_session.manager as manager_module
    from betfair_session.storage import open_store

    together = threading.Barrier(4)
    opened, closed = [], []

    def open_together(*arguments: object, **settings: object) -> object:
        store = open_store(*arguments, **settings)  # type: ignore[arg-type]
        monkeypatch.setattr(store, "close", lambda: closed.append(store))
        opened.append(store)
        together.wait(60)
        return store

    monkeypatch.setattr(manager_module, "open_store", open_together)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(patient.session, "memory://together", KEY) for _ in range(4)]
    (handle,) = {each.result() for each in asked}
    assert sorted(map(id, [*closed, handle.store])) == sorted(map(id, opened))


def test_keys_of_one_place_share_what_was_opened(patient: SessionManager) -> None:
    """With the same options; a bucket's driver takes a third of a second to start."""
    one, other = (patient.session("memory://shared", key) for key in ("a", "b"))
    with_options = patient.session("memory://shared", "a", {"use_listings_cache": False})
    assert one is not other
    assert one.store is other.store
    assert with_options.store is not one.store
    assert patient.session("memory://elsewhere", "a").store is not one.store
    patient.close()
    assert patient.session("memory://shared", "a").store is not one.store


LATE = """
import atexit, sys
from betfair_session import IdentityClient, SessionManager, StoreUnavailable

manager = SessionManager(IdentityClient("key"), "user", "password")

def ask():
    for url in sys.argv[1:]:
        for call in (manager.get_session, manager.logout):
            try:
                call(url, "session.token")
            except StoreUnavailable as error:
                print(error.reason, error.landed)

atexit.register(ask)
"""


def test_a_first_call_while_python_shuts_down_is_an_error_of_ours() -> None:
    """The drivers' event loops want threads and executors, which Python refuses by then."""
    urls = ["memory://late", "s3://b/p", "gs://b/p", "abfs://c/p"]
    command = [sys.executable, "-c", LATE, *urls]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.stdout, ended.stderr) == ("busy False\n" * 8, "")
