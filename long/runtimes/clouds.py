"""The three clouds: where each function finds its account, its bucket and Betfair."""

from __future__ import annotations

import base64
import json
import os
import platform
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import boto3
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate
from servers.objects import Bucket
from servers.proxy import Proxy
from servers.s3 import REGION, MotoServer

from betfair_session.sandbox import Sandbox
from runtimes.instances import AzureInstance, CloudRunInstance, Instance, LambdaInstance
from runtimes.outside import AZURE_SECRET, GOOGLE_SECRET, KEY_VAULT, Outside

KEY = "session.token"
PASSPHRASE = "passphrase-of-the-tests"


@dataclass
class Cloud(ABC):
    """One cloud, with a function deployed to it.

    Attributes:
        sandbox: Betfair.
        bucket: where the token is kept.
        directory: for logs.
        instances: those that were started.
        kind: of an instance.
        crowd: how many start at once; a second of computing each.
    """

    sandbox: Sandbox
    bucket: Bucket
    directory: Path
    instances: list[Instance] = field(default_factory=list)
    kind: ClassVar[type[LambdaInstance | CloudRunInstance | AzureInstance]]
    crowd: ClassVar[int] = int(os.environ.get("BETFAIR_SESSION_COLD_STARTS", "10"))

    def deploy(self) -> Self:
        """Put the account into the cloud's secret manager."""
        names = self.sandbox.environment()
        crt, key = (
            Path(names.pop(f"BETFAIR_{part}_FILE")).read_bytes() for part in ("CERT", "KEY")
        )
        self.keep_secret(json.dumps({**names, **self.certificate(crt, key)}))
        return self

    def certificate(self, crt: bytes, key: bytes) -> dict[str, str]:
        """Return the secret's part that holds the client certificate."""
        made = pkcs12.serialize_key_and_certificates(
            b"client",
            load_pem_private_key(key, None),  # type: ignore[arg-type] # it is an RSA key
            load_pem_x509_certificate(crt),
            None,
            BestAvailableEncryption(PASSPHRASE.encode()),
        )
        text = base64.b64encode(made).decode()
        return {"BETFAIR_PKCS12_BASE64": text, "BETFAIR_CERT_PASSPHRASE": PASSPHRASE}

    @abstractmethod
    def keep_secret(self, account: str) -> None:
        """Store the secret."""

    @abstractmethod
    def secret_was_fetched(self) -> int:
        """Return how many times the secret was given to somebody."""

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """Return the function's environment variables, and what stands for the cloud's own."""

    def start(self, count: int = 1, **variables: str) -> list[Instance]:
        """Start instances, `variables` in place of the cloud's own; wait until all are loaded."""
        place = {"BETFAIR_SESSION_STORE": self.url(), "BETFAIR_SESSION_KEY": KEY}
        variables = {"HOME": str(self.directory), **place, **self.variables(), **variables}
        started: list[Instance] = []
        for _ in range(count):
            log = self.directory / f"{len(self.instances)}.log"
            started.append(self.kind(variables, log))
            self.instances.append(started[-1])
        for instance in started:
            instance.wait_until_loaded()
        return started

    def url(self) -> str:
        return f"obstore+{self.bucket.url('betfair')}"

    def secrets(self) -> list[str]:
        """Return what nobody may see, the token apart."""
        lines = Path(self.sandbox.certificate[1]).read_text().splitlines()
        return [self.sandbox.password, self.sandbox.app_key, PASSPHRASE, *lines[1:-1]]

    def stored(self) -> str:
        return (self.bucket.get(f"betfair/{KEY}") or b"").decode()

    def close(self) -> None:
        for instance in self.instances:
            instance.stop()


@dataclass
class Amazon(Cloud):
    """Moto serves S3 and Secrets Manager."""

    proxy: Proxy = field(kw_only=True)
    kind = LambdaInstance
    crowd = 50

    def certificate(self, crt: bytes, key: bytes) -> dict[str, str]:
        return {"BETFAIR_CERT_PEM": crt.decode(), "BETFAIR_KEY_PEM": key.decode()}

    def keep_secret(self, account: str) -> None:
        self._secrets().create_secret(Name=self.bucket.name, SecretString=account)

    def secret_was_fetched(self) -> int:
        """Return how often a function asked for it."""
        return len(self.proxy.requests)

    def _secrets(self) -> Any:  # noqa: ANN401 - boto3 is untyped
        return boto3.client(
            "secretsmanager",
            endpoint_url=self.bucket.server.endpoint,
            region_name=REGION,
            aws_access_key_id=MotoServer.key_id,
            aws_secret_access_key=MotoServer.secret_key,
        )

    def variables(self) -> dict[str, str]:
        """Return what Lambda sets, and where moto is."""
        return {
            "BETFAIR_SECRET": self.bucket.name,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{platform.python_version().rpartition('.')[0]}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": MotoServer.key_id,
            "AWS_SECRET_ACCESS_KEY": MotoServer.secret_key,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.proxy.endpoint,
            "BETFAIR_STORAGE_OPTIONS": json.dumps({"endpoint_url": self.bucket.server.endpoint}),
        }


@dataclass
class Elsewhere(Cloud):
    """What Google and Azure have in common here."""

    outside: Outside = field(kw_only=True)

    def keep_secret(self, account: str) -> None:
        self.outside.account = account
        self.outside.fetched = 0

    def secret_was_fetched(self) -> int:
        return self.outside.fetched


@dataclass
class Google(Elsewhere):
    """fake-gcs-server, and our own Secret Manager."""

    kind = CloudRunInstance

    def variables(self) -> dict[str, str]:
        """Return where they are; the credentials are the metadata server's."""
        options = {"endpoint_url": self.bucket.server.endpoint}
        return {
            **self.outside.environment(),
            "BETFAIR_SECRET": GOOGLE_SECRET,
            "BETFAIR_STORAGE_OPTIONS": json.dumps(options),
        }


@dataclass
class Azure(Elsewhere):
    """Azurite, and our own Key Vault."""

    kind = AzureInstance

    def variables(self) -> dict[str, str]:
        return {
            **self.outside.environment(),
            "BETFAIR_SECRET": AZURE_SECRET,
            "KEY_VAULT_URL": f"https://{KEY_VAULT}",
            "BETFAIR_STORAGE_OPTIONS": json.dumps(self.bucket.options),
        }
