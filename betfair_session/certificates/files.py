"""Makes, writes and explains the files of a client certificate."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from betfair_session.arguments import discreet
from betfair_session.exceptions import CertificateError, ConfigurationError
from betfair_session.process import NamedTuple
from betfair_session.secret import Secret, SecretBytes

from .fitness import (
    MIN_BITS,
    assemble,
    belongs,
    day,
    fitness,
    hand_over,
    key_text,
    public_key,
)
from .reading import Contents, look, need_cryptography, of_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.x509 import Certificate

    from .reading import StrPath

UPLOAD_PLACE = "My Account, Security, Automated Betting Program Access"
"""Where on Betfair's website the .crt is uploaded."""

_NAME = re.compile(r"""[^./\\:"][^/\\:"]*""")
_LONGEST_NAME = 64  # bytes in a common name, by X.520 as cryptography counts them
_CLOCK_SKEW = timedelta(hours=1)
_NETSCAPE_CERT_TYPE = "2.16.840.1.113730.1.1"
_SSL_CLIENT = b"\x03\x02\x07\x80"  # DER: a bit string of one bit, "SSL client"
_BINARY: int = getattr(os, "O_BINARY", 0)  # without it, Windows would change line ends


@discreet
def create(name: str, days: int = 365, passphrase: Secret | None = None) -> dict[str, bytes]:
    """Make a private key and the self-signed certificate to upload to Betfair.

    The extensions are those of Betfair's guide to the non-interactive login, which gives the name
    no meaning. The result holds the files' contents by their endings: .crt (to upload), .key, .pem
    (both in one), and .p12 if there is a passphrase for it. ConfigurationError: the name is not a
    plain file name of 1 to 64 characters.
    """
    if not (_NAME.fullmatch(name) and name.isprintable() and len(name.encode()) <= _LONGEST_NAME):
        raise ConfigurationError(f"{name!r} is not a plain file name of at most 64 characters")

    need_cryptography()
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import pkcs12
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

    key = rsa.generate_private_key(public_exponent=65537, key_size=MIN_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    others = "content_commitment data_encipherment key_agreement key_cert_sign crl_sign"
    usages = dict.fromkeys([*others.split(), "encipher_only", "decipher_only"], False)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
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
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    crt_pem = certificate.public_bytes(pem)
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    made = {".crt": crt_pem, ".key": key_pem, ".pem": crt_pem + key_pem}
    if passphrase:
        opens = passphrase.reveal().encode("utf-8", "surrogateescape")
        made[".p12"] = pkcs12.serialize_key_and_certificates(
            name.encode(), key, certificate, None, serialization.BestAvailableEncryption(opens)
        )
    return {ending: SecretBytes(content) for ending, content in made.items()}


@discreet
def write_files(
    directory: str | os.PathLike[str], name: str, contents: Mapping[str, bytes]
) -> list[Path]:
    """Write the files that `create` made: all of them or none, and never over an existing one.

    All but the .crt, and any directories made for them, can be read by this user only.
    CertificateError: a file exists already, or it or the directory cannot be made.
    """
    files = {Path(directory, name + ending): content for ending, content in contents.items()}
    home, written = Path(directory), list[Path]()
    try:
        for path in (*reversed(home.parents), home):
            if not path.is_dir():
                path.mkdir(0o700, exist_ok=True)  # another process may be faster
        for path, content in files.items():
            mode = 0o644 if path.suffix == ".crt" else 0o600
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
            written.append(path)
            with open(descriptor, "wb") as file:
                file.write(content)
    except BaseException as error:
        for made in written:
            with contextlib.suppress(OSError):
                made.unlink()
        if not isinstance(error, OSError):
            raise
        exists = path in files and isinstance(error, FileExistsError)
        text = f"{path} cannot be written: {error.strerror}; no file was added or replaced"
        raise CertificateError(text, reason="exists" if exists else "unwritable") from None
    return written


class FileReport(NamedTuple):
    """What one file holds, without secrets."""

    path: str
    kind: str  # such as "PEM: certificate, private key"
    facts: list[str]  # subject, dates, key sizes and fingerprint, one line each
    problems: list[str]  # why Betfair would not accept it, or why it cannot be used
    warnings: list[str]  # what may become a problem
    validity: list[str]  # from when to when each certificate is valid


@discreet
def explain(*paths: StrPath, passphrase: Secret | None = None) -> tuple[list[FileReport], str]:
    """Describe each file, and say whether Betfair would accept them together for a login.

    A lone certificate or a lone key is no problem.
    """
    found = []
    for path in paths:
        try:
            source = of_path(path)
            source.public = True  # the report shows it
            found.append(look(source, passphrase))
        except CertificateError as error:
            found.append(Contents(_printable(str(path))[:80], "not readable", problem=error))
    certificates = [certificate for contents in found for certificate in contents.certificates]
    keys = [key for contents in found for key in contents.keys]
    material = None
    with contextlib.suppress(CertificateError):  # each file's report says why
        material = assemble(found)
    judged = [material.certificate] if material else certificates
    files = [_report(contents, certificates, judged, bool(passphrase)) for contents in found]
    if material and not any(file.problems for file in files):
        try:
            hand_over(material)
        except CertificateError as error:  # such as a chain that OpenSSL finds too weak
            files[0].problems.append(str(error))
    if any(file.problems for file in files):
        return files, "Not fit for Betfair's certificate login: see the problems above."
    if certificates and keys:
        return files, "Fit for Betfair's certificate login, once the certificate is uploaded."
    if certificates:
        return files, "Fit to upload to Betfair; a login also needs its private key."
    if keys:
        return files, "A private key; a login also needs its certificate."
    return files, "Not usable for Betfair's certificate login: no certificate and no private key."


def _report(
    contents: Contents,
    certificates: Sequence[Certificate],
    judged: Sequence[Certificate],  # those that are for a login, as far as is known
    passphrase: bool,  # noqa: FBT001 - whether one was given
) -> FileReport:
    name = contents.name
    problems = [str(contents.problem)] if contents.problem else []
    report = FileReport(name, contents.kind, facts=[], problems=problems, warnings=[], validity=[])
    for certificate in contents.certificates:
        from cryptography.hazmat.primitives import hashes

        starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        report.validity.append(f"valid from {day(starts)} to {day(ends)}")
        issuer, subject = (
            named.rfc4514_string() for named in (certificate.issuer, certificate.subject)
        )
        report.facts.extend(
            (
                f"certificate for {_printable(subject) or '(no name)'}",
                f"issued by {'itself' if issuer == subject else _printable(issuer)}",
                report.validity[-1],
                f"key: {key_text(public_key(certificate))}",
                f"SHA-256 fingerprint: {certificate.fingerprint(hashes.SHA256()).hex(':')}",
            )
        )
        unfit, soon = fitness(certificate, name) if certificate in judged else ([], [])
        report.problems.extend(map(str, unfit))
        report.warnings.extend(soon)
    for key in contents.keys:
        report.facts.append(f"private key: {key_text(key.public_key())}")
        if certificates and not any(belongs(key, certificate) for certificate in certificates):
            problems.append(f"{name} holds a key that belongs to none of the certificates given")
    protected = "encrypted" in contents.kind or (passphrase and "PKCS#12" in contents.kind)
    if contents.keys and not protected and os.name == "posix" and os.stat(name).st_mode & 0o077:
        warning = f"{name} holds a private key that other users can access: chmod 600 it"
        report.warnings.append(warning)
    return report


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
