"""Making a client certificate as Betfair wants it, and writing it to files."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from betfair_session.exceptions import CertificateError, ConfigurationError
from betfair_session.secret import Secret

from .fitness import MIN_BITS
from .reading import discreet

if TYPE_CHECKING:
    from collections.abc import Mapping
UPLOAD_PLACE = "My Account, Security, Automated Betting Program Access"
"""Where on Betfair's website the .crt is uploaded."""

_MAX_NAME = 64  # X.520's limit for a common name
_CLOCK_SKEW = timedelta(hours=1)
_NETSCAPE_CERT_TYPE = "2.16.840.1.113730.1.1"
_SSL_CLIENT = b"\x03\x02\x07\x80"  # DER: a bit string of one bit, "SSL client"


def create(common_name: str, days: int = 365) -> tuple[str, Secret]:
    """Make a private key and the self-signed certificate to upload to Betfair, as PEM text.

    The extensions are those of Betfair's guide to the non-interactive login. The name is whom it is
    for, 1 to 64 printable characters, or a ConfigurationError; Betfair gives it no meaning.
    """
    if not (0 < len(common_name) <= _MAX_NAME and common_name.isprintable()):
        message = f"the common name must be 1 to {_MAX_NAME} printable characters"
        raise ConfigurationError(message)

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    key = rsa.generate_private_key(public_exponent=65537, key_size=MIN_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    others = "content_commitment data_encipherment key_agreement key_cert_sign crl_sign"
    usages = dict.fromkeys([*others.split(), "encipher_only", "decipher_only"], False)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - _CLOCK_SKEW,
        not_valid_after=now + timedelta(days=days),
    )
    for extension in (
        x509.BasicConstraints(ca=False, path_length=None),
        x509.KeyUsage(digital_signature=True, key_encipherment=True, **usages),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.UnrecognizedExtension(ObjectIdentifier(_NETSCAPE_CERT_TYPE), _SSL_CLIENT),
    ):
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), Secret(pem.decode())


@discreet
def write_files(
    directory: str | os.PathLike[str],
    name: str,
    crt_pem: str,
    key_pem: Secret,
    *,
    p12_passphrase: Secret | None = None,
) -> list[Path]:
    """Write a certificate and its key as files; all of them or none, and never over another.

    The files are .crt (to upload), .key, .pem (both in one), and .p12 if a passphrase for it is
    given. All but the .crt can be read by this user only, and so can missing directories that have
    to be made. CertificateError: a file exists already, or it or the directory cannot be made.
    ConfigurationError: `name` is not a plain file name, or the passphrase is empty.
    """
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:"'):
        message = f"{name!r} is not a plain file name"
        raise ConfigurationError(message)
    both = Secret(crt_pem + key_pem.reveal())
    contents = {".crt": Secret(crt_pem), ".key": key_pem, ".pem": both}
    if p12_passphrase is not None:
        contents[".p12"] = _pkcs12(name, crt_pem, key_pem, p12_passphrase)
    files = {Path(directory, name + ending): content for ending, content in contents.items()}
    _write_new(Path(directory), files)
    return list(files)


def _pkcs12(name: str, crt_pem: str, key_pem: Secret, passphrase: Secret) -> Secret:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        load_pem_private_key,
        pkcs12,
    )

    if not passphrase:
        message = "the .p12 file needs a passphrase that is not empty"
        raise ConfigurationError(message)
    key: Any = load_pem_private_key(key_pem.reveal().encode(), None)
    certificate = x509.load_pem_x509_certificate(crt_pem.encode())
    locked = BestAvailableEncryption(passphrase.reveal().encode("utf-8", "surrogateescape"))
    bundle = pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, None, locked)
    return Secret(bundle.decode("latin-1"))


def _write_new(directory: Path, files: Mapping[Path, Secret]) -> None:
    """Write all files, or none."""
    written: list[Path] = []
    try:
        for path in (*reversed(directory.parents), directory):
            if not path.is_dir():
                path.mkdir(0o700, exist_ok=True)  # another process may be faster
        for path, content in files.items():
            mode = 0o644 if path.suffix == ".crt" else 0o600
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
            written.append(path)
            with open(descriptor, "wb") as file:
                file.write(content.reveal().encode("latin-1"))
    except BaseException as error:
        for made in written:
            with contextlib.suppress(OSError):
                made.unlink()
        if not isinstance(error, OSError):
            raise
        exists = path in files and isinstance(error, FileExistsError)
        text = f"{path} cannot be written: {error.strerror}; no file was kept, and none replaced"
        raise CertificateError(text, reason="exists" if exists else "unwritable") from None


_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would turn line ends over otherwise
