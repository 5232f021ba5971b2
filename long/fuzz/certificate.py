"""What may be in a certificate's place."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import base64
import os
import tempfile
from functools import lru_cache

from betfair_session.certificates import Certificate
from betfair_session.certificates.report import explain
from betfair_session.exceptions import CertificateError
from betfair_session.secret import Secret

from .feed import Feed

PASSPHRASE = "planted-passphrase9"


def certificate(data: bytes) -> None:
    """It is fit, or one of our errors says why not, without the passphrase."""
    feed = Feed(data)
    form = feed.byte() % 6
    passphrase = (None, PASSPHRASE, PASSPHRASE, "p\udcffhrase")[feed.byte() % 4]
    secret = None if passphrase is None else Secret(passphrase)
    content = feed.rest()
    try:
        _made(form, content, secret).check()
    except CertificateError as error:
        assert PASSPHRASE not in str(error)
    if form == 5:
        report = str(explain(_file(content), passphrase=secret))
        assert PASSPHRASE not in report
        assert report.replace("\n", "").isprintable()


def _made(form: int, content: bytes, passphrase: Secret | None) -> Certificate:
    text = content.decode("utf-8", "surrogateescape")
    if form == 0:
        return Certificate.of(content)
    if form == 1:
        first, _, second = text.partition("\0")
        return Certificate.from_pem(first, second or None, passphrase)
    if form == 2:
        return Certificate.from_pkcs12(content, passphrase)
    if form == 3:
        return Certificate.from_pkcs12_base64(text, passphrase)
    if form == 4:
        return Certificate.from_pkcs12_base64(base64.b64encode(content).decode(), passphrase)
    return Certificate.from_files(_file(content), passphrase=passphrase)


@lru_cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _file(content: bytes) -> str:
    path = os.path.join(_directory().name, "certificate")
    with open(path, "wb") as file:
        file.write(content)
    return path
