"""The real betfairlightweight, its session shared: against the sandbox, over real TLS."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from betfairlightweight import BetfairError, filters, resources
from betfairlightweight.exceptions import APIError, InvalidResponse, StatusCodeError
from front import Front, lasting
from hand_clocks import HandClocks
from programs import run
from requests.adapters import HTTPAdapter
from secrets_shown import assert_hidden, everything_in
from servers.listeners import Listener, Stranger, saying
from servers.process import free_ports
from urllib3 import Retry

from betfair_session import (
    BetfairSessionError,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    JurisdictionName,
    LoginRefused,
    SessionManager,
    exceptions,
)
from betfair_session.betfair.jurisdictions import JURISDICTIONS
from betfair_session.integrations import betfair_endpoints
from betfair_session.integrations.betfairlightweight import APIClient, as_betfair_errors
from betfair_session.sandbox import Sandbox

Bot = Callable[..., APIClient]

DETAIL = {"errorCode": "INVALID_SESSION_INFORMATION"}
DATA = {"exceptionname": "APINGException", "APINGException": DETAIL}
REJECTED = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32099, "data": DATA}}


def place(trading: APIClient, ref: str = "ref-1") -> Any:  # noqa: ANN401 - betfairlightweight has no types
    limit = filters.limit_order(size=2.0, price=1.01, persistence_type="LAPSE")
    instruction = filters.place_instruction("LIMIT", 1, "BACK", limit_order=limit)
    return trading.betting.place_orders("1.1", [instruction], customer_ref=ref)


def test_bots_share_one_login_and_a_logout_leaves_it_to_the_others(
    sandbox: Sandbox, bot: Bot
) -> None:
    """The whole life of two bots, of which one ends earlier."""
    first, second = bot(), bot()
    for trading in (first, second):
        login = trading.login()
        assert isinstance(login, resources.LoginResource)
        assert (login.login_status, login.session_token) == ("SUCCESS", trading.session_token)
        assert trading.betting.list_event_types()[0].event_type.name == "Horse Racing"
        assert trading.account.get_account_funds().available_to_bet_balance == 1000.0
    assert first.session_token == second.session_token
    ended = first.logout()
    assert isinstance(ended, resources.LogoutResource)
    assert (ended.status, first.session_token, first.session_expired) == ("SUCCESS", None, True)
    kept = second.keep_alive()
    assert isinstance(kept, resources.KeepAliveResource)
    assert (kept.status, kept.error, kept.token) == ("SUCCESS", "", second.session_token)
    assert [session.token for session in sandbox.sessions()] == [second.session_token]
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 2, "betting": 2, "account": 2}


def test_a_logout_can_be_told_to_end_the_session(sandbox: Sandbox, bot: Bot) -> None:
    """Then it is dead for all who share it; if Betfair does not answer, an error says so."""
    trading = bot(end_session_on_logout=True)
    trading.login()
    sandbox.fault("logout", "blocked")
    with pytest.raises(BetfairError) as caught:
        trading.logout()
    assert isinstance(caught.value, IdentityUnavailable)
    assert [session.token for session in sandbox.sessions()] == [trading.session_token]
    assert trading.logout().status == "SUCCESS"
    assert sandbox.sessions() == []
    trading.login()
    assert sandbox.counts()["certlogin"] == 2


def test_lightweight_answers_are_dicts(bot: Bot) -> None:
    trading = bot(lightweight=True)
    login = trading.login()
    assert login == {"sessionToken": trading.session_token, "loginStatus": "SUCCESS"}
    fine = {"product": trading.app_key, "status": "SUCCESS", "error": ""}
    assert trading.keep_alive() == {"token": trading.session_token, **fine}
    assert trading.keep_alive(lightweight=False).status == "SUCCESS"
    assert trading.logout() == {"token": None, **fine}


@pytest.mark.parametrize("service", ["betting", "account", "order"])
def test_an_invalid_session_is_renewed_and_the_call_repeated(
    sandbox: Sandbox, trading: APIClient, service: str
) -> None:
    """The caller does not notice, and an order, which was not carried out, is placed once."""
    old = trading.session_token
    sandbox.expire_all()
    if service == "betting":
        assert trading.betting.list_event_types()
    elif service == "account":
        assert trading.account.get_account_details().currency_code == "GBP"
    else:
        service = "betting"
        assert (place(trading).status, len(sandbox.orders())) == ("SUCCESS", 1)
    entries = sandbox.journal(service)
    assert [entry.token for entry in entries] == [old, trading.session_token]
    assert [entry.outcome for entry in entries] == ["INVALID_SESSION_INFORMATION", "SUCCESS"]
    assert sandbox.counts() == {service: 2, "keepAlive": 1, "certlogin": 1}


def test_the_menu_is_asked_for_again_with_a_renewed_token(
    sandbox: Sandbox, trading: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes by REST, where a session is rejected with an HTTP status of 400."""
    monkeypatch.setattr(trading, "check_place", lambda _: None)
    url = f"{sandbox.api_url}betting/rest/v1.0/listEventTypes/"

    def ask(*_: object, headers: Any, **__: object) -> requests.Response:  # noqa: ANN401
        trust = sandbox.ca_bundle
        return requests.post(url, json={}, headers=headers, verify=trust, timeout=20)

    menu = Mock(request=ask)
    sandbox.expire_all()
    assert trading.navigation.list_navigation(session=menu)
    assert sandbox.counts() == {"betting": 2, "keepAlive": 1, "certlogin": 1}


