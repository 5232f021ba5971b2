"""The stores that proofs run on by name: a directory, or a bucket on a server of its own."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from rare_servers.seaweed import SeaweedServer
from servers.azure import AzureServer
from servers.gcs import GCSServer
from servers.objects import ObjectServer
from servers.s3 import MotoServer
from storage.places import LocalPlace, Place

# Google's driver would ask a control plane that no emulator has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

_SERVERS: dict[str, type[ObjectServer]] = {
    "seaweed": SeaweedServer,
    "moto": MotoServer,
    "gcs": GCSServer,
    "azure": AzureServer,
}
SERVED = [*_SERVERS, "obstore+seaweed"]
STORES = ["local", *SERVED]


def place_for(kind: str, directory: Path, stack: ExitStack) -> Place:
    """Make an empty place of a kind: in a directory, or a bucket whose server `stack` will stop."""
    if kind == "local":
        (directory / "store").mkdir(mode=0o700)
        return LocalPlace(directory / "store")
    driver, plus, server = kind.rpartition("+")
    return stack.enter_context(_SERVERS[server]()).new_bucket(driver + plus)
