"""An sftp server: asyncssh's, on a directory, in a process of its own."""

from __future__ import annotations

import importlib.util
import secrets
import sys
from pathlib import Path
from typing import Any

from servers.objects import ProgramServer
from servers.process import HOST, ServerMissing, ServerProcess
from storage.places import LocalPlace

_PROGRAM = Path(__file__).with_name("sftp_program.py")


class SFTPServer(ProgramServer):
    """A directory behind sftp; its "buckets" are the folders in it."""

    scheme = "sftp"
    password = ""

    def _start(self) -> ServerProcess:
        if importlib.util.find_spec("asyncssh") is None:
            raise ServerMissing("the package asyncssh is not installed")
        self.password = self.password or secrets.token_hex(8)  # of a server that starts again, too
        self.root = self.directory / "root"
        self.root.mkdir(exist_ok=True)
        port = str(getattr(self, "port", 0))
        command = [sys.executable, str(_PROGRAM), port, str(self.root)]
        environment = {"SFTP_PASSWORD": self.password}
        return ServerProcess(command, self.directory, environment=environment)

    def _ready(self) -> bool:
        return True  # it listens before it says where

    def url(self, bucket: str) -> str:
        return f"sftp://tester@{HOST}:{self.port}/{bucket}"

    def options(self, endpoint: str) -> dict[str, Any]:  # noqa: ARG002 - it is in the URL
        return {"password": self.password}

    def wrong_options(self, endpoint: str) -> dict[str, Any]:
        return {**self.options(endpoint), "password": "wrong-password-of-the-tests"}

    def make_bucket(self, name: str) -> None:
        (self.root / name).mkdir()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        LocalPlace(self.root / bucket).put(key, content)

    def get(self, bucket: str, key: str) -> bytes | None:
        return LocalPlace(self.root / bucket).get(key)

    def delete(self, bucket: str, key: str) -> None:
        LocalPlace(self.root / bucket).delete(key)

    def keys(self, bucket: str) -> list[str]:
        return LocalPlace(self.root / bucket).keys()
