"""Calls of the betting and account APIs: what comes back, what is sent again, and what never is."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from betfairlightweight.exceptions import APIError
from front import BET, READ, REST, RPC, Front, Watched, identity, lasting, let_finish
from hand_clocks import HandClocks
from secrets_shown import assert_hidden, everything_in
from servers.listeners import Listener, Stranger
from servers.process import free_ports

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    Exchange,
    ExchangeError,
    LoginRefused,
    LoginTimeout,
    Session,
    SessionRejected,
    session_is_invalid,
)
from betfair_session.exchange import client
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.process import clocks, single_flight
from betfair_session.sandbox import Sandbox

EVENTS = [{"eventType": {"id": "7", "name": "Horse Racing"}, "marketCount": 1}]
BOTH_FORMS = pytest.mark.parametrize("rest", [False, True], ids=["rpc", "rest"])


@pytest.fixture
def exchange(betting_session: Session, short_waits: None) -> Iterator[Exchange]:
    """The APIs of the session's client, which are the sandbox's, with short pauses."""
    del short_waits
    with Exchange(betting_session) as exchange:
        yield exchange


def failure(call: Callable[[], object]) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        call()
    return caught.value


def asking(session: Session, *, task: bool) -> Callable[[], str]:
    """Return a thread's way to get the token, or a task's."""
    return (lambda: asyncio.run(session.atoken())) if task else session.token


@BOTH_FORMS
def test_a_call_returns_the_result(exchange: Exchange, sandbox: Sandbox, *, rest: bool) -> None:
    """By a short or a full name, from the betting or the account API; one request each."""
    for method in ("listEventTypes", "SportsAPING/v1.0/listEventTypes"):
        assert exchange.call(method, {"filter": {}}, rest=rest) == EVENTS
    for method in ("getAccountFunds", "AccountAPING/v1.0/getAccountDetails"):
        assert exchange.call(method, rest=rest)["discountRate"] == 0
    exchange.close()
    assert exchange.call("listEventTypes", rest=rest) == EVENTS
    assert sandbox.counts() == {"certlogin": 1, "betting": 3, "account": 2}
    entries = [entry for entry in sandbox.journal() if entry.endpoint != "certlogin"]
    assert all(("/rest/" in entry.path) == rest for entry in entries)
    assert len({entry.connection for entry in entries}) == 2
    assert not any(entry.defects for entry in entries)


@BOTH_FORMS
def test_parameters_arrive_and_stay_as_they_are(
    exchange: Exchange, sandbox: Sandbox, *, rest: bool
) -> None:
    """A customerRef is added to what is sent, another one each time; the caller's own is kept."""
    params: dict[str, Any] = {"marketId": "1.é", "instructions": [{}, {}]}
    report = exchange.call("placeOrders", params, rest=rest)
    assert params == {"marketId": "1.é", "instructions": [{}, {}]}
    (order,) = sandbox.orders()
    assert (order.market_id, order.instructions) == ("1.é", 2)
    assert (order.customer_ref, report["status"]) == (report["customerRef"], "SUCCESS")
    assert re.fullmatch(r"[0-9a-f]{32}", order.customer_ref or "")
    exchange.call("placeOrders", params, rest=rest)
    own = {**BET, "customerRef": "aZ09:-._+*;~" + "x" * 20}
    assert exchange.call("placeOrders", own, rest=rest)["status"] == "SUCCESS"
    # A duplicate that the caller made is in Betfair's report, and no error.
    assert exchange.call("placeOrders", own, rest=rest)["errorCode"] == "DUPLICATE_TRANSACTION"
    refs = [order.customer_ref for order in sandbox.orders()]
    assert len(set(refs)) == 3
    assert refs[-1] == own["customerRef"]


def test_a_recorded_answer_fits_the_same_call_of_every_exchange(
    exchange: Exchange, betting_session: Session, sandbox: Sandbox
) -> None:
    """JSON-RPC ids count from 1 in each, as tests with recorded answers need it."""
    for each in (exchange, Exchange(betting_session)):
        for number in (1, 2):
            recorded = {"jsonrpc": "2.0", "result": number, "id": number}
            sandbox.fault("betting", "non_object", body=json.dumps(recorded))
            assert each.call("listEventTypes") == number
        each.close()


