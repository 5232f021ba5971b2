"""What the betting API says about a session, and what it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given, strategies as st

from betfair_session import ConfigurationError, session_is_invalid

if TYPE_CHECKING:
    from betfair_session.sandbox import Sandbox


def rpc(code: str, member: str = "APINGException", **other: object) -> dict[str, Any]:
    """Return a JSON-RPC error as the API answers it."""
    data = {"exceptionname": member, member: {"errorCode": code, "errorDetails": ""}}
    return {
        "jsonrpc": "2.0",
        "error": {"code": -32099, "message": "ANGX-0003", "data": data},
    } | other


def rest(code: str) -> dict[str, Any]:
    """Return a REST fault as the API answers it."""
    detail = {"exceptionname": "APINGException", "APINGException": {"errorCode": code}}
    return {"faultcode": "Client", "faultstring": "ANGX-0003", "detail": detail}


def stream(code: str) -> dict[str, Any]:
    """Return a stream's status message."""
    return {"op": "status", "statusCode": "FAILURE", "errorCode": code}


CODES = ["INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"]


@pytest.mark.parametrize("code", CODES)
def test_each_form_of_an_invalid_session_is_seen(code: str) -> None:
    """JSON-RPC single and batch, accounts, REST, stream; decoded or as text."""
    forms: list[Any] = [
        rpc(code),
        rpc(code, "AccountAPINGException"),
        [{"result": []}, rpc(code)],
        rest(code),
        stream(code),
    ]
    for form in forms:
        assert session_is_invalid(form)
        assert session_is_invalid(json.dumps(form))
        assert session_is_invalid(json.dumps(form).encode())


@pytest.mark.parametrize(
    "answer",
    [
        rpc("NO_APP_KEY"),
        rpc("TOO_MUCH_DATA"),
        [rpc("NO_APP_KEY"), {"result": []}],
        rest("INVALID_APP_KEY"),
        stream("SUBSCRIPTION_LIMIT_EXCEEDED"),
        {"error": {"code": -32099, "message": "ANGX-0003"}},
        {"error": {"code": -32700, "message": "DSC-0008"}},
        {"error": "NO_SESSION"},
        {"errorCode": "NO_SESSION"},
        {"result": "INVALID_SESSION_INFORMATION"},
        rpc("OTHER", APINGException={"errorCode": "NO_SESSION"}),
        [],
        {},
        "null",
        "7",
        "",
        "<html>NO_SESSION</html>",
        b"\xff",
        bytearray(b"[7]"),
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(CODES),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["error", "data", "detail", "exceptionname", "op", "errorCode", "x"]),
            inner,
        )
    ),
)


@given(JSON, st.text() | st.binary())
def test_whatever_comes_back_there_is_an_answer(answer: Any, text: str | bytes) -> None:  # noqa: ANN401 - JSON
    """Junk raises nothing, decoded or not."""
    decoded = session_is_invalid([answer])
    assert session_is_invalid(json.dumps([answer])) == decoded
    assert session_is_invalid(text) in {True, False}


@pytest.mark.parametrize("token", ["A" * 43 + "=", None])
@pytest.mark.parametrize("batch", [False, True])
def test_the_sandboxs_answers_are_understood(
    sandbox: Sandbox, token: str | None, *, batch: bool
) -> None:
    """A dead token and a missing one; with a live one and no app key it is another matter."""
    call = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "params": {}, "id": 1}
    body = [call] if batch else call
    url = sandbox.api_url + "betting/json-rpc/v1"
    headers = {"X-Application": sandbox.app_key}
    for sent, expected in ((token, True), (sandbox.issue(), False)):
        if sent is not None:
            headers["X-Authentication"] = sent
        answer = requests.post(url, json=body, headers=headers, verify=sandbox.ca_bundle, timeout=9)
        assert session_is_invalid(answer.content) == session_is_invalid(answer) == expected
    del headers["X-Application"]
    answer = requests.post(url, json=body, headers=headers, verify=sandbox.ca_bundle, timeout=9)
    assert "NO_APP_KEY" in answer.text
    assert not session_is_invalid(answer.text)
