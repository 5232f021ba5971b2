"""The identity hosts: do they answer over TLS, in their own words, and what time is it there?

Each is sent one keepAlive without a token, which Betfair answers with FAIL and NO_SESSION. That is
no login, and it names neither the account nor the app key.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

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

from .findings import Finding, fine, problem, unchecked, warning

if TYPE_CHECKING:
    from betfair_session.betfair.answers import Answer
    from betfair_session.environment import Environment
    from betfair_session.storage.contract import TokenStore

_FAR_SECONDS = 5.0
"""A difference between two clocks that is worth a warning; HTTP dates are whole."""

# By NoAnswerError's reason.
_ADVICE = {
    "": "look at the network, at HTTPS_PROXY, and at any firewall in between",
    "untrusted": (
        "another server answers in its place, such as a proxy; if that is yours, BETFAIR_CA_BUNDLE "
        "names the authority that vouches for it"
    ),
    "proxy-407": "put user and password into the proxy's URL, as in http://user:password@proxy:3128",
    "proxy-403": "have the proxy let this host through, or name the host in NO_PROXY",
    "proxy": "ask who runs the proxy why it cannot reach this host",
}


class Clock(NamedTuple):
    """How many seconds a clock is ahead of this machine's."""

    name: str
    ahead: float


def examine_hosts(
    environment: Environment, seconds: float, *, store: TokenStore | None
) -> tuple[list[Finding], list[Clock]]:
    """Ask both hosts, each for that many seconds, and return their clocks as well.

    Args:
        environment: the variables, which may name other hosts.
        seconds: how long each may take.
        store: whose driver may use a proxy, too; None where it cannot be opened.
    """
    try:
        usual = jurisdiction(environment.get("BETFAIR_JURISDICTION") or "international")
        bases = [
            https_base(environment.get(name) or other, name=name)
            for name, other in (
                ("BETFAIR_IDENTITY_URL", usual.identity_url),
                ("BETFAIR_IDENTITY_CERT_URL", usual.identity_cert_url),
            )
        ]
        verify = checked_verify(environment.get("BETFAIR_CA_BUNDLE") or True)
    except BetfairSessionError as error:
        return [unchecked("identity", str(error))], []
    clocks: list[Clock] = []
    findings = _ways(bases, store)
    for name, base in zip(("identity", "certlogin"), bases, strict=True):
        finding, clock = _ask(name, Endpoint("keepAlive", base), verify=verify, seconds=seconds)
        findings.append(finding)
        clocks += [clock] if clock else []
    unsure = usual.unsure and not environment.get("BETFAIR_IDENTITY_URL")
    if unsure and any(finding.state == "problem" for finding in findings):
        findings.append(warning("identity", f"not known for sure for {usual.name}: {usual.unsure}"))
    return findings, clocks


def _ways(bases: list[str], store: TokenStore | None) -> list[Finding]:
    """Tell what goes by a proxy, where the environment names one for https."""
    if not _proxy_for("https://any.invalid/"):
        return []
    ways = []
    for base in bases:
        proxy = _proxy_for(base)
        host = Endpoint("keepAlive", base).host
        ways.append(f"{host} by {proxy}" if proxy else f"{host} directly, by NO_PROXY")
    if driver := getattr(store, "module", ""):
        named = driver.partition(".")[0]
        ways.append(f"{store.label if store else ''} by the same variables, which {named} goes by")
    return [fine("proxy", f"the environment names one: {'; '.join(ways)}")]


def _proxy_for(url: str) -> str:
    """Return the proxy's host and port, without the password that may stand before them; or ""."""
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str = select_proxy(url, get_environ_proxies(url)) or ""
    return proxy.rpartition("@")[2].rpartition("//")[2].rstrip("/")


def _ask(
    name: str, endpoint: Endpoint, *, verify: bool | str, seconds: float
) -> tuple[Finding, Clock | None]:
    from betfair_session.betfair.connections import OwnSession
    from betfair_session.betfair.http import NoAnswerError, Transport

    dates: list[str] = []
    with OwnSession() as session:
        session.hooks["response"].append(
            lambda response, **_: dates.append(response.headers.get("Date", ""))
        )
        began = time.monotonic()
        try:
            answer = Transport(verify=verify, session=session).post(endpoint.url, {}, None, seconds)
        except ConfigurationError as error:
            return problem(name, error), None
        except NoAnswerError as error:
            text = f"{endpoint.host} does not answer: {error.detail}"
            ours = IdentityUnavailable(text, endpoint=endpoint.name, host=endpoint.host)
            return problem(name, ours, _ADVICE[error.reason]), None
        took = time.monotonic() - began
    clock = _clock(endpoint, dates)
    try:
        # What the login's host says to a keepAlive is not documented: any answer will do.
        _judge(endpoint, answer, strict=name == "identity")
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


def _clock(endpoint: Endpoint, dates: list[str]) -> Clock | None:
    try:
        told = parsedate_to_datetime(dates[0]).timestamp()
    except (ValueError, IndexError):
        return None
    return Clock(endpoint.host, told + 0.5 - time.time())  # it was cut to whole seconds


def compare_clocks(clocks: list[Clock]) -> Finding:
    """Compare this machine's clock with others."""
    if not clocks:
        return unchecked("clock", "neither Betfair nor the store told the time")
    wrong = [clock for clock in clocks if abs(clock.ahead) > _FAR_SECONDS]
    if not wrong:
        names = ", ".join(clock.name for clock in clocks)
        return fine("clock", f"within {_FAR_SECONDS:.0f} s of {names}")
    text = "; ".join(
        f"{abs(clock.ahead):.0f} s {'behind' if clock.ahead > 0 else 'ahead of'} {clock.name}"
        for clock in wrong
    )
    advice = (
        "set it by NTP: certificates and TLS go by it (the shared login copes with a wrong clock, "
        "but may wait longer)"
    )
    return warning("clock", f"this machine's is {text}", advice)
