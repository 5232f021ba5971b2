"""BetfairAuth for requests: what is signed, what is renewed, what is never sent again."""

from __future__ import annotations

import copy
import json
import pickle
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from front import BET, KEY, ORDER, PLACE, PLACE_BY_REST, READ, REST, RPC, Front
from hand_clocks import HandClocks
from secrets_shown import assert_hidden, everything_in
from servers.listeners import Listener, Stranger, answer, saying

from betfair_session import (
    BetfairAuth,
    ConfigurationError,
    ExchangeError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
    Session,
    SessionManager,
    SessionRejected,
    StoreError,
)
from betfair_session.exchange import auth as auth_module
from betfair_session.sandbox import Sandbox

FORMS: dict[str, tuple[object, str]] = {
    "rpc": (READ, RPC),
    "batch": ([READ, READ], RPC),
    "rest": ({}, REST),
    "account": ({}, "account/rest/v1.0/getAccountFunds/"),
    "order": (PLACE, RPC),
    "order in a batch": ([READ, PLACE], RPC),
    "rest order": (ORDER, PLACE_BY_REST),
    "order by number": ({**PLACE, "params": {**BET, "customerRef": 5}}, RPC),
}


@pytest.fixture
def auth(betting_session: Session) -> BetfairAuth:
    return BetfairAuth(betting_session)


def post(
    sandbox: Sandbox,
    auth: BetfairAuth,
    content: object = READ,
    path: str = RPC,
    **settings: Any,  # noqa: ANN401 - requests'
) -> requests.Response:
    given = {"json": content, "verify": sandbox.ca_bundle, "timeout": 30, **settings}
    return requests.post(sandbox.api_url + path, auth=auth, **given)


def test_a_request_is_signed_and_its_body_left_alone(
    auth: BetfairAuth, betting_session: Session, sandbox: Sandbox
) -> None:
    """Token and app key in headers, nothing else changed; trusted tokens cost no call."""
    body = json.dumps(PLACE)
    for _ in range(3):
        answer = post(sandbox, auth, json=None, data=body)
        assert answer.json()["result"]["marketId"] == "1.1"
        assert answer.request.body == body
    assert sandbox.counts() == {"certlogin": 1, "betting": 3}
    for entry in sandbox.journal("betting"):
        assert (entry.token, entry.outcome, entry.defects) == (
            betting_session.token(),
            "SUCCESS",
            [],
        )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_rejected_session_is_renewed_and_the_request_replayed(
    auth: BetfairAuth, sandbox: Sandbox, form: str, *, stream: bool
) -> None:
    """Once each; the caller sees the second answer, the first is in its history."""
    post(sandbox, auth)
    sandbox.expire_all()
    sandbox.clear_journal()
    with post(sandbox, auth, *FORMS[form], stream=stream) as answer:
        assert answer.ok
        assert b"INVALID_SESSION" not in b"".join(answer.iter_content(16))
        (rejected,) = answer.history
    assert "INVALID_SESSION_INFORMATION" in rejected.text
    counts = sandbox.counts()
    assert counts.pop("betting", 0) + counts.pop("account", 0) == 2
    assert counts == {"keepAlive": 1, "certlogin": 1}
    assert len(sandbox.orders()) == ("order" in form)


