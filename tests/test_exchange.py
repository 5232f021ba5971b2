"""Calls of the betting and account APIs: what comes back, what is sent again, and what never is."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import requests
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    Exchange,
    ExchangeError,
    IdentityClient,
    LeaseSettings,
    LoginRefused,
    SessionManager,
    SessionRejected,
)
from betfair_session.exchange import client as exchange_module
from betfair_session.process import clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from betfair_session import Session
    from betfair_session.sandbox import Sandbox

BET = {"marketId": "1.1", "instructions": [{"selectionId": 7}]}
EVENTS = [{"eventType": {"id": "7", "name": "Horse Racing"}, "marketCount": 1}]


@pytest.fixture
def session(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """A handle that asks Betfair once in 15 minutes and may log in as often as a test likes."""
    manager = SessionManager(
        client,
        sandbox.username,
        sandbox.password,
        lease=LeaseSettings(logins_per_minute=100),
        verify_every=timedelta(minutes=15),
    )
    return manager.session(tmp_path, "session.token")


@pytest.fixture
def exchange(session: Session, sandbox: Sandbox) -> Iterator[Exchange]:
    """The sandbox's APIs."""
    with Exchange(session, api_url=sandbox.api_url, verify=sandbox.ca_bundle) as exchange:
        yield exchange


def let_finish() -> None:
    """Wait for the threads of calls that were given up."""
    for thread in threading.enumerate():
        if thread.name == "betfair-session":
            thread.join()


@pytest.mark.parametrize("rest", [False, True], ids=["rpc", "rest"])
def test_a_call_returns_the_result(exchange: Exchange, sandbox: Sandbox, *, rest: bool) -> None:
    """By a short or a full name, from the betting or the account API; one request each."""
    for method in ("listEventTypes", "SportsAPING/v1.0/listEventTypes"):
        assert exchange.call(method, {"filter": {}}, rest=rest) == EVENTS
    for method in ("getAccountFunds", "AccountAPING/v1.0/getAccountDetails"):
        assert exchange.call(method, rest=rest)["discountRate"] == 0
    assert sandbox.counts() == {"certlogin": 1, "betting": 2, "account": 2}
    entries = [entry for entry in sandbox.journal() if entry.endpoint != "certlogin"]
    assert all(("/rest/" in entry.path) == rest for entry in entries)
    assert len({entry.connection for entry in entries}) == 1
    assert not any(entry.defects for entry in entries)


def test_parameters_arrive_and_stay_as_they_are(exchange: Exchange, sandbox: Sandbox) -> None:
    """A customerRef is added to what is sent, not to the caller's dict."""
    params: dict[str, Any] = {"marketId": "1.é", "instructions": [{}, {}]}
    report = exchange.call("placeOrders", params)
    assert params == {"marketId": "1.é", "instructions": [{}, {}]}
    (order,) = sandbox.orders()
    assert (order.market_id, order.instructions) == ("1.é", 2)
    assert (order.customer_ref, report["status"]) == (report["customerRef"], "SUCCESS")
    assert re.fullmatch(r"[0-9a-f]{32}", order.customer_ref or "")
    exchange.call("placeOrders", params)
    assert len({order.customer_ref for order in sandbox.orders()}) == 2


@pytest.mark.parametrize("rest", [False, True], ids=["rpc", "rest"])
def test_a_refusal_is_an_error_with_betfairs_code(
    exchange: Exchange, sandbox: Sandbox, *, rest: bool
) -> None:
    """Of the operation, of the framework, and one that is only told."""
    for method, code in (
        ("placeOrders", "INVALID_INPUT_DATA"),
        ("listNothing", "DSC-0021"),
        ("AccountAPING/v1.0/listNothing", "DSC-0021"),
    ):
        meaning = r" \(no such operation\)" if code == "DSC-0021" else ""
        with pytest.raises(ExchangeError, match=f"refused: {code}{meaning}$") as caught:
            exchange.call(method, rest=rest)
        error = caught.value
        assert (error.code, error.landed) == (code, False)
        assert error.method == method.rpartition("/")[2]
        assert error.status_code == (200 if not rest else 400 if code[0] == "I" else 404)
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
    detail = {"exceptionname": "APINGException", "APINGException": {"errorCode": "TOO_MUCH_DATA"}}
    fault = {"detail": detail} if rest else {"error": {"code": -32099, "data": detail}}
    sandbox.fault("betting", "non_object", body=json.dumps(fault))
    with pytest.raises(ExchangeError) as caught:
        exchange.call("listMarketBook", rest=rest)
    assert caught.value.code == "TOO_MUCH_DATA"


