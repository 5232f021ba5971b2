"""Our errors on the way of a bot: what they always were, and a BetfairError as well."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from betfairlightweight import BetfairError
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    exceptions,
)
from betfair_session.integrations.betfair_errors import as_betfair_errors
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Sandbox


class Odd(exceptions.StoreUnavailable):
    """A class of a caller's own store; it is told as the nearest of ours."""


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


@pytest.mark.parametrize("call", ["login", "keep_alive", "betting"])
def test_whichever_call_needs_a_session_either_handler_catches(
    sandbox: Sandbox, trading: APIClient, call: str
) -> None:
    """Nobody logs in when Betfair cannot tell, and the token is kept; a refusal has its code."""
    calls: dict[str, Callable[[], object]] = {
        "login": trading.login,
        "keep_alive": trading.keep_alive,
        "betting": trading.betting.list_event_types,
    }
    token = trading.session_token
    sandbox.expire_all()
    sandbox.fault("keepAlive", "blocked", times=None)
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    assert isinstance(caught.value, IdentityUnavailable)
    assert trading.session_token == token
    assert "certlogin" not in sandbox.counts()
    sandbox.clear_faults()
    sandbox.login_status("SUSPENDED")
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    error = caught.value
    assert isinstance(error, LoginRefused)
    assert (error.status, error.endpoint) == ("SUSPENDED", "certlogin")
    assert error.not_before is not None
    shown = everything_in(error)
    for secret in (sandbox.password, sandbox.app_key, token or "none"):
        assert secret not in shown


def test_a_logout_that_betfair_does_not_answer_is_told(
    sandbox: Sandbox, bot: Callable[..., APIClient]
) -> None:
    """The session and the token stay."""
    trading = bot(end_session_on_logout=True)
    trading.login()
    sandbox.fault("logout", "blocked", times=None)
    with pytest.raises(BetfairError) as caught:
        trading.logout()
    assert isinstance(caught.value, IdentityUnavailable)
    assert [session.token for session in sandbox.sessions()] == [trading.session_token]
