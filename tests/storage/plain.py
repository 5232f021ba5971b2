"""A kind of store that the library has never heard of."""

from __future__ import annotations

from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem


class Plain(LocalFileSystem):  # type: ignore[misc] # fsspec is untyped
    """A kind of store that the library has never heard of, and that fsspec opens by URL.

    Attributes:
        opened: how often it was.
        before: called with the name of each method before it is carried out.
    """

    protocol = "plain"
    opened = 0
    before: Any = None

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        """Count."""
        super().__init__(*arguments, **options)
        type(self).opened += 1

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        # Older releases of fsspec know no other names here than a local file's.
        stripped: str = super()._strip_protocol(path.removeprefix("plain://"))
        return stripped

    def _first(self, name: str) -> None:
        if type(self).before:
            type(self).before(name)

    def cat_file(self, path: str, **options: Any) -> bytes:  # noqa: ANN401 - fsspec's
        """Read."""
        self._first("read")
        content: bytes = super().cat_file(path, **options)
        return content

    def pipe_file(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - fsspec's
        """Write."""
        self._first("write")
        super().pipe_file(*arguments, **options)

    def rm_file(self, path: str) -> None:
        """Remove."""
        self._first("delete")
        super().rm_file(path)


@pytest.fixture
def plain() -> type[Plain]:
    """A kind of one test's own, which fsspec knows by its scheme."""
    kind = type("Kind", (Plain,), {})
    fsspec.register_implementation("plain", kind, clobber=True)
    return kind
