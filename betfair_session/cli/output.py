"""What a command says: one JSON document for programs, or lines for people.

Errors too: with --json they are the document, otherwise one line on standard error.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from traceback import walk_tb
from typing import Literal, NamedTuple, TextIO

from betfair_session.environment import NAMES, PLACE, Environment
from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    ExchangeError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
)
from betfair_session.login.errors import run, with_unlock
from betfair_session.storage.location import redact

NAME = "betfair-session"
ERROR, USAGE, REFUSED, CANNOT_TELL, STORE = 1, 2, 3, 4, 5
INTERRUPTED, TERMINATED = 130, 143

_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConfigurationError, USAGE),
    (LoginRefused, REFUSED),
    (IdentityUnavailable, CANNOT_TELL),
    (ExchangeError, CANNOT_TELL),
    (StoreError, STORE),
    (KeyboardInterrupt, INTERRUPTED),
)

# The public attributes of the library's errors; none is secret.
_ATTRIBUTES = (
    *("argument", "status", "login_class", "not_before", "endpoint", "host", "status_code"),
    *("store", "key", "reason", "owner", "since", "suspects", "sent", "landed"),
)

_QUIET_SECONDS = 1.0
"""Seconds before progress is shown, and between two looks at it."""

# Errors of standard output; for all else that it writes, the library has its own.
_WRITE_ERRORS = frozenset((errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF, errno.EINVAL))

_WIDTH = 100  # characters, where there is no terminal
_INDENT = 13
_RED = 31
_COLOURS = {"ok": 32, "warning": 33, "problem": _RED, "not checked": 2}


class UsageError(ConfigurationError):
    """The command line itself is wrong."""


@dataclass
class Output:
    """How to speak to the person or program that called."""

    json: bool = False
    quiet: bool = False
    told: bool = False  # the document is printed; a later error goes to standard error
    variables: dict[str, str] = field(default_factory=dict)  # arguments that override them
    warn: Callable[[str], None] = lambda text: complain(f"warning: {text}")

    def environment(self) -> Environment:
        """Read the variables, anew each time."""
        return Environment({**os.environ, **self.variables})

    def command(self, name: str) -> str:
        """Return a command for people to run, with the place if it was given as arguments."""
        store, key = map(self.variables.get, PLACE)
        return run(name, redact(store), key) if store and key else run(name)

    def tell(self, document: Mapping[str, object], text: str = "") -> None:
        """Print the result: with --json the document, its times in ISO format; else any text."""
        if self.json:
            self.told = True
            write(json.dumps(document, default=lambda time: time.isoformat(timespec="seconds")))
        elif text:
            write(text)

    def say(self, text: str) -> None:
        """Print a text that comes before the result; not with --json."""
        if not self.json:
            write(text)

    @contextlib.contextmanager
    def progress(self, look: Callable[[], str]) -> Iterator[None]:
        """On a terminal, show what the block waits for, after a second and when it changes."""
        if self.json or self.quiet or not sys.stderr.isatty():
            yield
            return
        over, changing, shown = threading.Event(), threading.Lock(), contextlib.ExitStack()

        def show() -> None:
            if over.wait(_QUIET_SECONDS):
                return
            from rich.console import Console  # not before: most commands have ended
            from rich.markup import escape

            status = Console(file=sys.stderr).status("", spinner="line")
            shown.callback(status.stop)
            while not over.is_set():
                text = look()
                with changing:
                    if text and not over.is_set():
                        status.update(f"[dim]{escape(text)}")
                        status.start()
                over.wait(_QUIET_SECONDS)

        threading.Thread(target=show, daemon=True, name="progress").start()
        try:
            yield
        finally:
            with changing:
                over.set()
                shown.close()


def need(what: str, extra: str, *modules: str) -> None:
    """Raise an error that says what to install if a part of an extra is missing."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        install = f'pip install "betfair-session[{extra}]"'
        raise ConfigurationError(f"{what} needs {' and '.join(missing)}: {install}")


