"""The wrapper that every username, password, key and token travels in."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A text that never shows itself: not in repr, str, format, a pickle or a traceback.

    Two secrets are equal when their texts are. `reveal()` is the only way to the text, so that
    a search for it lists every place where a secret leaves its wrapper.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str | Secret) -> None:
        """Wrap `text`; a Secret is wrapped once."""
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
        return self.__text == other.reveal()

    def __hash__(self) -> int:
        return hash(self.__text)

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        message = "a secret cannot be pickled: create the client in the process that uses it"
        raise TypeError(message)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object, /) -> Secret:
        return self


class SecretBytes(bytes):
    """Bytes that do not show themselves in a repr: an object's content on its way."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        message = "a secret cannot be pickled"
        raise TypeError(message)

    def __copy__(self) -> SecretBytes:
        return self

    def __deepcopy__(self, memo: object, /) -> SecretBytes:
        return self


class SecretHeader(str):
    """A header's value, which is sent as it is, but shows itself in no repr and no pickle."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        message = "a secret cannot be pickled"
        raise TypeError(message)

    def __copy__(self) -> SecretHeader:
        return self

    def __deepcopy__(self, memo: object, /) -> SecretHeader:
        return self
