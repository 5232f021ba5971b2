"""The small object beside a token that says who logs in, and how the last login went.

It holds no secret. Times are the store's own, in seconds since the epoch.
"""

from __future__ import annotations

import math
import re
from typing import Any

from betfair_session.value import Value

from .settings import MAX_TTL, MOST_LOGINS

VERSION = 1
"""The format's number; an object with another one is left alone until it expires."""

JUNK_TTL = 30.0
"""Seconds for which content that nobody can read counts as held."""

_STATUS = re.compile(r"[A-Z0-9_]{0,64}", re.ASCII)

HELD, DONE, FAILED = "held", "done", "failed"


class Lock(Value):
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


JUNK = Lock(HELD)
"""What content that cannot be read counts as: held by nobody known, for JUNK_TTL seconds."""


def encode(lock: Lock) -> bytes:
    """Write a lock object's content."""
    import json

    return json.dumps({"v": VERSION, **vars(lock)}, separators=(",", ":")).encode()


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
