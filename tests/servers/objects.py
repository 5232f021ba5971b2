"""What the tests need of each object store's server, for any cloud.

A test has a bucket of its own, which is never removed: the servers keep all in memory, and a write
that lands after its test has ended finds its bucket still there.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from servers.process import HOST, ServerProcess


class ObjectServer(ABC):
    """What serves objects.

    Its buckets are read and changed by something other than the library's drivers. A server
    that looks at credentials has `wrong_options(endpoint)` and `reader_options(endpoint, bucket)`.
    """

    scheme: str  # of the URLs that name its buckets
    port: int  # on the loopback address

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def url(self, bucket: str) -> str:
        return f"{self.scheme}://{bucket}"

    @abstractmethod
    def options(self, endpoint: str) -> dict[str, Any]:
        """Return storage options that reach it at `endpoint`, with every right."""

    @abstractmethod
    def make_bucket(self, name: str) -> None:
        """Create a bucket."""

    @abstractmethod
    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""

    @abstractmethod
    def get(self, bucket: str, key: str) -> bytes | None:
        """Read an object; None when there is none."""

    @abstractmethod
    def delete(self, bucket: str, key: str) -> None:
        """Remove an object, if it is there."""

    @abstractmethod
    def keys(self, bucket: str) -> list[str]:
        """List a bucket's objects, in order."""

    def new_bucket(self, driver: str = "") -> Bucket:
        name = f"t{secrets.token_hex(8)}"
        self.make_bucket(name)
        return Bucket(self, name, driver)

    @abstractmethod
    def stop(self) -> None:
        """End it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ProgramServer(ObjectServer):
    """A running program that serves objects, on a port that the system gave it."""

    process: ServerProcess
    client: Any = None  # what the tests speak to it with

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="server-"))
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise

    def _begin(self) -> None:
        self.process = self._start()
        self.port = self.process.port()
        self.process.wait_until(self._ready)

    @abstractmethod
    def _start(self) -> ServerProcess:
        """Start it, to listen on port 0."""

    @abstractmethod
    def _ready(self) -> bool:
        """Return whether it serves."""

    def stop(self) -> None:
        """End the server and remove its directory."""
        if self.client is not None:
            self.client.close()
        if hasattr(self, "process"):
            self.process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclass
class Bucket:
    server: ObjectServer
    name: str
    driver: str = ""  # before the URL's scheme, such as "obstore+"

    def url(self, prefix: str = "") -> str:
        return self.driver + self.server.url(self.name) + (f"/{prefix}" if prefix else "")

    @property
    def options(self) -> dict[str, Any]:
        return self.server.options(self.server.endpoint)

    def put(self, key: str, content: bytes) -> None:
        self.server.put(self.name, key, content)

    def get(self, key: str) -> bytes | None:
        return self.server.get(self.name, key)

    def delete(self, key: str) -> None:
        self.server.delete(self.name, key)

    def keys(self) -> list[str]:
        return self.server.keys(self.name)

    def contents(self) -> dict[str, bytes | None]:
        return {key: self.get(key) for key in self.server.keys(self.name)}
