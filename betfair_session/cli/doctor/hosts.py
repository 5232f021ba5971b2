"""The identity hosts: do they answer over TLS, in their own words, and what time is it there?

Each is sent one keepAlive without a token, which Betfair answers with FAIL and NO_SESSION. That is
no login and names nobody: neither the account nor the app key.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from betfair_session.arguments import checked_verify, https_base
from betfair_session.betfair.answers import Endpoint, cannot_tell, is_passing, read_session
from betfair_session.betfair.jurisdictions import jurisdiction
from betfair_session.exceptions import (
    BetfairSessionError,
    Blocked,
    ConfigurationError,
    IdentityUnavailable,
)
from betfair_session.secret import Secret
from betfair_session.storage.cloud import CloudStore

from .findings import Finding, fine, problem, unchecked, warning

if TYPE_CHECKING:
    from betfair_session.betfair.answers import Answer
    from betfair_session.betfair.jurisdictions import Jurisdiction
    from betfair_session.storage.contract import TokenStore

    from .settings import Settings

_FAR = 5.0
"""Seconds of difference between two clocks that are worth a warning; HTTP dates are whole."""

_NOBODY = "look at the network, at HTTPS_PROXY, and at any firewall in between"
# By what the reason holds.
_ADVICE = {
    "CERTIFICATE_VERIFY_FAILED": (
        "somebody else answers in its place, such as a proxy; if that is yours, BETFAIR_CA_BUNDLE "
        "names the authority that vouches for it"
    ),
    "a proxy answered 407": (
        "put user and password into the proxy's URL, as in http://user:password@proxy:3128"
    ),
    "a proxy answered 403": "have the proxy let this host through, or name the host in NO_PROXY",
    "a proxy answered": "ask who runs the proxy why it cannot reach this host",
}


@dataclass(frozen=True)
class Clock:
    """How far a clock is ahead of this machine's, in seconds."""

    name: str
    ahead: float


def examine_hosts(
    settings: Settings, seconds: float, *, store: TokenStore | None
) -> tuple[list[Finding], list[Clock]]:
    """Ask both hosts.

    Args:
        settings: the variables, which may name other hosts.
        seconds: how long each may take.
        store: where the token is, whose driver may use a proxy; None where it cannot be opened.

    Returns:
        The findings, and the hosts' clocks.
    """
    try:
        usual = jurisdiction(settings.get("BETFAIR_JURISDICTION") or "international")
        plain, cert = _bases(settings, usual)
        verify = checked_verify(settings.get("BETFAIR_CA_BUNDLE") or True)
    except BetfairSessionError as error:
        return [unchecked("identity", str(error))], []
    clocks: list[Clock] = []
    findings = _ways([plain, cert], store)
    # What the login's host says to a keepAlive is not documented: any answer will do.
    for name, base, strict in (("identity", plain, True), ("certlogin", cert, False)):
        finding, clock = _ask(
            name, Endpoint("keepAlive", base), verify=verify, seconds=seconds, strict=strict
        )
        findings.append(finding)
        clocks += [clock] if clock else []
    unsure = usual.unsure and not settings.get("BETFAIR_IDENTITY_URL")
    if unsure and any(finding.state == "problem" for finding in findings):
        findings.append(warning("identity", f"not known for sure for {usual.name}: {usual.unsure}"))
    return findings, clocks


def _bases(settings: Settings, usual: Jurisdiction) -> tuple[str, str]:
    """Return where keepAlive and certlogin go."""
    return (
        https_base(
            settings.get("BETFAIR_IDENTITY_URL") or usual.identity_url, name="BETFAIR_IDENTITY_URL"
        ),
        https_base(
            settings.get("BETFAIR_IDENTITY_CERT_URL") or usual.identity_cert_url,
            name="BETFAIR_IDENTITY_CERT_URL",
        ),
    )


def _ways(bases: list[str], store: TokenStore | None) -> list[Finding]:
    """Tell what goes by a proxy, where the environment names one for https."""
    if not _proxy_for("https://any.invalid/"):
        return []
    ways = []
    for base in bases:
        proxy = _proxy_for(base)
        host = Endpoint("keepAlive", base).host
        ways.append(f"{host} by {proxy}" if proxy else f"{host} directly, by NO_PROXY")
    if isinstance(store, CloudStore):
        driver = store.module.partition(".")[0]
        ways.append(f"{store.label} by the same variables, which {driver} goes by")
    return [fine("proxy", f"the environment names one: {'; '.join(ways)}")]


def _proxy_for(url: str) -> str:
    """Return the proxy's host and port, without the password that may stand before them; or ""."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str = select_proxy(url, get_environ_proxies(url)) or ""
    return proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/")


def compare_clocks(clocks: list[Clock]) -> Finding:
    """Compare this machine's clock with others."""
    if not clocks:
        return unchecked("clock", "neither Betfair nor the store told the time")
    wrong = [clock for clock in clocks if abs(clock.ahead) > _FAR]
    if not wrong:
        names = ", ".join(clock.name for clock in clocks)
        return fine("clock", f"within {_FAR:.0f} s of {names}")
    text = "; ".join(
        f"{abs(clock.ahead):.0f} s {'behind' if clock.ahead > 0 else 'ahead of'} {clock.name}"
        for clock in wrong
    )
    advice = (
        "set it by NTP: certificates and TLS go by it (the shared login copes with a wrong clock, "
        "but may wait longer)"
    )
    return warning("clock", f"this machine's is {text}", advice)


def _ask(
    name: str, endpoint: Endpoint, *, verify: bool | str, seconds: float, strict: bool
) -> tuple[Finding, Clock | None]:
    from betfair_session.betfair.http import OwnSession, Transport
    from betfair_session.betfair.network import NoAnswerError

    dates: list[str] = []
    with OwnSession() as session:
        session.hooks["response"].append(
            lambda response, **_: dates.append(response.headers.get("Date", ""))
        )
        began = time.monotonic()
        try:
            answer = Transport(verify=verify, session=session).post(
                endpoint.url, {"Accept": "application/json"}, None, seconds
            )
        except ConfigurationError as error:
            return problem(name, error), None
        except NoAnswerError as error:
            advice = next((_ADVICE[words] for words in _ADVICE if words in error.detail), _NOBODY)
            return problem(name, _unreachable(endpoint, error.detail), advice), None
        took = time.monotonic() - began
    clock = _clock(endpoint, dates)
    try:
        _judge(endpoint, answer, strict=strict)
    except IdentityUnavailable as error:
        return problem(name, error), clock
    return fine(name, f"{endpoint.host} answers over TLS in {took:.2f} s"), clock


def _judge(endpoint: Endpoint, answer: Answer, *, strict: bool) -> None:
    """Raise unless the answer is one of Betfair's."""
    try:
        alive = read_session(endpoint, answer, Secret(""))
    except Blocked:
        raise
    except IdentityUnavailable:
        if strict or is_passing(answer.status_code):
            raise
        return
    if alive is not None:
        raise cannot_tell(endpoint, "SUCCESS for no token at all; this is not Betfair", answer)


def _unreachable(endpoint: Endpoint, detail: str) -> IdentityUnavailable:
    message = f"{endpoint.host} does not answer: {detail}"
    return IdentityUnavailable(message, endpoint=endpoint.name, host=endpoint.host)


def _clock(endpoint: Endpoint, dates: list[str]) -> Clock | None:
    try:
        told = parsedate_to_datetime(dates[0]).timestamp()
    except (ValueError, IndexError):
        return None
    return Clock(endpoint.host, told + 0.5 - time.time())  # it was cut to whole seconds
