"""What lies in a store: the token object and the lock beside it."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import time

from login import messages as m
from login.script import Play
from within import within

from betfair_session import LeaseSettings
from betfair_session.cli.words import login_document, login_words
from betfair_session.exceptions import BetfairSessionError, NotATokenError
from betfair_session.login import lock as locks
from betfair_session.login.errors import Errors
from betfair_session.login.inspection import inspect, inspect_login
from betfair_session.login.memory import Memory
from betfair_session.login.policy import SharedLogin
from betfair_session.process.clocks import Clock
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY, MAX_READ
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_token, parse_token

from .feed import Feed

STEPS = 400
"""More than any call needs: each wait brings it nearer to its deadline."""

_SECONDS = 30.0
_TOKENS = (None, "token-one", "token-two", "token-new")
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


def _told(end: object) -> None:
    if isinstance(end, BetfairSessionError):
        assert str(end).isprintable()


def _inspected(content: bytes) -> None:
    """Look at it as `betfair-session status` does, in a real store."""
    store = open_store("memory://fuzz")
    store.put("k" + LOCK_SUFFIX, content, ANY, deadline=within(1))
    found = inspect_login(store, "k", timeout=1)
    assert login_words(found).isprintable()
    assert login_document(found)["state"] == found.state
    assert len(login_words(found)) < 1200
    store.put("k", content, ANY, deadline=within(1))
    try:
        seen = inspect(store, "k", timeout=1)
    except NotATokenError:
        assert len(content) > 1024
    else:
        assert seen.login.state == found.state


class _Clock(Clock):
    """Clocks that go on as the policy waits; the store's may be hours off."""

    def __init__(self, choices: Feed) -> None:
        self._passed = 0.0
        self._began = time.time()
        self._off = choices.pick((0.0, 1e4, -1e4))
        self._nonces = 0

    def pass_by(self, seconds: float) -> None:
        """Let time go on."""
        self._passed += seconds

    def mono(self) -> float:
        """See Clock."""
        return 1000.0 + self._passed

    def now(self) -> tuple[float, float]:
        """See Clock."""
        return self.mono(), self._began + self._passed

    def server(self) -> float:
        """See Clock."""
        return self._began + self._passed + self._off

    def jitter(self) -> float:
        """See Clock."""
        return 0.5

    def nonce(self) -> str:
        """See Clock."""
        self._nonces += 1
        return f"nonce-{self._nonces}"


def _walk(choices: Feed, content: bytes) -> object:
    """Answer the policy's questions by `choices` until it has decided."""
    clock = _Clock(choices)
    login = SharedLogin(
        LeaseSettings(),
        clock,
        Errors("file:///s", "k"),
        Memory(),
        owner="me",
        deadline=clock.mono() + _SECONDS,
        shared=choices.byte() % 4 > 0,
        share=choices.byte() % 4 == 0,
    )
    play = Play(login)
    held: locks.Lock | None = locks.decode(content)
    version = "v0"
    for number in range(STEPS):
        asked = play.asked
        if isinstance(asked, m.Done | BetfairSessionError):
            return asked
        clock.pass_by(asked.seconds if isinstance(asked, m.Wait) else 0.01)
        if isinstance(asked, m.WriteLock) and choices.byte() % 4:
            held, version = asked.lock, f"v{number}"
            play.tell(m.Written(version, honest=choices.byte() % 4 > 0))
        elif isinstance(asked, m.ReadLock):
            play.tell(m.LockRead(held, version, choices.pick(_AGES)))
        else:
            play.tell(_answer(choices, asked))
    message = "the policy did not come to an end"
    raise AssertionError(message)


def _answer(choices: Feed, effect: object) -> object:  # noqa: PLR0911 - one for each effect
    """Choose what the store or Betfair answers."""
    failed = m.StoreFailed("no", landed=choices.byte() % 2 > 0, passing=choices.byte() % 2 > 0)
    if isinstance(effect, m.ReadToken):
        found = choices.pick(_TOKENS)
        read = m.TokenRead(found, found and f"v-{found}", found or "")
        return read if choices.byte() % 8 else failed
    if isinstance(effect, m.WriteLock):
        return m.Conflict() if choices.byte() % 2 else failed
    if isinstance(effect, m.WriteToken):
        return m.Written("v-token") if choices.byte() % 2 else failed
    if isinstance(effect, m.Ask):
        tokens = (None, None, m.Session("token-one"), m.Session("other"), m.Unclear("no"))
        return choices.pick(tokens)
    if isinstance(effect, m.LogIn):
        return choices.pick(
            (
                m.Session("token-new", "token-new"),
                m.Refused("no", "ACCOUNT_NOW_LOCKED", "account"),
                m.Unclear("no"),
                m.Unclear("no", sent=False),
            )
        )
    if isinstance(effect, m.LogOut):
        return choices.pick((None, m.Unclear("no")))
    assert isinstance(effect, m.Wait)
    return m.WOKE
