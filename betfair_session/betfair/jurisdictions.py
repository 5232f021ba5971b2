"""Betfair's identity hosts and session lengths, by jurisdiction.

The hosts come from the tables on Betfair's login and Keep Alive pages, which list Australia and New
Zealand together. Betfair's Betting and Accounts API pages say that `api.betfair.com.au` is for
customers of New Zealand alone. `Jurisdiction.unsure` says what could not be checked live. If a host
is wrong, give IdentityClient another `identity_url`, `identity_cert_url` or `api_url`.
"""

from __future__ import annotations

from datetime import timedelta

from betfair_session.exceptions import ConfigurationError
from betfair_session.process import NamedTuple

__all__ = ["JURISDICTIONS", "Jurisdiction", "jurisdiction"]


class Jurisdiction(NamedTuple):
    """Where the accounts of one jurisdiction log in.

    Attributes:
        name: the name to give to `jurisdiction`, in lower case.
        identity_host: answers login, keepAlive and logout.
        identity_cert_host: answers certlogin, which presents the client certificate.
        api_host: the betting API.
        session_length: how long a session lives without a keepAlive, or None where Betfair does
            not say. A default: for international accounts it is 12 hours, but 24 in the UK and
            Ireland, and the account holder can change it.
        unsure: what could not be checked against the live service, or "".
    """

    name: str
    identity_host: str
    identity_cert_host: str
    api_host: str = "api.betfair.com"
    session_length: timedelta | None = None
    unsure: str = ""

    @property
    def identity_url(self) -> str:
        """The base of login, keepAlive and logout, ending in a slash."""
        return f"https://{self.identity_host}/api/"

    @property
    def identity_cert_url(self) -> str:
        """The base of certlogin, ending in a slash."""
        return f"https://{self.identity_cert_host}/api/"

    @property
    def api_url(self) -> str:
        """The base of the betting API, ending in a slash."""
        return f"https://{self.api_host}/exchange/"


_AUSTRALASIA = (
    "the keepAlive host (other sources name identitysso.betfair.com.au) and the certlogin host (a "
    "Go client uses identitysso-cert.betfair.au)"
)
_SWEDEN = "both hosts, since only older tables of Betfair's list them"
_BRAZIL = (
    "both hosts: the .com host was seen to accept Brazilian tokens, but there are also "
    "undocumented hosts under bet.br"
)
# Other names; domains that answer keepAlive, certlogin and the betting API; minutes of a session.
_ROWS = (
    ("international", ("com",), "com", "com", "com", 720, ""),
    ("australia", ("au",), "au", "com.au", "com", None, _AUSTRALASIA),
    ("new_zealand", ("nz", "new-zealand"), "au", "com.au", "com.au", None, _AUSTRALASIA),
    ("italy", ("it",), "it", "it", "com", 20, ""),
    ("spain", ("es",), "es", "es", "com", 20, ""),
    ("romania", ("ro",), "ro", "ro", "com", None, ""),
    ("sweden", ("se",), "se", "se", "com", None, _SWEDEN),
    ("brazil", ("br",), "com", "com", "com", None, _BRAZIL),
)

SHORTEST_SESSION = timedelta(minutes=20)
"""The shortest session that Betfair documents: what to reckon with where it names no length."""

JURISDICTIONS = {
    name: Jurisdiction(
        name,
        identity_host=f"identitysso.betfair.{identity}",
        identity_cert_host=f"identitysso-cert.betfair.{certlogin}",
        api_host=f"api.betfair.{api}",
        session_length=timedelta(minutes=minutes) if minutes else None,
        unsure=unsure,
    )
    for name, _, identity, certlogin, api, minutes, unsure in _ROWS
}
"""Every jurisdiction by its name."""

_ALIASES = {alias: row[0] for row in _ROWS for alias in row[1]}
_DOMAINS = tuple(f".betfair.{domain}" for row in _ROWS for domain in row[2:4])


def is_betfairs(host: str) -> bool:
    """Return whether a host is in one of Betfair's domains."""
    return f".{host.lower()}".endswith(_DOMAINS)


def jurisdiction(name: str) -> Jurisdiction:
    """Look up a jurisdiction by a `JurisdictionName`; there is no default for an unknown one.

    ConfigurationError: the name is not known; the message lists those that are.
    """
    lower = name.lower() if isinstance(name, str) else ""
    found = JURISDICTIONS.get(_ALIASES.get(lower, lower))
    if found is None:
        message = (
            f"the jurisdiction is unknown; use one of {', '.join(JURISDICTIONS)} "
            f"(or {', '.join(_ALIASES)}). Accounts of the United Kingdom and Ireland are "
            "international. Betfair offers no certificate login to residents of Denmark"
        )
        raise ConfigurationError(message, argument="jurisdiction")
    return found
