"""What lies in a store: the token object and the lock beside it."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from betfair_session import LeaseSettings
from betfair_session.cli.words import login_document, login_words
from betfair_session.exceptions import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    NotATokenError,
    StoreUnavailable,
)
from betfair_session.failures import failure
from betfair_session.inspection import inspect, inspect_login
from betfair_session.lease import lock as locks, messages as m
from betfair_session.lease.machine import begin, step
from betfair_session.storage import open_store
from betfair_session.storage.contract import MAX_READ
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_token, parse_token

from .feed import Feed

if TYPE_CHECKING:
    from betfair_session.lease.state import Next

STEPS = 400
"""More than any call needs: each wait brings it nearer to its deadline."""

_SECONDS = 30.0
_TOKENS = (None, "token-one", "token-two", "token-new")
_UNCLEAR = m.Unclear(IdentityUnavailable("no"))
_VERDICTS: tuple[m.Event, ...] = (
    m.Dead(),
    m.Dead(),
    m.Alive("token-one"),
    m.Alive("other"),
    _UNCLEAR,
)
_LOGINS: tuple[m.Event, ...] = (
    m.LoggedIn("token-new", "token-new"),
    m.Refused(LoginRefused("no"), "ACCOUNT_NOW_LOCKED", "account", (60.0, 1200.0)),
    _UNCLEAR,
    _UNCLEAR.but(sent=False),
)
_AGES = (None, 0.0, 1.5, 3.0, 59.0, 3600.0, -3600.0)


def token(data: bytes) -> None:
    """Whatever lies in a token's place is a token, junk, or somebody's data."""
    try:
        found = parse_token(data, where="'k' in s")
    except NotATokenError as error:
        assert len(data) > 1024
        assert len(str(error)) < 200
        return
    if found is not None:
        text = found.reveal()
        assert is_token(text)
        assert text.encode() in data.replace(b"\0", b"")  # it may be UTF-16


def lock(data: bytes) -> None:
    """Whatever lies in a lock's place, the machine comes to an end, and it can be told."""
    feed = Feed(data)
    choices = Feed(bytes(feed.byte() for _ in range(24)))
    content = feed.rest()[: MAX_READ + 1]
    read = locks.decode(content)
    for written in (locks.encode(read), locks.cleared(content), locks.withdrawn(content)):
        assert written is None or len(written) <= MAX_READ
    assert locks.decode(locks.encode(read)) == read
    _told(_walk(choices, content))
    if data[:1] < b"\x10":  # it takes as long as a hundred others
        _inspected(content)


def _told(end: m.Done | m.Failed) -> None:
    if isinstance(end, m.Failed):
        told = failure(end, store="file:///s", key="k")
        assert isinstance(told, BetfairSessionError)
        assert str(told).isprintable()


def _inspected(content: bytes) -> None:
    """Look at it as `betfair-session status` does, in a real store."""
    store = open_store("memory://fuzz")
    store.replace("k" + LOCK_SUFFIX, content, timeout=1)
    found = inspect_login(store, "k", timeout=1)
    assert login_words(found).isprintable()
    assert login_document(found)["state"] == found.state
    assert len(login_words(found)) < 1200
    store.replace("k", content, timeout=1)
    try:
        seen = inspect(store, "k", timeout=1)
    except NotATokenError:
        assert len(content) > 1024
    else:
        assert seen.login.state == found.state


def _walk(choices: Feed, content: bytes) -> m.Done | m.Failed:
    """Answer the machine's questions by `choices` until it has decided."""
    now = time.time()
    tick = m.Tick(1000.0, now, now + choices.pick((0.0, 1e4, -1e4)), 0.5, "nonce-0")
    state, effect = begin(
        LeaseSettings(),
        owner="me",
        deadline=tick.mono + _SECONDS,
        nonce="mine",
        shared=choices.byte() % 4 > 0,
        share=choices.byte() % 4 == 0,
    )
    first = locks.decode(content)
    held: locks.Lock | None = first
    version = "v0"
    for number in range(STEPS):
        if isinstance(effect, m.Done | m.Failed):
            return effect
        passed = effect.seconds if isinstance(effect, m.Wait) else 0.01
        tick = tick.but(
            mono=tick.mono + passed,
            wall=tick.wall + passed,
            server=tick.server + passed,
            nonce=f"nonce-{number}",
        )
        if isinstance(effect, m.WriteLock) and choices.byte() % 4:
            held, version = effect.lock, f"v{number}"
            event: m.Event = m.Written(version, honest=choices.byte() % 4 > 0)
        elif isinstance(effect, m.ReadLock):
            event = m.LockRead(held, version, choices.pick(_AGES))
        else:
            event = _answer(choices, effect)
        state, effect = _next(state, event, tick)
    message = "the machine did not come to an end"
    raise AssertionError(message)


def _next(state: object, event: m.Event, tick: m.Tick) -> Next:
    return step(state, event, tick)  # type: ignore[arg-type] # it is the one that step returned


def _answer(choices: Feed, effect: m.Effect) -> m.Event:  # noqa: PLR0911 - one for each effect
    """Choose what the store or Betfair answers."""
    failed = m.StoreFailed(
        StoreUnavailable("no"), landed=choices.byte() % 2 > 0, passing=choices.byte() % 2 > 0
    )
    if isinstance(effect, m.ReadToken):
        found = choices.pick(_TOKENS)
        read = m.TokenRead(found, found and f"v-{found}", found or "")
        return read if choices.byte() % 8 else failed
    if isinstance(effect, m.WriteLock):
        return m.Conflict(StoreUnavailable("no")) if choices.byte() % 2 else failed
    if isinstance(effect, m.Publish):
        return m.Written("v-token") if choices.byte() % 2 else failed
    if isinstance(effect, m.Validate):
        return choices.pick(_VERDICTS)
    if isinstance(effect, m.Login):
        return choices.pick(_LOGINS)
    if isinstance(effect, m.Logout):
        return m.LoggedOut(choices.pick((None, IdentityUnavailable("no"))))
    assert isinstance(effect, m.Wait)
    return m.Woke()
