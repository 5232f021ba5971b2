"""A manager from environment variables, with a `.env` file where there is one.

For programs and the command line only: nothing else in the library reads the environment.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from .betfair.identity import IdentityClient
from .certificates import Certificate
from .dotenv import read_dotenv
from .exceptions import ConfigurationError
from .manager import SessionManager
from .secret import Secret, check_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from .events import Event

_ACCOUNT = ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY")
_PLACE = ("BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY")
# Each way to give a certificate: the variable that it needs, and the one that may come with it.
_CERTIFICATES = {
    "BETFAIR_CERT_FILE": "BETFAIR_KEY_FILE",
    "BETFAIR_CERT_PEM": "BETFAIR_KEY_PEM",
    "BETFAIR_PKCS12_FILE": None,
    "BETFAIR_PKCS12_BASE64": None,
}
_ANY_CERTIFICATE = (
    "a certificate (BETFAIR_CERT_FILE and BETFAIR_KEY_FILE, BETFAIR_CERT_PEM and BETFAIR_KEY_PEM, "
    "BETFAIR_PKCS12_FILE, or BETFAIR_PKCS12_BASE64)"
)

NAMES = (
    *_ACCOUNT,
    *(name for pair in _CERTIFICATES.items() for name in pair if name),
    "BETFAIR_CERT_PASSPHRASE",
    "BETFAIR_JURISDICTION",
    "BETFAIR_IDENTITY_URL",
    "BETFAIR_IDENTITY_CERT_URL",
    "BETFAIR_CA_BUNDLE",
    *_PLACE,
    "BETFAIR_STORAGE_OPTIONS",
)
"""Every variable that is read."""

_LINE_END = re.compile(r"\r?\n\Z")


class Place(NamedTuple):
    """Where a token is kept.

    Attributes:
        store: as `SessionManager.get_session` takes it.
        key: the object's name below the store.
        storage_options: what goes with the store; they may hold credentials.
    """

    store: str
    key: str
    storage_options: dict[str, Any]

    def __repr__(self) -> str:
        return f"Place(key={self.key!r})"


class Environment:
    """The variables as they were found; a blank one counts as not set.

    One line end at the end of a value and a byte order mark before it, as `echo`, editors and
    secret managers leave them, are no part of it.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | None = ".env",
    ) -> None:
        """Read the variables.

        Args:
            env: the variables that win; None for those of the process.
            dotenv: the file that the others come from, if it exists; None for no file.

        Raises:
            ConfigurationError: an argument or a variable is of a wrong type, or the file cannot
                be read; the message tells the line.
        """
        found = _found(env, dotenv)
        if isinstance(found, str):
            raise ConfigurationError(found)
        self._values, there = found
        self._sources = "the environment"
        if dotenv is not None:
            self._sources += " and in" if there else "; there is no file"
            self._sources += f" {os.fspath(dotenv)}"

    def __reduce_ex__(self, protocol: object, /) -> NoReturn:
        message = "an environment holds secrets and cannot be pickled"
        raise TypeError(message)

    def require(
        self, *, account: bool = True, certificate: bool = True, place: bool = False
    ) -> None:
        """See that nothing is missing and nothing contradicts itself.

        Args:
            account: whether Betfair has to be reached.
            certificate: whether there may be a login there, which alone needs a certificate.
            place: whether the store and the key have to be named.

        Raises:
            ConfigurationError: it names every variable that is missing, or one of the account's
                with a control character in it.
        """
        needed = (*(_ACCOUNT if account else ()), *(_PLACE if place else ()))
        missing = [name for name in needed if name not in self._values]
        if account and certificate:
            missing += self._missing_certificate()
        if missing:
            message = f"not set: {', '.join(missing)} (looked in {self._sources})"
            raise ConfigurationError(message)
        for name in _ACCOUNT if account else ():
            self._secret(name)

    def get(self, name: str) -> str:
        """Return a variable's value, or "" when it is not set."""
        return self._values.get(name, "")

    def client(self, *, certificate: bool = True) -> IdentityClient:
        """Make the client that speaks to Betfair for this account.

        Args:
            certificate: whether it may log in; if not, no variable of a certificate is read.

        Raises:
            ConfigurationError: a variable is missing or cannot work.
        """
        self.require(certificate=certificate)
        return IdentityClient(
            self._secret("BETFAIR_APP_KEY"),
            certificate=self.certificate() if certificate else None,
            jurisdiction=self._values.get("BETFAIR_JURISDICTION", "international"),
            identity_url=self._values.get("BETFAIR_IDENTITY_URL"),
            identity_cert_url=self._values.get("BETFAIR_IDENTITY_CERT_URL"),
            verify=self._values.get("BETFAIR_CA_BUNDLE", True),
        )

    def certificate(self) -> Certificate:
        """Return the client certificate, not yet read or checked.

        Raises:
            ConfigurationError: none is named, only a part of one, or more than one.
            CertificateError: what is named cannot be one.
        """
        missing = self._missing_certificate()
        if missing:
            message = f"not set: {', '.join(missing)} (looked in {self._sources})"
            raise ConfigurationError(message)
        # The values get no names here: a traceback would show them.
        get, phrase = self._values.get, self.passphrase()
        if "BETFAIR_CERT_FILE" in self._values:
            return Certificate.from_files(
                self._values["BETFAIR_CERT_FILE"], get("BETFAIR_KEY_FILE"), phrase
            )
        if "BETFAIR_CERT_PEM" in self._values:
            return Certificate.from_pem(
                self._values["BETFAIR_CERT_PEM"], get("BETFAIR_KEY_PEM"), phrase
            )
        if "BETFAIR_PKCS12_FILE" in self._values:
            return Certificate.from_pkcs12(self._values["BETFAIR_PKCS12_FILE"], phrase)
        return Certificate.from_pkcs12_base64(self._values["BETFAIR_PKCS12_BASE64"], phrase)

    def manager(self, client: IdentityClient, **settings: Any) -> SessionManager:  # noqa: ANN401
        """Make the manager of this account; it uses `client`, and SessionManager's settings."""
        return SessionManager(
            client, self._secret("BETFAIR_USERNAME"), self._secret("BETFAIR_PASSWORD"), **settings
        )

    def place(self) -> Place:
        """Return where the token is kept.

        Raises:
            ConfigurationError: a variable is missing or cannot work.
        """
        self.require(account=False, place=True)
        store, key = (self._values[name] for name in _PLACE)
        return Place(store, key, self.storage_options())

    def passphrase(self, *, needed: bool = False) -> Secret | None:
        """Return BETFAIR_CERT_PASSPHRASE, or None when it is not set.

        Args:
            needed: whether it has to be set.

        Raises:
            ConfigurationError: it is needed and not set.
        """
        name = "BETFAIR_CERT_PASSPHRASE"
        if name in self._values:
            return self._secret(name)
        if needed:
            message = f"not set: {name} (looked in {self._sources})"
            raise ConfigurationError(message)
        return None

    def storage_options(self) -> dict[str, Any]:
        """Return BETFAIR_STORAGE_OPTIONS, a JSON object; empty when it is not set.

        Raises:
            ConfigurationError: it is anything else.
        """
        try:
            options = json.loads(self._values.get("BETFAIR_STORAGE_OPTIONS", "{}"))
        except (ValueError, RecursionError):
            options = None  # the error holds the text
        if not isinstance(options, dict):
            message = 'BETFAIR_STORAGE_OPTIONS must be a JSON object such as {"profile": "betting"}'
            raise ConfigurationError(message)
        return options

    def _secret(self, name: str) -> Secret:
        value = Secret(self._values[name])
        check_credential(value, name)
        return value

    def _missing_certificate(self) -> list[str]:
        """Return what a certificate lacks, if one of the ways to give it was begun."""
        begun = {
            main: other
            for main, other in _CERTIFICATES.items()
            if main in self._values or other in self._values
        }
        if len(begun) > 1:
            names = " and ".join(
                main if main in self._values else str(other) for main, other in begun.items()
            )
            message = f"{names} are set: give the certificate in one way only"
            raise ConfigurationError(message)
        if not begun:
            return [_ANY_CERTIFICATE]
        return [main for main in begun if main not in self._values]


