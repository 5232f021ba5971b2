"""Where an operation is sent to."""

from __future__ import annotations

from typing import NamedTuple


class Endpoint(NamedTuple):
    """One of the service's endpoints: its name and the base URL it is at."""

    name: str
    base: str

    @property
    def url(self) -> str:
        """Where to send."""
        return self.base + self.name

    @property
    def host(self) -> str:
        """The host and port, for errors."""
        return self.base.partition("://")[2].partition("/")[0]
