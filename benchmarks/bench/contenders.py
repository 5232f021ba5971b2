"""What is compared: programs, where each keeps the token, and how many requests each may make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox

KEY = "session.token"
WINDOW = 6 * 3600.0
"""Seconds within which the trusting ones trust: longer than a run, shorter than a session."""


class Cloud(NamedTuple):
    """A cloud's object store.

    Attributes:
        place: the scheme of its URLs.
        server: the kind of server that stands for it, as tests/servers calls it.
        driver: fsspec's.
        client: the distribution that the cloud's owner publishes.
        program: the one that uses that client.
    """

    place: str
    server: str
    driver: str
    client: str
    program: str


CLOUDS = (
    Cloud("s3", "seaweed", "s3fs", "boto3", "boto3_by_hand"),
    Cloud("gs", "gcs", "gcsfs", "google-cloud-storage", "google_by_hand"),
    Cloud("abfs", "azure", "adlfs", "azure-storage-blob", "azure_by_hand"),
)


@dataclass(frozen=True)
class Contender:
    """One way to a token in a fresh process.

    Attributes:
        label: for people.
        program: its file in programs/, without .py.
        place: "file", a kind of server ("s3", "gs", "abfs"), or "" for those without a token.
        reads: requests to the store; of the straightforward port at least.
        keep_alives: requests to keepAlive.
        logins: requests to certlogin.
        trusts: whether it trusts a token that was verified a while ago.
        driver: what stands before the store's URL, such as "obstore+".
    """

    label: str
    program: str
    place: str = ""
    reads: int = 0
    keep_alives: int = 0
    logins: int = 0
    trusts: bool = False
    driver: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is this library."""
        return self.program == "library"


def _clouds() -> dict[str, Contender]:
    found = {}
    for place, _, driver, client, client_program in CLOUDS:
        # s3fs asks for the object's size, too; gcsfs asks for an object and a folder at once.
        port_reads = 2 if driver == "adlfs" else 3
        found[f"{place}/obstore-trusted"] = Contender(
            "betfair_session, obstore, trusted", "library", place, 1, trusts=True, driver="obstore+"
        )
        for name, label, program, reads, prefix in (
            ("obstore", "betfair_session, obstore", "library", 1, "obstore+"),
            ("driver", f"betfair_session, {driver}", "library", 1, ""),
            ("obstore-by-hand", "obstore by hand", "obstore_by_hand", 1, ""),
            ("client-by-hand", f"{client} by hand", client_program, 1, ""),
            ("port", "straightforward port", "port", port_reads, ""),
        ):
            found[f"{place}/{name}"] = Contender(label, program, place, reads, 1, driver=prefix)
    return found


CONTENDERS = {
    "python": Contender("Python alone", "nothing"),
    "requests": Contender("import requests", "import_requests"),
    "file/trusted": Contender("betfair_session, trusted", "library", "file", trusts=True),
    "file/dogpile": Contender(
        "dogpile.cache with a file lock, trusted", "dogpile_file", "file", trusts=True
    ),
    "file/verified": Contender("betfair_session, verified", "library", "file", keep_alives=1),
    "file/by-hand": Contender("open and keepAlive by hand", "file_by_hand", "file", keep_alives=1),
    "file/port": Contender("straightforward port", "port", "file", keep_alives=1),
    "login/betfairlightweight": Contender(
        "betfairlightweight, logging in", "betfairlightweight_login", logins=1
    ),
    **_clouds(),
}


class Stage:
    """Betfair, a live token, and copies of it wherever a contender looks."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        """Prepare.

        Args:
            sandbox: Betfair.
            directory: an empty one, for the local file and for what is trusted.
        """
        import certifi

        self.token = sandbox.issue()
        store = directory / "tokens"
        store.mkdir(mode=0o700)
        (store / KEY).touch(mode=0o600)
        (store / KEY).write_text(self.token)
        # As many authorities as a client of the real Betfair has.
        authorities = directory / "authorities.pem"
        parts = [Path(certifi.where()), Path(sandbox.ca_bundle)]
        authorities.write_text("\n".join(part.read_text() for part in parts))
        self._common = {
            **sandbox.environment(),
            "HOME": str(directory),
            "BETFAIR_CA_BUNDLE": str(authorities),
            "REQUESTS_CA_BUNDLE": str(authorities),
            "BENCH_KEY": KEY,
            # Google's driver would ask a control plane that no emulator has.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
            # Google's client would ask about the bucket, for traces that are never made.
            "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA": "true",
        }
        self._places: dict[str, dict[str, str]] = {"": {}, "file": {"BENCH_STORE": str(store)}}

    def add(self, place: str, bucket: Bucket, options: Mapping[str, Any] | None = None) -> None:
        """Put the token into a bucket.

        Args:
            place: what contenders call it.
            bucket: on the running server.
            options: storage options, if they are others than the bucket's own.
        """
        bucket.put(KEY, self.token.encode())
        self._places[place] = {
            "BENCH_STORE": bucket.url(),
            "BENCH_BUCKET": bucket.name,
            "BENCH_OPTIONS": json.dumps(options or bucket.options),
        }

    def has(self, contender: Contender) -> bool:
        """Return whether the place is there that a contender needs."""
        return contender.place in self._places

    def variables(self, contender: Contender) -> dict[str, str]:
        """Return a contender's environment."""
        place = dict(self._places[contender.place])
        if contender.driver:
            place["BENCH_STORE"] = contender.driver + place["BENCH_STORE"]
        trust = {"BENCH_WINDOW": str(WINDOW)} if contender.trusts else {}
        return {**self._common, **place, **trust}

    def expected(self, contender: Contender) -> str | None:
        """Return what a contender has to print; None for a token of its own."""
        if contender.program == "dogpile_file" or contender.logins:
            return None
        return self.token if contender.place else ""
