"""One call of the policy, told event by event in plain words, with every effect compared whole."""

# ruff: noqa: N802 - some functions read like the types that they make

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any, NamedTuple

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    StoreUnavailable,
)
from betfair_session.login import effects as do, lock as locks
from betfair_session.login.account import LeaseSettings
from betfair_session.login.errors import Errors
from betfair_session.login.lock import Lock, Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.process.clocks import passed
from betfair_session.storage.contract import VersionConflict

from .shelf import START, HandClock

DEAD = WOKE = None


def Conflict(said: str = "conflict") -> VersionConflict:
    return VersionConflict(said, reason="conflict")


def StoreFailed(
    said: str, *, landed: bool = False, passing: bool = False, reason: str = ""
) -> StoreUnavailable:
    """A call failed; it may have changed something, it may pass by itself."""
    reason = reason or ("busy" if passing else "forbidden")
    return StoreUnavailable(said, landed=landed, reason=reason)


def Refused(said: str, status: str, login_class: str) -> LoginRefused:
    return LoginRefused(said, status=status, login_class=login_class)


def Unclear(said: str, *, sent: bool = True) -> IdentityUnavailable:
    error = IdentityUnavailable(said)
    error.sent = sent
    return error


class Got(NamedTuple):
    """How a call ended with a token, of which Betfair was asked so many seconds ago."""

    token: str
    how: str
    age: float = 0.0


class Failed:
    """How a call ended that did not raise what it was told: a kind of error, and what it says."""

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


def release(lock: Lock, version: str = "L1", *, shared: bool = True) -> do.WriteLock:
    return do.WriteLock(lock, version, gives_back=True, shared=shared)


def go_on(steps: Generator[Any, Any, do.Done], answer: object) -> Any:  # noqa: ANN401 - any effect
    """Tell a policy what happened; return what it asks for, or how it ended: a Done or an error."""
    try:
        return steps.throw(answer) if isinstance(answer, BaseException) else steps.send(answer)
    except StopIteration as stop:
        return stop.value
    except BetfairSessionError as error:
        return error


class Script(HandClock):
    """A call with one hour of time."""

    def __init__(
        self,
        *,
        shared: bool = True,
        share: bool = False,
        deadline: float = 3600,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        self.wrong = 0.0  # how far its idea of the store's clock is ahead
        self.memory = memory or Memory()
        self.login = SharedLogin(
            LeaseSettings(),
            self,
            Errors("the store", "token"),
            self.memory,
            owner="me",
            deadline=deadline,
            shared=shared,
            share=share,
        )
        self._steps: Generator[Any, Any, do.Done] = self.login.run()
        self.asked: object = next(self._steps)  # at its end a Done, or an error
        assert self.asked == do.ReadToken()

    def server(self) -> float:
        return START + self.at + self.wrong

    def tell(self, event: object, *effects: object) -> None:
        """Tell what happened. All effects but the last are waits, which are told to be over."""
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
        """Tell a story's rows: events and effects, after a time for it; or clocks to set."""
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
