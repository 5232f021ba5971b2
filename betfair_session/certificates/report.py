"""Explaining to people what a certificate file is, and whether Betfair would take it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.exceptions import CertificateError

from .fitness import belongs, day, fitness, key_text, public_key
from .reading import Contents, Problem, discreet, look, of_path, of_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from betfair_session.secret import Secret

    from .reading import StrPath


class FileReport(NamedTuple):
    """What one file is.

    Attributes:
        path: the file.
        kind: what it is, in words, such as "PEM: certificate, private key".
        facts: subject, dates, key sizes and fingerprint, one line each; no secrets.
        problems: why Betfair would not take it, or why it cannot be used; whole sentences.
        warnings: what will be or may become a problem.
        validity: from when to when each certificate is valid.
    """

    path: str
    kind: str
    facts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    validity: tuple[str, ...] = ()


class Report(NamedTuple):
    """What some files are, each and together; `str()` is the text for people.

    Attributes:
        files: one report per file.
        verdict: one sentence on what the files are good for together.
    """

    files: tuple[FileReport, ...]
    verdict: str

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems of all files."""
        return tuple(problem for file in self.files for problem in file.problems)

    @property
    def ok(self) -> bool:
        """Whether there is no problem; a lone certificate or a lone key is none."""
        return not self.problems

    def __str__(self) -> str:
        lines = []
        for file in self.files:
            lines.append(f"{file.path}: {file.kind}")
            lines += [f"    {fact}" for fact in file.facts]
            lines += [f"    problem: {problem}" for problem in file.problems]
            lines += [f"    warning: {warning}" for warning in file.warnings]
        return "\n".join([*lines, self.verdict])


@discreet
def explain(
    *paths: StrPath, passphrase: str | bytes | Secret | None = None, now: datetime | None = None
) -> Report:
    """Say what files are, and whether Betfair would take them for a certificate login.

    A file's faults are in the report. A CertificateError says that the passphrase is no text, and
    a ConfigurationError that `now`, by which the dates are judged, has no time zone.
    """
    given = None if passphrase is None else of_text("the passphrase", passphrase)
    found = [_read(path, given) for path in paths]
    certificates = [certificate for contents in found for certificate in contents.certificates]
    keys = [key for contents in found for key in contents.keys]
    files = tuple(_report(contents, certificates, now) for contents in found)
    if any(file.problems for file in files):
        verdict = "Not fit for Betfair's certificate login: see the problems above."
    elif certificates and keys:
        verdict = "Fit for Betfair's certificate login, once the certificate is uploaded."
    elif certificates:
        verdict = "Fit to upload to Betfair; to log in, its private key is needed as well."
    elif keys:
        verdict = "A private key; to log in, its certificate is needed as well."
    else:
        verdict = "Of no use for Betfair's certificate login: no certificate and no private key."
    return Report(files, verdict)


def _read(path: StrPath, passphrase: Secret | None) -> Contents:
    try:
        return look(of_path(path), passphrase)
    except CertificateError as error:
        problem = Problem(error.reason, str(error))
        return Contents(_printable(str(path))[:80], "not readable", problem=problem)


def _report(
    contents: Contents, certificates: Sequence[Certificate], now: datetime | None
) -> FileReport:
    name, facts = contents.name, list[str]()
    problems = [contents.problem] if contents.problem else []
    warnings: list[str] = []
    for certificate in contents.certificates:
        facts += _certificate_facts(certificate)
        unfit, soon = fitness(certificate, name, now)
        problems += unfit
        warnings += soon
    for key in contents.keys:
        facts.append(f"private key: {key_text(key.public_key())}")
        if certificates and not any(belongs(key, certificate) for certificate in certificates):
            text = f"{name} holds a key that belongs to none of the certificates given"
            problems.append(Problem("mismatch", text))
    protected = contents.kind.startswith("PKCS#12") or "encrypted" in contents.kind
    if contents.keys and not protected and os.name == "posix" and Path(name).stat().st_mode & 0o077:
        warnings.append(f"{name} holds a private key that other users can get at: chmod 600 it")
    return FileReport(
        name,
        contents.kind,
        tuple(facts),
        tuple(problem.text for problem in problems),
        tuple(warnings),
        tuple(map(_validity, contents.certificates)),
    )


def _certificate_facts(certificate: Certificate) -> list[str]:
    from cryptography.hazmat.primitives import hashes

    issuer = certificate.issuer.rfc4514_string()
    subject = certificate.subject.rfc4514_string()
    return [
        f"certificate for {_printable(subject) or '(no name)'}",
        f"issued by {'itself' if issuer == subject else _printable(issuer)}",
        _validity(certificate),
        f"key: {key_text(public_key(certificate))}",
        f"SHA-256 fingerprint: {certificate.fingerprint(hashes.SHA256()).hex(':')}",
    ]


def _validity(certificate: Certificate) -> str:
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"valid from {day(starts)} to {day(ends)}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
