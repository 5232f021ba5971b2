"""One live Betfair session token, shared by any number of functions and bots.

Example:
    >>> from betfair_session import IdentityClient, SessionManager
    >>> client = IdentityClient("app-key", certificate=("client.crt", "client.key"))
    >>> manager = SessionManager(client, "username", "password")
    >>> manager.get_session("s3://bucket/betfair", "session.token")  # doctest: +SKIP
"""

from .betting import session_is_invalid
from .certificates import Certificate
from .environment import from_env
from .exceptions import (
    BetfairSessionError,
    Blocked,
    CertificateError,
    ConfigurationError,
    IdentityError,
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    NotATokenError,
    PublishUncertain,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from .identity import Check, IdentityClient
from .lease.state import LeaseSettings
from .manager import SessionManager
from .session import Session

__all__ = [
    "BetfairSessionError",
    "Blocked",
    "Certificate",
    "CertificateError",
    "Check",
    "ConfigurationError",
    "IdentityClient",
    "IdentityError",
    "IdentityUnavailable",
    "LeaseSettings",
    "LoginBrake",
    "LoginRefused",
    "LoginTimeout",
    "NotATokenError",
    "PublishUncertain",
    "Session",
    "SessionManager",
    "StoreError",
    "StoreUnavailable",
    "StoreWriteError",
    "from_env",
    "session_is_invalid",
]
