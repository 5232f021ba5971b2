"""Every error that leaves the library.

    BetfairSessionError
    ├── ConfigurationError          what the caller gave cannot work (also a ValueError)
    │   ├── CertificateError        the client certificate or its key
    │   └── NotATokenError          the object holds other data, not a token
    ├── IdentityError               what Betfair answered, or that it did not
    │   ├── LoginRefused            a login was answered with a status other than success
    │   └── IdentityUnavailable     "cannot tell": no clear answer about the token or the login
    │       └── Blocked             an HTTP 403 page: this address is not let through
    ├── StoreError                  the place where the token is kept
    │   ├── StoreUnavailable        it could not be asked
    │   ├── StoreWriteError         it refused a write
    │   └── PublishUncertain        a new token was sent to it, and may or may not have arrived
    ├── SessionRejected             the betting API refused a session again after its renewal
    ├── ExchangeError               the betting API refused a call, or gave no clear answer
    ├── LoginTimeout                another login, or one of its own, needs more time than is left
    └── LoginBrake                  too many logins in a minute for one token

None of them holds a request, a response, a token or a password: those objects carry secrets.
All can be pickled, so that they survive a process pool.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any, Literal, TypeAlias

    # The words that the errors' docstrings list, so that type checkers find a mistyped one.
    # fmt: off
    CertificateReason: TypeAlias = Literal[
        "argument", "missing", "unreadable", "format", "damaged", "passphrase", "no-certificate",
        "no-key", "mismatch", "expired", "not-yet-valid", "weak", "usage", "tls", "package",
        "exists", "unwritable",
    ]
    EndpointName: TypeAlias = Literal["certlogin", "login", "keepAlive", "logout"]
    LoginClass: TypeAlias = Literal[
        "credentials", "account", "action", "certificate", "location", "jurisdiction", "ban",
        "temporary", "request", "unknown",
    ]
    StoreReason: TypeAlias = Literal[
        "unreachable", "timeout", "forbidden", "no-bucket", "read-only", "throttled", "busy",
        "full", "server", "conflict", "other",
    ]
    UnavailableReason: TypeAlias = Literal[
        "untrusted", "bundle", "client-certificate", "proxy-407", "proxy-403", "proxy", "",
    ]
    # fmt: on

__all__ = [
    "BetfairSessionError",
    "Blocked",
    "CertificateError",
    "ConfigurationError",
    "ExchangeError",
    "IdentityError",
    "IdentityUnavailable",
    "LoginBrake",
    "LoginRefused",
    "LoginTimeout",
    "NotATokenError",
    "PublishUncertain",
    "SessionRejected",
    "StoreError",
    "StoreUnavailable",
    "StoreWriteError",
]


class BetfairSessionError(Exception):
    """The base of every error that this library raises.

    The attributes of an error can be given by their names: `StoreError("no answer", key="token")`.
    """

    def __init__(self, message: str = "", **attributes: Any) -> None:  # noqa: ANN401
        """Keep the message and the attributes."""
        super().__init__(message)
        kind = type(self)
        named = [name for each in kind.__mro__ for name in getattr(each, "__annotations__", ())]
        for name in attributes:
            if name not in named:
                raise TypeError(f"{kind.__name__} has no attribute {name!r}")
        # All of them, also those that are as usual: some programs log what `vars` returns.
        usual = {name: getattr(kind, name) for name in named if hasattr(kind, name)}
        vars(self).update(usual | attributes)


class ConfigurationError(BetfairSessionError, ValueError):
    """An argument, a URL, an option or an environment variable that cannot work.

    Attributes:
        argument: the name of the argument or variable to change, such as "password" or
            "BETFAIR_PASSWORD"; "" where only the message tells.
    """

    argument: str = ""


class CertificateError(ConfigurationError):
    """The client certificate or its key is missing, unreadable or unfit.

    Attributes:
        reason: one word for programs: "argument" (it was given in a wrong way), "missing" (no such
            file), "unreadable", "format" (neither PEM nor PKCS#12), "damaged", "passphrase"
            (missing or wrong), "no-certificate", "no-key", "mismatch" (the key belongs to another
            certificate), "expired", "not-yet-valid", "weak" (the kind or size of the key), "usage"
            (not for clients), "tls" (the TLS library refuses it), "package" (cryptography cannot
            be loaded), "exists" or "unwritable" (for new files that were to be written).
    """

    reason: CertificateReason = "argument"


class NotATokenError(ConfigurationError):
    """The object holds other data; most likely the key is mistyped. It is left untouched.

    Other data is what is too large to be a token; for `logout`, anything that is no token.
    """


class IdentityError(BetfairSessionError):
    """Betfair's identity service refused, or could not be asked.

    Attributes:
        endpoint: what was called: "certlogin", "login", "keepAlive" or "logout"; None when an
            earlier login's failure still counts, and nothing was called.
        host: the host that was called, or None.
        status_code: the HTTP status of the answer, or None when there was no answer.
    """

    endpoint: EndpointName | None = None
    host: str | None = None
    status_code: int | None = None


class LoginRefused(IdentityError):
    """Betfair answered the login with a status that is not a success.

    Attributes:
        status: Betfair's code, exactly as answered, such as "INVALID_USERNAME_OR_PASSWORD".
        login_class: what kind of action it calls for: "credentials", "account", "action",
            "certificate", "location", "jurisdiction", "ban", "temporary", "request" or
            "unknown".
        not_before: when another login may be tried (timezone-aware, UTC), or None.
        suspects: the values that may have been pasted with something around them, by the argument's
            name: {"password": "blanks"}, or "quotes" or "invisible". Only for a refusal that this
            may explain.
    """

    status: str = ""
    login_class: LoginClass = "unknown"
    not_before: datetime | None = None
    suspects: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed


class IdentityUnavailable(IdentityError):
    """Betfair gave no clear answer: the stored token stays and no login is made.

    Attributes:
        not_before: when another login may be tried (timezone-aware, UTC), or None. Set when a
            login, this one or an earlier one of the fleet, ended without an answer.
        sent: False when the request certainly never reached Betfair, for example because there was
            no connection; True when it did, or may have.
        reason: one word for programs: "untrusted" (no known authority vouches for the server),
            "bundle" (the CA bundle cannot be loaded), "client-certificate" (the server ended the
            connection, most likely since it saw no certificate that it accepts, or has no cipher in
            common with this machine), "proxy-407", "proxy-403" or "proxy" (a proxy made no
            connection), else "".
    """

    not_before: datetime | None = None
    sent: bool = True
    reason: UnavailableReason = ""


class Blocked(IdentityUnavailable):
    """An HTTP 403 page instead of an answer: this address or location is not let through."""


class StoreError(BetfairSessionError):
    """The store could not be used.

    Attributes:
        store: the store's URL, without credentials or query.
        key: the object's name, or None.
        reason: one word for programs: "unreachable", "timeout", "forbidden", "no-bucket",
            "read-only", "throttled", "busy", "full", "server", "conflict" or "other".
        landed: False when nothing was changed, as far as the store says; else True.
    """

    store: str = ""
    key: str | None = None
    reason: StoreReason = "other"
    landed: bool = False


class StoreUnavailable(StoreError):
    """The store could not be asked: unreachable, forbidden, throttled, or no such bucket."""


class StoreWriteError(StoreError):
    """The store refused a write.

    If it was the token of a new session, that session has been logged out again, unless
    `logout_error` (and the message) says that this failed, too.

    Attributes:
        logout_error: what went wrong when the new session was logged out, or None.
    """

    logout_error: BetfairSessionError | None = None


class PublishUncertain(StoreError):
    """A new token was sent to the store and no answer came: it may still appear there.

    The session is therefore not logged out. The next call finds out whether the token arrived.
    """


class SessionRejected(BetfairSessionError):
    """The betting API rejected a session, and again right after it had been renewed."""


class ExchangeError(BetfairSessionError):
    """The betting API refused a call, or gave no clear answer.

    Attributes:
        method: the operation that was called, such as "placeOrders".
        code: Betfair's code, such as "TOO_MUCH_DATA" or "DSC-0021", or "" where it gave none.
        status_code: the HTTP status of the answer, or None when there was no answer.
        landed: False when the call certainly changed nothing, True when it may have been carried
            out: then look before you repeat it.
        customer_ref: the customerRef of an order that may have been carried out, by which Betfair
            knows a repetition within a minute; "" if it has none.
    """

    method: str = ""
    code: str = ""
    status_code: int | None = None
    landed: bool = False
    customer_ref: str = ""


class LoginTimeout(BetfairSessionError):
    """The time ran out: another login is under way, or too little was left to log in or to ask.

    Attributes:
        owner: the process that is logging in, as it named itself; None if it is a call of this
            process, or no other is logging in.
        since: when it took the lock (timezone-aware, UTC), or None.
    """

    owner: str | None = None
    since: datetime | None = None


class LoginBrake(BetfairSessionError):
    """Too many logins in the last minute for one token: they fail, or something ends its sessions.

    Attributes:
        not_before: when another login is allowed (timezone-aware, UTC), or None.
    """

    not_before: datetime | None = None
