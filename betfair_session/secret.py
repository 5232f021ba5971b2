"""The wrapper that every username, password, key and token travels in.

Wrap a new secret in the first line of the public function. What a library needs in plain goes
through `without_frames` (process/causes.py) or `discreet` (arguments.py). tests/hidden/planted.py
lists what must not show.
"""

from __future__ import annotations

from .exceptions import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Self

# No account's name, password or key holds these, and a line end would begin another header.
_CONTROL = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF)))
_QUOTES = frozenset("\"'`\u201c\u201d\u2018\u2019\xab\xbb")
ODD_WORDS = {
    "blanks": "begins or ends with a blank",
    "quotes": "is wrapped in quotes",
    "invisible": "holds an invisible character",
}
"""What `odd` finds, as the rest of a sentence that starts with a name."""


class _Unshown:
    """A value that cannot be pickled; a copy of it is the value itself."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        raise TypeError("a secret cannot be pickled: create the client in the process that uses it")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object, /) -> Self:
        return self


class Secret(_Unshown):
    """A text that never shows itself: not in repr, str, format, a pickle or a traceback.

    Two secrets are equal when their texts are. `reveal()` is the only way to the text, so that
    a search for it lists every place where a secret leaves its wrapper.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str | Secret) -> None:
        """Wrap `text`, or the text of another Secret."""
        self.__text: str = text.reveal() if isinstance(text, Secret) else text

    def reveal(self) -> str:
        """Return the text itself."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __format__(self, spec: str, /) -> str:
        return format(repr(self), spec)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.__text == other.__text

    def __hash__(self) -> int:
        return hash(self.__text)


def check_credential(value: Secret, argument: str) -> None:
    """Raise ConfigurationError for a credential that cannot be sent in a form as it is meant."""
    if not _is_utf8(value):
        message = f"{argument} must be a text in UTF-8, and not empty"
    elif not _CONTROL.isdisjoint(value.reveal()):
        message = (
            f"{argument} holds a line end, a byte order mark or another control character; remove "
            "it, since Betfair would refuse the login"
        )
    else:
        return
    raise ConfigurationError(message, argument=argument)


def odd(value: Secret) -> str:
    """Return what may have been pasted along with it: "blanks", "quotes", "invisible" or ""."""
    text = value.reveal()
    if text != text.strip():
        return "blanks"
    if len(text) > 1 and {text[0], text[-1]} <= _QUOTES:
        return "quotes"
    return "" if text.isprintable() else "invisible"


def _is_utf8(value: Secret) -> bool:
    try:
        return bool(value.reveal().encode())
    except (UnicodeEncodeError, AttributeError):
        return False


class SecretBytes(_Unshown, bytes):
    """An object's content: bytes that do not show themselves in a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


class SecretHeader(_Unshown, str):
    """A header's value: sent as it is, but not shown in a repr, and never pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"
