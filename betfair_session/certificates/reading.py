"""Where the parts of a certificate come from, and what lies in them.

What is wrong with a file's content is a sentence in the result and not an exception: so no error of
the parsing library, with what it may carry, travels further.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeAlias, TypeVar, Union

from betfair_session.exceptions import CertificateError
from betfair_session.process.threads import interruption
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate


P = ParamSpec("P")
T = TypeVar("T")

StrPath: TypeAlias = Union[str, "os.PathLike[str]"]
"""A file's path."""

MAX_FILE_BYTES = 256 * 1024
"""The largest certificate file that is read; a chain of certificates takes a few KiB."""

_MAX_PATH = 1024  # characters
_MAX_PARTS = 100  # of one PEM file
_BLOCK = re.compile(
    rb"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=label)-----", re.DOTALL
)
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----")
# Above a traditional encrypted key; the second ends with the IV, as long as a cipher block.
_HEADERS = re.compile(
    rb"\s*(Proc-Type: ?4,ENCRYPTED)\s*"
    rb"(DEK-Info: ?(?:AES-[0-9]+-CBC,[0-9A-Fa-f]{32}|DES-[A-Z0-9-]+,[0-9A-Fa-f]{16}))"
)
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_KEYS = frozenset(f"{kind}PRIVATE KEY" for kind in ("", "ENCRYPTED ", "RSA ", "EC ", "DSA "))
# An outer SEQUENCE of any length form, then version 3: this starts a PKCS#12 file and no other.
_PKCS12 = re.compile(rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83.{3}|\x84.{4})\x02\x01\x03", re.DOTALL)


class Problem(NamedTuple):
    """Why a certificate cannot be used.

    Attributes:
        reason: as in `CertificateError`.
        text: the same as the rest of a sentence that starts with the file's name.
    """

    reason: str
    text: str


class Source(NamedTuple):
    """One part of a certificate: a file, or what the caller holds in memory.

    Attributes:
        name: the path, or what to call the piece of memory.
        content: the piece itself, its bytes as Latin-1 text; None for a file.
    """

    name: str
    content: Secret | None = None

    def read(self) -> bytes:
        """Return the bytes, read anew each time; CertificateError if that is not possible."""
        if self.content is not None:
            return self.content.reveal().encode("latin-1")
        try:
            with open(self.name, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError) as error:
            if interruption(error):
                raise
            reason, problem = _why_unreadable(self.name, error)
        else:
            reason, problem = "format", f"{self.name} is too large for a certificate file"
            if len(content) <= MAX_FILE_BYTES:
                return content
        raise CertificateError(problem, reason=reason)

    def plain_pem_key(self) -> bool | None:
        """Tell whether this PEM file holds a key; None for an encrypted one, or another file."""
        content = b"" if self.content else self.read()
        if b"-----BEGIN " not in content or b"ENCRYPTED" in content:
            return None
        return b"PRIVATE KEY-----" in content


def of_paths(values: list[object]) -> tuple[Source, ...]:
    """Take files by their paths.

    Args:
        values: the paths. The list is emptied, so that no traceback shows a key that was pasted
            where its path belongs.

    Raises:
        CertificateError: one of them cannot be a path.
    """
    found = tuple(map(_of_path, values))
    values.clear()
    for each in found:
        if isinstance(each, str):
            raise CertificateError(each)
    return tuple(each for each in found if isinstance(each, Source))


def _of_path(value: object) -> Source | str:
    """Return a file by its path, or why `value` cannot be one."""
    if not isinstance(value, str | os.PathLike):
        return f"a certificate file is given by its path, not by {type(value).__name__}"
    path = os.fsdecode(value)
    # A key pasted where its path belongs must not come back in "no such file: …".
    if not path or len(path) > _MAX_PATH or "-----BEGIN" in path or not path.isprintable():
        return (
            f"a text of {len(path)} characters was given where the path of a certificate file "
            "belongs; for its content there are Certificate.from_pem and from_pkcs12_base64"
        )
    return Source(os.path.expanduser(path))  # a `.env` file has no shell that would do it


def of_bytes(name: str, content: bytes) -> Source:
    """Take what the caller holds in memory."""
    return Source(name, Secret(content.decode("latin-1")))


def wrapped(value: str | bytes | Secret) -> Secret:
    """Wrap a text that a caller gave, before a traceback can show it; `checked` says if it is one.

    Bytes are text in UTF-8. Others stay the same bytes: a passphrase need not be UTF-8.
    """
    return Secret(value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value)


def checked(name: str, value: Secret) -> str:
    """Return the text that a caller gave; without a type checker it may be anything."""
    text: object = value.reveal()
    kind = type(text).__name__
    if isinstance(text, str):
        return text
    del text  # no traceback may show it
    message = f"{name} is given as a text or as bytes, not as {kind}"
    raise CertificateError(message)


def _why_unreadable(name: str, error: OSError | ValueError) -> tuple[str, str]:
    """Return the reason and the message."""
    if isinstance(error, FileNotFoundError):
        start = "" if os.path.isabs(name) else ", seen from the working directory"
        return "missing", f"there is no certificate file {name}{start}"
    if os.path.isdir(name):  # Path.is_dir raises below a directory that is closed to us
        return "unreadable", f"{name} is a directory; give the path of the certificate file itself"
    if isinstance(error, PermissionError):
        return (
            "unreadable",
            f"{name} may not be read by this user; look at its permissions and its directory's",
        )
    why = error.strerror if isinstance(error, OSError) else "not a valid path"
    return "unreadable", f"{name} cannot be read: {why}"


_DAMAGED = Problem("damaged", "holds a damaged certificate")


