"""Where the parts of a certificate come from: files, or what the caller holds in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from betfair_session.exceptions import CertificateError
from betfair_session.process.threads import interruption
from betfair_session.process.value import Value
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from typing import TypeAlias

    StrPath: TypeAlias = str | os.PathLike[str]

MAX_FILE = 256 * 1024
"""The largest certificate file that is read, in bytes; a chain of certificates takes a few KiB."""

_MAX_PATH = 1024


class Source(Value):
    """One part of a certificate: a file, or what the caller holds in memory.

    Attributes:
        name: the path, or what to call the piece of memory.
        content: the piece itself, its bytes as Latin-1 text; None for a file.
    """

    name: str
    content: Secret | None = None

    def read(self) -> bytes:
        """Return the bytes, read anew each time.

        Raises:
            CertificateError: the file is missing, unreadable or far too large.
        """
        if self.content is not None:
            return self.content.reveal().encode("latin-1")
        try:
            with open(self.name, "rb") as file:
                content = file.read(MAX_FILE + 1)
        except (OSError, ValueError) as error:
            if interruption(error):
                raise
            problem = _why_unreadable(self.name, error)
        else:
            problem = f"{self.name} is too large for a certificate file"
            if len(content) <= MAX_FILE:
                return content
        raise CertificateError(problem)

    def plain_pem_key(self) -> bool | None:
        """Tell whether this is a PEM file that holds an unencrypted key.

        Returns:
            True or False; None when it is no PEM file or the key in it is encrypted.

        Raises:
            CertificateError: as `read`.
        """
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
    problem = next((each for each in found if isinstance(each, str)), None)
    if problem:
        raise CertificateError(problem)
    return tuple(each for each in found if isinstance(each, Source))


def _of_path(value: object) -> Source | str:
    """Return a file by its path, or why `value` cannot be one."""
    if not isinstance(value, str | os.PathLike):
        return f"a certificate file is given by its path, not by {type(value).__name__}"
    path = os.fsdecode(value)
    # Somebody's key pasted where its path belongs must not come back in "no such file: …".
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

    Bytes, as secret managers hand them out, are text in UTF-8. Those that are not stay what they
    are: `look` turns them back into the same bytes, since a passphrase need not be UTF-8.
    """
    return Secret(value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value)


def checked(name: str, value: Secret) -> str:
    """Return the text of what a caller gave.

    Args:
        name: what to call it.
        value: from `wrapped`.

    Raises:
        CertificateError: it is no text; a caller without a type checker may give anything.
    """
    text: object = value.reveal()
    kind = type(text).__name__
    if isinstance(text, str):
        return text
    del text  # which no traceback is to show
    message = f"{name} is given as a text or as bytes, not as {kind}"
    raise CertificateError(message)


def of_pem_text(name: str, value: Secret) -> Source:
    r"""Take PEM text, where a line end may also be written as the two characters `\n`.

    Args:
        name: what to call it.
        value: the text, from `wrapped`.

    Raises:
        CertificateError: it is no text.
    """
    # PEM is ASCII; whatever else came along may not break the encoding of `Source.read`.
    text = checked(name, value).encode("ascii", "replace").decode("ascii")
    return Source(name, Secret(text.replace("\\r", "").replace("\\n", "\n")))


def decode_base64(name: str, value: Secret) -> bytes:
    """Decode base64 text, whatever spaces and line ends are in it.

    Args:
        name: what to call it.
        value: the text, from `wrapped`.

    Raises:
        CertificateError: it is no text, or not base64.
    """
    content = _decoded(checked(name, value))
    if content is None:
        message = f"{name} is not base64; encode the .p12 file itself, whole"
        raise CertificateError(message)
    return content


def _decoded(text: str) -> bytes | None:
    import base64

    joined = "".join(text.replace("\\n", "").split())
    try:
        return base64.b64decode(joined, validate=True)
    except ValueError:  # binascii.Error is one
        return None


def _why_unreadable(name: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        start = "" if os.path.isabs(name) else ", seen from the working directory"
        return f"there is no certificate file {name}{start}"
    if os.path.isdir(name):  # Path.is_dir raises below a directory that is closed to us
        return f"{name} is a directory; give the path of the certificate file itself"
    if isinstance(error, PermissionError):
        return f"{name} may not be read by this user; look at its permissions and its directory's"
    reason = error.strerror if isinstance(error, OSError) else "not a valid path"
    return f"{name} cannot be read: {reason}"