@pytest.mark.parametrize(
    ("code", "landed"), [("TIMEOUT_ERROR", True), ("TOO_MANY_REQUESTS", False), ("odd one", True)]
)
def test_a_refusal_says_whether_bets_may_stand(
    exchange: Exchange, sandbox: Sandbox, code: str, *, landed: bool
) -> None:
    """Only some codes say that nothing was done; what is no code is not shown."""
    detail = {"exceptionname": "APINGException", "APINGException": {"errorCode": code}}
    sandbox.fault("betting", "non_object", body=json.dumps({"error": {"data": detail}}))
    with pytest.raises(ExchangeError) as caught:
        exchange.call("placeOrders", BET)
    assert caught.value.landed == landed
    assert caught.value.code == ("" if " " in code else code)
    assert "odd one" not in str(caught.value)


PASSING = ["reset", "lost", "truncated", "status:429", "status:500", "status:503"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_read_is_sent_three_times(exchange: Exchange, sandbox: Sandbox, fault: str) -> None:
    """Two failures are survived; a third is the answer. It changed nothing."""
    sandbox.fault("betting", fault, times=2)
    assert exchange.call("listEventTypes") == EVENTS
    assert sandbox.counts()["betting"] == 3
    sandbox.fault("betting", fault, times=None)
    with pytest.raises(ExchangeError, match="listEventTypes") as caught:
        exchange.call("listEventTypes")
    assert sandbox.counts()["betting"] == 6
    status = fault.partition(":")[2]
    assert caught.value.status_code == (int(status) if status else None)
    assert not caught.value.landed


@pytest.mark.parametrize("fault", ["reset", "status:503"])
def test_a_pause_that_would_outlast_the_call_is_not_begun(
    exchange: Exchange, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The failure at hand is the answer, at once."""
    monkeypatch.setattr(exchange_module, "_PAUSE_SECONDS", 10_000)
    sandbox.fault("betting", fault)
    with pytest.raises(ExchangeError, match=r"no answer from localhost:\d+: Connection|HTTP 503"):
        exchange.call("listEventTypes")
    assert sandbox.counts()["betting"] == 1


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("method", ["cancelOrders", "replaceOrders", "updateOrders", "token"])
def test_what_changes_something_is_sent_once(
    exchange: Exchange, sandbox: Sandbox, method: str, fault: str
) -> None:
    """The error says that it may have been carried out, but for a 429."""
    sandbox.fault("betting", fault)
    with pytest.raises(ExchangeError) as caught:
        exchange.call(method, {"marketId": "1.1"})
    assert sandbox.counts()["betting"] == 1
    assert caught.value.landed == (fault != "status:429")


@pytest.mark.parametrize("rest", [False, True], ids=["rpc", "rest"])
@pytest.mark.parametrize("fault", PASSING)
def test_an_order_that_did_not_arrive_is_placed_by_a_repetition(
    exchange: Exchange, sandbox: Sandbox, fault: str, *, rest: bool
) -> None:
    """Exactly once, after two failures."""
    sandbox.fault("betting", fault, times=2, effect=False)
    assert exchange.call("placeOrders", BET, rest=rest)["status"] == "SUCCESS"
    assert len(sandbox.orders()) == 1
    assert sandbox.counts()["betting"] == 3


@pytest.mark.parametrize("rest", [False, True], ids=["rpc", "rest"])
@pytest.mark.parametrize("fault", ["lost", "truncated", "status:503"])
def test_an_order_whose_answer_is_lost_is_placed_once(
    exchange: Exchange, sandbox: Sandbox, fault: str, *, rest: bool
) -> None:
    """Betfair drops the repetition, and the error says that the bets may stand."""
    sandbox.fault("betting", fault, effect=True)
    with pytest.raises(ExchangeError, match="report is lost") as caught:
        exchange.call("placeOrders", BET, rest=rest)
    assert len(sandbox.orders()) == 1
    assert sandbox.counts()["betting"] == 2
    assert (caught.value.code, caught.value.landed) == ("DUPLICATE_TRANSACTION", True)


def test_an_order_is_given_up_after_three_sendings(exchange: Exchange, sandbox: Sandbox) -> None:
    """It was carried out all the same, once; the error says that it may have been."""
    sandbox.fault("betting", "lost", times=None)
    with pytest.raises(ExchangeError, match="look before you repeat it") as caught:
        exchange.call("placeOrders", BET)
    assert sandbox.counts()["betting"] == 3
    assert len(sandbox.orders()) == 1
    assert (caught.value.landed, caught.value.status_code) == (True, None)


def test_a_callers_own_reference_is_kept(exchange: Exchange, sandbox: Sandbox) -> None:
    """A duplicate of the caller's making is Betfair's report, not an error."""
    reference = "aZ09:-._+*;~" + "x" * 20
    bet = {**BET, "customerRef": reference}
    assert exchange.call("placeOrders", bet)["status"] == "SUCCESS"
    assert exchange.call("placeOrders", bet)["errorCode"] == "DUPLICATE_TRANSACTION"
    assert [order.customer_ref for order in sandbox.orders()] == [reference]


@pytest.mark.parametrize("reference", ["", "x" * 33, "a b", "é", "a/b", "a\n", 7])
@pytest.mark.parametrize("method", ["placeOrders", "cancelOrders", "SportsAPING/v1.0/placeOrders"])
def test_a_reference_that_betfair_would_not_take_is_refused(
    exchange: Exchange, sandbox: Sandbox, method: str, reference: object
) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match="customerRef"):
        exchange.call(method, {**BET, "customerRef": reference})
    assert sandbox.counts() == {}


def test_an_order_with_a_dead_session_is_placed_once(exchange: Exchange, sandbox: Sandbox) -> None:
    """After a renewal; the rejected sending was not carried out."""
    exchange.call("listEventTypes")
    sandbox.expire_all()
    assert exchange.call("placeOrders", BET)["status"] == "SUCCESS"
    assert len(sandbox.orders()) == 1
    assert sandbox.counts()["certlogin"] == 2


def test_a_rejection_that_is_not_replayed_is_an_error(session: Session, sandbox: Sandbox) -> None:
    """For a caller who wants no order sent again; the next call has the new session."""
    settings: dict[str, Any] = {"api_url": sandbox.api_url, "verify": sandbox.ca_bundle}
    with Exchange(session, replay_orders=False, **settings) as exchange:
        exchange.call("listEventTypes")
        sandbox.expire_all()
        with pytest.raises(ExchangeError) as caught:
            exchange.call("placeOrders", BET)
        assert (caught.value.code, caught.value.landed) == ("INVALID_SESSION_INFORMATION", False)
        assert exchange.call("placeOrders", BET)["status"] == "SUCCESS"


def test_a_second_rejection_is_an_error_of_its_own(exchange: Exchange, sandbox: Sandbox) -> None:
    """The same as from BetfairAuth."""
    sandbox.configure(session_seconds=0)
    with pytest.raises(SessionRejected):
        exchange.call("listEventTypes")
    assert sandbox.counts()["betting"] == 2


def test_a_failed_renewal_does_not_hide_that_bets_may_stand(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    """The first answer is lost, the session dies, and the login is refused."""
    exchange.call("listEventTypes")
    sandbox.fault("betting", "lost")
    sandbox.hold("betting", "after")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(exchange.call, "placeOrders", BET)
        sandbox.wait_for("betting")
        sandbox.expire_all()
        sandbox.login_status("ACCOUNT_NOW_LOCKED")
        sandbox.release("betting")
        with pytest.raises(ExchangeError, match="ACCOUNT_NOW_LOCKED") as caught:
            call.result()
    assert caught.value.landed
    assert isinstance(caught.value.__cause__, LoginRefused)
    assert len(sandbox.orders()) == 1


def test_an_order_past_its_time_is_not_sent_again(exchange: Exchange, sandbox: Sandbox) -> None:
    """The caller is told that it may stand; what was given up sends nothing more."""
    exchange.call("listEventTypes")
    sandbox.clear_journal()
    sandbox.fault("betting", "lost", times=None)
    sandbox.hold("betting")
    with pytest.raises(ExchangeError, match="no answer") as caught:
        exchange.call("placeOrders", BET, timeout=1)
    assert caught.value.landed
    sandbox.release("betting")
    let_finish()
    assert sandbox.counts() == {"betting": 1}


def test_a_rejection_past_the_calls_time_is_not_replayed(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    """The renewal took longer than the caller waits."""
    exchange.call("listEventTypes")
    sandbox.expire_all()
    sandbox.clear_journal()
    sandbox.hold("certlogin")
    with pytest.raises(BetfairSessionError):
        exchange.call("placeOrders", BET, timeout=1)
    sandbox.release("certlogin")
    let_finish()
    assert sandbox.orders() == []
    assert sandbox.counts()["betting"] == 1


def test_a_call_that_ends_before_it_has_a_token_sends_nothing(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    """Not even later; its error does not speak of bets."""
    sandbox.hold("certlogin")
    with pytest.raises(BetfairSessionError) as caught:
        exchange.call("placeOrders", BET, timeout=1)
    assert not getattr(caught.value, "landed", False)
    sandbox.release("certlogin")
    let_finish()
    assert "betting" not in sandbox.counts()
    assert sandbox.orders() == []


def test_order_calls_have_less_time_than_others(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    """Whatever the caller allows: Betfair forgets a customerRef."""
    exchange.call("listEventTypes")
    monkeypatch.setattr(exchange_module, "ORDER_SECONDS", 0.5)
    sandbox.fault("betting", "stall")
    with pytest.raises(ExchangeError, match=r"than 0\.5 s|timed out") as caught:
        exchange.call("placeOrders", BET, timeout=300)
    assert caught.value.landed


UNCLEAR: dict[str, tuple[str, bool]] = {
    "html200": ("HTTP 200", True),
    "png200": ("HTTP 200", True),
    "empty": ("HTTP 200", True),
    "cut": ("HTTP 200", True),
    "huge": ("HTTP 200", True),
    "non_object": ("HTTP 200", True),
    "redirect": ("HTTP 302", False),
    "blocked": ("HTTP 403", False),
    "status:404": ("HTTP 404", False),
}


@pytest.mark.parametrize("fault", UNCLEAR)
def test_what_is_no_answer_of_the_api_is_an_error(
    exchange: Exchange, sandbox: Sandbox, fault: str
) -> None:
    """It is not asked for again, and one with HTTP 200 may hide anything."""
    what, landed = UNCLEAR[fault]
    sandbox.fault("betting", fault, times=None)
    for method, expected in (("listEventTypes", False), ("placeOrders", landed)):
        with pytest.raises(ExchangeError, match=what) as caught:
            exchange.call(method, BET)
        assert (caught.value.code, caught.value.landed) == ("", expected)
    assert sandbox.counts() == {"certlogin": 1, "betting": 2}


def test_a_request_that_cannot_leave_has_changed_nothing(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens, the server proves nothing, or the proxy is not there."""
    session.token()
    closed = {"api_url": "https://127.0.0.1:9/exchange/"}
    doubtful: dict[str, Any] = {"api_url": sandbox.api_url, "verify": True}
    proxied = {**doubtful, "verify": sandbox.ca_bundle, "proxies": {"https": "http://127.0.0.1:9"}}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", sandbox.ca_bundle)
    monkeypatch.setenv("CURL_CA_BUNDLE", sandbox.ca_bundle)
    for settings in (closed, doubtful, proxied):
        with Exchange(session, **settings) as exchange, pytest.raises(ExchangeError) as caught:
            exchange.call("placeOrders", BET)
        assert (caught.value.landed, caught.value.status_code) == (False, None)
    assert sandbox.counts() == {"certlogin": 1}


def test_proxies_of_the_environment_are_used_unless_others_are_given(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As IdentityClient does."""
    session.token()
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    settings: dict[str, Any] = {"api_url": sandbox.api_url, "verify": sandbox.ca_bundle}
    with Exchange(session, **settings) as exchange, pytest.raises(ExchangeError):
        exchange.call("listEventTypes")
    assert "betting" not in sandbox.counts()
    with Exchange(session, proxies={}, **settings) as exchange:
        assert exchange.call("listEventTypes") == EVENTS


@pytest.mark.parametrize("fault", [*PASSING, "html200", "redirect"])
def test_no_error_shows_a_secret(exchange: Exchange, sandbox: Sandbox, fault: str) -> None:
    """Not in its text, its attributes, its causes or our frames."""
    exchange.call("listEventTypes")
    token = sandbox.sessions()[0].token
    sandbox.fault("betting", fault, times=None)
    for method in ("listEventTypes", "cancelOrders"):
        with pytest.raises(ExchangeError) as caught:
            exchange.call(method)
        assert caught.value.__context__ is None
        shown = everything_in(caught.value) + repr(exchange)
        for secret in (token, sandbox.app_key, sandbox.password):
            assert secret not in shown


def test_the_ready_session_signs_and_repeats_reads(exchange: Exchange, sandbox: Sandbox) -> None:
    """Single, in a batch, by REST or by GET; without arguments for TLS or time."""
    call = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "id": 1}
    rpc = sandbox.api_url + "betting/json-rpc/v1"
    rest = sandbox.api_url + "betting/rest/v1.0/listEventTypes/"
    sends: list[Callable[[], requests.Response]] = [
        lambda: exchange.requests.post(rpc, json=call),
        lambda: exchange.requests.post(rpc, data=json.dumps([call, call]), timeout=10),
        lambda: exchange.requests.post(rest, json={}, timeout=(3, 10)),
        lambda: exchange.requests.post(rest, json={}, stream=True),
    ]
    for send in sends:
        sandbox.clear_journal()
        sandbox.fault("betting", "status:503")
        sandbox.fault("betting", "reset")
        with send() as answer:
            assert b"Horse Racing" in answer.content
        assert sandbox.counts()["betting"] == 3
    sandbox.fault("betting", "status:503", times=2)
    assert exchange.requests.get(rest).status_code == 405


def test_the_ready_session_repeats_nothing_else(exchange: Exchange, sandbox: Sandbox) -> None:
    """An order, a batch with one in it, and what it cannot read; requests' own errors come out."""
    read = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "id": 1}
    order = {
        **read,
        "method": "SportsAPING/v1.0/placeOrders",
        "params": {**BET, "customerRef": "x"},
    }
    creates = {**read, "method": "AccountAPING/v1.0/getApplicationSubscriptionToken"}
    rpc = sandbox.api_url + "betting/json-rpc/v1"
    exchange.call("listEventTypes")
    for content in (order, [read, order], creates, 7, [], [7], {"method": 7}):
        sandbox.clear_journal()
        sandbox.fault("betting", "reset")
        with pytest.raises(requests.ConnectionError):
            exchange.requests.post(rpc, json=content)
        assert sandbox.counts() == {"betting": 1}
    sandbox.fault("betting", "reset")
    with pytest.raises(requests.ConnectionError):
        exchange.requests.post(rpc, data=iter([json.dumps(read).encode()]))
    sandbox.fault("betting", "status:503")
    rest = sandbox.api_url + "betting/rest/v1.0/placeOrders/"
    assert exchange.requests.post(rest, json=BET).status_code == 503
    assert sandbox.orders() == []


def test_netrc_and_other_hosts_get_nothing(
    exchange: Exchange, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ready session reads no .netrc, and goes to the API's host alone."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login thief password thief\n")
    monkeypatch.setenv("NETRC", str(netrc))
    exchange.call("listEventTypes")
    sandbox.fault("betting", "redirect", location=sandbox.api_url + "x", status=307)
    url = sandbox.api_url + "betting/json-rpc/v1"
    assert exchange.requests.post(url, json={}).status_code == 307
    with pytest.raises(ConfigurationError):
        exchange.requests.get("https://api.betfair.com/exchange/x")
    assert not any(entry.defects for entry in sandbox.journal())
    assert "other" not in sandbox.counts()


def test_a_forked_child_opens_connections_of_its_own(exchange: Exchange, sandbox: Sandbox) -> None:
    """Also through a reference to the ready session that it was given before."""
    ready, url = exchange.requests, sandbox.api_url + "betting/rest/v1.0/listEventTypes/"
    assert ready.post(url, json={}).ok
    child = os.fork()
    if child == 0:
        status = 1
        try:
            fine = exchange.call("listEventTypes") == EVENTS and ready.post(url, json={}).ok
            status = 0 if fine else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert exchange.call("listEventTypes") == EVENTS
    connections = [entry.connection for entry in sandbox.journal("betting")]
    assert connections[0] == connections[3] != connections[1] == connections[2]


def test_it_can_be_used_again_after_close(exchange: Exchange, sandbox: Sandbox) -> None:
    """A close gives back connections, nothing else."""
    for _ in range(2):
        assert exchange.call("listEventTypes") == EVENTS
        exchange.close()
    assert len({entry.connection for entry in sandbox.journal("betting")}) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"verify": False},
        {"verify": ""},
        {"verify": "/not/there.pem"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"api_url": "http://localhost/exchange/"},
        {"api_url": "https://user@localhost/exchange/"},
        {"api_url": "https://höst/exchange/"},
    ],
)
def test_settings_that_cannot_work_are_refused(session: Session, settings: dict[str, Any]) -> None:
    """TLS cannot be switched off, and a time is above 0."""
    with pytest.raises(ConfigurationError):
        Exchange(session, **settings)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("", {}),
        (None, {}),
        ("list EventTypes", {}),
        ("../x", {}),
        ("StreamAPING/v1.0/x", {}),
        ("SportsAPING/v2.0/listEventTypes", {}),
        ("listEventTypes", {"params": [1]}),
        ("listEventTypes", {"params": ""}),
        ("listEventTypes", {"params": {"filter": object()}}),
        ("listEventTypes", {"params": {"price": float("nan")}}),
        ("listEventTypes", {"timeout": 0}),
    ],
)
def test_calls_that_cannot_be_are_refused(
    exchange: Exchange, sandbox: Sandbox, method: str, settings: dict[str, Any]
) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        exchange.call(method, **settings)
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("jurisdiction", "host"),
    [
        ("international", "https://api.betfair.com/"),
        ("australia", "https://api.betfair.com/"),
        ("nz", "https://api.betfair.com.au/"),
    ],
)
def test_the_jurisdictions_host_is_the_default(
    sandbox: Sandbox, tmp_path: Path, jurisdiction: str, host: str
) -> None:
    """Where nobody names another."""
    client = IdentityClient(sandbox.app_key, jurisdiction=jurisdiction)
    session = SessionManager(client, "u", "p").session(tmp_path, "k")
    assert host in repr(Exchange(session))


