"""Whether a certificate and a key belong together, whether Betfair would take them, and the TLS.

What Betfair asks of a client certificate is from its guide to the non-interactive login:
self-signed, RSA with 2048 bits, for client authentication.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.exceptions import CertificateError, ConfigurationError

from .reading import Problem, attempt

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence

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


class Material(NamedTuple):
    """A certificate with the key it belongs to, and whatever other certificates came along."""

    name: str
    certificate: Certificate
    key: PrivateKeyTypes
    chain: tuple[Certificate, ...]


def assemble(found: Sequence[Contents]) -> Material | Problem:
    """Find the certificate and the key that belong together.

    Args:
        found: what lies in each source.

    Returns:
        The pair, or the whole sentence that says what is wrong.
    """
    for contents in found:
        if contents.problem:
            return Problem(contents.problem.reason, f"{contents.name} {contents.problem.text}")
    names = " and ".join(contents.name for contents in found)
    kinds = "; ".join(contents.kind for contents in found)
    certificates = [(c, contents.name) for contents in found for c in contents.certificates]
    keys = [key for contents in found for key in contents.keys]
    if not certificates:
        return Problem("no-certificate", f"there is no certificate in {names} ({kinds})")
    if not keys:
        return Problem("no-key", f"there is no private key in {names} ({kinds})")
    for key in keys:
        for certificate, name in certificates:
            if belongs(key, certificate):
                chain = tuple(other for other, _ in certificates if other is not certificate)
                return Material(name, certificate, key, chain)
    return Problem(
        "mismatch",
        f"the private key and the certificate in {names} do not belong together; "
        "give the key that this very certificate was made with",
    )


def belongs(key: PrivateKeyTypes, certificate: Certificate) -> bool:
    """Tell whether a certificate was made for a private key."""
    public = public_key(certificate)
    return public is not None and key.public_key() == public


def public_key(certificate: Certificate) -> CertificatePublicKeyTypes | None:
    """Return a certificate's public key, or None when it is of no known kind."""
    return attempt(certificate.public_key)


def fitness(
    certificate: Certificate, now: datetime | None = None
) -> tuple[list[Problem], list[str]]:
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
        text = f"is not valid before {day(starts)}; wait until then, or see that the clock, now "
        problems.append(Problem("not-yet-valid", f"{text}{day(now)}, is right"))
    if now >= ends:
        problems.append(Problem("expired", f"expired on {day(ends)}; {REMEDY}"))
    elif now >= ends - EXPIRY_WARNING:
        warnings.append(
            f"expires on {day(ends)} ({(ends - now).days} days left); {REMEDY} before that"
        )
    return problems, warnings


def _moment(now: datetime | None) -> datetime:
    """Return the time to judge by, in UTC, as `day` writes it."""
    if now is None:
        return datetime.now(UTC)
    if not isinstance(now, datetime) or now.utcoffset() is None:
        message = "now must be a timezone-aware datetime, such as datetime.now(timezone.utc)"
        raise ConfigurationError(message)
    return now.astimezone(UTC)


def _key_problems(certificate: Certificate) -> list[Problem]:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = public_key(certificate)
    wanted = f"Betfair wants RSA of at least {MIN_BITS} bits; {REMEDY}"
    if not isinstance(public, rsa.RSAPublicKey):
        kind = type(public).__name__.removesuffix("PublicKey") if public else "unknown"
        return [Problem("weak", f"has a key of the kind {kind}; {wanted}")]
    if public.key_size < MIN_BITS:
        return [Problem("weak", f"has an RSA key of only {public.key_size} bits; {wanted}")]
    return []


def _usage_problems(certificate: Certificate) -> list[Problem]:
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    extensions = attempt(lambda: list(certificate.extensions))
    if extensions is None:
        return [Problem("damaged", f"has extensions that cannot be read; {REMEDY}")]
    allowing = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    for extension in extensions:
        usage = extension.value
        if isinstance(usage, ExtendedKeyUsage) and allowing.isdisjoint(usage):
            text = f"does not allow client authentication (extendedKeyUsage); {REMEDY}"
            return [Problem("usage", text)]
    return []


def day(moment: datetime) -> str:
    """Write a moment for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def hand_over(material: Material, context: ssl.SSLContext) -> None:
    """Load a certificate, its chain and its key into a TLS context.

    Args:
        material: the certificate and its key.
        context: will present them.

    Raises:
        CertificateError: the TLS library's policy refuses them, or there is no place to hand
            them over.
    """
    problem = _load(material, context)
    if problem:
        message = f"the certificate in {material.name} is no use here: {problem}"
        raise CertificateError(message, reason="tls")


def _load(material: Material, context: ssl.SSLContext) -> str | None:
    import ssl

    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    # Whoever finds what a killed process left behind finds a key that nothing opens any more.
    password = secrets.token_hex(32).encode()
    key = material.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )
    chain = [each.public_bytes(Encoding.PEM) for each in (material.certificate, *material.chain)]
    try:
        with _as_path(b"".join([*chain, key])) as path:
            context.load_cert_chain(path, password=password)
    except ssl.SSLError as error:
        return f"the TLS library does not take it ({error.reason})"
    except OSError as error:
        return f"it cannot be handed to the TLS library ({error.strerror})"
    return None


@contextlib.contextmanager
def _as_path(content: bytes) -> Iterator[str]:
    memory = _memory_file()
    if memory is not None:
        with open(memory, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{memory}"
        return
    descriptor, path = tempfile.mkstemp(prefix="betfair-session-")  # 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        Path(path).unlink()


def _memory_file() -> int | None:
    """Open a file that has no name and is closed on exec; None where the system has none."""
    if sys.platform == "linux" and Path("/proc/self/fd").is_dir():
        with contextlib.suppress(OSError):
            return os.memfd_create("betfair-session")
    return None
