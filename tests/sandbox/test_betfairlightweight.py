"""The established Python client, unchanged, as proof that the sandbox speaks the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

betfairlightweight = pytest.importorskip("betfairlightweight")

if TYPE_CHECKING:
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
    assert client.logout().status == "SUCCESS"
    assert sandbox.sessions() == []
    counts = {"certlogin": 1, "keepAlive": 1, "betting": 1, "account": 2, "logout": 1}
    assert sandbox.counts() == counts
    assert [entry.defects for entry in sandbox.journal()] == [[]] * 6


def test_it_logs_in_interactively(sandbox: Sandbox, client: Any) -> None:  # noqa: ANN401
    """The same client without a certificate."""
    client.login_interactive()
    assert [session.token for session in sandbox.sessions()] == [client.session_token]


def test_it_recognises_our_refusals_as_betfairs(sandbox: Sandbox, client: Any) -> None:  # noqa: ANN401
    """Each of them becomes the exception that its users know."""
    sandbox.login_status("SUSPENDED", times=1)
    with pytest.raises(betfairlightweight.exceptions.LoginError, match="SUSPENDED"):
        client.login()
    client.login()
    sandbox.expire_all()
    with pytest.raises(betfairlightweight.exceptions.KeepAliveError, match="NO_SESSION"):
        client.keep_alive()
    with pytest.raises(betfairlightweight.exceptions.APIError, match="INVALID_SESSION_INFORMATION"):
        client.betting.list_event_types()
