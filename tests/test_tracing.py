"""Traced programs: our threads have the caller's context, and no tracer's error leaves us."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from fsspec.asyn import get_loop
from secrets_shown import everything_in
from within import within

from betfair_session import (
    Exchange,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    KeepAlive,
    SessionManager,
)
from betfair_session.betfair.connections import OwnSession
from betfair_session.process.single_flight import aside
from betfair_session.process.threads import Once, run_until
from betfair_session.storage.loop import background_loop, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.sandbox import Sandbox

SEGMENT: ContextVar[str] = ContextVar("SEGMENT", default="none")


class SegmentNotFound(Exception):
    """As a strict tracer raises it, out of the call that it wraps."""


async def segment() -> str:
    """Return what the code here belongs to."""
    return SEGMENT.get()


WAYS: dict[str, Callable[[], str]] = {
    "a thread with an end": lambda: run_until(within(60), SEGMENT.get),
    "a thread beside an event loop": lambda: asyncio.run(aside(SEGMENT.get)),
    "the opening of a driver": lambda: Once[str]().get(SEGMENT.get, deadline=within(60)),
    "our event loop": lambda: run(background_loop(), segment, deadline=within(60)),
    "our loop's look-ups": lambda: run(
        background_loop(),
        lambda: asyncio.get_running_loop().run_in_executor(None, SEGMENT.get),  # type: ignore[arg-type, return-value] # awaited likewise
        deadline=within(60),
    ),
    "fsspec's event loop": lambda: run(get_loop(), segment, deadline=within(60)),
}


@pytest.mark.parametrize("way", WAYS)
def test_our_threads_have_the_callers_context(way: str) -> None:
    """Each call has its own, also where an earlier one has started what it uses."""
    for name in ("first", "second"):

        def ask(name: str = name) -> str:
            SEGMENT.set(name)
            return WAYS[way]()

        assert copy_context().run(ask) == name


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Collect each request's endpoint with what it belongs to."""
    seen: list[tuple[str, str]] = []
    put = HTTPConnection.putrequest

    def traced(self: HTTPConnection, method: str, url: str, **settings: Any) -> None:  # noqa: ANN401 - http.client's
        seen.append((url.rpartition("/")[2], SEGMENT.get()))
        put(self, method, url, **settings)

    monkeypatch.setattr(HTTPConnection, "putrequest", traced)
    return seen


def test_requests_belong_to_the_call_that_makes_them(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, seen: list[tuple[str, str]]
) -> None:
    """In all ways to a token."""
    manager = SessionManager(client, sandbox.username, sandbox.password)

    def call(name: str, work: Callable[[], object]) -> None:
        def named() -> None:
            SEGMENT.set(name)
            work()

        copy_context().run(named)

    async def ask() -> None:
        await manager.session(tmp_path, "session.token").atoken()

    call("sync", lambda: manager.get_session(tmp_path, "session.token"))
    call("async", lambda: asyncio.run(ask()))
    call("kept", lambda: KeepAlive(manager.session(tmp_path, "session.token")).start().stop())
    assert seen == [("certlogin", "sync"), ("keepAlive", "async"), ("keepAlive", "kept")]


def test_a_tracers_error_becomes_ours(
    client: IdentityClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether anything was sent, nobody knows; and it may hold what was to be sent."""
    manager = SessionManager(client, sandbox.username, sandbox.password)
    session = manager.session(tmp_path, "session.token")
    token = session.token()
    exchange = Exchange(session, api_url=sandbox.api_url, verify=sandbox.ca_bundle)

    def fail(_: object, *given: object, **named: object) -> NoReturn:
        raise SegmentNotFound(given, named)

    monkeypatch.setattr(HTTPConnection, "putrequest", fail)
    monkeypatch.setattr(OwnSession, "post", fail)
    for call in (
        session.verify,
        lambda: client.logout(token),
        lambda: client.certlogin(sandbox.username, sandbox.password),
    ):
        with pytest.raises(IdentityUnavailable) as caught:
            call()
        assert caught.value.sent
        shown = everything_in(caught.value)
        assert token not in shown
        assert sandbox.password not in shown
    with exchange, pytest.raises(ExchangeError) as refused:
        exchange.call("listEventTypes", {"filter": {}})
    assert not refused.value.landed
