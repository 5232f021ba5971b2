"""doctor: everything that a login needs, looked at without making one."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack

from betfair_session.betfair.identity import IdentityClient
from betfair_session.certificates.files import explain
from betfair_session.environment import NAMES, Environment, read_dotenv
from betfair_session.exceptions import (
    BetfairSessionError,
    CertificateError,
    ConfigurationError,
)
from betfair_session.secret import ODD_WORDS, Secret, odd
from betfair_session.storage import open_store
from betfair_session.storage.contract import TokenStore
from betfair_session.storage.location import check_key

from .commands import Named, command, option, place, timeout
from .hosts import ACCOUNT, Clock, compare_clocks, examine_account, examine_hosts
from .output import Finding, Output, problem, rows, write
from .probe import examine_store
from .session import ask_about
from .status import place_of

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red", "not checked": "dim"}
_INDENT = 13
_DOTENV = ".env"
_NAME, _TOKEN = "configuration", "token"
_PLACE = ("BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY")

# Values that may have several lines, and blanks around them.
_OF_LINES = frozenset(
    ("BETFAIR_CERT_PEM", "BETFAIR_KEY_PEM", "BETFAIR_PKCS12_BASE64", "BETFAIR_STORAGE_OPTIONS")
)
_CERTIFICATE_FILES = ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE", "BETFAIR_PKCS12_FILE")
_ALIKE = 0.7  # 1 is the same; the common beginning of all names alone makes 0.6
_API_URL = option("--api-url", "the betting API, if not Betfair's own", metavar="URL")


@command(*place(), _API_URL, timeout(5, "for each answer of the store or a host"))
def doctor(out: Output, *, named: Named, api_url: str | None, timeout: float) -> int:
    """Look at the whole setup and say what is wrong, without a login.

      configuration    which variables are set, and where; never what they say
      certificate      would Betfair take it?
      store, writing   a small object beside the token is written, replaced on a condition and
                       removed again; token and lock are tried on a condition that cannot hold
      shared login     does the store keep conditions, so that one login serves all?
      next login       does anything keep it back, such as a refusal?
      proxy            which of the hosts are reached by HTTPS_PROXY, where that is set
      identity, certlogin
                       do both hosts answer over TLS? They are told nothing about you.
      clock            this machine's against Betfair's and the store's
      token            is the stored one alive? One keepAlive, which extends it.
      account          whose is it? The account API is asked with it (getAccountDetails).

    The stored object names no account: two accounts that share one key take over each other's
    session. See that the initials, currency and region are those you expect.

    Examples:
      betfair-session doctor
      betfair-session doctor --json | jq '.checks[] | select(.state == "problem")'

    exit codes: 0 no problem (warnings are none); otherwise that of the first problem
    """
    findings: list[Finding] = []
    at = ["the configuration"]
    coming = _findings(named, api_url, timeout)
    while True:
        with out.progress(lambda: f"looking at {at[-1]} …"):
            found = next(coming, None)
        if found is None:
            break
        if isinstance(found, str):
            at.append(found)
        else:
            findings.append(found)
            if not out.json:
                write(_lines(found))
    problems = [finding for finding in findings if finding.state == "problem"]
    warnings = [finding for finding in findings if finding.state == "warning"]
    code = problems[0].code if problems else 0
    checks = [finding._asdict() for finding in findings]
    text = f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"
    out.tell({"ok": not problems, "exit_code": code, "checks": checks}, text)
    return code


def _lines(finding: Finding) -> str:
    advice = [("", f"to do: {finding.advice}", "")] if finding.advice else []
    text = f"{finding.name}: {finding.text}"
    return rows([(finding.state, text, _COLOURS[finding.state]), *advice], _INDENT)


def _count(findings: list[Finding], word: str) -> str:
    return f"{len(findings) or 'no'} {word}{'' if len(findings) == 1 else 's'}"


def _findings(
    named: Named, api_url: str | None, seconds: float
) -> Generator[Finding | str, None, None]:
    """Look at one thing after the other; what comes next is told by a text."""
    try:
        environment, file = Environment(), read_dotenv(_DOTENV) or {}
    except BetfairSessionError as error:
        yield problem(_NAME, error)
        return
    with ExitStack() as stack:
        client = yield from _configuration(environment, file, stack, place=named[0] is None)
        yield "the certificate"
        yield from _certificate(environment)
        yield "the store"
        clocks: list[Clock] = []
        store, key, works = None, "", False
        if named[0] is None and not all(map(environment.get, _PLACE)):
            yield Finding("store", "not checked", "none is named")
        else:
            try:
                place = place_of(named, environment)
                key = check_key(place.key)
                store = stack.enter_context(open_store(place.store, place.storage_options))
            except BetfairSessionError as error:
                yield problem("store", error)
        if store:
            works = yield from examine_store(store, key, seconds, clocks)
        yield "Betfair's identity hosts"
        yield from examine_hosts(environment, seconds, store, clocks)
        yield compare_clocks(clocks)
        yield "the stored token"
        if client and store and works:
            yield from _session(client, store, key, api_url, seconds)
        else:
            yield Finding(_TOKEN, "not checked", "that needs a configuration and a store that work")


def _configuration(
    environment: Environment, file: Mapping[str, str], stack: ExitStack, *, place: bool
) -> Generator[Finding, None, IdentityClient | None]:
    """Look at the variables; return the client that they make."""
    told, client = "", None
    try:
        environment.require(place=place)
        client = stack.enter_context(environment.client())
    except ConfigurationError as error:
        found = problem(_NAME, error)
        told = found.text
        yield found
    else:
        ours = [name for name in NAMES if environment.get(name)]
        places = {
            "the environment": [name for name in ours if name in os.environ],
            _DOTENV: [name for name in ours if name not in os.environ],
        }
        from_each = [f"from {at}: {', '.join(found)}" for at, found in places.items() if found]
        yield Finding(_NAME, "ok", "; ".join(from_each))
    yield from _spoilt(environment, file, told)
    # Variables that are named like ours and that nothing reads are most likely mistyped.
    for name in sorted({*os.environ, *file} - {*NAMES}):
        if name.startswith("BETFAIR_"):
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=_ALIKE)
            advice = f"did you mean {near[0]}?" if near else "`betfair-session --help` lists them"
            yield Finding(_NAME, "warning", f"{name} is no variable of this library's", advice)
    mode = os.stat(_DOTENV).st_mode if os.name == "posix" and file else 0
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"{_DOTENV} can be read or written by other users of this machine"
        yield Finding(_NAME, "warning", text, f"chmod 600 {_DOTENV}, if it holds the password")
    return client


def _spoilt(environment: Environment, file: Mapping[str, str], told: str) -> Iterator[Finding]:
    """Find what a shell, an editor or a secret manager has added to a value, if not told yet."""
    for name in NAMES:
        value = environment.get(name)
        if not value or name in _OF_LINES:
            continue
        kind = odd(Secret(value))
        if kind and not told.startswith(name):
            advice = f"take it out of {name}, unless it is really part of the value"
            yield Finding(_NAME, "warning", f"{name} {ODD_WORDS[kind]}", advice)
        elif os.environ.get(name, file.get(name)) != value:
            text = f"{name} begins with a byte order mark or ends in a line end"
            advice = "this library leaves it out, other programs may not: write it without"
            yield Finding(_NAME, "warning", text, advice)


def _certificate(environment: Environment) -> Iterator[Finding]:
    """Look at the client certificate; whether it was uploaded, only a login can tell."""
    name = "certificate"
    try:
        warnings = environment.certificate().check()
    except CertificateError as error:
        yield problem(name, error)
        return
    except ConfigurationError as error:
        yield Finding(name, "not checked", str(error))
        return
    paths = [path for each in _CERTIFICATE_FILES if (path := environment.get(each))]
    files = explain(*paths, passphrase=environment.passphrase()).files
    valid = [each for file in files for each in file.validity]
    fit = "fit for Betfair's login, once it is uploaded"
    yield Finding(name, "ok", "; ".join([fit, *valid]))
    warnings += [each for file in files for each in file.warnings]
    yield from (Finding(name, "warning", each) for each in dict.fromkeys(warnings))


def _session(
    client: IdentityClient, store: TokenStore, key: str, api_url: str | None, seconds: float
) -> Iterator[Finding]:
    """Ask Betfair about the stored token: one keepAlive, and one call of the account API."""
    logs_in = "the next `betfair-session token` logs in"
    why, token = "only a live token can tell whose it is", None
    try:
        found = ask_about(client, store, key, seconds)
    except BetfairSessionError as error:
        yield problem(_TOKEN, error)
        why = "whether the token lives is not known"
    else:
        token = found.token if found else None
        alive = "alive, says Betfair, which has just extended its session"
        if found is None:
            yield Finding(_TOKEN, "not checked", f"none is stored; {logs_in}")
        elif token:
            yield Finding(_TOKEN, "ok", alive)
        else:
            yield Finding(_TOKEN, "warning", f"dead, says Betfair; {logs_in}")
    if token and api_url is None and client.api_url is None:
        token = None
        why = (
            "the identity hosts are not Betfair's own; BETFAIR_API_URL or --api-url says where the "
            "account API is"
        )
    if token:
        yield examine_account(client, token, api_url, seconds)
    else:
        yield Finding(ACCOUNT, "not checked", why)
