"""What is kept somewhere: the token object and the lock beside it, and certificates."""

# ruff: noqa: PT017 - an error is one of two good ends, and what it says is checked

from __future__ import annotations

import base64
import tempfile
import time
from pathlib import Path

from within import within

from betfair_session.certificates import Certificate
from betfair_session.certificates.files import explain
from betfair_session.cli.output import Output
from betfair_session.cli.status import login_document, next_login
from betfair_session.exceptions import CertificateError, NotATokenError
from betfair_session.login import lock as locks
from betfair_session.login.by_hand import inspect, inspect_login
from betfair_session.secret import Secret
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY, MAX_READ
from betfair_session.storage.location import LOCK_SUFFIX
from betfair_session.tokens import is_token, parse_token

PASSPHRASE = "planted-passphrase9"


def token(data: bytes) -> None:
    """Anything in a token's place is a token, junk, or someone else's data."""
    try:
        found = parse_token(data, where="'k' in s")
    except NotATokenError as error:
        assert len(data) > 1024
        assert len(str(error)) < 200
        return
    if found is not None:
        text = found.reveal()
        assert is_token(text)
        assert text.encode() in data.replace(b"\0", b"")  # it may be UTF-16


def lock(data: bytes) -> None:
    """Anything in a lock's place can be read, written again and described; no ban is longer."""
    content = data[: MAX_READ + 1]
    read = locks.decode(content)
    for written in (locks.encode(read), locks.cleared(content), locks.withdrawn(content)):
        assert written is None or len(written) <= MAX_READ
    assert locks.decode(locks.encode(read)) == read
    now = time.time()
    for age in (None, 0.0, 59.0, -3600.0):
        assert read.refused_for(now, age) <= 2 * locks.BAN
        assert read.expired(age, watched=121.0)
    assert len(read.recent(now)) <= 4
    if data[:1] < b"\x10":  # it takes as long as a hundred others
        _inspected(content)


def _inspected(content: bytes) -> None:
    """Look at it as `betfair-session status` does, in a real store."""
    store = open_store("memory://fuzz")
    store.put("k" + LOCK_SUFFIX, content, ANY, deadline=within(1))
    found = inspect_login(store, "k", timeout=1)
    said = "".join(map(str, next_login(found, Output())))
    assert said.isprintable()
    assert login_document(found)["state"] == found.state
    assert len(said) < 1200
    store.put("k", content, ANY, deadline=within(1))
    try:
        seen = inspect(store, "k", timeout=1)
    except NotATokenError:
        assert len(content) > 1024
    else:
        assert seen.state == found.state


def certificate(data: bytes) -> None:
    """It is fit, or one of our errors says why not, without the passphrase."""
    form, locked = (data + b"\0\0")[:2]
    form, content = form % 6, data[2:]
    passphrase = (None, PASSPHRASE, PASSPHRASE, "p\udcffhrase")[locked % 4]
    secret = None if passphrase is None else Secret(passphrase)
    try:
        _made(form, content, secret).check()
    except CertificateError as error:
        assert PASSPHRASE not in str(error)
    if form == 5:
        (file,), verdict = explain(_file(content), passphrase=secret)
        texts = (file.path, file.kind, *file.facts, *file.problems, *file.warnings, verdict)
        assert PASSPHRASE not in "".join(texts)
        assert "".join(texts).isprintable()


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


_directory = tempfile.TemporaryDirectory()


def _file(content: bytes) -> Path:
    path = Path(_directory.name, "certificate")
    path.write_bytes(content)
    return path
