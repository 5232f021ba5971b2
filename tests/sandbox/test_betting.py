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
_FUNDS = "AccountAPING/v1.0/getAccountFunds"
_SERVICES = [
    ("betting", _LIST, ("APINGException", "ANGX-0003")),
    ("account", _FUNDS, ("AccountAPINGException", "AANGX-0003")),
]
_DEAD = "A" * 43 + "="


@pytest.fixture
def call(sandbox: Sandbox, http: requests.Session) -> Post:
    """Return a function that posts JSON to the betting API's host."""

    def post(path: str, content: object, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("X-Application", sandbox.app_key)
        return http.post(sandbox.api_url + path, json=content, headers=named, timeout=20)

    return post


def _rpc(method: str, number: int = 1, params: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": number}


def _place(call: Post, token: str, **params: object) -> dict[str, Any]:
    order = {"marketId": "1.1", "instructions": [{"selectionId": 1}], **params}
    request = _rpc("SportsAPING/v1.0/placeOrders", params=order)
    answer = call("betting/json-rpc/v1", request, X_Authentication=token)
    result: dict[str, Any] = answer.json()
    return result


@pytest.mark.parametrize(("service", "method", "told"), _SERVICES)
def test_a_dead_session_is_told_in_json_rpc(
    call: Post, service: str, method: str, told: tuple[str, str]
) -> None:
    """HTTP 200, -32099, and an errorCode below the member that exceptionname names."""
    exception, number = told
    answer = call(f"{service}/json-rpc/v1", _rpc(method, 7), X_Authentication=_DEAD)
    assert answer.status_code == 200
    content = answer.json()
    assert (content["id"], content["error"]["code"]) == (7, -32099)
    assert content["error"]["message"] == number
    data = content["error"]["data"]
    assert data["exceptionname"] == exception
    assert data[exception]["errorCode"] == "INVALID_SESSION_INFORMATION"


@pytest.mark.parametrize(("service", "method", "told"), _SERVICES)
def test_a_dead_session_is_told_in_rest(
    call: Post, service: str, method: str, told: tuple[str, str]
) -> None:
    """HTTP 400 with a client fault."""
    exception, number = told
    operation = method.rpartition("/")[2]
    answer = call(f"{service}/rest/v1.0/{operation}/", {}, X_Authentication=_DEAD)
    assert answer.status_code == 400
    content = answer.json()
    assert (content["faultcode"], content["faultstring"]) == ("Client", number)
    assert content["detail"]["exceptionname"] == exception
    assert content["detail"][exception]["errorCode"] == "INVALID_SESSION_INFORMATION"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X_Application": ""}, "NO_APP_KEY"),
        ({"X_Application": "wrong"}, "INVALID_APP_KEY"),
        ({}, "NO_SESSION"),
    ],
)
def test_other_refusals_use_the_same_number_of_json_rpc(
    call: Post, headers: dict[str, str], code: str
) -> None:
    """-32099 alone says nothing about the session."""
    error = call("betting/json-rpc/v1", _rpc(_LIST), **headers).json()["error"]
    assert error["code"] == -32099
    assert error["data"]["APINGException"]["errorCode"] == code


def test_a_live_session_gets_results_singly_in_a_batch_and_by_rest(
    sandbox: Sandbox, call: Post
) -> None:
    """A batch is answered with a list, each with its id, and the journal names the operations."""
    token = sandbox.issue()
    single = call("betting/json-rpc/v1", _rpc(_LIST), X_Authentication=token).json()
    assert single["result"][0]["eventType"]["id"] == "7"
    calls = [_rpc(_LIST, 1), _rpc("SportsAPING/v1.0/listMarketCatalogue", 2)]
    batch = call("betting/json-rpc/v1", calls, X_Authentication=token).json()
    assert [(one["id"], "result" in one) for one in batch] == [(1, True), (2, True)]
    rest = call("account/rest/v1.0/getAccountDetails/", {}, X_Authentication=token)
    assert rest.json()["currencyCode"] == "GBP"
    assert [entry.operations for entry in sandbox.journal()] == [
        ["listEventTypes"],
        ["listEventTypes", "listMarketCatalogue"],
        ["getAccountDetails"],
    ]
    assert sandbox.counts() == {"betting": 2, "account": 1}


