"""The small object beside a token that says who logs in, and how the last login went.

It holds no secret. Times are the store's own, in seconds since the epoch.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from .settings import MAX_TTL, MOST_LOGINS

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1
"""The format's number; an object with another one is left alone until it expires."""

MARGIN = 1.0
"""Seconds added to a time to live before a lock counts as expired: HTTP dates are whole seconds."""

BRAKE_WINDOW = 60.0
"""Seconds in which logins are counted."""

BAN = 1200.0
"""Seconds that Betfair bans logins for; no failure is remembered for longer."""

FRESH = 60.0
"""Seconds for which a waiter believes the lock's word that a token was just published."""

JUNK_TTL = 30.0
"""Seconds for which content that nobody can read counts as held."""

_STATUS = re.compile(r"[A-Z0-9_]{0,64}", re.ASCII)

HELD, DONE, FAILED = "held", "done", "failed"


class Lock(NamedTuple):
    """What the lock object says.

    Attributes:
        state: "held" (somebody logs in), "done" or "failed".
        nonce: names one attempt of one process.
        owner: who that is, for people.
        ttl: seconds after which a held lock may be taken over.
        since: when it was taken or, if the login failed, when that was.
        logins: the times of the last logins, four at most.
        published: the fingerprint of the token that the last login stored, or "".
        refusals: how many logins in a row Betfair refused.
        status: Betfair's code of the last refusal, or "".
        login_class: the class of that code; "unknown" when no answer came, "store" when the new
            token could not be stored.
        not_before: when the next login may be tried, after a failure.
        boot: in files: names the run of the machine (from its start to its end) that wrote this;
            "" elsewhere.
        up: how long the machine had been running then, by a clock that no one sets.
        now: what the other times in here called "now" then.
    """

    state: str
    nonce: str = ""
    owner: str = ""
    ttl: float = JUNK_TTL
    since: float = 0.0
    logins: tuple[float, ...] = ()
    published: str = ""
    refusals: int = 0
    status: str = ""
    login_class: str = ""
    not_before: float = 0.0
    boot: str = ""
    up: float = 0.0
    now: float = 0.0

    def but(self, **changes: Any) -> Lock:  # noqa: ANN401 - any field's
        """Return the same with some fields changed."""
        return self._replace(**changes)

    def expired(self, age: float | None, *, watched: float) -> bool:
        """Tell whether a held lock has outlived its time to live.

        Args:
            age: seconds since it was written, by the store's clock; None where that is unknown.
            watched: seconds for which it has been seen unchanged.
        """
        limit = min(self.ttl, MAX_TTL) + MARGIN
        return watched >= limit or (age is not None and age >= limit)

    def age_here(self, boot: str, steady: Callable[[], float]) -> float | None:
        """Return how long ago this was written, if that was on this machine since its start.

        Args:
            boot: names this run of the machine, or "".
            steady: returns how long the machine has been running, seconds.
        """
        if not boot or self.boot != boot:
            return None
        passed = steady() - self.up
        return max(passed, 0.0) if passed > -MARGIN else None

    def recent(self, now: float) -> tuple[float, ...]:
        """Return the times of the logins in the last minute; a time in the future is junk."""
        return tuple(time for time in self.logins if -MARGIN <= now - time < BRAKE_WINDOW)

    def refused_for(self, now: float, age: float | None) -> float:
        """Return the seconds for which a failed login still forbids another; 0 for none.

        After a token that could not be stored there is no wait: the next login is preceded by a
        write that shows that it can be.

        Args:
            now: the store's time, as well as it is known.
            age: seconds since this was written; None where that is unknown.
        """
        if self.state != FAILED or self.login_class == "store":
            return 0.0
        left = self.not_before - now
        if age is not None:
            # How long it was to last, by its writer's clock; how long ago it was, by the store's.
            left = min(self.not_before - self.since, BAN) - age
        # Without an age, a time far ahead is junk, and one a little ahead another's clock.
        return left if 0 < left <= 2 * BAN else 0.0

    def untouched(self) -> Lock:
        """Return the lock of a holder that made no login."""
        return self.but(state=DONE, logins=self.logins[:-1])

    def finished(self, published: str) -> Lock:
        """Return the lock after a login; `published` is its token's fingerprint, or ""."""
        return self.but(
            state=DONE, published=published, refusals=0, status="", login_class="", not_before=0.0
        )


def younger(age: float | None, seconds: float) -> bool:
    """Tell whether a lock was written less than so long ago; one from the future was not."""
    return age is not None and -MARGIN <= age <= seconds


JUNK = Lock(HELD)
"""What content that cannot be read counts as: held by nobody known, for JUNK_TTL seconds."""


def encode(lock: Lock) -> bytes:
    """Write a lock object's content."""
    import json

    fields = {"v": VERSION, **lock._asdict()}
    for name in () if lock.boot else ("boot", "up", "now"):
        del fields[name]
    return json.dumps(fields, separators=(",", ":")).encode()


def decode(content: bytes) -> Lock:
    """Read a lock object's content; JUNK when it is anything but well-formed."""
    import json

    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return JUNK
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        return JUNK
    logins = fields.get("logins")
    try:
        boot = _text(fields.get("boot", ""))
        lock = Lock(
            state=_one_of(fields["state"], (HELD, DONE, FAILED)),
            nonce=_text(fields["nonce"]),
            owner=_text(fields["owner"]),
            ttl=min(max(_number(fields["ttl"]), 0.0), MAX_TTL),
            since=_number(fields["since"]),
            logins=tuple(map(_number, logins[-MOST_LOGINS:])) if isinstance(logins, list) else (),
            published=_text(fields["published"]),
            refusals=max(int(_number(fields["refusals"])), 0),
            status=_code(fields["status"]),
            login_class=_text(fields["login_class"]),
            not_before=_number(fields["not_before"]),
            boot=boot,
            up=_number(fields["up"]) if boot else 0.0,
            now=_number(fields["now"]) if boot else 0.0,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return JUNK
    return lock


def cleared(content: bytes) -> bytes:
    """Return a lock object's content with nobody logging in and no refusal; the counts stay."""
    lock = decode(content)
    return encode(Lock(DONE, lock.nonce, logins=lock.logins))


def withdrawn(content: bytes) -> bytes | None:
    """Return a released lock's content that no longer says that a token was published."""
    lock = decode(content)
    return encode(lock.but(published="")) if lock.state == DONE else None


def _text(value: Any) -> str:  # noqa: ANN401 - it comes from outside
    # ASCII, so that what is read can be written again: other text would grow.
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise TypeError
    return value[:200]


def _code(value: Any) -> str:  # noqa: ANN401 - it comes from outside
    # It is shown as Betfair's own word, which a writer of locks is not to put in its mouth.
    if not _STATUS.fullmatch(value):
        raise ValueError
    return str(value)


def _number(value: Any) -> float:  # noqa: ANN401 - it comes from outside
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError
    return float(value)


def _one_of(value: Any, words: tuple[str, ...]) -> str:  # noqa: ANN401 - it comes from outside
    if value not in words:
        raise ValueError
    return str(value)
