"""What tests of the front door share: a watched store, and calls that are under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from servers.process import poll

from betfair_session import IdentityClient, LeaseSettings, Session, SessionManager
from betfair_session.login import lock as locks
from betfair_session.process import T
from betfair_session.process.single_flight import SingleFlight
from betfair_session.sandbox import Sandbox
from betfair_session.storage.contract import Expect, StoredObject, TokenStore

KEY = "session.token"
LOCK = "session.token.login"
UNKNOWN = "A" * 43 + "="  # a token that Betfair does not know
BET = {"marketId": "1.1", "instructions": [{"selectionId": 7}]}
RPC, REST = "betting/json-rpc/v1", "betting/rest/v1.0/listEventTypes/"
PLACE_BY_REST = "betting/rest/v1.0/placeOrders/"
ORDER = {**BET, "customerRef": "mine"}
PLACE = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/placeOrders", "params": ORDER, "id": 2}
READ = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "params": {}, "id": 1}


def arguments(sandbox: Sandbox) -> dict[str, Any]:
    """Return what makes an IdentityClient one for a sandbox."""
    return {
        "app_key": sandbox.app_key,
        "certificate": sandbox.certificate,
        "identity_url": sandbox.identity_url,
        "identity_cert_url": sandbox.identity_cert_url,
        "api_url": sandbox.api_url,
        "verify": sandbox.ca_bundle,
    }


def identity(sandbox: Sandbox, **settings: Any) -> IdentityClient:  # noqa: ANN401 - a client's
    """Return a client for a sandbox, with other settings where they are given."""
    return IdentityClient(**{**arguments(sandbox), **settings})


EARLIER: set[threading.Thread] = set()
"""The threads of earlier tests; a fixture sees to it."""


def let_finish() -> None:
    """Wait for the threads of calls that were given up, except those of earlier tests."""
    for _ in poll(60):
        left = set(threading.enumerate()) - EARLIER
        if not any(thread.name == "betfair-session" for thread in left):
            return
    raise AssertionError("a call that was given up goes on")


@dataclass
class Front:
    """One account of the sandbox, and one directory that its token is kept in."""

    client: IdentityClient
    sandbox: Sandbox
    path: Path

    @property
    def token(self) -> Path:
        return self.path / KEY

    @property
    def lock(self) -> Path:
        return self.path / LOCK

    def manager(self, **settings: Any) -> SessionManager:  # noqa: ANN401 - the manager's
        """Return a manager as another process has it, which may log in as often as it likes."""
        given = {"lease": LeaseSettings(logins_per_minute=100), **settings}
        account = (self.sandbox.username, self.sandbox.password)
        return SessionManager(self.client, *account, **given)

    def session(self, **settings: Any) -> Session:  # noqa: ANN401 - the manager's
        return self.manager(**settings).session(self.path, KEY)

    def locked(self, **fields: Any) -> locks.Lock:  # noqa: ANN401 - any field's
        """Let another machine hold the lock, which was written just now."""
        lock = locks.Lock(locks.HELD, "0" * 16, "another machine", since=time.time())
        self.path.mkdir(exist_ok=True)
        self.lock.write_bytes(locks.encode(lock._replace(**fields)))
        return self.read_lock()

    def read_lock(self) -> locks.Lock:
        return locks.decode(self.lock.read_bytes())

    def live(self) -> list[str]:
        return [session.token for session in self.sandbox.sessions()]

    @contextmanager
    def under_way(
        self, endpoint: str, call: Callable[[], T], stage: str = "before"
    ) -> Iterator[Future[T]]:
        """Hold a call in a thread at one of Betfair's endpoints, for as long as the block lasts."""
        self.sandbox.hold(endpoint, stage)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(call)
            try:
                self.sandbox.wait_for(endpoint)
                yield future
            finally:
                self.sandbox.release(endpoint)


def lasting() -> list[threading.Thread]:
    """Return the library's threads for whose end Python waits."""
    ours = [each for each in threading.enumerate() if each.name == "betfair-session"]
    return [each for each in ours if not each.daemon]


def joined(flight: SingleFlight[Any]) -> SimpleQueue[None]:
    """Return a queue that gets an entry for each caller that joins another's call from now on."""
    callers = SimpleQueue[None]()

    class Noted(dict[int, Any]):
        def setdefault(self, key: int, default: Any = None) -> Any:  # noqa: ANN401 - as a dict's
            found = super().setdefault(key, default)
            if found is not default:
                callers.put(None)
            return found

    flight._calls = Noted(flight._calls)
    return callers


class Watched:
    """A handle's real store: it counts what is read, and a test may act around each call."""

    def __init__(self, session: Session) -> None:
        self._store: TokenStore = session.store
        self.reads: list[str] = []
        self.after_read: Callable[[str], object] = lambda _key: None
        self.before_write: Callable[[str, bytes], object] = lambda _key, _content: None
        self.before_delete: Callable[[], object] = lambda: None
        self._read = threading.Condition()
        session._store = self  # type: ignore[assignment] # it does as one

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        stored = self._store.get(key, deadline=deadline)
        self.after_read(key)
        with self._read:
            self.reads.append(key)
            self._read.notify_all()
        return stored

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        self.before_write(key, content)
        return self._store.put(key, content, expect, deadline=deadline)

    def delete(self, key: str, expect: Expect, *, deadline: float) -> None:
        self.before_delete()
        self._store.delete(key, expect, deadline=deadline)

    def wait_for_read(self, key: str) -> None:
        with self._read:
            assert self._read.wait_for(lambda: key in self.reads, 60)