class Contents(NamedTuple):
    """What was found in one file or piece of memory.

    Attributes:
        name: the file's path, or what to call the piece.
        kind: what it is, in words.
        certificates: the certificates in it, in order.
        keys: the private keys in it, in order.
        problem: why it cannot be used, or None.
    """

    name: str
    kind: str
    certificates: tuple[Certificate, ...] = ()
    keys: tuple[PrivateKeyTypes, ...] = ()
    problem: Problem | None = None


def look(content: bytes, name: str, passphrase: Secret | None) -> Contents:
    """Find out what the bytes of a file hold; a passphrase that is not needed is ignored."""
    password = None
    if passphrase:
        # The very bytes that the environment held; if there are none, what opens nothing.
        text = passphrase.reveal
        password = attempt(lambda: text().encode("utf-8", "surrogateescape")) or b"\xff"
    if not content.strip():
        return Contents(name, "empty", problem=Problem("format", "is empty"))
    if _BEGIN.search(content):
        return _look_at_pem(content, name, password)
    if _PKCS12.match(content):
        return _look_at_pkcs12(content, name, password)
    problem = "holds neither PEM text nor a PKCS#12 file"
    if content.startswith(b"\x30"):  # how everything in DER form starts
        problem += "; turn a file in DER form into PEM: openssl x509 (or pkey) -inform DER"
    return Contents(name, "unknown", problem=Problem("format", problem))


def _look_at_pem(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificates: list[Certificate] = []
    keys: list[PrivateKeyTypes] = []
    kinds: list[str] = []
    problem = None
    begun = len(_BEGIN.findall(content))
    if begun > _MAX_PARTS:  # the search for each end takes time
        problem = Problem("format", f"holds more than {_MAX_PARTS} parts")
        return Contents(name, "PEM", problem=problem)
    for block in _BLOCK.finditer(content):
        pem, label = _with_lines(block), block["label"].decode()
        kind = label.lower()
        if label in _CERTIFICATES:
            certificate = attempt(_sound, attempt(x509.load_pem_x509_certificate, pem))
            certificates += [certificate] if certificate else []
            problem = problem or (None if certificate else _DAMAGED)
        elif label in _KEYS:
            encrypted = label == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block["body"]
            kind = "encrypted private key" if encrypted else "private key"
            # To test whether the factors are primes stops all threads for 60 ms; the key is the
            # user's own, and `_consistent` tries its signature out.
            key = attempt(
                load_pem_private_key,
                pem,
                password if encrypted else None,
                unsafe_skip_rsa_key_validation=True,
            )
            key = attempt(_consistent, key)
            keys += [key] if key else []
            problem = problem or (None if key else _key_problem(encrypted, password))
        kinds.append(kind)
    if len(kinds) < begun:
        problem = problem or Problem("damaged", "is cut short: a BEGIN line has no END line")
    kind = "PEM: " + (", ".join(kinds) or "cut short")
    return Contents(name, kind, tuple(certificates), tuple(keys), problem)


def _with_lines(block: re.Match[bytes]) -> bytes:
    """Return a PEM block, with the lines that it lost in a one-line variable."""
    if b"\n" in block["body"]:
        return block[0]
    headers = _HEADERS.match(block["body"])
    body = b"".join(block["body"][headers.end() if headers else 0 :].split())
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    if headers:
        lines = [*headers.groups(), b"", *lines]
    label = block["label"]
    return b"\n".join([b"-----BEGIN %b-----" % label, *lines, b"-----END %b-----\n" % label])


_GIVE_PASSPHRASE = "give its passphrase, as `passphrase` or in BETFAIR_CERT_PASSPHRASE"  # noqa: S105 - a text


def _key_problem(encrypted: bool, password: bytes | None) -> Problem:  # noqa: FBT001 - a fact, no switch
    if not encrypted:
        return Problem("damaged", "holds a damaged private key, or one of an unsupported kind")
    if not password:
        return Problem("passphrase", f"holds an encrypted private key; {_GIVE_PASSPHRASE}")
    return Problem(
        "passphrase", "holds an encrypted private key that this passphrase does not open"
    )


def _look_at_pkcs12(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography.hazmat.primitives.serialization import pkcs12

    bundle = attempt(pkcs12.load_pkcs12, content, password)
    if bundle is None:
        problem = (
            "is a PKCS#12 file that this passphrase does not open, or it is damaged"
            if password
            else f"is a PKCS#12 file; {_GIVE_PASSPHRASE} (if it has none, the file is damaged)"
        )
        return Contents(name, "PKCS#12, not opened", problem=Problem("passphrase", problem))
    inside = [bundle.cert, *bundle.additional_certs]
    certificates = tuple(entry.certificate for entry in inside if entry)
    keys = (bundle.key,) if bundle.key else ()
    kinds = ["certificate"] * len(certificates) + ["private key"] * len(keys)
    kind = "PKCS#12: " + (", ".join(kinds) or "nothing in it")
    if not all(attempt(_sound, certificate) for certificate in certificates):
        return Contents(name, kind, problem=_DAMAGED)
    return Contents(name, kind, certificates, keys)


def _sound(certificate: Certificate | None) -> Certificate | None:
    """Return the certificate if what is parsed late, its dates and names, can be read as well."""
    if certificate:
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        _ = certificate.subject, certificate.issuer
    return certificate


def _consistent(key: PrivateKeyTypes | None) -> PrivateKeyTypes | None:
    """Return the key if what it signs is what it should be: a damaged one signs something else."""
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256

    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(b"", padding.PKCS1v15(), SHA256())
        key.public_key().verify(signature, b"", padding.PKCS1v15(), SHA256())
    return key


def attempt(parse: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """Call a parser; None stands for every error of it."""
    try:
        return parse(*args, **kwargs)
    except Exception as error:  # the parser has many kinds of error; all mean "not that"
        if interruption(error):
            raise
        return None
