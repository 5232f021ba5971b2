"""The betting and account APIs and the stream: what a session is good for, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from betfair_session.sandbox import Sandbox
from sandbox.conftest import Caller

Call = Callable[..., Any]

LIST, FUNDS = "SportsAPING/v1.0/listEventTypes", "AccountAPING/v1.0/getAccountFunds"
DEAD = "A" * 43 + "="
RPC = "betting/json-rpc/v1"


@pytest.fixture
def call(sandbox: Sandbox, caller: Caller) -> Call:
    """Return a function that posts JSON, or other content, to an API; it returns the JSON."""

    def post(path: str, content: object, token: str | None = None, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
        given = sandbox.app_key if key is None else key
        headers = {"X-Application": given, "X-Authentication": token}
        body = {"data": content} if isinstance(content, bytes) else {"json": content}
        return caller.post(sandbox.api_url + path, headers=headers, **body).json()

    return post


def rpc(method: str, number: int = 1, params: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": number}


def test_a_call_does_not_extend_its_session(sandbox: Sandbox, call: Call) -> None:
    """Only keepAlive does. The journal names the operations, of a batch each."""
    token, batch = sandbox.issue(), [rpc(LIST, 1), rpc("SportsAPING/v1.0/listMarketCatalogue", 2)]
    sandbox.advance(11 * 3600)
    assert [(one["id"], "result" in one) for one in call(RPC, batch, token)] == [(1, 1), (2, 1)]
    (entry,) = sandbox.journal()
    assert (entry.outcome, entry.operations) == (
        "SUCCESS",
        ["listEventTypes", "listMarketCatalogue"],
    )
    sandbox.advance(2 * 3600)
    assert "error" in call(RPC, rpc(LIST), token)


def test_what_else_is_refused(sandbox: Sandbox, call: Call) -> None:
    """Protocol errors have numbers of their own; -32099 alone says nothing about the session."""
    token = sandbox.issue()
    wrong = (rpc("nothing"), -32601), ({"method": LIST, "params": 1}, -32602), (b"{", -32700)
    for content, code in wrong:
        assert call(RPC, content, token)["error"]["code"] == code
    for key, name in (("", "NO_APP_KEY"), ("wrong", "INVALID_APP_KEY"), (None, "NO_SESSION")):
        error = call(RPC, rpc(LIST), None, key)["error"]
        assert (error["code"], error["data"]["APINGException"]["errorCode"]) == (-32099, name)
    error = call("account/json-rpc/v1", rpc(FUNDS), DEAD)["error"]
    name = error["data"]["exceptionname"]
    assert (error["message"], name) == ("AANGX-0003", "AccountAPINGException")


def test_an_order_with_a_known_reference_is_placed_once_in_a_minute(
    sandbox: Sandbox, call: Call
) -> None:
    """By each account; without a reference it is placed whenever it is sent."""

    def place(token: str, **params: object) -> str:
        order = {"marketId": "1.1", "instructions": [{"selectionId": 1}], **params}
        told = call(RPC, rpc("SportsAPING/v1.0/placeOrders", params=order), token)
        result = told["result"] if "result" in told else told["error"]["data"]["APINGException"]
        return str(result.get("errorCode") or result["status"])

    sandbox.add_account("other", "other password")
    token, others = sandbox.issue(), sandbox.issue("other")
    said = [place(each, customerRef="ref-1") for each in (others, token, token)]
    assert said == ["SUCCESS", "SUCCESS", "DUPLICATE_TRANSACTION"]
    assert [place(token), place(token)] == ["SUCCESS"] * 2
    sandbox.advance(61)
    assert place(token, customerRef="ref-1") == "SUCCESS"
    assert {place(token, customerRef=odd) for odd in ("x" * 33, "a b")} == {"INVALID_INPUT_DATA"}
    references = [order.customer_ref for order in sandbox.orders()]
    assert references == ["ref-1", "ref-1", None, None, "ref-1"]


# Its own way to make a TLS context is an old one.
@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated")
def test_the_established_client_understands_it_unchanged(sandbox: Sandbox, caller: Caller) -> None:
    """Its own resource classes parse the answers; in tests/integrations it bets and streams."""
    betfairlightweight = pytest.importorskip("betfairlightweight")
    account = (sandbox.username, sandbox.password, sandbox.app_key)
    client = betfairlightweight.APIClient(
        *account, cert_files=sandbox.certificate, session=caller.http
    )
    client.identity_uri, client.api_uri = sandbox.identity_url, sandbox.api_url
    client.identity_cert_uri = sandbox.identity_cert_url
    assert client.login().session_token == client.session_token
    assert client.keep_alive().status == "SUCCESS"
    assert client.account.get_account_statement().account_statement == []
    assert client.account.list_currency_rates()[0].currency_code == "EUR"
    assert client.logout().status == "SUCCESS"
    assert sandbox.sessions() == []
    assert {tuple(entry.defects) for entry in sandbox.journal()} == {()}
