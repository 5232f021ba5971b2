"""Our errors on the way of a bot: what they always were, and a BetfairError as well."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from betfairlightweight import BetfairError
from secrets_shown import everything_in

from betfair_session import (
    BetfairSessionError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
    StoreWriteError,
    exceptions,
)
from betfair_session.integrations.betfair_errors import as_betfair_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from betfair_session.integrations.betfairlightweight import APIClient
    from betfair_session.sandbox import Sandbox


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_error_is_both_and_keeps_all_that_it_holds(name: str) -> None:
    """It also goes through a process pool, as ours do."""
    ours: type[BetfairSessionError] = getattr(exceptions, name)
    error, cause = ours("what happened"), OSError("why")
    vars(error)["detail"] = "more"
    with pytest.raises(ours) as caught, as_betfair_errors():
        raise error from cause
    both = caught.value
    assert isinstance(both, BetfairError)
    assert (str(both), both.args, type(both).__name__) == ("what happened", error.args, name)
    assert (vars(both), both.__cause__) == (vars(error), cause)
    copy = pickle.loads(pickle.dumps(both))
    assert (type(copy), copy.args, vars(copy)) == (type(both), both.args, vars(both))


def test_an_error_of_a_subclass_is_told_as_the_nearest_one() -> None:
    """No class of ours has any, but a caller's own store might."""

    class Odd(exceptions.StoreUnavailable):
        pass

    name = "odd"
    with pytest.raises(exceptions.StoreUnavailable, match=name) as caught, as_betfair_errors():
        raise Odd(name)
    assert isinstance(caught.value, BetfairError)


@pytest.mark.parametrize("call", ["login", "keep_alive", "betting"])
def test_a_refused_login_is_caught_by_either_handler(
    sandbox: Sandbox, trading: APIClient, call: str
) -> None:
    """Whichever call needed it; Betfair's code and what it means are there."""
    calls: dict[str, Callable[[], object]] = {
        "login": trading.login,
        "keep_alive": trading.keep_alive,
        "betting": trading.betting.list_event_types,
    }
    sandbox.expire_all()
    sandbox.login_status("SUSPENDED")
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    error = caught.value
    assert isinstance(error, LoginRefused)
    assert (error.status, error.login_class, error.endpoint) == (
        "SUSPENDED",
        "account",
        "certlogin",
    )
    assert error.not_before is not None
    shown = everything_in(error)
    for secret in (sandbox.password, sandbox.app_key, trading.session_token or "none"):
        assert secret not in shown


@pytest.mark.parametrize("call", ["login", "keep_alive", "betting"])
def test_when_betfair_cannot_tell_nobody_logs_in(
    sandbox: Sandbox, trading: APIClient, call: str
) -> None:
    """Not even when the betting API has rejected the token: the error says so, and it is kept."""
    token = trading.session_token
    calls: dict[str, Callable[[], object]] = {
        "login": trading.login,
        "keep_alive": trading.keep_alive,
        "betting": trading.betting.list_event_types,
    }
    sandbox.expire_all()
    sandbox.fault("keepAlive", "blocked", times=None)
    with pytest.raises(BetfairError) as caught:
        calls[call]()
    assert isinstance(caught.value, IdentityUnavailable)
    assert trading.session_token == token
    assert "certlogin" not in sandbox.counts()


def test_a_failed_write_keeps_its_cause(
    sandbox: Sandbox, bot: Callable[..., APIClient], tmp_path: Path
) -> None:
    """The error says that the new session was ended, and below it lies the store's own."""
    (tmp_path / "store").mkdir()
    sandbox.break_store(str(tmp_path / "store"))
    with pytest.raises(BetfairError) as caught:
        bot().login()
    error = caught.value
    assert isinstance(error, StoreWriteError)
    assert isinstance(error.__cause__, StoreError)
    assert sandbox.sessions() == []


def test_a_logout_that_betfair_does_not_answer_is_told(
    sandbox: Sandbox, bot: Callable[..., APIClient]
) -> None:
    """The session and the token stay."""
    trading = bot(end_session_on_logout=True)
    trading.login()
    sandbox.fault("logout", "blocked", times=None)
    with pytest.raises(BetfairError, match="403") as caught:
        trading.logout()
    assert isinstance(caught.value, IdentityUnavailable)
    assert [session.token for session in sandbox.sessions()] == [trading.session_token]
