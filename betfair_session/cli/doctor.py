"""doctor: everything that a login needs, looked at without making one."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack

from betfair_session.betfair.identity import IdentityClient
from betfair_session.certificates.report import explain
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

from .commands import command, option, place, timeout
from .hosts import ACCOUNT, Clock, compare_clocks, examine_account, examine_hosts
from .output import Finding, Output, problem, rows, write
from .probe import examine_store
from .session import ask_about
from .status import place_of

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red", "not checked": "dim"}
_INDENT = 13
_DOTENV = ".env"
_NAME, _TOKEN = "configuration", "token"

# Values that may have several lines, and blanks around them.
_OF_LINES = frozenset(
    ("BETFAIR_CERT_PEM", "BETFAIR_KEY_PEM", "BETFAIR_PKCS12_BASE64", "BETFAIR_STORAGE_OPTIONS")
)
_CERTIFICATE_FILES = ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE", "BETFAIR_PKCS12_FILE")
_ALIKE = 0.7  # 1 is the same; the common beginning of all names alone makes 0.6
_API_URL = option("--api-url", "the betting API, if not Betfair's own", metavar="URL")


@command(*place(), _API_URL, timeout(5, "for each answer of the store or a host"))
def doctor(
    out: Output, *, store: str | None, key: str | None, api_url: str | None, timeout: float
) -> int:
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
    with Doctor(store, key, api_url, timeout) as at_work:
        coming = at_work.findings()
        while True:
            with out.progress(lambda: f"looking at {at_work.at} …"):
                finding = next(coming, None)
            if finding is None:
                break
            findings.append(finding)
            if not out.json:
                write(_lines(finding))
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


class Doctor(ExitStack):
    """Looks at one thing after the other.

    Attributes:
        at: what is being looked at, in words.
    """

    def __init__(
        self, store: str | None, key: str | None, api_url: str | None, seconds: float
    ) -> None:
        """Prepare; the arguments are the command's."""
        super().__init__()
        self.at = "the configuration"
        self._named = (store, key)
        self._api_url = api_url
        self._seconds = seconds
        self._client: IdentityClient | None = None
        self._store: TokenStore | None = None
        self._key = ""

    def findings(self) -> Iterator[Finding]:
        """Look at everything."""
        try:
            self._environment = Environment()
            self._file = read_dotenv(_DOTENV) or {}
        except BetfairSessionError as error:
            yield problem(_NAME, error)
            return
        yield from self._configuration()
        self.at = "the certificate"
        yield from self._certificate()
        self.at = "the store"
        clocks: list[Clock] = []
        works = False
        for finding in self._examine_store(clocks):
            works |= (finding.name, finding.state) == ("store", "ok")
            yield finding
        self.at = "Betfair's identity hosts"
        yield from examine_hosts(self._environment, self._seconds, self._store, clocks)
        yield compare_clocks(clocks)
        self.at = "the stored token"
        if self._client and self._store and works:
            yield from self._session(self._client, self._store)
        else:
            yield Finding(_TOKEN, "not checked", "that needs a configuration and a store that work")

    def _configuration(self) -> Iterator[Finding]:
        """Look at the variables."""
        told = ""
        try:
            self._environment.require(place=self._named[0] is None)
            self._client = self.enter_context(self._environment.client())
        except ConfigurationError as error:
            told = error.argument
            yield problem(_NAME, error)
        else:
            yield Finding(_NAME, "ok", self._origins())
        yield from self._spoilt(told)
        yield from self._strangers()
        mode = os.stat(_DOTENV).st_mode if os.name == "posix" and self._file else 0
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            text = f"{_DOTENV} can be read or written by other users of this machine"
            yield Finding(_NAME, "warning", text, f"chmod 600 {_DOTENV}, if it holds the password")

    def _origins(self) -> str:
        ours = [name for name in NAMES if self._environment.get(name)]
        places = {
            "the environment": [name for name in ours if name in os.environ],
            _DOTENV: [name for name in ours if name not in os.environ],
        }
        return "; ".join(
            f"from {place}: {', '.join(found)}" for place, found in places.items() if found
        )

    def _spoilt(self, told: str) -> Iterator[Finding]:
        """Find what a shell, an editor or a secret manager has added to a value, but for `told`."""
        for name in NAMES:
            value = self._environment.get(name)
            if not value or name in _OF_LINES:
                continue
            kind = odd(Secret(value))
            if kind and name != told:
                advice = f"take it out of {name}, unless it is really part of the value"
                yield Finding(_NAME, "warning", f"{name} {ODD_WORDS[kind]}", advice)
            elif os.environ.get(name, self._file.get(name)) != value:
                text = f"{name} begins with a byte order mark or ends in a line end"
                advice = "this library leaves it out, other programs may not: write it without"
                yield Finding(_NAME, "warning", text, advice)

    def _strangers(self) -> Iterator[Finding]:
        """Find variables that are named like ours and that nothing reads: most likely mistyped."""
        for name in sorted({*os.environ, *self._file} - {*NAMES}):
            if name.startswith("BETFAIR_"):
                near = difflib.get_close_matches(name, NAMES, n=1, cutoff=_ALIKE)
                advice = (
                    f"did you mean {near[0]}?" if near else "`betfair-session --help` lists them"
                )
                yield Finding(_NAME, "warning", f"{name} is no variable of this library's", advice)

    def _certificate(self) -> Iterator[Finding]:
        """Look at the client certificate; whether it was uploaded, only a login can tell."""
        name = "certificate"
        try:
            warnings = self._environment.certificate().check()
        except CertificateError as error:
            yield problem(name, error)
            return
        except ConfigurationError as error:
            yield Finding(name, "not checked", str(error))
            return
        paths = [path for each in _CERTIFICATE_FILES if (path := self._environment.get(each))]
        files = explain(*paths, passphrase=self._environment.passphrase()).files
        valid = [each for file in files for each in file.validity]
        fit = "fit for Betfair's login, once it is uploaded"
        yield Finding(name, "ok", "; ".join([fit, *valid]))
        if paths:  # of the files, these say what the check says, and more
            warnings = [each for file in files for each in file.warnings]
        yield from (Finding(name, "warning", each) for each in dict.fromkeys(warnings))

    def _examine_store(self, clocks: list[Clock]) -> Iterator[Finding]:
        names = ("BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY")
        if self._named[0] is None and not all(map(self._environment.get, names)):
            yield Finding("store", "not checked", "none is named")
            return
        try:
            place = place_of(*self._named, self._environment)
            self._key = check_key(place.key)
            store = self.enter_context(open_store(place.store, place.storage_options))
        except BetfairSessionError as error:
            yield problem("store", error)
            return
        self._store = store
        yield from examine_store(store, self._key, self._seconds, clocks)

    def _session(self, client: IdentityClient, store: TokenStore) -> Iterator[Finding]:
        """Ask Betfair about the stored token: one keepAlive, and one call of the account API."""
        logs_in = "the next `betfair-session token` logs in"
        why, token = "only a live token can tell whose it is", None
        try:
            state, token = ask_about(client, store, self._key, self._seconds)
        except BetfairSessionError as error:
            yield problem(_TOKEN, error)
            why = "whether the token lives is not known"
        else:
            alive = "alive, says Betfair, which has just extended its session"
            yield {
                "alive": Finding(_TOKEN, "ok", alive),
                "dead": Finding(_TOKEN, "warning", f"dead, says Betfair; {logs_in}"),
                "missing": Finding(_TOKEN, "not checked", f"none is stored; {logs_in}"),
            }[state]
        if token and self._api_url is None and client.api_url is None:
            token = None
            why = (
                "the identity hosts are not Betfair's own; BETFAIR_API_URL or --api-url says where "
                "the account API is"
            )
        if token:
            yield examine_account(client, token, self._api_url, self._seconds)
        else:
            yield Finding(ACCOUNT, "not checked", why)