def _found(
    env: Mapping[str, str] | None, dotenv: str | os.PathLike[str] | None
) -> tuple[dict[str, str], bool] | str:
    """Return the variables and whether there is a file, or what is wrong with a variable.

    No traceback begins here, where the values have names.
    """
    if env is not None and not hasattr(env, "keys"):
        return f"env must be a mapping of variables, such as os.environ, not {type(env).__name__}"
    in_file = None if dotenv is None else read_dotenv(dotenv)
    merged: dict[str, Any] = {**(in_file or {}), **(os.environ if env is None else env)}
    values = {name: merged[name] for name in NAMES if name in merged}
    for name, value in values.items():
        if not isinstance(value, str):
            return f"{name} must be a text, not {type(value).__name__}"
        values[name] = _LINE_END.sub("", value).removeprefix("\ufeff")
    return {name: value for name, value in values.items() if value.strip()}, in_file is not None


def from_env(
    env: Mapping[str, str] | None = None,
    dotenv: str | os.PathLike[str] | None = ".env",
    *,
    verify_every: timedelta | None = None,
    share_verification: bool = False,
    on_event: Callable[[Event], object] | None = None,
) -> SessionManager:
    """Make a manager from BETFAIR_USERNAME, BETFAIR_PASSWORD, BETFAIR_APP_KEY and a certificate.

    The certificate is given as BETFAIR_CERT_FILE (and BETFAIR_KEY_FILE, unless one file holds
    both), as BETFAIR_CERT_PEM (likewise with BETFAIR_KEY_PEM), BETFAIR_PKCS12_FILE or
    BETFAIR_PKCS12_BASE64, with BETFAIR_CERT_PASSPHRASE where it is encrypted. Optional are
    BETFAIR_JURISDICTION, BETFAIR_IDENTITY_URL, BETFAIR_IDENTITY_CERT_URL and BETFAIR_CA_BUNDLE.

    Args:
        env: the variables that win; None for those of the process.
        dotenv: a file that the others come from, if it exists; None for no file.
        verify_every: as in `SessionManager`.
        share_verification: as in `SessionManager`.
        on_event: as in `SessionManager`.

    Returns:
        The manager; nothing has been read but the variables, and nothing sent.

    Raises:
        ConfigurationError: variables are missing (all are named), or one cannot work. No message
            holds a value of a secret.
    """
    environment = Environment(env, dotenv)
    return environment.manager(
        environment.client(),
        verify_every=verify_every,
        share_verification=share_verification,
        on_event=on_event,
    )


def place_from_env(
    env: Mapping[str, str] | None = None, dotenv: str | os.PathLike[str] | None = ".env"
) -> Place:
    """Return the place that BETFAIR_SESSION_STORE, _SESSION_KEY and _STORAGE_OPTIONS name.

    Args:
        env: as in `from_env`.
        dotenv: as in `from_env`.

    Returns:
        Store, key and storage options, for `SessionManager.get_session`.

    Raises:
        ConfigurationError: as in `from_env`.
    """
    return Environment(env, dotenv).place()
