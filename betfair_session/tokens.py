"""What a session token may look like, and what else may lie in its place.

A token of Betfair's is 44 characters of base64; the rule here is wider, so that a change of theirs
breaks nobody, and narrow enough that a token can always be put into a header and a file.
"""

from __future__ import annotations

import hashlib
import os
import re

from .exceptions import NotATokenError
from .secret import Secret

MAX_TOKEN = 512
"""The longest token, in characters."""

MAX_JUNK = 1024
"""The longest content, in bytes, that a login may replace; anything larger is somebody's data."""

_TOKEN = re.compile(rf"[!-~]{{1,{MAX_TOKEN}}}", re.ASCII)


def is_token(text: object) -> bool:
    """Tell whether `text` is 1 to 512 printable ASCII characters without a space."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def fingerprint(token: Secret | None) -> str:
    """Return a short text that tells tokens apart and does not give them away; "" for none."""
    if token is None:
        return ""
    return hashlib.sha256(b"betfair-session " + token.reveal().encode()).hexdigest()[:24]


def blank() -> bytes:
    """Return content that is no token and, as far as a store's ETags can tell, never was there."""
    return f"{int.from_bytes(os.urandom(8), 'big'):064b}".translate({48: " ", 49: "\n"}).encode()


def is_blank(content: bytes) -> bool:
    """Tell whether an object's content is nobody's: nothing, or spaces and line ends."""
    return not content.strip()


def parse_token(content: bytes, *, where: str) -> Secret | None:
    """Read the token out of an object's content.

    Args:
        content: the object's bytes; one beyond MAX_JUNK is enough to tell that it is too large.
        where: the object's name, for the error.

    Returns:
        The token, or None when the content is blank or junk that a login may replace.

    Raises:
        NotATokenError: the content is larger than MAX_JUNK bytes.
    """
    if len(content) > MAX_JUNK:
        message = (
            f"{where} holds more than {MAX_JUNK} bytes, so it is not a session token; "
            "it is left untouched. Is the key mistyped?"
        )
        raise NotATokenError(message)
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return None
    # An editor or `echo` leaves a line ending; the Go library may, too.
    text = text.rstrip("\r\n")
    return Secret(text) if is_token(text) else None