def test_an_order_that_became_old_during_the_login_is_not_placed(
    sandbox: Sandbox, trading: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rejection is raised; the session is renewed for the next one."""
    monkeypatch.setattr(betfair_endpoints, "ORDER_SECONDS", 0.0)
    sandbox.expire_all()
    with pytest.raises(APIError):
        place(trading)
    assert sandbox.orders() == []
    assert place(trading).status == "SUCCESS"


def test_an_order_that_may_stand_is_not_repeated_after_a_login(
    hands: HandClocks, sandbox: Sandbox, trading: APIClient
) -> None:
    """A caller that repeats it, as flumine does, is not held up: Betfair soon forgets it."""
    for fault in ("reset", "lost"):  # the second was carried out, and its minute counts
        sandbox.fault("betting", fault)
        with pytest.raises(APIError):
            place(trading, "one")
        hands.go(70)
    hands.sleep(100)  # as a wall clock that is set anew
    sandbox.expire_all()
    with pytest.raises(APIError):
        place(trading, "one")
    assert sandbox.counts()["betting"] == 3
    assert place(trading, "one").status == "FAILURE"  # a duplicate, to the renewed session
    assert len(sandbox.orders()) == 1
    sandbox.expire_all()
    assert place(trading, "two").status == "SUCCESS"  # which may be repeated at once


def test_a_repetition_whose_first_token_comes_late_is_not_sent(
    hands: HandClocks, sandbox: Sandbox, front: Front, bot: Bot
) -> None:
    """A program may repeat a lost order by another client, or after a logout."""
    first, second = bot(), bot()
    sandbox.fault("betting", "lost")
    with pytest.raises(APIError):
        place(first)
    hands.go(35)
    sandbox.expire_all()
    with front.under_way("certlogin", lambda: place(second)) as call:
        hands.go(30)
    assert isinstance(call.exception(), APIError)
    assert sandbox.counts()["betting"] == len(sandbox.orders()) == 1


class Persistent(requests.Session):
    """Tries twice, as one wrapped by a package for retries."""

    def request(self, *given: Any, **named: Any) -> requests.Response:  # noqa: ANN401 - as there
        with suppress(requests.ConnectionError):
            return super().request(*given, **named)
        return super().request(*given, **named)


@pytest.mark.parametrize(
    ("session", "retries"), [(requests.Session, 0), (requests.Session, 1), (Persistent, 0)]
)
def test_an_order_that_never_left_may_wait_for_a_login(
    sandbox: Sandbox,
    bot: Bot,
    monkeypatch: pytest.MonkeyPatch,
    session: type[requests.Session],
    retries: int,
) -> None:
    """If it surely did not. Nor is a cancellation held up by an order with its reference."""
    http, surely = session(), session is requests.Session and not retries
    http.verify = sandbox.ca_bundle
    http.trust_env = False
    http.mount("https://", HTTPAdapter(max_retries=Retry(retries, allowed_methods=None)))
    trading = bot(http_session=http)
    trading.login()
    sandbox.clear_journal()
    with monkeypatch.context() as patch:
        patch.setattr(trading, "api_uri", f"https://localhost:{free_ports(1)[0]}/")
        with pytest.raises(APIError):
            place(trading, "one")
    sandbox.expire_all()
    with nullcontext() if surely else pytest.raises(APIError):
        assert place(trading, "one").status == "SUCCESS"
    assert len(sandbox.orders()) == surely
    sandbox.expire_all()
    sandbox.clear_journal()
    with pytest.raises(APIError):  # the sandbox has no such operation
        trading.betting.cancel_orders("1.1", customer_ref="one")
    assert sandbox.counts()["betting"] == 2


@pytest.mark.usefixtures("program_ended")
def test_a_login_for_an_order_outlasts_the_programs_end(
    front: Front, sandbox: Sandbox, trading: APIClient
) -> None:
    """The thread that trades gives up soon, and may be the last one."""
    sandbox.fault("betting", "lost")
    with pytest.raises(APIError):
        place(trading)
    sandbox.expire_all()
    with front.under_way("certlogin", lambda: place(trading)) as call:
        assert lasting()
    assert isinstance(call.exception(), APIError)


def test_a_second_rejection_is_raised(sandbox: Sandbox, trading: APIClient) -> None:
    """For any reason: the API is asked twice, and a token that Betfair calls alive is kept."""
    token = trading.session_token
    sandbox.fault("betting", "non_object", times=2, body=json.dumps(REJECTED))
    with pytest.raises(APIError):
        trading.betting.list_event_types()
    assert sandbox.counts() == {"betting": 2, "keepAlive": 1}
    assert trading.betting.list_event_types()
    assert trading.session_token == token


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("status:503", StatusCodeError),
        ("status:400", StatusCodeError),
        ("html200", InvalidResponse),
        ("reset", APIError),
        ("lost", APIError),
        ("app key", APIError),
    ],
)
def test_nothing_else_is_repeated(
    sandbox: Sandbox, trading: APIClient, fault: str, error: type[Exception]
) -> None:
    if fault == "app key":  # it has the same number as an invalid session
        trading.app_key = "wrong"
    else:
        sandbox.fault("betting", fault)
    with pytest.raises(error):
        place(trading)
    assert sandbox.counts() == {"betting": 1}


def test_a_first_call_logs_in_by_itself(
    sandbox: Sandbox, bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does the first one after a logout, and one that is no call of the API's."""
    trading = bot()
    assert trading.betting.list_event_types()
    trading.logout()
    assert trading.account.get_account_funds()
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1, "betting": 1, "account": 1}
    trading.logout()
    trading.navigation_uri = sandbox.api_url
    with pytest.raises(StatusCodeError):  # the sandbox has no menu
        trading.navigation.list_navigation()
    assert sandbox.journal("other")[0].token == trading.session_token
    trading.logout()
    monkeypatch.setattr(type(trading.historic), "url", sandbox.api_url)
    with pytest.raises(StatusCodeError):  # nor such a file, of which the error is not one
        trading.historic.download_file("of/2026.bz2", str(tmp_path))
    assert not (tmp_path / "2026.bz2").exists()
    assert [trading.session_token] == [each.token for each in sandbox.sessions()]


