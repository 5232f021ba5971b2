"""Calls that are played alone: the policy event by event, and the runner on a store by hand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, cast

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    StoreUnavailable,
)
from betfair_session.events import Event
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import Account, LeaseSettings
from betfair_session.login.errors import Errors
from betfair_session.login.lock import Lock, Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.login.runner import Runner
from betfair_session.process.clocks import Clock, passed
from betfair_session.process.log import Reporter
from betfair_session.process.trust import Trust
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage.contract import (
    ABSENT,
    ANY,
    Expect,
    StoredObject,
    TokenStore,
    VersionConflict,
)

KEY, LOCK = "token", "token.login"
OLD, NEW = "o" * 44, "n" * 44
START = 9000.0
"""The time when a call begins, seconds."""
_VERBS: dict[object, str] = {ABSENT: "create", ANY: "replace"}


class HandClock(Clock):
    """Time that passes only by waiting, and randomness that is known."""

    def __init__(self) -> None:
        self.at = 0.0  # seconds since the start, by the monotonic clock
        self.slow_wall = 0.0  # how far the wall clock is behind
        self.slept: list[float] = []
        self.jitters = 1.0  # the most
        self._nonces = 0

    def mono(self) -> float:
        return self.at

    def now(self) -> tuple[float, float]:
        return self.at + 300, START + self.at - self.slow_wall

    def boot(self) -> str:
        return "this boot"

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def jitter(self) -> float:
        return self.jitters

    def nonce(self) -> str:
        self._nonces += 1
        return f"nonce {self._nonces}"

    def process(self) -> str:
        return "me"


# --- the policy, told event by event --------------------------------------------------------------

DEAD = WOKE = None


def unsent() -> IdentityUnavailable:
    error = IdentityUnavailable("unsent")
    error.sent = False
    return error


ERRORS: dict[str, Callable[[], BetfairSessionError]] = {
    "conflict": lambda: VersionConflict("conflict", reason="conflict"),
    "lost": lambda: StoreUnavailable("lost", reason="busy", landed=True),
    "busy": lambda: StoreUnavailable("busy", reason="busy"),
    "throttled": lambda: StoreUnavailable("throttled", reason="throttled"),
    "forbidden": lambda: StoreUnavailable("forbidden", reason="forbidden"),
    "unclear": lambda: IdentityUnavailable("unclear"),
    "unsent": unsent,
    **{
        kind: partial(LoginRefused, "refused", status="CODE", login_class=kind)
        for kind in ("temporary", "credentials", "account", "ban")
    },
}
"""Makes the error that a call gets, anew for each."""


class Got(NamedTuple):
    """A call's end with a token; Betfair was asked about it so many seconds ago."""

    token: str
    how: str
    age: float = 0.0


class Failed:
    """A call's end with an error of its own: the kind, and what the error says."""

    def __init__(self, kind: type[BetfairSessionError], **says: object) -> None:
        self.kind, self.says = kind, says

    def __repr__(self) -> str:
        return f"Failed({self.kind.__name__}, {self.says})"

    def fits(self, error: object) -> bool:
        said = {name: getattr(error, name) for name in self.says}
        if isinstance(said.get("not_before"), datetime):
            said["not_before"] = said["not_before"].timestamp()
        return type(error) is self.kind and said == self.says


