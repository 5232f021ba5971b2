"""The lock: a small object beside a token that says who logs in, and how the last login went.

It holds no secret. Times are the store's own, in seconds since the epoch. The lease is the time for
which one process may hold the lock; `LeaseSettings` has what a caller can set.
"""

from __future__ import annotations

import math
import re

from betfair_session.process import NamedTuple, reset_in_child
from betfair_session.process.clocks import passed
from betfair_session.storage.contract import MARGIN_SECONDS

from .account import MAX_TTL, MOST_LOGINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from betfair_session.process.clocks import Clock, Times

VERSION = 1
"""The format's number; an object with another one is left alone until it expires."""

MARGIN = MARGIN_SECONDS
"""Seconds added to a time to live before a lock counts as expired."""

BRAKE_WINDOW = 60.0
"""Seconds in which logins are counted."""

BAN = 1200.0
"""Seconds that Betfair bans logins for; no failure is remembered for longer."""

FRESH = 60.0
"""Seconds for which a waiting call believes a lock that says that a token was published."""

JUNK_TTL = 30.0
"""Seconds for which a lock with unreadable content counts as held."""

_STATUS = re.compile(r"[A-Z0-9_]{0,64}", re.ASCII)

STATES = HELD, DONE, FAILED = "held", "done", "failed"
_TEXTS = ("state", "nonce", "owner", "published", "status", "login_class", "boot")
_NUMBERS = ("ttl", "since", "refusals", "not_before", "up", "now")


class Lock(NamedTuple):
    """What the lock object says.

    Attributes:
        state: "held" (a process logs in), "done" or "failed".
        nonce: names one attempt of one process.
        owner: that process's name, for people.
        ttl: seconds after which a held lock may be taken over.
        since: when it was taken or, in state "failed", when the login failed.
        logins: the times of the last logins, at most as many as may be made in a minute.
        published: the fingerprint of the token that the last login stored, or "".
        refusals: how many logins in a row Betfair refused.
        status: Betfair's code of the last refusal, or "".
        login_class: the class of that code; "unknown" when no answer came, "store" when the new
            token could not be stored.
        not_before: when the next login may be tried, after a failure.
        boot: in local files: the id of the machine's boot during which this was written; ""
            elsewhere.
        up: seconds from that boot to the writing, by the steady clock, which cannot be set.
        now: when it was written, by the clock that all other times in here are by.
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

    # Below, `now` is the store's time, as far as it is known. `age` is the seconds since this was
    # written, by the store's clock; None where that is unknown.

    def expired(self, age: float | None, *, watched: float) -> bool:
        """Return whether a held lock, seen unchanged for `watched` seconds, has expired."""
        limit = min(self.ttl, MAX_TTL) + MARGIN
        return watched >= limit or (age is not None and age >= limit)

    def age_here(self, clock: Clock) -> float | None:
        """Return how long ago this was written, if it was during this boot of this machine."""
        if not self.boot or self.boot != clock.boot():
            return None
        passed = clock.now()[0] - self.up
        return max(passed, 0.0) if passed > -MARGIN else None

    def moved(self, seconds: float) -> Lock:
        """Return the lock with its times by another clock, which is ahead by so many seconds."""
        return self._replace(
            since=self.since + seconds,
            logins=tuple(each + seconds for each in self.logins),
            not_before=self.not_before + seconds,
        )

    def recent(self, now: float) -> tuple[float, ...]:
        """Return the times of the logins in the last minute; a time in the future is junk."""
        return tuple(time for time in self.logins if -MARGIN <= now - time < BRAKE_WINDOW)

    def refused_for(self, now: float, age: float | None) -> float:
        """Return the seconds for which a failed login still forbids another; 0 for none.

        After a token that could not be stored there is no wait: before the next login a blank is
        written, which shows that a token can be stored.
        """
        if self.state != FAILED or self.login_class == "store":
            return 0.0
        left = self.not_before - now
        if age is not None:
            # Its length is by its writer's clock, its age by the store's.
            left = min(self.not_before - self.since, BAN) - age
        # Without an age, a time far ahead is junk; one a little ahead is from another clock.
        return left if 0 < left <= 2 * BAN else 0.0

    def forbids(
        self, now: float, age: float | None, most: int
    ) -> tuple[Literal["", "refused", "braked"], float]:
        """Return why no login is allowed, and for how many seconds; `most`: logins a minute."""
        refused, recent = self.refused_for(now, age), self.recent(now)
        if refused:
            return "refused", refused
        return ("braked", recent[-most] + BRAKE_WINDOW - now) if len(recent) >= most else ("", 0.0)

    def vouches_for(self, fingerprint: str, age: float | None) -> bool:
        """Return whether this says that a login stored this very token a moment ago."""
        known = self.state == DONE and self.published == fingerprint != ""
        return known and younger(age, FRESH)

    def untouched(self) -> Lock:
        """Return the lock of a holder that made no login."""
        return self._replace(state=DONE, logins=self.logins[:-1])

    def finished(self, published: str) -> Lock:
        """Return the lock after a login; `published` is its token's fingerprint, or ""."""
        return self._replace(
            state=DONE, published=published, refusals=0, status="", login_class="", not_before=0.0
        )


