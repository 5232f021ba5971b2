"""What a command says: one JSON document for programs, or lines for people.

Errors too: with --json they are the document, otherwise one line on standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeAlias

from . import OutputError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    Colour: TypeAlias = Literal["red", "green", "yellow", "dim"]

_CODES: dict[Colour, str] = {"red": "31", "green": "32", "yellow": "33", "dim": "2"}

# The public attributes of the library's errors, none of which is secret.
_ATTRIBUTES = (
    "status",
    "login_class",
    "not_before",
    "endpoint",
    "host",
    "status_code",
    "store",
    "key",
    "reason",
    "owner",
    "since",
)


# What stands in for a stream that whoever started the program has closed, and that is None. In
# this order each gets the number that is free, so that no file and no connection gets it. What
# stands in for standard output can only be read: a result that nobody can get is an error.
_STAND_INS = (
    ("stdin", os.O_RDONLY, "r"),
    ("stdout", os.O_RDONLY, "w"),
    ("stderr", os.O_WRONLY, "w"),
)


def prepare() -> None:
    """Let there be all streams, and none fail for a character that it cannot show."""
    for name, flags, mode in _STAND_INS:
        if getattr(sys, name) is None:
            # It stays open, so that nothing complains of that when the program ends.
            stream = open(  # noqa: SIM115
                os.open(os.devnull, flags),
                mode,
                encoding="utf-8",
                errors="backslashreplace",
                closefd=False,
            )
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Drop what a stream did not take: the interpreter would try once more, and complain."""
    for stream in (sys.stdout, sys.stderr):
        _finish(stream)


def _finish(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(chosen: Namespace, document: Mapping[str, object], text: str = "") -> None:
    """Say what came of a command: the document with --json, or else the text, if there is one."""
    if chosen.json:
        chosen.told = True  # an error from now on is no second document
        write(json.dumps(document))
    elif text:
        write(text)


def write(line: str) -> None:
    """Print a line now, while a failure can still be told.

    Raises:
        OutputError: it could not be.
    """
    try:
        sys.stdout.write(f"{line}\n")  # at once, unlike `print`: `head` may be gone after the text
        sys.stdout.flush()
    except OSError as error:
        reason = error.strerror
    else:
        return
    raise OutputError(reason)


def complain(text: str) -> None:
    """Write to standard error, if it takes anything; the exit code tells in any case."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)


def fail(text: str, code: int, error: BaseException, *, as_json: bool) -> None:
    """Say why a command failed.

    Args:
        text: what happened, without a secret.
        code: the exit code.
        error: what was raised; its public attributes go into the document.
        as_json: whether to print the document.
    """
    line = " ".join(text.split())
    if as_json:
        found = {name: getattr(error, name, None) for name in _ATTRIBUTES}
        facts = {name: _plain(value) for name, value in found.items() if value not in (None, "")}
        content = {"type": type(error).__name__, "message": line, "exit_code": code, **facts}
        write(json.dumps({"error": content}))
    else:
        complain(f"{paint('betfair-session:', 'red', sys.stderr)} {line}\n")


def paint(text: str, colour: Colour | None, stream: TextIO) -> str:
    """Return `text` in a colour, if there is one and `stream` is a terminal that is to show it."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colour and coloured(stream) else text


def coloured(stream: TextIO) -> bool:
    """Tell whether to use colours: on a terminal, unless NO_COLOR or TERM=dumb says not to."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and os.name == "posix" and stream.isatty()


def _plain(value: Any) -> object:  # noqa: ANN401 - an attribute of an error
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
