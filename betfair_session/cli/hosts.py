"""Betfair's hosts: do they answer over TLS, what time is it there, and whose is the stored token?

Each identity host is sent one keepAlive without a token, which Betfair answers with FAIL and
NO_SESSION. That is no login, and it names neither the account nor the app key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

from betfair_session.arguments import checked_verify, https_base
from betfair_session.betfair.answers import Answer, Endpoint, is_transient, read_session, unclear
from betfair_session.betfair.http import NETWORK
from betfair_session.betfair.identity import IdentityClient
from betfair_session.betfair.jurisdictions import jurisdiction
from betfair_session.exceptions import (
    BetfairSessionError,
    Blocked,
    ExchangeError,
    IdentityUnavailable,
    SessionRejected,
)
from betfair_session.secret import Secret
from betfair_session.session import Session
from betfair_session.storage.contract import TokenStore

from .output import ERROR, USAGE, Finding, problem
from .probe import Case, cloud_of
from .session import ask_about

_FAR_SECONDS = 5.0
"""Clocks that differ by more get a warning; HTTP dates are in whole seconds."""

# By the reason of an IdentityUnavailable without an answer, where its own text does not help.
_ADVICE = {
    "untrusted": (
        "find out what answers in its place, such as a company's proxy or a virus scanner, and "
        "whether you trust it"
    ),
    "client-certificate": (
        "find out what answers here: it ended the TLS handshake since it saw no certificate, which "
        "Betfair asks for on the certlogin host alone, or has no cipher in common with this machine"
    ),
    "bundle": "give a file of whole PEM blocks, or a directory, as BETFAIR_CA_BUNDLE",
}


_TOKEN, _ACCOUNT = "token", "account"
_CODE = re.compile(r"[A-Z]{2,3}", re.ASCII)
_APP_KEY_CODES = frozenset({"INVALID_APP_KEY", "NO_APP_KEY"})


def examine_hosts(case: Case) -> Iterator[Finding]:
    """Ask both hosts, and note the time that each tells."""
    given = case.given
    try:
        usual = jurisdiction(given.get("BETFAIR_JURISDICTION") or "international")
        endpoints = {
            name: Endpoint("keepAlive", https_base(given.get(other), base, name=other))
            for name, other, base in (
                ("identity", "BETFAIR_IDENTITY_URL", usual.identity_url),
                ("certlogin", "BETFAIR_IDENTITY_CERT_URL", usual.identity_cert_url),
            )
        }
        verify = checked_verify(given.get("BETFAIR_CA_BUNDLE") or True)
    except BetfairSessionError as error:
        yield Finding("identity", "not checked", str(error))
        return
    if _proxy_for("https://any.invalid/"):
        yield _examine_proxy(endpoints.values(), case.store)
    found = [_ask(name, endpoint, case, verify=verify) for name, endpoint in endpoints.items()]
    yield from found
    failed = any(each.state == "problem" for each in found)
    if failed and usual.unsure and not given.get("BETFAIR_IDENTITY_URL"):
        text = f"not certain for {usual.name}: {usual.unsure}"
        yield Finding("identity", "warning", text)


def _examine_proxy(endpoints: Iterable[Endpoint], store: TokenStore | None) -> Finding:
    """Say which hosts are reached by the proxy that the environment names."""
    proxies = {each.host: _proxy_for(each.base) for each in endpoints}
    ways = [
        f"{host} {f'by {at}' if at else 'directly (by NO_PROXY)'}" for host, at in proxies.items()
    ]
    if store and cloud_of(store):
        ways.append(f"{store.label} by the same variables")
    return Finding("proxy", "ok", f"the environment sets one: {'; '.join(ways)}")


def _proxy_for(url: str) -> str:
    """Return the proxy's host and port, without user and password; "" if there is no proxy."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str = select_proxy(url, get_environ_proxies(url)) or ""
    try:
        found = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return ":".join(str(part) for part in (found.hostname, found.port) if part)
    except ValueError:
        return "what is no address"  # a user and a password, perhaps


def _ask(name: str, endpoint: Endpoint, case: Case, *, verify: bool | str) -> Finding:
    from betfair_session.betfair.transport import Transport

    began = time.monotonic()
    try:
        with Transport(verify=verify) as transport:
            answer = transport.post(endpoint, {}, None, case.seconds)
        took = time.monotonic() - began
        with suppress(ValueError, OverflowError):
            told = parsedate_to_datetime(answer.date).timestamp()
            case.clocks[endpoint.host] = told + 0.5 - time.time()  # the date is in whole seconds
        # What certlogin's host answers to a keepAlive is undocumented: any form of answer will do.
        _judge(endpoint, answer, strict=name == "identity")
    except IdentityUnavailable as error:
        if (name, error.reason) == ("certlogin", "client-certificate"):
            text = f"{endpoint.host} ended the TLS handshake, since it saw no client certificate"
            advice = "log in: if that works, this is no problem; else it refuses this connection"
            return Finding(name, "warning", f"{text}, or for another reason", advice)
        silent = error.sent and not error.status_code and not error.reason
        return problem(name, error, NETWORK if silent else _ADVICE.get(error.reason, ""))
    except BetfairSessionError as error:
        return problem(name, error)
    return Finding(name, "ok", f"{endpoint.host} answers over TLS in {took:.2f} s")


