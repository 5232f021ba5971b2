"""What lies in a store: the token object and the lock beside it."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import time

from within import within

from betfair_session.cli.status import login_document, login_words
from betfair_session.exceptions import NotATokenError
from betfair_session.login import lock as locks
from betfair_session.login.by_hand import inspect, inspect_login
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY, MAX_READ
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_token, parse_token


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
    """Whatever lies in a lock's place can be read, written again and told; no ban is longer."""
    content = data[: MAX_READ + 1]
    read = locks.decode(content)
    for written in (locks.encode(read), locks.cleared(content), locks.withdrawn(content)):
        assert written is None or len(written) <= MAX_READ
    assert locks.decode(locks.encode(read)) == read
    now = time.time()
    for age in (None, 0.0, 59.0, -3600.0):
        assert read.refused_for(now, age) <= 2 * locks.BAN
        assert read.expired(age, watched=121.0)
    assert len(read.recent(now)) <= 4
    if data[:1] < b"\x10":  # it takes as long as a hundred others
        _inspected(content)


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
