"""doctor: everything that a login needs, looked at without making one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

from betfair_session.cli.output import paint, tell, write
from betfair_session.cli.progress import progress
from betfair_session.cli.session import place_of
from betfair_session.cli.words import wrap
from betfair_session.exceptions import BetfairSessionError
from betfair_session.storage import open_store
from betfair_session.storage.location import check_key

from .account import examine_token
from .findings import problem, unchecked
from .hosts import compare_clocks, examine_hosts
from .settings import Settings
from .storage import examine_store

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from betfair_session.cli.output import Colour
    from betfair_session.storage.contract import TokenStore

    from .findings import Finding
    from .hosts import Clock

_COLOURS: dict[str, Colour] = {
    "ok": "green",
    "warning": "yellow",
    "problem": "red",
    "not checked": "dim",
}
_INDENT = 13


def run(chosen: Namespace) -> int:
    """Tell each finding as soon as it is known; the exit code is that of the first problem."""
    at = ["the configuration"]
    findings: list[Finding] = []
    with ExitStack() as stack, progress(chosen, lambda: f"looking at {at[0]} …"):
        for finding in _examine(chosen, stack, lambda what: at.__setitem__(0, what)):
            findings.append(finding)
            if not chosen.json:
                write(_lines(finding))
    problems = [finding for finding in findings if finding.state == "problem"]
    warnings = [finding for finding in findings if finding.state == "warning"]
    code = problems[0].code if problems else 0
    document = {
        "ok": not problems,
        "exit_code": code,
        "checks": [asdict(finding) for finding in findings],
    }
    tell(chosen, document, f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}")
    return code


def _examine(
    chosen: Namespace, stack: ExitStack, begin: Callable[[str], object]
) -> Iterator[Finding]:
    """Look at one thing after the other, handing on what the next needs."""
    seconds = chosen.timeout
    try:
        settings = Settings()
    except BetfairSessionError as error:
        yield problem("configuration", error)
        return
    yield from settings.examine(place=chosen.store is None)
    if settings.client:
        stack.enter_context(settings.client)
    begin("the certificate")
    yield from settings.examine_certificate()
    begin("the store")
    clocks: list[Clock] = []
    readable = False
    opened = _open(chosen, settings)
    if isinstance(opened, tuple):
        stack.enter_context(opened[0])
        findings, clock = examine_store(*opened, seconds)
        yield from findings
        readable = findings[0].state == "ok"
        clocks += [clock] if clock else []
    else:
        yield opened
    begin("Betfair's identity hosts")
    store = opened[0] if isinstance(opened, tuple) else None
    findings, theirs = examine_hosts(settings, seconds, store=store)
    yield from findings
    yield compare_clocks([*theirs, *clocks])
    begin("the stored token")
    if isinstance(opened, tuple) and readable and settings.client:
        yield from examine_token(
            settings, settings.client, *opened, api_url=chosen.api_url, seconds=seconds
        )
    else:
        yield unchecked("token", "that needs a configuration and a store that work")


def _open(chosen: Namespace, settings: Settings) -> tuple[TokenStore, str] | Finding:
    """Open the store, or tell why not."""
    if chosen.store is None and not settings.names_a_place:
        return unchecked("store", "none is named")
    try:
        place = place_of(chosen, settings.environment)
        key = check_key(place.key)
        return open_store(place.store, place.storage_options), key
    except BetfairSessionError as error:
        return problem("store", error)


def _lines(finding: Finding) -> str:
    """Write a finding for people."""
    label = paint(f"{finding.state:<12}", _COLOURS[finding.state], sys.stdout)
    lines = [f"{label} {wrap(f'{finding.name}: {finding.text}', _INDENT)}"]
    if finding.advice:
        lines.append(" " * _INDENT + wrap(f"to do: {finding.advice}", _INDENT))
    return "\n".join(lines)


def _count(findings: list[Finding], word: str) -> str:
    return f"{len(findings) or 'no'} {word}{'' if len(findings) == 1 else 's'}"
