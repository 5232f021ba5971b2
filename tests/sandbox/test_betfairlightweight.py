"""The established Python client, unchanged, as proof that the sandbox speaks the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

betfairlightweight = pytest.importorskip("betfairlightweight")

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from betfair_session.sandbox import Sandbox


@pytest.fixture
def client(sandbox: Sandbox, http: requests.Session) -> Any:  # noqa: ANN401 - it ships no types
    """Return its APIClient, led to the sandbox."""
    client = betfairlightweight.APIClient(
        sandbox.username,
        sandbox.password,
        app_key=sandbox.app_key,
        cert_files=sandbox.certificate,
        session=http,
    )
    client.identity_uri = sandbox.identity_url
    client.identity_cert_uri = sandbox.identity_cert_url
    client.api_uri = sandbox.api_url
    return client


def test_it_logs_in_keeps_alive_bets_and_logs_out(sandbox: Sandbox, client: Any) -> None:  # noqa: ANN401
    """The whole life of a session, each answer parsed by its own resource classes."""
    login = client.login()
    assert (login.login_status, login.session_token) == ("SUCCESS", client.session_token)
    assert client.keep_alive().status == "SUCCESS"
    assert client.betting.list_event_types()[0].event_type.name == "Horse Racing"
    assert client.account.get_account_funds().available_to_bet_balance == 1000.0
    assert client.account.get_account_details().currency_code == "GBP"
    assert client.account.get_account_statement().account_statement == []
    assert client.account.list_currency_rates()[0].currency_code == "EUR"
    limit = betfairlightweight.filters.limit_order(size=2.0, price=1.01, persistence_type="LAPSE")
    order = betfairlightweight.filters.place_instruction("LIMIT", 1, "BACK", limit_order=limit)
    report = client.betting.place_orders("1.1", [order])
    assert (report.status, report.place_instruction_reports[0].status) == ("SUCCESS", "SUCCESS")
    assert [placed.market_id for placed in sandbox.orders()] == ["1.1"]
    assert client.logout().status == "SUCCESS"
    assert sandbox.sessions() == []
    counts = {"certlogin": 1, "keepAlive": 1, "betting": 2, "account": 4, "logout": 1}
    assert sandbox.counts() == counts
    assert [entry.defects for entry in sandbox.journal()] == [[]] * 9


@pytest.fixture
def stream(sandbox: Sandbox, client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:  # noqa: ANN401
    """Return its stream, led to the sandbox, which it does not verify."""
    stream_class = betfairlightweight.streaming.BetfairStream
    host, port = sandbox.stream_address
    monkeypatch.setitem(stream_class.HOSTS, "sandbox", host)
    monkeypatch.setattr(stream_class, "_BetfairStream__port", port)
    client.login()
    stream = client.streaming.create_stream(host="sandbox")
    yield stream
    stream.stop()


# Its own way to make a TLS context is an old one.
@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated")
def test_it_streams_until_it_is_refused(sandbox: Sandbox, client: Any, stream: Any) -> None:  # noqa: ANN401
    """It is let in, subscribes to markets and orders, and understands images and refusals."""
    stream.subscribe_to_orders()
    stream.subscribe_to_markets(market_filter={}, market_data_filter={})
    while len(sandbox.journal("stream")[0].operations) < 3:
        pass
    sandbox.close_streams()
    with pytest.raises(betfairlightweight.exceptions.SocketError):
        stream.start()
    entry = sandbox.journal("stream")[0]
    assert (entry.token, entry.outcome) == (client.session_token, "SUCCESS")
    assert entry.operations == ["authentication", "orderSubscription", "marketSubscription"]
    assert stream.listener.connections_available == 9
    assert stream.listener.clk
    sandbox.expire_all()
    with pytest.raises(betfairlightweight.exceptions.ListenerError):
        client.streaming.create_stream(host="sandbox").start()


def test_it_recognises_our_refusals_as_betfairs(sandbox: Sandbox, client: Any) -> None:  # noqa: ANN401
    """Each of them becomes the exception that its users know."""
    sandbox.login_status("SUSPENDED", times=1)
    with pytest.raises(betfairlightweight.exceptions.LoginError):
        client.login()
    client.login_interactive()
    assert [session.token for session in sandbox.sessions()] == [client.session_token]
    sandbox.expire_all()
    with pytest.raises(betfairlightweight.exceptions.KeepAliveError):
        client.keep_alive()
    with pytest.raises(betfairlightweight.exceptions.APIError):
        client.betting.list_event_types()
