"""doctor: checks everything that a login needs, without logging in."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator

from betfair_session.arguments import pinned
from betfair_session.certificates.files import explain
from betfair_session.environment import ACCOUNT, NAMES, PASSPHRASE, PLACE, read_dotenv
from betfair_session.exceptions import BetfairSessionError, CertificateError, ConfigurationError
from betfair_session.secret import ODD_WORDS, Secret, odd

from .commands import command, option, place, timeout
from .hosts import compare_clocks, examine_hosts, examine_session
from .output import Finding, Output, in_rows, problem
from .probe import Case, examine_store

_DOTENV = ".env"
_NAME = "configuration"

# Endings of variables whose values may have several lines, and blanks around them.
_MULTILINE = ("_PEM", "_BASE64", "_OPTIONS")
_CUTOFF = 0.7  # 1 is identical; the prefix that all names share already makes 0.6
_API_URL = option("--api-url", "the betting API, if not Betfair's own", metavar="URL")


@command(*place(), _API_URL, timeout(5, "for each answer of the store or a host"))
def doctor(out: Output, *, timeout: float) -> int:
    """Look at the whole setup and say what is wrong, without a login.

      configuration    which variables are set, and where; never their values
      certificate      would Betfair accept it?
      store, writing   writes, conditionally replaces and removes a small object beside the token;
                       tries token and lock, too, with a condition that cannot hold
      shared login     does the store honour conditional writes, so that one login serves all?
      next login       does anything delay it, such as a refusal?
      proxy            if HTTPS_PROXY or ALL_PROXY is set, which of the hosts are reached by it?
      identity, certlogin
                       do both hosts answer over TLS? They learn nothing about you.
      clock            this machine's against Betfair's and the store's
      token            is the stored one alive? One keepAlive, which extends it.
      account          whose is the token? Asks the account API (getAccountDetails).

    The stored object names no account: two accounts that share one key take over each other's
    session. Check that the initials, currency and region are those you expect.

    Examples:
      betfair-session doctor
      betfair-session doctor --json | jq '.checks[] | select(.state == "problem")'

    exit codes: 0 no problem (warnings do not count); otherwise that of the first problem
    """
    findings: list[Finding] = []
    try:
        case = Case(out, out.environment(), timeout)
        coming = _findings(case)
    except BetfairSessionError as error:
        coming = iter([problem(_NAME, error)])
    while True:
        with out.progress(lambda: "waiting for the store or Betfair …"):
            found = next(coming, None)
        if found is None:
            break
        findings.append(found)
        out.say(in_rows(found))
    problems = [finding for finding in findings if finding.state == "problem"]
    warnings = [finding for finding in findings if finding.state == "warning"]
    code = problems[0].code if problems else 0
    checks = [finding._asdict() for finding in findings]
    text = f"problems: {len(problems)}, warnings: {len(warnings)}"
    out.tell({"ok": not problems, "exit_code": code, "checks": checks}, text)
    return code


def _findings(case: Case) -> Iterator[Finding]:
    """Run the checks one after the other, then close what they opened."""
    looks = (
        *(_examine_configuration, _examine_certificate, examine_store, examine_hosts),
        *(compare_clocks, examine_session),
    )
    try:
        for look in looks:
            yield from look(case)
    finally:
        for each in (case.client, case.store):
            if each:
                each.close()


def _examine_configuration(case: Case) -> Iterator[Finding]:
    """Check the variables, and make the client from them."""
    given, file, told = case.given, read_dotenv(_DOTENV) or {}, ""
    try:
        given.require(*ACCOUNT, *PLACE, certificate=True)
        case.client = given.client()
    except ConfigurationError as error:
        found = problem(_NAME, error)
        told = found.text
        yield found
    else:
        ours = [name for name in NAMES if given.get(name)]
        filed = {*file} - {*os.environ, *case.out.variables}
        names = [f"{name} (in {_DOTENV})" if name in filed else name for name in ours]
        yield Finding(_NAME, "ok", f"found {', '.join(names)}")
    # Characters that a shell, an editor or a secret manager has added to a value.
    for name in sorted(name for name in NAMES if not name.endswith(_MULTILINE)):
        kind, raw = odd(Secret(given.get(name))), {**file, **os.environ}.get(name, "")
        if "-----BEGIN " in raw:  # it has line ends, and is told as what it is
            continue
        if kind and not told.startswith(name):
            advice = f"remove it from {name}, unless it is really part of the value"
            yield Finding(_NAME, "warning", f"{name} {ODD_WORDS[kind]}", advice)
        elif raw.startswith("\ufeff") or raw.endswith("\n"):
            text = f"{name} begins with a byte order mark or ends with a line end"
            advice = "this library ignores it, but other programs may not: remove it"
            yield Finding(_NAME, "warning", text, advice)
    # A variable with our prefix that nothing reads is most likely mistyped.
    for name in sorted({*os.environ, *file} - {*NAMES}):
        if name.startswith("BETFAIR_"):
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=_CUTOFF)
            advice = f"did you mean {near[0]}?" if near else "`betfair-session --help` lists them"
            yield Finding(_NAME, "warning", f"{name} is not a variable of this library", advice)
    mode = os.stat(_DOTENV).st_mode if os.name == "posix" and file else 0
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        text = f"{_DOTENV} can be read or written by other users of this machine"
        yield Finding(_NAME, "warning", text, f"chmod 600 {_DOTENV}, if it holds the password")


def _examine_certificate(case: Case) -> Iterator[Finding]:
    """Check the client certificate; only a login can show whether it was uploaded."""
    given, name = case.given, "certificate"
    try:
        warnings = given.certificate().check()
    except CertificateError as error:
        yield problem(name, error)
        return
    except ConfigurationError as error:
        told = error.argument != PASSPHRASE  # what is missing, by the check before this one
        yield Finding(name, "not checked", "see configuration" if told else str(error))
        return
    paths = [pinned(path) for each in NAMES if each.endswith("_FILE") and (path := given.get(each))]
    files = explain(*paths, passphrase=given.passphrase())[0]
    valid = [each for file in files for each in file.validity]
    fit = "fit for Betfair's login, once it is uploaded"
    yield Finding(name, "ok", "; ".join([fit, *valid]))
    warnings += [each for file in files for each in file.warnings]
    yield from (Finding(name, "warning", each) for each in dict.fromkeys(warnings))
