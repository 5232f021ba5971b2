"""The real flumine, unchanged, with our APIClient: against the sandbox, over real TLS.

flumine needs a `requests` older than what some of the other tests' packages need, so it has an
environment of its own, which `python3 dev.py long bots` makes. Elsewhere this is skipped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from servers.process import poll

from betfair_session import IdentityClient, JurisdictionName, SessionManager
from betfair_session.betfair.jurisdictions import JURISDICTIONS
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Sandbox

Bot = Callable[..., APIClient]

flumine = pytest.importorskip("flumine", reason="its environment is another one")
BetfairClient = flumine.clients.BetfairClient
keep_alive = flumine.worker.keep_alive

SECONDS = 60
SHORTEST = timedelta(minutes=20)  # of the sessions whose length Betfair tells


class Strategy(flumine.BaseStrategy):  # type: ignore[name-defined] # only known when it runs
    """Watches markets and does nothing."""


def watching(markets: dict[str, Any]) -> dict[str, Any]:
    """Return what flumine 3, or 2, takes to watch markets."""
    stream = getattr(flumine.streams.streams, "BetfairMarketStream", None)
    return {"streams": [stream(market_filter=markets)]} if stream else {"market_filter": markets}


@contextmanager
def running(client: Any, *strategies: Strategy) -> Iterator[None]:  # noqa: ANN401
    """Run flumine until the end of the block, and wait until it has stopped.

    The block has to wait for a keepAlive: flumine cannot stop a worker that has hardly begun.
    """
    framework = flumine.Flumine(client=client)
    for strategy in strategies:
        framework.add_strategy(strategy)
    thread = threading.Thread(target=framework.run)
    thread.start()
    try:
        yield
    finally:
        framework.handler_queue.put(flumine.events.events.TerminationEvent(framework))
        thread.join(SECONDS)
    assert not thread.is_alive()
    (worker,) = [each for each in framework._workers if each.function is keep_alive]
    assert not worker.is_alive()


def until(condition: Callable[[], bool]) -> None:
    assert any(condition() for _ in poll(SECONDS)), "it did not come about"


def streams(sandbox: Sandbox) -> list[tuple[str | None, str | None]]:
    """Return the token that each subscribed stream has sent, and the outcome."""
    return [
        (entry.token, entry.outcome)
        for entry in sandbox.journal("stream")
        if len(entry.operations) == 2
    ]


def test_a_run_keeps_the_session_alive_and_a_stop_leaves_it_to_the_fleet(
    sandbox: Sandbox, bot: Bot
) -> None:
    """Its worker sends keepAlives, and its streams reconnect with the token of a new session."""
    trading = bot(keep_alive_every=timedelta(seconds=0.6))
    # Without the workers that flumine cannot stop while they sleep, four seconds each.
    client = BetfairClient(trading, market_recording_mode=True)
    strategy = Strategy(**watching({"eventTypeIds": ["7"]}))
    with running(client, strategy):
        until(lambda: len(streams(sandbox)) == 2)
        before = sandbox.counts()["keepAlive"]
        until(lambda: sandbox.counts()["keepAlive"] >= before + 3)
        old = trading.session_token
        assert streams(sandbox) == [(old, "SUCCESS")] * 2
        sandbox.expire_all()
        sandbox.close_streams()
        until(lambda: len(streams(sandbox)) == 4)
        new = trading.session_token
    assert client.account_details.currency_code == "GBP"
    assert old != new
    assert streams(sandbox)[2:] == [(new, "SUCCESS")] * 2
    assert [session.token for session in sandbox.sessions()] == [new]
    counts = sandbox.counts()
    assert (counts["certlogin"], "logout" in counts) == (2, False)


def test_a_stop_ends_the_session_when_that_is_wanted(sandbox: Sandbox, bot: Bot) -> None:
    """For a bot that does not share it."""
    trading = bot(end_session_on_logout=True, keep_alive_every=timedelta(seconds=0.6))
    client = BetfairClient(trading, market_recording_mode=True, order_stream=False)
    with running(client):
        until(lambda: "keepAlive" in sandbox.counts())
        assert len(sandbox.sessions()) == 1
    assert sandbox.sessions() == []
    assert sandbox.counts()["logout"] == 1


def test_its_handlers_catch_our_errors(
    sandbox: Sandbox, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    """They log them, and the framework goes on."""
    client = BetfairClient(bot())
    sandbox.login_status("SUSPENDED", times=1)
    assert client.login() is None
    sandbox.fault("keepAlive", "blocked", times=None)
    assert client.keep_alive() is None
    client.update_account_details()
    assert client.account_details is None
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "BetfairClient `login` error",
        "BetfairClient `keep_alive` error",
        "BetfairClient `account.get_account_details` error",
        "BetfairClient `account.get_account_funds` error",
    ]
    assert sandbox.counts()["certlogin"] == 1
    assert sandbox.password not in caplog.text


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_the_worker_is_in_time_for_every_jurisdiction(
    name: JurisdictionName, tmp_path: Path
) -> None:
    """A keepAlive comes well before a session's end, and never twice in 15 minutes."""
    manager = SessionManager(IdentityClient("key", jurisdiction=name), "user", "password")
    trading = APIClient(manager.session(tmp_path, "session.token"))
    framework = flumine.Flumine(client=BetfairClient(trading))
    framework._add_default_workers()
    (worker,) = [each for each in framework._workers if each.function is keep_alive]
    every, look = (timedelta(seconds=each) for each in (trading._keep_alive_every, worker.interval))
    assert every >= timedelta(minutes=15)
    assert every + look <= (JURISDICTIONS[name].session_length or SHORTEST) * 7 / 8