def test_a_host_that_does_not_exist_is_named(session: Session) -> None:
    """The system's words for it do not say which it was."""
    with (
        Exchange(session, api_url="https://nowhere.invalid/", timeout=5) as exchange,
        pytest.raises(ExchangeError, match=r"had no answer from nowhere\.invalid: "),
    ):
        exchange.call("listEventTypes", timeout=5)


def test_the_api_has_to_be_named_where_betfair_is_another(session: Session) -> None:
    """A sandbox's token is not for Betfair's own hosts; one of another Betfair domain is."""
    with pytest.raises(ConfigurationError, match=r"name api_url, .*not for api\.betfair\.com"):
        Exchange(session)
    for url in (None, "https://identitysso.betfair.com.au/api/", "https://betfair.it/api/"):
        client = IdentityClient("key", jurisdiction="new_zealand", identity_url=url)
        handle = SessionManager(client, "u", "p").session("tokens", "key")
        assert "api.betfair.com.au" in repr(Exchange(handle))
    for url in ("https://notbetfair.com/api/", "https://betfair.com.example.org/api/"):
        client = IdentityClient("key", identity_url=url)
        with pytest.raises(ConfigurationError, match="name api_url"):
            Exchange(SessionManager(client, "u", "p").session("tokens", "key"))