def prepare() -> None:
    """Replace missing streams, and escape characters that standard output cannot show.

    In this order each gets its usual number, so that no file or connection does. Standard output
    stays unwritable: a lost result is an error.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            way = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            file = os.open(os.devnull, way)  # left open: Python would complain at exit
            stream = open(file, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Drop what a stream did not take: Python would try again at exit, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write(text: str) -> None:
    """Print a text now, while a failure can still be reported."""
    sys.stdout.write(f"{text}\n")  # one write, unlike `print`: `head` may end after the first
    sys.stdout.flush()


def complain(text: str, *, failed: bool = False) -> None:
    """Write a line to standard error; if that fails, the exit code still says enough."""
    name = _coloured(f"{NAME}:", _RED, sys.stderr) if failed else f"{NAME}:"
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{name} {text}\n")


def fail(error: BaseException, out: Output) -> int:
    """Report why a command failed, without secrets, and return the exit code."""
    found = problem("", error)
    line = "; ".join(filter(None, (found.text, found.advice)))
    if isinstance(error, LoginRefused) and error.endpoint:  # an earlier one's error says it itself
        line = with_unlock(line, error.login_class, out.command("unlock"))
    if not out.json or out.told:
        complain(line, failed=True)
        return found.code
    ours = isinstance(error, BetfairSessionError)  # anything may stand in another's
    facts = {name: getattr(error, name, None) for name in _ATTRIBUTES if ours}
    known = {name: value for name, value in facts.items() if value not in (None, "", {})}
    content = {"type": type(error).__name__, "message": line, "exit_code": found.code, **known}
    try:
        out.tell({"error": content})
    except OSError as lost:
        return fail(lost, out)
    return found.code


def _line(error: BaseException) -> str:
    """Return in one line what went wrong."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.errno in _WRITE_ERRORS:
        return f"cannot write to standard output: {error.strerror}"
    if not isinstance(error, BetfairSessionError):
        # Another package's message may hold a secret: name only its type and place.
        *_, (frame, number) = walk_tb(error.__traceback__)
        place = f"{frame.f_code.co_filename}:{number}"
        return f"a bug in betfair-session, please report it: {type(error).__name__} at {place}"
    text = " ".join(str(error).split())
    argument = getattr(error, "argument", "")
    name = "BETFAIR_CA_BUNDLE" if argument == "verify" else f"BETFAIR_{argument.upper()}"
    return f"{name}: {text}" if name in NAMES else text


class Finding(NamedTuple):
    """The result of one check; it holds no secret.

    A "warning" works, but not as well as it could. A "problem" does not work; it has an exit code.
    """

    name: str
    state: Literal["ok", "warning", "problem", "not checked"]
    text: str
    advice: str = ""
    code: int = 0


def problem(name: str, error: BaseException, advice: str = "") -> Finding:
    code = next((code for kind, code in _CODES if isinstance(error, kind)), ERROR)
    return Finding(name, "problem", _line(error), advice, code)


def in_rows(finding: Finding) -> str:
    """Format a finding for people, as wide as the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH
    below = " " * _INDENT
    fill = partial(textwrap.fill, width=width, subsequent_indent=below, break_on_hyphens=False)
    rows = [fill(f"{finding.state:{_INDENT}}{finding.name}: {finding.text}")]
    if finding.advice:
        rows.append(fill(f"to do: {finding.advice}", initial_indent=below))
    state = _coloured(finding.state, _COLOURS[finding.state], sys.stdout)
    return state + "\n".join(rows).removeprefix(finding.state)


def _coloured(text: str, colour: int, stream: TextIO) -> str:
    """Return a text in a colour of ANSI's, if the stream shows colours."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name != "posix"
    return text if plain or not stream.isatty() else f"\x1b[{colour}m{text}\x1b[0m"
