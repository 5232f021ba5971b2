"""Reads the parts of a certificate from files or memory, and finds out what they hold."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

from betfair_session.arguments import is_path, pinned
from betfair_session.exceptions import CertificateError
from betfair_session.process import NamedTuple
from betfair_session.process.causes import unless_interrupted
from betfair_session.secret import Secret, SecretBytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate


P = ParamSpec("P")
T = TypeVar("T")

StrPath: TypeAlias = str | os.PathLike[str]
"""A file's path."""

_ABSENT = "; correct its path, or make one (betfair-session certificate create) if you have none"
_ENDINGS = (".cer", ".cert", ".crt", ".der", ".key", ".p12", ".pem", ".pfx")
# Where containers and systemd put files, whose names often have none of these endings.
_SECRETS = ("/run/secrets/", "/var/run/secrets/", "/run/credentials/")

MAX_FILE_BYTES = 256 * 1024
"""The largest certificate file that is read; a chain of certificates takes a few KiB."""

_BLOCK = (  # patterns, compiled when a certificate is read, not at each start
    rb"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>[^-]*(?:-(?!----)[^-]*)*)"
    rb"(?P<end>-----END (?P=label)-----)?"
)
_HEADERS = rb"\s*(Proc-Type: \S+)\s+(DEK-Info: \S+)"
# In DER, only a PKCS#12 file starts like this: a sequence whose first part is version 3.
_PKCS12 = rb"(?s)\x30.{1,5}\x02\x01\x03"