@pytest.mark.parametrize("timeout", ["3", None, timedelta(seconds=3), 0, float("nan")])
def test_a_time_that_is_no_number_is_refused(
    session: Session, exchange: Exchange, sandbox: Sandbox, timeout: object
) -> None:
    """For all calls, and for one."""
    wrong: Any = timeout
    with pytest.raises(ConfigurationError, match="timeout must be a number of seconds above 0"):
        Exchange(session, api_url=sandbox.api_url, timeout=wrong)
    if timeout is not None:
        with pytest.raises(ConfigurationError, match="timeout must be a number of seconds above 0"):
            exchange.call("listEventTypes", timeout=wrong)


def test_a_manager_is_no_handle(client: IdentityClient, sandbox: Sandbox) -> None:
    """An easy mistake; the error says where a handle comes from."""
    manager: Any = SessionManager(client, "u", "p")
    with pytest.raises(ConfigurationError, match=r"manager\.session\(store, key\)"):
        Exchange(manager, api_url=sandbox.api_url)


def test_a_repetition_in_vain_says_nothing_of_the_first(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    """The bet may stand, whatever became of the market since."""
    sandbox.fault("betting", "lost")
    suspended = {"status": "FAILURE", "errorCode": "MARKET_SUSPENDED"}
    sandbox.fault("betting", "non_object", body=json.dumps({"result": suspended}))
    with pytest.raises(ExchangeError, match=r"in vain \(MARKET_SUSPENDED\); it may have") as caught:
        exchange.call("placeOrders", BET)
    assert (caught.value.code, caught.value.landed) == ("MARKET_SUSPENDED", True)
    assert len(sandbox.orders()) == 1


class Interrupted(Exception):
    """What a time limit raises in the main thread."""


def test_nothing_is_sent_for_a_call_that_was_interrupted(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    """Not a bet, above all, that its caller has given up, and may place again."""

    def interrupt(*_: object) -> NoReturn:
        raise Interrupted

    exchange.call("listEventTypes", {"filter": {}})
    sandbox.expire_all()
    sandbox.hold("certlogin")
    earlier = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ThreadPoolExecutor(1) as pool:

            def strike() -> None:
                sandbox.wait_for("certlogin")
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

            struck = pool.submit(strike)
            with pytest.raises(Interrupted):
                exchange.call("placeOrders", BET)
            struck.result()
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    sandbox.release("certlogin")
    let_finish()
    assert sandbox.orders() == []
    assert exchange.call("placeOrders", BET)["status"] == "SUCCESS"
    assert len(sandbox.orders()) == 1


@pytest.mark.parametrize("clock", [0, 1], ids=["monotonic", "wall"])
def test_no_bet_is_sent_again_after_a_sleep(
    exchange: Exchange, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, clock: int
) -> None:
    """Whichever clock goes on meanwhile: Betfair forgets a customerRef after a minute."""
    asleep = [0.0, 0.0]
    monkeypatch.setattr(
        clocks, "now", lambda: (time.monotonic() + asleep[0], time.time() + asleep[1])
    )

    def sleep(_seconds: float) -> None:
        asleep[clock] += 600

    monkeypatch.setattr(clocks, "pause", sleep)
    sandbox.fault("betting", "lost")
    with pytest.raises(ExchangeError) as caught:
        exchange.call("placeOrders", BET)
    assert caught.value.landed
    assert len(sandbox.orders()) == 1