def test_a_login_that_asked_nobody_does_not_put_off_the_next_keep_alive(
    front: Front, sandbox: Sandbox, bot: Bot, hands: HandClocks
) -> None:
    """It is due an hour after the last one, or ten minutes after a token of unknown age came.

    A sleep of the machine counts as well.
    """
    trading = bot(front.session(verify_every=timedelta(hours=2)))
    trading.login()
    hands.go(300)
    hands.sleep(299)
    trading.login_interactive()  # which is the same
    assert sandbox.counts() == {"certlogin": 1}
    expired = [trading.session_expired]
    hands.sleep(1)
    expired.append(trading.session_expired)
    trading.keep_alive()
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}  # it asks, though trusted
    hands.go(2000)
    hands.sleep(1599)
    expired.append(trading.session_expired)
    trading.login()
    hands.steady += 1600  # that clock alone went on
    assert [*expired, trading.session_expired] == [False, True, False, True]


def test_a_token_of_the_callers_is_used_until_it_is_rejected(sandbox: Sandbox, bot: Bot) -> None:
    trading = bot()
    own = sandbox.issue()
    trading.set_session_token(own)
    assert trading.betting.list_event_types()
    sandbox.expire(own)
    assert trading.betting.list_event_types()
    assert [entry.token == own for entry in sandbox.journal("betting")] == [True, True, False]


