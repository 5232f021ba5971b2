"""Code as users write it: type checkers have to reject each line ending in `# wrong`, and no other.

Nothing here runs, and mypy's usual run leaves it out; `test_structure.py` looks at it.
`assert_type` says what the public names promise.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import httpx
import requests

import betfair_session
from betfair_session import *  # noqa: F403 - that it brings every name is what is looked at
from betfair_session import (
    BetfairAuth,
    Certificate,
    CertificateError,
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
    place_from_env,
    session_is_invalid,
)
from betfair_session.exceptions import LoginRefusd  # wrong
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Controls, Sandbox


def use(*values: object) -> None:
    """Use a value, so that no line is an unused expression."""


betfair_session.get_session("tokens", "key")  # wrong


def clients() -> None:
    IdentityClient("key", ("client.crt", "client.key"))
    IdentityClient("key", certificate=Path("client.pem"), jurisdiction="italy", timeout=5)
    IdentityClient("key", Certificate.from_pkcs12_base64("text", "phrase"), verify="bundle.pem")
    assert_type(IdentityClient("key").check_certificate(), list[str])
    assert_type(IdentityClient("key").verify, bool | str)
    assert_type(IdentityClient("key").api_url, str | None)
    assert_type(Sandbox().certificate, tuple[str, str])
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
    lease = LeaseSettings(ttl=60)
    every = timedelta(minutes=15)
    SessionManager(client, "username", "password", verify_every=every, share_verification=True)
    SessionManager(client, "username", "password", lease=lease, on_event=hook)
    with from_env() as other:
        assert_type(other, SessionManager)
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
    assert_type(manager.get_session("s3://bucket", "key", {"profile": "x"}, timeout=20), str)
    assert_type(manager.get_session(Path("tokens"), "key"), str)
    assert_type(place_from_env().key, str)
    manager.get_session("tokens")  # wrong
    manager.get_session(5, "key")  # wrong
    manager.get_session(place_from_env())  # wrong
    manager.get_session("s3://bucket", "key", "profile=betting")  # wrong
    manager.get_session("tokens", "key", timeout=timedelta(seconds=5))  # wrong
    manager.token()  # wrong


async def tasks(manager: SessionManager, session: Session) -> None:
    assert_type(await manager.aget_session("tokens", "key"), str)
    async with session as same:
        assert_type(same, Session)
        assert_type(await session.atoken(5), str)
        assert_type(await session.arenew("rejected"), str)
        assert_type(await session.averify(timeout=3), str)
        await session.alogout()
    waiting: str = session.atoken()  # wrong
    use(waiting)


def handles(session: Session) -> None:
    assert_type(session.token(), str)
    assert_type(session.renew(rejected="old"), str)
    assert_type(session.verify(timeout=3), str)
    check = session.client.check("token")
    assert_type(check, Check)
    assert_type(check.expires_at, datetime | None)
    session.logout()
    session.unlock()
    session.token("20")  # wrong
    session.renew()  # wrong
    session.renew(None)  # wrong
    session.refresh()  # wrong
    session.key = "other"  # wrong
    content: bytes = session.token()  # wrong
    secret: str = session.client.certlogin("username", "password")  # wrong
    use(content, secret)
    use(check.state == "live")  # wrong
    use(check.expires_at - time.monotonic())  # wrong


def helpers(manager: SessionManager, session: Session) -> None:
    with KeepAlive(session, every=timedelta(minutes=10)) as keeping:
        assert_type(keeping.last, Report | None)
        assert_type(keeping.run_once().ok, bool)
    with Exchange(session) as exchange:
        assert_type(exchange.call("listEventTypes", {"filter": {}}), Any)
    answer = requests.post("https://api.betfair.com/", auth=BetfairAuth(session), timeout=5)
    assert_type(session_is_invalid(answer), bool)
    session_is_invalid(answer.content)
    session_is_invalid(answer.json())
    session_is_invalid(httpx.post("https://api.betfair.com/"))
    KeepAlive(manager)  # wrong
    KeepAlive(session, every=600)  # wrong
    Exchange(manager)  # wrong
    Exchange(session).call({"filter": {}})  # wrong
    BetfairAuth("token")  # wrong
    APIClient("username", "password", app_key="key")  # wrong
    Sandbox().fault("keepAlive", 503)  # wrong
    APIClient(session).stream_address = Controls.running().stream_address
    session_is_invalid(None)  # wrong
    session_is_invalid(ValueError("no answer"))  # wrong


def hook(event: Event) -> None:
    assert_type(event.detail, str)
    assert_type(event.kind == "logged in", bool)
    use(event.kind == "login")  # wrong
    event.kind = "failed"  # wrong


def reported(report: Report) -> None:
    use(report.again_in > timedelta(minutes=15))  # wrong


def errors(session: Session) -> None:
    try:
        session.token()
    except LoginRefused as error:
        assert_type(error.not_before, datetime | None)
        assert_type(error.status, str)
        use(error.not_before.timestamp())  # wrong
        use(error.code)  # wrong
        use(error.status == 400)  # wrong
        use(error.login_class == "credential")  # wrong
        use(error.endpoint == "keepalive")  # wrong
        assert_type(error.suspects, dict[str, str])
    except IdentityUnavailable as error:
        assert_type(error.status_code, int | None)
        use(error.reason == "proxy-403", error.sent)
        use(error.reason == "proxy403")  # wrong
    except StoreError as error:
        assert_type(error.landed, bool)
        use(error.reason == "forbidden")
        use(error.reason == "forbiden")  # wrong
    except CertificateError as error:
        use(error.reason == "no-key")
        use(error.reason == "no_key")  # wrong
    assert_type(LoginBrake("why").args, tuple[Any, ...])  # noqa: F405 - by the star
