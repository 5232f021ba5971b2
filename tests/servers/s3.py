"""S3: moto's server, which looks at no credentials."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any, ClassVar

from servers.objects import ProgramServer
from servers.process import ServerProcess

REGION = "us-east-1"

_MOTO = Path(__file__).with_name("moto_program.py")


class S3Server(ProgramServer):
    """A server of S3's protocol, inspected by boto3."""

    scheme = "s3"
    key_id: ClassVar[str] = "KEYIDOFTHEADMIN00001"
    secret_key: ClassVar[str] = "secretKeyOfTheAdmin/0123456789abcdefghij"

    def options(self, endpoint: str) -> dict[str, Any]:
        return {
            "key": self.key_id,
            "secret": self.secret_key,
            "endpoint_url": endpoint,
            "client_kwargs": {"region_name": REGION},
        }

    def connect(self) -> None:
        """Have boto3 speak to it from now on, each request once."""
        import boto3
        from botocore.config import Config

        read_models_once()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def make_bucket(self, name: str) -> None:
        self.client.create_bucket(Bucket=name)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, bucket: str, key: str) -> bytes | None:
        try:
            answer = self.client.get_object(Bucket=bucket, Key=key)
        except self.client.exceptions.NoSuchKey:
            return None
        content: bytes = answer["Body"].read()
        return content

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    def keys(self, bucket: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return sorted(entry["Key"] for entry in found)


class MotoServer(S3Server):
    def _start(self) -> ServerProcess:
        return ServerProcess([sys.executable, str(_MOTO)], self.directory)

    def _ready(self) -> bool:
        self.connect()
        return True  # it listens before it says where


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
