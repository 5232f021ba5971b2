"""S3: moto's server, spoken to in plain HTTP. It looks at no credentials."""
# ruff: noqa: D102 - ObjectServer says what each method does

from __future__ import annotations

import functools
import html
import importlib.util
import re
import sys
import urllib.parse
from pathlib import Path
from typing import Any, ClassVar

import requests

from servers.objects import ProgramServer
from servers.process import ServerMissing, ServerProcess
from servers.script import Answer

REGION = "us-east-1"

_MOTO = Path(__file__).with_name("moto_program.py")
# moto lets everybody in who brings a signature, whatever it is.
_SIGNED = f"AWS4-HMAC-SHA256 Credential=K/20260101/{REGION}/s3/aws4_request, Signature=0"
_VERSIONED = (
    '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Status>Enabled</Status></VersioningConfiguration>"
)


def refusal(status: int, code: str) -> Answer:
    """Return an error as S3 sends it, for the proxy to say it in its place."""
    text = f"<Error><Code>{code}</Code><Message>scripted</Message><RequestId>1</RequestId></Error>"
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})


class MotoServer(ProgramServer):
    """moto's server, everything in memory."""

    scheme = "s3"
    key_id: ClassVar[str] = "KEYIDOFTHEADMIN00001"
    secret_key: ClassVar[str] = "secretKeyOfTheAdmin/0123456789abcdefghij"

    def _start(self) -> ServerProcess:
        if importlib.util.find_spec("moto") is None:
            message = "moto's server is not installed (dependency group test)"
            raise ServerMissing(message)
        self.client = requests.Session()
        self.client.headers["Authorization"] = _SIGNED
        return ServerProcess([sys.executable, str(_MOTO)], self.directory)

    def _ready(self) -> bool:
        read_models_once()
        return True  # it listens before it says where

    def options(self, endpoint: str) -> dict[str, Any]:
        return {
            "key": self.key_id,
            "secret": self.secret_key,
            "endpoint_url": endpoint,
            "client_kwargs": {"region_name": REGION},
        }

    def _ask(
        self, method: str, bucket: str, key: str = "", content: bytes = b"", query: str = ""
    ) -> requests.Response:
        url = f"{self.endpoint}/{bucket}/{urllib.parse.quote(key)}?{query}".rstrip("/?")
        answer = self.client.request(method, url, data=content, timeout=30)
        if answer.status_code != requests.codes.not_found:
            answer.raise_for_status()
        return answer

    def make_bucket(self, name: str) -> None:
        self._ask("PUT", name)

    def drop_bucket(self, name: str) -> None:
        for key in self.keys(name):
            self.delete(name, key)
        self._ask("DELETE", name)

    def version_bucket(self, name: str) -> None:
        """Keep every version of the bucket's objects from now on."""
        self._ask("PUT", name, content=_VERSIONED.encode(), query="versioning")

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._ask("PUT", bucket, key, content)

    def get(self, bucket: str, key: str) -> bytes | None:
        answer = self._ask("GET", bucket, key)
        return answer.content if answer.ok else None

    def delete(self, bucket: str, key: str) -> None:
        self._ask("DELETE", bucket, key)

    def keys(self, bucket: str) -> list[str]:
        listed = self._ask("GET", bucket, query="list-type=2").text
        return sorted(map(html.unescape, re.findall(r"<Key>(.*?)</Key>", listed)))

    def stop(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        super().stop()


@functools.cache
def read_models_once() -> None:
    """Have botocore keep what it parses: else each new client costs a tenth of a second.

    A process that makes one before it forks spares its children that, too.
    """
    import boto3
    from botocore.loaders import JSONFileLoader

    load = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: load(path)
    boto3.client("s3", region_name=REGION, aws_access_key_id="k", aws_secret_access_key="s")
