"""Where one test keeps its objects, and how to look at them without the library."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import fsspec
from servers.objects import Bucket

from betfair_session.storage import open_store
from betfair_session.storage.contract import TokenStore

TIMEOUT = 30.0
"""Seconds for calls that are expected to end by themselves."""


def open_at(place: Place, prefix: str = "") -> TokenStore:
    return open_store(place.url(prefix), place.options)


@dataclass(frozen=True)
class LocalPlace:
    """A directory, whose files are written as a careful program would: whole, and private."""

    directory: Path
    scheme: str = "file"

    def url(self, prefix: str = "") -> str:
        return f"{self.scheme}://{self.directory}" + (f"/{prefix}" if prefix else "")

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def put(self, key: str, content: bytes) -> None:
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made beside the directory, where a reader lists nothing.
        with tempfile.NamedTemporaryFile(dir=self.directory.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)

    def get(self, key: str) -> bytes | None:
        path = self.directory / key
        return path.read_bytes() if path.exists() else None

    def delete(self, key: str) -> None:
        (self.directory / key).unlink(missing_ok=True)

    def keys(self) -> list[str]:
        found = (path for path in self.directory.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.directory).as_posix() for path in found)


@dataclass(frozen=True)
class MemoryPlace:
    folder: str
    options: dict[str, Any] = field(default_factory=dict)

    def url(self, prefix: str = "") -> str:
        return f"memory://{self.folder}" + (f"/{prefix}" if prefix else "")

    def put(self, key: str, content: bytes) -> None:
        fsspec.filesystem("memory").pipe_file(f"/{self.folder}/{key}", content)

    def get(self, key: str) -> bytes | None:
        file = fsspec.filesystem("memory").store.get(f"/{self.folder}/{key}")
        return file.getvalue() if file else None

    def delete(self, key: str) -> None:
        fsspec.filesystem("memory").store.pop(f"/{self.folder}/{key}", None)

    def keys(self) -> list[str]:
        root = f"/{self.folder}/"
        found = fsspec.filesystem("memory").store
        return sorted(path[len(root) :] for path in found if path.startswith(root))


Place: TypeAlias = Bucket | LocalPlace | MemoryPlace
"""Where one test keeps its objects, empty when it begins."""