def test_an_order_does_not_wait_for_a_verification_that_hangs(
    front: Front, hands: HandClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the session lasts, it goes out with the token that there is."""
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)
    session = front.session(verify_every=timedelta(minutes=1))
    token = session.token()
    hands.go(61.0)
    with front.under_way("keepAlive", session.token), Exchange(session, timeout=5.0) as exchange:
        assert exchange.call("placeOrders", BET)["status"] == "SUCCESS"
        assert session.token() == token
    let_finish()
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1, "betting": 1}


@pytest.mark.parametrize("task", [False, True])
def test_only_a_call_that_waits_for_it_logs_in(
    front: Front, hands: HandClocks, monkeypatch: pytest.MonkeyPatch, *, task: bool
) -> None:
    """Its program may be frozen, or log out, while a thread that is left alone logs in."""
    session = front.session(verify_every=timedelta(minutes=1))
    ask = asking(session, task=task)

    def killed() -> str:
        front.sandbox.expire_all()
        hands.go(61.0)
        return front.token.read_text()

    ask()
    dead = killed()
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 0.01)
    with front.under_way("keepAlive", ask) as asked:
        assert asked.result(60) == dead
    let_finish()
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", 60.0)
    for logins in (2, 3):  # the token is known to be dead; the call finds it out
        assert ask() == front.token.read_text() != dead
        assert front.sandbox.counts()["certlogin"] == logins
        dead = killed()


@pytest.mark.parametrize("task", [False, True])
def test_a_slow_store_keeps_no_token_that_was_logged_out(
    front: Front, hands: HandClocks, monkeypatch: pytest.MonkeyPatch, *, task: bool
) -> None:
    """The call that finds the object gone may be left alone; the next one waits for the login."""
    session = front.session(verify_every=timedelta(minutes=1))
    ask = asking(session, task=task)
    dead = ask()
    front.session().logout()
    hands.go(61.0)
    monkeypatch.setattr(single_flight, "_PATIENCE_SECONDS", -1.0)
    answers = threading.Event()
    Watched(session).after_read = lambda _: answers.wait(60)
    assert ask() == dead
    answers.set()
    let_finish()
    assert ask() == front.token.read_text() != dead


def test_nobody_logs_in_for_a_call_that_was_given_up(front: Front) -> None:
    """Such as one of a function that has returned, and is frozen with the lock in its hand."""
    session = front.session()
    front.locked(ttl=1.0)
    with Exchange(session, timeout=0.2) as exchange:
        failure(lambda: exchange.call("placeOrders", BET))
    let_finish()
    assert front.sandbox.counts() == {}
    assert session.token()


class Fate(NamedTuple):
    """What the network or the API does to a call, and how it ends."""

    method: str
    faults: list[dict[str, Any]]
    sent: int = 1
    code: str | None = ""  # of the error; None for a success
    status: int | None = None
    landed: bool = False
    orders: int = 0
    forms: tuple[bool, ...] = (False, True)  # JSON-RPC, REST


READING, ORDER, SUBSCRIBE = "listEventTypes", "placeOrders", "getApplicationSubscriptionToken"
CHANGES = ("cancelOrders", "replaceOrders", "updateOrders", f"AccountAPING/v1.0/{SUBSCRIBE}")
DUPLICATE = "DUPLICATE_TRANSACTION"
SUSPENDED = {"status": "FAILURE", "errorCode": "MARKET_SUSPENDED"}
REPEATED = {"status": "FAILURE", "errorCode": DUPLICATE}
OTHERS = {"jsonrpc": "2.0", "result": ["another call's"], "id": 0}


def saying(told: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "non_object", "body": json.dumps(told)}


def detail(code: str, member: str = "APINGException", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the details of an error of JSON-RPC or a fault of REST."""
    return {"exceptionname": member, member: {"errorCode": code}, **more}


def refusing(code: str) -> dict[str, Any]:
    """Return the fault that answers with a code, in the way of both forms."""
    return saying({"detail": detail(code), "error": {"data": detail(code)}})


FATES = [
    # A temporary failure is repeated only for reads; other calls may have changed something.
    *(
        fate
        for kind, status in (("lost", None), ("truncated", None), ("status:429", 429),
                             ("status:503", 503))
        for fate in (
            Fate(READING, [{"kind": kind, "times": 2}], 3, None),
            Fate(READING, [{"kind": kind, "times": None}], 3, "", status),
            Fate(ORDER, [{"kind": kind, "times": 2, "effect": False}], 3, None, orders=1),
            *(Fate(method, [{"kind": kind}], 1, "", status, landed=status != 429)
              for method in CHANGES),
        )
    ),
    # An order whose answer is lost is placed once, however the repetition ends.
    *(
        Fate(ORDER, faults, sent, code, status, landed=True, orders=1)
        for faults, sent, code, status in (
            ([{"kind": "lost"}], 2, DUPLICATE, 200),
            ([{"kind": "truncated"}], 2, DUPLICATE, 200),
            ([{"kind": "status:503", "effect": True}], 2, DUPLICATE, 200),
            ([{"kind": "lost", "times": 2}], 3, DUPLICATE, 200),
            ([{"kind": "lost", "times": 3}], 3, "", None),
            ([{"kind": "lost"}, saying({"result": SUSPENDED, **SUSPENDED})], 2, "MARKET_SUSPENDED",
             200),
            ([{"kind": "lost"}, refusing("TOO_MANY_REQUESTS")], 2, "TOO_MANY_REQUESTS", 200),
        )
    ),
    # Something on the way has repeated it: its reference was made for this call.
    Fate(ORDER, [saying({"result": REPEATED, **REPEATED})], 1, DUPLICATE, 200, landed=True),
    # Only some codes say that nothing was done; text that is no code is not shown.
    *(
        Fate(method, [refusing(code)], 1, "" if " " in code else code, 200, landed=landed)
        for code, changed in (("TIMEOUT_ERROR", True), ("odd one", True),
                              ("TOO_MANY_REQUESTS", False), ("INVALID_INPUT_DATA", False),
                              ("DSC-0037", False))
        for method, landed in ((ORDER, changed), (READING, False))
    ),
    *(
        Fate(method, [], 1, "DSC-0021", status, forms=(rest,))  # of the framework, by itself
        for method in ("placeNothing", "AccountAPING/v1.0/placeNothing")
        for rest, status in ((False, 200), (True, 404))
    ),
    # After what is no answer the call is not repeated; HTTP 200 may hide anything.
    *(
        Fate(method, [fault], 1, "", status, method == ORDER and landed,
             forms=(False, True) if method == ORDER else forms)
        for fault, status, landed, forms in (
            ({"kind": "html200"}, 200, True, (False, True)),
            *(
                (fault, 200, True, (False,))  # by REST, any JSON is the result of a reading call
                for fault in ({"kind": "huge"}, {"kind": "empty"}, saying(OTHERS), saying({}))
            ),
            ({"kind": "redirect"}, 302, False, (False, True)),
            ({"kind": "blocked"}, 403, False, (False, True)),
        )
        for method in (READING, ORDER)
    ),
    # The last sending counts.
    Fate(READING, [{"kind": "status:503"}, {"kind": "lost", "times": 2}], 3),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FATES)))
