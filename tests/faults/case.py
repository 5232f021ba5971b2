"""One call whose n-th request is broken, and what must be so afterwards."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from servers.process import poll
from storage.calls import secrets_in

from betfair_session import BetfairSessionError, IdentityUnavailable, PublishUncertain
from betfair_session.login import lock as locks
from faults.watched import WatchedStore

if TYPE_CHECKING:
    from servers.script import Exchange, Rule

    from betfair_session.events import Event
    from faults.breaking import Break
    from faults.lane import Bench, Lane
    from faults.paths import Aim, Path, Site
    from faults.watched import CountingClient

TIMEOUT = 20.0
"""Seconds that a disturbed call is given."""

HANG = TIMEOUT + 45.0
"""Seconds after which it counts as hanging; a call may go a little past its time."""

WHOLE_SECONDS = 1.2
"""Seconds that a lock may count as younger than it is: HTTP's dates are whole ones."""

_CALM = 60.0  # seconds for a call that nothing disturbs
_LANDING = 30.0  # seconds for what was held to arrive


class Request(NamedTuple):
    """One request of a call, without its names."""

    aim: Aim
    method: str
    writes: bool

    def __str__(self) -> str:
        return f"{self.method} {self.aim}"


@dataclass(eq=False)
class Case:
    """One call.

    Attributes:
        path: which way through get_session.
        site: where.
        number: which request is broken, from 0.
        way: how; None for a call that nothing disturbs.
        requests: those of the call.
        token: what it returned, or "".
        error: what it raised, if anything.
        events: all that it told.
        problems: what was wrong.
        seconds: how long it took.
        healed: the token that the healing returned, or "".
    """

    path: Path
    site: Site
    number: int = 0
    way: Break | None = None
    requests: list[Request] = field(default_factory=list)
    token: str = field(default="", repr=False)
    error: BaseException | None = None
    events: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    healed: str = field(default="", repr=False)
    _store: WatchedStore = field(init=False, repr=False)
    _clients: list[CountingClient] = field(default_factory=list)
    _held: list[Exchange] = field(default_factory=list)
    _rule: Rule | None = None
    _acted: bool = False
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        way = self.way.name if self.way else "undisturbed"
        return f"{self.path.name}, request {self.number}: {way}"

    @property
    def met(self) -> bool:
        """Whether the request came that was to be broken; on a busy machine time may run out."""
        return len(self.requests) > self.number

    # --- the call ------------------------------------------------------------------------------

    def call(self, bench: Bench, lane: Lane) -> None:
        """Make the call, and look at what came of it."""
        self._clients.append(bench.client())
        lane.proxy.clear()
        kind = self.way.kind if self.way else "delay"
        self._rule = lane.proxy.fail(self._meets, kind, times=10**9, seconds=0.3)
        began = time.monotonic()
        thread = threading.Thread(target=self._ask, args=(bench, lane), daemon=True)
        thread.start()
        thread.join(HANG)
        self.seconds = time.monotonic() - began
        self._check(not thread.is_alive(), f"still at it after {HANG:g} s")
        lane.proxy.forget(self._rule)
        self._look()
        if self.path.waits:
            self._act()
        if self.way and not self.way.late:
            self._land()

    def _ask(self, bench: Bench, lane: Lane) -> None:
        self._store = WatchedStore(lane.store)
        session = bench.session(
            self.site, self._clients[0], through=self._store, on_event=self.events.append
        )
        try:
            self.token = session.token(timeout=TIMEOUT)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at
            self.error = error

    def _meets(self, exchange: Exchange) -> bool:
        """Take in a request of the call; tell whether it is to be broken."""
        with self._busy:
            request = self._request(exchange)
            number = len(self.requests)
            self.requests.append(request)
            due = self.path.due(number, request.aim, request.writes)
            if self.path.meanwhile and due:
                self._act()
            way = self.way
            if way is None or not self.number <= number < self.number + way.times:
                return False
            if way.kind in ("hold", "hold-answer"):
                self._held.append(exchange)
            return True

    def _request(self, exchange: Exchange) -> Request:
        # Google's uploads name their object in the body.
        names = exchange.path + exchange.body[:500].decode("latin-1")
        aim: Aim = "clock"
        if self.site.key in names:
            aim = "lock" if self.site.lock in names else "token"
        return Request(aim, exchange.method, exchange.method not in ("GET", "HEAD"))

    def _act(self) -> None:
        if not self._acted and self.path.meanwhile:
            self._acted = True
            self.path.meanwhile(self.site)

    def _land(self) -> None:
        """Let what was held arrive."""
        assert self._rule is not None
        self._rule.release.set()
        landed = any(all(each.status for each in self._held) for _ in poll(_LANDING))
        self._check(landed, "what was held did not arrive")

    # --- what must be so -----------------------------------------------------------------------

    def _check(self, fine: object, problem: str) -> None:
        if not fine:
            self.problems.append(problem)

    def _look(self) -> None:
        """Look at the end of the call."""
        typed = isinstance(self.error, BetfairSessionError)
        self._check(self.token or typed, f"neither token nor typed error: {self.error!r}")
        stored = self.site.stored()
        if self.token:
            self._check(self.token == stored, "returned another token than the stored one")
        if self.site.foreign and self.path.ends != "logged in":
            self._check(stored == self.site.foreign, "a live token was replaced")
        if self.path.ends in ("resumed", "trusted") and not self.path.meanwhile:
            self._check(stored == self.site.found, "a live token was replaced")
        sent = self.logins
        self._check(sent <= self.path.logins, f"{sent} logins")
        if self.error:
            secrets = [*self._made, self.site.found, self.site.foreign]
            shown = secrets_in(self.error, [secret for secret in secrets if secret])
            self._check(not shown, f"a token in the error: {shown}")

    def judge(self, live: set[str]) -> None:
        """Judge the call by the sessions that lived after all calls, before any healing."""
        stored = self.site.stored()
        if self.token:
            self._check(self.token in live, "returned a dead token")
        self._check(
            stored in ("", self.site.found) or stored in live or self._foreign_dead(stored),
            "the stored token was logged out",
        )
        made = set(self._made) & live - {stored} - set(self._clients[0].stuck)
        self._check(not made or self._may_leak(), f"{len(made)} sessions leaked: {self.error!r}")

    def _foreign_dead(self, stored: str) -> bool:
        return self.path.contested and stored not in self._made

    def _may_leak(self) -> bool:
        """Tell whether the protocol leaves a session alive that it could not store for certain.

        So it is after a publication that nobody knows the end of: PublishUncertain, or another's
        token in its place, since ours may have been there before it, and be in use.
        """
        if isinstance(self.error, PublishUncertain):
            return True
        return self.path.contested and self._write_in_doubt()

    def _write_in_doubt(self) -> bool:
        """Tell whether a token was sent and the answer left open whether it was stored."""
        if self.site.key in self._store.timeouts:
            return True
        way = self.way
        if way is None or not way.doubtful:
            return False
        spoilt = self.requests[self.number : self.number + way.times]
        return any(each.aim == "token" and each.writes for each in spoilt)

    # --- the healing ---------------------------------------------------------------------------

    def heal(self, bench: Bench, live: set[str]) -> None:
        """Make an undisturbed call as a process that knows nothing, and look at its end."""
        site, before, client = self.site, self.site.stored(), bench.client()
        self._clients.append(client)
        token = self._ask_calmly(bench, client)
        if not token:
            return
        self._check(token == site.stored(), "healed with another token than the stored one")
        sent = len(client.made)
        self._check(sent <= int(before not in live), f"{sent} logins to heal")
        if self.way and self.way.late:
            self._land()
            self._check(site.stored() == token, "a late write replaced the healed token")
        self.healed = token

    def _ask_calmly(self, bench: Bench, client: CountingClient) -> str:
        """Return the token; "" if there is none. Betfair is not what is broken: ask it twice."""
        session = bench.session(self.site, client)
        for last in (False, True):
            self._wait_for_the_lock()
            try:
                return session.token(timeout=_CALM)
            except BetfairSessionError as error:
                if last or not isinstance(error, IdentityUnavailable):
                    self._check(fine=False, problem=f"not healed: {error!r}")
                    break
        return ""

    def _wait_for_the_lock(self) -> None:
        """Wait as long as the lock says that nobody may log in; a held one is waited for anyhow."""
        lock = locks.decode(self.site.place.get(self.site.lock) or b"{}")
        if lock.state == locks.FAILED:
            # Both are the machine's clock; nobody is to wait longer than the protocol's 15 s.
            left = lock.not_before - time.time()
            self._check(left < 16, f"no login for {left:.0f} s")
            time.sleep(max(left, 0) + WHOLE_SECONDS)

    def settle(self, live: set[str]) -> set[str]:
        """Check that the healed token lives; return the sessions that this case accounts for."""
        self._check(not self.healed or self.healed in live, "healed with a dead token")
        return {*self._made, self.site.found, self.site.foreign}

    @property
    def logins(self) -> int:
        """How many logins were sent so far."""
        return sum(client.logins for client in self._clients)

    @property
    def unanswered(self) -> int:
        """How many of them brought no token, for all that is known here."""
        return self.logins - len(self._made)

    @property
    def _made(self) -> list[str]:
        """The tokens that they brought."""
        return [token for client in self._clients for token in client.made]
