"""Checks whether Betfair would accept a certificate and its key, and loads them into TLS.

Betfair's guide to the non-interactive login asks for a certificate that is self-signed, RSA with
2048 bits, and for client authentication.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from betfair_session.exceptions import CertificateError, ConfigurationError
from betfair_session.process import NamedTuple
from betfair_session.process.causes import quietly

from .reading import attempt

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
"""The smallest RSA key in Betfair's current guide; older text also allowed 1024."""

EXPIRY_WARNING = timedelta(days=30)
"""How long before a certificate's end the warning starts."""

REMEDY = "make a new one (betfair-session certificate create) and upload it to Betfair"


class Material(NamedTuple):
    """A certificate with its private key, and the other certificates from the same sources."""

    name: str
    certificate: Certificate
    key: PrivateKeyTypes
    chain: tuple[Certificate, ...]


def assemble(found: Sequence[Contents]) -> Material:
    """Find the certificate and the key that belong together; CertificateError if none do."""
    for contents in found:
        if contents.problem:
            raise contents.problem
    names = " and ".join(contents.name for contents in found)
    kinds = "; ".join(contents.kind for contents in found)
    certificates = [(c, contents.name) for contents in found for c in contents.certificates]
    keys = [key for contents in found for key in contents.keys]
    now = datetime.now(UTC)
    for key in keys:
        fitting = [(c, name) for c, name in certificates if belongs(key, c)]
        if fitting:  # several, if a certificate was renewed with the same key
            valid = (
                (c, name)
                for c, name in fitting
                if c.not_valid_before_utc <= now < c.not_valid_after_utc
            )
            certificate, name = next(valid, fitting[0])
            chain = tuple(c for c, _ in certificates if not belongs(key, c))
            return Material(name, certificate, key, chain)
    if certificates and keys:
        message = (
            f"the private key and the certificate in {names} do not belong together; "
            "give the key with which this certificate was made"
        )
        raise CertificateError(message, reason="mismatch")
    lacking = "private key" if certificates else "certificate"
    message = (
        f"there is no {lacking} in {names} ({kinds}); give both, certificate=(crt, key), or in "
        "BETFAIR_CERT_FILE and BETFAIR_KEY_FILE (as text, BETFAIR_CERT_PEM and BETFAIR_KEY_PEM)"
    )
    raise CertificateError(message, reason="no-key" if certificates else "no-certificate")


def belongs(key: PrivateKeyTypes, certificate: Certificate) -> bool:
    """Return whether a certificate was made for a private key."""
    public = public_key(certificate)
    return public is not None and key.public_key() == public


def public_key(certificate: Certificate) -> CertificatePublicKeyTypes | None:
    """Return a certificate's public key, or None if its kind is not known."""
    return attempt(certificate.public_key)


def key_text(public: object) -> str:
    """Describe the kind and size of a public key, such as "RSA, 2048 bits"."""
    kind = type(public).__name__.removesuffix("PublicKey") if public else "unknown kind"
    size = getattr(public, "key_size", None)
    return f"{kind}, {size} bits" if size else kind


def fitness(
    certificate: Certificate, name: str, now: datetime | None = None
) -> tuple[list[CertificateError], list[str]]:
    """Return the problems that make a certificate unfit for Betfair, and warnings.

    `now` is the time to check the dates by; None for the clock's.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if now is None:
        now = datetime.now(UTC)
    elif not isinstance(now, datetime) or now.utcoffset() is None:
        message = "now must be a timezone-aware datetime, such as datetime.now(timezone.utc)"
        raise ConfigurationError(message)
    public, starts = public_key(certificate), certificate.not_valid_before_utc
    ends = certificate.not_valid_after_utc
    strong = isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_BITS
    extensions = attempt(lambda: [each.value for each in certificate.extensions])
    allowing = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    usages = [each for each in extensions or () if isinstance(each, ExtendedKeyUsage)]
    weak = f"has an unfit key ({key_text(public)}): Betfair wants RSA of at least {MIN_BITS} bits"
    early = f"is not valid before {day(starts)}; the clock says "
    # By the error's reason: whether it applies, and the rest of the message.
    judged = {
        "weak": (not strong, f"{weak}; {REMEDY}"),
        "damaged": (extensions is None, f"has extensions that cannot be read; {REMEDY}"),
        "usage": (
            any(map(allowing.isdisjoint, usages)),
            f"does not allow client authentication (extendedKeyUsage); {REMEDY}",
        ),
        "not-yet-valid": (now < starts, f"{early}{day(now)}: wait, or correct it"),
        "expired": (now >= ends, f"expired on {day(ends)}; {REMEDY}"),
    }
    it = f"the certificate in {name}"
    problems = [
        CertificateError(f"{it} {text}", reason=reason)
        for reason, (so, text) in judged.items()
        if so
    ]
    soon = ends - EXPIRY_WARNING <= now < ends
    days = f"{it} expires on {day(ends)} ({(ends - now).days} days left); {REMEDY} before that"
    return problems, [days] if soon else []


def day(moment: datetime) -> str:
    """Format a moment for people."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def hand_over(material: Material, context: ssl.SSLContext | None = None) -> None:
    """Load a certificate, its chain and its key into a TLS context, or raise a CertificateError.

    Without a context, only try whether that can be done.
    """
    import ssl

    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    # A killed process may leave the file behind: nothing can decrypt the key in it any more.
    password = secrets.token_hex(32).encode()
    key = material.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )
    chain = [each.public_bytes(Encoding.PEM) for each in (material.certificate, *material.chain)]
    try:
        context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with _as_path(b"".join([*chain, key])) as path:
            context.load_cert_chain(path, password=password)
    except OSError as error:  # one of the TLS library's has a reason of its own
        why = getattr(error, "reason", None) or error.strerror
        message = f"the TLS library cannot load the certificate in {material.name}: {why}"
        raise CertificateError(message, reason="tls") from None


@contextlib.contextmanager
def _as_path(content: bytes) -> Iterator[str]:
    """Put content where the TLS library can read it: in memory on Linux, else in a private file."""
    descriptor, path = _memory_file() or tempfile.mkstemp(prefix="betfair-session-")  # 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            yield path
    finally:
        if not path.startswith("/proc/"):
            quietly(os.unlink, path)  # on Windows a virus scanner may have it open


def _memory_file() -> tuple[int, str] | None:
    """Open a file that has no name and is closed on exec; None where the system has none."""
    if sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
        # A Python that was built with a glibc before 2.27 does not know it.
        with contextlib.suppress(OSError, AttributeError):
            descriptor = os.memfd_create("betfair-session")
            return descriptor, f"/proc/self/fd/{descriptor}"
    return None
