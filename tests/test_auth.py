"""requests with a session of ours: what is signed, what is renewed, what is never sent again."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hidden.listeners import strange_tls
from secrets_shown import everything_in

from betfair_session import (
    BetfairAuth,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LeaseSettings,
    LoginRefused,
    SessionManager,
    SessionRejected,
)
from betfair_session.exchange import auth as auth_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from betfair_session import Session
    from betfair_session.sandbox import Sandbox

KEY = "session.token"
RPC = "betting/json-rpc/v1"
READ = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/listEventTypes", "params": {}, "id": 1}
BET = {"marketId": "1.1", "instructions": [{"selectionId": 7}], "customerRef": "mine"}
PLACE = {"jsonrpc": "2.0", "method": "SportsAPING/v1.0/placeOrders", "params": BET, "id": 2}


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
    return manager.session(tmp_path, KEY)


@pytest.fixture
def auth(session: Session, sandbox: Sandbox) -> BetfairAuth:
    """Authentication for the sandbox's betting API."""
    return BetfairAuth(session, hosts=[host_of(sandbox.api_url)])


def host_of(url: str) -> str:
    """Return a URL's host and port."""
    return url.split("/")[2]


def post(
    sandbox: Sandbox,
    auth: BetfairAuth,
    content: object = READ,
    path: str = RPC,
    **settings: Any,  # noqa: ANN401 - requests'
) -> requests.Response:
    """Send one call to the sandbox."""
    given = {"json": content, "verify": sandbox.ca_bundle, "timeout": 30, **settings}
    return requests.post(sandbox.api_url + path, auth=auth, **given)


def test_a_request_is_signed_and_its_body_left_alone(
    auth: BetfairAuth, session: Session, sandbox: Sandbox
) -> None:
    """Token and app key in headers, nothing else changed; trusted tokens cost no call."""
    body = json.dumps(PLACE)
    for _ in range(3):
        answer = post(sandbox, auth, json=None, data=body)
        assert answer.json()["result"]["marketId"] == "1.1"
        assert answer.request.body == body
    assert sandbox.counts() == {"certlogin": 1, "betting": 3}
    for entry in sandbox.journal("betting"):
        assert (entry.token, entry.outcome, entry.defects) == (session.token(), "SUCCESS", [])


