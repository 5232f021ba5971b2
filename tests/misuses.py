"""Mistakes that a type checker has to catch: each line that ends in `# wrong` is one, no other.

Nothing here runs, and mypy's usual run leaves it out; `test_misuses.py` looks at it.
"""

from __future__ import annotations

import time
from datetime import timedelta

import betfair_session
from betfair_session import (
    BetfairAuth,
    Certificate,
    Event,
    Exchange,
    IdentityClient,
    KeepAlive,
    LeaseSettings,
    LoginRefused,
    Report,
    Session,
    SessionManager,
    from_env,
    place_from_env,
    session_is_invalid,
)
from betfair_session.exceptions import LoginRefusd  # wrong
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Sandbox


def use(*values: object) -> None:
    """Take what would otherwise be of no use."""


betfair_session.get_session("tokens", "key")  # wrong


def clients() -> None:
    """What a client cannot be made of."""
    IdentityClient()  # wrong
    IdentityClient("key", ("client.crt", "client.key", "ca.crt"))  # wrong
    IdentityClient("key", jurisdiction="itly")  # wrong
    IdentityClient("key", verify=None)  # wrong
    IdentityClient("key", timeout="5")  # wrong
    IdentityClient("key", timeout=timedelta(seconds=5))  # wrong
    IdentityClient("key", identity="https://localhost/api/")  # wrong
    Certificate.from_files("client.crt", key_file="client.key")  # wrong
    Certificate.from_pem(5)  # wrong


def managers(client: IdentityClient) -> None:
    """What a manager cannot be made of."""
    SessionManager("username", "password", "app key")  # wrong
    SessionManager(client, "username")  # wrong
    SessionManager(client, "username", "password", verify_every=900)  # wrong
    SessionManager(client, "username", "password", lease=30)  # wrong
    SessionManager(client, "username", "password", on_event=lambda: None)  # wrong
    SessionManager(client, "username", "password", two_step=123456)  # wrong
    LeaseSettings(ttl="30")  # wrong
    LeaseSettings(time_to_live=30)  # wrong
    from_env("production")  # wrong
    from_env(jurisdiction="italy")  # wrong


def places(manager: SessionManager) -> None:
    """What is no place for a token."""
    manager.get_session("tokens")  # wrong
    manager.get_session(5, "key")  # wrong
    manager.get_session(place_from_env())  # wrong
    manager.get_session("s3://bucket", "key", "profile=betting")  # wrong
    manager.get_session("tokens", "key", timeout=timedelta(seconds=5))  # wrong
    manager.token()  # wrong


async def handles(session: Session) -> None:
    """What a handle cannot do."""
    session.token("20")  # wrong
    session.renew()  # wrong
    session.renew(None)  # wrong
    session.refresh()  # wrong
    session.key = "other"  # wrong
    content: bytes = session.token()  # wrong
    waiting: str = session.atoken()  # wrong
    secret: str = session.client.certlogin("username", "password")  # wrong
    use(content, waiting, secret)


def helpers(manager: SessionManager, session: Session) -> None:
    """A manager in place of a handle, and times of a wrong kind."""
    KeepAlive(manager)  # wrong
    KeepAlive(session, every=600)  # wrong
    Exchange(manager)  # wrong
    Exchange(session).call({"filter": {}})  # wrong
    BetfairAuth("token")  # wrong
    APIClient("username", "password", app_key="key")  # wrong
    Sandbox().fault("keepAlive", 503)  # wrong


def answers(session: Session, report: Report, event: Event) -> None:
    """What comes back is not what it is taken for."""
    session_is_invalid(None)  # wrong
    session_is_invalid(ValueError("no answer"))  # wrong
    check = session.client.check("token")
    use(check.state == "live")  # wrong
    use(check.expires_at - time.monotonic())  # wrong
    use(report.again_in > timedelta(minutes=15))  # wrong
    use(event.kind == "login")  # wrong
    event.kind = "failed"  # wrong


def errors(session: Session) -> None:
    """What an error says."""
    try:
        session.token()
    except LoginRefused as error:
        use(error.not_before.timestamp())  # wrong
        use(error.code)  # wrong
        use(error.status == 400)  # wrong
