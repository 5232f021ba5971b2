r"""A small reader of `.env` files.

    # a comment
    NAME=value                 # a comment after a space
    export NAME='value'        # as it stands, over several lines if need be
    NAME="two\nlines"          # with \n, \r, \t, and \ before ", $, ` and \

It takes what is written there, and runs or expands nothing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    import os

_START = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_VALUES = {
    "'": re.compile(r"'([^']*)'"),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "": re.compile(r"([^\n]*?)(?=[ \t]*(?:(?<=[ \t])#[^\n]*)?(?:\n|\Z))"),
}
_ESCAPE = re.compile(r'\\([nrt"\\$`])')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Read a `.env` file.

    Args:
        path: the file.

    Returns:
        Names and values, the last of a name; None when there is no such file.

    Raises:
        ConfigurationError: it cannot be read, or a line is not understood; the message tells the
            line's number and nothing of what it says.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None  # a directory of this name is somebody's virtual environment
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        problem = f"{path} cannot be read: {reason}"
    else:
        found = parse_dotenv(text)
        if not isinstance(found, int):
            return found
        problem = f"{path}, line {found}: this is not NAME=value, or a quote is not closed"
    raise ConfigurationError(problem)


def parse_dotenv(text: str) -> dict[str, str] | int:
    """Parse the text of a `.env` file.

    Args:
        text: the text.

    Returns:
        Names and values, or the number of the first line that is not understood.
    """
    text = text.replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        nothing = _NOTHING.match(text, at)
        if nothing:
            at = nothing.end()
            continue
        start = _START.match(text, at)
        quote = text[start.end() : start.end() + 1] if start else ""
        kind = quote if quote in _VALUES else ""
        value = _VALUES[kind].match(text, start.end()) if start else None
        end = _NOTHING.match(text, value.end()) if value else None
        if not (start and value and end):
            return text.count("\n", 0, at) + 1
        found[start.group(1)] = _unescaped(value.group(1)) if kind == '"' else value.group(1)
        at = end.end()
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match.group(1), match.group(1)), text)