def held(**fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return a lock that another holds since the start."""
    return Lock(locks.HELD, "other", "another", 30.0, START, (START,))._replace(**fields)


def done(**fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return the lock of a login that another made at the start."""
    return held(state=locks.DONE, published="fp-other")._replace(**fields)


def failed(**fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return the lock of a login that was refused at the start, for a minute."""
    refused = {"status": "STATUS", "login_class": "credentials", "refusals": 1}
    return held(state=locks.FAILED, not_before=START + 60, **refused)._replace(**fields)


def mine(**fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return the lock that a script's call takes at the start, where there was none."""
    return held(nonce="nonce 1", owner="me", **fields)


def taken(before: Lock, at: float = 0.0, **fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return an earlier lock as a script's call takes it at a time since the start."""
    names = {"state": locks.HELD, "nonce": "nonce 1", "owner": "me", "published": ""}
    logins = (*before.logins, START + at)
    return before._replace(**{**names, "since": START + at, "logins": logins, **fields})


def blamed(lock: Lock, login_class: str, wait: float, at: float = 0.0, **fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return a lock after a login that failed at a time since the start."""
    times: Any = {"since": START + at, "not_before": START + at + wait}
    return lock._replace(state=locks.FAILED, login_class=login_class, **times, **fields)


def release(lock: Lock, version: str = "L1") -> do.WriteLock:
    return do.WriteLock(lock, version)


def go_on(steps: Generator[Any, Any, do.Done | None], answer: object) -> Any:  # noqa: ANN401 - any effect
    """Tell a policy what happened; return what it asks for, or how it ended: a Done or an error."""
    try:
        return steps.throw(answer) if isinstance(answer, BaseException) else steps.send(answer)
    except StopIteration as stop:
        return stop.value
    except BetfairSessionError as error:
        return error


class Script(HandClock):
    """A call with one hour of time."""

    def __init__(self, *, memory: Memory | None = None, **how: Any) -> None:  # noqa: ANN401 - a Call's
        super().__init__()
        self.wrong = 0.0  # how far its idea of the store's clock is ahead
        self.memory = memory or Memory()
        how = {"deadline": 3600.0, "atomic": True, **how}
        errors = Errors("the store", "token")
        self.login = SharedLogin(LeaseSettings(), self, errors, self.memory, **how)
        self._steps: Generator[Any, Any, do.Done | None] = self.login.run()
        self.asked: object = next(self._steps)  # at its end a Done, or an error
        assert self.asked == do.ReadToken()

    def server(self) -> float:
        return START + self.at + self.wrong

    def tell(self, event: object, *effects: object) -> None:
        """Tell what happened. All effects but the last are waits, which end at once."""
        for expected in effects or [None]:
            if isinstance(self.asked, do.LogOut):
                self.asked = self._steps.send(event)  # an error is its answer
            else:
                self.asked = go_on(self._steps, event)
            if isinstance(expected, Failed):
                assert expected.fits(self.asked), (self.asked, vars(self.asked))
            elif expected is not None:
                assert self._seen() == expected
            event = WOKE

    def _seen(self) -> object:
        asked = self.asked
        if isinstance(asked, do.Wait):
            return do.Wait(asked.seconds)
        if isinstance(asked, do.Done):
            return Got(asked.token, asked.how, passed(asked.since, self.now()))
        return asked

    def walk(self, *rows: Any) -> Script:  # noqa: ANN401 - see test_policy.py
        """Play a story's rows: a time, then events and effects; or clocks to set."""
        for row in rows:
            if isinstance(row, dict):
                vars(self).update(row)
            elif isinstance(row[0], float):
                self.at = row[0]
                self.tell(*row[1:])
            else:
                self.tell(*row)
        return self


def story(*rows: Any) -> Script:  # noqa: ANN401 - as in Script.walk
    how = rows[0] if isinstance(rows[0], dict) else {}
    return Script(**how).walk(*rows[bool(how) :])


# --- the runner, on a store, an account and clocks that are set by hand ---------------------------


class Shelf(TokenStore):
    """Objects in memory, in numbered versions."""

    label = "the shelf"
    atomic = True

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}  # content and version
        self.calls: list[tuple[str, str, float]] = []  # their names, the objects', the deadlines
        self.errors: dict[str, list[Exception | None]] = {}  # of the next calls of a name
        self.modified: float | None = 5000.0  # when each object was written, by its clock
        self.now: float | None = 5010.0  # its clock in its answers; None if the driver hides it
        self.clock: float | None = None  # its clock when it is asked for it
        self.done: Callable[[str], object] = lambda _: None  # called after each write
        self.lost = ""  # the key whose next write lands, and its answer is lost
        self._versions = 0

    def _note(self, call: str, key: str, deadline: float) -> None:
        self.calls.append((call, key, deadline))
        error = (self.errors.get(call) or [None]).pop(0)
        if error is not None:
            raise error

    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        self._note("read", key, deadline)
        if key not in self.objects:
            return None
        content, version = self.objects[key]
        return StoredObject(SecretBytes(content), version, modified=self.modified, now=self.now)

    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        self._note(_VERBS.get(expect, "swap"), key, deadline)
        there = self.objects[key][1] if key in self.objects else ABSENT
        if expect not in {ANY, there}:
            raise VersionConflict(key, reason="conflict")
        self._versions += 1
        assert isinstance(content, bytes)
        self.objects[key] = (content, f"V{self._versions}")
        self.done(key)
        if key == self.lost:
            self.lost = ""
            raise StoreUnavailable(key, reason="timeout", landed=True)
        return f"V{self._versions}"

    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        raise NotImplementedError

    def server_now(self, *, deadline: float) -> float | None:
        self._note("ask", "", deadline)
        return self.clock


class Betfair:
    """An account whose logins make NEW, then others."""

    lease, timeout, interactive = LeaseSettings(), 10.0, False
    ask = Account.ask

    def __init__(self, *live: str) -> None:
        self.client, self.live = self, [Secret(token) for token in live]
        self.asked: list[str] = []
        self.timeouts: list[float] = []  # of the keepAlives
        self.meanwhile: Callable[[], object] = lambda: None  # what happens before an answer

    def keep_alive(self, token: Secret, *, timeout: float) -> Secret | None:
        self.asked.append("keepAlive")
        self.timeouts.append(timeout)
        self.meanwhile()
        return token if token in self.live else None

    def check(self) -> None:
        """Find the certificate fit."""

    def log_in(self, seconds: float) -> Secret:
        assert seconds > 0
        self.meanwhile()
        self.live.append(Secret(f"{len(self.asked)}" * 44 if "certlogin" in self.asked else NEW))
        self.asked.append("certlogin")
        return self.live[-1]

    def logout(self, token: Secret, *, timeout: float) -> None:
        assert timeout > 0
        self.asked.append("logout")
        self.live.remove(token)


class Stage:
    """A runner on a shelf, perhaps with a token and a lock on it, and with 50 s of time."""

    def __init__(
        self,
        token: str = "",
        lock: locks.Lock | bytes | None = None,
        *live: str,
        seconds: float = 50.0,
        share: bool = False,
        atomic: bool = True,
        seen: tuple[StoredObject | None] | None = None,
    ) -> None:
        self.shelf, self.clock, self.betfair = Shelf(), HandClock(), Betfair(*live)
        self.shelf.atomic = atomic
        if token:
            self.shelf.objects[KEY] = (token.encode(), "T0")
        if lock is not None:
            content = lock if isinstance(lock, bytes) else locks.encode(lock)
            self.shelf.objects[LOCK] = (content, "L0")
        self.events: list[Event] = []
        self._reporter = Reporter("", "", self.events.append)
        self.runner = Runner(
            cast("Any", self.betfair),
            self.shelf,
            KEY,
            trust=Trust(900.0 if share else 0.0, 1200.0, shared=share),
            reporter=self._reporter,
            memory=Memory(),
            deadline=self.clock.at + seconds,
            seen=seen,
            clock=self.clock,
        )

    def find(self) -> str:
        try:
            found = self.runner.find()
            return found.reveal() if found else ""
        finally:
            self._reporter.hand_over()

    @property
    def calls(self) -> str:
        """What was asked of the store, such as "read token, create lock"."""
        names = {KEY: "token", LOCK: "lock"}
        return ", ".join(f"{call} {names.get(key, 'time')}" for call, key, _ in self.shelf.calls)

    def lock(self) -> locks.Lock:
        return locks.decode(self.shelf.objects[LOCK][0])

    def told(self) -> list[tuple[str, Any, str]]:
        return [(event.kind, event.seconds, event.detail) for event in self.events]
