"""The betting and account APIs: enough to be told that a session is dead, and to place orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]

_LIST = "SportsAPING/v1.0/listEventTypes"
_DEAD = "A" * 43 + "="


@pytest.fixture
def call(sandbox: Sandbox, http: requests.Session) -> Post:
    """Return a function that posts JSON, or other content, to the betting API's host."""

    def post(
        path: str, content: object, token: str | None = None, app_key: str = sandbox.app_key
    ) -> requests.Response:
        headers = {"X-Application": app_key, "X-Authentication": token}
        body = {"data": content} if isinstance(content, bytes) else {"json": content}
        return http.post(sandbox.api_url + path, headers=headers, timeout=20, **body)

    return post


def _rpc(method: str, number: int = 1, params: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": number}


def _place(call: Post, token: str, **params: object) -> dict[str, Any]:
    order = {"marketId": "1.1", "instructions": [{"selectionId": 1}], **params}
    request = _rpc("SportsAPING/v1.0/placeOrders", params=order)
    result: dict[str, Any] = call("betting/json-rpc/v1", request, token).json()
    return result


@pytest.mark.parametrize(
    ("service", "method", "exception", "number"),
    [
        ("betting", _LIST, "APINGException", "ANGX-0003"),
        ("account", "AccountAPING/v1.0/getAccountFunds", "AccountAPINGException", "AANGX-0003"),
    ],
)
def test_a_dead_session_is_told_in_json_rpc_and_in_rest(
    call: Post, service: str, method: str, exception: str, number: str
) -> None:
    """HTTP 200 and -32099, or 400 and a client fault; the code is below the exception's name."""
    answer = call(f"{service}/json-rpc/v1", _rpc(method, 7), _DEAD)
    assert answer.status_code == 200
    error = answer.json()["error"]
    assert (answer.json()["id"], error["code"], error["message"]) == (7, -32099, number)
    rest = call(f"{service}/rest/v1.0/{method.rpartition('/')[2]}/", {}, _DEAD)
    assert rest.status_code == 400
    fault = rest.json()
    assert (fault["faultcode"], fault["faultstring"]) == ("Client", number)
    for told in (error["data"], fault["detail"]):
        assert told["exceptionname"] == exception
        assert told[exception]["errorCode"] == "INVALID_SESSION_INFORMATION"


def test_other_refusals_use_the_same_number_of_json_rpc(call: Post) -> None:
    """-32099 alone says nothing about the session."""
    for given, code in (
        ({"app_key": ""}, "NO_APP_KEY"),
        ({"app_key": "wrong"}, "INVALID_APP_KEY"),
        ({}, "NO_SESSION"),
    ):
        error = call("betting/json-rpc/v1", _rpc(_LIST), **given).json()["error"]
        assert (error["code"], error["data"]["APINGException"]["errorCode"]) == (-32099, code)


def test_a_live_session_gets_results_singly_in_a_batch_and_by_rest(
    sandbox: Sandbox, call: Post
) -> None:
    """The journal names the operations. None of them extends the session: only keepAlive does."""
    token = sandbox.issue()
    sandbox.advance(11 * 3600)
    single = call("betting/json-rpc/v1", _rpc(_LIST), token).json()
    assert single["result"][0]["eventType"]["id"] == "7"
    calls = [_rpc(_LIST, 1), _rpc("SportsAPING/v1.0/listMarketCatalogue", 2)]
    batch = call("betting/json-rpc/v1", calls, token).json()
    assert [(one["id"], "result" in one) for one in batch] == [(1, True), (2, True)]
    rest = call("account/rest/v1.0/getAccountDetails/", {}, token)
    assert rest.json()["currencyCode"] == "GBP"
    assert [entry.operations for entry in sandbox.journal()] == [
        ["listEventTypes"],
        ["listEventTypes", "listMarketCatalogue"],
        ["getAccountDetails"],
    ]
    assert {entry.outcome for entry in sandbox.journal()} == {"SUCCESS"}
    assert sandbox.counts() == {"betting": 2, "account": 1}
    sandbox.advance(2 * 3600)
    dead = call("betting/json-rpc/v1", _rpc(_LIST), token).json()
    assert dead["error"]["data"]["APINGException"]["errorCode"] == "INVALID_SESSION_INFORMATION"
    assert sandbox.journal()[-1].outcome == "INVALID_SESSION_INFORMATION"


def test_malformed_calls_are_refused_without_touching_the_session(
    sandbox: Sandbox, call: Post
) -> None:
    """Protocol errors have numbers of their own."""
    token = sandbox.issue()
    for content, code in (
        (_rpc("SportsAPING/v1.0/nothing"), -32601),
        (_rpc("listEventTypes"), -32601),
        ({"method": _LIST, "params": 1}, -32602),
        ("nonsense", -32700),
        (b"{", -32700),
    ):
        assert call("betting/json-rpc/v1", content, token).json()["error"]["code"] == code
    assert call("betting/json-rpc/v1", [], token).json() == []
    unknown = call("betting/rest/v1.0/nothing/", {}, token)
    assert (unknown.status_code, unknown.json()["faultstring"]) == (404, "DSC-0021")
    bad = call("betting/rest/v1.0/listEventTypes/", [1], token)
    assert (bad.status_code, bad.json()["faultstring"]) == (400, "DSC-0009")
    assert len(sandbox.sessions()) == 1


def test_an_order_with_a_known_reference_is_placed_once_in_a_minute(
    sandbox: Sandbox, call: Post
) -> None:
    """A customerRef of one's own drops duplicates for 60 s; a malformed order is refused."""
    sandbox.add_account("other", "other password")
    _place(call, sandbox.issue("other"), customerRef="ref-1")
    token = sandbox.issue()
    _place(call, token, customerRef="ref-0")
    first = _place(call, token, customerRef="ref-1")["result"]
    assert (first["status"], len(first["instructionReports"])) == ("SUCCESS", 1)
    second = _place(call, token, customerRef="ref-1")["result"]
    assert (second["status"], second["errorCode"]) == ("FAILURE", "DUPLICATE_TRANSACTION")
    for _ in range(2):
        assert _place(call, token)["result"]["status"] == "SUCCESS"
    sandbox.advance(61)
    assert _place(call, token, customerRef="ref-1")["result"]["status"] == "SUCCESS"
    bad: list[dict[str, object]] = [{"customerRef": "x" * 33}, {"customerRef": "a b"}]
    bad.append({"instructions": []})
    for params in bad:
        error = _place(call, token, **params)["error"]
        assert error["data"]["APINGException"]["errorCode"] == "INVALID_INPUT_DATA"
    references = [order.customer_ref for order in sandbox.orders()]
    assert references == ["ref-1", "ref-0", "ref-1", None, None, "ref-1"]