def test_the_fate_of_a_call(exchange: Exchange, sandbox: Sandbox, number: int) -> None:
    """How often it is sent, the error, whether bets may stand; and no secret."""
    fate = FATES[number]
    exchange.call(READING)
    token = sandbox.sessions()[0].token
    for rest in fate.forms:
        sandbox.clear_journal()
        for fault in fate.faults:
            sandbox.fault("*", **fault)
        before = len(sandbox.orders())
        if fate.code is None:
            assert exchange.call(fate.method, BET, rest=rest)
        else:
            error = failure(lambda: exchange.call(fate.method, BET, rest=rest))  # noqa: B023
            assert (error.code, error.status_code) == (fate.code, fate.status)
            assert (error.landed, error.method) == (fate.landed, fate.method.rpartition("/")[2])
            assert error.__context__ is None
            assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
            assert_hidden(everything_in(error), token, sandbox.app_key, sandbox.password)
            assert "odd one" not in str(error)
        assert sum(sandbox.counts().values()) == fate.sent
        assert len(sandbox.orders()) - before == fate.orders
        sandbox.clear_faults()


def test_an_order_that_may_stand_can_be_repeated_by_what_its_error_tells(
    exchange: Exchange, sandbox: Sandbox
) -> None:
    sandbox.fault("betting", "lost", times=3)
    error = failure(lambda: exchange.call(ORDER, BET))
    assert error.landed
    again = exchange.call(ORDER, {**BET, "customerRef": error.customer_ref})
    assert again["errorCode"] == DUPLICATE
    assert [order.customer_ref for order in sandbox.orders()] == [error.customer_ref]