@pytest.mark.parametrize("name", JURISDICTIONS)
def test_it_asks_the_hosts_of_its_jurisdiction(name: JurisdictionName, tmp_path: Path) -> None:
    """The betting API's from our table; the navigation menu's from betfairlightweight's own."""
    manager = SessionManager(IdentityClient("key", jurisdiction=name), "user", "password")
    trading = APIClient(manager.session(tmp_path, "session.token"))
    assert trading.api_uri == f"https://{JURISDICTIONS[name].api_host}/exchange/"
    ending = {"italy": ".it", "spain": ".es"}.get(name, ".com")
    assert f"//api.betfair{ending}/" in trading.navigation_uri


def test_a_sandboxs_token_is_not_for_betfairs_hosts(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's `api_url` is its place; other hosts of Betfair's are refused before a call."""
    assert APIClient(front.session()).betting.list_event_types()
    monkeypatch.setattr(front.client, "api_url", None)
    trading = APIClient(front.session())
    for call in (
        trading.betting.list_event_types,
        trading.account.get_account_funds,
        trading.navigation.list_navigation,
        trading.historic.get_my_data,
    ):
        with pytest.raises(APIError) as caught:
            call()
        refused = caught.value.exception
        assert isinstance(refused, ConfigurationError)
        assert refused.argument == "api_url"


def test_a_gateway_for_the_identity_service_leaves_the_hosts_that_are_named(
    tmp_path: Path,
) -> None:
    gateway, api = "https://gateway.example/api/", "https://api.betfair.com/exchange/"
    client = IdentityClient("key", identity_url=gateway, api_url=api)
    trading = APIClient(SessionManager(client, "user", "password").session(tmp_path, "token"))
    trading.stream_address = ("stream-api.betfair.com", 443)
    for host in ("api.betfair.com", "stream-api.betfair.com"):
        trading.check_place(host)
    with pytest.raises(BetfairError):
        trading.check_place("api.betfair.it")


def test_a_bots_token_goes_nowhere_else(
    bot: Bot, stranger: Stranger, tmp_path: Path, netrc: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along no redirect, with nothing of .netrc, by its own session or flumine's, and by https."""
    trading = bot(lightweight=True)
    trading.login()
    trading.session.verify = stranger.bundle
    closing = b"\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"  # else it may be used again
    with Listener(saying(b"HTTP/1.1 200 OK" + closing)) as elsewhere:
        head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere.port}/"
        redirect = head.encode() + closing
        with stranger.serving(saying(redirect)) as listener, requests.Session() as theirs:
            theirs.verify = stranger.bundle
            place = f"https://localhost:{listener.port}/"
            trading.api_uri = trading.navigation_uri = place
            monkeypatch.setattr(type(trading.historic), "url", place)
            for call in (
                trading.betting.list_event_types,
                trading.navigation.list_navigation,
                trading.historic.get_my_data,
            ):
                for session in (None, theirs):
                    with pytest.raises(StatusCodeError):
                        call(session=session)
            with pytest.raises(StatusCodeError):
                trading.historic.download_file("of/2026.bz2", str(tmp_path), session=theirs)
            assert str(trading.session_token).encode() in listener.heard
            assert netrc not in listener.heard
            assert (listener.connections, elsewhere.connections) == (7, 0)
            # A web page, to which no secret goes, may lie elsewhere.
            assert trading.session.get(place, timeout=30).json() == {}
        trading.api_uri = f"http://127.0.0.1:{elsewhere.port}/"
        with pytest.raises(APIError) as caught:
            trading.betting.list_event_types()
        assert caught.value.exception.argument == "api_uri"
        assert elsewhere.connections == 1


@pytest.mark.parametrize("installed", [False, True])
def test_without_the_package_the_extra_is_named(tmp_path: Path, *, installed: bool) -> None:
    """It stays a ModuleNotFoundError; one that lacks something itself says what that is."""
    name = "no_such_part" if installed else "betfairlightweight"
    (tmp_path / "betfairlightweight.py").write_text("import no_such_part\n")
    code = (
        f"import sys; sys.modules[{name!r}] = None\n"
        "try: import betfair_session.integrations.betfairlightweight\n"
        "except ModuleNotFoundError as error: print(error.name, error)"
    )
    done = run(sys.executable, "-c", code, directory=tmp_path)
    assert done.stdout.split()[0] == name, done.stderr
    assert ("betfair-session[betfairlightweight]" in done.stdout) != installed


