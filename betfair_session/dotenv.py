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
_QUOTED = {
    "'": re.compile(r"'([^']*)'"),
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
}
_COMMENT = re.compile(r"(?<=[ \t])#")
_ESCAPE = re.compile(r'\\([nrt"\\$`])')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Read a `.env` file.

    Args:
        path: the file.

    Returns:
        Names and values, the last of a name; None when there is no such file.

    Raises:
        ConfigurationError: `path` is no path, the file cannot be read, or a line is not understood;
            the message tells the line's number and nothing of what it says.
    """
    found = _read(path)
    if isinstance(found, str):
        raise ConfigurationError(found)
    return found


def _read(path: str | os.PathLike[str]) -> dict[str, str] | str | None:
    """Read the file, or say why not; here, where no traceback begins that could show the text."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except TypeError:
        return (
            f'dotenv must be a path, such as ".env", or None for no file, not {type(path).__name__}'
        )
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None  # a directory of this name is somebody's virtual environment
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        return f"{path} cannot be read: {reason}"
    found = parse_dotenv(text)
    if isinstance(found, int):
        return f"{path}, line {found}: this is not NAME=value, or a quote is not closed"
    return found


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
        taken = _value(text, start.end()) if start else None
        end = _NOTHING.match(text, taken[1]) if taken else None
        if not (start and taken and end):
            return text.count("\n", 0, at) + 1
        found[start.group(1)] = taken[0]
        at = end.end()
    return found


def _value(text: str, at: int) -> tuple[str, int] | None:
    """Return the value that begins at a position, and where it ends; None if a quote stays open."""
    quote = text[at : at + 1]
    if quote in _QUOTED:
        quoted = _QUOTED[quote].match(text, at)
        if quoted is None:
            return None
        return _unescaped(quoted[1]) if quote == '"' else quoted[1], quoted.end()
    end = text.find("\n", at) % (len(text) + 1)  # or the end of all
    comment = _COMMENT.search(text, at, end)
    value = text[at : comment.start() if comment else end].rstrip(" \t")
    return value, at + len(value)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match.group(1), match.group(1)), text)
