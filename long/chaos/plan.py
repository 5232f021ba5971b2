"""What a chaos run does, and where."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from rare_servers.seaweed import SeaweedServer
from servers.azure import AzureServer
from servers.gcs import GCSServer
from servers.s3 import MotoServer
from storage.places import BucketPlace, LocalPlace

from chaos.conductor import Odds

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from servers.objects import ObjectServer
    from storage.places import Place

SERVERS: dict[str, type[ObjectServer]] = {
    "seaweed": SeaweedServer,
    "moto": MotoServer,
    "gcs": GCSServer,
    "azure": AzureServer,
}
STORES = ["local", *SERVERS, "obstore+seaweed"]


class Plan(NamedTuple):
    """What is run."""

    store: str  # one of STORES
    generations: int  # in all
    processes: int = 64  # at any time
    keys: int = 8  # tokens, each with an account and a sandbox of its own
    timeout: float = 20.0  # seconds that each call is given
    pause: float = 4.0  # seconds that a process waits at most between two calls
    strikes: float = 1.0  # seconds between two blows at random, on average
    odds: Odds = Odds()

    @property
    def quick(self) -> bool:
        """Whether a store is opened in next to no time."""
        return self.store == "local" or self.store.startswith("obstore")

    @property
    def lease(self) -> dict[str, float]:
        """The arguments of LeaseSettings: scaled down, so that leases often outlive their time."""
        return LEASE if self.quick else SLOW_LEASE

    def anew(self, number: int) -> bool:
        """Tell whether a process begins each call anew and shares verifications: every fourth."""
        return self.quick and number // self.keys % 4 == 3


LEASE = {"ttl": 7.0, "login_deadline": 3.5, "store_deadline": 1.75, "logins_per_minute": 100}
"""For local files and obstore."""
SLOW_LEASE = {"ttl": 12.0, "login_deadline": 5.0, "store_deadline": 3.5, "logins_per_minute": 100}
"""For fsspec's drivers, which are slow to open where 64 processes share two cores."""


class WholePlace(LocalPlace):
    """A directory in which a foreign writer's file appears whole."""

    def put(self, key: str, content: bytes) -> None:
        """Write a file elsewhere, and move it into its place."""
        with tempfile.NamedTemporaryFile(dir=self.directory.parent, delete=False) as file:
            file.write(content)
        path = self.directory / key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.replace(file.name, path)


def place_for(kind: str, directory: Path, stack: ExitStack) -> Place:
    """Make an empty place of a kind: in a directory, or on a server that `stack` will stop."""
    if kind == "local":
        store = directory / "store"
        store.mkdir(mode=0o700)
        return WholePlace(store)
    driver, plus, server = kind.rpartition("+")
    return BucketPlace(stack.enter_context(SERVERS[server]()).new_bucket(), driver + plus)
