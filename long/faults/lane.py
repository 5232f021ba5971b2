"""Calls of get_session in turn, each with one request broken, and what must then hold."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path as Directory
from typing import Any

from front import arguments
from rare_servers.proxy import Proxy, Rule
from secrets_shown import everything_in
from servers.objects import Bucket
from servers.process import poll
from servers.script import Exchange
from storage.places import LocalPlace, Place
from within import within

from betfair_session import (
    BetfairSessionError,
    IdentityClient,
    LeaseSettings,
    PublishUncertain,
    Session,
    SessionManager,
)
from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox
from betfair_session.secret import Secret
from faults.paths import PATIENCE, Path, Site, Way

TIMEOUT = 12.0  # seconds for a call
HANG = TIMEOUT + 45.0  # seconds after which it counts as hanging
_LEASE = LeaseSettings(ttl=12, login_deadline=PATIENCE, store_deadline=PATIENCE)
_LANDING = 30.0  # seconds for what was held to arrive
KEY = "session.token"
HEALING = "healing"


class Client(IdentityClient):
    """The real client; it counts its logins and keeps their tokens."""

    def __init__(self, site: Site, path: Path, timeout: float) -> None:
        super().__init__(**arguments(site.sandbox), timeout=timeout)
        self._site, self._path = site, path
        self.logins = 0
        self.made: list[str] = []
        self.stuck = 0  # could not be logged out

    def _counted(self, login: Any, *given: Any, **settings: Any) -> Secret:  # noqa: ANN401
        self.logins += 1
        try:
            token: Secret = login(*given, **settings)
        finally:
            if self._path.after_login and self.logins == 1:
                self._path.after_login(self._site)
        self.made.append(token.reveal())
        return token

    def certlogin(self, *given: Any, **settings: Any) -> Secret:  # noqa: ANN401
        return self._counted(super().certlogin, *given, **settings)

    def login(self, *given: Any, **settings: Any) -> Secret:  # noqa: ANN401
        return self._counted(super().login, *given, **settings)

    def logout(self, *given: Any, **settings: Any) -> None:  # noqa: ANN401
        try:
            super().logout(*given, **settings)
        except BetfairSessionError:
            self.stuck += 1
            raise


@dataclass(eq=False)
class Call:
    """One call whose n-th request is broken."""

    path: Path  # which way
    number: int = 0  # which request is broken, from 0
    way: Way | None = None  # how; None when nothing is
    # The requests that it made, to Betfair or to the store.
    requests: list[str] = field(default_factory=list)
    token: str = field(default="", repr=False)  # what it returned, or ""
    error: BaseException | None = None  # what it raised, if anything
    events: list[str] = field(default_factory=list)  # the kinds of all its events
    problems: list[str] = field(default_factory=list)  # what was wrong
    seconds: float = 0.0  # how long it took
    doubt: bool = False
    acted: bool = False
    held: list[Exchange] = field(default_factory=list)
    rule: Rule | None = None

    def __str__(self) -> str:
        way = self.way.name if self.way else "undisturbed"
        return f"{self.path.name}, request {self.number}: {way}"

    @property
    def end(self) -> str:
        """How it ended: with a token, or with which error."""
        return type(self.error).__name__ if self.error else "token"

    def check(self, fine: object, problem: str) -> None:
        if not fine:
            self.problems.append(problem)

    def meets(self, site: Site, exchange: Exchange) -> bool:
        """Record a request to the store; return whether to break it."""
        names = exchange.path + exchange.body[:500].decode("latin-1")  # Google's are in the body
        aim = "lock" if site.lock in names else "token" if site.key in names else "clock"
        number = len(self.requests)
        self.requests.append(f"{exchange.method} {aim}")
        if self.path.after_looks and number >= 4 and not self.acted:
            self.acted = True
            self.path.after_looks(site)
        if self.way is None or not self.number <= number < self.number + self.way.times:
            return False
        writes = exchange.method not in {"GET", "HEAD"}
        self.doubt |= aim == "token" and writes and self.way.doubtful
        if self.way.kind in ("hold", "hold-answer"):
            self.held.append(exchange)
        return True

    def land(self) -> None:
        if self.rule:
            self.rule.release.set()
        landed = any(all(each.status for each in self.held) for _ in poll(_LANDING))
        self.check(landed, "what was held did not arrive")


class Lane:
    """A sandbox and a store of its own, for one call at a time."""

    def __init__(self, stack: ExitStack, directory: Directory, place: Place | None) -> None:
        """Start it, with tokens in files in `directory` and Betfair's requests to be broken.

        With a bucket for a place, tokens are there, and it is its server's requests.
        """
        directory.mkdir(mode=0o700)
        self.sandbox = stack.enter_context(Sandbox())
        self.sandbox.configure(logins_per_minute=1e9)
        self._directory, self._place, self._proxy = directory, place, None
        if isinstance(place, Bucket):
            server = place.server
            self._proxy = stack.enter_context(Proxy(server.port))
            self._options = server.options(self._proxy.endpoint)
        self._made: list[tuple[Call, Site]] = []

    def make(self, calls: list[Call]) -> list[Call]:
        """Make calls; those that need old objects come last."""
        calls = sorted(calls, key=lambda call: call.path.ripe)
        sites = {id(call): self._site() for call in calls}
        for call in calls:
            if call.path.ripe:
                call.path.prepare(sites[id(call)])
        prepared = time.monotonic()
        for call in calls:
            site = sites[id(call)]
            if call.path.ripe:
                time.sleep(max(0.0, prepared + call.path.ripe - time.monotonic()))
            else:
                call.path.prepare(site)
            self._make(call, site)
        return calls

    def _site(self) -> Site:
        number = sum(1 for _ in self._directory.iterdir())
        (self._directory / f"{number:05}").mkdir(mode=0o700)
        if self._place:
            return Site(self._place, self.sandbox, f"{self._directory.name}{number:05}/{KEY}")
        return Site(LocalPlace(self._directory / f"{number:05}"), self.sandbox, KEY)

    @contextmanager
    def _opened(self, call: Call, site: Site) -> Iterator[tuple[Client, Session]]:
        """Give a handle as in a new process; it bypasses the proxy if nothing is broken."""
        calm = call.path.name == HEALING  # it must not fail on a busy machine
        client = Client(site, call.path, 30.0 if calm else PATIENCE)
        manager = SessionManager(
            client,
            self.sandbox.username,
            self.sandbox.password,
            lease=LeaseSettings() if calm else _LEASE,
            interactive=not call.path.certificate,
            verify_every=site.window,
            share_verification=site.window is not None,
            on_event=lambda event: call.events.append(event.kind),
        )
        with client, manager:
            options = self._options if self._proxy and not calm else site.place.options
            session = manager.session(site.place.url(), site.key, options)
            session._store.get("nothing", deadline=within(60))  # it opens its driver, which is slow
            yield client, session

    def _make(self, call: Call, site: Site) -> None:
        before = self._live() | {site.found}
        self.sandbox.clear_journal()

        def work(session: Session) -> None:
            try:
                call.token = session.token(timeout=TIMEOUT)
            except BaseException as error:  # noqa: BLE001 - any error is checked
                call.error = error

        with self._opened(call, site) as (client, session):
            self._break(call, site)
            began = time.monotonic()
            thread = threading.Thread(target=work, args=(session,), daemon=True)
            thread.start()
            thread.join(HANG)
            call.seconds = time.monotonic() - began
        call.check(not thread.is_alive(), f"still at it after {HANG:g} s")
        self._end(call, site)
        self._look(call, site, client, before)
        self._made.append((call, site))

    def _break(self, call: Call, site: Site) -> None:
        way = call.way
        if self._proxy:
            self._proxy.clear()
            kind: Any = way.kind if way else "delay"
            call.rule = self._proxy.fail(lambda exchange: call.meets(site, exchange), kind)
        elif way:
            # The n-th request of all: faults skip by endpoint, and "*" is every endpoint.
            self.sandbox.fault("*", str(way.kind), way.times, skip=call.number, **way.parameters)

    def _end(self, call: Call, site: Site) -> None:
        if self._proxy and call.rule:
            self._proxy.clear()
            if call.path.after_looks and not call.acted:
                call.path.after_looks(site)
            if call.way and not call.way.late:
                call.land()
        else:
            self.sandbox.clear_faults()
            for _ in poll(20):  # until what is delayed has been carried out
                journal = self.sandbox.journal()
                if all(entry.outcome for entry in journal if entry.fault == "delay"):
                    break
            call.requests = [entry.endpoint for entry in journal]
            site.mend()
        call.check(len(call.requests) > call.number, "the request was never made")

    def _live(self) -> set[str]:
        return {each.token for each in self.sandbox.sessions()}

    def _look(self, call: Call, site: Site, client: Client, before: set[str]) -> None:
        live, stored = self._live(), site.stored()
        typed = isinstance(call.error, BetfairSessionError)
        call.check(call.token or typed, f"neither token nor typed error: {call.error!r}")
        call.check(not call.token or call.token in live, "returned a dead token")
        call.check(not call.token or call.token == stored, "returned another than the stored one")
        call.check(stored in ("", site.found) or stored in live, "the stored token is dead")
        call.check(client.logins <= call.path.logins, f"{client.logins} logins")
        rotates = call.way is not None and call.way.kind == "rotate"
        wanted = site.foreign or (site.found if call.path.logins == 0 else "")
        kept = stored == wanted or (rotates and stored in live)
        call.check(not wanted or kept, "a live token was replaced")
        # Sessions may stay alive: a login's or a logout's answer was lost, a write's end is not
        # known, or another's token took the place of this one.
        contested = call.path.after_login is not None and bool(site.foreign)
        slow = call.seconds > PATIENCE and self._proxy is not None
        uncertain = isinstance(call.error, PublishUncertain) or (contested and (call.doubt or slow))
        lost = client.logins - len(client.made) + client.stuck + rotates + uncertain
        leaked = live - before - {stored, site.foreign}
        call.check(len(leaked) <= lost, f"{len(leaked)} sessions leaked: {call.error!r}")
        if call.error:
            given = [self.sandbox.password, *client.made, site.found, site.foreign]
            shown = everything_in(call.error)
            call.check(not any(secret and secret in shown for secret in given), "a secret is shown")

    def heal(self) -> None:
        """Make an undisturbed call for each, as a new process would."""
        for call, site in self._made:
            lock = locks.decode(site.place.get(site.lock) or b"{}")
            if lock.state == locks.FAILED:
                left = lock.not_before - time.time()
                call.check(left < 16, f"no login for {left:.0f} s")
                time.sleep(max(left, 0) + 1.2)  # HTTP's dates are whole seconds
            before, live = site.stored(), self._live()
            quiet = Call(Path(HEALING, call.path.prepare, ""))
            with self._opened(quiet, site) as (client, session):
                try:
                    token = session.token()
                except BetfairSessionError as error:
                    call.check(fine=False, problem=f"not healed: {error!r}")
                    continue
            call.check(token == site.stored(), "healed with another than the stored token")
            call.check(client.logins <= int(before not in live), f"{client.logins} logins to heal")
            if call.way and call.way.late:
                call.land()
                call.check(site.stored() == token, "a late write replaced the healed token")
            call.check(token in self._live(), "healed with a dead token")
            prefix = site.key.removesuffix(KEY)
            keys = site.place.keys()
            files = {key for key in keys if key.startswith(prefix)}
            call.check({site.key} <= files <= {site.key, site.lock}, f"left behind: {files}")


def run(
    lanes: Sequence[Lane], paths: Iterable[Path], ways: Iterable[Way], every: int = 1
) -> list[Call]:
    """Break each request of each path in each way, or one of so many; heal all."""
    rehearsed, ways = lanes[0].make([Call(path) for path in paths]), list(ways)
    for call in rehearsed:
        call.check(call.path.ends in [*call.events, call.end], f"it ended with {call.events}")
    calls = [
        Call(call.path, number, way)
        for call in rehearsed
        for number, request in enumerate(call.requests)
        for way in ways
        if way.kind != "rotate" or request == "keepAlive"
    ]
    calls = random.sample(calls, len(calls) // every)

    def work(number: int) -> None:
        lanes[number].make(calls[number :: len(lanes)])
        lanes[number].heal()

    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(work, range(len(lanes))))
    return [*rehearsed, *calls]
