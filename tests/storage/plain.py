"""A kind of store that the library has never heard of."""

from __future__ import annotations

import os
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem


class Plain(LocalFileSystem):  # type: ignore[misc] # fsspec is untyped
    """Looks for files in a listing that it keeps, knows no ranges, and makes no directory."""

    protocol = "plain"
    opened = 0
    before: Any = None

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        super().__init__(*arguments, **options)
        self.listings: dict[str, set[str]] = {}
        type(self).opened += 1

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # Older releases of fsspec know no other names here than a local file's.
        stripped: str = super()._strip_protocol(path.removeprefix("plain://"))
        return stripped

    def _first(self, name: str) -> None:
        if type(self).before:
            type(self).before(name)

    def cat_file(self, path: str, **_: Any) -> bytes:  # noqa: ANN401 - fsspec's
        self._first("read")
        directory, name = os.path.split(path)
        if name not in self.listings.setdefault(directory, set(os.listdir(directory))):
            raise FileNotFoundError(path)
        content: bytes = super().cat_file(path)
        return content

    def invalidate_cache(self, path: str | None = None) -> None:
        del path
        self.listings.clear()

    def pipe_file(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        self._first("write")
        super().pipe_file(*arguments, **options)

    def rm_file(self, path: str) -> None:
        self._first("delete")
        super().rm_file(path)


@pytest.fixture
def plain() -> type[Plain]:
    """A kind of one test's own, which fsspec knows by its scheme."""
    kind = type("Kind", (Plain,), {})
    fsspec.register_implementation("plain", kind, clobber=True)
    return kind