def test_a_repetition_that_is_rejected_hides_no_bet(
    exchange: Exchange, sandbox: Sandbox, hands: HandClocks
) -> None:
    """It is sent again after the renewal for as long as Betfair surely knows the first."""
    exchange.call(READING)
    order = {**BET, "customerRef": "mine"}
    sandbox.fault("betting", "lost", times=None)
    assert failure(lambda: exchange.call(ORDER, order)).landed
    sandbox.clear_faults()
    sandbox.expire_all()
    assert exchange.call(ORDER, order)["errorCode"] == DUPLICATE
    hands.go(50)
    sandbox.expire_all()
    error = failure(lambda: exchange.call(ORDER, order))
    assert (error.code, error.landed) == ("INVALID_SESSION_INFORMATION", True)
    sandbox.expire_all()
    sandbox.hold("certlogin")
    assert failure(lambda: exchange.call(ORDER, order, timeout=1)).landed
    sandbox.release("certlogin")
    let_finish()


AGAIN: dict[str, dict[str, Any]] = {
    "unclear": {"kind": "status:503", "times": 2, "effect": True},
    "suspended": saying({"result": SUSPENDED}),
    "refused": refusing("TOO_MANY_REQUESTS"),
    "another's": saying({"result": REPEATED, **REPEATED}),
    "locked": {},
    "rejected": {},
}


@pytest.mark.parametrize("again", [each for each in AGAIN if each != "another's"])
def test_an_order_that_may_stand_is_repeated_once_and_hides_no_bet(
    exchange: Exchange, front: Front, sandbox: Sandbox, hands: HandClocks, again: str
) -> None:
    """By another client of the same program; Betfair may forget the first before a second one."""
    exchange.call(READING)
    order = {**BET, "customerRef": "mine"}
    sandbox.fault("betting", "lost", times=3)
    assert failure(lambda: exchange.call(ORDER, order)).landed
    hands.go(55)
    sandbox.clear_journal()
    if again == "rejected":
        sandbox.configure(session_seconds=0)
    elif again == "locked":
        sandbox.expire_all()
        sandbox.login_status("ACCOUNT_NOW_LOCKED")
    else:
        sandbox.fault("betting", **AGAIN[again])
    another = Front(identity(sandbox), sandbox, front.path)
    with Exchange(another.session()) as other:
        assert failure(lambda: other.call(ORDER, order)).landed
    assert sandbox.counts().get("betting", 0) == (again != "locked")


@pytest.mark.parametrize("first", ["suspended", "refused", "locked", "unsent", "another's"])
def test_an_order_that_changed_nothing_does_not_stand(
    exchange: Exchange, front: Front, sandbox: Sandbox, first: str
) -> None:
    """So the next call with its customerRef is like the first, unless another process sent it."""
    exchange.call(READING)
    order, limit = {**BET, "customerRef": "mine"}, 20
    if first in {"locked", "unsent"}:
        sandbox.expire_all()
    if first == "locked":
        sandbox.login_status("ACCOUNT_NOW_LOCKED")
    elif first == "unsent":
        sandbox.hold("certlogin")
        limit = 1
    else:
        sandbox.fault("betting", **AGAIN[first])
    with suppress(BetfairSessionError):
        assert exchange.call(ORDER, order, timeout=limit)["status"] == "FAILURE"
    sandbox.release("certlogin")
    let_finish()
    front.token.write_text(sandbox.issue())
    sandbox.fault("betting", **AGAIN["refused"])
    assert failure(lambda: exchange.call(ORDER, order)).landed is (first == "another's")


