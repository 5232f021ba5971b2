"""The jurisdictions: names, hosts and session lengths."""

from __future__ import annotations

from datetime import timedelta

import pytest

from betfair_session.betfair.jurisdictions import JURISDICTIONS, is_betfairs, jurisdiction
from betfair_session.exceptions import ConfigurationError

# name: identity host, certlogin host, betting API, session length
FACTS = {
    "international": (
        "identitysso.betfair.com",
        "identitysso-cert.betfair.com",
        "api.betfair.com",
        timedelta(hours=12),
    ),
    "australia": (
        "identitysso.betfair.au",
        "identitysso-cert.betfair.com.au",
        "api.betfair.com",
        None,
    ),
    "new_zealand": (
        "identitysso.betfair.au",
        "identitysso-cert.betfair.com.au",
        "api.betfair.com.au",
        None,
    ),
    "italy": (
        "identitysso.betfair.it",
        "identitysso-cert.betfair.it",
        "api.betfair.com",
        timedelta(minutes=20),
    ),
    "spain": (
        "identitysso.betfair.es",
        "identitysso-cert.betfair.es",
        "api.betfair.com",
        timedelta(minutes=20),
    ),
    "romania": (
        "identitysso.betfair.ro",
        "identitysso-cert.betfair.ro",
        "api.betfair.com",
        None,
    ),
    "sweden": (
        "identitysso.betfair.se",
        "identitysso-cert.betfair.se",
        "api.betfair.com",
        None,
    ),
    "brazil": (
        "identitysso.betfair.com",
        "identitysso-cert.betfair.com",
        "api.betfair.com",
        None,
    ),
}


def test_the_table_holds_the_published_hosts_and_session_lengths() -> None:
    """Every jurisdiction has the hosts and the session length that Betfair's pages give."""
    table = {
        name: (place.identity_host, place.identity_cert_host, place.api_host, place.session_length)
        for name, place in JURISDICTIONS.items()
    }
    assert table == FACTS


def test_what_nobody_could_check_is_said() -> None:
    """The hosts that no one tried against the live service are marked unsure, and only they."""
    unsure = {name for name, place in JURISDICTIONS.items() if place.unsure}
    assert unsure == {"australia", "new_zealand", "sweden", "brazil"}


def test_the_bases_are_urls_that_end_in_a_slash() -> None:
    """The two bases can have an endpoint's name appended."""
    italy = jurisdiction("italy")
    assert italy.identity_url == "https://identitysso.betfair.it/api/"
    assert italy.identity_cert_url == "https://identitysso-cert.betfair.it/api/"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("international", "international"),
        ("International", "international"),
        ("com", "international"),
        ("AU", "australia"),
        ("nz", "new_zealand"),
        ("NEW-Zealand", "new_zealand"),
        ("new_zealand", "new_zealand"),
        ("it", "italy"),
        ("es", "spain"),
        ("ro", "romania"),
        ("se", "sweden"),
        ("br", "brazil"),
    ],
)
def test_names_and_country_codes_are_found_in_any_case(alias: str, name: str) -> None:
    """A name or a country code leads to its jurisdiction, upper or lower case."""
    assert jurisdiction(alias) is JURISDICTIONS[name]


@pytest.mark.parametrize("name", ["", "internationl", "uk ", "france", None, 7])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(name: object) -> None:
    """A mistyped name never falls back to another jurisdiction."""
    with pytest.raises(ConfigurationError) as caught:
        jurisdiction(name)  # type: ignore[arg-type]
    assert repr(name) in str(caught.value)
    assert all(known in str(caught.value) for known in JURISDICTIONS)


@pytest.mark.parametrize("name", ["uk", "gb", "ireland", "united-kingdom"])
def test_the_united_kingdom_and_ireland_are_told_where_they_belong(name: str) -> None:
    """No name of theirs is known, since their hosts are everybody's."""
    with pytest.raises(ConfigurationError, match=r"United Kingdom and Ireland are international$"):
        jurisdiction(name)


@pytest.mark.parametrize(
    ("host", "theirs"),
    [
        *((place.identity_host, True) for place in JURISDICTIONS.values()),
        ("Identitysso.Betfair.Com.Au", True),
        ("notbetfair.com", False),
        ("betfair.com.example.org", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_betfairs_domains_are_known(host: str, *, theirs: bool) -> None:
    """And no other's is taken for one."""
    assert is_betfairs(host) == theirs


@pytest.mark.parametrize("name", ["denmark", "Denmark", "dk"])
def test_denmark_is_refused_with_the_reason(name: str) -> None:
    """Residents of Denmark are told that there is no certificate login for them."""
    with pytest.raises(ConfigurationError, match="does not offer the certificate login"):
        jurisdiction(name)
