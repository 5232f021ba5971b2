"""Whether a certificate and a key belong together, and whether Betfair would take them.

What Betfair asks of a client certificate is from its guide to the non-interactive login:
self-signed, RSA with 2048 bits, for client authentication.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from betfair_session.exceptions import ConfigurationError
from betfair_session.process.value import Value

from .reading import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
    )
    from cryptography.x509 import Certificate

    from .reading import Contents

MIN_BITS = 2048
"""The smallest RSA key Betfair's present guide makes; older text also allowed 1024."""

EXPIRY_WARNING = timedelta(days=30)
"""How long before its end a certificate is warned about."""

REMEDY = "make a new one (betfair-session certificate create) and upload it to Betfair"


class Material(Value):
    """A certificate with the key it belongs to, and whatever other certificates came along."""

    name: str
    certificate: Certificate
    key: PrivateKeyTypes
    chain: tuple[Certificate, ...]


def assemble(found: Sequence[Contents]) -> Material | str:
    """Find the certificate and the key that belong together.

    Args:
        found: what lies in each source.

    Returns:
        The pair, or the sentence that says what is wrong.
    """
    for contents in found:
        if contents.problem:
            return f"{contents.name} {contents.problem}"
    names = " and ".join(contents.name for contents in found)
    kinds = "; ".join(contents.kind for contents in found)
    certificates = [(c, contents.name) for contents in found for c in contents.certificates]
    keys = [key for contents in found for key in contents.keys]
    if not certificates:
        return f"there is no certificate in {names} ({kinds})"
    if not keys:
        return f"there is no private key in {names} ({kinds})"
    for key in keys:
        for certificate, name in certificates:
            if belongs(key, certificate):
                chain = tuple(other for other, _ in certificates if other is not certificate)
                return Material(name, certificate, key, chain)
    return (
        f"the private key and the certificate in {names} do not belong together; "
        "give the key that this very certificate was made with"
    )


def belongs(key: PrivateKeyTypes, certificate: Certificate) -> bool:
    """Tell whether a certificate was made for a private key."""
    public = public_key(certificate)
    return public is not None and key.public_key() == public


def public_key(certificate: Certificate) -> CertificatePublicKeyTypes | None:
    """Return a certificate's public key, or None when it is of no known kind."""
    return attempt(certificate.public_key)


def fitness(certificate: Certificate, now: datetime | None = None) -> tuple[list[str], list[str]]:
    """Judge a certificate by what Betfair asks of it.

    Args:
        certificate: the certificate.
        now: the time to judge by, timezone-aware; None for the clock's.

    Returns:
        The problems that make it unfit, and the warnings, each as the rest of a sentence that
        starts with the file's name.

    Raises:
        ConfigurationError: `now` is no timezone-aware datetime.
    """
    now = _moment(now)
    problems = _key_problems(certificate) + _usage_problems(certificate)
    warnings = []
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < starts:
        problems.append(
            f"is not valid before {day(starts)}; wait until then, or see that the clock, now "
            f"{day(now)}, is right"
        )
    if now >= ends:
        problems.append(f"expired on {day(ends)}; {REMEDY}")
    elif now >= ends - EXPIRY_WARNING:
        warnings.append(
            f"expires on {day(ends)} ({(ends - now).days} days left); {REMEDY} before that"
        )
    return problems, warnings


def _moment(now: datetime | None) -> datetime:
    """Return the time to judge by, in UTC, as `day` writes it."""
    if now is None:
        return datetime.now(timezone.utc)
    if not isinstance(now, datetime) or now.utcoffset() is None:
        message = "now must be a timezone-aware datetime, such as datetime.now(timezone.utc)"
        raise ConfigurationError(message)
    return now.astimezone(timezone.utc)


def _key_problems(certificate: Certificate) -> list[str]:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = public_key(certificate)
    wanted = f"Betfair wants RSA of at least {MIN_BITS} bits; {REMEDY}"
    if not isinstance(public, rsa.RSAPublicKey):
        kind = type(public).__name__.removesuffix("PublicKey") if public else "unknown"
        return [f"has a key of the kind {kind}; {wanted}"]
    if public.key_size < MIN_BITS:
        return [f"has an RSA key of only {public.key_size} bits; {wanted}"]
    return []


def _usage_problems(certificate: Certificate) -> list[str]:
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    extensions = attempt(lambda: list(certificate.extensions))
    if extensions is None:
        return [f"has extensions that cannot be read; {REMEDY}"]
    allowing = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    for extension in extensions:
        usage = extension.value
        if isinstance(usage, ExtendedKeyUsage) and allowing.isdisjoint(usage):
            return [f"does not allow client authentication (extendedKeyUsage); {REMEDY}"]
    return []


def day(moment: datetime) -> str:
    """Write a moment for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
