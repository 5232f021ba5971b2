"""Taking a fuzzer's bytes apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Feed:
    """Choices and contents out of one input; past its end everything is 0 or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, choices: Sequence[_T]) -> _T:
        return choices[self.byte() % len(choices)]

    def rest(self) -> bytes:
        rest, self._at = self._data[self._at :], len(self._data)
        return rest

    def text(self) -> str:
        """Take all that is left as text; bytes that are no UTF-8 become lone surrogates.

        That is how an environment variable or an argument in another encoding arrives.
        """
        return self.rest().decode("utf-8", "surrogateescape")