def _judge(endpoint: Endpoint, answer: Answer, *, strict: bool) -> None:
    """Raise unless this is Betfair's answer; unless `strict`, it may have an unknown form."""
    try:
        alive = read_session(endpoint, answer, Secret(""))
    except IdentityUnavailable as error:
        if strict or isinstance(error, Blocked) or is_transient(answer.status_code):
            raise
        return
    if alive is not None:
        raise unclear(endpoint, "SUCCESS although no token was sent; this is not Betfair", answer)


def compare_clocks(case: Case) -> Iterator[Finding]:
    wrong = [
        f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} {name}"
        for name, ahead in case.clocks.items()
        if abs(ahead) > _FAR_SECONDS
    ]
    if wrong:
        advice = (
            "set it by NTP: certificates and TLS depend on it (the shared login copes with a wrong "
            "clock, but may wait longer)"
        )
        yield Finding("clock", "warning", f"this machine's is {'; '.join(wrong)}", advice)
    elif case.clocks:
        text = f"within {_FAR_SECONDS:.0f} s of {', '.join(case.clocks)}"
        yield Finding("clock", "ok", text)
    else:
        yield Finding("clock", "not checked", "neither Betfair nor the store told the time")


def examine_session(case: Case) -> Iterator[Finding]:
    """Ask Betfair about the stored token: one keepAlive, and one call of the account API."""
    client, logs_in = case.client, f"the next {case.out.command('token')} logs in"
    if not (client and case.store and case.readable):
        yield Finding(_TOKEN, "not checked", "needs a working configuration and a readable store")
        return
    why, token = "only a live token shows whose it is", None
    try:
        found = ask_about(client, case.store, case.key, case.seconds)
        token = found.token if found else None
        if token:
            yield Finding(_TOKEN, "ok", "alive; Betfair has just extended the session")
        elif found:
            yield Finding(_TOKEN, "warning", f"dead, according to Betfair; {logs_in}")
        else:
            yield Finding(_TOKEN, "not checked", f"no token is stored; {logs_in}")
    except BetfairSessionError as error:
        yield problem(_TOKEN, error)
        why = "it is not known whether the token is alive"
    if token and client.api_url:
        yield _examine_account(client, token, case.seconds)
        return
    if token:
        why = (
            "the identity hosts are not Betfair's own; name the account API in BETFAIR_API_URL or "
            "--api-url"
        )
    yield Finding(_ACCOUNT, "not checked", why)


def _examine_account(client: IdentityClient, token: Secret, seconds: float) -> Finding:
    """Ask the account API whose the stored token is."""
    from betfair_session.exchange.client import Exchange

    # All that an Exchange needs of a Session: the stored token as it is, and never a login.
    session = SimpleNamespace(
        client=client, token=lambda **_: token.reveal(), renew=lambda rejected, **_: rejected
    )
    try:
        with Exchange(cast("Session", session), timeout=seconds) as exchange:
            details = exchange.call("getAccountDetails")
    except SessionRejected:
        text = "the account API rejects the token that the identity host called alive"
        advice = "check the jurisdiction, and whether the egress address changes between calls"
        return Finding(_ACCOUNT, "problem", text, advice, ERROR)
    except BetfairSessionError as error:
        found = problem(_ACCOUNT, error)
        if isinstance(error, ExchangeError) and error.code in _APP_KEY_CODES:
            advice = "correct BETFAIR_APP_KEY; Betfair's developer pages show the account's keys"
            return found._replace(advice=advice, code=USAGE)
        return found
    text = f"the stored token belongs to {_person(details)}, according to the account API"
    return Finding(
        _ACCOUNT, "ok", f"{text}; check that this is the right account, since a token names none"
    )


def _person(details: Any) -> str:  # noqa: ANN401 - JSON
    """Return just enough to recognise the account holder: initials, currency, region."""
    if not isinstance(details, dict):
        return "an account that it does not describe"
    names = [str(details.get(name) or "?") for name in ("firstName", "lastName")]
    initials = " ".join(f"{name[0]}." for name in names if name[0].isprintable())
    codes = [str(details.get(name) or "") for name in ("currencyCode", "region")]
    return ", ".join([initials, *dict.fromkeys(code for code in codes if _CODE.fullmatch(code))])