def test_an_order_stands_from_its_last_sending(
    exchange: Exchange, sandbox: Sandbox, hands: HandClocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was signed long before. A cancellation with the same reference is another thing."""
    exchange.call(READING)
    order = {**BET, "customerRef": "mine"}
    monkeypatch.setattr(clocks, "pause", lambda _: hands.go(36))
    for fault in ("reset", "lost"):
        sandbox.fault("betting", fault)
    assert failure(lambda: exchange.call(ORDER, order, timeout=300)).landed
    hands.go(28)  # 64 after the last sending, and 100 after the first
    sandbox.fault("betting", **AGAIN["refused"])
    assert failure(lambda: exchange.call(ORDER, order)).landed
    sandbox.expire_all()
    assert failure(lambda: exchange.call("cancelOrders", order)).code == "DSC-0021"


@pytest.mark.parametrize("what", ["the hook fails", "the hook is late", "the thread stands still"])
def test_a_report_that_came_counts_whatever_happens_after_it(
    exchange: Exchange, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """In a hook, or in a tool that wraps requests; the bets stand."""
    exchange.call(READING)
    over = threading.Event()

    def hook(*_: object, **__: object) -> bool:
        if what == "the hook fails":
            raise RuntimeError
        over.wait(60)
        return False

    if what == "the thread stands still":  # once it has counted the answer
        monkeypatch.setattr(client, "is_transient", hook)
    else:
        exchange.requests.hooks["response"].append(hook)
    assert exchange.call(ORDER, BET, timeout=2)["status"] == "SUCCESS"
    over.set()
    let_finish()
    assert len(sandbox.orders()) == 1


def test_what_was_given_up_does_not_arrive_later(
    betting_session: Session, stranger: Stranger
) -> None:
    """Closed as usual, the system would go on sending for minutes; the caller may have looked."""
    betting_session.token()
    given_up, ended = threading.Event(), threading.Event()

    def read_later(listener: Listener, connection: socket.socket) -> None:
        given_up.wait(60)
        with suppress(OSError):
            while piece := connection.recv(65_536):
                listener.heard += piece
        ended.set()

    with stranger.serving(read_later) as listener:
        # What does not fit there waits on this side.
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        url = f"https://localhost:{listener.port}/"
        with Exchange(betting_session, api_url=url, verify=stranger.bundle) as exchange:
            order = {**BET, "marketId": "1" * 40_000}
            assert failure(lambda: exchange.call(ORDER, order, timeout=1)).landed
        let_finish()
        given_up.set()
        assert ended.wait(60)
        assert len(listener.heard) < 40_000


def test_a_dead_session_is_renewed_and_the_order_placed_once(
    exchange: Exchange, betting_session: Session, sandbox: Sandbox
) -> None:
    """The rejected sending was not carried out; a caller may want no replay, nor any resending."""
    exchange.call("listEventTypes")
    sandbox.expire_all()
    assert exchange.call("placeOrders", BET)["status"] == "SUCCESS"
    assert (len(sandbox.orders()), sandbox.counts()["certlogin"]) == (1, 2)
    with Exchange(betting_session, replay_orders=False) as careful:
        sandbox.expire_all()
        error = failure(lambda: careful.call("placeOrders", BET))
        assert (error.code, error.landed) == ("INVALID_SESSION_INFORMATION", False)
        sandbox.fault("betting", "lost")
        assert failure(lambda: careful.call("placeOrders", BET)).landed
    assert (len(sandbox.orders()), sandbox.counts()["betting"]) == (2, 5)
    sandbox.configure(session_seconds=0)
    with pytest.raises(SessionRejected):
        exchange.call("listEventTypes")


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("why", [LoginRefused, LoginTimeout])
def test_a_failed_renewal_does_not_hide_that_bets_may_stand(
    front: Front, sandbox: Sandbox, why: type[BetfairSessionError]
) -> None:
    """The first answer is lost, the session dies; a login is refused, or another's takes long."""
    with Exchange(front.session(login_timeout=3.0), timeout=30) as exchange:
        exchange.call("listEventTypes")
        sandbox.fault("betting", "lost")
        with front.under_way("betting", lambda: exchange.call("placeOrders", BET), "after") as call:
            sandbox.expire_all()
            if why is LoginRefused:
                sandbox.login_status("ACCOUNT_NOW_LOCKED")
            else:
                front.locked()
        error = failure(call.result)
    assert error.landed
    assert isinstance(error.__cause__, why)
    assert len(sandbox.orders()) == 1


@pytest.mark.usefixtures("program_ended")
def test_a_login_for_a_call_outlasts_the_programs_end(exchange: Exchange, front: Front) -> None:
    """Its caller's thread may give up, and be the last one. The call itself keeps nobody."""
    with front.under_way("certlogin", lambda: exchange.call(READING)):
        assert lasting()
    with front.under_way("betting", lambda: exchange.call(READING)):
        assert not lasting()


@pytest.mark.parametrize("held", ["betting", "certlogin, rejected", "certlogin, first"])
def test_a_call_that_was_given_up_sends_nothing_more(
    exchange: Exchange, sandbox: Sandbox, held: str
) -> None:
    """Its time ended at the API, during a renewal, or before it had a token."""
    endpoint = held.partition(",")[0]
    if held != "certlogin, first":
        exchange.call("listEventTypes")
    if held == "certlogin, rejected":
        sandbox.expire_all()
    sandbox.clear_journal()
    if endpoint == "betting":
        sandbox.fault("betting", "lost", times=None)
    sandbox.hold(endpoint)
    error = failure(lambda: exchange.call("placeOrders", BET, timeout=1))
    assert error.landed == (endpoint == "betting")
    # If nothing was sent to the betting API, nothing is said of it.
    assert (exchange._host in str(error)) == (endpoint == "betting")
    sandbox.release(endpoint)
    let_finish()
    assert sandbox.counts().get("betting", 0) == (held != "certlogin, first")
    assert len(sandbox.orders()) == (endpoint == "betting")


def test_no_bet_is_sent_once_a_slow_connection_is_made(
    exchange: Exchange, sandbox: Sandbox, request: pytest.FixtureRequest
) -> None:
    """Its caller may have looked meanwhile, and found that it was not placed."""
    exchange.call("listEventTypes")
    exchange.close()
    slow_names = request.getfixturevalue("slow_names")
    assert failure(lambda: exchange.call("placeOrders", BET, timeout=0.2)).landed
    slow_names.set()
    let_finish()
    assert sandbox.orders() == []


@pytest.mark.parametrize("clock", ["steady", "wall"])
def test_no_bet_is_sent_again_after_a_sleep(
    exchange: Exchange,
    sandbox: Sandbox,
    hands: HandClocks,
    monkeypatch: pytest.MonkeyPatch,
    clock: str,
) -> None:
    """With either clock going on meanwhile; an order has 40 seconds, even in a longer call."""

    def sleep(_seconds: float) -> None:
        vars(hands)[clock] += 41

    monkeypatch.setattr(clocks, "pause", sleep)
    sandbox.fault("betting", "lost")
    assert failure(lambda: exchange.call("placeOrders", BET, timeout=300)).landed
    assert (len(sandbox.orders()), sandbox.counts()["betting"]) == (1, 1)
    sandbox.fault("betting", "reset")
    assert exchange.call("listEventTypes", timeout=300) == EVENTS


@pytest.mark.usefixtures("short_waits")
def test_a_request_that_cannot_leave_has_changed_nothing(
    betting_session: Session, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens, the certificate is not trusted, or the proxy or the CA bundle is missing."""
    betting_session.token()
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, sandbox.ca_bundle)
    bundle = tmp_path / "authorities.pem"
    bundle.write_bytes(Path(sandbox.ca_bundle).read_bytes())
    cases: list[dict[str, Any]] = [
        {"verify": bundle},
        {"api_url": f"https://{nobody}/exchange/"},
        {"verify": True},
        {"proxies": {"https": f"http://{nobody}"}},
        {"proxies": {"https": f"socks5://{nobody}"}},
        {"proxies": {"https": "http:/nobody"}},
        {},  # the environment's proxy
    ]
    for case in cases:
        if not case:
            monkeypatch.setenv("HTTPS_PROXY", f"http://{nobody}")
        with Exchange(betting_session, **case) as exchange:
            bundle.unlink(missing_ok=True)
            error = failure(lambda: exchange.call("placeOrders", BET))
        assert (error.landed, error.status_code) == (False, None)
        assert (str(bundle) in str(error)) == (case.get("verify") is bundle)
        assert case.get("api_url", sandbox.api_url).split("/")[2] in str(error)
    assert sandbox.counts() == {"certlogin": 1}
    with Exchange(betting_session, proxies={}) as direct:
        assert direct.call("listEventTypes") == EVENTS


def test_bets_go_by_the_clients_proxies(betting_session: Session, sandbox: Sandbox) -> None:
    """As its logins do; a proxy of the Exchange's own goes before it."""
    betting_session.token()
    sandbox.clear_journal()
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    betting_session.client.proxies = {"https": nobody}
    with Exchange(betting_session) as exchange:
        assert failure(lambda: exchange.call("placeOrders", BET)).landed is False
    with pytest.raises(APIError):
        APIClient(betting_session).betting.list_event_types()
    assert sandbox.counts() == {}
    with Exchange(betting_session, proxies={}) as direct:
        assert direct.call("listEventTypes") == EVENTS


@pytest.mark.parametrize("timeout", [Decimal(20), 1e12])
def test_any_number_of_seconds_will_do(
    betting_session: Session,
    sandbox: Sandbox,
    timeout: Any,  # noqa: ANN401 - any number
) -> None:
    with Exchange(betting_session, timeout=timeout) as exchange:
        assert exchange.call("listEventTypes") == EVENTS
        assert exchange.requests.post(sandbox.api_url + RPC, json=READ).ok


def test_a_request_with_a_timeout_of_its_own_has_that_time(
    betting_session: Session, sandbox: Sandbox
) -> None:
    """And one without has the Exchange's, however slowly an answer comes."""
    with Exchange(betting_session, timeout=1) as exchange:
        exchange.call("listEventTypes", timeout=20)
        sandbox.fault("betting", "delay", seconds=1.2)
        order = {"jsonrpc": "2.0", "id": 1, "method": "SportsAPING/v1.0/placeOrders", "params": BET}
        assert exchange.requests.post(sandbox.api_url + RPC, json=order, timeout=20).ok
        assert len(sandbox.orders()) == 1
        for part in ("head", "body"):
            sandbox.fault("betting", "drip", seconds=0.2, part=part)
            with pytest.raises(requests.Timeout):
                exchange.requests.post(sandbox.api_url + REST, json={})


def test_a_body_that_is_used_up_is_not_sent_again(exchange: Exchange, sandbox: Sandbox) -> None:
    """Its read would become another question."""
    sandbox.fault("betting", "status:503")
    answer = exchange.requests.post(sandbox.api_url + REST, data=iter([b"{}"]))
    assert (answer.status_code, sandbox.counts()["betting"]) == (503, 1)


@pytest.mark.usefixtures("netrc")
def test_the_ready_session_signs_and_repeats_reads(exchange: Exchange, sandbox: Sandbox) -> None:
    """Single, in a batch, by REST or by GET; without arguments for TLS or time.

    It goes to the API's host alone, follows no redirect, and sends nothing of .netrc.
    """
    rpc, rest = sandbox.api_url + RPC, sandbox.api_url + REST
    sends: list[Callable[[], requests.Response]] = [
        lambda: exchange.requests.post(rpc, json=READ),
        lambda: exchange.requests.post(rpc, data=json.dumps([READ, READ]), timeout=10),
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
    sandbox.fault("betting", "redirect", location=sandbox.api_url + "x", status=307)
    assert exchange.requests.post(rpc, json={}).status_code == 307
    with pytest.raises(ConfigurationError):
        exchange.requests.get("https://api.betfair.com/exchange/x")
    assert not any(entry.defects for entry in sandbox.journal())
    assert "other" not in sandbox.counts()


def test_the_ready_session_repeats_nothing_else(exchange: Exchange, sandbox: Sandbox) -> None:
    """An order, a batch with one in it, and what it cannot read; requests' own errors come out.

    They show no token.
    """
    order = {**READ, "method": "SportsAPING/v1.0/placeOrders", "params": BET}
    creates = {**READ, "method": "AccountAPING/v1.0/getApplicationSubscriptionToken"}
    rpc, rest = sandbox.api_url + RPC, sandbox.api_url + "betting/rest/v1.0/placeOrders/"
    exchange.call("listEventTypes")
    for content in (order, [READ, order], creates, 7, [], [7], {"method": 7}):
        sandbox.clear_journal()
        sandbox.fault("betting", "reset")
        with pytest.raises(requests.ConnectionError) as caught:
            exchange.requests.post(rpc, json=content)
        assert_hidden(everything_in(caught.value), sandbox.sessions()[0].token, sandbox.app_key)
        assert sandbox.counts() == {"betting": 1}
    bodies: list[Any] = [iter([json.dumps(READ).encode()]), b"{", b"[" * 100_000, b"\xff", None]
    for body in bodies:
        sandbox.fault("betting", "reset")
        with pytest.raises(requests.ConnectionError):
            exchange.requests.post(rpc, data=body)
    sandbox.fault("betting", "status:503")
    assert exchange.requests.post(rest, json=BET).status_code == 503
    assert sandbox.orders() == []


# --- what an answer says of the session -----------------------------------------------------------


def rpc(code: str, *more: str, **other: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    data = detail(code, *more, **other)
    return {"jsonrpc": "2.0", "error": {"code": -32099, "message": "ANGX-0003", "data": data}}


def fault(code: str) -> dict[str, Any]:
    return {"faultcode": "Client", "faultstring": "ANGX-0003", "detail": detail(code)}


def status(code: str) -> dict[str, Any]:
    return {"op": "status", "statusCode": "FAILURE", "errorCode": code}


@pytest.mark.parametrize(
    "code", ["INVALID_SESSION_INFORMATION", "NO_SESSION", "INVALID_SESSION_TOKEN"]
)
def test_each_form_of_an_invalid_session_is_seen(code: str) -> None:
    """JSON-RPC single and batch, accounts, REST, stream; decoded, as text, or as an answer."""
    batch = [{"result": []}, rpc(code)]
    for form in (rpc(code), rpc(code, "AccountAPINGException"), batch, fault(code), status(code)):
        text = json.dumps(form)
        response = requests.Response()
        response._content = text.encode()
        for answer in (form, text, text.encode(), bytearray(text.encode()), response):
            assert session_is_invalid(answer)


@pytest.mark.parametrize(
    "answer",
    [
        rpc("NO_APP_KEY"),
        [rpc("NO_APP_KEY_FOR_NO_SESSION"), {"result": []}],
        fault("INVALID_APP_KEY"),
        status("SUBSCRIPTION_LIMIT_EXCEEDED"),
        {**status("NO_SESSION"), "op": "mcm"},
        {"error": {"code": -32099, "message": "NO_SESSION"}},
        {"error": "NO_SESSION"},
        {"errorCode": "NO_SESSION"},
        {"result": "INVALID_SESSION_INFORMATION"},
        rpc("OTHER", AccountAPINGException={"errorCode": "NO_SESSION"}),
        *([], {}, "7", "", '["NO_SESSION"]', "<html>NO_SESSION</html>", b"\xff", "[" * 100_000),
    ],
)
def test_nothing_else_is(answer: Any) -> None:  # noqa: ANN401 - JSON
    """The number -32099 alone says nothing, and text that is no such answer says less."""
    assert not session_is_invalid(answer)