def test_it_holds_no_password_and_shows_no_token(
    sandbox: Sandbox, trading: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it look for one in the environment, as the original would."""
    monkeypatch.setenv(trading.username + "password", "from the environment")
    answers = [call(lightweight=True) for call in (trading.login, trading.keep_alive)]
    shown = repr([trading, vars(trading), trading.request_headers, answers])
    assert (trading.password, trading.cert_files) == ("", None)
    secrets = (sandbox.password, trading.session_token, sandbox.app_key, "environment")
    assert_hidden(shown, *secrets)


@pytest.mark.parametrize("own", [False, True])
def test_an_error_of_the_original_shows_no_token(
    sandbox: Sandbox, trading: APIClient, *, own: bool
) -> None:
    """It keeps the request, whose headers do not show theirs, and no frame that has them."""
    sandbox.fault("betting", "reset")
    with pytest.raises(BetfairError) as caught:
        trading.betting.list_event_types(session=_session(sandbox) if own else None)
    request = caught.value.exception.request
    assert type(caught.value.exception) is requests.ConnectionError
    assert not hasattr(caught.value.exception, "__notes__")
    token = request.headers["X-Authentication"]
    assert token == trading.session_token
    shown = everything_in(caught.value) + repr(dict(request.headers))
    assert_hidden(shown, token, sandbox.app_key)


def _session(sandbox: Sandbox) -> requests.Session:
    http = requests.Session()
    # A variable such as REQUESTS_CA_BUNDLE would replace `verify`.
    http.trust_env, http.verify = False, sandbox.ca_bundle
    return http


@pytest.mark.parametrize("kind", [LookupError, requests.HTTPError, FileNotFoundError])
def test_an_error_of_a_programs_own_hook_tells_its_line_once(
    sandbox: Sandbox, trading: APIClient, kind: type[Exception]
) -> None:
    """Without what the frames below hold, though it is raised again."""
    failure = kind("failed")

    def check(response: requests.Response, **_: object) -> None:
        del response
        raise failure

    http = _session(sandbox)
    http.hooks["response"].append(check)
    for _ in range(2):
        with pytest.raises(BetfairError) as caught:
            trading.betting.list_event_types(session=http)
    assert caught.value.exception is failure
    (note,) = failure.__notes__
    assert f", line {check.__code__.co_firstlineno + 2}, in check" in note
    assert_hidden(everything_in(caught.value), trading.session_token, sandbox.app_key)


# --- our errors are BetfairErrors, too ------------------------------------------------------------


class Odd(exceptions.StoreUnavailable):
    """An error of a caller's own store; it is raised as the nearest of ours."""


@pytest.mark.parametrize("name", [*exceptions.__all__, "Odd"])
def test_every_error_is_both_and_keeps_all_that_it_holds(name: str) -> None:
    """It also goes through a process pool, as ours do."""
    ours: type[BetfairSessionError] = getattr(exceptions, name, Odd)
    error, cause = ours("what happened"), OSError("why")
    vars(error)["detail"] = "more"
    with pytest.raises(BetfairError) as caught, as_betfair_errors():
        raise error from cause
    both = caught.value
    assert isinstance(both, exceptions.StoreUnavailable if name == "Odd" else ours)
    assert type(both).__name__ == {"Odd": "StoreUnavailable"}.get(name, name)
    assert (both.args, vars(both), both.__cause__) == (error.args, vars(error), cause)
    copy = pickle.loads(pickle.dumps(both))
    assert (type(copy), copy.args, vars(copy)) == (type(both), both.args, vars(both))


@pytest.mark.parametrize("call", ["login", "keep_alive", "betting", "stream"])
def test_whichever_call_needs_a_session_either_handler_catches(
    sandbox: Sandbox, trading: APIClient, call: str
) -> None:
    """When Betfair cannot tell, there is no login and the token is kept; a refusal has its code."""
    calls: dict[str, Callable[[], object]] = {
        "login": trading.login,
        "keep_alive": trading.keep_alive,
        "betting": trading.betting.list_event_types,
        "stream": lambda: trading.streaming.create_stream().start(),
    }
    token = trading.session_token
    sandbox.expire_all()
    sandbox.fault("keepAlive", "blocked", times=None)
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    assert isinstance(caught.value, IdentityUnavailable)
    assert trading.session_token == token
    sandbox.clear_faults()
    sandbox.login_status("SUSPENDED")
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    error = caught.value
    assert isinstance(error, LoginRefused)
    assert (error.status, error.endpoint) == ("SUSPENDED", "certlogin")
    assert error.not_before is not None
    assert_hidden(everything_in(error), sandbox.password, sandbox.app_key, token)
    assert sandbox.counts()["certlogin"] == 1
    assert "stream" not in sandbox.counts()