REST = "betting/rest/v1.0/listEventTypes/"
FORMS: dict[str, tuple[object, str]] = {
    "rpc": (READ, RPC),
    "batch": ([READ, READ], RPC),
    "rest": ({}, REST),
    "account": ({}, "account/rest/v1.0/getAccountFunds/"),
    "order": (PLACE, RPC),
    "rest order": (BET, "betting/rest/v1.0/placeOrders/"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_rejected_session_is_renewed_and_the_request_replayed(
    auth: BetfairAuth, sandbox: Sandbox, form: str
) -> None:
    """Once each; the caller sees the second answer, the first is in its history."""
    post(sandbox, auth)
    sandbox.expire_all()
    sandbox.clear_journal()
    answer = post(sandbox, auth, *FORMS[form])
    assert answer.ok
    assert "INVALID_SESSION" not in answer.text
    (rejected,) = answer.history
    assert "INVALID_SESSION_INFORMATION" in rejected.text
    counts = sandbox.counts()
    assert counts.pop("betting", 0) + counts.pop("account", 0) == 2
    assert counts == {"keepAlive": 1, "certlogin": 1}
    assert len(sandbox.orders()) == ("order" in form)


def test_a_token_that_another_process_stored_is_adopted(
    auth: BetfairAuth, session: Session, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nobody logs in for that."""
    post(sandbox, auth)
    sandbox.expire_all()
    other = sandbox.issue()
    (tmp_path / KEY).write_text(other)
    sandbox.clear_journal()
    assert post(sandbox, auth).ok
    assert session.token() == other
    assert sandbox.counts() == {"betting": 2, "keepAlive": 1}


def test_a_second_rejection_is_an_error(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """After one renewal and one replay; the error and our frames hold no secret."""
    sandbox.configure(session_seconds=0)
    with pytest.raises(SessionRejected, match="localhost") as caught:
        post(sandbox, auth)
    assert sandbox.counts()["betting"] == 2
    tokens = [str(entry.token) for entry in sandbox.journal("betting")]
    shown = everything_in(caught.value)
    for secret in (*tokens, sandbox.app_key, sandbox.password):
        assert secret not in shown


def test_a_session_that_betfair_calls_alive_is_tried_once_more(
    auth: BetfairAuth, sandbox: Sandbox
) -> None:
    """Its keepAlive decides: no login, and the second answer counts."""
    fault = {"jsonrpc": "2.0", "error": {"data": {"exceptionname": "A", "A": {}}}, "id": 1}
    fault["error"]["data"]["A"]["errorCode"] = "NO_SESSION"  # type: ignore[index]
    sandbox.fault("betting", "non_object", body=json.dumps(fault))
    assert "result" in post(sandbox, auth).json()
    assert sandbox.counts() == {"certlogin": 1, "betting": 2, "keepAlive": 1}


@pytest.mark.parametrize(
    "answer",
    [
        {"result": "INVALID_SESSION_INFORMATION"},
        {"error": {"code": -32099, "message": "NO_SESSION"}},
        ["NO_SESSION"],
        "NO_SESSION",
        7,
    ],
)
def test_the_words_alone_are_no_rejection(
    auth: BetfairAuth, sandbox: Sandbox, answer: object
) -> None:
    """An answer that only mentions a code costs nothing more."""
    sandbox.fault("betting", "non_object", body=json.dumps(answer))
    assert post(sandbox, auth).json() == answer
    sandbox.fault("betting", "non_object", body="NO_SESSION")
    assert post(sandbox, auth).text == "NO_SESSION"
    assert sandbox.counts() == {"certlogin": 1, "betting": 2}


def test_a_batch_that_was_rejected_in_part_is_not_replayed(
    auth: BetfairAuth, sandbox: Sandbox
) -> None:
    """The other part has been carried out; the session is looked after all the same."""
    detail = {"exceptionname": "APINGException", "APINGException": {"errorCode": "NO_SESSION"}}
    parts = [{"result": [], "id": 1}, {"error": {"code": -32099, "data": detail}, "id": 2}]
    sandbox.fault("betting", "non_object", body=json.dumps(parts))
    answer = post(sandbox, auth, [PLACE, READ])
    assert answer.json() == parts
    assert sandbox.counts() == {"certlogin": 1, "betting": 1, "keepAlive": 1}


def test_a_body_that_is_used_up_is_not_replayed(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """The rejection comes back; the next call has the new session."""
    post(sandbox, auth)
    sandbox.expire_all()
    sandbox.clear_journal()
    answer = post(sandbox, auth, json=None, data=iter([json.dumps(READ).encode()]))
    assert answer.json()["error"]["message"] == "ANGX-0003"
    assert sandbox.counts() == {"betting": 1, "keepAlive": 1, "certlogin": 1}
    assert "result" in post(sandbox, auth).json()


@pytest.mark.parametrize("form", ["rpc", "batch", "rest"])
def test_orders_are_not_replayed_for_a_caller_who_does_not_want_it(
    session: Session, sandbox: Sandbox, form: str
) -> None:
    """In every form; the session is renewed for the next call, and reads are still replayed."""
    auth = BetfairAuth(session, hosts=[host_of(sandbox.api_url)], replay_orders=False)
    forms = {"rpc": FORMS["order"], "batch": ([READ, PLACE], RPC), "rest": FORMS["rest order"]}
    post(sandbox, auth)
    sandbox.expire_all()
    assert "INVALID_SESSION_INFORMATION" in post(sandbox, auth, *forms[form]).text
    assert sandbox.orders() == []
    assert post(sandbox, auth, *forms[form]).ok
    assert len(sandbox.orders()) == 1
    sandbox.expire_all()
    assert "result" in post(sandbox, auth).json()


def test_an_order_is_not_replayed_late(
    auth: BetfairAuth, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the time from its first sending; here that is none, and a read has no such time."""
    monkeypatch.setattr(auth_module, "ORDER_SECONDS", 0.0)
    post(sandbox, auth)
    sandbox.expire_all()
    assert "error" in post(sandbox, auth, PLACE).json()
    assert sandbox.orders() == []
    sandbox.expire_all()
    assert "result" in post(sandbox, auth, READ).json()


@pytest.mark.parametrize("form", ["rpc", "rest"])
def test_a_streamed_rejection_is_renewed_too(
    auth: BetfairAuth, sandbox: Sandbox, form: str
) -> None:
    """It is short, or an HTTP error; what the caller reads is the replay's answer."""
    post(sandbox, auth)
    sandbox.expire_all()
    with post(sandbox, auth, *FORMS[form], stream=True) as answer:
        assert b"Horse Racing" in b"".join(answer.iter_content(16))
        assert len(answer.history) == 1


def test_a_long_streamed_answer_is_left_to_the_caller(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """Nothing of it has been read when it comes back."""
    sandbox.fault("betting", "huge")
    with post(sandbox, auth, stream=True) as answer:
        assert answer.raw.tell() == 0
        assert answer.raw.read(9) == b'{"junk": '


def test_many_rejected_threads_make_one_login(
    auth: BetfairAuth, session: Session, sandbox: Sandbox
) -> None:
    """Fifty requests are under way when their token dies."""
    session.token()
    sandbox.hold("betting")
    with ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(post, sandbox, auth) for _ in range(50)]
        sandbox.wait_for("betting", 50)
        sandbox.expire_all()
        sandbox.release("betting")
        answers = [call.result() for call in calls]
    assert all("result" in answer.json() and len(answer.history) == 1 for answer in answers)
    counts = sandbox.counts()
    assert (counts["certlogin"], counts["betting"]) == (2, 100)
    assert len(sandbox.sessions()) == 1


def test_a_refused_login_comes_out_of_the_requests_call(
    auth: BetfairAuth, session: Session, sandbox: Sandbox
) -> None:
    """As our own error, without a request or a secret, at the first token and at a renewal."""
    token = session.token()
    sandbox.login_status("ACCOUNT_NOW_LOCKED")
    sandbox.expire_all()
    with pytest.raises(LoginRefused) as caught:
        post(sandbox, auth)
    shown = everything_in(caught.value)
    for secret in (token, sandbox.password, sandbox.username, sandbox.app_key):
        assert secret not in shown
    assert not hasattr(caught.value, "request")


def test_when_betfair_cannot_tell_nothing_is_replayed(
    auth: BetfairAuth, session: Session, sandbox: Sandbox
) -> None:
    """The identity service's error comes out; the next call may do better."""
    session.token()
    sandbox.expire_all()
    sandbox.fault("keepAlive", "blocked")
    with pytest.raises(IdentityUnavailable):
        post(sandbox, auth)
    assert sandbox.counts() == {"certlogin": 1, "betting": 1, "keepAlive": 1}
    assert "result" in post(sandbox, auth).json()


def test_a_callers_hook_sees_the_last_answer_only(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """A REST rejection is an HTTP 400, which such hooks often raise for."""
    with requests.Session() as own:
        own.hooks["response"].append(lambda response, **_: response.raise_for_status())
        url = sandbox.api_url + REST
        settings: dict[str, Any] = {"auth": auth, "verify": sandbox.ca_bundle}
        own.post(url, json={}, timeout=30, **settings)
        sandbox.expire_all()
        assert own.post(url, json={}, timeout=30, **settings).ok


class Elsewhere:
    """Another HTTPS server, with an authority of its own, that notes what it is sent."""

    def __init__(self, directory: Path, sandbox: Sandbox) -> None:
        """Serve on a free port of 127.0.0.1."""
        context, authority = strange_tls()
        self.bundle = directory / "both.pem"
        self.bundle.write_bytes(authority + Path(sandbox.ca_bundle).read_bytes())
        self.seen: list[dict[str, str]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"https://localhost:{self._server.server_port}/exchange/"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def elsewhere(tmp_path: Path, sandbox: Sandbox) -> Iterator[Elsewhere]:
    """Another server, and a CA bundle that trusts it and the sandbox."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    server = Elsewhere(directory, sandbox)
    yield server
    server.close()


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("replayed", [False, True], ids=["first", "replay"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_anything_along(
    auth: BetfairAuth, sandbox: Sandbox, elsewhere: Elsewhere, status: int, *, replayed: bool
) -> None:
    """To another host or back to the same; without us requests sends the headers there."""
    places = [elsewhere.url + "x", sandbox.api_url + "x"]
    leaks = {"X-Authentication": "token"}
    for place in places:
        settings: dict[str, Any] = {"location": place, "status": status}
        sandbox.fault("betting", "redirect", **settings)
        url, bundle = sandbox.api_url + RPC, str(elsewhere.bundle)
        requests.post(url, json=READ, headers=leaks, verify=bundle, timeout=30)
    (seen,) = elsewhere.seen
    assert seen["x-authentication"] == "token"
    assert sandbox.counts() == {"betting": 2, "other": 1}
    sandbox.clear_journal()
    for place in places:
        if replayed:
            post(sandbox, auth)
            sandbox.expire_all()
        sandbox.fault("betting", "redirect", skip=int(replayed), location=place, status=status)
        answer = post(sandbox, auth, PLACE, verify=str(elsewhere.bundle))
        assert (answer.status_code, len(answer.history)) == (status, int(replayed))
    assert elsewhere.seen == [seen]
    assert "other" not in sandbox.counts()
    assert not any(entry.defects for entry in sandbox.journal())


@pytest.mark.usefixtures("netrc")
def test_netrc_changes_nothing(auth: BetfairAuth, session: Session, sandbox: Sandbox) -> None:
    """It neither takes the place of our headers nor adds its own, in a session that reads it."""
    with requests.Session() as own:
        url = sandbox.api_url + RPC
        settings: dict[str, Any] = {"json": READ, "verify": sandbox.ca_bundle}
        plain = own.post(url, timeout=30, **settings)
        assert plain.request.headers["Authorization"].startswith("Basic ")
        sandbox.clear_journal()
        own.auth = auth
        own.post(url, timeout=30, **settings)
        sandbox.expire_all()
        own.post(url, timeout=30, **settings)
    entries = sandbox.journal("betting")
    assert [entry.defects for entry in entries] == [[], [], []]
    assert entries[-1].token == session.token()


FOREIGN = [
    "http://{host}/exchange/x",
    "https://{name}/exchange/x",
    "https://{name}:1/exchange/x",
    "https://{name}.:{port}/exchange/x",
    "https://{name}.example:{port}/x",
    "https://x{host}/x",
    "https://user:hunter2@{host}/exchange/x",
    "https://{host}@example.com/exchange/x",
    "https://example.com\\@{host}/x",
    "https://example.com/{host}",
    "https://lосalhost:{port}/x",  # noqa: RUF001 - two letters are Cyrillic
    "https://127.0.0.1:{port}/x",
    "https://[::1]:{port}/x",
    "https://api.betfair.com/exchange/x",
    "ftp://{host}/x",
]


@pytest.mark.parametrize("url", FOREIGN)
def test_another_place_is_refused_before_anything_is_sent(
    auth: BetfairAuth, sandbox: Sandbox, url: str
) -> None:
    """However a URL dresses up; not even a token is asked for."""
    host = host_of(sandbox.api_url)
    name, _, port = host.partition(":")
    with pytest.raises(ConfigurationError, match="by https to") as caught:
        requests.post(url.format(host=host, name=name, port=port), json=READ, auth=auth, timeout=30)
    # The caller's own request has the URL as it was given; the error has not.
    assert "hunter2" not in f"{caught.value!r} {vars(caught.value)}"
    assert sandbox.counts() == {}


def test_the_error_names_the_port_and_no_password(auth: BetfairAuth, sandbox: Sandbox) -> None:
    """Another port is another place; what is no number may be a part of a password."""
    name = host_of(sandbox.api_url).partition(":")[0]
    for url, shown in (
        (f"https://{name}:7/x", f"not to https://{name}:7;"),
        ("https://user:hunter2@example.com:8/x", r"not to https://example\.com:8;"),
        ("https://user:hunter2/@example.com/x", "not to https://user;"),
    ):
        request = requests.PreparedRequest()
        request.url = url
        with pytest.raises(ConfigurationError, match=shown) as caught:
            auth(request)
        assert "hunter2" not in str(caught.value)


def test_a_manager_is_no_handle(client: IdentityClient) -> None:
    """It would be found out with the first request only."""
    manager: Any = SessionManager(client, "u", "p")
    with pytest.raises(ConfigurationError, match=r"manager\.session\(store, key\)"):
        BetfairAuth(manager)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.betfair.com/exchange/betting/json-rpc/v1",
        "HTTPS://API.Betfair.com:443/exchange/x",
        "https://api.betfair.com.au/exchange/x",
        "https://api.betfair.it/exchange/betting/rest/v1/it/navigation/menu.json",
    ],
)
def test_betfairs_own_hosts_are_the_default(
    sandbox: Sandbox, tmp_path: Path, client: IdentityClient, url: str
) -> None:
    """Those of the jurisdictions and of the navigation menus; not for a sandbox's session."""
    theirs = IdentityClient(sandbox.app_key)
    manager = SessionManager(theirs, "u", "p", verify_every=timedelta(minutes=15))
    session = manager.session(tmp_path, KEY)
    session.token = lambda **_: "live"  # type: ignore[method-assign]
    signed = requests.Request("GET", url, auth=BetfairAuth(session)).prepare()
    assert signed.headers["X-Authentication"] == "live"
    assert signed.headers["X-Application"] == sandbox.app_key
    with pytest.raises(ConfigurationError) as caught:
        BetfairAuth(SessionManager(client, "u", "p").session(tmp_path, KEY))
    assert caught.value.argument == "api_url"


def test_a_host_of_the_callers_takes_the_place_of_betfairs(
    session: Session, sandbox: Sandbox
) -> None:
    """In any case of letters, by name or address."""
    port = host_of(sandbox.api_url).partition(":")[2]
    auth = BetfairAuth(session, hosts=iter([f"LocalHost:{port}", f"127.0.0.1:{port}"]))
    for host in ("localhost", "LOCALHOST", "127.0.0.1"):
        url = f"https://{host}:{port}/exchange/{RPC}"
        assert requests.post(url, json=READ, auth=auth, verify=sandbox.ca_bundle, timeout=30).ok
    with pytest.raises(ConfigurationError):
        requests.get("https://api.betfair.com/x", auth=auth, timeout=30)


@pytest.mark.parametrize(
    "hosts", ["api.betfair.com", ["https://x"], [""], ["a/b"], ["u@h"], [7], ["höst"], 5]
)
def test_what_is_no_host_is_refused(session: Session, hosts: Any) -> None:  # noqa: ANN401
    """A single text is a common mistake: it is a list of letters."""
    with pytest.raises(ConfigurationError, match="hosts"):
        BetfairAuth(session, hosts=hosts)


def test_what_requests_keeps_does_not_show_the_token(
    auth: BetfairAuth, session: Session, sandbox: Sandbox
) -> None:
    """Neither an answer nor an exception."""
    answer = post(sandbox, auth)
    sandbox.fault("betting", "reset")
    with pytest.raises(requests.ConnectionError) as caught:
        post(sandbox, auth)
    request = caught.value.request
    assert request is not None
    shown = repr([answer.request.headers, request.headers]) + everything_in(caught.value)
    for secret in (session.token(), sandbox.app_key):
        assert secret not in shown
    for kept in (answer, caught.value, request.headers):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(kept)
    again = copy.deepcopy(request.headers)
    assert again["X-Authentication"] == session.token()
