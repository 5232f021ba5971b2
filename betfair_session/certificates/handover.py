"""Giving a certificate and its key to Python's TLS, which takes them from a path only."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from betfair_session.exceptions import CertificateError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from .fitness import Material


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
        raise CertificateError(message)


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
