"""The configuration: which variables are set and where, and whether they can work."""

from __future__ import annotations

import difflib
import os
import stat
from typing import TYPE_CHECKING

from betfair_session.cli.words import with_variable
from betfair_session.environment import NAMES, Environment, read_dotenv
from betfair_session.exceptions import CertificateError, ConfigurationError
from betfair_session.secret import ODD_WORDS, Secret, odd

from .findings import Finding, fine, problem, unchecked, warning

if TYPE_CHECKING:
    from betfair_session.betfair.identity import IdentityClient

_DOTENV = ".env"
_NAME = "configuration"
# What may well have several lines, and spaces around it.
_OF_LINES = frozenset(
    {
        "BETFAIR_CERT_PEM",
        "BETFAIR_KEY_PEM",
        "BETFAIR_PKCS12_BASE64",
        "BETFAIR_STORAGE_OPTIONS",
    }
)
_ALIKE = 0.7  # 1 is the same; the common beginning of all names alone makes 0.6


class Settings:
    """The variables as every command reads them, and where each comes from.

    Attributes:
        environment: the variables.
        client: the client that they make, or None where they make none.
    """

    def __init__(self) -> None:
        """Read them.

        Raises:
            ConfigurationError: the `.env` file cannot be read.
        """
        self.environment = Environment()
        self.client: IdentityClient | None = None
        self._file = read_dotenv(_DOTENV) or {}

    @property
    def names_a_place(self) -> bool:
        """Whether both the store and the key are set."""
        return bool(self.get("BETFAIR_SESSION_STORE") and self.get("BETFAIR_SESSION_KEY"))

    def get(self, name: str) -> str:
        """Return a variable's value as every command reads it, or "" when it is not set."""
        return self.environment.get(name)

    def examine(self, *, place: bool) -> list[Finding]:
        """Look at the variables.

        Args:
            place: whether the store and the key have to be among them.
        """
        told = ""
        try:
            self.environment.require(place=place)
            self.client = self.environment.client()
        except ConfigurationError as error:
            first = problem(_NAME, error, text=with_variable(error))
            told = error.argument
        else:
            first = fine(_NAME, self._origins())
        return [first, *self._spoilt(told), *self._strangers(), *self._open_file()]

    def examine_certificate(self) -> list[Finding]:
        """Look at the client certificate; whether it was uploaded, only a login can tell."""
        from betfair_session.certificates.report import explain

        name = "certificate"
        try:
            warnings = self.environment.certificate().check()
        except CertificateError as error:
            return [problem(name, error, self.key_hint(error))]
        except ConfigurationError as error:
            return [unchecked(name, str(error))]
        names = ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE", "BETFAIR_PKCS12_FILE")
        paths = [self.get(each) for each in names if self.get(each)]
        report = explain(*paths, passphrase=self.environment.passphrase())
        warnings += [
            each for file in report.files for each in file.warnings if each not in warnings
        ]
        valid = [fact for file in report.files for fact in file.facts if fact.startswith("valid ")]
        text = "; ".join(["fit for Betfair's login, once it is uploaded", *valid])
        return [fine(name, text), *(warning(name, each) for each in dict.fromkeys(warnings))]

    def key_hint(self, error: CertificateError) -> str:
        """Return which variable would name the key that a certificate lacks, or ""."""
        pairs = {
            "BETFAIR_CERT_FILE": ("BETFAIR_KEY_FILE", "the file that holds the private key"),
            "BETFAIR_CERT_PEM": ("BETFAIR_KEY_PEM", "the text of the private key"),
        }
        for main, (other, what) in pairs.items():
            if error.reason == "no-key" and self.get(main) and not self.get(other):
                return f"{other} is not set: set it to {what}"
        return ""

    def _origins(self) -> str:
        ours = [name for name in NAMES if self.get(name)]
        theirs = [name for name in ours if name in os.environ]
        filed = [name for name in ours if name not in os.environ]
        places = {"the environment": theirs, _DOTENV: filed}
        return "; ".join(
            f"from {place}: {', '.join(found)}" for place, found in places.items() if found
        )

    def _spoilt(self, told: str) -> list[Finding]:
        """Find values that look as if a shell, an editor or a secret manager added something.

        Args:
            told: the variable that was told of already.
        """
        found = []
        for name in (each for each in NAMES if self.get(each) and each not in _OF_LINES):
            kind = odd(Secret(self.get(name)))
            if kind and name != told:
                advice = f"take it out of {name}, unless it is really part of the value"
                found.append(warning(_NAME, f"{name} {ODD_WORDS[kind]}", advice))
            elif os.environ.get(name, self._file.get(name)) != self.get(name):
                text = f"{name} begins with a byte order mark or ends in a line end"
                advice = "this library leaves it out, other programs may not: write it without"
                found.append(warning(_NAME, text, advice))
        return found

    def _strangers(self) -> list[Finding]:
        """Find variables that are named like ours and that nothing reads: most likely mistyped."""
        found = sorted({name for name in (*os.environ, *self._file) if name.startswith("BETFAIR_")})
        strangers = []
        for name in found:
            if name in NAMES:
                continue
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=_ALIKE)
            advice = f"did you mean {near[0]}?" if near else "`betfair-session --help` lists them"
            strangers.append(warning(_NAME, f"{name} is no variable of this library's", advice))
        return strangers

    def _open_file(self) -> list[Finding]:
        try:
            mode = os.stat(_DOTENV).st_mode
        except OSError:
            return []
        if os.name != "posix" or not mode & (stat.S_IRWXG | stat.S_IRWXO) or not self._file:
            return []
        text = f"{_DOTENV} can be read or written by other users of this machine"
        return [warning(_NAME, text, f"chmod 600 {_DOTENV}, if it holds the password")]
