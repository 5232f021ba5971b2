"""One live Betfair session token, shared by any number of functions and bots.

    from betfair_session import from_env

    manager = from_env()  # the account, from BETFAIR_… variables or a .env file
    token = manager.get_session("s3://bucket/betfair", "session.token")

    session = manager.session("s3://bucket/betfair", "session.token")  # a handle for that place
    session.token(timeout=20)       # as get_session; logs in only if there is no live session
    session.renew(rejected=token)   # after the betting API rejected a token
    session.verify()                # ask Betfair now; session.logout() ends the session

For tasks: aget_session, atoken, arenew, averify, alogout. Exchange(session) calls the betting API,
BetfairAuth(session) signs requests of your own, KeepAlive(session) keeps a session alive. Every
error is a BetfairSessionError; see help("betfair_session.exceptions"). To try all of it without an
account: `betfair-session sandbox`.
"""

from __future__ import annotations

from .exceptions import *  # noqa: F403 - all that its __all__ names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .betfair.answers import Check as Check
    from .betfair.identity import IdentityClient as IdentityClient
    from .betfair.jurisdictions import Jurisdiction as Jurisdiction
    from .betfair.names import JurisdictionName as JurisdictionName
    from .certificates import Certificate as Certificate
    from .certificates.reading import StrPath as StrPath
    from .environment import Place as Place, from_env as from_env, place_from_env as place_from_env
    from .events import Event as Event, EventKind as EventKind
    from .exchange.auth import BetfairAuth as BetfairAuth
    from .exchange.calls import session_is_invalid as session_is_invalid
    from .exchange.client import Exchange as Exchange
    from .keepalive import KeepAlive as KeepAlive, Report as Report
    from .login.account import LeaseSettings as LeaseSettings
    from .manager import SessionManager as SessionManager
    from .secret import Secret as Secret
    from .session import Session as Session
    from .storage import FileSystem as FileSystem, Store as Store
    from .storage.contract import TokenStore as TokenStore

    __version__: str

if not TYPE_CHECKING:  # a type checker would think that every misspelt name exists
    # The same imports, each made when its name is first used: a cold start pays for each.
    _HOMES = {
        "betfair.answers": "Check",
        "betfair.identity": "IdentityClient",
        "betfair.jurisdictions": "Jurisdiction",
        "betfair.names": "JurisdictionName",
        "certificates": "Certificate",
        "certificates.reading": "StrPath",
        "environment": "Place from_env place_from_env",
        "events": "Event EventKind",
        "exchange.calls": "session_is_invalid",
        "exchange.auth": "BetfairAuth",
        "exchange.client": "Exchange",
        "keepalive": "KeepAlive Report",
        "login.account": "LeaseSettings",
        "manager": "SessionManager",
        "secret": "Secret",
        "session": "Session",
        "storage": "FileSystem Store",
        "storage.contract": "TokenStore",
    }
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
    __all__ = sorted([*_HOME_OF, *exceptions.__all__])  # noqa: F405, PLE0605 - both are lists

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib import metadata

            try:
                return metadata.version("betfair-session")
            except metadata.PackageNotFoundError:  # it is left out of some archives for functions
                raise AttributeError("the package's metadata is missing") from None
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = __import__(f"{__name__}.{_HOME_OF[name]}", fromlist=[name])
        value: object = getattr(home, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
