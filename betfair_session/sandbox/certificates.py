"""The certificates of the sandbox: its servers' and its account holders'."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions

if TYPE_CHECKING:
    from pathlib import Path

_NETSCAPE_CERT_TYPE = ObjectIdentifier("2.16.840.1.113730.1.1")
_SSL_CLIENT = b"\x03\x02\x07\x80"  # a DER bit string with the first bit set
_DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": True,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


class Authority:
    """The authority that vouches for the sandbox's servers, made up anew for each sandbox."""

    def __init__(self, directory: Path) -> None:
        """Make it, and write its certificate to ca.pem in `directory`."""
        authority = trustme.CA(organization_name="betfair_session sandbox")
        self._server = authority.issue_cert("localhost", "127.0.0.1")
        self.bundle = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.bundle)

    def context(self, *, ask_certificate: bool = False) -> Any:  # noqa: ANN401 - Twisted is untyped here
        """Make the TLS context of a listener.

        Args:
            ask_certificate: ask for a client certificate and let any in, or none. Whether it is
                a known one is decided by the login, which answers CERT_AUTH_REQUIRED if not;
                Python's own ssl module could only refuse the handshake.
        """
        options = CertificateOptions(enableSessions=True, enableSessionTickets=True)
        context = options.getContext()
        self._server.configure_cert(context)
        if ask_certificate:
            context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return options


def make_client_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a client certificate as Betfair's page on non-interactive login asks for it, or find it.

    Args:
        directory: where `name`.crt and `name`.key go, readable by the owner alone.
        name: also the certificate's common name. The same name is the same certificate.

    Returns:
        The paths of certificate and key.
    """
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    if paths[1].exists():
        return paths
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .add_extension(x509.KeyUsage(**_DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_NETSCAPE_CERT_TYPE, _SSL_CLIENT), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_private(paths[0], certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(paths[1], private)
    return paths


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
