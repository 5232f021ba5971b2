"""The client certificate for certlogin, from files, text or bytes.

A `Certificate` only remembers where its parts are; they are read, checked and decrypted when a
login needs them. Resuming a stored session needs neither the files nor the cryptography package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from betfair_session.arguments import discreet
from betfair_session.exceptions import CertificateError
from betfair_session.process import NamedTuple
from betfair_session.secret import SecretBytes

from .reading import Source, look, of_base64, of_paths, of_pem, of_text

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from betfair_session.secret import Secret

    from .reading import StrPath


class Certificate(NamedTuple):
    """A client certificate and its key, from files or from memory; made by one of the `from_…`.

    Making one reads no file. Its repr shows the files' names and nothing else.

    Example:
        >>> Certificate.from_files("/run/secrets/client.crt", "/run/secrets/client.key")
        <Certificate from /run/secrets/client.crt, /run/secrets/client.key>
    """

    # Not public: where the parts are, and what opens an encrypted key or a PKCS#12 file.
    sources: tuple[Source, ...]
    passphrase: Secret | None = None

    @classmethod
    @discreet
    def of(cls, value: Certificate | StrPath | tuple[StrPath, StrPath] | bytes) -> Certificate:
        """Take a certificate in any form that needs no passphrase.

        Args:
            value: a Certificate; the path of a .pem or .p12 file; a pair of paths, certificate and
                key; or the bytes (or PEM text) of such a file, recognised by what they hold.

        Returns:
            The certificate, not yet read or checked.

        Raises:
            CertificateError: `value` is none of these.
        """
        if isinstance(value, Certificate):
            return value
        if isinstance(value, str) and "-----BEGIN " in value:
            return cls.from_pem(value)
        if isinstance(value, bytes):
            return cls((Source("the certificate's bytes", SecretBytes(value)),))
        pair = isinstance(value, tuple | list) and len(value) == 2  # noqa: PLR2004 - a pair
        parts: Any = value if pair else [value]
        return cls(of_paths(*parts))

    @classmethod
    @discreet
    def from_files(
        cls,
        crt: StrPath,
        key: StrPath | None = None,
        passphrase: str | bytes | Secret | None = None,
    ) -> Certificate:
        """Take a certificate from a .crt and a .key file, or from one file that holds both.

        Args:
            crt: the path of the certificate, or of one .pem or .p12 with everything; `~` is
                expanded.
            key: the path of the private key; the two files may also be given in reverse order.
            passphrase: opens an encrypted key.

        Returns:
            The certificate, not yet read or checked.

        Raises:
            CertificateError: an argument cannot be a path, or the passphrase is no text.
        """
        return cls(of_paths(crt, key), _as_secret(passphrase))

    @classmethod
    @discreet
    def from_pem(
        cls,
        cert_pem: str | bytes | Secret,
        key_pem: str | bytes | Secret | None = None,
        passphrase: str | bytes | Secret | None = None,
    ) -> Certificate:
        r"""Take a certificate from PEM text, as environment variables and secret managers hold it.

        Args:
            cert_pem: the certificate, or certificate and key. A line end may also be written as
                the two characters ``\n``, or have become a space.
            key_pem: the private key, likewise.
            passphrase: opens an encrypted key.

        Returns:
            The certificate, not yet checked.

        Raises:
            CertificateError: an argument is no text.
        """
        sources = [of_pem("the certificate's text", cert_pem)]
        sources += [] if key_pem is None else [of_pem("the key's text", key_pem)]
        return cls(tuple(sources), _as_secret(passphrase))

    @classmethod
    @discreet
    def from_pkcs12(
        cls, source: StrPath | bytes, passphrase: str | bytes | Secret | None = None
    ) -> Certificate:
        """Take a certificate from PKCS#12, that is a .p12 or .pfx file.

        Args:
            source: the file's path, where `~` is expanded, or its bytes.
            passphrase: what opens it; None if it has none.

        Returns:
            The certificate, not yet read or checked.

        Raises:
            CertificateError: `source` is neither bytes nor a path, or the passphrase is no text.
        """
        data = isinstance(source, bytes) and Source("the PKCS#12 data", SecretBytes(source))
        parts = (data,) if data else of_paths(source)
        return cls(parts, _as_secret(passphrase))

    @classmethod
    @discreet
    def from_pkcs12_base64(
        cls, text: str | bytes | Secret, passphrase: str | bytes | Secret | None = None
    ) -> Certificate:
        """Take a certificate from base64 text of a PKCS#12 file, as secret managers hold it.

        Args:
            text: the base64 text, also as bytes; spaces and line ends in it do not matter.
            passphrase: what opens the file; None if it has none.

        Returns:
            The certificate, not yet checked.

        Raises:
            CertificateError: `text` is not base64, or the passphrase is no text.
        """
        return cls((of_base64("the PKCS#12 text", text),), _as_secret(passphrase))

    @discreet
    def check(self, now: datetime | None = None) -> list[str]:
        """Read the certificate and check that Betfair would accept it.

        It and its key must be readable and belong together. The key must be RSA of at least 2048
        bits, the certificate within its dates and allowed for client authentication. Only a login
        shows whether it was uploaded to the account.

        Args:
            now: the time to check the dates by, timezone-aware; None for the clock's.

        Returns:
            A list, with a warning in it if the certificate expires within 30 days.

        Raises:
            CertificateError: it is missing, unreadable or unfit; the message says what to do.
            ConfigurationError: `now` is no timezone-aware datetime.
        """
        return self._checked(now)

    @discreet
    def load_into(self, context: ssl.SSLContext, now: datetime | None = None) -> list[str]:
        """Check the certificate and give it to a TLS context.

        The key is decrypted in memory only. Python's TLS reads it from a file: on Linux an
        anonymous one in memory, elsewhere a temporary one, private to the user and removed at
        once. In either, the key is encrypted by a password that exists in this process only.

        Args:
            context: will present the certificate to servers that ask for one.
            now: as in `check`.

        Returns:
            Warnings, as `check`.

        Raises:
            CertificateError: as `check`, or the TLS library refuses the certificate.
            ConfigurationError: as `check`.
        """
        return self._checked(now, context)

    @discreet
    def requests_cert(self) -> str | tuple[str, str]:
        """Return what requests takes as `cert`, for a requests.Session that the caller gives.

        Returns:
            The path of one PEM file, or the paths of certificate and key.

        Raises:
            CertificateError: a file cannot be read, is no PEM file, or holds an encrypted key;
                requests supports only unencrypted PEM files.
        """
        found = [look(source, None) for source in self.sources]
        plain = [each.kind.startswith("PEM") and "encrypted" not in each.kind for each in found]
        if not all(plain) or any(source.content for source in self.sources):
            raise CertificateError(
                "with a requests session of your own, only PEM files with an unencrypted key work, "
                f"so {self!r} cannot be used"
            )
        # The certificate first, also when the two files were given in reverse order.
        names = [each.name for each in sorted(found, key=lambda each: len(each.keys))]
        return names[0] if len(names) == 1 else (names[0], names[1])

    def _checked(self, now: datetime | None, context: ssl.SSLContext | None = None) -> list[str]:
        from .fitness import assemble, fitness, hand_over

        material = assemble([look(source, self.passphrase) for source in self.sources])
        problems, warnings = fitness(material.certificate, material.name, now)
        if problems:
            raise CertificateError("; ".join(map(str, problems)), reason=problems[0].reason)
        hand_over(material, context)
        return warnings

    def __repr__(self) -> str:
        return f"<Certificate from {', '.join(source.shown for source in self.sources)}>"


def _as_secret(passphrase: object) -> Secret | None:
    return None if passphrase is None else of_text("the passphrase", passphrase)
