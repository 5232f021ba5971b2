"""Secrets that exist nowhere else, and the search for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from front import identity
from secrets_shown import forms_of

from betfair_session import Certificate, IdentityClient, SessionManager
from betfair_session.certificates.files import create, write_files
from betfair_session.sandbox import Sandbox
from betfair_session.secret import Secret

USERNAME = "planted-user-Qx7"
PASSWORD = (
    "planted pass&word=Zk9 \"'é"  # what a form, a URL, JSON and a page each write differently
)
APP_KEY = "plantedAppKeyWv3"
PASSPHRASE = "planted passphrase Jm5"
CODE = "plantedCodeRt6"


@dataclass
class Planted:
    """One account with secrets of its own."""

    sandbox: Sandbox
    p12: Path  # its certificate and key, which PASSPHRASE opens
    key_lines: tuple[str, ...]  # of its private key, as an unencrypted PEM file has them
    seen: set[str] = field(default_factory=set)  # tokens that have been alive

    def secrets(self) -> dict[str, str]:
        """Return every secret there has been so far, by its name."""
        self.seen.update(session.token for session in self.sandbox.sessions())
        tokens = {f"token {number}": token for number, token in enumerate(sorted(self.seen))}
        key = {f"key, line {number}": line for number, line in enumerate(self.key_lines)}
        return {
            "username": USERNAME,
            "password": PASSWORD,
            "app key": APP_KEY,
            "passphrase": PASSPHRASE,
            "code": CODE,
            **tokens,
            **key,
        }

    def found_in(self, text: str | bytes, *, but: Iterable[str] = ()) -> list[str]:
        """Return the names of the secrets that a text shows, except those with such a beginning."""
        text = text if isinstance(text, str) else text.decode("latin-1")
        allowed = tuple(but)
        return [
            name
            for name, secret in self.secrets().items()
            if not (allowed and name.startswith(allowed))
            and any(form in text for form in forms_of(secret))
        ]

    def client(self, **settings: Any) -> IdentityClient:  # noqa: ANN401 - IdentityClient's
        certificate = Certificate.from_pkcs12(self.p12, PASSPHRASE)
        usual = {"certificate": certificate, "api_url": self.sandbox.api_url, **settings}
        return identity(self.sandbox, app_key=APP_KEY, **usual)

    def manager(self, client: IdentityClient, **settings: object) -> SessionManager:
        """Make a manager for the account."""
        return SessionManager(client, USERNAME, PASSWORD, **settings)  # type: ignore[arg-type] # its own

    def environment(self) -> dict[str, str]:
        """Return the variables that make a program use the account."""
        variables = self.sandbox.environment()
        for name in ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE"):
            del variables[name]
        return variables | {
            "BETFAIR_USERNAME": USERNAME,
            "BETFAIR_PASSWORD": PASSWORD,
            "BETFAIR_APP_KEY": APP_KEY,
            "BETFAIR_PKCS12_FILE": str(self.p12),
            "BETFAIR_CERT_PASSPHRASE": PASSPHRASE,
        }


@cache
def certificate() -> dict[str, bytes]:
    return create("planted", passphrase=Secret(PASSPHRASE))


def plant(sandbox: Sandbox, directory: Path) -> Planted:
    """Add the account to a sandbox; its certificate is a PKCS#12 file in `directory`."""
    made = certificate()
    sandbox.add_account(USERNAME, PASSWORD)
    sandbox.upload_certificate(made[".crt"].decode(), USERNAME)
    (p12,) = write_files(directory, "planted", {".p12": made[".p12"]})
    return Planted(sandbox, p12, tuple(made[".key"].decode().splitlines()[3:6]))