def test_betting_calls_do_not_extend_a_session(sandbox: Sandbox, call: Post) -> None:
    """Only keepAlive does."""
    token = sandbox.issue()
    sandbox.advance(11 * 3600)
    assert "result" in call("betting/json-rpc/v1", _rpc(_LIST), X_Authentication=token).json()
    sandbox.advance(2 * 3600)
    dead = call("betting/json-rpc/v1", _rpc(_LIST), X_Authentication=token).json()
    assert dead["error"]["data"]["APINGException"]["errorCode"] == "INVALID_SESSION_INFORMATION"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (_rpc("SportsAPING/v1.0/nothing"), -32601),
        (_rpc("listEventTypes"), -32601),
        ({"method": _LIST, "params": 1}, -32602),
        ("nonsense", -32700),
        ([], None),
    ],
)
def test_malformed_json_rpc_is_refused_without_touching_the_session(
    sandbox: Sandbox, call: Post, content: object, code: int | None
) -> None:
    """Protocol errors have numbers of their own."""
    token = sandbox.issue()
    answer = call("betting/json-rpc/v1", content, X_Authentication=token).json()
    assert (answer == []) if code is None else (answer["error"]["code"] == code)
    assert len(sandbox.sessions()) == 1


def test_rest_tells_an_unknown_operation_and_bad_parameters_apart(
    sandbox: Sandbox, call: Post
) -> None:
    """404 for one, 400 for the other, and neither is a session error."""
    token = sandbox.issue()
    unknown = call("betting/rest/v1.0/nothing/", {}, X_Authentication=token)
    assert (unknown.status_code, unknown.json()["faultstring"]) == (404, "DSC-0021")
    bad = call("betting/rest/v1.0/listEventTypes/", [1], X_Authentication=token)
    assert (bad.status_code, bad.json()["faultstring"]) == (400, "DSC-0009")


def test_an_order_with_a_known_reference_is_placed_once_in_a_minute(
    sandbox: Sandbox, call: Post
) -> None:
    """A customerRef drops duplicates for 60 s; orders without one are never duplicates."""
    token = sandbox.issue()
    first = _place(call, token, customerRef="ref-1")["result"]
    assert (first["status"], len(first["instructionReports"])) == ("SUCCESS", 1)
    second = _place(call, token, customerRef="ref-1")["result"]
    assert (second["status"], second["errorCode"]) == ("FAILURE", "DUPLICATE_TRANSACTION")
    for _ in range(2):
        assert _place(call, token)["result"]["status"] == "SUCCESS"
    sandbox.advance(61)
    assert _place(call, token, customerRef="ref-1")["result"]["status"] == "SUCCESS"
    references = [order.customer_ref for order in sandbox.orders()]
    assert references == ["ref-1", None, None, "ref-1"]


@pytest.mark.parametrize(
    "params", [{"customerRef": "x" * 33}, {"customerRef": "a b"}, {"instructions": []}]
)
def test_a_malformed_order_is_refused(
    sandbox: Sandbox, call: Post, params: dict[str, object]
) -> None:
    """References have at most 32 characters of a small set."""
    error = _place(call, sandbox.issue(), **params)["error"]
    assert error["data"]["APINGException"]["errorCode"] == "INVALID_INPUT_DATA"
    assert sandbox.orders() == []


def test_a_body_that_is_no_json_is_a_parse_error(sandbox: Sandbox, http: requests.Session) -> None:
    """Told in JSON-RPC, as by the original."""
    answer = http.post(
        f"{sandbox.api_url}betting/json-rpc/v1",
        data=b"{",
        headers={"X-Application": sandbox.app_key, "X-Authentication": sandbox.issue()},
        timeout=20,
    )
    assert answer.json()["error"] == {"code": -32700, "message": "DSC-0008"}
