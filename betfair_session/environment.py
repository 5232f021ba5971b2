"""A manager from environment variables and, if there is one, a `.env` file.

For programs and the command line only: nothing else in the library reads these variables.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from .arguments import discreet, refuse
from .betfair.answers import decoded
from .betfair.identity import IdentityClient
from .certificates import Certificate
from .manager import SessionManager
from .process import NamedTuple
from .process.causes import unless_interrupted
from .secret import Secret, check_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from .betfair.names import JurisdictionName
    from .events import Event
    from .login.account import LeaseSettings

ACCOUNT = ("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY")
PLACE = ("BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY")
# Each way to give a certificate: its variables (only the first is required), and what takes them.
_CERTIFICATES: dict[tuple[str, ...], Callable[..., Certificate]] = {
    ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE"): Certificate.from_files,
    ("BETFAIR_CERT_PEM", "BETFAIR_KEY_PEM"): Certificate.from_pem,
    ("BETFAIR_PKCS12_FILE",): Certificate.from_pkcs12,
    ("BETFAIR_PKCS12_BASE64",): Certificate.from_pkcs12_base64,
}
_ANY_CERTIFICATE = f"a certificate ({', or '.join(map(' and '.join, _CERTIFICATES))})"
PASSPHRASE = "BETFAIR_CERT_PASSPHRASE"  # noqa: S105 - a name
_OPTIONS = "BETFAIR_STORAGE_OPTIONS"

NAMES = (
    *ACCOUNT,
    *(name for names in _CERTIFICATES for name in names),
    PASSPHRASE,
    "BETFAIR_JURISDICTION",
    "BETFAIR_IDENTITY_URL",
    "BETFAIR_IDENTITY_CERT_URL",
    "BETFAIR_API_URL",
    "BETFAIR_CA_BUNDLE",
    *PLACE,
    _OPTIONS,
)
"""Every variable that is read."""

_LINE_END = re.compile(r"\r?\n\Z")


class Place(NamedTuple):
    """Where a token is kept; it can be unpacked: `manager.get_session(*place)`.

    Attributes:
        store: as `SessionManager.get_session` takes it.
        key: the object's name below the store.
        storage_options: for the store's driver; they may hold credentials.
    """

    store: str
    key: str
    storage_options: dict[str, Any]

    def __repr__(self) -> str:
        return f"Place(key={self.key!r})"


class Environment:
    """The variables as they were found; a blank one counts as not set.

    Every method raises ConfigurationError, which names the variables that are missing or cannot
    work, or the arguments that they become.
    """

    @discreet  # its local variables hold the values
    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        dotenv: str | os.PathLike[str] | None = ".env",
    ) -> None:
        """Read the variables; the arguments are those of `from_env`.

        One line end after a value and a byte order mark before it are dropped: `echo`, editors and
        secret managers leave them there.
        """
        if env is not None and not hasattr(env, "keys"):
            kind = type(env).__name__
            refuse("env", f"env must be a mapping of variables, such as os.environ, not {kind}")
        in_file = None if dotenv is None else read_dotenv(dotenv)
        given: dict[str, Any] = {**(in_file or {}), **(os.environ if env is None else env)}
        self._values: dict[str, Secret] = {}
        for name in NAMES:
            value = given.get(name, "")
            if not isinstance(value, str):
                refuse(name, f"{name} must be a text, not {type(value).__name__}")
            value = _LINE_END.sub("", value).removeprefix("\ufeff")
            if value.strip():
                self._values[name] = Secret(value)
        self._file = ""
        if dotenv is not None:
            path = os.path.expanduser(os.fsdecode(dotenv))
            with suppress(OSError):  # the working directory is gone
                path = os.path.abspath(path)
            self._file = f" and in {path}{', which is no file' if in_file is None else ''}"

    def require(self, *names: str, certificate: bool = False) -> None:
        """Check that variables are set and, for `certificate`, that one is given in one way."""
        missing = [name for name in names if name not in self._values]
        if certificate:
            missing += self._missing_certificate()
        if missing:
            alone = missing[0] if len(missing) == 1 and missing[0] in NAMES else ""
            where = f"the environment{self._file}"
            refuse(alone, f"not set: {', '.join(missing)} (looked in {where})")

    def get(self, name: str) -> str:
        """Return a variable's value, or "" when it is not set."""
        return self._values[name].reveal() if name in self._values else ""

    @discreet  # whatever is in a variable may be a secret
    def client(self, *, certificate: bool = True) -> IdentityClient:
        """Make the client for this account, with the certificate if `certificate` asks for it."""
        self.require(*ACCOUNT, certificate=certificate)
        for name in ACCOUNT:
            check_credential(self._values[name], name)
        name = self.get("BETFAIR_JURISDICTION") or "international"
        return IdentityClient(
            self._values["BETFAIR_APP_KEY"],
            certificate=self.certificate() if certificate else None,
            jurisdiction=cast("JurisdictionName", name),  # which it checks
            identity_url=self.get("BETFAIR_IDENTITY_URL"),
            identity_cert_url=self.get("BETFAIR_IDENTITY_CERT_URL"),
            api_url=self.get("BETFAIR_API_URL"),
            verify=self.get("BETFAIR_CA_BUNDLE") or True,
        )

    def certificate(self) -> Certificate:
        """Return the client certificate, not yet read or checked."""
        self.require(certificate=True)
        names = next(names for names in _CERTIFICATES if names[0] in self._values)
        # No local variable holds a value: a traceback would show it.
        return _CERTIFICATES[names](*(self.get(each) or None for each in names), self.passphrase())

    def manager(self, client: IdentityClient, **settings: Any) -> SessionManager:  # noqa: ANN401
        """Make the manager of this account; `settings` are those of SessionManager."""
        username, password = (self._values[name] for name in ACCOUNT[:2])
        return SessionManager(client, username, password, **settings)

    @discreet
    def place(self) -> Place:
        """Return where the token is kept."""
        self.require(*PLACE)
        store, key = map(self.get, PLACE)
        return Place(store, key, self.storage_options())

    def passphrase(self) -> Secret | None:
        """Return BETFAIR_CERT_PASSPHRASE, or None when it is not set."""
        value = self._values.get(PASSPHRASE)
        if value:
            check_credential(value, PASSPHRASE)
        return value

    def storage_options(self) -> dict[str, Any]:
        """Return BETFAIR_STORAGE_OPTIONS, a JSON object; empty when it is not set."""
        options = decoded(self.get(_OPTIONS) or "{}")
        if not isinstance(options, dict):
            refuse(_OPTIONS, f'{_OPTIONS} must be a JSON object such as {{"profile": "betting"}}')
        return options

    def _missing_certificate(self) -> list[str]:
        """Return the variables that a certificate still needs; refuse two ways to give one."""
        begun = [names for names in _CERTIFICATES if any(map(self.get, names))]
        if len(begun) > 1:
            first = " and ".join(next(filter(self.get, names)) for names in begun)
            refuse("", f"{first} are set: give the certificate in one way only")
        return (
            [names[0] for names in begun if not self.get(names[0])] if begun else [_ANY_CERTIFICATE]
        )


