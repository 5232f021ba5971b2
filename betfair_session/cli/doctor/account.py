"""The stored token: is it alive, and whose is it?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from betfair_session.cli import ERROR, USAGE
from betfair_session.cli.session import ask_about
from betfair_session.exceptions import BetfairSessionError, ExchangeError, SessionRejected

from .findings import Finding, fine, problem, unchecked, warning

if TYPE_CHECKING:
    from betfair_session.betfair.identity import IdentityClient
    from betfair_session.secret import Secret
    from betfair_session.session import Session
    from betfair_session.storage.contract import TokenStore

    from .settings import Settings

_TOKEN, _ACCOUNT = "token", "account"
_CODE = re.compile(r"[A-Z]{2,3}", re.ASCII)
_APP_KEY_CODES = frozenset({"INVALID_APP_KEY", "NO_APP_KEY"})


class _AsStored:
    """What an Exchange needs of a Session, with the stored token as it is: it never logs in."""

    def __init__(self, client: IdentityClient, token: Secret) -> None:
        self.client = client
        self._token = token

    def token(self, *, timeout: float | None = None) -> str:
        del timeout
        return self._token.reveal()

    def renew(self, rejected: str, *, timeout: float | None = None) -> str:
        del timeout
        return rejected


def examine_token(
    settings: Settings,
    client: IdentityClient,
    store: TokenStore,
    key: str,
    *,
    api_url: str | None,
    seconds: float,
) -> list[Finding]:
    """Ask Betfair about the stored token: one keepAlive, and one call of the account API.

    Args:
        settings: the variables.
        client: speaks to Betfair.
        store: where the token is.
        key: its name.
        api_url: the base of the betting API; None for the jurisdiction's.
        seconds: how long each may take.
    """
    try:
        state, token = ask_about(client, store, key, seconds)
    except BetfairSessionError as error:
        return [problem(_TOKEN, error), unchecked(_ACCOUNT, "whether the token lives is not known")]
    if token is None:
        logs_in = "the next `betfair-session token` logs in"
        first = unchecked(_TOKEN, f"none is stored; {logs_in}")
        if state == "dead":
            first = warning(_TOKEN, f"dead, says Betfair; {logs_in}")
        return [first, unchecked(_ACCOUNT, "only a live token can tell whose it is")]
    alive = fine(_TOKEN, "alive, says Betfair, which has just extended its session")
    if api_url is None and settings.get("BETFAIR_IDENTITY_URL"):
        why = "the identity hosts are not Betfair's own; --api-url says where the account API is"
        return [alive, unchecked(_ACCOUNT, why)]
    stored = _AsStored(client, token)
    return [alive, _whose(settings, stored, api_url=api_url, seconds=seconds)]


def _whose(
    settings: Settings, stored: _AsStored, *, api_url: str | None, seconds: float
) -> Finding:
    from betfair_session.exchange.client import Exchange

    verify = settings.get("BETFAIR_CA_BUNDLE") or True
    try:
        with Exchange(
            cast("Session", stored), api_url=api_url, verify=verify, timeout=seconds
        ) as exchange:
            details = exchange.call("getAccountDetails")
    except ExchangeError as error:
        if error.code not in _APP_KEY_CODES:
            return problem(_ACCOUNT, error)
        advice = "correct BETFAIR_APP_KEY; Betfair's developer pages show the account's keys"
        return Finding(_ACCOUNT, "problem", str(error), advice, USAGE)
    except SessionRejected:
        text = "the account API rejects the token that the identity host called alive"
        advice = "is the jurisdiction right? does the egress address change between calls?"
        return Finding(_ACCOUNT, "problem", text, advice, ERROR)
    except BetfairSessionError as error:
        return problem(_ACCOUNT, error)
    text = f"the stored token is that of {_person(details)}, says the account API"
    return fine(_ACCOUNT, f"{text}; a token names no account, so see that this is the right one")


def _person(details: Any) -> str:  # noqa: ANN401 - JSON
    """Tell enough of an account holder to recognise, and no more: initials, currency, region."""
    if not isinstance(details, dict):
        return "somebody it does not describe"
    names = [str(details.get(name) or "?") for name in ("firstName", "lastName")]
    initials = " ".join(f"{name[0]}." for name in names if name[0].isprintable())
    codes = [str(details.get(name) or "") for name in ("currencyCode", "region")]
    return ", ".join([initials, *dict.fromkeys(code for code in codes if _CODE.fullmatch(code))])
