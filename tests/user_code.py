"""Code as users write it, for the type checker: mypy looks at it with every other file.

Nothing here runs. `assert_type` says what the public names promise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import requests

from betfair_session import *  # noqa: F403 - that it brings every name is what is looked at
from betfair_session import (
    BetfairAuth,
    Certificate,
    Check,
    Event,
    Exchange,
    IdentityClient,
    IdentityUnavailable,
    KeepAlive,
    LeaseSettings,
    LoginRefused,
    Report,
    Session,
    SessionManager,
    StoreError,
    from_env,
    session_is_invalid,
)


def clients() -> None:
    """Every form of a certificate, and what is no certificate."""
    IdentityClient("key", ("client.crt", "client.key"))
    IdentityClient("key", certificate=Path("client.pem"), jurisdiction="italy", timeout=5)
    IdentityClient("key", Certificate.from_pkcs12_base64("text", "phrase"), verify="bundle.pem")
    assert_type(IdentityClient("key").check_certificate(), list[str])


def managers(client: IdentityClient) -> None:
    """A manager, its settings, and the places it takes."""
    manager = SessionManager(
        client,
        "username",
        "password",
        verify_every=timedelta(minutes=15),
        share_verification=True,
        lease=LeaseSettings(ttl=60),
        on_event=hook,
    )
    assert_type(manager.get_session("s3://bucket", "key", {"profile": "x"}, timeout=20), str)
    assert_type(manager.get_session(Path("tokens"), "key"), str)
    with manager, from_env() as other:
        assert_type(other, SessionManager)


async def tasks(manager: SessionManager, session: Session) -> None:
    """The asyncio front."""
    assert_type(await manager.aget_session("tokens", "key"), str)
    async with session as same:
        assert_type(same, Session)
        assert_type(await session.atoken(5), str)
        assert_type(await session.arenew("rejected"), str)
        assert_type(await session.averify(timeout=3), str)
        await session.alogout()


def handles(session: Session) -> None:
    """What a handle returns."""
    assert_type(session.token(), str)
    assert_type(session.renew(rejected="old"), str)
    assert_type(session.verify(timeout=3), str)
    check = session.client.check("token")
    assert_type(check, Check)
    assert_type(check.expires_at, datetime | None)
    session.logout()
    session.unlock()
    with KeepAlive(session, every=timedelta(minutes=10)) as keeping:
        assert_type(keeping.last, Report | None)
        assert_type(keeping.run_once().ok, bool)


def calls(session: Session) -> None:
    """Calling the betting API."""
    with Exchange(session) as exchange:
        assert_type(exchange.call("listEventTypes", {"filter": {}}), Any)
    answer = requests.post("https://api.betfair.com/", auth=BetfairAuth(session), timeout=5)
    assert_type(session_is_invalid(answer), bool)
    session_is_invalid(answer.content)
    session_is_invalid(answer.json())


def errors(manager: SessionManager) -> None:
    """What errors carry."""
    try:
        manager.get_session("tokens", "key")
    except LoginRefused as error:
        assert_type(error.not_before, datetime | None)
        assert_type(error.status, str)
    except IdentityUnavailable as error:
        assert_type(error.status_code, int | None)
    except StoreError as error:
        assert_type(error.landed, bool)


def hook(event: Event) -> None:
    """An event's kind is one of the known words."""
    if event.kind == "logged out":
        assert_type(event.detail, str)
    assert_type(event.kind == "logged in", bool)


def starred() -> None:
    """Names that only `import *` brings here."""
    assert_type(LoginBrake("why").args, tuple[Any, ...])  # noqa: F405
    assert_type(place_from_env().key, str)  # noqa: F405
