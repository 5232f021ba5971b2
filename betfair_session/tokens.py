"""What a session token may look like, and what else may be stored in its place.

Betfair's tokens are 44 characters of base64. The rule here is wide, so that a change at Betfair
breaks no program, and narrow enough that a token always fits into a header and a file.
"""

from __future__ import annotations

import codecs
import contextlib
import os

from .exceptions import ConfigurationError, NotATokenError
from .secret import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

MAX_TOKEN = 512  # characters
MAX_JUNK = 1024  # bytes that a login may replace; anything larger is other data

# What may surround a token: control characters, blanks, and the byte order mark.
_AROUND = "".join(map(chr, range(0x21))) + "\x7f\x85\xa0\u200b\u2028\u2029\ufeff"


def is_token(text: object) -> TypeGuard[str]:
    """Return whether `text` is 1 to 512 printable ASCII characters without a space."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TOKEN:
        return False
    return text.isascii() and text.isprintable() and " " not in text


def check_sendable(value: Secret, name: str) -> None:
    """Check that a value can be sent as a header; a ConfigurationError names the argument."""
    if not is_token(value.reveal()):
        message = f"the {name} must be 1 to 512 printable ASCII characters without spaces"
        raise ConfigurationError(message, argument=name)


def fingerprint(token: Secret | None) -> str:
    """Return a short text that tells tokens apart and does not give them away; "" for none."""
    if token is None:
        return ""
    import hashlib  # it loads OpenSSL, which a trusted token does not need

    return hashlib.sha256(b"betfair-session " + token.reveal().encode()).hexdigest()[:24]


def blank() -> bytes:
    """Return content that is no token, and random: no earlier content has the same ETag."""
    return f"{int.from_bytes(os.urandom(8), 'big'):064b}".translate({48: " ", 49: "\n"}).encode()


def is_blank(content: bytes) -> bool:
    """Return whether an object is empty, or holds only what may surround a token, such as NULs."""
    return _inner_text(content) == ""


def _inner_text(content: bytes) -> str | None:
    """Return the text without what editors, shells and crashes leave around it; None if binary."""
    # PowerShell 5 writes UTF-16 with a byte order mark, Notepad UTF-8 with one, `echo` a line end.
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode("utf-16" if utf16 else "utf-8").strip(_AROUND)
    return None


def parse_token(content: bytes, *, where: str) -> Secret | None:
    """Return the token in an object's content, None for junk that a login may replace.

    NotATokenError: there are more than MAX_JUNK bytes. A store need not read beyond the next byte.
    """
    if len(content) > MAX_JUNK:
        del content  # no traceback may show it
        raise NotATokenError(
            f"{where} holds more than {MAX_JUNK} bytes, so it is not a session token; "
            "it is left untouched. Is the key mistyped?"
        )
    text = _inner_text(content)
    # JSON is other data, which must not be sent to Betfair.
    return Secret(text) if text and is_token(text) and text[0] not in '{["' else None
