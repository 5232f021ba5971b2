"""What the betting API says about a session, and what it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from betfair_session import ConfigurationError, session_is_invalid

if TYPE_CHECKING:
    from betfair_session.sandbox import Sandbox

CODES = ["INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"]


def rpc(code: str, member: str = "APINGException", **other: object) -> dict[str, Any]:
    """Return a JSON-RPC error as the API answers it."""
    data = {"exceptionname": member, member: {"errorCode": code}, **other}
    return {"jsonrpc": "2.0", "error": {"code": -32099, "message": "ANGX-0003", "data": data}}


def rest(code: str) -> dict[str, Any]:
    """Return a REST fault as the API answers it."""
    detail = {"exceptionname": "APINGException", "APINGException": {"errorCode": code}}
    return {"faultcode": "Client", "faultstring": "ANGX-0003", "detail": detail}


def stream(code: str) -> dict[str, Any]:
    """Return a stream's status message."""
    return {"op": "status", "statusCode": "FAILURE", "errorCode": code}


@pytest.mark.parametrize("code", CODES)
def test_each_form_of_an_invalid_session_is_seen(code: str) -> None:
    """JSON-RPC single and batch, accounts, REST, stream; decoded or as text."""
    batch = [{"result": []}, rpc(code)]
    for form in (rpc(code), rpc(code, "AccountAPINGException"), batch, rest(code), stream(code)):
        text = json.dumps(form)
        for answer in (form, text, text.encode(), bytearray(text.encode())):
            assert session_is_invalid(answer)


@pytest.mark.parametrize(
    "answer",
    [
        rpc("NO_APP_KEY"),
        [rpc("NO_APP_KEY"), {"result": []}],
        rest("INVALID_APP_KEY"),
        stream("SUBSCRIPTION_LIMIT_EXCEEDED"),
        {**stream("NO_SESSION"), "op": "mcm"},
        {"error": {"code": -32099, "message": "ANGX-0003"}},
        {"error": "NO_SESSION"},
        {"errorCode": "NO_SESSION"},
        {"result": "INVALID_SESSION_INFORMATION"},
        rpc("OTHER", AccountAPINGException={"errorCode": "NO_SESSION"}),
        [],
        {},
        "7",
        "",
        "<html>NO_SESSION</html>",
        b"\xff",
        "[" * 100_000,
    ],
)
def test_nothing_else_is(answer: Any) -> None:  # noqa: ANN401 - JSON
    """The number -32099 alone says nothing, and text that is no such answer says less."""
    assert not session_is_invalid(answer)


@pytest.mark.parametrize(
    "answer", [None, 7, True, ValueError("NO_SESSION"), object(), {"NO_SESSION"}, requests.Response]
)
def test_what_is_no_answer_is_refused(answer: Any) -> None:  # noqa: ANN401 - what is tested
    """Else a program would take every answer for one of a live session."""
    with pytest.raises(TypeError) as caught:
        session_is_invalid(answer)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.argument == "answer"


def test_the_sandboxs_answers_are_understood(sandbox: Sandbox) -> None:
    """A dead token and a missing one; with a live one and no app key it is another matter."""
    call = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "params": {}, "id": 1}
    url, key = sandbox.api_url + "betting/json-rpc/v1", {"X-Application": sandbox.app_key}
    live = {"X-Authentication": sandbox.issue()}
    for headers, expected in (
        (key, True),
        ({**key, "X-Authentication": "A" * 43 + "="}, True),
        ({**key, **live}, False),
        (live, False),
    ):
        answer = requests.post(url, json=call, headers=headers, verify=sandbox.ca_bundle, timeout=9)
        assert session_is_invalid(answer.content) == session_is_invalid(answer) == expected
