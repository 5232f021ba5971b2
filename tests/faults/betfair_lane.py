"""A sandbox, and calls made there one after the other, each with one request broken.

A sandbox breaks whichever request comes next, so that there is one call at a time. The tokens are
kept in local files.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servers.process import poll
from storage.calls import secrets_in
from storage.places import LocalPlace

from betfair_session import BetfairSessionError, LeaseSettings, SessionManager
from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox
from faults.breaking import FROM_THEN_ON
from faults.case import WHOLE_SECONDS
from faults.lane import CALM
from faults.paths import Site, identity
from faults.routes import PATIENCE
from faults.watched import CountingClient

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from betfair_session.sandbox.records import JournalEntry
    from faults.routes import Kind, Route

KEY = "session.token"
TIMEOUT = 8.0
HANG = TIMEOUT + 45.0
_SCALED = {"ttl": 12.0, "login_deadline": PATIENCE, "store_deadline": 2.0}


@dataclass(eq=False)
class Call:
    """One call whose n-th request to Betfair is broken.

    Attributes:
        route: which way.
        endpoint: of the broken request.
        skip: how many requests to that endpoint come before it.
        kind: how it is broken; None when nothing is.
        token: what the call returned, or "".
        error: what it raised, if anything.
        events: the kinds of all that it told.
        problems: what was wrong.
        seconds: how long it took.
        met: whether the request was made that was to be broken.
        lost: how many sessions may live that nobody knows.
    """

    route: Route
    endpoint: str = ""
    skip: int = 0
    kind: Kind | None = None
    token: str = field(default="", repr=False)
    error: BaseException | None = None
    events: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    met: bool = True
    lost: int = 0

    def __str__(self) -> str:
        return f"{self.route.name}, {self.endpoint} {self.skip}: {self.kind or 'undisturbed'}"

    @property
    def rotates(self) -> bool:
        """Whether Betfair gives the session another token."""
        return self.kind is not None and self.kind.kind == "rotate"

    def check(self, fine: object, problem: str) -> None:
        """Note a problem unless all is fine."""
        if not fine:
            self.problems.append(problem)


class Lane:
    """A sandbox, and the calls made there one after the other."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        """Start the sandbox."""
        self.sandbox = stack.enter_context(Sandbox())
        self.sandbox.configure(logins_per_minute=1e9)
        self._directory = directory
        self._count = 0
        self._made: list[tuple[Call, Site]] = []
        self._known: set[str] = set()
        self._calm = stack.enter_context(CountingClient(**identity(self.sandbox)))

    def make(self, call: Call) -> list[str]:
        """Make a call; return the endpoints that it asked, in order."""
        site = self._site()
        sandbox, before = self.sandbox, self._live()
        call.route.prepare(site)
        sandbox.clear_journal()
        if call.kind:
            times = None if call.kind.times == FROM_THEN_ON else call.kind.times
            sandbox.fault(
                call.endpoint, call.kind.kind, times, skip=call.skip, **call.kind.parameters
            )
        client = self._ask(call, site)
        sandbox.clear_faults()
        journal = self._journal()
        if call.route.breaks:
            sandbox.mend_store()
        call.met = not call.kind or any(entry.fault for entry in journal)
        self._look(call, site, client, before)
        self._made.append((call, site))
        return [entry.endpoint for entry in journal]

    def _live(self) -> set[str]:
        return {each.token for each in self.sandbox.sessions()}

    def _journal(self) -> list[JournalEntry]:
        """Return the journal, when nothing is left that is carried out late."""
        journal: list[JournalEntry] = []
        for _ in poll(20):
            journal = self.sandbox.journal()
            if all(entry.outcome for entry in journal if entry.fault == "delay"):
                break
        return journal

    def _site(self) -> Site:
        self._count += 1
        directory = self._directory / f"{self._count:04}"
        directory.mkdir(mode=0o700)
        return Site(LocalPlace(directory), self.sandbox, self.sandbox.username, KEY)

    def _ask(self, call: Call, site: Site) -> CountingClient:
        meanwhile = call.route.meanwhile
        client = CountingClient(**{**identity(self.sandbox), "timeout": PATIENCE})
        if meanwhile:
            client.after_login = lambda: meanwhile(site)

        def work() -> None:
            with client, self._manager(call, site, client) as manager:
                try:
                    call.token = manager.get_session(site.place.url(), KEY, timeout=TIMEOUT)
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at
                    call.error = error

        began = time.monotonic()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(HANG)
        call.seconds = time.monotonic() - began
        call.check(not thread.is_alive(), f"still at it after {HANG:g} s")
        return client

    def _manager(self, call: Call, site: Site, client: CountingClient) -> SessionManager:
        return SessionManager(
            client,
            site.username,
            self.sandbox.password,
            lease=LeaseSettings(**_SCALED),  # type: ignore[arg-type] # whole numbers
            interactive=not call.route.certificate,
            verify_every=site.window,
            share_verification=site.window is not None,
            on_event=lambda event: call.events.append(event.kind),
        )

    def _look(self, call: Call, site: Site, client: CountingClient, before: set[str]) -> None:
        live, stored = self._live(), site.stored()
        typed = isinstance(call.error, BetfairSessionError)
        call.check(call.token or typed, f"neither token nor typed error: {call.error!r}")
        call.check(not call.token or call.token in live, "returned a dead token")
        call.check(not call.token or call.token == stored, "returned another than the stored one")
        call.check(stored in ("", site.found) or stored in live, "the stored token is dead")
        call.check(client.logins <= call.route.logins, f"{client.logins} logins")
        wanted = site.foreign or (site.found if call.route.logins == 0 else "")
        rotated = call.rotates and stored in live
        call.check(not wanted or stored == wanted or rotated, "a live token was replaced")
        call.lost = client.logins - len(client.made) + len(client.stuck)
        # A rotated token that could not be stored, or whose answer was lost, is out of reach.
        call.lost += call.rotates
        leaked = live - before - {stored, site.found, site.foreign}
        call.check(len(leaked) <= call.lost, f"{len(leaked)} sessions leaked: {call.error!r}")
        if call.error:
            secrets = [self.sandbox.password, *client.made, site.found, site.foreign]
            shown = secrets_in(call.error, [secret for secret in secrets if secret])
            call.check(not shown, f"a secret in the error: {shown}")

    def heal(self) -> int:
        """Make an undisturbed call for each of the calls; return how many sessions nobody has."""
        live = self._live()
        for call, site in self._made:
            self._heal(call, site, live)
        live = self._live()
        for call, site in self._made:
            stored = site.stored()
            call.check(stored in live, "healed with a dead token")
            files = set(site.place.keys())
            call.check({KEY} <= files <= {KEY, KEY + ".login"}, f"left behind: {files}")
            self._known |= {stored, site.found, site.foreign}
        return len(live - self._known)

    def _heal(self, call: Call, site: Site, live: set[str]) -> None:
        lock = locks.decode(site.place.get(KEY + ".login") or b"{}")
        if lock.state == locks.FAILED:
            left = lock.not_before - time.time()
            call.check(left < 16, f"no login for {left:.0f} s")
            time.sleep(max(left, 0) + WHOLE_SECONDS)
        before, logins = site.stored(), self._calm.logins
        manager = SessionManager(
            self._calm,
            site.username,
            self.sandbox.password,
            lease=LeaseSettings(**CALM),  # type: ignore[arg-type] # whole numbers
            interactive=True,
        )
        try:
            token = manager.get_session(site.place.url(), KEY)
        except BetfairSessionError as error:
            call.check(fine=False, problem=f"not healed: {error!r}")
            return
        call.check(token == site.stored(), "healed with another than the stored token")
        sent = self._calm.logins - logins
        call.check(sent <= int(before not in live), f"{sent} logins to heal")
