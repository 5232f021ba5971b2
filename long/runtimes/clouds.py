"""The three clouds: where each function finds its account, its bucket and Betfair."""

from __future__ import annotations

import base64
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from hidden.planted import Planted, certificate
from rare_servers.proxy import Proxy
from servers.objects import Bucket
from servers.s3 import REGION, MotoServer

from betfair_session.sandbox import Sandbox
from runtimes.instances import (
    AzureInstance,
    CloudRunInstance,
    Instance,
    LambdaInstance,
    WebInstance,
)
from runtimes.outside import AZURE_SECRET, GOOGLE_SECRET, KEY_VAULT, Outside

KEY = "session.token"


@dataclass
class Cloud:
    """One cloud, with a function deployed to it."""

    planted: Planted  # the account, and Betfair
    bucket: Bucket  # where the token is kept
    directory: Path  # for logs
    kind: type[LambdaInstance | WebInstance]  # of an instance
    variables: dict[str, str]  # a function's, and what stands for the cloud's own
    fetched: Callable[[], int]  # returns how many times the secret was read
    # How many start at once; a second of computing each.
    crowd: int = int(os.environ.get("BETFAIR_SESSION_COLD_STARTS", "10"))
    instances: list[Instance] = field(default_factory=list)  # those that were started

    @property
    def sandbox(self) -> Sandbox:
        return self.planted.sandbox

    def start(self, count: int = 1, **variables: str) -> list[Instance]:
        """Start instances, `variables` in place of the cloud's own; wait until all are loaded."""
        place = {"BETFAIR_SESSION_STORE": f"obstore+{self.bucket.url('betfair')}"}
        place |= {"HOME": str(self.directory), "BETFAIR_SESSION_KEY": KEY}
        variables = {**place, **self.variables, **variables}
        for _ in range(count):
            log = self.directory / f"{len(self.instances)}.log"
            self.instances.append(self.kind(variables, log))
        for instance in self.instances[-count:]:
            instance.wait_until_loaded()
        return self.instances[-count:]

    def stored(self) -> str:
        return (self.bucket.get(f"betfair/{KEY}") or b"").decode()


def account_of(planted: Planted, *, pkcs12_file: bool) -> str:
    """Return what the secret manager keeps: the account with its certificate, in JSON."""
    names = {**planted.environment(), "BETFAIR_APP_KEY": planted.sandbox.app_key}
    del names["BETFAIR_PKCS12_FILE"]
    made = certificate()
    if pkcs12_file:
        p12 = base64.b64encode(made[".p12"]).decode()
        return json.dumps({**names, "BETFAIR_PKCS12_BASE64": p12})
    del names["BETFAIR_CERT_PASSPHRASE"]
    crt, key = (made[end].decode() for end in (".crt", ".key"))
    return json.dumps({**names, "BETFAIR_CERT_PEM": crt, "BETFAIR_KEY_PEM": key})


def amazon(planted: Planted, bucket: Bucket, directory: Path, proxy: Proxy) -> Cloud:
    """Deploy to Lambda; moto serves S3 and Secrets Manager."""
    endpoint = bucket.server.endpoint
    keys = {"aws_access_key_id": MotoServer.key_id, "aws_secret_access_key": MotoServer.secret_key}
    client = boto3.client("secretsmanager", region_name=REGION, endpoint_url=endpoint, **keys)
    client.create_secret(Name=bucket.name, SecretString=account_of(planted, pkcs12_file=False))
    variables = {
        "BETFAIR_SECRET": bucket.name,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{platform.python_version().rpartition('.')[0]}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": MotoServer.key_id,
        "AWS_SECRET_ACCESS_KEY": MotoServer.secret_key,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": proxy.endpoint,
        "BETFAIR_STORAGE_OPTIONS": json.dumps({"endpoint_url": endpoint}),
    }
    return Cloud(
        planted, bucket, directory, LambdaInstance, variables, lambda: len(proxy.requests), crowd=50
    )


def elsewhere(
    name: str, planted: Planted, bucket: Bucket, directory: Path, outside: Outside
) -> Cloud:
    """Deploy to Google's Cloud Run or to Azure Functions, with what `outside` has around them."""
    if name == "google":
        kind: type[WebInstance] = CloudRunInstance
        options = {"endpoint_url": bucket.server.endpoint}
        variables = {"BETFAIR_SECRET": GOOGLE_SECRET}
    else:
        kind, options = AzureInstance, bucket.options
        variables = {"BETFAIR_SECRET": AZURE_SECRET, "KEY_VAULT_URL": f"https://{KEY_VAULT}"}
    variables |= {"BETFAIR_STORAGE_OPTIONS": json.dumps(options), **outside.environment()}
    outside.account, outside.fetched = account_of(planted, pkcs12_file=True), 0
    return Cloud(planted, bucket, directory, kind, variables, lambda: outside.fetched)
