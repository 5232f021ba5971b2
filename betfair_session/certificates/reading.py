"""What lies in a certificate file.

Nothing here raises for what a file holds: a problem is a sentence in the result. So no exception of
the parsing library, with whatever it may carry, can travel further, and the same findings serve the
login and the explanation of a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from betfair_session.process.threads import interruption
from betfair_session.process.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

    from betfair_session.secret import Secret

P = ParamSpec("P")
T = TypeVar("T")

_BLOCK = re.compile(
    rb"-----BEGIN (?P<label>[A-Z0-9 ]+)-----(?P<body>.*?)-----END (?P=label)-----", re.DOTALL
)
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]+-----")
# What stands above the base64 text of a traditional encrypted key; the second ends with the IV, as
# long as the cipher's block.
_HEADERS = re.compile(
    rb"\s*(Proc-Type: ?4,ENCRYPTED)\s*"
    rb"(DEK-Info: ?(?:AES-[0-9]+-CBC,[0-9A-Fa-f]{32}|DES-[A-Z0-9-]+,[0-9A-Fa-f]{16}))"
)
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_KEYS = frozenset(
    {
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
    }
)
# An outer SEQUENCE of any length form, then version 3: this starts a PKCS#12 file and no other.
_PKCS12 = re.compile(rb"\x30(?:[\x00-\x80]|\x81.|\x82..|\x83.{3}|\x84.{4})\x02\x01\x03", re.DOTALL)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEQUENCE = b"\x30"
_MOST_PARTS = 100


class Contents(Value):
    """What was found in one file or piece of memory.

    Attributes:
        name: the file's path, or what to call the piece.
        kind: what it is, in words.
        certificates: the certificates in it, in order.
        keys: the private keys in it, in order.
        problem: why it cannot be used, as the rest of a sentence that starts with the name; or
            None.
    """

    name: str
    kind: str
    certificates: tuple[Certificate, ...] = ()
    keys: tuple[PrivateKeyTypes, ...] = ()
    problem: str | None = None


def look(content: bytes, name: str, passphrase: Secret | None) -> Contents:
    """Find out what `content` holds.

    Args:
        content: the bytes of a file.
        name: what to call it.
        passphrase: opens an encrypted key or a PKCS#12 file; not needed, it is ignored.

    Returns:
        What is there.
    """
    password = None
    if passphrase:
        # As the environment held it, if that is no UTF-8; else as something that opens nothing.
        text = passphrase.reveal
        password = attempt(lambda: text().encode("utf-8", "surrogateescape")) or b"\xff"
    if not content.strip():
        return Contents(name, "empty", problem="is empty")
    if _BEGIN.search(content):
        return _look_at_pem(content, name, password)
    if _PKCS12.match(content):
        return _look_at_pkcs12(content, name, password)
    if content.startswith(_UTF16):
        return Contents(
            name, "text in UTF-16", problem="is text in UTF-16; save it again as plain ASCII text"
        )
    return _look_at_der(content, name, password)


def _look_at_pem(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificates: list[Certificate] = []
    keys: list[PrivateKeyTypes] = []
    kinds: list[str] = []
    problem = None
    begun = len(_BEGIN.findall(content))
    if begun > _MOST_PARTS:  # looking for the end of each takes its time
        return Contents(name, "PEM", problem=f"holds more than {_MOST_PARTS} parts")
    for block in _BLOCK.finditer(content):
        pem, label = _with_lines(block), block["label"].decode()
        kind = label.lower()
        if label in _CERTIFICATES:
            certificate = attempt(_sound, attempt(x509.load_pem_x509_certificate, pem))
            certificates += [certificate] if certificate else []
            problem = problem or (None if certificate else "holds a damaged certificate")
        elif label in _KEYS:
            encrypted = label == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block["body"]
            kind = "encrypted private key" if encrypted else "private key"
            secret = password if encrypted else None
            key = attempt(_consistent, _load_key(load_pem_private_key, pem, secret))
            keys += [key] if key else []
            problem = problem or (None if key else _key_problem(encrypted, password))
        kinds.append(kind)
    if len(kinds) < begun:
        problem = problem or "is cut short: a BEGIN line has no END line"
    kind = "PEM: " + (", ".join(kinds) or "cut short")
    return Contents(name, kind, tuple(certificates), tuple(keys), problem)


def _with_lines(block: re.Match[bytes]) -> bytes:
    """Return a PEM block, with the lines it lost if it went through a one-line variable."""
    if b"\n" in block["body"]:
        return block[0]
    headers = _HEADERS.match(block["body"])
    body = b"".join(block["body"][headers.end() if headers else 0 :].split())
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    if headers:
        lines = [*headers.groups(), b"", *lines]
    label = block["label"]
    return b"\n".join([b"-----BEGIN %b-----" % label, *lines, b"-----END %b-----\n" % label])


def _key_problem(encrypted: bool, password: bytes | None) -> str:  # noqa: FBT001 - a fact, no switch
    if not encrypted:
        return "holds a damaged private key, or one of an unsupported kind"
    if not password:
        return "holds an encrypted private key; give its passphrase"
    return "holds an encrypted private key that this passphrase does not open"


def _look_at_pkcs12(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography.hazmat.primitives.serialization import pkcs12

    bundle = attempt(pkcs12.load_pkcs12, content, password)
    if bundle is None:
        problem = (
            "is a PKCS#12 file that this passphrase does not open, or it is damaged"
            if password
            else "is a PKCS#12 file; give its passphrase (if it has none, the file is damaged)"
        )
        return Contents(name, "PKCS#12, not opened", problem=problem)
    inside = [bundle.cert, *bundle.additional_certs]
    certificates = tuple(entry.certificate for entry in inside if entry)
    keys = (bundle.key,) if bundle.key else ()
    kinds = ["certificate"] * len(certificates) + ["private key"] * len(keys)
    kind = "PKCS#12: " + (", ".join(kinds) or "nothing in it")
    if not all(attempt(_sound, certificate) for certificate in certificates):
        return Contents(name, kind, problem="holds a damaged certificate")
    return Contents(name, kind, certificates, keys)


def _look_at_der(content: bytes, name: str, password: bytes | None) -> Contents:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    advice = "Betfair takes PEM; turn it into that: openssl {} -inform DER -in {} -out {}"
    if content.startswith(_SEQUENCE):
        certificate = attempt(_sound, attempt(x509.load_der_x509_certificate, content))
        if certificate:
            problem = f"is in DER form; {advice.format('x509', name, 'client.crt')}"
            return Contents(name, "DER: certificate", (certificate,), problem=problem)
        key = _load_key(load_der_private_key, content, None)
        key = attempt(_consistent, key or _load_key(load_der_private_key, content, password))
        if key:
            problem = f"is in DER form; {advice.format('pkey', name, 'client.key')}"
            return Contents(name, "DER: private key", keys=(key,), problem=problem)
        if attempt(x509.load_der_x509_csr, content):
            return Contents(
                name, "DER: certificate request", problem="is a request, not a certificate"
            )
    return Contents(name, "unknown", problem="holds neither PEM text nor a PKCS#12 file")


def _sound(certificate: Certificate | None) -> Certificate | None:
    """Return the certificate if what is parsed late, its dates and names, can be read as well."""
    if certificate:
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        _ = certificate.subject, certificate.issuer
    return certificate


def _load_key(
    load: Callable[..., PrivateKeyTypes], content: bytes, password: bytes | None
) -> PrivateKeyTypes | None:
    """Load a private key, or None.

    Without the tests whether an RSA key's factors are primes, which are for keys of strangers:
    they take some 60 ms, in which no other thread runs. This one is the user's own, its signature
    is tried out in `_consistent`, and it has to match the certificate.
    """
    return attempt(load, content, password, unsafe_skip_rsa_key_validation=True)


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