def younger(age: float | None, seconds: float) -> bool:
    """Return whether an age is at most so many seconds; one from the future is not."""
    return age is not None and -MARGIN <= age <= seconds


NONE = Lock(DONE)
"""What a missing object counts as: no login has been made yet."""

JUNK = Lock(HELD)
"""What unreadable content counts as: held by an unknown process, for JUNK_TTL seconds."""


class Memory:
    """What a process remembers: what its last call found out, and could not finish.

    Attributes:
        owed: a lock that it had to write, and perhaps could not; None for none.
        since: when it was noted, by the steady and the wall clock; its times count from then.
        unfit: whether its last login could not be sent, as for want of a certificate.
    """

    unfit = False
    owed: Lock | None = None
    since: Times = (0.0, 0.0)
    _dead: Any = None  # a token, as effects.Token
    _asked: Times = (0.0, 0.0)

    def __init__(self) -> None:
        """Begin with nothing."""
        reset_in_child(self)

    def after_fork(self) -> None:
        """Leave the parent's lock to the parent, which may hold it; a refusal still counts."""
        if self.owed is not None and self.owed.state != FAILED:
            self.owed = None

    def owe(self, lock: Lock, now: Times) -> None:
        """Remember what the lock should say."""
        self.owed, self.since = lock, now

    def age(self, now: Times) -> float:
        """Return how long ago that was, by the steady clock, which never steps."""
        return max(now[0] - self.since[0], 0.0)

    def bury(self, token: Any, asked: Times) -> Any:  # noqa: ANN401 - see _dead
        """Remember, and return, a token that Betfair, asked at that time, called dead."""
        self._dead, self._asked = token, asked
        return token

    def buried(self, clock: Clock) -> Any:  # noqa: ANN401 - see _dead
        """Return that token for a minute: a short call may end before the login that it needs."""
        recent = self._dead is not None and passed(self._asked, clock.now()) <= FRESH
        return self._dead if recent else None

    def lock(self, clock: Clock) -> Lock:
        """Return the lock that is owed, with its times counted from now."""
        owed, now = self.owed or JUNK, clock.server()
        left = max(owed.not_before - owed.since - self.age(clock.now()), 0.0)
        ends = now + left if owed.state == FAILED else 0.0
        return owed._replace(since=now, not_before=ends, published="")  # not just now


def encode(lock: Lock) -> bytes:
    """Return a lock object's content."""
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
        if not isinstance(fields, dict) or fields.get("v") != VERSION:
            return JUNK
        fields = {"boot": "", "logins": None, **fields}
        if not fields["boot"]:
            fields |= {"up": 0.0, "now": 0.0}
        if not isinstance(fields["logins"], list):
            fields["logins"] = []
        logins = fields["logins"][-MOST_LOGINS:]
        numbers = {name: fields[name] for name in _NUMBERS}
        texts = {name: fields[name] for name in _TEXTS}
        # ASCII, so that what is read can be written again: other text would grow.
        joined = "".join(texts.values())
        sound = joined.isascii() and joined.isprintable() and fields["state"] in STATES
        # Users see the status as Betfair's, and anyone who can write the store controls it.
        sound = sound and _STATUS.fullmatch(fields["status"]) is not None
        # Not bool, which is an int.
        sound = sound and {type(number) for number in (*numbers.values(), *logins)} <= {int, float}
        if not (sound and all(map(math.isfinite, (*numbers.values(), *logins)))):
            return JUNK
        known = {name: text[:200] for name, text in texts.items()}
        known |= {name: float(number) for name, number in numbers.items()}
        lock = Lock(**known, logins=tuple(map(float, logins)))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return JUNK
    ttl, refusals = min(max(lock.ttl, 0.0), MAX_TTL), max(int(lock.refusals), 0)
    return lock._replace(ttl=ttl, refusals=refusals)


def cleared(content: bytes) -> bytes:
    """Return a lock object's content without a holder or a refusal; its logins still count."""
    lock = decode(content)
    return encode(Lock(DONE, lock.nonce, logins=lock.logins))


def withdrawn(content: bytes) -> bytes | None:
    """Return a lock object's content without its published token; None if it is not "done"."""
    lock = decode(content)
    return encode(lock._replace(published="")) if lock.state == DONE else None