@discreet  # its local variables hold what is read
def read_dotenv(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Read a `.env` file, if there is one; an error names a line's number, not its text."""
    try:
        with open(os.path.expanduser(os.fspath(path)), encoding="utf-8-sig") as file:
            text = file.read()
    except TypeError:
        kind = type(path).__name__
        refuse("dotenv", f'dotenv must be a path, such as ".env", or None for no file, not {kind}')
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None  # a directory of this name is a virtual environment
    except unless_interrupted(OSError, ValueError) as error:
        if os.path.isdir(os.path.expanduser(path)):  # as Windows tells of it
            return None
        # A program that has dropped its rights may not look into the directory it was started in.
        effective = os.access in os.supports_effective_ids
        shut = not os.access(".", os.X_OK, effective_ids=effective)
        here = shut and not os.path.dirname(os.path.normpath(path))
        if here and isinstance(error, PermissionError):
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        refuse("dotenv", f"{path} cannot be read: {reason}")

    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):  # it expands no variables
        if binding.error or (binding.key is not None and binding.value is None):
            start = binding.original.string
            line = binding.original.line + start[: len(start) - len(start.lstrip())].count("\n")
            what = "this is not NAME=value, or a quote is not closed"
            refuse("dotenv", f"{path}, line {line}: {what}")
        if binding.key is not None:
            found[binding.key] = binding.value or ""
    return found


def from_env(
    env: Mapping[str, str] | None = None,
    dotenv: str | os.PathLike[str] | None = ".env",
    *,
    login_timeout: float = 60.0,
    lease: LeaseSettings | None = None,
    interactive: bool = False,
    two_step: str | Secret | Callable[[], str] | None = None,
    verify_every: timedelta | None = None,
    share_verification: bool = False,
    on_event: Callable[[Event], object] | None = None,
) -> SessionManager:
    """Make a manager from BETFAIR_USERNAME, BETFAIR_PASSWORD, BETFAIR_APP_KEY and a certificate.

    The certificate is given as BETFAIR_CERT_FILE (and BETFAIR_KEY_FILE, unless one file holds
    both), as BETFAIR_CERT_PEM (likewise with BETFAIR_KEY_PEM), BETFAIR_PKCS12_FILE or
    BETFAIR_PKCS12_BASE64, with BETFAIR_CERT_PASSPHRASE where it is encrypted. Optional are
    BETFAIR_JURISDICTION, BETFAIR_IDENTITY_URL, BETFAIR_IDENTITY_CERT_URL, BETFAIR_API_URL
    and BETFAIR_CA_BUNDLE.

    Args:
        env: the variables, which win over the file's; None for those of the process.
        dotenv: a file with further variables, if it exists; None for no file.
        login_timeout: as in `SessionManager`, and so are all that follow.
        lease: the shared login's times.
        interactive: log in as the website does; no certificate is needed then.
        two_step: the two-step code, or a function that returns it; the login is interactive then.
        verify_every: for how long a token is used without asking Betfair.
        share_verification: share each verification through the store.
        on_event: called with each `Event`.

    Returns:
        The manager; nothing has been read but the variables and the CA bundle, and nothing sent.

    Raises:
        ConfigurationError: variables are missing (all are named), or one cannot work. No message
            holds a value of a secret.
    """
    # First, so that no traceback shows it.
    two_step = two_step if two_step is None or callable(two_step) else Secret(two_step)
    environment = Environment(env, dotenv)
    interactive = interactive or two_step is not None
    return environment.manager(
        environment.client(certificate=not interactive),
        login_timeout=login_timeout,
        lease=lease,
        interactive=interactive,
        two_step=two_step,
        verify_every=verify_every,
        share_verification=share_verification,
        on_event=on_event,
    )


def place_from_env(
    env: Mapping[str, str] | None = None, dotenv: str | os.PathLike[str] | None = ".env"
) -> Place:
    """Return the place that BETFAIR_SESSION_STORE, _SESSION_KEY and _STORAGE_OPTIONS name.

    Arguments and errors are those of `from_env`.

    Returns:
        Store, key and storage options, for `SessionManager.get_session`.
    """
    return Environment(env, dotenv).place()
