"""Where a token is kept: the store as the caller wrote it, and the key below it."""

from __future__ import annotations

import os
import re

from betfair_session.exceptions import ConfigurationError

LOCK_SUFFIX = ".login"
"""What the shared login's lock object adds to the token's key."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# One slash, as a typing error or a pathlib.Path leaves it; C:/ is a drive of Windows.
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")
# From a colon in the first segment, unless a port follows it, to the last @.
_USERINFO = re.compile(r"(?<=://)[^/@]*:(?!\d{1,5}(?:/|$)).*@", re.DOTALL)


def scheme_of(url: str) -> str | None:
    """Return a URL's scheme in lower case, or None for a local path."""
    found = _SCHEME.match(url)
    return found.group(1).lower() if found else None


def mistyped(path: str) -> tuple[str, str] | None:
    """Split what looks like a URL with one slash in place of two; None for any other path.

    Returns:
        The scheme in lower case, and the rest.
    """
    found = _ONE_SLASH.match(path)
    return (found.group(1).lower(), path[found.end() :]) if found else None


def local_path(url: str) -> str:
    """Return the path that a local path, or a URL of a local directory, stands for.

    Raises:
        ConfigurationError: it names no directory.
    """
    scheme = scheme_of(url)
    path = url if scheme is None else url.split("://", 1)[1]
    if scheme == "file" and path.partition("/")[0].lower() == "localhost":
        path = path[len("localhost") :]  # any other name there is a path's, as to fsspec
    if not path or any(ord(character) < 0x20 for character in path):  # noqa: PLR2004 - as in a key
        message = f"the store {path!r} names no directory"
        raise ConfigurationError(message)
    # file:///C:/tokens names C:/tokens.
    return path[1:] if os.name == "nt" and path[:1] == "/" and path[2:3] == ":" else path


def redact(url: str) -> str:
    """Return `url` without the password and the query that it may carry, for people to read."""
    return _USERINFO.sub("", url).split("?", 1)[0]


def check_key(key: object) -> str:
    """Check an object's name below a store.

    Args:
        key: the name; `/` separates folders.

    Returns:
        The key itself.

    Raises:
        ConfigurationError: it is empty, absolute, climbs out of the store, or names a folder or a
            lock object.
    """
    if not isinstance(key, str):
        message = f"the key must be a text, not {type(key).__name__}"
        raise ConfigurationError(message)
    problem = None
    if not key:
        problem = "is empty"
    elif key.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", key):
        problem = "is absolute; it must be a name below the store"
    elif any(ord(character) < 0x20 or ord(character) == 0x7F for character in key):  # noqa: PLR2004
        problem = "holds a control character"
    elif {"", ".", ".."} & set(re.split(r"[/\\]", key)):
        problem = "has an empty, '.' or '..' part; it must be a plain name below the store"
    elif key.endswith(LOCK_SUFFIX):
        problem = f"ends with {LOCK_SUFFIX!r}, the name of another token's lock object"
    if problem:
        message = f"the key {key!r} {problem}"
        raise ConfigurationError(message)
    return key


def is_amazon(endpoint: str | None) -> bool:
    """Tell whether an endpoint is Amazon's own; None is what is used without any."""
    from urllib.parse import urlsplit

    host = urlsplit(endpoint or "https://amazonaws.com").hostname or ""
    return f".{host}".endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))