def test_a_second_rejection_is_an_error(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """After one renewal and one replay; the error and our frames hold no secret."""
    sandbox.configure(session_seconds=0)
    with pytest.raises(SessionRejected) as caught:
        post(sandbox, auth)
    assert sandbox.counts()["betting"] == 2
    tokens = [str(entry.token) for entry in sandbox.journal("betting")]
    assert_hidden(everything_in(caught.value), *tokens, sandbox.app_key, sandbox.password)


DETAIL = {"exceptionname": "APINGException", "APINGException": {"errorCode": "NO_SESSION"}}
REJECTION = {"jsonrpc": "2.0", "error": {"code": -32099, "data": DETAIL}, "id": 1}


@pytest.mark.parametrize(("answer", "rejected"), [(REJECTION, True), (["NO_SESSION"], False)])
def test_a_session_that_betfair_calls_alive_is_tried_once_more(
    auth: BetfairAuth, sandbox: Sandbox, answer: object, *, rejected: bool
) -> None:
    """Its keepAlive decides; an answer that only mentions a code causes no more requests."""
    sandbox.fault("betting", "non_object", body=json.dumps(answer))
    assert (post(sandbox, auth).json() == answer) != rejected
    more = {"betting": 2, "keepAlive": 1} if rejected else {"betting": 1}
    assert sandbox.counts() == {"certlogin": 1, **more}


def test_what_cannot_be_replayed_safely_is_not(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """A batch that was carried out in part, or a used-up body; the session is renewed.

    Then the rejection is the answer.
    """
    parts = [{"result": [], "id": 1}, REJECTION]
    sandbox.fault("betting", "non_object", body=json.dumps(parts))
    assert post(sandbox, auth, [PLACE, READ]).json() == parts
    assert sandbox.counts() == {"certlogin": 1, "betting": 1, "keepAlive": 1}
    sandbox.expire_all()
    sandbox.clear_journal()
    answer = post(sandbox, auth, json=None, data=iter([json.dumps(READ).encode()]))
    assert "error" in answer.json()
    assert sandbox.counts() == {"betting": 1, "keepAlive": 1, "certlogin": 1}
    assert "result" in post(sandbox, auth).json()


@pytest.mark.parametrize("form", ["order", "order in a batch", "rest order", "order by number"])
def test_an_order_that_may_stand_is_not_replayed_late(
    hands: HandClocks, betting_session: Session, sandbox: Sandbox, form: str
) -> None:
    """The caller repeats one whose answer was lost; Betfair may forget it during a login."""

    def send(*given: Any) -> str:  # noqa: ANN401 - as `post` takes them
        return post(sandbox, BetfairAuth(betting_session), *given).text

    send()
    sandbox.fault("betting", "lost")
    with pytest.raises(requests.ConnectionError):
        send(*FORMS[form])
    for seconds, replayed in ((30, True), (20, False), (130, True)):  # the last is a new one
        hands.go(seconds)
        sandbox.expire_all()
        assert ("INVALID_SESSION" not in send(*FORMS[form])) == replayed
        assert len(sandbox.orders()) == 1


def test_an_order_that_may_stand_is_not_repeated_after_a_slow_login(
    hands: HandClocks, front: Front, sandbox: Sandbox
) -> None:
    """Without a trust window, the login comes before the first sending of the repetition."""
    auth = BetfairAuth(front.session())
    sandbox.fault("betting", "lost")
    with pytest.raises(requests.ConnectionError):
        post(sandbox, auth, PLACE)
    hands.go(35)
    sandbox.expire_all()
    with front.under_way("certlogin", lambda: post(sandbox, auth, PLACE)) as call:
        hands.go(30)
    error = call.exception()
    assert isinstance(error, ExchangeError)
    assert error.landed
    assert sandbox.counts()["betting"] == len(sandbox.orders()) == 1


def test_an_order_that_was_replayed_may_stand(
    hands: HandClocks, auth: BetfairAuth, front: Front, sandbox: Sandbox
) -> None:
    """Its minute is that of the replay, whose answer was lost."""
    post(sandbox, auth)
    sandbox.expire_all()
    sandbox.fault("betting", "lost", skip=1)
    with front.under_way("certlogin", lambda: post(sandbox, auth, PLACE)) as call:
        hands.go(35)
    assert isinstance(call.exception(), requests.ConnectionError)
    hands.go(50)
    sandbox.expire_all()
    assert "INVALID_SESSION" in post(sandbox, auth, PLACE).text


def test_the_orders_of_an_account_are_known_wherever_they_were_sent(front: Front) -> None:
    """A program may make a client for each task; vendors have one app key for many accounts."""
    managers = [SessionManager(front.client, name, "password") for name in "aab"]
    sessions = [each.session(front.path, key) for each, key in zip(managers, "abb", strict=True)]
    known = [auth_module.orders_sent_for(each) for each in sessions]
    assert known[0] is known[1] is not known[2]


def test_a_sending_that_is_forgotten_takes_no_other_along(hands: HandClocks) -> None:
    """Two threads may send one order at the same moment; another one's reference is its own."""
    sent, bet = auth_module.SentOrders(), ("placeOrders", "mine")
    mine, theirs = sent.note([bet]), sent.note([bet])
    assert [mine.repeated, theirs.repeated] == [False, True]
    sent.forget(mine)
    assert sent.note([bet]).first is theirs.at
    assert not sent.note([("cancelOrders", "mine"), ("placeOrders", "")]).repeated
    for number in range(300):
        hands.go(1)
        sent.note([("placeOrders", f"{number} {each}") for each in range(20)])
    assert len(sent._sent) == 120 * 20


@pytest.mark.parametrize("kind", [StoreError, ExchangeError])
def test_a_write_of_the_token_that_may_have_landed_is_no_order(
    kind: type[StoreError | ExchangeError],
) -> None:
    """The order was not sent, as there was no session for it."""
    sent, bet = auth_module.SentOrders(), ("placeOrders", "mine")
    with pytest.raises(kind), sent.sending([bet]):
        raise kind("no answer", landed=True)
    assert sent.note([bet]).repeated == (kind is ExchangeError)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("form", ["order", "order in a batch", "rest order"])
def test_orders_are_not_replayed_late_or_unwanted(
    betting_session: Session,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    *,
    late: bool,
) -> None:
    """In every form; the session is renewed for the next call, and reads are still replayed."""
    auth = BetfairAuth(betting_session, replay_orders=late)
    if late:
        monkeypatch.setattr(auth_module, "ORDER_SECONDS", 0.0)
    post(sandbox, auth)
    sandbox.expire_all()
    assert "INVALID_SESSION_INFORMATION" in post(sandbox, auth, *FORMS[form]).text
    assert sandbox.orders() == []
    assert post(sandbox, auth, *FORMS[form]).ok
    assert len(sandbox.orders()) == 1
    sandbox.expire_all()
    assert "result" in post(sandbox, auth).json()


def test_a_long_streamed_answer_is_left_to_the_caller(auth: BetfairAuth, sandbox: Sandbox) -> None:
    sandbox.fault("betting", "huge")
    with post(sandbox, auth, stream=True) as answer:
        assert answer.raw.tell() == 0
        assert answer.raw.read(9) == b'{"junk": '


def test_a_streamed_error_is_read_however_long(
    betting_session: Session, stranger: Stranger
) -> None:
    """It may be a rejection, and it says nothing of its length."""
    body = json.dumps({"detail": DETAIL}).encode()
    with stranger.serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n" + body)) as listener:
        host = f"localhost:{listener.port}"
        how: Any = {"verify": stranger.bundle, "stream": True, "timeout": 30}
        auth = BetfairAuth(betting_session, hosts=[host])
        with pytest.raises(SessionRejected):
            requests.post(f"https://{host}/{REST}", json={}, auth=auth, **how)
        assert listener.connections == 2


def test_a_batch_that_is_rejected_in_part_the_second_time_is_returned(
    betting_session: Session, stranger: Stranger
) -> None:
    """The rest has been carried out, so an error would hide bets."""
    placed = {"result": {"status": "SUCCESS"}}
    told = [[REJECTION, REJECTION], [REJECTION, placed]]

    def serve(listener: Listener, connection: socket.socket) -> None:
        listener.read_request(connection)
        body = json.dumps(told[listener.connections - 1]).encode()
        connection.sendall(answer(body, "Connection: close"))

    with stranger.serving(serve) as listener:
        host = f"localhost:{listener.port}"
        auth = BetfairAuth(betting_session, hosts=[host])
        url, how = f"https://{host}/{RPC}", {"verify": stranger.bundle, "timeout": 30}
        found = requests.post(url, json=[READ, PLACE], auth=auth, **how)  # type: ignore[arg-type]
    assert found.json() == told[1]


def test_without_a_live_session_our_own_error_comes_out(
    auth: BetfairAuth, betting_session: Session, sandbox: Sandbox
) -> None:
    """Of a refused login, or of a keepAlive that cannot tell; nothing is replayed."""
    token = betting_session.token()
    sandbox.expire_all()
    sandbox.fault("keepAlive", "blocked")
    with pytest.raises(IdentityUnavailable) as unclear:
        post(sandbox, auth)
    assert sandbox.counts() == {"certlogin": 1, "betting": 1, "keepAlive": 1}
    sandbox.login_status("ACCOUNT_NOW_LOCKED")
    with pytest.raises(LoginRefused) as caught:
        post(sandbox, auth)
    account = (sandbox.username, sandbox.password, sandbox.app_key)
    for error in (unclear.value, caught.value):
        assert_hidden(everything_in(error), token, *account)
    assert not hasattr(caught.value, "request")


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_takes_anything_along(
    auth: BetfairAuth, sandbox: Sandbox, stranger: Stranger, status: int
) -> None:
    """To another host or back to the same, for a first sending or a replay."""
    ok, bundle = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", stranger.bundle
    with stranger.serving(saying(ok)) as elsewhere:
        place = f"https://localhost:{elsewhere.port}/"
        for location in (place, sandbox.api_url + "x"):
            for replayed in (False, True):
                if replayed:
                    post(sandbox, auth)
                    sandbox.expire_all()
                sandbox.clear_journal()
                settings: dict[str, Any] = {"location": location, "status": status}
                sandbox.fault("betting", "redirect", skip=int(replayed), **settings)
                answer = post(sandbox, auth, verify=bundle)
                assert (answer.status_code, len(answer.history)) == (status, int(replayed))
                assert "other" not in sandbox.counts()
                assert not any(entry.defects for entry in sandbox.journal())
        assert elsewhere.connections == 0


@pytest.mark.usefixtures("netrc")
def test_netrc_changes_nothing(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """It neither takes the place of our headers nor adds its own, in a session that reads it.

    A caller's hook sees only the last answer: a REST rejection is an HTTP 400.
    """
    url = sandbox.api_url + REST
    settings: dict[str, Any] = {"json": {}, "verify": sandbox.ca_bundle, "timeout": 30}
    with requests.Session() as own:
        plain = own.post(url, **settings)
        assert plain.request.headers["Authorization"].startswith("Basic ")
        sandbox.clear_journal()
        own.hooks["response"].append(lambda response, **_: response.raise_for_status())
        own.auth = auth
        for _ in range(2):
            assert own.post(url, **settings).ok
            sandbox.expire_all()
    assert [entry.defects for entry in sandbox.journal("betting")] == [[], [], []]


FOREIGN = [
    "http://{host}/exchange/x",
    "https://{name}/exchange/x",
    "https://{name}.:{port}/exchange/x",
    "https://{name}.example:{port}/x",
    "https://x{host}/x",
    "https://user:hunter2@{host}/exchange/x",
    "https://user:hunter2/@{host}/exchange/x",
    "https://{host}@example.com/exchange/x",
    "https://example.com\\@{host}/x",
    "https://example.com/{host}",
    "https://lосalhost:{port}/x",  # noqa: RUF001 - two letters are Cyrillic
    "https://localhost:{port}/x",
    "https://api.betfair.com/exchange/x",
    "ftp://{host}/x",
]


@pytest.mark.parametrize("url", FOREIGN)
def test_another_place_is_refused_before_anything_is_sent(
    auth: BetfairAuth, sandbox: Sandbox, url: str
) -> None:
    """In any disguise of a URL; no token is asked for, and no password shown."""
    host = urlsplit(sandbox.api_url).netloc
    name, _, port = host.partition(":")
    request = requests.PreparedRequest()
    request.url = url.format(host=host, name=name, port=port)
    with pytest.raises(ConfigurationError) as caught:
        auth(request)
    assert caught.value.argument == "hosts"
    # The caller's own request has the URL as it was given; the error has not.
    assert "hunter2" not in f"{caught.value!r} {vars(caught.value)}"
    assert sandbox.counts() == {}


BETFAIRS = {
    "https://api.betfair.com/exchange/betting/json-rpc/v1": True,
    "HTTPS://API.Betfair.com:443/exchange/x": True,
    "https://api.betfair.com.au/exchange/x": True,
    "https://api.betfair.it/exchange/betting/rest/v1/it/navigation/menu.json": True,
    "https://identitysso.betfair.com/api/x": False,
    "http://api.betfair.com/exchange/x": False,
}


def test_the_usual_hosts_are_those_of_the_clients_api(sandbox: Sandbox, tmp_path: Path) -> None:
    """Betfair's for a session of Betfair's; a sandbox's session goes to none of them.

    Hosts that the caller names take their place, in any case of letters, by name or address.
    """
    (tmp_path / KEY).write_text(token := sandbox.issue())
    port = urlsplit(sandbox.api_url).netloc.partition(":")[2]
    places = [f"https://{host}:{port}/exchange/x" for host in ("localhost", "LOCALHOST")]
    address = f"https://127.0.0.1:{port}/exchange/x"

    def signs(auth: BetfairAuth, url: str) -> bool:
        try:
            request = requests.Request("GET", url, auth=auth).prepare()
        except ConfigurationError:
            return False
        return request.headers["X-Authentication"] == token

    def signed(api_url: str | None = None, hosts: Iterable[str] | None = None) -> dict[str, bool]:
        client = IdentityClient(sandbox.app_key, api_url=api_url, verify=sandbox.ca_bundle)
        auth = BetfairAuth(SessionManager(client, "u", "p").session(tmp_path, KEY), hosts=hosts)
        client.identity_url = sandbox.identity_url  # so that its keepAlive is answered
        return {url: signs(auth, url) for url in (*places, address, *BETFAIRS)}

    nowhere = dict.fromkeys([*places, address, *BETFAIRS], False)
    assert signed() == {**nowhere, **BETFAIRS}
    assert signed(places[0]) == {**nowhere, **dict.fromkeys(places, True)}
    own = iter([f"LocalHost:{port}", f"127.0.0.1:{port}"])
    assert signed(hosts=own) == {**nowhere, **dict.fromkeys([*places, address], True)}


def test_what_requests_keeps_does_not_show_the_token(
    auth: BetfairAuth, betting_session: Session, sandbox: Sandbox
) -> None:
    answer = post(sandbox, auth)
    sandbox.fault("betting", "reset")
    with pytest.raises(requests.ConnectionError) as caught:
        post(sandbox, auth)
    request = caught.value.request
    assert request is not None
    shown = repr([answer.request.headers, request.headers, caught.value, vars(caught.value)])
    assert_hidden(shown, betting_session.token(), sandbox.app_key)
    for kept in (answer, caught.value, request.headers):
        with pytest.raises(TypeError):
            pickle.dumps(kept)
    assert copy.deepcopy(request.headers)["X-Authentication"] == betting_session.token()