class Source:
    """One part of a certificate: a file, or bytes in memory.

    No tuple: some tools show what is in those, whatever the repr shows.

    Attributes:
        name: the path, or a description of the bytes.
        content: the bytes; None for a file.
        public: whether the name is known to be no password.
    """

    public = False

    def __init__(self, name: str, content: SecretBytes | None = None) -> None:
        """Keep them."""
        self.name, self.content = name, content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.name, self.content))

    def read(self) -> bytes:
        """Return the bytes, reading a file anew each time; CertificateError if it fails."""
        if self.content is not None:
            return self.content
        try:
            with open(self.name, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except unless_interrupted(OSError, ValueError) as error:
            reason = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            why = getattr(error, "strerror", None) or "not a valid path"
            more = _ABSENT if reason == "missing" else ""
            if any(part.strip(" \"'") != part for part in Path(self.name).parts):
                more = "; it has blanks or quotes around it"
            elif self.shown != self.name:
                more = "; its name is not shown, as it may be a password in the wrong place"
            message = f"the certificate file {self.shown} cannot be read: {why}{more}"
            raise CertificateError(message, reason=reason) from None
        if len(content) > MAX_FILE_BYTES:
            message = f"{self.name} is too large for a certificate file"
            raise CertificateError(message, reason="format")
        return content

    @property
    def shown(self) -> str:
        """The name for people: of a path that may be a password, only the part that exists."""
        usual = self.name.lower().endswith(_ENDINGS) or self.name.startswith(_SECRETS)
        if self.content is not None or self.public or usual or os.path.exists(self.name):
            return self.name
        parents = (str(each) for each in Path(self.name).parents if os.path.exists(each))
        return os.path.join(next(parents, ""), "…")


def of_path(value: object) -> Source:
    """Take a file by its path."""
    if not isinstance(value, str | os.PathLike):
        kind = type(value).__name__
        message = f"a certificate must be a path, a pair of paths, or bytes, not {kind}"
        raise CertificateError(message)
    path = os.fsdecode(value)
    if not is_path(path):  # it may be a key, which must not show in "no such file: …"
        raise CertificateError(
            f"a text of {len(path)} characters is not the path of a certificate file; to give a "
            "file's content, use Certificate.from_pem or from_pkcs12_base64, or the variables "
            "BETFAIR_CERT_PEM and BETFAIR_KEY_PEM or BETFAIR_PKCS12_BASE64"
        )
    return Source(os.path.expanduser(path))


def of_paths(crt: object, key: object = None) -> tuple[Source, ...]:
    """Take one file with everything, or a certificate and its key."""
    given = (crt,) if key is None else (crt, key)
    parts = tuple(Source(pinned(of_path(each).name)) for each in given)
    pkcs12 = parts[0].name.lower().endswith((".p12", ".pfx"))
    if pkcs12 and not all(os.path.exists(part.name) for part in parts[1:]):
        raise CertificateError(  # which does not name what is most likely the passphrase
            "the second of two paths is no file; give the passphrase of a PKCS#12 file to "
            "Certificate.from_pkcs12, or in BETFAIR_CERT_PASSPHRASE"
        )
    return parts


def of_text(name: str, value: object) -> Secret:
    """Take text or bytes as text; bytes that are not UTF-8 can be encoded back exactly."""
    value = value.reveal() if isinstance(value, Secret) else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        message = f"{name} must be text or bytes, not {type(value).__name__}"
        raise CertificateError(message)
    return Secret(value)


def of_pem(name: str, value: object) -> Source:
    r"""Take PEM text, where a line end may also be written as the two characters `\n`."""
    text = of_text(name, value).reveal().encode("ascii", "replace")  # PEM is ASCII
    return Source(name, SecretBytes(text.replace(rb"\r", b"").replace(rb"\n", b"\n")))


def of_base64(name: str, value: object) -> Source:
    """Take base64 text; blanks and line ends in it are ignored."""
    import base64

    text = "".join(of_text(name, value).reveal().replace("\\r", "").replace("\\n", "").split())
    content = attempt(base64.b64decode, text, validate=True)
    if content is None:
        raise CertificateError(f"{name} is not base64; encode the whole .p12 file")
    return Source(name, SecretBytes(content))


class Contents(NamedTuple):
    """What one source holds, in order, or why it cannot be used."""

    name: str
    kind: str  # in words
    certificates: tuple[Certificate, ...] = ()
    keys: tuple[PrivateKeyTypes, ...] = ()
    problem: CertificateError | None = None


def need_cryptography() -> None:
    """Raise a CertificateError if the package for certificates cannot be loaded."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import pkcs12

        del x509, pkcs12
    except ImportError as error:
        why = error.msg
        message = f"the package cryptography cannot be loaded ({why}): install it for this platform"
        raise CertificateError(message, reason="package") from None


def look(source: Source, passphrase: Secret | None) -> Contents:
    """Find out what a source holds; a passphrase that is not needed is ignored."""
    need_cryptography()
    content, password, name = source.read(), None, source.name
    if passphrase:
        # The exact bytes of the environment; for text that has none, a password that opens nothing.
        text = passphrase.reveal
        password = attempt(lambda: text().encode("utf-8", "surrogateescape")) or b"\xff"
    if re.search(_BLOCK, content):
        return _look_at_pem(content, name, password)
    if re.match(_PKCS12, content):
        return _look_at_pkcs12(content, name, password)
    kind, what = "unknown", "holds neither PEM text nor a PKCS#12 file"
    if not content.strip():
        kind, what = "empty", "is empty"
    return Contents(name, kind, problem=CertificateError(f"{name} {what}", reason="format"))


def _look_at_pem(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificates: list[Certificate] = []
    keys: list[PrivateKeyTypes] = []
    kinds: list[str] = []
    problems: list[CertificateError] = []
    for block in re.finditer(_BLOCK, content):
        pem, kind = _with_lines(block), block["label"].decode().lower()
        if not block["end"]:
            kind += ", cut short"
            cut = f"{name} is cut short: a BEGIN line has no END"
            problems.append(CertificateError(cut, reason="damaged"))
        elif kind == "certificate":
            certificate = attempt(_sound, attempt(x509.load_pem_x509_certificate, pem))
            certificates += [certificate] if certificate else []
            problems += [] if certificate else [_damaged(name, "certificate")]
        elif kind.endswith("private key"):
            encrypted = b"ENCRYPTED" in block[0]
            kind = "encrypted private key" if encrypted else "private key"
            key = attempt(load_pem_private_key, pem, password if encrypted else None)
            keys += [key] if key else []
            if encrypted and not key:
                problems.append(_locked(f"{name} holds an encrypted private key", password))
            elif not key:
                problems.append(_damaged(name, "private key, or one of an unsupported kind"))
        kinds.append(kind)
    problem = problems[0] if problems else None
    return Contents(name, f"PEM: {', '.join(kinds)}", tuple(certificates), tuple(keys), problem)


def _with_lines(block: re.Match[bytes]) -> bytes:
    """Return a PEM block, with the line ends restored that a one-line variable lost."""
    if b"\n" in block["body"]:
        return block[0]
    label, body = block["label"], block["body"]
    head = re.match(_HEADERS, body)  # of a key that older OpenSSL has encrypted
    lines = [*head.groups(), b""] if head else []
    lines += re.findall(rb".{1,64}", b"".join(body[head.end() if head else 0 :].split()))
    return b"\n".join([b"-----BEGIN %b-----" % label, *lines, b"-----END %b-----\n" % label])


def _damaged(name: str, what: str) -> CertificateError:
    return CertificateError(f"{name} holds a damaged {what}", reason="damaged")


def _locked(what: str, password: bytes | None) -> CertificateError:
    advice = "give its passphrase, as `passphrase` or in BETFAIR_CERT_PASSPHRASE"
    why = (
        "the given passphrase does not open it, or its cipher is not supported"
        if password
        else advice
    )
    return CertificateError(f"{what}; {why}", reason="passphrase")


def _look_at_pkcs12(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography.hazmat.primitives.serialization import pkcs12

    bundle = attempt(pkcs12.load_pkcs12, content, password)
    if bundle is None:
        locked = _locked(f"{name} is an encrypted or damaged PKCS#12 file", password)
        return Contents(name, "PKCS#12, not opened", problem=locked)
    inside = [entry.certificate for entry in (bundle.cert, *bundle.additional_certs) if entry]
    keys = (bundle.key,) if bundle.key else ()
    kinds = ["certificate"] * len(inside) + ["private key"] * len(keys)
    kind = f"PKCS#12: {', '.join(kinds) or 'nothing in it'}"
    certificates = tuple(each for each in inside if attempt(_sound, each))
    problem = None if len(certificates) == len(inside) else _damaged(name, "certificate")
    return Contents(name, kind, certificates, keys, problem)


def _sound(certificate: Certificate | None) -> Certificate | None:
    """Return a certificate, or raise if its dates or names, which are parsed late, are damaged."""
    if certificate:
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        _ = certificate.subject, certificate.issuer
    return certificate


def attempt(parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call a parser; return None if it raises any error."""
    try:
        return parse(*args, **kwargs)
    except unless_interrupted(Exception):  # the parser has many kinds; all mean "not that"
        return None
