"""A proxy before a server, with a store that speaks through it: room for one case at a time."""

from __future__ import annotations

import copy
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from servers.proxy import Proxy
from within import within

from betfair_session import LeaseSettings, SessionManager
from betfair_session.storage import open_store
from faults.paths import identity
from faults.watched import CountingClient, WatchedStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket
    from storage.places import BucketPlace

    from betfair_session import Session
    from betfair_session.events import Event
    from betfair_session.sandbox import Sandbox
    from faults.paths import Site

SCALED = {"ttl": 14.0, "login_deadline": 6.0, "store_deadline": 2.0}
"""The lease of a call that is disturbed."""

CALM = {"ttl": 60.0, "login_deadline": 25.0, "store_deadline": 15.0}
"""The lease of one that is not."""


class Bench:
    """Betfair, and one bucket, for all cases of a store.

    Attributes:
        sandbox: Betfair.
        place: the bucket, past every proxy.
    """

    def __init__(self, sandbox: Sandbox, place: BucketPlace) -> None:
        """Take both as they are."""
        self.sandbox = sandbox
        self.place = place
        self._client = CountingClient(**identity(sandbox))
        self._direct = open_store(place.url(), place.options)

    @property
    def bucket(self) -> Bucket:
        """The bucket on its server."""
        return self.place.bucket

    def client(self) -> CountingClient:
        """Return a client with counts of its own; all share their connections."""
        client = copy.copy(self._client)
        client.forget()
        return client

    def session(
        self,
        site: Site,
        client: CountingClient,
        *,
        through: WatchedStore | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> Session:
        """Open a handle, new but for its connections.

        Args:
            site: where.
            client: speaks to Betfair.
            through: the store to use in place of the direct one; the lease is then scaled.
            on_event: told of everything.
        """
        manager = SessionManager(
            client,
            site.username,
            self.sandbox.password,
            lease=LeaseSettings(**(SCALED if through else CALM)),  # type: ignore[arg-type] # whole numbers
            interactive=True,  # to look at a certificate takes ten times as long as all the rest
            verify_every=site.window,
            share_verification=site.window is not None,
            on_event=on_event,
        )
        session = manager.session(self.place.url(), site.key, self.place.options)
        session._store = through or WatchedStore(self._direct)
        return session

    def close(self) -> None:
        """Close what was opened."""
        self._direct.close()
        self._client.close()


class Lane:
    """Room for one case at a time.

    Attributes:
        proxy: before the bucket's server.
        store: speaks through it.
    """

    def __init__(self, bench: Bench) -> None:
        """Open both, and the store's connection."""
        place = bench.place
        with ExitStack() as stack:
            self.proxy = stack.enter_context(Proxy(bench.bucket.server.port))
            options = bench.bucket.server.options(self.proxy.endpoint)
            self.store = stack.enter_context(open_store(place.url(), options))
            self.store.get("nothing", deadline=within(60))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close both."""
        self._stack.close()


class Lanes:
    """A lane for each thread, opened when it first asks."""

    def __init__(self, bench: Bench) -> None:
        """Begin without any."""
        self._bench = bench
        self._mine = threading.local()
        self._all: list[Lane] = []

    def mine(self) -> Lane:
        """Return this thread's lane."""
        lane: Lane | None = getattr(self._mine, "lane", None)
        if lane is None:
            lane = self._mine.lane = Lane(self._bench)
            self._all.append(lane)
        return lane

    def close(self) -> None:
        """Close all."""
        for lane in self._all:
            lane.close()
