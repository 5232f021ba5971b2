"""Where an operation is sent to."""

from __future__ import annotations

import re
from typing import NamedTuple

from .exceptions import ConfigurationError

# A host name or address, perhaps a port, perhaps a path; no credentials, query or fragment.
_BASE = re.compile(
    r"https://(?P<host>(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)(?:/[^\s?#]*)?",
    re.ASCII | re.IGNORECASE,
)


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
        found = _BASE.fullmatch(self.base)
        return found["host"] if found else ""


def https_base(url: str, *, name: str) -> str:
    """Check a base URL and return it with one trailing slash.

    Args:
        url: such as "https://localhost:8443/api/".
        name: the argument's name, for the error.

    Returns:
        The base.

    Raises:
        ConfigurationError: it is not a plain https URL.
    """
    if not (isinstance(url, str) and _BASE.fullmatch(url)):
        message = f"{name} must be a plain https URL such as https://localhost:8443/api/"
        raise ConfigurationError(message, argument=name)
    return url.rstrip("/") + "/"
